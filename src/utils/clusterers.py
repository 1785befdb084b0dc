"""Clusterers: functions from features to a cluster for every point."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.spaces import require_features

if TYPE_CHECKING:
    from sklearn.base import ClusterMixin


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


def kmeans(features: np.ndarray, n_clusters: int, n_init: int, seed: int) -> Clustering:
    """Cluster by k-means: Lloyd's algorithm from k-means++ starts.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite.
    n_clusters : int
        Number of clusters k.
    n_init : int
        Number of starts, of which the one with the lowest within-cluster sum of squares is kept.
    seed : int
        Seed of the starts.

    Returns
    -------
    Clustering
        k centres; every point has a cluster.

    Raises
    ------
    UserError
        If there are fewer points than clusters, or a value is NaN or infinite.

    Notes
    -----
    With fewer distinct points than clusters there are still k centres, but only as many clusters
    have points as there are distinct points (``metrics.k_found`` counts them); scikit-learn's
    ``ConvergenceWarning`` says so. With more than two threads the centres may differ in their last
    bits between runs, as the threads' sums are added in the order in which the threads finish.
    """
    from sklearn.cluster import KMeans

    require_features(features, n_clusters, f"k-means with {n_clusters} clusters")
    model = KMeans(n_clusters, n_init=n_init, random_state=seed)
    _fit(model, features)
    return Clustering(model.labels_.astype(np.int32), model.cluster_centers_)


def dbscan(features: np.ndarray, eps: float, min_samples: int) -> np.ndarray:
    """Cluster by density: DBSCAN (Ester, Kriegel, Sander & Xu 1996).

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite.
    eps : float
        Radius of a neighbourhood, in the unit of the features.
    min_samples : int
        Points, itself included, that a core point has in its neighbourhood.

    Returns
    -------
    ndarray of int32, shape (N,)
        Cluster of each point; −1 is noise.

    Raises
    ------
    UserError
        If there is no point, or a value is NaN or infinite.
    """
    from sklearn.cluster import DBSCAN

    require_features(features, 1, "DBSCAN")
    model = DBSCAN(eps=eps, min_samples=min_samples)
    _fit(model, features)
    return model.labels_.astype(np.int32)


def k_distances(features: np.ndarray, k: int) -> np.ndarray:
    """Return every point's distance to its k-th neighbour, itself counted, in ascending order.

    The curve from which Ester et al. (1996, section 4.2) read `eps` for ``min_samples = k``.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
    k : int

    Returns
    -------
    ndarray of float, shape (N,)

    Raises
    ------
    UserError
        If there are fewer than k points, or a value is NaN or infinite.
    """
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    require_features(features, k, f"the distance to neighbour {k}")
    with threadpool_limits(limits=1, user_api="blas"):
        distances, _ = NearestNeighbors(n_neighbors=k).fit(features).kneighbors(features)
    return np.sort(distances[:, -1])


def knee(curve: np.ndarray) -> int:
    """Find where an ascending curve turns up: its point farthest below the chord of its ends.

    Satopää, Albrecht, Irwin & Raghavan (2011), "Finding a 'Kneedle' in a Haystack", without the
    smoothing. No label is involved.

    Parameters
    ----------
    curve : ndarray of float, shape (N,)
        Ascending values at equal steps; N at least 2.

    Returns
    -------
    int
        Position in the curve; 0 if it is flat.
    """
    chord = np.linspace(curve[0], curve[-1], len(curve))
    return int(np.argmax(chord - curve))


def _fit(model: ClusterMixin, features: np.ndarray) -> None:
    """Fit a scikit-learn clusterer without one thread pool inside the other.

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
