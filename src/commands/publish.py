"""``run_all.sh publish``: keep the numbers of a full run with the source code."""

from __future__ import annotations

import argparse

from commands.arguments import PROGRAM, refusing, require_profile
from commands.telling import shown
from utils import places
from utils.errors import UserError

HELP = "copy the numbers of a full run to reports/published and to README.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} publish [--profile NAME]"
    parser.add_argument(
        "--profile", metavar="NAME", default="paper", help="publish reports/NAME (default: paper)"
    )


def check(options: argparse.Namespace) -> None:
    """Refuse an unknown profile."""
    require_profile(options.profile)


def act(options: argparse.Namespace) -> int:
    """Publish the report of a profile and list what was written; return the exit status.

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
        load_profile(options.profile)
    # A run replaces its report: nothing is published during a run.
    with only_run():
        _, dirty, _ = git_state(places.root())
        if dirty:
            raise UserError(
                f"{places.root()} has uncommitted changes: commit or stash them "
                "('git status' lists them), then publish"
            )
        publish(places.root() / "reports" / options.profile, places.published(), places.readme())
    for path in sorted(path for path in places.published().rglob("*") if path.is_file()):
        print(f"{shown(path)}: {path.stat().st_size:,} bytes")
    print(f"{shown(places.readme())}: the table of the published run")
    return 0
