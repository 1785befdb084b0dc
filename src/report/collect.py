"""The folders that runs leave, read into one set of tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from report import (
    agreement,
    claims_table,
    map_points,
    origins_of,
    reported_losses,
    reproduction,
    soundness,
    variances,
)
from report.claims import TestedClaim
from report.evidence_tables import AGREEMENT_TABLE, DIMENSIONS_TABLE, MAPS_TABLE, ORIGINS_TABLE
from report.manifests import Manifest, NotebookRun
from utils import config, errors, places
from utils.config import facts
from utils.config.vocabulary import UNTRAINED_NOTEBOOKS
from utils.store import files as files_module
from utils.store import tables
from utils.store.tables import (
    ASSIGNMENTS_TABLE,
    COMBINATION,
    CONFUSION_TABLE,
    COSTS_TABLE,
    FACTS_TABLE,
    FAILED,
    LABEL_FREE_TABLE,
    LABELS_TABLE,
    LOSSES_TABLE,
    METRICS_TABLE,
    NEW_IMAGES_TABLE,
    NUMBERS_TABLE,
    RELIABILITY_TABLE,
    STARTS_TABLE,
)


@dataclass(frozen=True)
class Results:
    """Everything that the runs of a profile left.

    `studies` and `boards` have each study and leaderboard that was asked for; those in `not_run`
    (name to reason) have no results. `data` maps one that was run to its ``data.json``, `labels` a
    leaderboard that was run to the classes of its images. `gaps` says in words what is missing or
    inconsistent.
    """

    profile: config.Profile
    studies: dict[str, config.Study]
    boards: dict[str, config.Leaderboard]
    seeds: tuple[int, ...]
    notebooks: tuple[NotebookRun, ...]
    data: dict[str, dict[str, Any]]
    not_run: dict[str, str]
    gaps: tuple[str, ...]
    metrics: pd.DataFrame
    assignments: pd.DataFrame
    confusion: pd.DataFrame
    facts: pd.DataFrame
    starts: pd.DataFrame
    losses: pd.DataFrame
    costs: pd.DataFrame
    label_free: pd.DataFrame
    numbers: pd.DataFrame
    new_images: pd.DataFrame
    reliability: pd.DataFrame
    labels: dict[str, np.ndarray]

    @property
    def topics(self) -> list[str]:
        """Names of the studies and of the leaderboards."""
        return [*self.studies, *self.boards]

    @property
    def substituted(self) -> list[str]:
        """Names of the studies that got other data than their protocol asks for."""
        return [study for study, data in self.data.items() if data["substituted"]]

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Columns of `tables.VERDICTS_TABLE`."""
        return reproduction.reported_vs_reproduced(
            self.metrics,
            self.facts,
            self.studies.values(),
            self.profile.reduced,
            self.substituted,
        )

    @cached_property
    def evidence(self) -> dict[str, pd.DataFrame]:
        """The tables of `evidence_tables.EVIDENCE` by the names of their files."""
        first_runs = [run for study in self.studies for run in self.first_runs(study)]
        return {
            CONFUSION_TABLE.file: self.confusion,
            STARTS_TABLE.file: self.starts,
            LOSSES_TABLE.file: self.losses,
            AGREEMENT_TABLE.file: agreement.between_seeds(self.assignments, self.studies),
            MAPS_TABLE.file: map_points.of_runs(first_runs),
            DIMENSIONS_TABLE.file: map_points.dimensions_of_runs(first_runs),
            ORIGINS_TABLE.file: origins_of.of_runs(self.notebooks),
            NEW_IMAGES_TABLE.file: self.new_images,
            RELIABILITY_TABLE.file: self.reliability,
            LABEL_FREE_TABLE.file: self.label_free,
            NUMBERS_TABLE.file: self.numbers,
        }

    @cached_property
    def identities(self) -> pd.DataFrame:
        """Columns of `tables.IDENTITIES_TABLE`."""
        return reproduction.identities(self.metrics, self.facts, self.studies.values())

    @cached_property
    def reported_losses(self) -> pd.DataFrame:
        """Columns of `reported_losses.REPORTED_LOSSES_TABLE`."""
        return reported_losses.beside_ours(
            self.facts, self.studies.values(), self.profile.reduced, self.substituted
        )

    @cached_property
    def variances(self) -> pd.DataFrame:
        """Columns of `variances.VARIANCES_TABLE`."""
        networks = soundness.collapsed(self.metrics, self.studies.values())
        starts = soundness.without(self.starts, networks)
        return variances.components(starts, config.load_verdict_rule().confidence)

    @cached_property
    def tested_claims(self) -> dict[str, list[TestedClaim]]:
        """The claims of each study that was run, as from `claims_table.of_studies`."""
        was_run = [study for name, study in self.studies.items() if name not in self.not_run]
        return claims_table.of_studies(
            was_run, self.metrics, self.confusion, self.facts, self.starts, self.profile.reduced
        )

    @cached_property
    def claims(self) -> pd.DataFrame:
        """Columns of `claims_table.CLAIMS_TABLE`."""
        return claims_table.table(self.tested_claims)

    def first_runs(self, study: str) -> list[NotebookRun]:
        """List each notebook of `study` once, from the first seed with which it succeeded."""
        first: dict[str, NotebookRun] = {}
        for run in self.notebooks:
            if run.study == study and not run.manifest.failed:
                first.setdefault(run.notebook, run)
        return [first[notebook] for notebook in sorted(first)]


