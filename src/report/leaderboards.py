"""What a leaderboard's methods say over the seeds: scores, rankings without labels, cost.

The clusterings were made without labels; everything here is scoring.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from report.resampling import IMAGE_RESAMPLES, over_images, over_seeds, percentile_interval
from utils import errors
from utils.config.methods import Method
from utils.config.metrics_table import INTERNAL, METRICS
from utils.metrics.agreement import stability
from utils.store.tables import LEADERBOARD_TABLE

ROW = ("representation", "space", "clusterer", "n")
# Reported with an interval over seeds and images; the first one ranks the rows.
SCORES = ("ari", "acc", "nmi", "ami")
# With their 1,000 kinds; those of ResNet50 and EfficientNet-Lite were trained with them.
IMAGENET_LABELS, NO_LABELS = "ImageNet-1k", "none"
COVERED = ("acc_covered", "ari_covered", "nmi_covered")
# Internal indices; the sign makes more of each one better.
INDICES = {key: METRICS[key].sign for key in INTERNAL}
# Without the leaderboard's name.
BOARD_COLUMNS = LEADERBOARD_TABLE.columns[1:]


# --- the rows ----------------------------------------------------------------------------------


def leaderboard(
    metrics: pd.DataFrame,
    costs: pd.DataFrame,
    assignments: pd.DataFrame,
    labels: np.ndarray,
    confidence: float = 0.95,
    resamples: int = IMAGE_RESAMPLES,
) -> pd.DataFrame:
    """Gather each row of one leaderboard over its seeds.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`, of one leaderboard.
    costs : DataFrame
        Columns of `tables.COSTS_TABLE`; ``seconds`` is the time from images to clusters,
        ``k_given`` whether the method was given the number of classes.
    assignments : DataFrame
        Columns of `tables.ASSIGNMENTS_TABLE`; −1 is noise.
    labels : ndarray of int, shape (N,)
        Class of each image, in the order of ``index``; for scoring only.
    confidence : float
        Of the intervals, in (0, 1).
    resamples : int
        Of seeds and images together, see `resampling`.

    Returns
    -------
    DataFrame
        Columns `BOARD_COLUMNS`, a line per representation, space, clusterer and number of images,
        by falling mean ARI. ``labels`` names the data set with whose labels the weights of a frozen
        network were trained, or is "none". ``n_seeds`` counts the seeds with an ARI. A score is the
        mean over seeds, with the interval of seeds and images drawn anew (missing for one seed,
        which says nothing of the spread over seeds). An internal index, and a score on the
        covered points only, is a mean too, and missing unless every seed has it. ``coverage`` is
        the mean share of points that are no noise, ``k_low`` and ``k_high`` the least and most
        clusters found, ``stability`` the mean ARI between the clusterings of two seeds (missing
        for one seed), ``seconds`` the median over the seeds, ``peak_memory_mb`` the largest.

    Raises
    ------
    UserError
        If a row has no costs.
    ValueError
        If `metrics` has rows of more than one leaderboard.
    """
    if metrics["study"].nunique() > 1:
        raise ValueError(f"more than one leaderboard: {sorted(set(metrics['study']))}")
    costs_of = dict(iter(costs.groupby(list(ROW[:3]), observed=True)))
    clusterings = _clusterings(assignments)
    lines = []
    for key, rows in metrics.groupby(list(ROW), observed=True):
        if key[:3] not in costs_of:
            raise errors.UserError(
                f"leaderboard {rows['study'].iloc[0]}: {'/'.join(key[:3])} has scores and no "
                "costs: run its notebook again"
            )
        lines.append(
            dict(zip(ROW, key, strict=True))
            | {"labels": labels_behind(*key[:3])}
            | _scores_over_seeds(rows)
            | _intervals(clusterings.get(key, {}), labels[: key[-1]], confidence, resamples)
            | {"stability": stability(clusterings.get(key, {}))}
            | _cost_over_seeds(costs_of[key[:3]])
        )
    board = pd.DataFrame(lines, columns=list(BOARD_COLUMNS))
    return board.sort_values("ari", ascending=False, kind="stable", ignore_index=True)


def labels_behind(representation: str, space: str, clusterer: str) -> str:
    """Say with which labels the weights of a method's network were trained before; or "none"."""
    method = Method.from_table(representation, space, clusterer)
    return IMAGENET_LABELS if method.weights_trained_with else NO_LABELS


def _scores_over_seeds(rows: pd.DataFrame) -> dict[str, float]:
    by_seed = rows.pivot(index="seed", columns="metric", values="value").astype(float)
    found: dict[str, float] = {"n_seeds": 0}
    for score in SCORES:
        values = by_seed[score].dropna().tolist() if score in by_seed else []
        found[score] = float(np.mean(values)) if values else np.nan
        if score == SCORES[0]:
            found["n_seeds"] = len(values)
    for metric in (*INDICES, *COVERED):
        found[metric] = by_seed[metric].mean(skipna=False) if metric in by_seed else np.nan
    of_seed = rows.drop_duplicates("seed")
    return found | {
        "coverage": 1 - float(of_seed["noise_fraction"].mean()),
        "k_low": int(of_seed["k_found"].min()),
        "k_high": int(of_seed["k_found"].max()),
    }


def _intervals(
    clusterings: dict[int, np.ndarray], labels: np.ndarray, confidence: float, resamples: int
) -> dict[str, float]:
    """Return the ends of each score's interval, of one row's clusterings by seed."""
    if len(clusterings) < 2:
        return {}
    random = np.random.default_rng(0)
    drawn = over_images(list(clusterings.values()), labels, SCORES, resamples, random)
    ends = {}
    for score, values in drawn.items():
        low, high = percentile_interval(over_seeds(values, random), confidence)
        ends |= {f"{score}_low": low, f"{score}_high": high}
    return ends


def _cost_over_seeds(costs: pd.DataFrame) -> dict[str, object]:
    def said(column: str) -> str:
        return "; ".join(dict.fromkeys(text for text in costs[column].astype(str) if text))

    return {
        "k_given": bool(costs["k_given"].any()),
        "seconds": float(costs["seconds"].median()),
        "peak_memory_mb": float(costs["peak_memory_mb"].max()),
        "settings": said("settings"),
        "recipe": said("recipe"),
    }


def _clusterings(assignments: pd.DataFrame) -> dict[tuple, dict[int, np.ndarray]]:
    """Map each row of a leaderboard to its clusterings by seed, each (n,) in the images' order."""
    found: dict[tuple, dict[int, np.ndarray]] = {}
    for (*key, seed), part in assignments.groupby([*ROW, "seed"], observed=True):
        clusters = part.sort_values("index")["cluster"].to_numpy()
        found.setdefault(tuple(key), {})[int(seed)] = clusters
    return found


# --- quality against time ----------------------------------------------------------------------


def pareto_front(board: pd.DataFrame) -> np.ndarray:
    """Say which rows no other row beats in both time and ARI.

    Parameters
    ----------
    board : DataFrame
        Columns ``seconds`` and ``ari``.

    Returns
    -------
    ndarray of bool, shape (rows,)
        Whether no other row is at least as quick and at least as good, and one of the two strictly.
        A row without time or ARI is not on the front.
    """
    seconds, ari = board["seconds"].to_numpy(float), board["ari"].to_numpy(float)
    no_worse = (seconds <= seconds[:, None]) & (ari >= ari[:, None])
    better = (seconds < seconds[:, None]) | (ari > ari[:, None])
    return ~(no_worse & better).any(axis=1) & np.isfinite(seconds) & np.isfinite(ari)
