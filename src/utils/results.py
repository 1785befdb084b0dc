"""The folders that runs leave, read into one set of tables; the verdict on each reported figure."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from utils import artifacts, config

METRIC_COLUMNS = (
    "profile",
    "study",
    "dataset",
    "n",
    "seed",
    "representation",
    "space",
    "clusterer",
    "k_found",
    "noise_fraction",
    "metric",
    "value",
)
ASSIGNMENT_COLUMNS = (
    "study",
    "seed",
    "representation",
    "space",
    "clusterer",
    "index",
    "cluster",
    "n",
)
VERDICT_COLUMNS = (
    "study",
    "figure",
    "reported",
    "reproduced_mean",
    "ci_low",
    "ci_high",
    "n_seeds",
    "verdict",
    "seed_values",
    "note",
)
CONFUSION_COLUMNS = (
    *("study", "seed", "representation", "space", "clusterer", "n"),
    *("class", "cluster", "count"),
)
FACT_COLUMNS = ("study", "seed", "notebook", "fact", "value")
# The fact of a notebook that ended with a result of another kind: why there is none.
FAILED = "failed"
COMBINATION = ("study", "representation", "space", "clusterer", "n")
WORDS = {"study": "str", "representation": "str", "space": "str", "clusterer": "str"}
REPORTING_LIBRARIES = ("pandas", "matplotlib", "papermill", "snakemake", "pypandoc_binary", "typst")
# Metrics whose spread over seeds of k-means the notebooks record.
SPREAD_METRICS = ("ari", "nmi", "purity", "acc")
SUBSTITUTE = "efficientnet_lite0"


class Figure(BaseModel):
    """A figure of one notebook; its files are paths relative to the notebook's folder."""

    name: str
    caption: str
    alt: str
    svg: str | None = None
    png: str | None = None


class Table(BaseModel):
    """A table of one notebook; `csv` is a path relative to the notebook's folder."""

    name: str
    caption: str
    csv: str


class Manifest(BaseModel):
    """What one executed notebook says that it left."""

    notebook: str
    study: str
    profile: str
    seed: int
    seconds: float
    peak_memory_mb: float | None = None
    started: str
    finished: str
    figures: list[Figure] = []
    tables: list[Table] = []
    facts: dict[str, int | float | str | bool | None] = {}
    notes: list[str] = []
    failed: str | None = None


@dataclass(frozen=True)
class NotebookRun:
    """One executed notebook of one study and seed, and the folder that it left."""

    study: str
    seed: int
    notebook: str
    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class Results:
    """Everything that the runs of a profile left.

    `studies` has each study that was asked for; those in `not_run` (study to reason) have no
    results. `data` maps a study that was run to its ``data.json``. `gaps` says in words what is
    missing or doubtful.
    """

    profile: config.Profile
    studies: dict[str, config.Study]
    seeds: tuple[int, ...]
    notebooks: tuple[NotebookRun, ...]
    data: dict[str, dict[str, Any]]
    not_run: dict[str, str]
    gaps: tuple[str, ...]
    metrics: pd.DataFrame
    assignments: pd.DataFrame
    confusion: pd.DataFrame
    facts: pd.DataFrame

    @property
    def substituted(self) -> list[str]:
        """Names of the studies that got other data than their protocol asks for."""
        return [study for study, data in self.data.items() if data["substituted"]]

    def first_runs(self, study: str) -> list[NotebookRun]:
        """List each notebook of `study` once, from the first seed that finished it well."""
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
        Names of the studies, in the order of the report.
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
    loaded = {name: config.load_study(name) for name in studies}
    folder = Path(runs_dir) / config.load_profile(profile).profile
    not_run: dict[str, str] = {}
    data: dict[str, dict[str, Any]] = {}
    notebooks: list[NotebookRun] = []
    gaps: list[str] = []
    for study in loaded:
        if (folder / study / "not_run.json").is_file():
            not_run[study] = str(_read_json(folder / study / "not_run.json", "reason")["reason"])
            continue
        finished = [run for seed in seeds for run in _notebooks(folder, study, seed)]
        if not finished:
            not_run[study] = "no notebook of this study finished"
            continue
        data[study] = _read_json(
            folder / study / "data.json",
            *("dataset", "requested", "substituted", "reason", "source", "n"),
            *("images_sha256", "labels_sha256"),
        )
        notebooks += finished
        gaps += _unfinished(folder, study, seeds, finished)
    # What an earlier run of a failed notebook left is no result of this one.
    good = [run for run in notebooks if not run.manifest.failed]
    metrics, disagreements = _read_metrics(good)
    return Results(
        profile=config.load_profile(profile),
        studies=loaded,
        seeds=tuple(seeds),
        notebooks=tuple(notebooks),
        data=data,
        not_run=not_run,
        gaps=(*gaps, *_failures(notebooks), *disagreements),
        metrics=metrics,
        assignments=_read_assignments(good),
        confusion=_read_confusion(good),
        facts=_facts_of(notebooks),
    )


