"""A picture file in one form, or the reason why it cannot be used."""

from __future__ import annotations

import hashlib
import io
import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from utils.data import picture_bytes, picture_colours
from utils.data.picture_metadata import Metadata, metadata_of, turned

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow's names of the formats that are read; no other is tried, whatever a file is called.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "AVIF", "JPEG2000", "HEIF")
MOST_PIXELS = 100_000_000
# A JPEG may be decoded at an eighth of each side, so it may declare more; but a small file can
# declare so many pixels that going through them takes minutes.
MOST_DECLARED = 20
MOST_BYTES = 500_000_000
DIGEST_BYTES = 16
# Memory of all pictures that are decoded at the same time. A picture that needs more is decoded
# while no other one is.
MEMORY_BUDGET = 2**30
# What decoding, turning and converting one pixel takes at most, measured over all modes.
BYTES_PER_PIXEL = 32
# A progressive JPEG is held as coefficients of its full size: two bytes for each of three colours.
BYTES_PER_COEFFICIENT_PIXEL = 6
# Of an animation that begins with frames of one colour no more are tried.
MOST_FRAMES = 100
# Of a JPEG that stops early at least this share must be there.
LEAST_SHARE = 0.5
_MOVING = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")
_REDUCED_MODES = ("L", "RGB", "CMYK", "RGBA", "LA", "YCbCr")

Result = TypeVar("Result")


class Unreadable(Exception):
    """A file that is not a picture one can use; the message says why."""


@dataclass(frozen=True)
class Decoded:
    """A picture, upright, in red, green and blue.

    Attributes
    ----------
    picture : Image
        Of at least `least_side` pixels in its shorter side, if the file has as many; a larger one
        is scaled down to not much more.
    width, height : int
        Pixels that the file has, upright.
    format : str
        As Pillow calls it.
    notes : tuple of str
        What is odd in the file, although it can be used.
    metadata : Metadata
    pixel_digest : bytes
        Of what was decoded: 16 bytes that only equal pictures of one size share.
    """

    picture: Image
    width: int
    height: int
    format: str
    notes: tuple[str, ...]
    metadata: Metadata
    pixel_digest: bytes

    def square(self, side: int) -> np.ndarray:
        """Return the middle: uint8 ``(side, side, 3)``; the shorter side fills it."""
        from PIL import Image, ImageOps

        return np.asarray(ImageOps.fit(self.picture, (side, side), Image.Resampling.BICUBIC))

    def squashed(self, side: int) -> np.ndarray:
        """Return the whole without its proportions: uint8 ``(side, side, 3)``."""
        from PIL import Image

        return np.asarray(self.picture.resize((side, side), Image.Resampling.BOX))


# --- reading --------------------------------------------------------------------------------------


def read(path: Path, side: int) -> np.ndarray:
    """Read the middle square of a picture.

    Parameters
    ----------
    path : Path
    side : int
        Pixels of the square's side. The picture is scaled so that its shorter side fills it.

    Returns
    -------
    ndarray of uint8, shape (side, side, 3)

    Raises
    ------
    Unreadable
        As `decode` raises it, or if the file itself cannot be read.
    """
    return decode(content_of(path), 2 * side).square(side)


def read_whole(path: Path, side: int) -> np.ndarray:
    """Read a whole picture, without its proportions: uint8 ``(side, side, 3)``; see `read`."""
    return decode(content_of(path), 2 * side).squashed(side)


def read_many(
    paths: Sequence[Path],
    side: int,
    threads: int,
    how: Callable[[Path, int], np.ndarray] = read,
) -> list[np.ndarray | Unreadable]:
    """Read pictures side by side; a file that cannot be used leaves its reason in its place."""
    from concurrent.futures import ThreadPoolExecutor

    with quiet_decoders(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda path: attempt(lambda: how(path, side)), paths))


