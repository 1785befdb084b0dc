"""Whose a folder is: the one place that decides what a report or an export may replace.

A report or an export is written into a folder that is new or empty, or whose manifest says that it
holds an earlier one of the same owner. Only files that the manifest lists are replaced or removed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.store.files import (
    checksums,
    is_inside,
    read_json,
    read_state,
    sha256_file,
    temporary_place,
    write_text,
)

MANIFEST = ".files.json"


@dataclass(frozen=True)
class Manifest:
    """What a folder of ours holds.

    Attributes
    ----------
    owner : str
        In words, for example "the report of profile quick". A report of an earlier version did not
        note it: the beginning of these words.
    files : dict
        What is known of each file by its path in the folder: of a report the checksum, or None for
        a file that was about to be written when something stopped it.
    """

    owner: str
    files: dict[str, Any] = field(default_factory=dict)
    is_earlier_version: bool = False

    def belongs_to(self, owner: str) -> bool:
        """Tell whether it is one of this owner."""
        return owner.startswith(self.owner) if self.is_earlier_version else owner == self.owner


# --- owners, as the manifest and messages name them -----------------------------------------------


def report_of_profile(profile: str) -> str:
    """Name the report of the studies and leaderboards."""
    return f"the report of profile {profile}"


def report_on_pictures(folder: str | Path) -> str:
    """Name the report on a folder of pictures."""
    return f"the report on {folder}"


def assignment_of_pictures(folder: Path) -> str:
    """Name the list of pictures that were put into the clusters of a model."""
    return f"the assignment of {folder} to the clusters of a model"


def export_of_pictures(folder: Path) -> str:
    """Name the folders of links or copies by cluster."""
    return f"the export of {folder}"


# --- the manifest ---------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None if it has none that can be read."""
    content = read_state(folder / MANIFEST)
    if content is None:
        return None
    if isinstance(content.get("owner"), str) and isinstance(content.get("files"), dict):
        return Manifest(content["owner"], _inside(content["files"]))
    return Manifest(_owner_of_earlier_version(folder, content), _inside(content), True)


def write_manifest(folder: Path, owner: str, files: Mapping[str, Any]) -> None:
    """Write the manifest of a folder."""
    # Names whose bytes are not UTF-8 can be written as ASCII only.
    text = json.dumps({"owner": owner, "files": dict(files)}, indent=1)
    write_text(folder / MANIFEST, text + "\n")


def _inside(files: dict[str, Any]) -> dict[str, Any]:
    return {name: known for name, known in files.items() if is_inside(name)}


def _owner_of_earlier_version(folder: Path, files: dict[str, Any]) -> str:
    """Tell from the files of a report whose it is: the manifest was only a list of them."""
    if "model.safetensors" in files:
        return report_on_pictures("")
    try:
        return report_of_profile(read_json(folder / "run.json")["profile"]["profile"])
    except (OSError, ValueError, TypeError, KeyError):
        return report_of_profile("")


# --- what is checked before any work --------------------------------------------------------------


def require_own(folder: Path, owner: str, option: str) -> dict[str, Any]:
    """See that a folder is new, empty or of this owner; return the files that its manifest lists.

    Parameters
    ----------
    folder : Path
    owner : str
    option : str
        What names the folder, for the message.

    Raises
    ------
    UserError
        If it is not.
    """
    if not os.path.lexists(folder):
        return {}
    if not folder.is_dir():
        raise UserError(f"{option} {folder}: is not a folder; name a new or an empty folder")
    manifest = read_manifest(folder)
    if manifest is None:
        if _is_empty(folder, option):
            return {}
        if (folder / MANIFEST).exists():
            raise UserError(
                f"{option} {folder}: its {MANIFEST} is damaged, so that nothing tells which files "
                "may be replaced; name a new folder, or remove this one if you need nothing in it"
            )
        raise UserError(
            f"{option} {folder}: has files that are of no report, and they are not replaced; name "
            "a new or an empty folder"
        )
    if not manifest.belongs_to(owner):
        raise UserError(
            f"{option} {folder}: has {manifest.owner.strip()}, and this would be {owner}; name "
            "another folder"
        )
    return manifest.files