def _read_json(path: Path, *keys: str) -> dict[str, Any]:
    try:
        content = artifacts.read_json(path)
    except FileNotFoundError:
        raise config.UserError(f"{path}: missing: run the study again") from None
    except ValueError as error:
        raise config.UserError(f"{path}: not valid JSON ({error}): run the study again") from None
    absent = [key for key in keys if not isinstance(content, dict) or key not in content]
    if absent:
        raise config.UserError(f"{path}: key {absent[0]!r} is missing: run the study again")
    return content


def _notebooks(folder: Path, study: str, seed: int) -> list[NotebookRun]:
    paths = sorted((folder / study / f"seed-{seed}").glob("*/manifest.json"))
    return [_notebook_run(path, folder.name, study, seed) for path in paths]


def _notebook_run(path: Path, profile: str, study: str, seed: int) -> NotebookRun:
    content = _read_json(path)
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"])
        raise config.UserError(f"{path}: key {key!r}: {problem['msg']}") from None
    found = (manifest.profile, manifest.study, manifest.seed, manifest.notebook)
    expected = (profile, study, seed, path.parent.name)
    if found != expected:
        raise config.UserError(f"{path}: is of {found}, but lies in the folder of {expected}")
    files = [name for figure in manifest.figures for name in (figure.svg, figure.png)]
    for name in [*files, *(table.csv for table in manifest.tables)]:
        if name is not None and not (path.parent / name).is_file():
            raise config.UserError(f"{path}: names {name!r}, which is missing: run it again")
    return NotebookRun(study, seed, manifest.notebook, path.parent, manifest)


def _unfinished(
    folder: Path, study: str, seeds: Sequence[int], finished: list[NotebookRun]
) -> list[str]:
    """Say which notebooks, begun for some seed, have no manifest for which seed."""
    begun = {path.name for seed in seeds for path in (folder / study / f"seed-{seed}").glob("*/")}
    done = {(run.seed, run.notebook) for run in finished}
    return [
        f"{study}: seed {seed} has no finished notebook {notebook}; it is in no mean"
        for seed in seeds
        for notebook in sorted(begun)
        if (seed, notebook) not in done
    ]


