"""What a leaderboard's rows say over the seeds: scores, differences, rankings without labels, cost.

A row of a leaderboard is a representation, a space and a clusterer on a number of images. Its
clusterings were made without labels; everything here is scoring.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils import artifacts, config
from utils.comparisons import bootstrap_interval

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROW = ("representation", "space", "clusterer", "n")
# Reported with an interval over the seeds; the first one ranks the rows.
SCORES = ("ari", "acc", "nmi", "ami")
COVERED = ("acc_covered", "ari_covered", "nmi_covered")
# Internal indices; the sign makes more of each one better.
INDICES = {"silhouette": 1, "davies_bouldin": -1, "calinski_harabasz": 1}
COST_COLUMNS = (
    *("study", "seed", "representation", "space", "clusterer"),
    *("seconds", "peak_memory_mb", "k_given", "settings", "recipe"),
)
BOARD_COLUMNS = (
    *(*ROW, "n_seeds"),
    *(column for score in SCORES for column in (score, f"{score}_low", f"{score}_high")),
    *INDICES,
    *COVERED,
    *("coverage", "k_low", "k_high", "k_given", "stability"),
    *("seconds", "peak_memory_mb", "settings", "recipe"),
)
SIGNIFICANCE_COLUMNS = (
    *(*ROW, "n_seeds"),
    *("best_ari", "ari", "difference", "ci_low", "ci_high", "excludes_zero"),
)
RANKING_COLUMNS = (
    *("index", "tau", "n_rows", "n_undefined", "n_partial"),
    *("representation", "space", "clusterer", "n"),
    *("ari", "best_ari", "regret"),
)
# Files that `write_tables` leaves, with the columns that each table has after the leaderboard's
# name.
TABLES = {
    "leaderboard": BOARD_COLUMNS,
    "leaderboard_significance": SIGNIFICANCE_COLUMNS,
    "leaderboard_rankings": RANKING_COLUMNS,
}
# How columns of these files are read; all others are numbers that may be missing.
TYPES = {
    **dict.fromkeys(("study", "representation", "space", "clusterer"), "str"),
    **dict.fromkeys(("settings", "recipe", "index"), "str"),
    **dict.fromkeys(("n_seeds", "k_low", "k_high", "n_rows", "n_undefined", "n_partial"), "int64"),
    **dict.fromkeys(("k_given", "excludes_zero"), "bool"),
}
# Of images and seeds together. Each has to count every image again, and 2,000 give a percentile
# of 2.5 % from 50 of them (Efron and Tibshirani ask for 1,000).
IMAGE_RESAMPLES = 2_000
# Counts of resampled images that are held at once: 8 bytes each.
LARGEST_BLOCK = 4_000_000


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
        Columns `comparisons.METRIC_COLUMNS`, of one leaderboard.
    costs : DataFrame
        Columns `COST_COLUMNS`; ``seconds`` is the time of the whole row, ``k_given`` whether the
        number of classes was given to it.
    assignments : DataFrame
        Columns `comparisons.ASSIGNMENT_COLUMNS`; −1 is noise.
    confidence : float
        Of the intervals, in (0, 1).
    resamples : int
        Of the seeds, see `comparisons.bootstrap_interval`.

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
            raise config.UserError(
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


def stability(clusterings: Mapping[int, np.ndarray]) -> float:
    """Return the mean adjusted Rand index between the clusterings of two seeds.

    Parameters
    ----------
    clusterings : mapping of int to ndarray of int, shape (N,)
        Seed to cluster of each image; noise counts as a cluster.

    Returns
    -------
    float
        In [−0.5, 1]; NaN for fewer than two seeds.
    """
    pairs = list(itertools.combinations(clusterings.values(), 2))
    if not pairs:
        return np.nan
    return float(np.mean([adjusted_rand(_contingency(one, other)) for one, other in pairs]))


def _contingency(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    first, rows = np.unique(one, return_inverse=True)
    second, columns = np.unique(other, return_inverse=True)
    shape = (len(first), len(second))
    cells = np.ravel_multi_index((rows, columns), shape)
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)


def adjusted_rand(counts: np.ndarray) -> np.ndarray:
    """Return the adjusted Rand index of each of many contingency tables.

    Parameters
    ----------
    counts : ndarray of int, shape (..., K, C)
        Number of points in each cluster and class; empty rows and columns are allowed.

    Returns
    -------
    ndarray of float64, shape (...)
        In [−0.5, 1]; 1 where there is nothing to disagree about: no pair of points, or both
        partitions all in one group, or all apart.

    References
    ----------
    Hubert and Arabie (1985), "Comparing Partitions".
    """

    def pairs(sizes: np.ndarray) -> np.ndarray:
        return sizes * (sizes - 1) / 2

    counts = np.asarray(counts, dtype=float)
    together = pairs(counts).sum((-2, -1))
    clusters = pairs(counts.sum(-1)).sum(-1)
    classes = pairs(counts.sum(-2)).sum(-1)
    total = np.maximum(pairs(counts.sum((-2, -1))), 1)
    expected = clusters * classes / total
    span = (clusters + classes) / 2 - expected
    safe = np.where(span > 0, span, 1)
    return np.where(span > 0, (together - expected) / safe, 1.0)


# --- is the best one better? -------------------------------------------------------------------


def significance(
    assignments: pd.DataFrame,
    labels: np.ndarray,
    board: pd.DataFrame,
    top: int = 5,
    confidence: float = 0.95,
    resamples: int = IMAGE_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the best row's ARI with that of each row after it, by a paired bootstrap.

    Parameters
    ----------
    assignments : DataFrame
        Columns `comparisons.ASSIGNMENT_COLUMNS`, of one leaderboard.
    labels : ndarray of int, shape (N,)
        Class of each image, in the order of ``index``.
    board : DataFrame
        What `leaderboard` returned.
    top : int
        How many of the first rows to look at, the best one included; only those on as many images
        as the best one count, as others clustered another set.
    confidence : float
        In (0, 1).
    resamples : int
        Resamples of seeds and images.
    seed : int
        Of the resampling.

    Returns
    -------
    DataFrame
        Columns `SIGNIFICANCE_COLUMNS`, a line per row compared, in the board's order: on the seeds
        that both rows have, the mean ARI of the best and of this row, their difference (above 0:
        the best row is better), the percentile interval of the difference, and whether it leaves
        out 0. A row that shares no seed with the best one has ``n_seeds`` 0 and no numbers. The
        intervals are not corrected for the number of comparisons.

    Notes
    -----
    Each resample draws seeds, and apart from them images, with replacement. The drawn images are
    the same for both rows and for every seed, because all cluster the same images: drawn for each
    seed anew, their share of the variance would shrink with the number of seeds although no image
    was added. Images that agree in their class and in the clusters of both rows under all seeds are
    interchangeable, so that it is enough to draw how often each such group is taken, which is
    multinomial.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
    """
    if board.empty:
        return pd.DataFrame(columns=list(SIGNIFICANCE_COLUMNS))
    rows = board[board["n"] == board["n"].iloc[0]].head(top)
    keys = list(rows[list(ROW)].itertuples(index=False, name=None))
    clusterings = _clusterings(assignments)
    best, *others = (clusterings.get(key, {}) for key in keys)
    outside = 50 * (1 - confidence)
    lines = []
    for key, other in zip(keys[1:], others, strict=True):
        shared = sorted(set(best) & set(other))
        line = dict(zip(ROW, key, strict=True)) | {"n_seeds": len(shared), "excludes_zero": False}
        if shared:
            ours, theirs = ([row[s] for s in shared] for row in (best, other))
            observed, drawn = _paired_differences(
                ours, theirs, labels[: key[-1]], resamples, np.random.default_rng(seed)
            )
            low, high = np.percentile(drawn, [outside, 100 - outside])
            line |= observed | {"ci_low": low, "ci_high": high}
            line["excludes_zero"] = bool(low > 0 or high < 0)
        lines.append(line)
    return pd.DataFrame(lines, columns=list(SIGNIFICANCE_COLUMNS))


