"""Files that are written atomically, checked by SHA-256 and removed only if they are ours."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import places

if TYPE_CHECKING:
    import numpy as np

CHECKSUMS = "checksums.json"
TOKEN_BYTES = 16
SECONDS_TO_REGISTER = 30


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an exception.

    Parameters
    ----------
    path : Path
        The file to write. Its folder is made if it is missing.

    Yields
    ------
    Path
        A file in the same folder, so that the final rename is atomic. An interrupted block leaves
        the old `path` as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept: several libraries choose the format by it.
    with temporary_place(path.parent, path.suffix) as temporary:
        temporary.open("xb").close()
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def temporary_place(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Yield a free path in `folder`; whatever is there when the block ends is removed.

    The path has an unguessable name, which is registered before anything is made. That is how
    `remove_leftovers` knows what a killed process has left, in any folder.

    Parameters
    ----------
    folder : Path
        It must exist.
    suffix : str
        End of the name.
    """
    token = secrets.token_hex(TOKEN_BYTES)
    place = Path(folder).resolve() / f".{token}{suffix}"
    # A file for each temporary file or folder of this checkout; it holds the path.
    entries = places.temporaries()
    entries.mkdir(parents=True, exist_ok=True)
    entry = entries / token
    try:
        with entry.open("xb") as file:
            # Held as long as this process lives. Before it is held the entry is empty.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(os.fsencode(place))
            file.flush()
            try:
                yield place
            finally:
                _remove(place)
    finally:
        if not os.path.lexists(place):
            entry.unlink(missing_ok=True)


def remove_leftovers() -> list[Path]:
    """Remove the temporary files and folders of killed processes, and return them.

    Only what `temporary_place` registered is removed, whatever other files are called. What cannot
    be removed now, for example on a disk that is read-only, stays registered.
    """
    removed = []
    for entry in sorted(places.temporaries().glob("*")):
        if re.fullmatch(f"[0-9a-f]{{{2 * TOKEN_BYTES}}}", entry.name) is None:
            continue
        try:
            with entry.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                place = Path(os.fsdecode(file.read()))
                # The token in both names: an entry that was made up can name nothing else.
                if place.is_absolute() and place.name.startswith(f".{entry.name}"):
                    if os.path.lexists(place):
                        _remove(place)
                        removed.append(place)
                elif time.time() - entry.stat().st_mtime < SECONDS_TO_REGISTER:
                    continue  # its process has made the entry and is about to fill it
                entry.unlink(missing_ok=True)
        except OSError:
            # Its process lives (BlockingIOError) or has just ended, or the disk is read-only.
            continue
    return removed


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def update_json(path: Path, content: Any) -> None:
    """Write `content` to `path` unless it says so already: what depends on it stays up to date."""
    if read_state(path) != content:
        write_json(path, content)


def read_json(path: Path) -> Any:
    """Read the JSON file `path`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_state(path: Path, *keys: str) -> dict[str, Any] | None:
    """Read a small file of state that can be made again, such as ``data.json``.

    Parameters
    ----------
    path : Path
    *keys : str
        Keys that the file must have.

    Returns
    -------
    dict or None
        None if the file is missing or cannot be read, is not one JSON object, or lacks a key. The
        caller then makes it again.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and all(key in content for key in keys) else None


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """Write the `checksums` of `folder` into its file `CHECKSUMS`.

    Whoever reads the files later can tell with `damaged_files` whether they are as they were.
    """
    write_json(folder / CHECKSUMS, checksums(folder))


def damaged_files(folder: Path) -> list[str]:
    """List the files of `folder` that are missing or other than `write_checksums` noted.

    If the note itself cannot be read, it is what is listed. Other files do not count.
    """
    noted = read_state(folder / CHECKSUMS)
    if noted is None:
        return [CHECKSUMS]
    return sorted(
        name
        for name, digest in noted.items()
        if not is_inside(name)
        or not (folder / name).is_file()
        or sha256_file(folder / name) != digest
    )


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below `folder` by its path; logs and hidden files not."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(name): sha256_file(folder / name)
        for name in (path.relative_to(folder) for path in files)
        if not any(part.startswith(".") for part in name.parts)
        and name.suffix != ".log"
        and name.name != CHECKSUMS
    }


def is_inside(name: str) -> bool:
    """Tell whether a relative path cannot lead out of its folder."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def sha256_array(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order as 64 hexadecimal digits."""
    import numpy as np

    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def sha256_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays: names, types, shapes and bytes, in the names' order."""
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.data)
    return digest.hexdigest()


def date_to_now(files: Iterable[Path]) -> list[Path]:
    """Date those files now that are dated in the future; they stay in the order of their times.

    Returns
    -------
    list of Path
        Those files, the ones with the latest times last.
    """
    now = time.time_ns()
    times = {path: path.stat().st_mtime_ns for path in files if path.is_file()}
    late = sorted((path for path, at in times.items() if at > now), key=times.__getitem__)
    ranks = {at: rank for rank, at in enumerate(sorted({times[path] for path in late}))}
    for path in late:
        # A microsecond is more than is lost where times are compared as floating point numbers.
        at = now + 1000 * ranks[times[path]]
        os.utime(path, ns=(at, at))
    return late