def collect(profile: str, studies: Sequence[str], seeds: Sequence[int], runs_dir: Path) -> Results:
    """Read what the runs of a profile left.

    Parameters
    ----------
    profile : str
        Name of the profile.
    studies : sequence of str
        Names of the studies and leaderboards, in the order of the report.
    seeds : sequence of int
        Seeds whose results belong in the tables.
    runs_dir : Path
        Folder that holds ``<profile>/<study>/seed-<k>/<notebook>/``.

    Returns
    -------
    Results
        A notebook that left no manifest did not finish: it counts as missing, and `gaps` names it.

    Raises
    ------
    UserError
        If a study or the profile is unknown, or a file is missing or malformed.
    """
    topics = {name: config.load_topic(name) for name in studies}
    profile = config.load_profile(profile).profile
    places_of = {name: places.topic(profile, name, runs_dir) for name in topics}
    not_run: dict[str, str] = {}
    data: dict[str, dict[str, Any]] = {}
    notebooks: list[NotebookRun] = []
    for study in topics:
        place = places_of[study]
        if place.not_run.is_file():
            not_run[study] = str(_read_json(place.not_run, "reason")["reason"])
            continue
        finished = [run for seed in seeds for run in _notebooks(place, profile, study, seed)]
        if not finished:
            not_run[study] = "no notebook of this study finished"
            continue
        data[study] = _read_json(
            place.data,
            *("dataset", "requested", "substituted", "reason", "source", "n"),
            *("images_sha256", "labels_sha256"),
        )
        notebooks += finished
    # A study and a leaderboard have other notebooks.
    gaps = [
        gap
        for kind in (config.Study, config.Leaderboard)
        for gap in _unfinished(
            {name: places_of[name] for name in data if isinstance(topics[name], kind)},
            seeds,
            notebooks,
        )
    ]
    # Files of a failed notebook come from an earlier run of it.
    good = [run for run in notebooks if not run.manifest.failed]
    metrics, disagreements = _read_metrics(good)
    boards = {n: topic for n, topic in topics.items() if isinstance(topic, config.Leaderboard)}
    return Results(
        profile=config.load_profile(profile),
        studies={name: topic for name, topic in topics.items() if name not in boards},
        boards={name: board for name, board in boards.items() if name not in not_run},
        seeds=tuple(seeds),
        notebooks=tuple(notebooks),
        data=data,
        not_run=not_run,
        gaps=(*gaps, *_failures(notebooks), *disagreements),
        metrics=metrics,
        assignments=_read_assignments(good),
        confusion=_read_confusion(good),
        facts=_facts_of(notebooks),
        starts=STARTS_TABLE.joined(_tables(good, STARTS_TABLE)),
        losses=LOSSES_TABLE.joined(_tables(good, LOSSES_TABLE)),
        costs=COSTS_TABLE.joined(_tables(good, COSTS_TABLE)),
        label_free=LABEL_FREE_TABLE.joined(_tables(good, LABEL_FREE_TABLE)),
        numbers=NUMBERS_TABLE.joined(_tables(good, NUMBERS_TABLE)),
        new_images=NEW_IMAGES_TABLE.joined(_tables(good, NEW_IMAGES_TABLE)),
        reliability=RELIABILITY_TABLE.joined(_tables(good, RELIABILITY_TABLE)),
        labels=_read_labels(good),
    )


def _read_json(path: Path, *keys: str) -> dict[str, Any]:
    try:
        content = files_module.read_json(path)
    except FileNotFoundError:
        raise errors.UserError(f"{path}: missing: run the study again") from None
    except ValueError as error:
        raise errors.UserError(f"{path}: not valid JSON ({error}): run the study again") from None
    absent = [key for key in keys if not isinstance(content, dict) or key not in content]
    if absent:
        raise errors.UserError(f"{path}: key {absent[0]!r} is missing: run the study again")
    return content


def _notebooks(place: places.Topic, profile: str, study: str, seed: int) -> list[NotebookRun]:
    return [notebook_run(path, profile, study, seed) for path in place.manifests(seed)]


