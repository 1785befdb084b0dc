"""When, of which code and on which machine a report was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import places
from utils.store.fingerprints import library_versions

if TYPE_CHECKING:
    from report.collect import NotebookRun, Results

CPUINFO = Path("/proc/cpuinfo")
REPORTING_LIBRARIES = ("pandas", "matplotlib", "papermill", "snakemake", "pypandoc_binary", "typst")


def record(results: Results) -> dict[str, Any]:
    """Return what ``run.json`` holds: commit, versions, hardware, data, durations, seeds."""
    return {
        **provenance(),
        "profile": results.profile.model_dump(),
        "studies": list(results.studies),
        "leaderboards": list(results.boards),
        "not_run": results.not_run,
        "seeds": list(results.seeds),
        "gaps": list(results.gaps),
        "data": results.data,
        "seconds": sum(run.manifest.seconds for run in results.notebooks),
        "notebooks": [
            {
                "study": run.study,
                "seed": run.seed,
                "notebook": run.notebook,
                "seconds": run.manifest.seconds,
                "peak_memory_mb": run.manifest.peak_memory_mb,
                "started": run.manifest.started,
                "finished": run.manifest.finished,
            }
            for run in results.notebooks
        ],
    }


def record_of_pictures(run: NotebookRun) -> dict[str, Any]:
    """Return what ``run.json`` of a person's own pictures holds."""
    return {
        **provenance(),
        "seed": run.seed,
        "seconds": run.manifest.seconds,
        "peak_memory_mb": run.manifest.peak_memory_mb,
        "facts": run.manifest.facts,
    }


def provenance() -> dict[str, Any]:
    """Return what each ``run.json`` says of when, of which code and on what a report was made."""
    commit, dirty, reason = git_state(places.root())
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
        "commit_reason": reason,
        "versions": versions(),
        "hardware": hardware(),
    }


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


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers and pages depend on."""
    return {
        "python": platform.python_version(),
        **library_versions("utils.runs.study", "utils.runs.leaderboard"),
        **{name: importlib.metadata.version(name) for name in REPORTING_LIBRARIES},
    }


def hardware() -> dict[str, Any]:
    """Return processor, cores, memory in GiB, GPU (None if none is found) and operating system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "gpu": _gpu_model(),
        "system": platform.platform(),
    }


def _cpu_model() -> str:
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


def _gpu_model() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else None
