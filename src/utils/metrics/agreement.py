"""Agreement of neighbours in a map, and between two clusterings of the same images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from utils.metrics.external import _require_same_length

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    pass


def neighbour_agreement(points: np.ndarray, groups: np.ndarray, k: int = 10) -> float:
    """Return the mean share of a point's `k` nearest neighbours that are in its own group.

    Parameters
    ----------
    points : ndarray of float, shape (N, D)
        N larger than `k`.
    groups : ndarray of int, shape (N,)
        Group of each point, for example its cluster or its class.
    k : int
        Number of neighbours, the point itself not counted.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the lengths differ or there are not more than `k` points.
    """
    from sklearn.neighbors import NearestNeighbors

    _require_same_length(groups, points)
    # Asked without points of its own, it leaves each point out of its neighbours.
    neighbours = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return float(np.mean(groups[neighbours] == groups[:, None]))


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
