"""The bootstrap over images and seeds: scores of clusterings of the same images, drawn again.

Labels are for scoring only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.metrics.agreement import adjusted_rand

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Each resample of images has to count every image again, and 2,000 give a percentile of 2.5 % from
# 50 of them (Efron and Tibshirani ask for 1,000).
IMAGE_RESAMPLES = 2_000
# Counts of resampled images that are held at once: 8 bytes each.
LARGEST_BLOCK = 4_000_000

Scorer = Callable[[np.ndarray], np.ndarray]  # from tables (R, K, C) to scores (R,)


def over_images(
    clusterings: Sequence[np.ndarray],
    labels: np.ndarray,
    scores: Sequence[str],
    resamples: int,
    random: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Score clusterings of the same images in each of many resamples of these images.

    Parameters
    ----------
    clusterings : sequence of ndarray of int, each of shape (N,)
        S clusterings; −1 is noise, a cluster of its own.
    labels : ndarray of int, shape (N,)
        Class of each image.
    scores : sequence of str
        Any of ``ari``, ``acc``, ``nmi`` and ``ami``.
    resamples : int
        R.
    random : Generator

    Returns
    -------
    dict of str to ndarray of float64, shape (R, S)
        By score. A resample draws N images with replacement, the same for all clusterings.

    Notes
    -----
    Images that agree in their class and in all clusterings are interchangeable. It is enough to
    draw how often each such group is taken, which is multinomial. The mutual information expected
    by chance, which `ami` needs, depends on the sizes of clusters and classes only, and is costly:
    that of the images themselves is taken for all resamples.
    """
    groups, counts = np.unique(np.stack([labels, *clusterings]), axis=1, return_counts=True)
    classes = np.unique(groups[0], return_inverse=True)[1]
    n_classes = classes.max() + 1
    tables = [_table_of_groups(clusters, classes) for clusters in groups[1:]]
    scorers = [[_scorer(name, labels, one) for name in scores] for one in clusterings]
    drawn = {name: np.empty((resamples, len(tables))) for name in scores}
    block = max(1, LARGEST_BLOCK // len(counts))
    for start in range(0, resamples, block):
        rows = slice(start, min(start + block, resamples))
        size = rows.stop - rows.start
        weights = random.multinomial(counts.sum(), counts / counts.sum(), size=size)
        for column, (table, own) in enumerate(zip(tables, scorers, strict=True)):
            cells = (table @ weights.T.astype(float)).T.reshape(size, -1, n_classes)
            for name, scorer in zip(scores, own, strict=True):
                drawn[name][rows, column] = scorer(cells)
    return drawn


def over_seeds(drawn: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the mean over S seeds that are drawn with replacement in each of R resamples: (R,).

    `drawn` has the shape (R, S), a value for each resample of images and each seed.
    """
    chosen = random.integers(0, drawn.shape[1], size=drawn.shape)
    return np.take_along_axis(drawn, chosen, axis=1).mean(axis=1)


def percentile_interval(drawn: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the percentiles that leave out half of 1 − `confidence` on each side."""
    outside = 50 * (1 - confidence)
    low, high = np.percentile(drawn, [outside, 100 - outside])
    return float(low), float(high)


def two_sided_p(drawn: np.ndarray) -> float:
    """Return the p-value of a difference of 0, in (0, 1], from resampled differences ``(R,)``.

    Twice the share of resamples on the rarer side of 0, which counts one more than there are: R
    resamples cannot show less than 2 / (R + 1) (Davison and Hinkley 1997, section 4.2).
    """
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(1, 2 * (1 + rarer) / (1 + len(drawn))))


def _table_of_groups(clusters: np.ndarray, classes: np.ndarray) -> csr_array:
    """Return the matrix (K·C, m) that adds up m groups of images to a table of K by C counts."""
    from scipy.sparse import csr_array

    rows = np.unique(clusters, return_inverse=True)[1]
    cells = rows * (classes.max() + 1) + classes
    shape = ((rows.max() + 1) * (classes.max() + 1), len(classes))
    return csr_array((np.ones(len(cells)), (cells, np.arange(len(cells)))), shape=shape)


def _scorer(name: str, labels: np.ndarray, clusters: np.ndarray) -> Scorer:
    if name == "ami":
        return _adjusted_information(labels, clusters)
    return {"ari": adjusted_rand, "acc": _accuracy, "nmi": _normalised_information}[name]


def _accuracy(tables: np.ndarray) -> np.ndarray:
    """Return the share of images whose cluster is paired with their class, one to one."""
    from scipy.optimize import linear_sum_assignment

    pairs = [linear_sum_assignment(table, maximize=True) for table in tables]
    right = [table[pair].sum() for table, pair in zip(tables, pairs, strict=True)]
    return np.array(right) / tables.sum((-2, -1))


def _information(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mutual information of clusters and classes, and the mean of their entropies."""
    shares = tables / tables.sum((-2, -1), keepdims=True)
    clusters, classes = _entropy(shares.sum(-1)), _entropy(shares.sum(-2))
    joint = _entropy(shares.reshape(len(shares), -1))
    return clusters + classes - joint, (clusters + classes) / 2


def _entropy(shares: np.ndarray) -> np.ndarray:
    from scipy.special import xlogy

    return -xlogy(shares, shares).sum(-1)


def _normalised_information(tables: np.ndarray) -> np.ndarray:
    mutual, entropy = _information(tables)
    # Both partitions all in one group: nothing to disagree about.
    return np.where(entropy > 0, mutual / np.where(entropy > 0, entropy, 1), 1.0)


def _adjusted_information(labels: np.ndarray, clusters: np.ndarray) -> Scorer:
    """Return the scorer that adjusts for the chance agreement of these labels and clusters."""
    from sklearn.metrics import adjusted_mutual_info_score

    from utils.metrics import contingency

    observed = adjusted_mutual_info_score(labels, clusters)
    mutual, entropy = _information(contingency(labels, clusters).counts[None].astype(float))
    # (mutual − chance) / (entropy − chance) is what was observed.
    chance = 0.0 if observed == 1 else ((mutual - observed * entropy) / (1 - observed)).item()

    def adjusted(tables: np.ndarray) -> np.ndarray:
        mutual, entropy = _information(tables)
        span = entropy - chance
        return np.where(span > 0, (mutual - chance) / np.where(span > 0, span, 1), 1.0)

    return adjusted
