"""k-means: the clusterer of the studies, and the last step of the spectral one."""

from __future__ import annotations

import numpy as np

from utils.clustering.results import Clustering, _fit
from utils.spaces import require_features

STARTS = 10


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
