"""Numbers of runs: over seeds, beside what papers report, and beside each other."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils import config
from utils.vocabulary import SPREAD_METRICS

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
SUBSTITUTE = "efficientnet_lite0"


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
    if not values and not parts:
        parts.append("this run has no such value")
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
