"""The same clusterer many times: over seeds, over radii, and over spaces in which it is measured.

Labels are used for scores only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from utils import clustering, metrics


class Start(NamedTuple):
    """Points clustered by k-means from one seed: cluster of each, int ``(N,)``, and its scores."""

    kmeans_seed: int
    assignment: np.ndarray
    scores: dict[str, float]


def kmeans_by_seed(
    points: np.ndarray, labels: np.ndarray, n_clusters: int, n_init: int, seeds: Iterable[int]
) -> list[Start]:
    """Cluster the same points by k-means from several seeds, and score each clustering.

    Parameters
    ----------
    points : ndarray of float32, shape (N, d)
    labels : ndarray of int, shape (N,)
    n_clusters, n_init : int
        As for `clustering.kmeans`.
    seeds : iterable of int

    Returns
    -------
    list of Start
        Their spread is that of k-means alone, as the points stay the same.
    """
    starts = []
    for seed in seeds:
        assignment = clustering.kmeans(points, n_clusters, n_init, seed).assignment
        starts.append(Start(seed, assignment, metrics.score(assignment, labels, points)))
    return starts


def dbscan_by_eps(
    points: np.ndarray, labels: np.ndarray, radii: Iterable[float], min_samples: int
) -> pd.DataFrame:
    """Cluster by DBSCAN at each radius, and score it with noise as a cluster and without noise.

    Parameters
    ----------
    points : ndarray of float32, shape (N, d)
    labels : ndarray of int, shape (N,)
    radii : iterable of float
        Values of eps.
    min_samples : int
        As for `clustering.dbscan`.

    Returns
    -------
    DataFrame
        A row for each radius: ``eps``, ``k_found``, ``noise_fraction``, ``ari`` (noise as a cluster
        of its own), ``ari_covered`` and ``silhouette_covered`` (noise left out; NaN where
        undefined).
    """
    rows = []
    for eps in radii:
        assignment = clustering.dbscan(points, eps, min_samples)
        covered = assignment != metrics.NOISE
        without_noise = {}
        if covered.any():
            without_noise = metrics.score(assignment[covered], labels[covered], points[covered])
        rows.append(
            {
                "eps": eps,
                "k_found": metrics.k_found(assignment),
                "noise_fraction": metrics.noise_fraction(assignment),
                "ari": metrics.external(assignment, labels)["ari"],
                "ari_covered": without_noise.get("ari", np.nan),
                "silhouette_covered": without_noise.get("silhouette", np.nan),
            }
        )
    return pd.DataFrame(rows)


def internal_by_space(
    assignments: Mapping[str, np.ndarray], spaces: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Measure the internal indices of every clustering in every space.

    Parameters
    ----------
    assignments : mapping of str to ndarray of int, shape (n,)
        Clusterings of the same images, by name.
    spaces : mapping of str to ndarray of float32, shape (n, D)
        Points by the name of their space; each space has its own D.

    Returns
    -------
    DataFrame
        A row for each pair: ``clusters_of``, ``measured_in``, ``silhouette``, ``davies_bouldin``
        and ``calinski_harabasz``. Only rows of the same ``measured_in`` can be compared.
    """
    rows = [
        {"clusters_of": name, "measured_in": space} | metrics.internal(assignment, points)
        for space, points in spaces.items()
        for name, assignment in assignments.items()
    ]
    return pd.DataFrame(rows)
