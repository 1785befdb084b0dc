"""The command line behind ``run_all.sh``: check the request, get the data, run, sum up."""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NoReturn

from commands import arguments as calls
from utils.artifacts import (
    damaged_files,
    date_to_now,
    remove_leftovers,
    sha256_file,
    update_json,
    write_json,
)
from utils.checks import require_sound
from utils.config import (
    ROOT,
    Leaderboard,
    Profile,
    Study,
    UserError,
    load_leaderboard,
    load_profile,
    load_topic,
    note_on_ignored_files,
)
from utils.hermetic import leave_out_personal_settings, make_paths_absolute
from utils.last_resort import RUN_FAILED, complain, guarded
from utils.notebook_runner import MARK, PROGRESS_FILE, title_of
from utils.ownership import (
    read_manifest,
    report_of_profile,
    require_apart,
    require_free,
    require_own,
    require_writable,
)
from utils.staleness import is_stale, mend_records

RUNS = ROOT / "runs"
BENCHMARKS = ROOT / "benchmarks"
# What the report writes. A missing one is made again even if nothing else has changed.
RESULTS = (
    "report.html",
    "report.pdf",
    "metrics.csv",
    "assignments.parquet",
    "reported_vs_reproduced.csv",
    "confusion.csv",
    "facts.csv",
    "run.json",
    "figures",
    "notebooks",
)
USAGE_ERROR = calls.USAGE_ERROR
NEXT_TRACE = ("Traceback ", "During handling of ", "The above exception ")
SECONDS_TO_STOP = 10
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Request:
    """A validated request: what to run and where the report goes.

    Attributes
    ----------
    out : Path
        Relative to the repository if it lies in it, otherwise absolute.
    cores : int or None
        None means all.
    for_snakemake : tuple of str
        What followed ``--`` on the command line.
    """

    profile: Profile
    studies: tuple[Study | Leaderboard, ...]
    seeds: int
    out: Path
    cores: int | None
    offline: bool
    for_snakemake: tuple[str, ...]

    @property
    def runs(self) -> Path:
        """Folder of the executed notebooks of this profile."""
        return RUNS / self.profile.profile


