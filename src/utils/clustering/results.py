"""What every clusterer returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


class Clustering(NamedTuple):
    """Result of a clusterer.

    Attributes
    ----------
    assignment : ndarray of int32, shape (N,)
        Cluster of each point, from 0; −1 is noise.
    centres : ndarray of float, shape (k, D)
        Row i is the centre of cluster i, in the space of the features.
    """

    assignment: np.ndarray
    centres: np.ndarray


class Result(NamedTuple):
    """What every clusterer of `CLUSTERERS` returns.

    Attributes
    ----------
    assignment : ndarray of int32, shape (N,)
        Cluster of each point, from 0 without gaps; −1 is noise.
    confidence : ndarray of float32, shape (N,), or None
        How surely each point belongs to its cluster, in [0, 1]; 0 for noise. None where the method
        does not say.
    """

    assignment: np.ndarray
    confidence: np.ndarray | None = None


def _without_gaps(assignment: np.ndarray) -> np.ndarray:
    """Renumber the clusters that have points from 0; −1 stays."""
    clusters = np.unique(assignment[assignment >= 0])
    numbered = np.searchsorted(clusters, assignment)
    return np.where(assignment < 0, -1, numbered).astype(np.int32)


def _fit(model: BaseEstimator, features: np.ndarray) -> None:
    """Fit a scikit-learn model without one thread pool inside the other.

    scikit-learn runs its own OpenMP threads, and each of them calls OpenBLAS, which has a second
    pool. scikit-learn limits that pool to one thread around most such loops, but not around the row
    norms of radius neighbours (DBSCAN): there every row of more than 10,000 features starts
    OpenBLAS threads inside an OpenMP thread. OpenBLAS notices when torch, imported first, has made
    OpenMP's symbols global, and prints a line for every row. Whole fits are limited here, as idle
    threads of one pool also take processor time from the other.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        model.fit(features)