def _paired_differences(
    best: list[np.ndarray],
    other: list[np.ndarray],
    labels: np.ndarray,
    resamples: int,
    random: np.random.Generator,
) -> tuple[dict[str, float], np.ndarray]:
    """Return both rows' ARI with their difference, and the difference in each resample.

    `best` and `other` hold a clustering (N,) for each of the same S seeds.
    """
    groups, counts = np.unique(np.stack([labels, *best, *other]), axis=1, return_counts=True)
    classes = np.unique(groups[0], return_inverse=True)[1]
    tables = [_table_of_groups(clusters, classes) for clusters in groups[1:]]
    seeds = len(best)

    def differences(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ARI of each seed for the best and the other row, each (R, S)."""
        scores = [_weighted_ari(table, classes.max() + 1, weights) for table in tables]
        return np.stack(scores[:seeds], axis=1), np.stack(scores[seeds:], axis=1)

    ours, theirs = (scores.mean() for scores in differences(counts[None]))
    observed = {"best_ari": ours, "ari": theirs, "difference": ours - theirs}
    block = max(1, LARGEST_BLOCK // len(counts))
    drawn = []
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        weights = random.multinomial(counts.sum(), counts / counts.sum(), size=size)
        ours, theirs = differences(weights)
        chosen = random.integers(0, seeds, size=(size, seeds))
        drawn.append(np.take_along_axis(ours - theirs, chosen, axis=1).mean(axis=1))
    return observed, np.concatenate(drawn)


def _table_of_groups(clusters: np.ndarray, classes: np.ndarray) -> csr_array:
    """Return the matrix (K·C, m) that adds up m groups of images to a table of K by C counts."""
    from scipy.sparse import csr_array

    rows = np.unique(clusters, return_inverse=True)[1]
    cells = rows * (classes.max() + 1) + classes
    shape = ((rows.max() + 1) * (classes.max() + 1), len(classes))
    return csr_array((np.ones(len(cells)), (cells, np.arange(len(cells)))), shape=shape)


def _weighted_ari(table: csr_array, n_classes: int, weights: np.ndarray) -> np.ndarray:
    """Return the ARI (R,) when group i of `table` is taken ``weights[r, i]`` times."""
    counts = (table @ weights.T.astype(float)).T
    return adjusted_rand(counts.reshape(len(weights), -1, n_classes))


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


# --- files -------------------------------------------------------------------------------------


def write_tables(
    boards: Mapping[str, config.Leaderboard],
    metrics: pd.DataFrame,
    costs: pd.DataFrame,
    assignments: pd.DataFrame,
    labels: Mapping[str, np.ndarray],
    rule: config.VerdictRule,
    out: Path,
) -> None:
    """Write the tables of all leaderboards, and of each the figure of quality against time.

    Parameters
    ----------
    boards : mapping of str to Leaderboard
        By name, in the order of the tables; one without a row in `metrics` is left out.
    metrics, costs, assignments : DataFrame
        As for `leaderboard`; rows of other studies are ignored.
    labels : mapping of str to ndarray of int, shape (N,)
        Class of each image, by leaderboard.
    rule : VerdictRule
        Confidence of all intervals, and resamples of those over seeds; those over seeds and images
        have `IMAGE_RESAMPLES`.
    out : Path
        Folder that gets the files of `TABLES` and ``figures/<leaderboard>-pareto``, each
        atomically.
    """
    from utils import figures

    made: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for name, described in boards.items():
        own = [frame[frame["study"] == name] for frame in (metrics, costs, assignments)]
        board = leaderboard(*own, rule.confidence, rule.resamples)
        if board.empty:
            continue
        tables = (
            board,
            significance(own[2], labels[name], board, confidence=rule.confidence),
            label_free_ranking(board),
        )
        for parts, table in zip(made.values(), tables, strict=True):
            parts.append(table.assign(study=name))
        figure = figures.pareto(board, pareto_front(board), described.title)
        figures.save(figure, Path(out) / "figures", f"{name}-pareto")
    for name, columns in TABLES.items():
        table = pd.concat([pd.DataFrame(columns=["study", *columns]), *made[name]])
        with artifacts.atomic_path(Path(out) / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)


def read_tables(out: Path) -> dict[str, pd.DataFrame]:
    """Read what `write_tables` has written.

    Returns
    -------
    dict of str to DataFrame
        By the names of `TABLES`, each with the column ``study`` before its own.

    Raises
    ------
    UserError
        If a file is missing or malformed.
    """
    read = {}
    for name, columns in TABLES.items():
        path = Path(out) / f"{name}.csv"
        types = {key: TYPES.get(key, "float64") for key in ("study", *columns)}
        # An empty number is a missing one; an empty word is a word, and so is "NA".
        missing = {key: [""] for key, kind in types.items() if kind == "float64"}
        try:
            table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing)
            read[name] = table[list(types)]
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise config.UserError(f"{path}: {reason}: build the report again") from None
    return read
