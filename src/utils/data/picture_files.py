"""The files of a folder of pictures: which are to be read, and what becomes of all others."""

from __future__ import annotations

import fnmatch
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from utils.data import picture_bytes
from utils.data.picture_labels import read_labels
from utils.errors import UserError

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jpg_large", ".mpo", ".png", ".apng", ".webp"),
        *(".gif", ".tif", ".tiff", ".bmp", ".dib", ".avif", ".heic", ".heif", ".hif"),
        *(".jp2", ".j2k", ".jpx", ".jpf", ".jpc"),
    }
)
# What systems and programs leave between pictures; the first is what is hidden.
EXCLUDED = (
    *(".*", "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information"),
    *("__MACOSX", "Thumbs.db", "desktop.ini"),
)
_HINTS = {
    **dict.fromkeys(("svg", "ai", "eps", "pdf"), "export it as PNG"),
    **dict.fromkeys(("psd", "xcf", "kra", "clip"), "export it as PNG or TIFF"),
    **dict.fromkeys(
        ("cr2", "cr3", "nef", "arw", "dng", "raf", "orf", "rw2", "pef", "srw"),
        "a camera's raw data: export it as JPEG or TIFF",
    ),
    "jxl": "JPEG XL: convert it to JPEG or PNG",
}
_KINDS_SHOWN = 6
# Two names that differ only in these would look the same. Joiners, which some scripts and emoji
# need, are not among them.
_INVISIBLE = frozenset(
    "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)


class Excluded(NamedTuple):
    """A file or folder that a pattern excludes, and the number of files that are in it."""

    name: str
    pattern: str
    n_files: int


@dataclass(frozen=True)
class Found:
    """The files of a collection.

    Attributes
    ----------
    root : Path
        The folder that `names` are relative to.
    names : tuple of str
        Paths of the files that may be pictures, in a fixed order; characters that are not UTF-8 are
        kept as Python keeps them (surrogates).
    labels : tuple of str or None, or None
        The class of each file; None for a file without one, and if there are none at all. For
        scoring only.
    unlisted : dict of str to str
        Folders in it that were not looked into, with the reason.
    others : dict of str to str
        The other files by name, with the reason why they are not read.
    excluded : tuple of Excluded
    missing : tuple of str
        Paths in the table of labels that are none of the pictures.
    notes : tuple of str
        What a person should know about the table of labels.
    """

    root: Path
    names: tuple[str, ...]
    labels: tuple[str | None, ...] | None = None
    unlisted: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def path(self, row: int) -> Path:
        """Return the path of a file by its number."""
        return self.root / self.names[row]

    def not_read(self) -> dict[str, str]:
        """Return everything that is not read, by name, with the reason."""
        excluded = {
            one.name: f"excluded by the pattern {one.pattern}: {_files(one.n_files)}"
            for one in self.excluded
        }
        missing = dict.fromkeys(self.missing, "has a label, but is none of the pictures")
        return self.unlisted | excluded | self.others | missing

    def summary(self, unreadable: Mapping[int, str] | None = None) -> str:
        """Say in one line what became of all files.

        Parameters
        ----------
        unreadable : mapping of int to str, optional
            The files among `names` that could not be used, by number. Without it nothing was read
            yet.
        """
        bad = [self.names[row] for row in unreadable or ()]
        n_pictures = len(self.names) - len(bad)
        kinds = Counter(map(_kind, self.others))
        kinds.update(f"{_kind(name)} that cannot be used" for name in bad)
        words = "picture" if n_pictures == 1 else "pictures"
        read = f"{n_pictures:,} {words} {'to read' if unreadable is None else 'read'}"
        text = f"{_files(len(self.names) + len(self.others))}: {read}"
        if kinds:
            text += f", {kinds.total():,} left out: {_counts(kinds)}"
        if self.excluded:
            counts: Counter[str] = Counter()
            for one in self.excluded:
                counts[f"by {one.pattern}"] += one.n_files
            text += f"; {counts.total():,} more excluded: {_counts(counts)}"
        if self.unlisted:
            text += f"; folders not looked into: {len(self.unlisted):,}"
        return text


def _files(number: int) -> str:
    return f"{number:,} file" if number == 1 else f"{number:,} files"


def _counts(kinds: Counter[str]) -> str:
    """List the commonest kinds with their numbers, and all others as one."""
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {kind}" for kind, count in ordered[:_KINDS_SHOWN]]
    rest = sum(count for _, count in ordered[_KINDS_SHOWN:])
    return ", ".join([*shown, f"{rest:,} of other kinds"] if rest else shown)


def _kind(name: str) -> str:
    """Name the kind of a file by the end of its name."""
    return printable(Path(name).suffix.removeprefix(".").upper()[:20]) or "without a suffix"


def find(folder: Path, labels: str | None = None, exclude: Iterable[str] = ()) -> Found:
    """List the image files of a folder and of all folders in it.

    Parameters
    ----------
    folder : Path
        Links to folders are not followed. A file may be a picture if its name ends as in `SUFFIXES`
        or it begins as pictures do. Whatever else there is, is named in the result.
    labels : str, optional
        ``"folders"``: the class of a file is the first folder on its way. Otherwise the path of a
        table, see `picture_labels.read_labels`.
    exclude : iterable of str
        Patterns of names or paths, such as ``thumbs`` or ``old/*.png``, that are excluded besides
        those of `EXCLUDED`. Capitals do not matter.

    Returns
    -------
    Found

    Raises
    ------
    UserError
        If there is no such folder or it holds no image file, no file lies in a class folder, or the
        table is not as it must be.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder: name the folder of your images")
    found = _walk(folder, (*EXCLUDED, *exclude))
    if not found.names:
        left_out = found.not_read()
        what = f"{found.summary()}{_some(left_out)}" if left_out else "it is empty"
        raise UserError(f"{folder}: no image file in it: {what}")
    if labels is None:
        return found
    if labels == "folders":
        return _labelled(found, _classes(found))
    table = Path(labels).expanduser()
    read = read_labels(table, folder, found.names)
    notes = [read.note] if read.note else []
    if read.unmatched:
        notes.append(f"{table.name}: {_files(len(read.unmatched))} in it are none of the pictures")
    return replace(_labelled(found, read.of_name), missing=read.unmatched, notes=tuple(notes))


def _some(not_read: Mapping[str, str]) -> str:
    """Name the first few files and folders with their reasons."""
    return "".join(f"; {printable(name)}: {why}" for name, why in list(not_read.items())[:3])


def _labelled(found: Found, of_name: Mapping[str, str]) -> Found:
    return replace(found, labels=tuple(of_name.get(name) for name in found.names))


def _classes(found: Found) -> dict[str, str]:
    classes = {name: Path(name).parts[0] for name in found.names if os.sep in name}
    if not classes:
        raise UserError(
            f"--labels folders: no picture of {found.root} lies in a folder of its own class: move "
            "them into one, or leave --labels out"
        )
    return classes


def _walk(folder: Path, patterns: tuple[str, ...]) -> Found:
    """List everything in a folder, each file once."""
    names: list[str] = []
    unlisted: dict[str, str] = {}
    others: dict[str, str] = {}
    excluded: list[Excluded] = []

    def leave_out(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise UserError(f"cannot list the folder {folder}: {error.strerror}")
        name = str(Path(error.filename).relative_to(folder))
        unlisted[name] = f"the folder cannot be listed: {error.strerror}"

    for here, folders, files in os.walk(folder, onerror=leave_out):
        inside = os.path.relpath(here, folder)
        prefix = "" if inside == "." else f"{inside}/"
        entered = []
        for name in sorted(folders):
            path = prefix + name
            if pattern := _excluding(path, patterns):
                excluded.append(Excluded(path, pattern, _count(folder / path)))
            elif (folder / path).is_symlink():
                unlisted[path] = "a link to a folder: links to folders are not followed"
            else:
                entered.append(name)
        folders[:] = entered
        for name in sorted(files):
            path = prefix + name
            if pattern := _excluding(path, patterns):
                excluded.append(Excluded(path, pattern, 1))
            elif Path(name).suffix.lower() in SUFFIXES or _begins_as_picture(folder / path):
                names.append(path)
            else:
                others[path] = _reason(path)
    return Found(
        folder, tuple(sorted(names)), None, unlisted, dict(sorted(others.items())), tuple(excluded)
    )


def _excluding(path: str, patterns: Iterable[str]) -> str | None:
    """Return the first pattern that fits a name or a path, if one does."""
    path = path.lower()
    name = path.rpartition("/")[2]
    return next(
        (
            pattern
            for pattern in patterns
            if fnmatch.fnmatchcase(name, pattern.lower())
            or fnmatch.fnmatchcase(path, pattern.lower().strip("/"))
        ),
        None,
    )


def _count(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _begins_as_picture(path: Path) -> bool:
    if _suffix(path.name) in _HINTS or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return picture_bytes.picture_format(file.read(picture_bytes.HEAD_BYTES)) is not None
    except OSError:
        return False  # whatever it is, nothing can be read of it


def _suffix(name: str) -> str:
    return Path(name).suffix.lower().removeprefix(".")


def _reason(name: str) -> str:
    hint = _HINTS.get(_suffix(name))
    kind = _kind(name)
    words = "a file without a suffix" if kind == "without a suffix" else f"{kind}"
    return f"not a picture file that is read: {words}{f'; {hint}' if hint else ''}"


def printable(name: str) -> str:
    r"""Return a file's name as text for tables and terminals; no two names become the same.

    Bytes that are not UTF-8 stand as ``\xe9``, what has no width or turns the direction of text as
    ``\x0d``, ``\u0085`` or ``\u202e``, and a backslash as two.
    """
    shown = name.replace("\\", "\\\\")
    shown = "".join(_escaped(letter) if _is_control(letter) else letter for letter in shown)
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) == "Cc" or letter in _INVISIBLE


def _escaped(letter: str) -> str:
    # Beyond ASCII in another form than a byte that is not UTF-8.
    return f"\\x{ord(letter):02x}" if letter.isascii() else f"\\u{ord(letter):04x}"
