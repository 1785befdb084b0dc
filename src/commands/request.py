"""What a run was asked for, validated before anything runs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.outputs import RESULTS, prepare_out
from utils import places
from utils.config.checks import require_sound
from utils.config.load import load_profile, load_topic
from utils.config.schema import Leaderboard, Profile, Study
from utils.config.vocabulary import LEADERBOARD_NOTEBOOK, study_notebooks
from utils.store.ownership import report_of_profile


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
        The arguments after ``--``.
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

    def place(self, topic: Study | Leaderboard) -> places.Topic:
        """Return the place of the executed notebooks of a study or leaderboard."""
        return places.topic(self.profile.profile, topic.name)

    def manifests(self) -> list[Path]:
        """List the manifests that this run is to have, of studies and leaderboards with data."""
        return [
            self.place(topic).notebook(seed, notebook) / places.MANIFEST
            for topic in self.studies
            if self.place(topic).data.is_file()
            for seed in range(self.seeds)
            for notebook in notebooks_of(topic, seed, range(self.seeds))
        ]


def notebooks_of(topic: Study | Leaderboard, seed: int, seeds: Sequence[int]) -> list[str]:
    """Name the notebooks of a study or a leaderboard that a seed, one of `seeds`, is run with."""
    if isinstance(topic, Leaderboard):
        return [LEADERBOARD_NOTEBOOK]
    return study_notebooks(seed, seeds)


def request_of(options: Namespace) -> Request:
    """Validate a checked call as `validated` does, and make the folder of the report.

    Raises
    ------
    UserError
        If a study or the profile is invalid, or the report must not be written to its folder.
    """
    request = validated(options)
    names = [name for name in RESULTS if Path(name).suffix]
    prepare_out(options.out, report_of_profile(request.profile.profile), names)
    return request


def validated(options: Namespace) -> Request:
    """Validate a checked call against the configuration; nothing is written.

    Parameters
    ----------
    options : Namespace
        From `commands.main.parse`.

    Raises
    ------
    UserError
        If a study or the profile is invalid.
    """
    profile, out = load_profile(options.profile), options.out
    studies = tuple(load_topic(name) for name in options.studies)
    require_sound(studies, profile)
    return Request(
        profile=profile,
        studies=studies,
        seeds=options.seeds or profile.seeds,
        out=out.relative_to(places.root()) if out.is_relative_to(places.root()) else out,
        cores=options.cores,
        offline=options.offline,
        for_snakemake=options.passed_on,
    )
