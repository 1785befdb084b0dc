"""Features of pictures that somebody else computed, from a file."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, is_zipfile

from utils.data.picture_labels import PATH_COLUMNS, finder
from utils.errors import UserError
from utils.store.files import sha256_file

if TYPE_CHECKING:
    import numpy as np

NAME = "own features"
SUFFIXES = (".npz", ".npy", ".parquet", ".csv")
_PATHS = ("paths", "path", "names", "files", "filenames")
_FEATURES = ("features", "embeddings", "vectors", "embedding", "x")


@dataclass(frozen=True)
class Embeddings:
    """Features by picture.

    Attributes
    ----------
    values : ndarray of float32, shape (M, D)
    row_of : dict of str to int
        The row of each picture that has one, by its name in the folder.
    unmatched : tuple of str
        Paths in the file that are none of the pictures.
    not_finite : tuple of str
        Pictures whose row has a value that is no finite number; they have no row.
    weights : str
        The file, in words.
    """

    values: np.ndarray
    row_of: dict[str, int]
    unmatched: tuple[str, ...]
    not_finite: tuple[str, ...]
    weights: str


def read_embeddings(file: Path, folder: Path, names: Sequence[str]) -> Embeddings:
    """Read features and find the pictures that they belong to.

    Parameters
    ----------
    file : Path
        ``.npz`` with the arrays ``paths`` and ``features``; ``.npy`` with the features and beside
        it a ``.txt`` of the same name with a path on each line; ``.parquet`` or ``.csv`` with a
        column ``path`` and columns of numbers, in Parquet also one column of lists.
    folder : Path
    names : sequence of str
        The pictures in it, as paths relative to it.

    Raises
    ------
    UserError
        If the file cannot be read or is not like this, names a picture twice, or names none.
    """
    import numpy as np

    option = f"--features {file}"
    readers = {".npz": _of_npz, ".npy": _of_npy, ".parquet": _of_table, ".csv": _of_table}
    read = readers.get(file.suffix.lower())
    if read is None:
        raise UserError(f"{option}: must end in {', '.join(SUFFIXES)}")
    try:
        paths, values = read(file)
        values = _as_numbers(values)
    except (
        *(OSError, ValueError, KeyError, TypeError, EOFError),
        *(BadZipFile, zlib.error),
    ) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{option}: {reason}") from None
    if values.ndim != 2 or not values.size or len(values) != len(paths):
        raise UserError(
            f"{option}: {len(paths):,} paths and features of shape {values.shape}: one row of "
            "numbers for each path is needed"
        )
    find = finder(folder, names)
    matched = [find(path) for path in paths]
    row_of: dict[str, int] = {}
    for row, name in enumerate(matched):
        if name is not None and row_of.setdefault(name, row) != row:
            raise UserError(
                f"{option}: {name!r} has rows {row_of[name] + 1} and {row + 1}: keep one"
            )
    if not row_of:
        raise UserError(f"{option}: none of its paths ({paths[0]!r}, …) is a picture of {folder}")
    finite = np.isfinite(values).all(axis=1)
    return Embeddings(
        values=values,
        row_of={name: row for name, row in row_of.items() if finite[row]},
        unmatched=tuple(path for path, name in zip(paths, matched, strict=True) if name is None),
        not_finite=tuple(name for name, row in row_of.items() if not finite[row]),
        weights=f"{file.name} (SHA-256 {sha256_file(file)[:16]}…)",
    )


def _as_numbers(values: np.ndarray) -> np.ndarray:
    """Return values as float32; what does not fit is infinite."""
    import numpy as np

    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"its features are of the type {values.dtype}: real numbers are needed")
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _of_npz(file: Path) -> tuple[list[str], np.ndarray]:
    import numpy as np

    if file.is_file() and not is_zipfile(file):
        raise ValueError("is no .npz file, or damaged")
    with np.load(file, allow_pickle=False) as arrays:
        known = {name.lower(): name for name in arrays.files}
        paths, features = (
            next((known[name] for name in names if name in known), None)
            for names in (_PATHS, _FEATURES)
        )
        if paths is None or features is None:
            raise ValueError(
                f"has {', '.join(arrays.files)}: the arrays paths and features are needed"
            )
        return [_text(path) for path in arrays[paths]], arrays[features]


def _text(path: str | bytes) -> str:
    return os.fsdecode(path) if isinstance(path, bytes) else str(path)


def _of_npy(file: Path) -> tuple[list[str], np.ndarray]:
    import numpy as np

    list_of_paths = file.with_suffix(".txt")
    if not list_of_paths.is_file():
        raise ValueError(f"{list_of_paths.name} is needed beside it, with a path on each line")
    return list_of_paths.read_text("utf-8-sig").splitlines(), np.load(file, allow_pickle=False)


def _of_table(file: Path) -> tuple[list[str], np.ndarray]:
    import numpy as np
    import pandas as pd

    is_text = file.suffix.lower() == ".csv"
    table = pd.read_csv(file, low_memory=False) if is_text else pd.read_parquet(file)
    columns = {str(column).strip().lower(): column for column in table.columns}
    path = next((columns[name] for name in (*PATH_COLUMNS, *_PATHS) if name in columns), None)
    if path is None:
        raise ValueError(f"a column path is needed; its columns are {', '.join(columns)[:200]}")
    if any(name.startswith("unnamed: ") for name in columns):
        raise ValueError("has a column without a name: write the table without its index")
    paths = table.pop(path).astype(object)
    paths = paths.where(paths.notna(), "").astype(str).tolist()
    lists = next((columns[name] for name in _FEATURES if name in columns), None)
    if lists is not None and lists in table and table[lists].dtype == object:
        return paths, np.stack(table[lists].tolist())
    texts = table.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]]
    if len(texts):
        raise ValueError(f"column {texts[0]!r} has no numbers: only path and features are allowed")
    return paths, table.to_numpy(np.float32)
