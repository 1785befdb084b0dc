"""``run_all.sh publish``: keep the numbers of a full run with the source code."""

from __future__ import annotations

from commands.request import checked, shown
from utils import places
from utils.config.load import load_profile
from utils.config.schema import Profile
from utils.errors import UserError

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
    from report.provenance import git_state
    from report.publish import publish

    _, dirty, _ = git_state(places.root())
    if dirty:
        raise UserError(
            f"{places.root()} has changes that are not committed: commit or stash them "
            "('git status' lists them), then publish"
        )
    report = places.root() / "reports" / profile.profile
    publish(report, places.published(), places.readme())
    for path in sorted(path for path in places.published().rglob("*") if path.is_file()):
        print(f"{shown(path)}: {path.stat().st_size:,} bytes")
    print(f"{shown(places.readme())}: the table of the published run")
    return 0
