"""Reported values compared with ours, and the verdicts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from report.comparisons import fact_values, not_run_reason, seed_values
from utils import config
from utils.config.facts import Kind, declared
from utils.config.vocabulary import NAMES, SUBSTITUTE
from utils.store.tables import FAILED, VERDICTS_TABLE

if TYPE_CHECKING:
    from report.collect import Results


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
    """Compare a reported value with ours by the rule that the report states.

    Parameters
    ----------
    reported : float
        The paper's value.
    low, high : float
        Our interval; both are the value itself where there is one seed.
    tolerance : float
        Absolute, fixed in advance in the study's file; widens our interval on both sides.

    Returns
    -------
    {"reproduced", "above", "below"}
        ``above``: our widened interval lies entirely above the reported value.
    """
    if low - tolerance > reported:
        return "above"
    if high + tolerance < reported:
        return "below"
    return "reproduced"


def verdicts(results: Results) -> pd.DataFrame:
    """Return the table of `reported_vs_reproduced` for everything that was collected."""
    return reported_vs_reproduced(
        results.metrics,
        results.facts,
        results.studies.values(),
        results.profile.reduced,
        results.substituted,
    )


def kind_of(figure: config.Reported) -> Kind:
    """Return the kind of a reported value, by which it is formatted."""
    if figure.fact is not None:
        return declared(figure.fact.notebook, figure.fact.name).kind
    return "count" if figure.metric == "k_found" else "score"


def kinds_of(studies: Iterable[config.Study]) -> dict[tuple[str, str], Kind]:
    """Map the study and the name of each reported value to its kind."""
    return {
        (study.study, figure.figure): kind_of(figure)
        for study in studies
        for figure in study.reported
    }


def reported_vs_reproduced(
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    studies: Iterable[config.Study],
    reduced: bool,
    substituted: Collection[str] = (),
) -> pd.DataFrame:
    """Compare each reported value with the mean over seeds.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    facts : DataFrame
        Columns of `tables.FACTS_TABLE`.
    studies : iterable of Study
        Studies with their reported values.
    reduced : bool
        Whether the profile is reduced, which tests no reported value.
    substituted : collection of str
        Names of the studies that used other data than their protocol requires.

    Returns
    -------
    DataFrame
        Columns of `VERDICTS_TABLE`, a row per reported value. The interval is missing with fewer
        than two seeds; the mean is missing with none. ``seed_values`` has each seed's
        value or the word "failed"; ``note`` says why there is none, and what a substitute gives.
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
                    "seed_values": _each_seed(by_seed, failed, kind_of(figure)),
                    "note": _note_on(metrics, facts, study.study, figure, by_seed, failed),
                }
            )
    return pd.DataFrame(rows, columns=list(VERDICTS_TABLE.columns))


def values_of(
    metrics: pd.DataFrame, facts: pd.DataFrame, study: str, figure: config.Reported
) -> dict[int, float]:
    """Return our value of a reported quantity for each seed that has one."""
    if figure.fact is not None:
        return fact_values(facts, study, figure.fact)
    place = (figure.representation, figure.space, figure.clusterer)
    return seed_values(metrics, study, *place, figure.metric)


def _failed_seeds(facts: pd.DataFrame, study: str) -> dict[int, str]:
    """Map each seed that failed to what its first failed notebook says."""
    rows = facts[(facts["study"] == study) & (facts["fact"] == FAILED)]
    rows = rows.sort_values(["seed", "notebook"]).drop_duplicates("seed")
    return {int(row.seed): str(row.value) for row in rows.itertuples()}


def _each_seed(values: dict[int, float], failed: dict[int, str], kind: Kind) -> str:
    written = {seed: _written(value, kind) for seed, value in values.items()}
    shown = dict.fromkeys(failed, FAILED) | written
    return "; ".join(shown[seed] for seed in sorted(shown))


def _written(value: float, kind: Kind) -> str:
    """Write a count whole and a score with four decimals."""
    return f"{value:,.0f}" if kind == "count" else f"{value:.4f}"


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
            mean = _written(np.mean([*instead.values()]), kind_of(figure))
            parts.append(f"{NAMES[SUBSTITUTE]} as a substitute gives {mean}")
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
    """Compare each reported value of the autoencoder with ours as run and under each variant.

    Returns
    -------
    list of (str, Reported, dict of int to float, dict of int to float)
        Name of the variant, the reported value, and seed to value as run and under the variant;
        only those with values.
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