@dataclass
class Outcome:
    """What a run of the workflow did.

    Attributes
    ----------
    planned : int
        Number of notebooks and reports to be made; 0 as long as Snakemake has not said it.
    started : dict of str to float
        Time at which each began, by title, from `time.monotonic`.
    seconds : dict of str to float
        How long each took that was finished, by title.
    failures : list of str
        A line for each one that failed.
    """

    planned: int = 0
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 for a failed run, 2 for a bad request, 130 if stopped."""
    return guarded(lambda: _main(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: list[str]) -> int:
    try:
        make_paths_absolute()
        if arguments[:1] != ["lab"]:
            leave_out_personal_settings()
        remove_leftovers()
        act = _action(arguments)
    except UserError as error:
        return complain(str(error), USAGE_ERROR)
    try:
        return act()
    except UserError as error:
        return complain(str(error), RUN_FAILED)


def _action(arguments: list[str]) -> Callable[[], int]:
    """Validate a request; return what is to be done."""
    if arguments[:1] == ["lab"]:
        open_lab(arguments[1:])
    if arguments[:1] == ["bench"]:
        names = checked(arguments).names
        return lambda: run_benchmarks(names)
    if arguments[:1] == ["recipe"]:
        recipe = parse_recipe(arguments[1:])
        return lambda: run_recipe(recipe)
    if arguments[:1] == ["images"]:
        from utils import images_cli

        pictures = images_cli.parse(arguments[1:])
        return lambda: _alone(lambda _lock: images_cli.run(pictures))
    if arguments[:1] == ["publish"]:
        # A run replaces its report; nothing is published from between the two.
        profile = parse_publish(arguments[1:])
        return lambda: _alone(lambda _lock: publish_report(profile))
    request = parse(arguments)
    return lambda: _alone(lambda lock: run(request, lock))


def _alone(act: Callable[[IO[str]], int]) -> int:
    with _only_run() as lock:
        return act(lock)


def run_benchmarks(names: list[str]) -> int:
    """Run benchmarks and return the exit status."""
    # They import each other by name.
    sys.path.insert(0, str(BENCHMARKS))
    import run as benchmarks

    return benchmarks.main(names)


# --- the request ---------------------------------------------------------------------------------


def checked(arguments: list[str]) -> Namespace:
    """Check a command line as ``run_all.sh`` has done before; return its options.

    Raises
    ------
    UserError
        If anything is not as it must be; nothing was run.
    """
    try:
        return calls.parse(arguments)
    except calls.WrongCall as wrong:
        raise UserError(str(wrong)) from None


def parse(arguments: list[str]) -> Request:
    """Validate a command line.

    Raises
    ------
    UserError
        If anything is not as it must be; nothing was run.
    """
    options = checked(arguments)
    profile, out = load_profile(options.profile), options.out
    studies = tuple(load_topic(name) for name in options.studies)
    require_sound(studies, profile)
    names = [name for name in RESULTS if Path(name).suffix]
    prepare_out(out, report_of_profile(profile.profile), names)
    return Request(
        profile=profile,
        studies=studies,
        seeds=options.seeds or profile.seeds,
        out=out.relative_to(ROOT) if out.is_relative_to(ROOT) else out,
        cores=options.cores,
        offline=options.offline,
        for_snakemake=tuple(options.for_snakemake),
    )


def prepare_out(out: Path, owner: str, names: Collection[str] = ()) -> None:
    """See that a report may be written into a folder, and make it if it is missing.

    Parameters
    ----------
    out : Path
    owner : str
        Whose the report is, as its manifest names it.
    names : collection of str
        Files that every such report has.

    Raises
    ------
    UserError
        If it may not; nothing was changed.
    """
    require_apart({"--out": out}, kept_places())
    earlier = require_own(out, owner, "--out")
    require_free(out, {*names, *earlier}, earlier)
    require_writable(out, "--out")


def kept_places() -> dict[str, Path]:
    """Return the folders into which no report and no export goes, by their names in messages."""
    return {
        "the published numbers, which 'publish' alone writes": ROOT / "reports" / "published",
        "the article's template": ROOT / "reports" / "template",
        "the working state": RUNS,
    }


def open_lab(arguments: list[str]) -> NoReturn:
    """Become JupyterLab, on this machine only, with the notebooks open."""
    rest = checked(["lab", *arguments]).for_jupyterlab
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    os.execv(sys.executable, [*command, f"--notebook-dir={ROOT / 'notebooks'}", *rest])


# --- publishing -----------------------------------------------------------------------------------


def parse_publish(arguments: list[str]) -> Profile:
    """Validate what follows ``publish``; return the profile whose report is published.

    Raises
    ------
    UserError
        If anything is not as it must be.
    """
    return load_profile(checked(["publish", *arguments]).profile)


def publish_report(profile: Profile) -> int:
    """Publish the report of a profile and say what was written; return the exit status.

    Raises
    ------
    UserError
        If there is no such report, it is not of a full run, or the checkout has changes that are
        not committed: the numbers would stand beside code that did not make them.
    """
    from utils.published import PUBLISHED, README, publish
    from utils.results import git_state

    _, dirty, _ = git_state(ROOT)
    if dirty:
        raise UserError(
            f"{ROOT} has changes that are not committed: commit or stash them ('git status' lists "
            "them), then publish"
        )
    publish(ROOT / "reports" / profile.profile)
    for path in sorted(path for path in PUBLISHED.rglob("*") if path.is_file()):
        print(f"{shown(path)}: {path.stat().st_size:,} bytes")
    print(f"{shown(README)}: the table of the published run")
    return 0


# --- one line of a leaderboard --------------------------------------------------------------------


@dataclass(frozen=True)
class RecipeRequest:
    """A validated request for one line of a leaderboard."""

    name: str
    board: Leaderboard
    profile: Profile
    seeds: int


def parse_recipe(arguments: list[str]) -> RecipeRequest:
    """Validate what follows ``recipe``.

    Raises
    ------
    UserError
        If anything is not as it must be; nothing was run.
    """
    options = checked(["recipe", *arguments])
    board, profile = load_leaderboard(calls.recipes()[options.name]), load_profile(options.profile)
    require_sound([board], profile)
    return RecipeRequest(options.name, board, profile, options.seeds)


def run_recipe(request: RecipeRequest) -> int:
    """Run one line with each seed, say its scores, and leave its assignments in ``runs/``.

    Raises
    ------
    UserError
        If the data cannot be had.
    """
    from utils.boards import open_board

    board, profile = request.board.leaderboard, request.profile.profile
    for seed in range(request.seeds):
        folder = RUNS / "recipes" / profile / board / f"seed-{seed}" / request.name
        run = open_board(request.name, board, profile, seed, folder)
        (row,) = run.rows(request.name)
        scores = run.run(row)
        run.finish()
        said = ", ".join(f"{name.upper()} {scores[name]:.4f}" for name in ("acc", "ari", "nmi"))
        print(
            f"{request.name}, {len(run.images):,} images, seed {seed}: {said}, "
            f"{duration(scores['seconds'])}; {shown(folder / 'assignments.parquet')}"
        )
    return 0


# --- one run at a time, and stopping it -----------------------------------------------------------


@contextmanager
def _only_run() -> Iterator[IO[str]]:
    """Hold this checkout's lock; the workflow inherits it and holds it as long as it lives."""
    RUNS.mkdir(exist_ok=True)
    with (RUNS / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"another run is going on in {ROOT} (process {lock.read().strip()}): "
                "wait for its end, or stop it"
            ) from None
        lock.truncate(0)
        print(os.getpid(), file=lock, flush=True)
        yield lock


