"""Atomic files, checksums, and results that are computed once for one fingerprint.

A *fingerprint* names everything that made a result: resolved configuration, data hash, seed,
library versions and the source code the result depends on. A stored result is used only when its
fingerprint and its checksum both hold; anything else is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.store.fingerprints import fingerprint, library_versions, source_fingerprint

if TYPE_CHECKING:
    import numpy as np

CHECKSUMS = "checksums.json"
# Which files of its folder are the report's, and their checksums.
REPORT_FILES = ".files.json"
SECONDS_TO_GROW_OLD = 30


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
    prefix = temporary_prefix(path.stem)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes the file private; a result is as readable as any file of its user.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_prefix(name: str) -> str:
    """Begin the name of a temporary file or folder: hidden, and with the process that makes it."""
    return f".{name}-{os.getpid()}-"


def remove_leftovers(hidden: Iterable[Path]) -> list[Path]:
    """Remove those of some hidden files and folders that killed processes left, and return them.

    Those of processes that live, and very young ones, which may be of another machine, stay.
    """
    found = [path for path in hidden if _is_leftover(path)]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return found


def _is_leftover(path: Path) -> bool:
    made_by = re.fullmatch(r"\..+-([0-9]+)-[a-z0-9_]{8}(\.[A-Za-z0-9]+)?", path.name)
    if made_by is None or not path.exists():
        return False
    try:
        os.kill(int(made_by[1]), 0)
    except ProcessLookupError:
        return time.time() - path.stat().st_mtime > SECONDS_TO_GROW_OLD
    except PermissionError:
        return False  # it lives, as another user's
    return False


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


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
    """List the files of `folder` that are missing, new or other than `write_checksums` noted.

    If the note itself cannot be read, it is what is listed.
    """
    noted = read_state(folder / CHECKSUMS)
    if noted is None:
        return [CHECKSUMS]
    found = checksums(folder)
    return sorted(name for name in noted | found if noted.get(name) != found.get(name))


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below `folder` by its path; logs and hidden files not."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in files
        if not path.name.startswith(".") and path.suffix != ".log" and path.name != CHECKSUMS
    }


def report_files(out: Path) -> dict[str, str | None]:
    """Return the checksum of each of a report's files by its path in the folder `out`.

    None stands for a file that was about to be written when something stopped it. Without a list
    that can be read, nothing is known to be the report's.
    """
    noted = read_state(out / REPORT_FILES) or {}
    return {name: digest for name, digest in noted.items() if is_inside(name)}


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


def load_or_compute(
    name: str,
    recipe: dict[str, Any],
    code: tuple[str, ...],
    compute: Callable[[], dict[str, np.ndarray]],
    cache: Path,
) -> dict[str, np.ndarray]:
    """Return stored arrays if what made them is unchanged, otherwise compute and store them.

    Parameters
    ----------
    name : str
        What it is, for the file name: ``"mnist-cae-model"``.
    recipe : dict
        Everything besides code and libraries that the arrays depend on; JSON types only.
    code : tuple of str
        Our modules whose change makes the arrays stale, and so does another version of a library
        that they import.
    compute : callable
        Returns the arrays; called only when no valid stored result exists.
    cache : Path
        Folder of the stored results.

    Returns
    -------
    dict of str to ndarray
        The arrays, as `compute` returned them.

    Notes
    -----
    The arrays lie in a safetensors file, which cannot hold code; beside it a JSON file states the
    recipe and the checksum. The JSON file is written last, so a killed write leaves no valid entry.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    full_recipe = {
        "name": name,
        "recipe": recipe,
        "code": source_fingerprint(*code),
        "libraries": library_versions(*code),
    }
    stem = f"{name}-{fingerprint(full_recipe)[:16]}"
    arrays_path, recipe_path = cache / f"{stem}.safetensors", cache / f"{stem}.json"
    if _is_valid(arrays_path, recipe_path):
        return load_file(arrays_path)
    arrays = compute()
    # safetensors writes the memory of a transposed or strided array in the wrong order, silently.
    ordered = {key: np.asarray(array, order="C") for key, array in arrays.items()}
    with atomic_path(arrays_path) as temporary:
        save_file(ordered, temporary)
    write_json(recipe_path, {**full_recipe, "sha256": sha256_file(arrays_path)})
    return ordered


def load_or_make(
    name: str,
    recipe: dict[str, Any],
    code: tuple[str, ...],
    make: Callable[[], dict[str, bytes]],
    cache: Path,
) -> dict[str, bytes]:
    """Return stored files by name if what made them is unchanged, otherwise make and store them.

    The parameters are those of `load_or_compute`, and so are the checks of what is stored.
    """
    import numpy as np

    def compute() -> dict[str, np.ndarray]:
        return {key: np.frombuffer(content, np.uint8) for key, content in make().items()}

    stored = load_or_compute(name, recipe, code, compute, cache)
    return {key: array.tobytes() for key, array in stored.items()}


def with_prefix(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Pick the arrays or tensors whose names begin with `prefix`, and take it off their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def _is_valid(arrays_path: Path, recipe_path: Path) -> bool:
    # A damaged recipe file proves nothing, so its arrays are computed again.
    recipe = read_state(recipe_path, "sha256")
    return (
        recipe is not None
        and arrays_path.is_file()
        and sha256_file(arrays_path) == recipe["sha256"]
    )
