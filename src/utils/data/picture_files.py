"""A person's own pictures: found in a folder, read in one form, or left out with a reason."""

from __future__ import annotations

import csv
import io
import os
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.errors import UserError
from utils.store.files import is_inside

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"}
)
# Pillow's names of these formats; no other is tried, whatever a file is called.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF")
MOST_PIXELS = 100_000_000
MOST_BYTES = 500_000_000
LARGEST_16_BIT = 65_535
# Memory of all pictures that are decoded at the same time. A picture that needs more is decoded
# while no other one is.
MEMORY_BUDGET = 2**30
# What decoding, turning and converting one pixel takes at most, measured over all modes.
BYTES_PER_PIXEL = 32
# A progressive JPEG is held as coefficients of its full size: two bytes for each of three colours.
BYTES_PER_COEFFICIENT_PIXEL = 6
STRIP_PIXELS = 2**20


class Unreadable(Exception):
    """A file that is not a picture one can use; the message says why."""


@dataclass(frozen=True)
class Found:
    """The files of a collection.

    Attributes
    ----------
    root : Path
        The folder that `names` are relative to.
    names : tuple of str
        Paths of the files, in a fixed order; characters that are not UTF-8 are kept as Python
        keeps them (surrogates).
    labels : tuple of str, or None
        The class of each file, where one was given. For scoring only.
    unlisted : dict of str to str
        Folders in it that could not be listed, with the reason.
    """

    root: Path
    names: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    unlisted: dict[str, str] = field(default_factory=dict)

    def path(self, row: int) -> Path:
        """Return the path of a file by its number."""
        return self.root / self.names[row]


def find(folder: Path, labels: str | None = None) -> Found:
    """List the image files of a folder and of all folders in it.

    Parameters
    ----------
    folder : Path
        Hidden files and folders are left out; links to folders are not followed. Folders in it that
        cannot be listed are left out as well, and named in the result.
    labels : str, optional
        ``"folders"``: the class of a file is the first folder on its way. Otherwise the path of a
        CSV file with the columns ``path`` (relative to the folder) and ``label``: then only these
        files are listed, in the file's order.

    Returns
    -------
    Found

    Raises
    ------
    UserError
        If there is no such folder or it holds no image file, a file lies in no class folder, or the
        CSV file is not as it must be.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder: name the folder of your images")
    if labels is not None and labels != "folders":
        return _listed(folder, Path(labels).expanduser())
    names, unlisted = _walk(folder)
    if not names:
        left_out = "".join(f"; {printable(name)}: {why}" for name, why in unlisted.items())
        allowed = ", ".join(sorted(SUFFIXES))
        raise UserError(f"{folder}: no image file in it: allowed are {allowed}{left_out}")
    if labels is None:
        return Found(folder, tuple(names), unlisted=unlisted)
    loose = [name for name in names if os.sep not in name]
    if loose:
        raise UserError(
            f"--labels folders: {printable(loose[0])} and {len(loose) - 1} other files lie in no "
            f"class folder of {folder}: move them into one, or leave --labels out"
        )
    classes = tuple(Path(name).parts[0] for name in names)
    return Found(folder, tuple(names), classes, unlisted)


def _walk(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the names of the image files, in order, and why folders could not be listed."""
    found: list[str] = []
    unlisted: dict[str, str] = {}

    def leave_out(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise UserError(f"cannot list the folder {folder}: {error.strerror}")
        name = str(Path(error.filename).relative_to(folder))
        unlisted[name] = f"the folder cannot be listed: {error.strerror}"

    for here, folders, files in os.walk(folder, onerror=leave_out):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            str((Path(here) / name).relative_to(folder))
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return sorted(found), unlisted


def _listed(folder: Path, table: Path) -> Found:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--labels {table}: {reason}: give a CSV file or 'folders'") from None
    if not rows:
        raise UserError(f"--labels {table}: no line below the heading 'path,label'")
    for number, row in enumerate(rows, start=2):
        if not row.get("path") or not row.get("label"):
            raise UserError(f"--labels {table}, line {number}: needs a path and a label")
    names = [row["path"] for row in rows]
    outside = next((name for name in names if not is_inside(name)), None)
    if outside:
        raise UserError(f"--labels {table}: {outside!r} is not a path inside {folder}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"--labels {table}: {twice!r} is listed twice")
    return Found(folder, tuple(names), tuple(row["label"] for row in rows))


def printable(name: str) -> str:
    r"""Return a file's name as text for tables and terminals; no two names become the same.

    Bytes that are not UTF-8 stand as ``\xe9``, control characters as ``\x0d`` or ``\u0085``, and a
    backslash as two.
    """
    shown = name.replace("\\", "\\\\")
    shown = "".join(_escaped(letter) if _is_control(letter) else letter for letter in shown)
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) == "Cc"


def _escaped(letter: str) -> str:
    # Beyond ASCII in another form than a byte that is not UTF-8.
    return f"\\x{ord(letter):02x}" if letter.isascii() else f"\\u{ord(letter):04x}"


def read(path: Path, side: int) -> np.ndarray:
    """Read a picture as colours of a square.

    Parameters
    ----------
    path : Path
    side : int
        Pixels of the square's side. The picture is scaled so that its shorter side fills it, and
        cut to the middle.

    Returns
    -------
    ndarray of uint8, shape (side, side, 3)
        Red, green and blue. Turned as its EXIF entry says; what is transparent is white; of several
        frames the first; 16 bits and floats scaled to 8 bits.

    Raises
    ------
    Unreadable
        If the file cannot be read, is no picture of `FORMATS`, is cut off or damaged, or has more
        than `MOST_PIXELS` pixels or `MOST_BYTES` bytes.
    """
    from PIL import Image, ImageOps

    try:
        _require_usable(path)
        # The header alone tells how much memory the picture takes.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as opened:
            needed = path.stat().st_size + _memory_needed(opened, side)
        with (
            _BUDGET.taken(needed),
            Image.open(io.BytesIO(path.read_bytes()), formats=FORMATS) as opened,
        ):
            _memory_needed(opened, side)
            picture = ImageOps.exif_transpose(opened)
            return np.asarray(ImageOps.fit(_rgb(picture), (side, side), Image.Resampling.BICUBIC))
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("not enough memory to decode it") from None
    except Image.UnidentifiedImageError:
        raise Unreadable("no picture of an allowed format, or its beginning is damaged") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"more than {MOST_PIXELS:,} pixels") from None
    except OSError as error:
        raise Unreadable(_reason(error)) from None
    except Exception as error:
        # SyntaxError, zlib.error, struct.error, …: what decoders say of damaged files has no type
        # in common.
        raise Unreadable(f"damaged ({type(error).__name__}: {_reason(error)})") from None


