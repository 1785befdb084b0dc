"""External metrics: how far clusters agree with labels.

A noise point has the cluster −1; here noise counts as a cluster of its own.
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
        Columns ``class`` (name), ``cluster`` (−1 is noise) and ``images``; a row for each pair that
        has points, by class and then by cluster.
    """
    import pandas as pd

    table = contingency(labels, assignment)
    rows = [
        {"class": class_names[label], "cluster": int(cluster), "images": int(count)}
        for label, column in zip(table.classes, table.counts.T, strict=True)
        for cluster, count in zip(table.clusters, column, strict=True)
        if count
    ]
    return pd.DataFrame(rows)


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


def _best_pairs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(counts, maximize=True)


def _require_same_length(assignment: np.ndarray, other: np.ndarray) -> None:
    if len(assignment) != len(other) or len(assignment) == 0:
        raise ValueError(
            f"need a cluster for every point: {len(assignment)} clusters, {len(other)} points"
        )