@contextmanager
def _group(command: list[str], log: IO[str], lock: IO[str]) -> Iterator[subprocess.Popen]:
    """Start a command as a group of its own, which never outlives this block or this process.

    What it prints goes into `log`.
    A watcher, whose input is a pipe from this process, ends the group even if that is killed.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=[lock.fileno()],
    )
    watcher = subprocess.Popen(
        ["bash", "-c", 'read -r; kill -- "-$0"', str(process.pid)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    except BaseException:
        _stop(process)
        raise
    finally:
        _end_group(process.pid)
        watcher.kill()
        watcher.wait()


def _end_group(group: int) -> None:
    """End what a workflow that was killed alone has left running."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        ends = time.monotonic() + SECONDS_TO_STOP
        with suppress(ProcessLookupError):
            os.killpg(group, number)
            while time.monotonic() < ends:
                os.killpg(group, 0)
                time.sleep(SECONDS_BETWEEN_LOOKS)


def _stop(process: subprocess.Popen) -> None:
    """End the group of `process`; its kernels are in other groups and end with their parents."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=SECONDS_TO_STOP)
            return


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
    from utils.datasets import DataUnavailable
    from utils.experiment import prepare_data

    not_run: dict[str, str] = {}
    described: dict[str, dict[str, Any]] = {}
    for study in request.studies:
        folder = request.runs / study.name
        try:
            # Read and verified once, however many studies use it.
            if study.dataset in described:
                data = described[study.dataset]
                update_json(folder / "data.json", data)
            else:
                data = prepare_data(study, request.profile, request.offline, folder)
                described[study.dataset] = data
        except DataUnavailable as error:
            if not request.profile.reduced:
                raise
            not_run[study.name] = " ".join(str(error).split())
            _note_not_run(folder, not_run[study.name])
            print(f"{study.name}: not run: {not_run[study.name]}", flush=True)
        else:
            (folder / "not_run.json").unlink(missing_ok=True)
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
        for manifest in sorted((request.runs / study.name).glob("seed-*/*/manifest.json")):
            if damaged := damaged_files(manifest.parent):
                print(f"{shown(manifest.parent / damaged[0])}: changed or damaged: made again")
                manifest.unlink()


def date_to_now_what_is_compared(request: Request) -> None:
    """Date files of the workflow now that are dated in the future: it would stop at each of them.

    What was made from one would seem older than it.
    """
    sources = ("config", "notebooks", "src", "reports/template", "reports/published")
    files = [path for name in sources for path in (ROOT / name).rglob("*")]
    files += [ROOT / "requirements.lock", ROOT / request.out / ".complete"]
    files += request.runs.rglob("*")
    if late := date_to_now(files):
        more = f" and {len(late) - 1} more" if len(late) > 1 else ""
        print(f"{shown(late[-1])}{more}: dated in the future: dated now, and the run goes on")


def _note_not_run(folder: Path, reason: str) -> None:
    (folder / "data.json").unlink(missing_ok=True)
    update_json(folder / "not_run.json", {"reason": reason})


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
            _group(warm_command(request), log_file, lock) as process,
        ):
            outcome = follow(_lines_while(process, progress), log_file)
            status = process.wait()
    finally:
        progress.unlink()
    if status != 0:
        first, *more = outcome.failures or [_killed(status) or _complaint_in(log)]
        others = f" (and {len(more)} more)" if more else ""
        raise UserError(f"{first}{others}; log: {shown(log)}")
    return outcome


def _lines_while(process: subprocess.Popen, file: Path) -> Iterator[str]:
    """Yield each line that is written into `file` until the process has ended."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        begun = ""
        while True:
            is_running = process.poll() is None
            for part in stream:
                begun += part
                if begun.endswith("\n"):
                    yield begun
                    begun = ""
            if not is_running:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)