class _Budget:
    """Memory that threads share. What is larger than all of it is taken when nothing else is."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Wait until `amount` bytes are free, and hold them during the block."""
        amount = min(amount, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._used + amount <= self._size)
            self._used += amount
        try:
            yield
        finally:
            with self._changed:
                self._used -= amount
                self._changed.notify_all()


_BUDGET = _Budget(MEMORY_BUDGET)


def _memory_needed(opened: Image, side: int) -> int:
    """Return how many bytes decoding takes, by what the header declares.

    A large JPEG is set to be decoded at a fraction of its size.
    """
    declared = opened.width * opened.height
    if declared > MOST_PIXELS:
        raise Unreadable(f"{opened.width:,} × {opened.height:,} pixels: more than {MOST_PIXELS:,}")
    opened.draft("RGB", (2 * side, 2 * side))
    needed = opened.width * opened.height * BYTES_PER_PIXEL
    if opened.info.get("progressive"):
        needed += declared * BYTES_PER_COEFFICIENT_PIXEL
    return needed


def _require_usable(path: Path) -> None:
    if "\0" in str(path):
        raise Unreadable("a null character in its name")
    if not path.is_file():
        raise Unreadable("there is no such file")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise Unreadable(f"{size:,} bytes: more than {MOST_BYTES:,}")
    if size == 0:
        raise Unreadable("empty")


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()[:200]


def _rgb(picture):
    """Turn a picture of any mode into red, green and blue, on white."""
    from PIL import Image

    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(picture)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image) -> np.ndarray:
    """Scale 16-bit values by a constant; other ranges from their least to their largest value.

    Strip by strip: all values in float64 take several times the memory of the picture.
    """
    bounds = [(values.min(), values.max()) for _, values in _strips(picture)]
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    scaled = np.empty((picture.height, picture.width), np.uint8)
    for rows, values in _strips(picture):
        if low >= 0 and 1 < high <= LARGEST_16_BIT:
            scaled[rows] = np.round(values * (255 / LARGEST_16_BIT))
        else:
            scaled[rows] = np.round((values - low) * (255 / ((high - low) or 1)))
    return scaled


def _strips(picture: Image) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield some rows at a time, with their values as finite numbers in float64."""
    height = max(1, STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, height):
        bottom = min(top + height, picture.height)
        values = np.asarray(picture.crop((0, top, picture.width, bottom)), dtype=np.float64)
        yield slice(top, bottom), np.nan_to_num(values, posinf=0, neginf=0)


def read_many(paths: Sequence[Path], side: int, threads: int) -> list[np.ndarray | Unreadable]:
    """Read pictures side by side; a file that cannot be used leaves its reason in its place."""
    from concurrent.futures import ThreadPoolExecutor

    def attempt(path: Path) -> np.ndarray | Unreadable:
        try:
            return read(path, side)
        except Unreadable as error:
            return error

    # Pillow warns of odd metadata, and of pictures half as large as it refuses: ours say no first.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")
        return list(pool.map(attempt, paths))
