"""How good a clustering is: against labels, and by the shape of its clusters alone.

A noise point has the cluster −1. To the metrics that use labels noise is a cluster of its own, so
that leaving points out is not rewarded. The internal indices look at the other points only; the
fraction of noise has to be read beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

NOISE = -1


class Contingency(NamedTuple):
    """Counts of points by cluster and class.

    Attributes
    ----------
    counts : ndarray of int64, shape (k, C)
        Number of points in each cluster (row) and class (column).
    clusters : ndarray of int, shape (k,)
        Cluster of each row; −1 is noise.
    classes : ndarray of int, shape (C,)
        Class of each column. Only clusters and classes that have points are listed.
    """

    counts: np.ndarray
    clusters: np.ndarray
    classes: np.ndarray

    @property
    def majority(self) -> np.ndarray:
        """Commonest class of each row, shape (k,); the lowest one if several are equally common."""
        return self.classes[self.counts.argmax(axis=1)]


def score(
    assignment: np.ndarray, labels: np.ndarray | None, features: np.ndarray
) -> dict[str, float]:
    """Compute every metric that applies to a clustering.

    Parameters
    ----------
    assignment : ndarray of int, shape (N,)
        Cluster of each point; −1 is noise.
    labels : ndarray of int, shape (N,), or None
        Class of each point; without it only internal indices are computed.
    features : ndarray of float, shape (N, D)
        The space that was clustered, in which the internal indices are taken.

    Returns
    -------
    dict of str to float
        With labels: ``ari`` [−0.5, 1], ``ami`` (at most 1, 0 by chance), ``nmi``, ``homogeneity``,
        ``completeness``, ``v_measure``, ``purity``, ``acc`` (all [0, 1]); 1 is best.
        Always: ``silhouette`` [−1, 1] and ``calinski_harabasz`` [0, ∞), higher is better, and
        ``davies_bouldin`` [0, ∞), lower is better. These three are absent where they are undefined:
        with fewer than two clusters, or as many clusters as points (noise not counted).

    Raises
    ------
    ValueError
        If the lengths differ or there is no point.
    """
    _require_same_length(assignment, features)
    agreement = {} if labels is None else external(assignment, labels)
    return agreement | internal(assignment, features)


def k_found(assignment: np.ndarray) -> int:
    """Return the number of clusters that have points, noise not counted."""
    return len(np.setdiff1d(assignment, [NOISE]))


def noise_fraction(assignment: np.ndarray) -> float:
    """Return the share of points that are noise (cluster −1), in [0, 1]."""
    return float(np.mean(np.asarray(assignment) == NOISE))


def contingency(labels: np.ndarray, assignment: np.ndarray) -> Contingency:
    """Count points by cluster and class.

    Parameters
    ----------
    labels, assignment : ndarray of int, shape (N,)
        Class and cluster of each point.

    Returns
    -------
    Contingency
        Rows by ascending cluster, columns by ascending class.

    Raises
    ------
    ValueError
        If the lengths differ or there is no point.
    """
    _require_same_length(assignment, labels)
    clusters, rows = np.unique(assignment, return_inverse=True)
    classes, columns = np.unique(labels, return_inverse=True)
    shape = (len(clusters), len(classes))
    cells = np.ravel_multi_index((rows, columns), shape)
    counts = np.bincount(cells, minlength=np.prod(shape)).reshape(shape)
    return Contingency(counts, clusters, classes)


def majority_order(labels: np.ndarray, assignment: np.ndarray) -> Contingency:
    """Sort the table of clusters and classes so that its majorities run down the diagonal.

    Parameters
    ----------
    labels, assignment : ndarray of int, shape (N,)
        Class and cluster of each point.

    Returns
    -------
    Contingency
        Rows by their majority class; of rows with the same one, the row with more points of that
        class first. A row of noise comes last. Its `majority` names the rows.
    """
    table = contingency(labels, assignment)
    order = np.lexsort((-table.counts.max(axis=1), table.majority, table.clusters == NOISE))
    return Contingency(table.counts[order], table.clusters[order], table.classes)


def hungarian_match(labels: np.ndarray, assignment: np.ndarray) -> dict[int, int]:
    """Pair clusters with classes, one to one, so that most points are right.

    Parameters
    ----------
    labels, assignment : ndarray of int, shape (N,)
        Class and cluster of each point.

    Returns
    -------
    dict of int to int
        Class of each cluster. Surplus clusters, if there are more than classes, are left out.

    Notes
    -----
    Kuhn (1955), "The Hungarian method for the assignment problem". ``acc`` of `score` is the share
    of points whose cluster is paired with their class.
    """
    table = contingency(labels, assignment)
    rows, columns = _best_pairs(table.counts)
    return dict(zip(table.clusters[rows].tolist(), table.classes[columns].tolist(), strict=True))


def matched_classes(labels: np.ndarray, assignment: np.ndarray) -> np.ndarray:
    """Say of each point which class its cluster is paired with.

    Parameters
    ----------
    labels, assignment : ndarray of int, shape (N,)
        Class and cluster of each point.

    Returns
    -------
    ndarray of int, shape (N,)
        Class by `hungarian_match`; −1 where the cluster has none.
    """
    match = hungarian_match(labels, assignment)
    return np.array([match.get(cluster, -1) for cluster in assignment.tolist()])


def hungarian_order(labels: np.ndarray, assignment: np.ndarray) -> Contingency:
    """Sort the table of clusters and classes so that its one-to-one pairs run down the diagonal.

    Parameters
    ----------
    labels, assignment : ndarray of int, shape (N,)
        Class and cluster of each point.

    Returns
    -------
    Contingency
        Rows by the class they are paired with (`hungarian_match`), unpaired ones after them.
    """
    table = contingency(labels, assignment)
    match = hungarian_match(labels, assignment)
    after_all = table.classes.max() + 1
    order = np.argsort([match.get(c, after_all) for c in table.clusters.tolist()], kind="stable")
    return Contingency(table.counts[order], table.clusters[order], table.classes)


def confusion_table(
    assignment: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """List how many points of each class each cluster has.

    Parameters
    ----------
    assignment, labels : ndarray of int, shape (N,)
        Cluster and class of each point.
    class_names : sequence of str
        Name of class 0, 1, ….

    Returns
    -------
    DataFrame
        Columns ``class`` (name), ``cluster`` (−1 is noise) and ``count``; a row for each pair that
        has points, by class and then by cluster.
    """
    import pandas as pd

    table = contingency(labels, assignment)
    rows = [
        {"class": class_names[label], "cluster": int(cluster), "count": int(count)}
        for label, column in zip(table.classes, table.counts.T, strict=True)
        for cluster, count in zip(table.clusters, column, strict=True)
        if count
    ]
    return pd.DataFrame(rows)


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


def external(assignment: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute the metrics of `score` that use labels, noise as a cluster of its own."""
    from sklearn import metrics

    counts = contingency(labels, assignment).counts
    homogeneity, completeness, v_measure = metrics.homogeneity_completeness_v_measure(
        labels, assignment
    )
    scores = {
        "ari": metrics.adjusted_rand_score(labels, assignment),
        "nmi": metrics.normalized_mutual_info_score(labels, assignment),
        "ami": metrics.adjusted_mutual_info_score(labels, assignment),
        "homogeneity": homogeneity,
        "completeness": completeness,
        "v_measure": v_measure,
        "purity": counts.max(axis=1).sum() / counts.sum(),
        "acc": counts[_best_pairs(counts)].sum() / counts.sum(),
    }
    return {name: float(value) for name, value in scores.items()}


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


def _best_pairs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(counts, maximize=True)


def _require_same_length(assignment: np.ndarray, other: np.ndarray) -> None:
    if len(assignment) != len(other) or len(assignment) == 0:
        raise ValueError(
            f"need a cluster for every point: {len(assignment)} clusters, {len(other)} points"
        )
