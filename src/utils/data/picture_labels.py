"""Labels of pictures from a table as spreadsheets and other programs write it."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.errors import UserError

PATH_COLUMNS = (
    *("path", "file", "filename", "filepath", "file_name", "file_path"),
    *("image", "image_path", "image_name", "img", "picture", "name"),
)
LABEL_COLUMNS = ("label", "class", "category", "target", "class_name", "label_name", "species")
_DELIMITERS = ",;\t|"
_SHOWN = 3


@dataclass(frozen=True)
class Labels:
    """What a table says about the pictures of a folder.

    Attributes
    ----------
    of_name : dict of str to str
        The label of each picture that has one, by its name in the folder.
    unmatched : tuple of str
        Paths in the table that are none of the folder's pictures.
    note : str or None
        How its text was read, if that is not certain.
    """

    of_name: dict[str, str]
    unmatched: tuple[str, ...]
    note: str | None


def read_labels(table: Path, folder: Path, names: Sequence[str]) -> Labels:
    """Read a table of labels and find the pictures that it names.

    Parameters
    ----------
    table : Path
        Text with a heading: columns separated by commas, semicolons, tabs or ``|``, in UTF-8,
        UTF-16 or, failing that, Windows-1252. One column is named as in `PATH_COLUMNS`, one as in
        `LABEL_COLUMNS`. Rows without a label are left out.
    folder : Path
    names : sequence of str
        The pictures in it, as paths relative to it.

    Raises
    ------
    UserError
        If the file cannot be read or has no such columns, a picture has two labels, or no row has
        both a label and a picture of the folder.
    """
    option = f"--labels {table}"
    try:
        text, note = _decoded(table.read_bytes())
    except OSError as error:
        raise UserError(f"{option}: {error.strerror}: give a table or 'folders'") from None
    rows = _rows(text, option)
    if not rows:
        raise UserError(f"{option}: no line below its heading")
    find = finder(folder, names)
    of_name: dict[str, str] = {}
    unmatched = []
    for path, label in rows:
        name = find(path)
        if name is None:
            unmatched.append(path)
        elif label and of_name.setdefault(name, label) != label:
            raise UserError(
                f"{option}: {path!r} has two labels, {of_name[name]!r} and {label!r}: keep one"
            )
    if not of_name:
        some = ", ".join(repr(path) for path, _ in rows[:_SHOWN])
        raise UserError(
            f"{option}: no row has both a label and a picture of {folder} (it names {some}): give "
            "paths relative to that folder"
        )
    return Labels(of_name, tuple(unmatched), note and f"{table.name}: {note}")


def finder(folder: Path, names: Iterable[str]) -> Callable[[str], str | None]:
    """Return a function that finds the file that a path in a table means; None if there is none.

    The path may be absolute, have Windows's separators or another Unicode form or case, or lack
    the folders before its last part. Where several files would do, the exact one counts or none.
    """
    names = list(names)
    known = [(form, _unique(names, form)) for form in (str, _plain, _folded)]
    known.append((_folded, _unique(names, lambda name: _folded(name).rpartition("/")[2])))
    root = folder.resolve()

    def find(path: str) -> str | None:
        path = _inside(path.strip(), (folder, root))
        return next((table[form(path)] for form, table in known if form(path) in table), None)

    return find


def _unique(names: Sequence[str], form: Callable[[str], str]) -> dict[str, str]:
    known: dict[str, str] = {}
    ambiguous = set()
    for name in names:
        if known.setdefault(form(name), name) != name:
            ambiguous.add(form(name))
    return {key: name for key, name in known.items() if key not in ambiguous}


def _inside(path: str, roots: Iterable[Path]) -> str:
    """Take a folder off an absolute path."""
    for root in roots:
        if path.startswith(f"{root}/"):
            return path.removeprefix(f"{root}/")
    return path


def _plain(path: str) -> str:
    parts = unicodedata.normalize("NFC", path.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _folded(path: str) -> str:
    return _plain(path).casefold()


def _decoded(content: bytes) -> tuple[str, str | None]:
    """Return a text file's text, and a note if its encoding is a guess."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16"), None
        except UnicodeDecodeError:
            return content.decode("utf-16", "replace"), "damaged UTF-16 text"
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        # It has no meaning for five bytes.
        return content.decode("cp1252", "replace"), "not UTF-8, read as Windows-1252"


def _rows(text: str, option: str) -> list[tuple[str, str]]:
    """Return the paths and labels of a table, lines without a path left out."""
    if text.startswith("sep="):  # a line for spreadsheets
        text = text.partition("\n")[2]
    heading = text.partition("\n")[0]
    for delimiter in sorted(_DELIMITERS, key=heading.count, reverse=True):
        try:
            table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise UserError(f"{option}: {error}") from None
        columns = [_cell(cell).lower().replace(" ", "_") for cell in table[0]] if table else []
        path, label = (_column(columns, known) for known in (PATH_COLUMNS, LABEL_COLUMNS))
        if path is not None and label is not None:
            rows = [row + [""] * (len(columns) - len(row)) for row in table[1:]]
            return [(row[path], _cell(row[label])) for row in rows if row[path].strip()]
    raise UserError(
        f"{option}: its first line is {heading.strip()[:80]!r}, but must name a column "
        f"{' or '.join(PATH_COLUMNS[:3])} and a column {' or '.join(LABEL_COLUMNS[:3])}"
    )


def _column(columns: Sequence[str], known: Iterable[str]) -> int | None:
    return next((columns.index(name) for name in known if name in columns), None)


def _cell(text: str) -> str:
    """Return the text of a cell in one line."""
    shown = (letter for letter in text if letter.isspace() or unicodedata.category(letter) != "Cc")
    return " ".join("".join(shown).split())