def notebook_run(path: Path, profile: str, study: str, seed: int) -> NotebookRun:
    """Read the manifest that a notebook left, and see that its files are there.

    Raises
    ------
    UserError
        If it is missing or malformed, belongs to another run, has an undeclared fact, or names a
        missing file, or if a file of its folder was changed after the notebook ended.
    """
    content = _read_json(path)
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"])
        raise errors.UserError(f"{path}: key {key!r}: {problem['msg']}") from None
    recorded = (manifest.profile, manifest.study, manifest.seed, manifest.notebook)
    expected = (profile, study, seed, path.parent.name)
    if recorded != expected:
        raise errors.UserError(f"{path}: is of {recorded}, but lies in the folder of {expected}")
    try:
        for name, value in manifest.facts.items():
            facts.require(manifest.notebook, name, value)
    except errors.UserError as error:
        raise errors.UserError(f"{path}: {error}") from None
    files = [name for figure in manifest.figures for name in (figure.svg, figure.png, figure.csv)]
    for name in [*files, *(table.csv for table in manifest.tables), *manifest.files]:
        if name is not None and not (path.parent / name).is_file():
            raise errors.UserError(f"{path}: names {name!r}, which is missing: run it again")
    if damaged := files_module.damaged_files(path.parent):
        raise errors.UserError(
            f"{path.parent / damaged[0]}: was changed or damaged after it was written: remove the "
            f"folder {path.parent} and run again"
        )
    return NotebookRun(study, seed, manifest.notebook, path.parent, manifest)


def _unfinished(
    studies: dict[str, places.Topic], seeds: Sequence[int], finished: list[NotebookRun]
) -> list[str]:
    """List the notebooks that were started and did not finish, with studies and seeds."""
    begun = {
        path.name
        for place in studies.values()
        for seed in seeds
        for path in place.seed(seed).glob("*/")
    }
    done = {(run.study, run.notebook, run.seed) for run in finished}
    gaps = []
    for study in studies:
        for notebook in sorted(begun):
            missing = [
                str(seed)
                for seed in seeds
                if (notebook not in UNTRAINED_NOTEBOOKS or seed == min(seeds))
                and (study, notebook, seed) not in done
            ]
            if missing:
                which = f"seed{'s'[: len(missing) - 1]} {', '.join(missing)}"
                gaps.append(
                    f"{study}: {which}: notebook {notebook} did not finish; left out of all means"
                )
    return gaps


def _failures(notebooks: Iterable[NotebookRun]) -> list[str]:
    return [
        f"{run.study}: seed {run.seed} failed in {run.notebook}: {run.manifest.failed}; "
        "left out of all means"
        for run in notebooks
        if run.manifest.failed
    ]


def _facts_of(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    rows = [
        (run.study, run.seed, run.notebook, name, value)
        for run in notebooks
        for name, value in (run.manifest.facts | {FAILED: run.manifest.failed}).items()
        if value is not None
    ]
    return pd.DataFrame(rows, columns=list(FACTS_TABLE.columns), dtype=object)


def _tables(notebooks: Iterable[NotebookRun], schema: tables.Table) -> list[pd.DataFrame]:
    """Read a table of each notebook that wrote it."""
    paths = [run.file(schema.file) for run in notebooks]
    return [schema.read(path) for path in paths if path]


def _read_confusion(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    counts = CONFUSION_TABLE.joined(_tables(notebooks, CONFUSION_TABLE))
    return counts.drop_duplicates([*COMBINATION, "seed", "class", "cluster"], ignore_index=True)


def _read_labels(notebooks: Iterable[NotebookRun]) -> dict[str, np.ndarray]:
    """Read the classes of each leaderboard's images; they are the same for all its seeds."""
    return {
        run.study: LABELS_TABLE.read(path)["class"].to_numpy()
        for run in notebooks
        if (path := run.file(LABELS_TABLE.file))
    }


def _read_metrics(notebooks: Iterable[NotebookRun]) -> tuple[pd.DataFrame, list[str]]:
    """Join all metrics; where two notebooks scored the same clustering, the earlier one counts.

    Also list where their values differ.
    """
    rows = METRICS_TABLE.joined(_tables(notebooks, METRICS_TABLE))
    if rows.empty:
        return rows, []
    key = ["profile", *COMBINATION, "seed", "metric"]
    spread = rows.groupby(key)["value"].agg(lambda values: values.max() - values.min())
    differing = spread[spread > 1e-6].reset_index()
    disagreements = [
        f"{row.study}: two notebooks differ in {row.metric} of {row.representation}/{row.space}/"
        f"{row.clusterer} (n = {row.n}, seed {row.seed}) by {row.value:.2g}; the first one counts"
        for row in differing.itertuples()
    ]
    return rows.drop_duplicates(key, ignore_index=True), disagreements


def _read_assignments(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    """Join all assignments; of a clustering that two notebooks recorded, the earlier one counts."""
    seen: set[tuple] = set()
    parts = []
    for frame in _tables(notebooks, ASSIGNMENTS_TABLE):
        for key, part in frame.groupby([*COMBINATION, "seed"], sort=False):
            if key not in seen:
                seen.add(key)
                parts.append(part)
    words = [name for name, kind in ASSIGNMENTS_TABLE.types.items() if kind == "str"]
    joined = ASSIGNMENTS_TABLE.joined(parts)
    return joined if joined.empty else joined.astype(dict.fromkeys(words, "category"))
