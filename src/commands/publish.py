"""``run_all.sh publish``: keep the numbers of a full run with the source code."""

from __future__ import annotations

import argparse

from commands.arguments import PROGRAM, WrongCall, refusing, require_profile
from commands.telling import shown
from utils import places
from utils.errors import UserError

HELP = "copy the numbers of a full run to reports/published, README.md and docs/published.md"
DEFAULT_PROFILE = "paper"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} publish [--profile NAME | --check]"
    parser.add_argument(
        "--profile", metavar="NAME", help=f"publish reports/NAME (default: {DEFAULT_PROFILE})"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help=(
            "write nothing; list the published numbers whose code has changed since or is not "
            "recorded, and end with status 1 if there are any"
        ),
    )


def check(options: argparse.Namespace) -> None:
    """Refuse an unknown profile, and one to compare."""
    if options.profile is not None:
        require_profile(options.profile)
    if options.check and options.profile is not None:
        raise WrongCall(
            "--check compares what is published, which has no profile: leave out --profile "
            f"({PROGRAM} publish --check)"
        )


def act(options: argparse.Namespace) -> int:
    """Publish the report of a profile or check what is published; return the exit status."""
    if options.check:
        return _list_stale_numbers()
    return _publish(options.profile or DEFAULT_PROFILE)


def _list_stale_numbers() -> int:
    """Print a line for each group of published numbers that are not known to be of today's code.

    Returns
    -------
    int
        1 if there are any.

    Raises
    ------
    UserError
        If nothing is published.
    """
    from report import stale_numbers
    from report.published import load

    published = load(places.published())
    if published is None:
        raise UserError(f"{shown(places.published())}: no full run is published yet")
    found = stale_numbers.of_other_code(published)
    if not found:
        print("all published numbers are of today's code")
        return 0
    print(*stale_numbers.lines(published, found), sep="\n")
    return 1


def _publish(profile: str) -> int:
    """Publish the report of a profile and list what was written.

    Raises
    ------
    UserError
        If the profile has no report of a full run, or the checkout has uncommitted changes: the
        numbers would stand beside code that did not produce them.
    """
    from commands.process import only_run
    from report.publish import publish
    from utils.config.load import load_profile
    from utils.store.origins import git_state

    with refusing():
        load_profile(profile)
    # A run replaces its report: nothing is published during a run.
    with only_run():
        _, dirty, _ = git_state(places.root())
        if dirty:
            raise UserError(
                f"{places.root()} has uncommitted changes: commit or stash them "
                "('git status' lists them), then publish"
            )
        publish(places.root() / "reports" / profile, places.published(), places.readme())
    for path in sorted(path for path in places.published().rglob("*") if path.is_file()):
        print(f"{shown(path)}: {path.stat().st_size:,} bytes")
    print(f"{shown(places.readme())}, docs/published.md: the tables of the published run")
    return 0
