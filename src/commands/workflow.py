"""The workflow: Snakemake's command line, what has to be made again, and a run of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from commands.outputs import is_complete
from commands.process import group, lines_while
from commands.progress import Outcome, complaint_in, follow, killed
from commands.request import Request, notebooks_of
from commands.staleness import code_of, is_stale, mend_records
from commands.telling import PROGRESS_FILE, shown
from utils import places
from utils.errors import UserError
from utils.store.files import write_json


def run_workflow(request: Request, log: Path, lock: IO[str]) -> Outcome:
    """Run Snakemake, show its progress and keep all its output in `log`.

    Raises
    ------
    UserError
        If it fails; names what failed and why.
    """
    progress = log.with_suffix(".progress")
    progress.touch()
    os.environ[PROGRESS_FILE] = str(progress)
    # Opened for appending: both this process and Snakemake write to it.
    try:
        with (
            log.open("a", encoding="utf-8") as log_file,
            group(workflow_command(request), log_file, lock) as process,
        ):
            outcome = follow(lines_while(process, progress), log_file)
            status = process.wait()
    finally:
        progress.unlink()
    if status != 0:
        first, *more = outcome.failures or [killed(status) or complaint_in(log)]
        others = f" (and {len(more)} more)" if more else ""
        raise UserError(f"{first}{others}; log: {shown(log)}")
    return outcome


def workflow_command(request: Request) -> list[str]:
    """Return the command line of the workflow.

    If notebooks have to be executed, it runs under a process that its jobs are forked from.
    """
    waiting = manifests_to_make(request)
    command = snakemake_command(request, [path for path in waiting if path.is_file()])
    if not waiting and not request.for_snakemake:
        return command
    on_linux = hasattr(os, "sched_getaffinity")
    cores = request.cores or (len(os.sched_getaffinity(0)) if on_linux else os.cpu_count() or 1)
    # As many threads as the workflow gives to most notebooks.
    threads = ["--threads", str(max(1, cores // 2))]
    return [sys.executable, "-P", "-m", "commands.warm_start", "serve", *threads, *command]


def manifests_to_make(request: Request) -> list[Path]:
    """List the manifests of a request that are missing, or whose code or inputs have changed.

    Snakemake finds the same as long as it has its own records.
    """
    return [path for path in request.manifests() if not path.is_file() or is_stale(path)]


def snakemake_command(request: Request, stale: Iterable[Path]) -> list[str]:
    """Return Snakemake's command line; the workflow's configuration is written to a file."""
    # Not as --config KEY=VALUE: Snakemake would read a path as YAML.
    config = request.runs / "request.json"
    write_json(config, _configuration(request))
    command = [sys.executable, "-m", "snakemake"]
    command += ["--snakefile", str(places.root() / "workflow" / "Snakefile")]
    command += ["--directory", str(places.root())]
    command += ["--configfile", str(config), "--cores", str(request.cores or "all"), "--nocolor"]
    # The other scheduler starts a solver each time that a notebook has ended.
    command += ["--scheduler", "greedy"]
    forced = [str(path.relative_to(places.root())) for path in stale]
    noted = mend_records(places.root() / ".snakemake")
    if str(request.out / ".complete") not in noted or not is_complete(places.root() / request.out):
        forced.append("report")
    if forced:
        command += ["--forcerun", *forced]
    # Snakemake's own lock would stay behind after a killed run; ours takes its place.
    return [*command, "--nolock", "--rerun-incomplete", *request.for_snakemake]


def _configuration(request: Request) -> dict[str, object]:
    first = 0, [0]  # the first seed is run with all of them
    used = sorted({name for topic in request.studies for name in notebooks_of(topic, *first)})
    scripts = {name: places.root() / "notebooks" / f"{name}.py" for name in used}
    return {
        "profile": request.profile.profile,
        "studies": ",".join(study.name for study in request.studies),
        "seeds": request.seeds,
        "out": str(request.out),
        # Cached here; Snakemake would need another second for them.
        "code": {name: code_of(script) for name, script in scripts.items() if script.is_file()},
    }
