"""Links to pictures, or copies, in a folder for each cluster, beside the user's own files."""

from __future__ import annotations

import errno
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.picture_request import PictureRequest
from commands.telling import counted, shown
from utils.data import picture_files
from utils.errors import UserError
from utils.store.files import temporary_place
from utils.store.ownership import export_of_pictures, in_the_way, require_own, write_manifest

if TYPE_CHECKING:
    import pandas as pd

# Names of the folders of an export.
NOISE, FOLDERS = "noise", "noise|cluster-[0-9]{3,}"
MOST_LINES = 10  # of a list on the terminal

# State of a link: its target; of a copy: size in bytes and time of modification in seconds.
State = str | tuple[int, float]
# The coarsest resolution of a file system's times of modification.
SECONDS_OF_TIMES = 2
# Errors that concern one picture or one name; any other concerns all pictures.
OF_ONE_PICTURE = frozenset(
    {
        *(errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.ELOOP),
        *(errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG),
    }
)


@dataclass(frozen=True)
class Exported:
    """The outcome of an export.

    Attributes
    ----------
    n_pictures : int
        Number of pictures in the export.
    left_out : dict of str to str
        Why each other picture is missing, by its name.
    kept : tuple of str
        Copies of an earlier export that stay because their originals are gone or changed.
    """

    n_pictures: int
    left_out: dict[str, str]
    kept: tuple[str, ...]


def export_clusters(request: PictureRequest, table: pd.DataFrame) -> None:
    """Export the clusters of a request and print what was exported.

    Parameters
    ----------
    table : DataFrame
        Columns ``path``, in printable form, and ``cluster`` (str, -1 is noise); with ``levels``
        requested also ``level_1``, the coarsest, and so on, if there are several.

    Raises
    ------
    UserError
        If the target is somebody else's, or nothing can be written there any more.
    """
    target = request.export
    files = picture_files.find(request.folder, request.labels, request.exclude)
    names = {picture_files.printable(name): name for name in files.names}
    folders = dict(zip(table["path"], _folders(table, request.levels), strict=True))
    clusters = {names[path]: folder for path, folder in folders.items() if path in names}
    done = export(request.folder, clusters, target, request.copy)
    gone = {path: "no longer in the folder" for path in folders.keys() - names.keys()}
    left_out = gone | {picture_files.printable(name): why for name, why in done.left_out.items()}
    kind = "copies of" if request.copy else "links to"
    number = counted(done.n_pictures, "picture")
    print(f"{shown(target)}: {kind} {number}, a folder for each cluster")
    for path, reason in sorted(left_out.items())[:MOST_LINES]:
        print(f"not exported: {path}: {reason}")
    if len(left_out) > MOST_LINES:
        print(f"not exported: {len(left_out) - MOST_LINES:,} more")
    if len(done.kept) == 1:
        print(f"{shown(target)}: 1 earlier copy stays: its original is gone or changed")
    elif done.kept:
        n = f"{len(done.kept):,}"
        print(f"{shown(target)}: {n} earlier copies stay: their originals are gone or changed")


def _folders(table: pd.DataFrame, by_levels: bool) -> list[str]:
    """Name the folder of each picture: of its cluster, or one within another for each level."""
    levels = [name for name in table.columns if re.fullmatch("level_[0-9]+", name)]
    columns = levels if by_levels and levels else ["cluster"]
    names = [[_folder(cluster) for cluster in table[column]] for column in columns]
    return ["/".join(parts) for parts in zip(*names, strict=True)]


def _folder(cluster: object) -> str:
    return NOISE if int(cluster) < 0 else f"cluster-{int(cluster):03}"


