"""What is still open in the file of a study and in the entry of its paper.

A line with the mark, in a value or in a comment behind it, is open: ``run_all.sh new-study`` writes
the mark, and whoever fills in the line removes it. A line that is only a comment is never open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from utils import places
from utils.errors import UserError

MARK = "FILL IN"


class OpenLine(NamedTuple):
    """A line with the mark: its file, its number from 1, and its text without white space."""

    file: Path
    line: int
    text: str


def references() -> Path:
    """Return the file with the entries of all papers."""
    return places.template() / "references.bib"


def study_file(name: str) -> Path:
    """Return the file of a study."""
    return places.config() / "studies" / f"{name}.yaml"


def citation_keys() -> list[str]:
    """List the keys of the entries in the file of references, in its order."""
    return re.findall(r"^@\w+\{([^,\s]+),", _text(references()), re.MULTILINE)


def open_lines(study: str, citation: str) -> list[OpenLine]:
    """List the lines with the mark in the file of a study, then in the entry of its paper.

    Parameters
    ----------
    study : str
        Name of the study.
    citation : str
        Key of the entry in the file of references.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    return [*_marked(study_file(study)), *_marked(references(), citation)]


def require_filled_in(study: str, citation: str) -> None:
    """Refuse a study of which something is still open.

    Raises
    ------
    UserError
        If a line has the mark; the first of them is named, and how to list the others.
    """
    found = open_lines(study, citation)
    if found:
        file, line, text = found[0]
        others = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise UserError(
            f"{file}: line {line} is still to be filled in ({text!r}){others}: write what the "
            f"paper says and remove the mark {MARK}; ./run_all.sh check {study} lists all of them"
        )


def _marked(file: Path, citation: str | None = None) -> Iterator[OpenLine]:
    """Find the marked lines of a file, or of one entry of it."""
    is_of_entry = citation is None
    for number, text in enumerate(_text(file).splitlines(), start=1):
        if citation is not None and text.startswith("@"):
            is_of_entry = text.partition("{")[2].strip().rstrip(",") == citation
        if is_of_entry and MARK in text and not text.lstrip().startswith(("#", "%")):
            yield OpenLine(file, number, text.strip())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
