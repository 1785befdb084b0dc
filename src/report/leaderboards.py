"""What a leaderboard's methods say over the seeds: scores, rankings without labels, cost.

The clusterings were made without labels; everything here is scoring.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from report.statistics import bootstrap_interval
from utils import errors
from utils.config.metrics_table import INTERNAL, METRICS
from utils.metrics.agreement import stability
from utils.store.tables import LEADERBOARD_TABLE, RANKINGS_TABLE

ROW = ("representation", "space", "clusterer", "n")
# Reported with an interval over the seeds; the first one ranks the rows.
SCORES = ("ari", "acc", "nmi", "ami")
COVERED = ("acc_covered", "ari_covered", "nmi_covered")
# Internal indices; the sign makes more of each one better.
INDICES = {key: METRICS[key].sign for key in INTERNAL}
# Without the leaderboard's name.
BOARD_COLUMNS = LEADERBOARD_TABLE.columns[1:]
RANKING_COLUMNS = RANKINGS_TABLE.columns[1:]


# --- the rows ----------------------------------------------------------------------------------


def leaderboard(
    metrics: pd.DataFrame,
    costs: pd.DataFrame,
    assignments: pd.DataFrame,
    confidence: float = 0.95,
    resamples: int = 10_000,
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
    confidence : float
        Of the intervals, in (0, 1).
    resamples : int
        Of the seeds, see `statistics.bootstrap_interval`.

    Returns
    -------
    DataFrame
        Columns `BOARD_COLUMNS`, a line per representation, space, clusterer and number of images,
        by falling mean ARI. ``n_seeds`` counts the seeds with an ARI. A score is the mean over
        seeds with its interval (missing for one seed). An internal index, and a score on the
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
            | _scores_over_seeds(rows, confidence, resamples)
            | {"stability": stability(clusterings.get(key, {}))}
            | _cost_over_seeds(costs_of[key[:3]])
        )
    board = pd.DataFrame(lines, columns=list(BOARD_COLUMNS))
    return board.sort_values("ari", ascending=False, kind="stable", ignore_index=True)


def _scores_over_seeds(rows: pd.DataFrame, confidence: float, resamples: int) -> dict[str, float]:
    by_seed = rows.pivot(index="seed", columns="metric", values="value").astype(float)
    found: dict[str, float] = {"n_seeds": 0}
    for score in SCORES:
        values = by_seed[score].dropna().tolist() if score in by_seed else []
        low, high = bootstrap_interval(values, confidence, resamples) or (np.nan, np.nan)
        mean = float(np.mean(values)) if values else np.nan
        found |= {score: mean, f"{score}_low": low, f"{score}_high": high}
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


# --- what a reader without labels would do -----------------------------------------------------


def label_free_ranking(board: pd.DataFrame) -> pd.DataFrame:
    """Compare the order in which each internal index puts the rows with that by ARI.

    Parameters
    ----------
    board : DataFrame
        What `leaderboard` returned; its indices are measured in one common space.

    Returns
    -------
    DataFrame
        Columns `RANKING_COLUMNS`, a line per index of `INDICES`. ``tau`` in [−1, 1] is Kendall's
        tau-b between the two orders (missing for fewer than two rows or a constant index); 1 is the
        same order, also for Davies-Bouldin, of which less is better. It is taken over ``n_rows``
        rows: ``n_undefined`` have no such index or no ARI, and ``n_partial`` have noise, which an
        index does not look at, so that it describes another set of points. The row with the best
        value of the index is the one a reader without labels would pick; it comes with its ARI, the
        ARI of the best of all rows, and what is lost, ``regret``. Of equal values the first row by
        name is picked.

    References
    ----------
    Kendall (1945), "The treatment of ties in ranking problems".
    """
    from scipy.stats import kendalltau

    partial = board["coverage"] < 1
    lines = []
    for index, sign in INDICES.items():
        usable = board[index].notna() & board["ari"].notna()
        # By name, so that equal values are not settled by the ARI, by which the board is sorted.
        rows = board[usable & ~partial].sort_values(list(ROW))
        line = {
            "index": index,
            "tau": np.nan,
            "n_rows": len(rows),
            "n_undefined": int((~usable & ~partial).sum()),
            "n_partial": int(partial.sum()),
        }
        if len(rows) > 1:
            line["tau"] = float(kendalltau(sign * rows[index], rows["ari"]).statistic)
        if len(rows):
            picked = rows.loc[(sign * rows[index]).idxmax()]
            best = board["ari"].max()
            line |= {key: picked[key] for key in (*ROW, "ari")}
            line |= {"best_ari": best, "regret": best - picked["ari"]}
        lines.append(line)
    return pd.DataFrame(lines, columns=list(RANKING_COLUMNS))


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
