"""``run_all.sh``: get the data, run the workflow and sum up."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from commands.process import group, lines_while
from commands.progress import Outcome, complaint_in, follow, killed, summary
from commands.request import RESULTS, Request, shown
from commands.staleness import code_of, is_stale, mend_records
from commands.telling import PROGRESS_FILE
from utils import places
from utils.config import Leaderboard, Study
from utils.config.load import note_on_ignored_files
from utils.config.vocabulary import LEADERBOARD_NOTEBOOK, STUDY_NOTEBOOKS
from utils.errors import UserError
from utils.store.files import (
    damaged_files,
    date_to_now,
    sha256_file,
    update_json,
    write_json,
)
from utils.store.ownership import (
    read_manifest,
)

# --- the run --------------------------------------------------------------------------------------


def run(request: Request, lock: IO[str]) -> int:
    """Get the data, run the workflow and sum up; return the exit status.

    Raises
    ------
    UserError
        If no study has its data, or a notebook or the report fails.
    """
    began = time.monotonic()
    print(f"profile {request.profile.profile}: {request.profile.description}", flush=True)
    if note := note_on_ignored_files():
        print(note, flush=True)
    if request.offline:
        os.environ["OFFLINE"] = "1"  # for the notebooks, see utils.config.is_offline
    not_run = prepare(request)
    discard_damaged(request)
    date_to_now_what_is_compared(request)
    log = request.runs / "logs" / f"{datetime.now():%Y%m%d-%H%M%S}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    outcome = run_workflow(request, log, lock)
    if request.for_snakemake and not outcome.started:
        # A dry run, a graph, a list: what Snakemake says is what was asked for.
        print(log.read_text(encoding="utf-8"), end="")
    else:
        print(*summary(request, outcome, not_run, time.monotonic() - began), sep="\n")
    if not outcome.started:
        log.unlink()
    return 0


def prepare(request: Request) -> dict[str, str]:
    """Get each study's data and note which it is; return the reasons of those without data.

    Raises
    ------
    UserError
        If data cannot be had: in a reduced profile only if no study is left.
    """
    from utils.data.datasets import DataUnavailable
    from utils.data.prepared import prepare_data

    not_run: dict[str, str] = {}
    described: dict[str, dict[str, Any]] = {}
    for study in request.studies:
        place = request.place(study)
        try:
            # Read and verified once, however many studies use it.
            if study.dataset in described:
                data = described[study.dataset]
                update_json(place.data, data)
            else:
                data = prepare_data(study, request.profile, request.offline, place.folder)
                described[study.dataset] = data
        except DataUnavailable as error:
            if not request.profile.reduced:
                raise
            not_run[study.name] = " ".join(str(error).split())
            _note_not_run(place, not_run[study.name])
            print(f"{study.name}: not run: {not_run[study.name]}", flush=True)
        else:
            place.not_run.unlink(missing_ok=True)
            stands_in = f", in place of {data['requested']}" if data["substituted"] else ""
            reason = f": {data['reason']}" if data["reason"] else ""
            print(
                f"{study.name}: {data['dataset']}, {data['n']:,} images, "
                f"from {data['source']}{stands_in}{reason}",
                flush=True,
            )
    if len(not_run) == len(request.studies):
        raise UserError("no study can be run: the data of none can be had, as said above")
    return not_run


def discard_damaged(request: Request) -> None:
    """Have notebooks run again that left a file which is no longer as they left it."""
    for study in request.studies:
        for manifest in request.place(study).manifests():
            if damaged := damaged_files(manifest.parent):
                print(f"{shown(manifest.parent / damaged[0])}: changed or damaged: made again")
                manifest.unlink()


def date_to_now_what_is_compared(request: Request) -> None:
    """Date files of the workflow now that are dated in the future: it would stop at each of them.

    What was made from one would seem older than it.
    """
    sources = ("config", "notebooks", "src", "reports/template", "reports/published")
    files = [path for name in sources for path in (places.root() / name).rglob("*")]
    files += [places.root() / "requirements.lock", places.root() / request.out / ".complete"]
    files += request.runs.rglob("*")
    if late := date_to_now(files):
        more = f" and {len(late) - 1} more" if len(late) > 1 else ""
        print(f"{shown(late[-1])}{more}: dated in the future: dated now, and the run goes on")


def _note_not_run(place: places.Topic, reason: str) -> None:
    place.data.unlink(missing_ok=True)
    update_json(place.not_run, {"reason": reason})


def run_workflow(request: Request, log: Path, lock: IO[str]) -> Outcome:
    """Run Snakemake, show how far it is and keep everything it says in `log`.

    Raises
    ------
    UserError
        If it fails; names what failed and why.
    """
    progress = log.with_suffix(".progress")
    progress.touch()
    os.environ[PROGRESS_FILE] = str(progress)
    # Opened for appending, because both this process and Snakemake write into it.
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


def snakemake_command(request: Request, stale: Iterable[Path]) -> list[str]:
    """Return Snakemake's command line; the workflow's configuration is written into a file."""
    # Not as --config KEY=VALUE: Snakemake would read a path as YAML.
    config = request.runs / "request.json"
    used = sorted({name for topic in request.studies for name in notebooks_of(topic)})
    write_json(
        config,
        {
            "profile": request.profile.profile,
            "studies": ",".join(study.name for study in request.studies),
            "seeds": request.seeds,
            "out": str(request.out),
            # Known already; Snakemake would need a second for them.
            "code": {name: code_of(_script(name)) for name in used if _script(name).is_file()},
        },
    )
    command = [sys.executable, "-m", "snakemake"]
    command += [
        "--snakefile",
        str(places.root() / "workflow" / "Snakefile"),
        "--directory",
        str(places.root()),
    ]
    command += ["--configfile", str(config), "--cores", str(request.cores or "all"), "--nocolor"]
    # The other scheduler starts a solver each time that a notebook has ended.
    command += ["--scheduler", "greedy"]
    forced = [str(path.relative_to(places.root())) for path in stale]
    noted = mend_records(places.root() / ".snakemake")
    if str(request.out / ".complete") not in noted or not _is_whole(places.root() / request.out):
        forced.append("report")
    if forced:
        command += ["--forcerun", *forced]
    # Our own lock stands for Snakemake's, which a killed run would leave behind.
    return [*command, "--nolock", "--rerun-incomplete", *request.for_snakemake]


def manifests_to_make(request: Request) -> list[Path]:
    """List the manifests of a request that are missing, or whose code or inputs have changed.

    Snakemake finds the same as long as it has its own notes.
    """
    expected = [
        request.place(topic).notebook(seed, notebook) / places.MANIFEST
        for topic in request.studies
        if request.place(topic).data.is_file()
        for seed in range(request.seeds)
        for notebook in notebooks_of(topic)
    ]
    return [path for path in expected if not path.is_file() or is_stale(path)]


def notebooks_of(topic: Study | Leaderboard) -> list[str]:
    """Name the notebooks of a study or of a leaderboard."""
    return [LEADERBOARD_NOTEBOOK] if isinstance(topic, Leaderboard) else [*STUDY_NOTEBOOKS]


def _script(notebook: str) -> Path:
    return places.root() / "notebooks" / f"{notebook}.py"


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


def _is_whole(out: Path) -> bool:
    """Tell whether a report has all its files, as they were written."""
    manifest = read_manifest(out)
    noted = manifest.files if manifest else {}
    return (
        bool(noted)
        and all((out / name).exists() for name in RESULTS)
        and all(
            (out / name).is_file() and sha256_file(out / name) == digest
            for name, digest in noted.items()
        )
    )
