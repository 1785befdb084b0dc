"""What a person asked for, validated before anything runs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from commands import arguments as calls
from utils import places
from utils.config.checks import require_sound
from utils.config.load import load_profile, load_topic
from utils.config.schema import Leaderboard, Profile, Study
from utils.errors import UserError
from utils.store.ownership import (
    report_of_profile,
    require_apart,
    require_free,
    require_own,
    require_writable,
)

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
        return places.runs() / self.profile.profile

    def place(self, study: Study | Leaderboard) -> places.Topic:
        """Return where the executed notebooks of a study or leaderboard lie."""
        return places.topic(self.profile.profile, study.name)


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
        out=out.relative_to(places.root()) if out.is_relative_to(places.root()) else out,
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
        "the published numbers, which 'publish' alone writes": places.published(),
        "the article's template": places.template(),
        "the working state": places.runs(),
    }


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