def attempt(work: Callable[[], Result]) -> Result | Unreadable:
    """Return what `work` returns, or the `Unreadable` that it raises."""
    try:
        return work()
    except Unreadable as error:
        return error


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Let decoders warn of nothing in this block: of odd metadata, for example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def content_of(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    Unreadable
        If there is no such file, it cannot be read, or it has no byte or more than `MOST_BYTES`.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise Unreadable("a folder, pipe or device, no file")
        if state.st_size > MOST_BYTES:
            raise Unreadable(f"{state.st_size:,} bytes: more than {MOST_BYTES:,}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise Unreadable(
            "there is no such file; it was removed or renamed in the meantime"
        ) from None
    except ValueError:
        raise Unreadable("a null character in its name") from None
    except MemoryError:
        raise Unreadable("not enough memory to read it") from None
    except OSError as error:
        raise Unreadable(_reason(error)) from None
    if not content:
        raise Unreadable("empty")
    return content


def decode(content: bytes, least_side: int, most_pixels: int = MOST_PIXELS) -> Decoded:
    """Decode a picture.

    It is turned as its EXIF data say. Its colour profile is applied. What is transparent is laid on
    a ground in contrast, and values of more than eight bits are scaled (see `picture_colours`). Of
    several frames the first that is not of one colour is taken. A large JPEG is decoded at a
    fraction of its size.

    Parameters
    ----------
    content : bytes
        Of the file.
    least_side : int
        Pixels that the shorter side of the result needs.
    most_pixels : int
        Larger pictures are refused. For a JPEG that is decoded at a fraction this counts.

    Raises
    ------
    Unreadable
        If it is no picture of `FORMATS`, is damaged, or has too many pixels.
    """
    _prepare_pillow()
    from PIL import Image

    try:
        return _decode(content, least_side, most_pixels)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("not enough memory to decode it") from None
    except Image.UnidentifiedImageError:
        raise Unreadable(_what_it_is(content)) from None
    except OSError as error:
        raise Unreadable(f"damaged: {_reason(error)}") from None
    except Exception as error:
        # SyntaxError, zlib.error, struct.error, …: what decoders say of damaged files has no type
        # in common.
        raise Unreadable(f"damaged ({type(error).__name__}: {_reason(error)})") from None


@cache
def _prepare_pillow() -> None:
    """Teach Pillow HEIC, and leave the limit of pixels to `_memory_needed`."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener(thumbnails=False)
    Image.MAX_IMAGE_PIXELS = None


def _what_it_is(content: bytes) -> str:
    if known := picture_bytes.picture_format(content):
        return f"a damaged or unusual {known} file"
    kind = picture_bytes.other_kind(content)
    return (
        f"no picture: {kind}"
        if kind
        else "no picture of a format that is read, or its beginning is damaged"
    )


def _decode(content: bytes, least_side: int, most_pixels: int) -> Decoded:
    from PIL import Image

    notes = []
    content, n_texts, has_large_profile = picture_bytes.without_png_texts(content)
    if has_large_profile:
        notes.append("its colour profile is too large and is not applied")
    is_cut = picture_bytes.jpeg_lacks_its_end(content) if content[:2] == b"\xff\xd8" else False
    if is_cut:
        content = picture_bytes.with_end_of_jpeg(content)
    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
        width, height = opened.size
        needed = len(content) + _memory_needed(opened, least_side, most_pixels)
        with _BUDGET.taken(needed):
            opened.load()
            if is_cut:
                notes.append(_note_of_cut(opened))
            frame = _shown_frame(opened, least_side, most_pixels)
            if frame:
                notes.append(f"frame {frame + 1} is used: those before it are of one colour")
                width, height = opened.size
            metadata = metadata_of(opened)
            if not metadata.is_readable:
                notes.append("its EXIF data cannot be read")
            if metadata.orientation >= 5:
                width, height = height, width
            profile = opened.info.get("icc_profile")
            digest = _pixel_digest(opened, profile, metadata.orientation)
            shown = picture_colours.rgb(_reduced(opened, least_side), profile)
            shown = turned(_reduced(shown, least_side), metadata.orientation)
            return Decoded(
                picture=shown,
                width=width,
                height=height,
                format=str(opened.format),
                notes=tuple(notes),
                metadata=_with_entries(metadata, n_texts),
                pixel_digest=digest,
            )


def _with_entries(metadata: Metadata, n_more: int) -> Metadata:
    from dataclasses import replace

    return replace(metadata, n_entries=metadata.n_entries + n_more)


def _note_of_cut(loaded: Image) -> str:
    """Describe a JPEG that stops early.

    Raises
    ------
    Unreadable
        If too little of it is there.
    """
    values = np.asarray(loaded)
    # The decoder repeats the last colour in what is missing.
    differs = np.flatnonzero((values != values[-1:]).reshape(len(values), -1).any(axis=1))
    if not len(differs):
        return "its end is missing"
    share = (differs[-1] + 1) / len(values)
    if share < LEAST_SHARE:
        raise Unreadable(f"cut off: {share:.0%} of the picture is there")
    return f"its end is missing: {share:.0%} of the picture is there"


def _shown_frame(opened: Image, least_side: int, most_pixels: int) -> int:
    """Go to the first frame that is not of one colour, to the first if there is none."""
    if opened.format not in _MOVING or not _is_of_one_colour(opened):
        return 0
    n_frames = min(getattr(opened, "n_frames", 1), MOST_FRAMES)
    for frame in range(1, n_frames):
        opened.seek(frame)
        _memory_needed(opened, least_side, most_pixels)
        opened.load()
        if not _is_of_one_colour(opened):
            return frame
    if n_frames > 1:
        opened.seek(0)
        opened.load()
    return 0


def _is_of_one_colour(loaded: Image) -> bool:
    bounds = loaded.getextrema()
    bounds = bounds if isinstance(bounds[0], tuple) else (bounds,)
    return all(low == high for low, high in bounds)


def _pixel_digest(loaded: Image, profile: bytes | None, orientation: int) -> bytes:
    # SHA-256, because processors have instructions for it.
    digest = hashlib.sha256(
        f"{loaded.size} {orientation} {picture_colours.is_deep(loaded)} ".encode()
    )
    # Palettes and grey are other ways to say the same colours; deep values are not scaled for this.
    is_plain = loaded.mode in ("RGB", "RGBA", "CMYK", "LAB") or picture_colours.is_deep(loaded)
    has_alpha = "A" in loaded.getbands() or "transparency" in loaded.info
    plain = loaded if is_plain else loaded.convert("RGBA" if has_alpha else "RGB")
    digest.update(plain.mode.encode() + hashlib.sha256(profile or b"").digest())
    digest.update(plain.tobytes())
    return digest.digest()[:DIGEST_BYTES]


def _reduced(picture: Image, least_side: int) -> Image:
    """Scale a picture down by a whole number, if it is far larger than needed."""
    factor = min(picture.size) // least_side
    # A colour that stands for transparency must not be mixed with others.
    can_be = picture.mode in _REDUCED_MODES and "transparency" not in picture.info
    return picture.reduce(factor) if factor > 1 and can_be else picture


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()[:200]


# --- memory ---------------------------------------------------------------------------------------


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


def _memory_needed(opened: Image, least_side: int, most_pixels: int) -> int:
    """Return how many bytes decoding takes, by what the header declares.

    A large JPEG is set to be decoded at a fraction of its size.
    """
    declared = opened.width * opened.height
    is_jpeg = opened.format in ("JPEG", "MPO")
    is_progressive = bool(opened.info.get("progressive"))
    size = f"{opened.width:,} × {opened.height:,} pixels"
    if is_jpeg and not is_progressive and declared > MOST_DECLARED * most_pixels:
        raise Unreadable(f"{size}: more than {MOST_DECLARED * most_pixels:,}")
    opened.draft("RGB", (least_side, least_side))
    decoded = opened.width * opened.height
    if (declared if is_progressive else decoded) > most_pixels:
        raise Unreadable(f"{size}: more than {most_pixels:,} (--largest-megapixels)")
    return decoded * BYTES_PER_PIXEL + (
        declared * BYTES_PER_COEFFICIENT_PIXEL if is_progressive else 0
    )
