"""Whether the best method of a leaderboard is better than the others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from report.leaderboards import ROW, _clusterings
from report.resampling import (
    IMAGE_RESAMPLES,
    over_images,
    over_seeds,
    percentile_interval,
    two_sided_p,
)
from report.statistics import holm
from utils.metrics import contingency
from utils.metrics.agreement import adjusted_rand
from utils.store.tables import SIGNIFICANCE_TABLE

# Without the leaderboard's name.
SIGNIFICANCE_COLUMNS = SIGNIFICANCE_TABLE.columns[1:]


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
        the best row is better), the percentile interval of the difference, which is that of one
        comparison, and whether it leaves out 0. ``p`` is the p-value of no difference, ``p_holm``
        the same adjusted for the number of comparisons; both are missing for fewer than two
        seeds. A row that shares no seed with the best one has ``n_seeds`` 0 and no numbers.

    Notes
    -----
    Each resample draws seeds, and apart from them images, with replacement. The drawn images are
    the same for both rows and for every seed, because all cluster the same images: drawn for each
    seed anew, their share of the variance would shrink with the number of seeds although no image
    was added.

    Holm's method takes the p-values by rising size. Rows further down a leaderboard are farther
    from the best one: were they compared too, they would come first in this order, and change
    nothing for the rows compared here as long as they are rejected themselves.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13. Holm,
    Scandinavian Journal of Statistics 6, 1979, 65–70.
    """
    if board.empty:
        return pd.DataFrame(columns=list(SIGNIFICANCE_COLUMNS))
    rows = board[board["n"] == board["n"].iloc[0]].head(top)
    keys = list(rows[list(ROW)].itertuples(index=False, name=None))
    clusterings = _clusterings(assignments)
    best, *others = (clusterings.get(key, {}) for key in keys)
    lines = []
    for key, other in zip(keys[1:], others, strict=True):
        shared = sorted(set(best) & set(other))
        line = dict(zip(ROW, key, strict=True)) | {"n_seeds": len(shared), "excludes_zero": False}
        if shared:
            ours, theirs = ([row[s] for s in shared] for row in (best, other))
            line |= _difference(ours, theirs, labels[: key[-1]], confidence, resamples, seed)
        lines.append(line)
    table = pd.DataFrame(lines, columns=list(SIGNIFICANCE_COLUMNS))
    decided = table["n_seeds"] > 1
    table["p"] = table["p"].where(decided).astype(float)
    table["p_holm"] = table.index.map(holm(table.loc[decided, "p"].to_dict())).astype(float)
    return table


def _difference(
    best: list[np.ndarray],
    other: list[np.ndarray],
    labels: np.ndarray,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[str, float | bool]:
    """Compare two rows by a clustering ``(N,)`` of each for each of the same S seeds."""
    random, seeds = np.random.default_rng(seed), len(best)
    ours, theirs = (
        float(np.mean([adjusted_rand(contingency(labels, one).counts) for one in row]))
        for row in (best, other)
    )
    scores = over_images([*best, *other], labels, ("ari",), resamples, random)["ari"]
    drawn = over_seeds(scores[:, :seeds] - scores[:, seeds:], random)
    low, high = percentile_interval(drawn, confidence)
    return {
        **{"best_ari": ours, "ari": theirs, "difference": ours - theirs},
        **{"ci_low": low, "ci_high": high, "p": two_sided_p(drawn)},
        "excludes_zero": low > 0 or high < 0,
    }
