"""The vote of the nearest fitted points, by which a clustering extends to points it did not see."""

from __future__ import annotations

import numpy as np

# Numbers in the largest table of votes or neighbours that is made at once: 512 MB.
BLOCK = 2**26
# As many vote in `estimator.FeatureClusterer`.
VOTERS = 10


def distances_to(fitted: np.ndarray, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest fitted points of each point.

    Parameters
    ----------
    fitted : ndarray of float, shape (N, d)
    points : ndarray of float, shape (M, d)
    k : int
        Number of neighbours; all N if there are fewer.

    Returns
    -------
    distances : ndarray of float64, shape (M, k)
        Euclidean, in ascending order.
    rows : ndarray of int64, shape (M, k)
        Rows of `fitted`.
    """
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    search = NearestNeighbors(n_neighbors=min(k, len(fitted))).fit(fitted)
    with threadpool_limits(limits=1, user_api="blas"):
        return search.kneighbors(points)


def weighted_neighbours(
    fitted: np.ndarray, points: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest fitted points of each point, and weight them by inverse distance.

    Parameters
    ----------
    fitted, points, k
        As for `distances_to`.

    Returns
    -------
    rows : ndarray of int64, shape (M, k)
    weights : ndarray of float64, shape (M, k)
        Each row sums to 1. A fitted point at distance 0 takes practically all of the weight.
    """
    distances, rows = distances_to(fitted, points, k)
    # A fitted point is at distance 0 from itself, except for rounding.
    scale = np.linalg.norm(fitted, axis=1).max() or 1
    weights = 1 / np.maximum(distances, 1e-7 * scale)
    return rows, weights / weights.sum(axis=1, keepdims=True)


def vote(
    fitted: np.ndarray, clusters: np.ndarray, points: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Assign points to clusters by the weighted vote of their nearest fitted points.

    Parameters
    ----------
    fitted : ndarray of float, shape (N, d)
    clusters : ndarray of int, shape (N,)
        Cluster of each fitted point, from 0; −1 is noise.
    points : ndarray of float, shape (M, d)
        M at least 1.
    k : int
        Neighbours that vote, each with the inverse of its distance.

    Returns
    -------
    assignment : ndarray of int32, shape (M,)
        The cluster with the largest share of the vote; the lowest of equals.
    shares : ndarray of float32, shape (M,)
        That share, in (0, 1].

    References
    ----------
    Dudani (1976), "The distance-weighted k-nearest-neighbor rule".
    """
    n_clusters = int(clusters.max()) + 1
    height = max(1, BLOCK // max(n_clusters + 1, min(k, len(fitted))))
    parts = []
    for start in range(0, len(points), height):
        rows, weights = weighted_neighbours(fitted, points[start : start + height], k)
        votes = np.zeros((len(rows), n_clusters + 1))
        np.add.at(votes, (np.arange(len(rows))[:, None], clusters[rows] + 1), weights)
        parts.append((votes.argmax(axis=1).astype(np.int32) - 1, votes.max(axis=1)))
    assignment, shares = (np.concatenate(part) for part in zip(*parts, strict=True))
    return assignment, shares.astype(np.float32)
