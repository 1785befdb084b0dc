"""Whether the best method of a leaderboard is better than the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from report.leaderboards import ROW, _clusterings
from utils.metrics.agreement import adjusted_rand
from utils.store.tables import SIGNIFICANCE_TABLE

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Without the leaderboard's name.
SIGNIFICANCE_COLUMNS = SIGNIFICANCE_TABLE.columns[1:]
# Of images and seeds together. Each has to count every image again, and 2,000 give a percentile
# of 2.5 % from 50 of them (Efron and Tibshirani ask for 1,000).
IMAGE_RESAMPLES = 2_000
# Counts of resampled images that are held at once: 8 bytes each.
LARGEST_BLOCK = 4_000_000


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
        Columns of `tables.ASSIGNMENTS_TABLE`, of one leaderboard.
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
