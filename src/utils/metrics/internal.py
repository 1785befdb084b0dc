"""Internal metrics: the shape of clusters alone, without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.metrics.external import NOISE, _require_same_length, k_found

if TYPE_CHECKING:
    pass


def silhouette(assignment: np.ndarray, features: np.ndarray, block: int = 256) -> float:
    """Return the mean silhouette of all points, exactly (no subsample).

    Parameters
    ----------
    assignment : ndarray of int, shape (N,)
        Cluster of each point; every value counts as a cluster.
    features : ndarray of float, shape (N, D)
    block : int
        Points whose distances to all others are held at once: `block` × N × 4 bytes.

    Returns
    -------
    float
        In [−1, 1]. The points of a cluster of one count 0.

    Notes
    -----
    Rousseeuw (1987), "Silhouettes": (b − a) / max(a, b) with a the mean distance to the own
    cluster's other points and b the least mean distance to another cluster. Distances come from one
    float32 matrix product per block, |x|² − 2xy + |y|². It loses the digits of points that are near
    each other and far from the origin, so the origin is moved into each cluster in turn.
    """
    _require_same_length(assignment, features)
    _, own, sizes = np.unique(assignment, return_inverse=True, return_counts=True)
    points = features[np.argsort(own, kind="stable")]
    starts = np.cumsum(sizes) - sizes
    # Columns: the shifted point, 1, its squared norm; so a product gives whole squared distances.
    shifted = np.ones((len(points), points.shape[1] + 2), dtype=np.float32)
    scores = np.zeros(len(points))
    for cluster, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        if size == 1:
            continue
        centre = points[start : start + size].mean(axis=0)
        np.subtract(points, centre, out=shifted[:, :-2], casting="same_kind")
        shifted[:, -1] = np.einsum("nd,nd->n", shifted[:, :-2], shifted[:, :-2])
        for first in range(start, start + size, block):
            here = slice(first, min(first + block, start + size))
            left = np.hstack([-2 * shifted[here, :-2], shifted[here, :-3:-1]])
            distances = left @ shifted.T
            np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
            np.fill_diagonal(distances[:, here], 0)
            sums = np.add.reduceat(distances, starts, axis=1).astype(np.float64)
            within = sums[:, cluster] / (size - 1)
            sums[:, cluster] = np.inf
            between = (sums / sizes).min(axis=1)
            larger = np.maximum(within, between)
            np.divide(between - within, larger, out=scores[here], where=larger > 0)
    return float(scores.mean())


def internal(assignment: np.ndarray, features: np.ndarray) -> dict[str, float]:
    """Compute the internal indices of `score`; empty where they are undefined."""
    from sklearn import metrics

    covered = np.asarray(assignment) != NOISE
    if not covered.all():
        assignment, features = assignment[covered], features[covered]
    if not 2 <= k_found(assignment) < len(assignment):
        return {}
    return {
        "silhouette": silhouette(assignment, features),
        "davies_bouldin": float(metrics.davies_bouldin_score(features, assignment)),
        "calinski_harabasz": float(metrics.calinski_harabasz_score(features, assignment)),
    }