def snakemake_command(request: Request) -> list[str]:
    """Return the command line of the workflow; its configuration is written into a file."""
    # Not as --config KEY=VALUE: Snakemake would read a path as YAML.
    config = request.runs / "request.json"
    write_json(
        config,
        {
            "profile": request.profile.profile,
            "studies": ",".join(study.name for study in request.studies),
            "seeds": request.seeds,
            "out": str(request.out),
        },
    )
    command = [sys.executable, "-m", "snakemake"]
    command += ["--snakefile", str(ROOT / "workflow" / "Snakefile"), "--directory", str(ROOT)]
    command += ["--configfile", str(config), "--cores", str(request.cores or "all"), "--nocolor"]
    # The other scheduler starts a solver each time that a notebook has ended.
    command += ["--scheduler", "greedy"]
    forced = stale_manifests(request)
    noted = mend_records(ROOT / ".snakemake")
    if str(request.out / ".complete") not in noted or not _is_whole(ROOT / request.out):
        forced.append("report")
    if forced:
        command += ["--forcerun", *forced]
    # Our own lock stands for Snakemake's, which a killed run would leave behind.
    return [*command, "--nolock", "--rerun-incomplete", *request.for_snakemake]


def stale_manifests(request: Request) -> list[str]:
    """Name the manifests of a request's notebooks whose code or inputs have changed since.

    Snakemake finds the same as long as it has its own notes.
    """
    manifests = [
        manifest
        for study in request.studies
        if (request.runs / study.name / "data.json").is_file()
        for seed in range(request.seeds)
        for manifest in sorted((request.runs / study.name / f"seed-{seed}").glob("*/manifest.json"))
    ]
    return [str(path.relative_to(ROOT)) for path in manifests if is_stale(path)]