def export(root: Path, clusters: Mapping[str, str], target: Path, copy: bool) -> Exported:
    """Link or copy pictures into a folder for each cluster.

    Each link or copy appears under its name when it is complete. The manifest of `target` lists
    them before they are made: a stopped export can continue, and the next one replaces and removes
    only files of this one.

    Parameters
    ----------
    root : Path
        Folder of the pictures.
    clusters : dict of str to str
        Name of the cluster's folder by the picture's path in `root`.
    target : Path
        New, empty, or of an earlier export of these pictures.
    copy : bool
        Copies instead of links.

    Raises
    ------
    UserError
        If `target` is somebody else's, or nothing can be written there any more.
    """
    owner = export_of_pictures(root)
    earlier = require_own(target, owner, "--export")
    target.mkdir(parents=True, exist_ok=True)
    left_out: dict[str, str] = {}
    wanted: dict[str, tuple[Path, State]] = {}
    for picture, cluster in clusters.items():
        source = root / picture
        try:
            state = _state_of(source)
        except OSError as error:
            left_out[picture] = str(error.strerror)
        else:
            wanted[f"{cluster}/{picture}"] = source, state if copy else str(source)
    before = {name: _states(known) for name, known in earlier.items()}
    planned = {name: [*before.get(name, []), state] for name, (_, state) in wanted.items()}
    write_manifest(target, owner, before | planned)
    done: dict[str, list[State]] = {}
    with temporary_place(target) as workshop:
        workshop.mkdir()
        for name, (source, state) in wanted.items():
            picture = str(source.relative_to(root))
            try:
                obstacle = in_the_way(target, name)
                if obstacle == target / name and _is_as(obstacle, [state]):
                    done[name] = [state]
                elif obstacle is None or (
                    obstacle == target / name and _is_as(obstacle, planned[name])
                ):
                    done[name] = [_place(source, target / name, workshop / "picture", copy)]
                else:
                    left_out[picture] = f"{obstacle} exists and does not belong to this export"
            except OSError as error:
                if error.errno not in OF_ONE_PICTURE:
                    raise UserError(
                        f"--export {target}: {error.strerror}, after {len(done):,} of "
                        f"{len(wanted):,} pictures; the same command continues from there"
                    ) from None
                left_out[picture] = str(error.strerror)
    gone = [name for name in before if name not in wanted]
    kept = [name for name in gone if not _remove(root, target, name, before[name])]
    write_manifest(target, owner, done | {name: before[name] for name in kept})
    return Exported(len(done), left_out, tuple(kept))


def _place(source: Path, path: Path, temporary: Path, copy: bool) -> State:
    """Make a link or a copy, and return its state."""
    try:
        if copy:
            shutil.copy2(source, temporary)
        else:
            temporary.symlink_to(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        state = _state_of(temporary) if copy else str(source)
        temporary.replace(path)
        return state
    finally:
        temporary.unlink(missing_ok=True)


def _remove(root: Path, target: Path, name: str, states: list[State]) -> bool:
    """Remove what an earlier export made; return False for a copy without its original."""
    path = target / name
    if in_the_way(target, name) != path or not _is_as(path, states):
        return True  # gone, or the user's own now
    if not path.is_symlink():
        state = _state_of(path)
        if not any(_is_as(original, [state]) for original in _originals(root, name)):
            return False
    path.unlink()
    with suppress(OSError):  # a folder has other files
        for folder in path.relative_to(target).parents[:-1]:
            (target / folder).rmdir()
    return True


def _originals(root: Path, name: str) -> Iterator[Path]:
    """Yield what may be a copy's original: its name without the folders of one level or more."""
    folder, _, rest = name.partition("/")
    while rest and re.fullmatch(FOLDERS, folder):
        yield root / rest
        folder, _, rest = rest.partition("/")


def _state_of(path: Path) -> State:
    status = path.stat()
    return status.st_size, status.st_mtime


def _is_as(path: Path, states: Iterable[State]) -> bool:
    """Tell whether a path is a link or a file in one of these states."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(status.st_mode):
        return str(path.readlink()) in states
    if not stat.S_ISREG(status.st_mode):
        return False
    return any(
        not isinstance(state, str)
        and state[0] == status.st_size
        and abs(state[1] - status.st_mtime) <= SECONDS_OF_TIMES
        for state in states
    )


def _states(known: object) -> list[State]:
    """Read the states of a file from a manifest, which may have been edited."""
    valid = []
    for state in known if isinstance(known, list) else []:
        if isinstance(state, str):
            valid.append(state)
        elif isinstance(state, list) and [type(part) for part in state] == [int, float]:
            valid.append((state[0], state[1]))
    return valid
