"""When, of which code and on which machine a report was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from report.evidence_tables import EVIDENCE
from utils import places
from utils.store import origins
from utils.store.fingerprints import library_versions

if TYPE_CHECKING:
    from report.collect import NotebookRun, Results

# Keys of a study or leaderboard that no score depends on. The rows of a leaderboard are not among
# its settings either: its table has those of each method.
WORDS = ("title", "citation", "summary", "reported", "losses", "identities", "claims", "choices")
WORDS_OF_BOARDS = ("title", "aim", "rows", "attempts")
REPORTING_LIBRARIES = ("pandas", "matplotlib", "papermill", "snakemake", "pypandoc_binary", "typst")


def record(results: Results) -> dict[str, Any]:
    """Return what ``run.json`` holds: commit, versions, settings, data, durations, seeds."""
    return {
        **provenance(),
        "profile": results.profile.model_dump(),
        "settings": settings(results),
        "studies": list(results.studies),
        "leaderboards": list(results.boards),
        "not_run": results.not_run,
        "seeds": list(results.seeds),
        "gaps": list(results.gaps),
        "evidence": [schema.file for schema in EVIDENCE],
        "data": results.data,
        "seconds": sum(run.manifest.seconds for run in results.notebooks),
        "notebooks": durations(results),
    }


def settings(results: Results) -> dict[str, dict[str, Any]]:
    """Return what the scores of each study and leaderboard depend on in its file."""
    return {
        **{
            name: study.model_dump(mode="json", exclude=set(WORDS))
            for name, study in results.studies.items()
        },
        **{
            name: board.model_dump(mode="json", exclude=set(WORDS_OF_BOARDS))
            for name, board in results.boards.items()
        },
    }


def durations(results: Results) -> list[dict[str, Any]]:
    """List when each notebook of a run ran, how long, and its peak of memory."""
    return [
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
    ]


def record_of_pictures(run: NotebookRun, seconds: float) -> dict[str, Any]:
    """Return what ``run.json`` of a person's own pictures holds, and how long the run took."""
    return {
        **provenance(),
        "seed": run.seed,
        "seconds": seconds,
        "peak_memory_mb": run.manifest.peak_memory_mb,
        "facts": run.manifest.facts,
    }


def provenance() -> dict[str, Any]:
    """Return what each ``run.json`` says of when, of which code and on what a report was made."""
    commit, dirty, reason = origins.git_state(places.root())
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
        "commit_reason": reason,
        "versions": versions(),
        "hardware": hardware(),
    }


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
        "cpu": origins.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "gpu": _gpu_model(),
        "system": platform.platform(),
    }


def _gpu_model() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else None