def _is_empty(folder: Path, option: str) -> bool:
    try:
        return not any(folder.iterdir())
    except OSError as error:
        raise UserError(f"{option} {folder}: cannot be read: {error.strerror}") from None


def require_free(folder: Path, names: Collection[str], own: Collection[str]) -> None:
    """See that nothing lies where files will be written but those that are our own.

    Raises
    ------
    UserError
        If something does, or a folder on the way is a file or a link.
    """
    for name in names:
        thing = in_the_way(folder, name)
        if thing is not None and (thing != folder / name or name not in own or thing.is_dir()):
            raise UserError(
                f"{thing}: is not of this report, and is where the report puts something; move it "
                "elsewhere"
            )


def in_the_way(folder: Path, name: str) -> Path | None:
    """Return what lies at a path in a folder: the file itself, or a file or link on the way."""
    parts = Path(name).parts
    for n in range(1, len(parts)):
        step = folder.joinpath(*parts[:n])
        if step.is_symlink() or (os.path.lexists(step) and not step.is_dir()):
            return step
    return folder / name if os.path.lexists(folder / name) else None


def require_apart(written: Mapping[str, Path], read: Mapping[str, Path]) -> None:
    """See that nothing that is read lies in a folder that is written, nor the reverse.

    Parameters
    ----------
    written, read : dict of str to Path
        By what names them, for the message: an option, or words.

    Raises
    ------
    UserError
        If something does, or one written folder lies in another.
    """
    outputs = list(written.items())
    for number, (option, folder) in enumerate(outputs):
        for what, other in [*read.items(), *outputs[number + 1 :]]:
            if lies_in(folder, other):
                raise UserError(f"{option} {folder}: lies in {what} ({other}); name another folder")
            if lies_in(other, folder):
                raise UserError(
                    f"{option} {folder}: {what} ({other}) lies in it; name another folder"
                )


def lies_in(path: Path, folder: Path) -> bool:
    """Tell whether a path is a folder or lies in it, also where another spelling names it."""
    return any(_is_same(step, folder) for step in (path, *path.parents))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False  # one of them does not exist yet


def require_writable(folder: Path, option: str) -> None:
    """Make a folder, if it is missing, and see that files can be written into it.

    Raises
    ------
    UserError
        If they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {error.strerror}; name another folder with {option}"
        ) from None


# --- writing --------------------------------------------------------------------------------------


@contextmanager
def replaced_together(out: Path, owner: str) -> Iterator[Path]:
    """Yield an empty folder whose files replace those in `out` when the block ends well.

    Files that an earlier report left and this one has no more are removed. Only those: `out` may
    be a folder in which somebody keeps other things.

    Parameters
    ----------
    out : Path
        Folder of the report.
    owner : str
        As the manifest names it.

    Raises
    ------
    UserError
        If `out` is not the owner's, or has a file of somebody else where a new one belongs. Nothing
        was replaced then.
    """
    earlier = require_own(out, owner, "--out")
    out.mkdir(parents=True, exist_ok=True)
    if not earlier:
        # First of all: what a stopped run leaves is known as a report.
        write_manifest(out, owner, {})
    # Inside `out`, which may be on a disk of its own.
    with temporary_place(out) as folder:
        folder.mkdir()
        yield folder
        new = checksums(folder)
        require_free(out, new, earlier)
        # Until all are replaced, none of the new ones is vouched for.
        write_manifest(out, owner, earlier | dict.fromkeys(new))
        for name in new:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(out / name)
        for name in earlier.keys() - new.keys():
            # Only what is still the report's: somebody may have put another file there.
            path = out / name
            if in_the_way(out, name) == path and _has_checksum(path, earlier[name]):
                path.unlink()
        write_manifest(out, owner, new)


def _has_checksum(path: Path, digest: str | None) -> bool:
    return path.is_file() and not path.is_symlink() and sha256_file(path) == digest