def _failures(notebooks: Iterable[NotebookRun]) -> list[str]:
    return [
        f"{run.study}: seed {run.seed} failed in {run.notebook}: {run.manifest.failed}; "
        "it is in no mean"
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
    return pd.DataFrame(rows, columns=list(FACT_COLUMNS), dtype=object)


def _read_confusion(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    types = {**WORDS, "class": "str"}
    paths = [run.folder / "confusion.csv" for run in notebooks]
    # Class names such as "0" and "None" are words.
    tables = [
        pd.read_csv(path, dtype=types, keep_default_na=False) for path in paths if path.is_file()
    ]
    if not tables:
        return pd.DataFrame(columns=list(CONFUSION_COLUMNS))
    joined = pd.concat(tables, ignore_index=True)
    absent = [column for column in CONFUSION_COLUMNS if column not in joined.columns]
    if absent:
        raise config.UserError(f"confusion.csv: column {absent[0]!r} is missing: run it again")
    return joined.drop_duplicates([*COMBINATION, "seed", "class", "cluster"], ignore_index=True)


def _read_metrics(notebooks: Iterable[NotebookRun]) -> tuple[pd.DataFrame, list[str]]:
    """Join all metrics; where two notebooks scored the same thing, the earlier one's row stays."""
    tables = [_read_metrics_of(run) for run in notebooks]
    frames = [table for table in tables if not table.empty]
    if not frames:
        return pd.DataFrame(columns=list(METRIC_COLUMNS)), []
    rows = pd.concat(frames, ignore_index=True)
    key = ["profile", *COMBINATION, "seed", "metric"]
    spread = rows.groupby(key)["value"].agg(lambda values: values.max() - values.min())
    doubtful = spread[spread > 1e-6].reset_index()
    disagreements = [
        f"{row.study}: two notebooks differ in {row.metric} of {row.representation}/{row.space}/"
        f"{row.clusterer} (n = {row.n}, seed {row.seed}) by {row.value:.2g}; the first one counts"
        for row in doubtful.itertuples()
    ]
    return rows.drop_duplicates(key, ignore_index=True), disagreements


def _read_metrics_of(run: NotebookRun) -> pd.DataFrame:
    path = run.folder / "metrics.csv"
    try:
        frame = pd.read_csv(path, dtype={**WORDS, "n": "int64", "seed": "int64", "value": "float"})
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return pd.DataFrame(columns=list(METRIC_COLUMNS))  # this notebook scored nothing
    except ValueError as error:
        raise config.UserError(f"{path}: malformed ({error}): run the notebook again") from None
    absent = [column for column in METRIC_COLUMNS if column not in frame.columns]
    if absent:
        raise config.UserError(f"{path}: column {absent[0]!r} is missing: run the notebook again")
    return frame[list(METRIC_COLUMNS)]


def _read_assignments(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    seen: set[tuple] = set()
    parts = []
    for run in notebooks:
        path = run.folder / "assignments.parquet"
        if not path.is_file():
            continue
        frame = pd.read_parquet(path, columns=list(ASSIGNMENT_COLUMNS))
        for key, part in frame.groupby([*COMBINATION, "seed"], observed=True, sort=False):
            if key not in seen:
                seen.add(key)
                parts.append(part)
    if not parts:
        return pd.DataFrame(columns=list(ASSIGNMENT_COLUMNS))
    types = {"seed": "int32", "index": "int32", "cluster": "int32", "n": "int32"}
    joined = pd.concat(parts, ignore_index=True).astype(types)
    return joined.astype(dict.fromkeys(WORDS, "category"))


def seed_values(
    metrics: pd.DataFrame,
    study: str,
    representation: str,
    space: str,
    clusterer: str,
    metric: str,
    n: int | None = None,
) -> dict[int, float]:
    """Return one metric's value for each seed that has one.

    Parameters
    ----------
    metrics : DataFrame
        Table with the columns `METRIC_COLUMNS`.
    study, representation, space, clusterer, metric : str
        Which rows; the metric ``k_found`` is the number of clusters found.
    n : int, optional
        Number of images; by default the largest that these rows have.

    Returns
    -------
    dict of int to float
        Seed to value, ascending; a seed without a finite value is absent.
    """
    rows = metrics[
        (metrics["study"] == study)
        & (metrics["representation"] == representation)
        & (metrics["space"] == space)
        & (metrics["clusterer"] == clusterer)
    ]
    if metric == "k_found":
        rows = rows.assign(value=rows["k_found"]).drop_duplicates(["n", "seed"])
    else:
        rows = rows[rows["metric"] == metric]
    rows = rows[rows["n"] == (rows["n"].max() if n is None else n)].sort_values("seed")
    finite = rows[np.isfinite(rows["value"].astype(float))]
    return {int(row.seed): float(row.value) for row in finite.itertuples()}


def fact_values(facts: pd.DataFrame, study: str, fact: config.Fact) -> dict[int, float]:
    """Return one recorded number for each seed that has it.

    Parameters
    ----------
    facts : DataFrame
        Table with the columns `FACT_COLUMNS`.
    study : str
    fact : config.Fact

    Returns
    -------
    dict of int to float
        Seed to value, ascending.
    """
    rows = facts[
        (facts["study"] == study)
        & (facts["notebook"] == fact.notebook)
        & (facts["fact"] == fact.name)
    ]
    return {int(row.seed): float(row.value) for row in rows.sort_values("seed").itertuples()}


def not_run_reason(facts: pd.DataFrame, study: str, representation: str) -> str | None:
    """Say why a representation was not run, as a notebook recorded it; None if none did."""
    name = f"not_run_{representation}"
    reasons = facts.loc[(facts["study"] == study) & (facts["fact"] == name), "value"]
    return None if reasons.empty else str(reasons.iloc[0])


def bootstrap_interval(
    values: Sequence[float], confidence: float = 0.95, resamples: int = 10_000
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of the mean.

    Parameters
    ----------
    values : sequence of float, length S
        One value a seed.
    confidence : float
        In (0, 1).
    resamples : int
        Number of samples drawn with replacement; their generator is seeded, so the answer is fixed.

    Returns
    -------
    (float, float) or None
        The percentiles of the resampled means that leave out half of 1 − `confidence` on each side;
        None for fewer than two values.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if len(values) < 2:
        return None
    sample = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(0).integers(0, len(sample), size=(resamples, len(sample)))
    outside = 50 * (1 - confidence)
    low, high = np.percentile(sample[drawn].mean(axis=1), [outside, 100 - outside])
    return float(low), float(high)


def verdict(reported: float, low: float, high: float, tolerance: float) -> str:
    """Compare a reported figure with ours by the rule that the report states.

    Parameters
    ----------
    reported : float
        The paper's figure.
    low, high : float
        Our interval; both are the value itself where there is one seed.
    tolerance : float
        Absolute, fixed in the study's file beforehand; widens our interval on both sides.

    Returns
    -------
    {"reproduced", "above", "below"}
        ``above``: our whole widened interval lies above the reported figure.
    """
    if low - tolerance > reported:
        return "above"
    if high + tolerance < reported:
        return "below"
    return "reproduced"


def reported_vs_reproduced(
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    studies: Iterable[config.Study],
    reduced: bool,
    substituted: Collection[str] = (),
) -> pd.DataFrame:
    """Set each reported figure beside the mean over seeds.

    Parameters
    ----------
    metrics : DataFrame
        Table with the columns `METRIC_COLUMNS`.
    facts : DataFrame
        Table with the columns `FACT_COLUMNS`.
    studies : iterable of Study
        Studies with their reported figures.
    reduced : bool
        Whether the profile is a reduced one, which tests no published figure.
    substituted : collection of str
        Names of the studies that did not get the data that their protocol asks for.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`, a row per reported figure. The interval is empty with fewer than
        two seeds; the mean is empty with none. ``seed_values`` has each seed's value or the word
        "failed"; ``note`` says why there is none, and what a substitute gives.
    """
    rule = config.load_verdict_rule()
    rows = []
    for study in studies:
        failed = _failed_seeds(facts, study.study)
        for figure in study.reported:
            by_seed = values_of(metrics, facts, study.study, figure)
            values = list(by_seed.values())
            interval = bootstrap_interval(values, rule.confidence, rule.resamples)
            rows.append(
                {
                    "study": study.study,
                    "figure": figure.figure,
                    "reported": figure.value,
                    "reproduced_mean": float(np.mean(values)) if values else np.nan,
                    "ci_low": interval[0] if interval else np.nan,
                    "ci_high": interval[1] if interval else np.nan,
                    "n_seeds": len(values),
                    "verdict": _verdict_on(
                        figure, values, interval, reduced, study.study in substituted, failed
                    ),
                    "seed_values": _each_seed(by_seed, failed),
                    "note": _note_on(metrics, facts, study.study, figure, by_seed, failed),
                }
            )
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def values_of(
    metrics: pd.DataFrame, facts: pd.DataFrame, study: str, figure: config.Reported
) -> dict[int, float]:
    """Return our value for a reported figure for each seed that has one."""
    if figure.fact is not None:
        return fact_values(facts, study, figure.fact)
    place = (figure.representation, figure.space, figure.clusterer)
    return seed_values(metrics, study, *place, figure.metric)


def _failed_seeds(facts: pd.DataFrame, study: str) -> dict[int, str]:
    """Map each seed that failed to what its first failed notebook says."""
    rows = facts[(facts["study"] == study) & (facts["fact"] == FAILED)]
    rows = rows.sort_values(["seed", "notebook"]).drop_duplicates("seed")
    return {int(row.seed): str(row.value) for row in rows.itertuples()}


def _each_seed(values: dict[int, float], failed: dict[int, str]) -> str:
    shown = {**dict.fromkeys(failed, FAILED), **{s: shorten(v) for s, v in values.items()}}
    return "; ".join(shown[seed] for seed in sorted(shown))


def shorten(value: float) -> str:
    """Write a count whole and a score with four decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}"


def _note_on(
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    study: str,
    figure: config.Reported,
    values: dict[int, float],
    failed: dict[int, str],
) -> str:
    parts = [f"seed {s} failed: {reason}" for s, reason in failed.items() if s not in values]
    if not values and figure.representation is not None:
        reason = not_run_reason(facts, study, figure.representation)
        parts += [reason.rstrip(".")] if reason else []
        place = (SUBSTITUTE, figure.space, figure.clusterer)
        instead = seed_values(metrics, study, *place, figure.metric)
        if instead:
            parts.append(
                f"EfficientNet-Lite0 as a substitute gives {shorten(np.mean([*instead.values()]))}"
            )
    return "; ".join(parts)


def _verdict_on(
    figure: config.Reported,
    values: list[float],
    interval: tuple[float, float] | None,
    reduced: bool,
    substituted: bool,
    failed: Collection[int],
) -> str:
    if not values:
        return FAILED if failed else "not run"
    if reduced:
        return "not tested (reduced run)"
    if substituted:
        return "not tested (substitute data)"
    low, high = interval or (values[0], values[0])
    return verdict(figure.value, low, high, figure.tolerance)


def sensitivity(
    metrics: pd.DataFrame, facts: pd.DataFrame, study: config.Study
) -> list[tuple[str, config.Reported, dict[int, float], dict[int, float]]]:
    """Set each reported figure of the autoencoder beside ours as run and under each variant.

    Returns
    -------
    list of (str, Reported, dict of int to float, dict of int to float)
        Name of the variant, the reported figure, and seed to value as run and under the variant;
        only variants and figures that have values.
    """
    found = []
    for variant in study.variants:
        for figure in study.reported:
            if figure.representation != "autoencoder":
                continue
            other = figure.model_copy(update={"representation": f"autoencoder-{variant.name}"})
            values = values_of(metrics, facts, study.study, other)
            if values:
                as_run = values_of(metrics, facts, study.study, figure)
                found.append((variant.name, figure, as_run, values))
    return found


@dataclass(frozen=True)
class Spread:
    """How far a metric of the study's main clustering varies, by where the variation comes from.

    `networks` is the standard deviation over seeds of the network (NaN for fewer than two);
    `clusterings` that over seeds of k-means on one network, pooled over the networks.
    """

    metric: str
    networks: float
    n_networks: int
    clusterings: float


def spreads(metrics: pd.DataFrame, facts: pd.DataFrame, study: config.Study) -> list[Spread]:
    """Return the spread of each metric over networks and, apart from it, over clusterings."""
    found = []
    for metric in SPREAD_METRICS:
        fact = config.Fact(notebook="03_latent_clustering", name=f"kmeans_sd_{metric}")
        clusterings = list(fact_values(facts, study.study, fact).values())
        place = ("autoencoder", study.space.label, "kmeans")
        values = list(seed_values(metrics, study.study, *place, metric).values())
        if clusterings and values:
            found.append(
                Spread(
                    metric,
                    float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
                    len(values),
                    float(np.sqrt(np.mean(np.square(clusterings)))),
                )
            )
    return found


def summary(metrics: pd.DataFrame) -> pd.DataFrame:
    """Summarise every metric over the seeds.

    Parameters
    ----------
    metrics : DataFrame
        Table with the columns `METRIC_COLUMNS`.

    Returns
    -------
    DataFrame
        A row per combination of `COMBINATION` and metric, in order of appearance, with ``mean``,
        ``sd`` (sample standard deviation, empty for one seed), ``n_seeds``, ``k_low``, ``k_high``
        (clusters found, least and most) and ``noise`` (mean fraction of noise, 0 to 1). A row
        without a finite value is left out.
    """
    finite = metrics[np.isfinite(metrics["value"].astype(float))]
    grouped = finite.groupby([*COMBINATION, "metric"], sort=False)
    return grouped.agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        n_seeds=("seed", "nunique"),
        k_low=("k_found", "min"),
        k_high=("k_found", "max"),
        noise=("noise_fraction", "mean"),
    ).reset_index()


@dataclass(frozen=True)
class Comparison:
    """One metric of two clusterings of the same images, each with a value per seed."""

    ours: tuple[float, ...]
    other: tuple[float, ...]
    higher_is_better: bool = True

    @property
    def our_mean(self) -> float:
        """Mean of `ours`."""
        return float(np.mean(self.ours))

    @property
    def other_mean(self) -> float:
        """Mean of `other`."""
        return float(np.mean(self.other))

    @property
    def outcome(self) -> str:
        """``better`` or ``worse``; where the seeds' ranges overlap, ``no clear difference``."""
        if min(self.ours) > max(self.other):
            return "better" if self.higher_is_better else "worse"
        if max(self.ours) < min(self.other):
            return "worse" if self.higher_is_better else "better"
        return "no clear difference"

    @property
    def single_seed(self) -> bool:
        """Whether one side has one seed only, so that its spread is unknown."""
        return min(len(self.ours), len(self.other)) < 2


def compare(
    metrics: pd.DataFrame,
    study: str,
    ours: tuple[str, str, str],
    other: tuple[str, str, str],
    metric: str,
    n: int,
) -> Comparison | None:
    """Compare two clusterings of the same `n` images by one metric.

    Parameters
    ----------
    metrics : DataFrame
        Table with the columns `METRIC_COLUMNS`.
    study, metric : str
        Which rows; of ``davies_bouldin`` less is better.
    ours, other : (str, str, str)
        Representation, space and clusterer of each.
    n : int
        Number of images that both must have.

    Returns
    -------
    Comparison or None
        None if one of them has no value.
    """
    our_values = seed_values(metrics, study, *ours, metric, n)
    other_values = seed_values(metrics, study, *other, metric, n)
    if not our_values or not other_values:
        return None
    return Comparison(
        tuple(our_values.values()), tuple(other_values.values()), metric != "davies_bouldin"
    )


@dataclass(frozen=True)
class Ranked:
    """A representation's clustering by k-means: means over the seeds."""

    representation: str
    ari: float
    silhouette: float
    davies_bouldin: float


@dataclass(frozen=True)
class Ranking:
    """Representations of the same images, by agreement with the labels, best first.

    `silhouette_agrees` and `davies_bouldin_agrees` count the pairs, of `pairs`, that the index,
    measured in each representation's own space, puts in the same order as the labels do.
    """

    n: int
    rows: tuple[Ranked, ...]
    pairs: int
    silhouette_agrees: int
    davies_bouldin_agrees: int


def rank_representations(metrics: pd.DataFrame, study: config.Study, n: int) -> Ranking | None:
    """Rank the representations of the first `n` images; None if fewer than two have all values."""
    rows = metrics[
        (metrics["study"] == study.study)
        & (metrics["n"] == n)
        & (metrics["clusterer"] == "kmeans")
        & ~metrics["representation"].str.startswith("autoencoder-")
    ]
    rows = rows[(rows["space"] == "raw") | (rows["representation"] == "autoencoder")]
    means = rows.pivot_table(index="representation", columns="metric", values="value")
    needed = ["ari", "silhouette", "davies_bouldin"]
    if not set(needed) <= set(means.columns):
        return None
    means = means[needed].dropna().sort_values("ari", ascending=False, kind="stable")
    if len(means) < 2:
        return None
    ranked = tuple(Ranked(row.Index, *row[1:]) for row in means.itertuples())
    pairs = list(itertools.combinations(ranked, 2))
    return Ranking(
        n,
        ranked,
        len(pairs),
        sum(better.silhouette > worse.silhouette for better, worse in pairs),
        sum(better.davies_bouldin < worse.davies_bouldin for better, worse in pairs),
    )


def figure_stems(results: Results) -> dict[tuple[str, str, str], str]:
    """Name the copy of each figure without its suffix.

    Returns
    -------
    dict of (str, str, str) to str
        (study, notebook, figure) to ``<study>-<figure>``; letters that are no good in a file's name
        become hyphens, and a second figure of one name gets a number.
    """
    stems: dict[tuple[str, str, str], str] = {}
    for study in results.studies:
        for run in results.first_runs(study):
            for figure in run.manifest.figures:
                stem = f"{study}-{re.sub(r'[^A-Za-z0-9_-]+', '-', figure.name)}"
                stems[study, run.notebook, figure.name] = _unused(stem, stems.values())
    return stems


def _unused(name: str, taken: Collection[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def write_results(results: Results, out: Path) -> None:
    """Write the tables, the record of the run and the figures into `out`, each file atomically."""
    out = Path(out)
    with artifacts.atomic_path(out / "metrics.csv") as temporary:
        results.metrics.to_csv(temporary, index=False)
    with artifacts.atomic_path(out / "assignments.parquet") as temporary:
        results.assignments.to_parquet(temporary, index=False, compression="zstd")
    for name, table in (
        ("reported_vs_reproduced", verdicts(results)),
        ("confusion", results.confusion),
        ("facts", results.facts),
    ):
        with artifacts.atomic_path(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    artifacts.write_json(out / "run.json", record(results))
    stems = figure_stems(results)
    for study in results.studies:
        for run in results.first_runs(study):
            for figure in run.manifest.figures:
                stem = stems[study, run.notebook, figure.name]
                _copy_files(run.folder, figure, out / "figures" / stem)


def _copy_files(folder: Path, figure: Figure, target: Path) -> None:
    for suffix, name in ((".svg", figure.svg), (".png", figure.png)):
        if name is not None:
            with artifacts.atomic_path(target.with_name(target.name + suffix)) as temporary:
                shutil.copyfile(folder / name, temporary)


def verdicts(results: Results) -> pd.DataFrame:
    """Return the table of `reported_vs_reproduced` for everything that was collected."""
    return reported_vs_reproduced(
        results.metrics,
        results.facts,
        results.studies.values(),
        results.profile.reduced,
        results.substituted,
    )


def record(results: Results) -> dict[str, Any]:
    """Return what ``run.json`` holds: commit, versions, hardware, data, durations, seeds."""
    commit, dirty, reason = git_state(config.ROOT)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
        "commit_reason": reason,
        "profile": results.profile.model_dump(),
        "studies": list(results.studies),
        "not_run": results.not_run,
        "seeds": list(results.seeds),
        "gaps": list(results.gaps),
        "versions": versions(),
        "hardware": hardware(),
        "data": results.data,
        "seconds": sum(run.manifest.seconds for run in results.notebooks),
        "notebooks": [
            {
                "study": run.study,
                "seed": run.seed,
                "notebook": run.notebook,
                "seconds": run.manifest.seconds,
                "peak_memory_mb": run.manifest.peak_memory_mb,
                "started": run.manifest.started,
                "finished": run.manifest.finished,
            }
            for run in results.notebooks
        ],
    }


def git_state(folder: Path) -> tuple[str | None, bool | None, str | None]:
    """Return the commit of a checkout, whether it has changes, and why there is no commit.

    Returns
    -------
    (str or None, bool or None, str or None)
        Commit and flag with no reason, or None and None with the reason.
    """
    if shutil.which("git") is None:
        return None, None, "git is not installed"
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != Path(folder).resolve():
        return None, None, "the folder is not a git checkout"
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return None, None, "the git checkout has no commit"
    return commit, bool(_git(folder, "status", "--porcelain")), None


def _git(folder: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers and pages depend on."""
    return {
        "python": platform.python_version(),
        **artifacts.library_versions(),
        **{name: importlib.metadata.version(name) for name in REPORTING_LIBRARIES},
    }


def hardware() -> dict[str, Any]:
    """Return processor, cores, memory in GiB, GPU (None if none is found) and operating system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "gpu": _gpu_model(),
        "system": platform.platform(),
    }


def _cpu_model() -> str:
    described = Path("/proc/cpuinfo")
    if described.is_file():
        match = re.search(r"^model name\s*:\s*(.+)$", described.read_text(), re.MULTILINE)
        if match:
            return match[1]
    return platform.processor() or platform.machine()


def _gpu_model() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else None
