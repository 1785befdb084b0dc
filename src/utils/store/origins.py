"""Of which code, and on which processor, a result was computed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from utils import places
from utils.config.schema import Study
from utils.config.settings import settings_of
from utils.store.fingerprints import fingerprint

CPUINFO = Path("/proc/cpuinfo")


def origin() -> dict[str, Any]:
    """Say of which commit, on which processor and when something is computed now.

    Returns
    -------
    dict
        ``commit`` (None outside a git checkout), ``dirty`` (whether the checkout has changes),
        ``processor`` and ``computed`` (time in UTC).
    """
    commit, dirty, _ = _state_of_checkout()
    return {
        "commit": commit,
        "dirty": dirty,
        "processor": processor(),
        "computed": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def settings_fingerprints(study: Study) -> dict[str, str]:
    """Return a fingerprint of the settings behind each representation of a study, by its name."""
    return {name: fingerprint(settings) for name, settings in settings_of(study).items()}


@cache
def _state_of_checkout() -> tuple[str | None, bool | None, str | None]:
    # Once for each process: the code that it has loaded stays the same.
    return git_state(places.root())


def git_state(folder: Path) -> tuple[str | None, bool | None, str | None]:
    """Return the commit of a checkout, whether it has changes, and why there is no commit.

    Returns
    -------
    (str or None, bool or None, str or None)
        Commit and flag with no reason, or None and None with the reason.
    """
    if shutil.which("git") is None:
        return None, None, "git is not installed"
    top = _git(folder, "rev-parse", "--show-toplevel")
    if "dubious ownership" in top.stderr:
        return (
            None,
            None,
            (
                "the git checkout belongs to another user, and git does not read it "
                "(git config --global --add safe.directory allows it)"
            ),
        )
    if top.returncode or Path(top.stdout.strip()).resolve() != Path(folder).resolve():
        return None, None, "the folder is not a git checkout"
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit.returncode:
        return None, None, "the git checkout has no commit"
    changes = _git(folder, "status", "--porcelain", "--untracked-files=normal")
    return commit.stdout.strip(), bool(changes.stdout.strip()), None


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", folder, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    )


def processor() -> str:
    """Name the processor; family and model tell generations apart that have one name."""
    text = CPUINFO.read_text() if CPUINFO.is_file() else ""
    found = {
        field: match[1]
        for field in ("model name", "cpu family", "model")
        if (match := re.search(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE))
    }
    if len(found) == 3:
        return "{model name} (family {cpu family}, model {model})".format_map(found)
    return found.get("model name") or platform.processor() or platform.machine()
