"""Pictures as links or copies in a folder for each cluster, beside what the user keeps there."""

from __future__ import annotations

import errno
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from utils.errors import UserError
from utils.store.files import temporary_place
from utils.store.ownership import export_of_pictures, in_the_way, require_own, write_manifest

# What a link or a copy looks like: the target, or bytes and time of change in seconds.
State = str | tuple[int, float]
# File systems keep the time of change to two seconds at worst.
SECONDS_OF_TIMES = 2
# Errors that concern one picture or one name; any other would meet all pictures.
OF_ONE_PICTURE = frozenset(
    {
        *(errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.ELOOP),
        *(errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG),
    }
)


@dataclass(frozen=True)
class Exported:
    """What an export did.

    Attributes
    ----------
    n_pictures : int
        Pictures that are there now.
    left_out : dict of str to str
        Why each other one is not, by its name.
    kept : tuple of str
        Copies of an earlier export whose originals are gone or changed: they stay.
    """

    n_pictures: int
    left_out: dict[str, str]
    kept: tuple[str, ...]


def require_links(target: Path) -> None:
    """See that the file system of a folder has links.

    Raises
    ------
    UserError
        If it has none.
    """
    try:
        with temporary_place(target) as probe:
            probe.symlink_to(target)
    except OSError as error:
        raise UserError(
            f"--export {target}: links cannot be made there ({error.strerror}); give --copy"
        ) from None


def export(root: Path, clusters: Mapping[str, str], target: Path, copy: bool) -> Exported:
    """Link or copy pictures into a folder for each cluster.

    Each link or copy appears under its name when it is whole. The manifest of `target` lists them
    before they are made, so that a stopped export goes on, and the next one replaces and removes
    its own files only.

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
            picture = name.partition("/")[2]
            try:
                found = in_the_way(target, name)
                if found == target / name and _is_as(found, [state]):
                    done[name] = [state]
                elif found is None or (found == target / name and _is_as(found, planned[name])):
                    done[name] = [_place(source, target / name, workshop / "picture", copy)]
                else:
                    left_out[picture] = f"{found} is there, and is not of this export"
            except OSError as error:
                if error.errno not in OF_ONE_PICTURE:
                    raise UserError(
                        f"--export {target}: {error.strerror}, after {len(done):,} of "
                        f"{len(wanted):,} pictures; the same command goes on from there"
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
    """Remove what an earlier export made; return False for a copy that has no original now."""
    path = target / name
    if in_the_way(target, name) != path or not _is_as(path, states):
        return True  # gone, or the user's by now
    original = root / name.partition("/")[2]
    if not path.is_symlink() and not _is_as(original, [_state_of(path)]):
        return False
    path.unlink()
    with suppress(OSError):  # until a folder has other files
        for folder in path.relative_to(target).parents[:-1]:
            (target / folder).rmdir()
    return True


def _state_of(path: Path) -> State:
    found = path.stat()
    return found.st_size, found.st_mtime


def _is_as(path: Path, states: Iterable[State]) -> bool:
    """Tell whether a path is a link or a file in one of these states."""
    try:
        found = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(found.st_mode):
        return str(path.readlink()) in states
    if not stat.S_ISREG(found.st_mode):
        return False
    return any(
        not isinstance(state, str)
        and state[0] == found.st_size
        and abs(state[1] - found.st_mtime) <= SECONDS_OF_TIMES
        for state in states
    )


def _states(known: object) -> list[State]:
    """Read the states of a file from a manifest, which somebody may have changed."""
    found = []
    for state in known if isinstance(known, list) else []:
        if isinstance(state, str):
            found.append(state)
        elif isinstance(state, list) and [type(part) for part in state] == [int, float]:
            found.append((state[0], state[1]))
    return found