def warm_command(request: Request) -> list[str]:
    """Return the command line of the workflow under a process that its jobs are forked from."""
    on_linux = hasattr(os, "sched_getaffinity")
    cores = request.cores or (len(os.sched_getaffinity(0)) if on_linux else os.cpu_count() or 1)
    command = [sys.executable, "-P", "-m", "utils.warm_start", "serve"]
    # As many as the Snakefile gives to most notebooks.
    return [*command, "--threads", str(max(1, cores // 2)), *snakemake_command(request)]


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


# --- what the workflow says -----------------------------------------------------------------------


def follow(lines: Iterable[str], log: IO[str]) -> Outcome:
    """Show how far the jobs are and collect what they say.

    Parameters
    ----------
    lines : iterable of str
        What the jobs say.
    log : text file
        Is given every line; Snakemake has written its plan into it before the first job begins.
    """
    outcome = Outcome()
    for line in lines:
        log.write(line)
        log.flush()
        if line.startswith(MARK):
            if not outcome.started:
                outcome.planned = planned_jobs(Path(log.name).read_text(encoding="utf-8"))
            _show(line.removeprefix(MARK).rstrip("\n"), outcome)
    return outcome


def planned_jobs(said: str) -> int:
    """Count the jobs in Snakemake's table: a heading, lines of name and number, an empty line."""
    table = said.partition("\nJob stats:\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^(\S+) +([0-9]+)$", table, re.MULTILINE)
    return sum(int(count) for name, count in rows if name not in ("all", "total"))


def _show(message: str, outcome: Outcome) -> None:
    word, text = message.split(" ", 1)
    if word == "start":
        outcome.started[text] = time.monotonic()
        print(f"[{len(outcome.started)}/{outcome.planned or '?'}] {text} …", flush=True)
    elif word == "say":
        print(f"      {text}", flush=True)
    elif word == "done":
        outcome.seconds[text] = time.monotonic() - outcome.started[text]
        left = f", {outcome.planned - len(outcome.seconds)} left" if outcome.planned else ""
        print(f"      {text}: done in {duration(outcome.seconds[text])}{left}", flush=True)
    elif word == "failed":
        outcome.failures.append(text)
        print("      failed; what already runs is finished first", flush=True)


def _killed(status: int) -> str | None:
    """Say by what the workflow was killed; None if it ended by itself."""
    # Of the workflow itself as a shell gives it, of the process that runs it as Python does.
    number = -status if status < 0 else status - 128
    if number <= 0:
        return None
    name = signal.Signals(number).name
    return f"the workflow was killed ({name}): out of memory, or stopped from outside"


def _complaint_in(log: Path) -> str:
    """Find Snakemake's own error in its output."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    begins = re.compile(r"\w*(Error|Exception)\b|\S+: error:")
    first = next((i for i, line in enumerate(lines) if begins.match(line)), -1)
    # What follows belongs to it, up to the trace of the next error.
    said = itertools.takewhile(lambda line: not line.startswith(NEXT_TRACE), lines[first:])
    return "the workflow stopped: " + " ".join(said)[:500]


def summary(
    request: Request, outcome: Outcome, not_run: dict[str, str], seconds: float
) -> Iterator[str]:
    """Say how long each part took and, in the last lines, where the report is."""
    if not outcome.started:
        yield "everything is up to date: nothing had to be run"
    else:
        rows = _durations(request, outcome, not_run)
        width = max(len(title) for title, _ in rows)
        for title, took in rows:
            yield f"  {title:<{width}}  {took}"
        yield f"  {'in all':<{width}}  {duration(seconds)}"
    for study, reason in not_run.items():
        yield f"not run: {study}: {reason}"
    if request.for_snakemake and "report" not in outcome.seconds:
        yield "the report was not made: what followed -- left it out"
        return
    yield f"report: {shown(ROOT / request.out / 'report.html')}"
    yield f"        {shown(ROOT / request.out / 'report.pdf')}"


def _durations(
    request: Request, outcome: Outcome, not_run: Collection[str]
) -> list[tuple[str, str]]:
    """List title and duration of every notebook that is in the report, and of the report.

    With words for Snakemake of one's own, what was not run may or may not be up to date.
    """
    otherwise = "not run" if request.for_snakemake else "up to date"
    titles = [
        title_of(manifest.parent.name, study.name, seed)
        for study in request.studies
        if study.name not in not_run
        for seed in range(request.seeds)
        for manifest in sorted((request.runs / study.name / f"seed-{seed}").glob("*/manifest.json"))
    ]
    return [
        (title, duration(outcome.seconds[title]) if title in outcome.seconds else otherwise)
        for title in [*titles, "report"]
    ]


def duration(seconds: float) -> str:
    """Write a duration for people: ``12 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def shown(path: Path) -> str:
    """Write a path as short as it can be used from the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


if __name__ == "__main__":
    sys.exit(main())
