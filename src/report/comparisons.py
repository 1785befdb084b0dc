"""Numbers of runs over seeds, and beside each other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from report.statistics import Difference, welch_interval
from utils import config
from utils.config.metrics_table import METRICS
from utils.store.tables import COMBINATION


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
        Columns of `tables.METRICS_TABLE`.
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


def run_values(
    metrics: pd.DataFrame,
    study: config.Study,
    representation: str,
    space: str,
    clusterer: str,
    metric: str,
    n: int | None = None,
) -> dict[int, float]:
    """Return one metric's value for each run of a study's protocol, by seed.

    Where the protocol fixes the seed of k-means and nothing is trained, all seeds are one run.
    Arguments are those of `seed_values`.
    """
    values = seed_values(metrics, study.study, representation, space, clusterer, metric, n)
    is_trained = representation.startswith("autoencoder")
    if study.kmeans.random_state is not None and not is_trained:
        return dict(list(values.items())[:1])
    return values


def values_to_compare(
    metrics: pd.DataFrame,
    starts: pd.DataFrame | None,
    study: config.Study,
    place: tuple[str, str, str],
    metric: str,
    n: int,
) -> dict[int, float]:
    """Return the values of a clustering that are compared with those of another.

    Those of `run_values`. But a protocol that fixes the seed of k-means has a single run where
    nothing is trained: its seed is arbitrary, and the starts of k-means from other seeds, where
    they are recorded, show how much depends on it.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    starts : DataFrame or None
        Columns of `tables.STARTS_TABLE`.
    study : Study
    place : (str, str, str)
        Representation, space and clusterer.
    metric : str
    n : int
        Number of images.

    Returns
    -------
    dict of int to float
        Seed, of the run or of k-means, to value.
    """
    runs = run_values(metrics, study, *place, metric, n)
    if starts is None or len(runs) != 1 or place[0].startswith("autoencoder"):
        return runs
    own = starts[
        (starts["study"] == study.study)
        & (starts["representation"] == place[0])
        & (starts["space"] == place[1])
        & (starts["clusterer"] == place[2])
        & (starts["metric"] == metric)
        & (starts["n"] == n)
    ].sort_values("kmeans_seed")
    return {int(row.kmeans_seed): float(row.value) for row in own.itertuples()} or runs


def fact_values(facts: pd.DataFrame, study: str, fact: config.Fact) -> dict[int, float]:
    """Return one recorded number for each seed that has it; see `fact_texts`."""
    return {seed: float(text) for seed, text in fact_texts(facts, study, fact).items()}


def fact_texts(facts: pd.DataFrame, study: str, fact: config.Fact) -> dict[int, str]:
    """Return what was recorded as one fact, for each seed that has it.

    Parameters
    ----------
    facts : DataFrame
        Columns of `tables.FACTS_TABLE`.
    study : str
    fact : config.Fact

    Returns
    -------
    dict of int to str
        Seed to value, ascending.
    """
    rows = facts[
        (facts["study"] == study)
        & (facts["notebook"] == fact.notebook)
        & (facts["fact"] == fact.name)
    ]
    return {int(row.seed): str(row.value) for row in rows.sort_values("seed").itertuples()}


def not_run_reason(facts: pd.DataFrame, study: str, representation: str) -> str | None:
    """Say why a representation was not run, as a notebook recorded it; None if none did."""
    name = f"not_run_{representation}"
    reasons = facts.loc[(facts["study"] == study) & (facts["fact"] == name), "value"]
    return None if reasons.empty else str(reasons.iloc[0])


def summary(metrics: pd.DataFrame) -> pd.DataFrame:
    """Summarise every metric over the seeds.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.

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
    """One metric of two clusterings of the same images, each with a value per run.

    `confidence` is that of the interval of their difference.
    """

    ours: tuple[float, ...]
    other: tuple[float, ...]
    higher_is_better: bool = True
    confidence: float = 0.95

    @property
    def our_mean(self) -> float:
        """Mean of `ours`."""
        return float(np.mean(self.ours))

    @property
    def other_mean(self) -> float:
        """Mean of `other`."""
        return float(np.mean(self.other))

    @property
    def difference(self) -> Difference | None:
        """Ours minus the other, with its Welch interval; None if a side has a single run."""
        return welch_interval(self.ours, self.other, self.confidence, self.higher_is_better)

    @property
    def outcome(self) -> str:
        """``better`` or ``worse`` if the interval excludes 0, else ``undecided``.

        It is undecided too if a side has a single run.
        """
        return self.difference.outcome if self.difference else "undecided"

    @property
    def difference_in_words(self) -> str:
        """The difference and its interval, or why there is none."""
        found = self.difference
        if found is None:
            single = [n for n in (len(self.ours), len(self.other)) if n < 2]
            side = "both sides have" if len(single) == 2 else "one side has"
            return f"{side} a single run, so that the spread is unknown"
        return (
            f"difference {found.difference:.4f}, {100 * self.confidence:g} % interval "
            f"{found.low:.4f} to {found.high:.4f}"
        )


def compare(
    metrics: pd.DataFrame,
    study: config.Study,
    ours: tuple[str, str, str],
    other: tuple[str, str, str],
    metric: str,
    n: int,
    starts: pd.DataFrame | None = None,
) -> Comparison | None:
    """Compare two clusterings of the same `n` images by one metric.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    study : Study
    ours, other : (str, str, str)
        Representation, space and clusterer of each.
    metric : str
        `metrics_table.METRICS` says whether more of it is better.
    n : int
        Number of images that both must have.
    starts : DataFrame, optional
        As for `values_to_compare`.

    Returns
    -------
    Comparison or None
        None if one of them has no value.
    """
    our_values = values_to_compare(metrics, starts, study, ours, metric, n)
    other_values = values_to_compare(metrics, starts, study, other, metric, n)
    if not our_values or not other_values:
        return None
    return Comparison(
        tuple(our_values.values()),
        tuple(other_values.values()),
        METRICS[metric].sign > 0,
        config.load_verdict_rule().confidence,
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
