"""Which processes work in a folder."""

from contextlib import suppress
from pathlib import Path


def processes_in(folder: Path) -> dict[int, str]:
    """Map each process whose current folder is `folder` or below it to its command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
            if command and (process / "cwd").readlink().is_relative_to(folder):
                found[int(process.name)] = command
    return found
