"""``run_all.sh``: get the data, run the workflow and sum up."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from typing import IO, TYPE_CHECKING

from commands.arguments import (
    PROGRAM,
    WrongCall,
    names_in,
    place,
    refusing,
    require_known,
    require_place,
    require_profile,
    whole_number_from_1,
)
from utils import places

if TYPE_CHECKING:
    from commands.request import Request

USAGE = (
    f"{PROGRAM} [--profile NAME] [--studies A,B] [--seeds N] [--out DIR] [--cores N] [--offline]"
    f" [--version] [--help] [-- ...]\n"
    f"       {PROGRAM} images | lab | new-study | check | bench | recipe | publish | status"
    " | compare ..."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = USAGE
    parser.description = "Run the notebooks of every study and write the report."
    parser.epilog = (
        "Arguments after -- go to Snakemake. A second run repeats only what has changed. "
        f"'{PROGRAM} COMMAND --help' describes a command."
    )
    add_selection(parser)
    parser.add_argument(
        "--cores", metavar="N", type=whole_number_from_1, help="processor cores (default: all)"
    )
    parser.add_argument(
        "--offline", action="store_true", help="use no network: only data that are already here"
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Define the arguments that say what is run, and where its report goes."""
    parser.add_argument(
        "--profile", metavar="NAME", default="quick", help="how much to run: quick (default), paper"
    )
    parser.add_argument(
        "--studies",
        metavar="A,B",
        help=f"studies or leaderboards, separated by commas (default: all: {', '.join(_topics())})",
    )
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=whole_number_from_1,
        help="run seeds 0 to N-1 (default: set by the profile)",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: reports/PROFILE)"
    )


def _topics() -> list[str]:
    return [*names_in("studies"), *names_in("leaderboards")]


def check(options: argparse.Namespace) -> None:
    """Refuse unknown names and unusable folders; complete the options."""
    require_profile(options.profile)
    known = _topics()
    wanted = known
    if options.studies is not None:
        wanted = {name.strip() for name in options.studies.split(",")}
    for name in sorted(wanted):
        folders = f" ({places.config() / 'studies'}, {places.config() / 'leaderboards'})"
        require_known("study", name, known, folders)
    # In the order of the files: the same studies make the same report.
    options.studies = [name for name in known if name in wanted]
    if options.out is not None and not options.out.strip():
        raise WrongCall("--out is empty: name a folder, or omit it for reports/PROFILE")
    options.out = place("--out", options.out or str(places.root() / "reports" / options.profile))
    require_place(options.out)


def act(options: argparse.Namespace) -> int:
    """Get the data, run the workflow and sum up; return the exit status.

    Raises
    ------
    WrongCall
        If a study or the profile is invalid, or the report must not be written to its folder.
    UserError
        If too few open files are allowed, another run is in progress, no study has its data, or a
        notebook or the report fails.
    """
    from commands.process import allow_open_files, only_run
    from commands.request import request_of

    allow_open_files()
    with refusing():
        request = request_of(options)
    with only_run() as lock:
        return run(request, lock)


def run(request: Request, lock: IO[str]) -> int:
    """Run a request under the lock of this checkout; return the exit status.

    Raises
    ------
    UserError
        If no study has its data, or a notebook or the report fails.
    """
    from commands.preparation import prepare
    from commands.progress import summary
    from commands.workflow import run_workflow

    began = time.monotonic()
    not_run = prepare(request)
    log = request.runs / "logs" / f"{datetime.now():%Y%m%d-%H%M%S}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    outcome = run_workflow(request, log, lock)
    if request.for_snakemake and not outcome.started:
        # A dry run, a graph, a list: Snakemake's output is what was asked for.
        print(log.read_text(encoding="utf-8"), end="")
    else:
        print(*summary(request, outcome, not_run, time.monotonic() - began), sep="\n")
    if not outcome.started:
        log.unlink()
    return 0
