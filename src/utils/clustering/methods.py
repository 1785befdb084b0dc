"""Clusterers: functions from features to a cluster for every point.

`cluster` calls them all in the same way, by name; their settings are the constants below, the same
for every data set and space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.clustering.centres import STARTS, kmeans
from utils.clustering.graphs import (
    GRAPH_NEIGHBORS,
    LEIDEN_NEIGHBORS,
    RESOLUTION,
    _leiden,
    _neighbor_graph,
    _spectral,
)
from utils.clustering.persistent_layers import (
    EVOC_NEIGHBORS,
    PLSCAN_SAMPLES,
    _evoc,
    _plscan,
)
from utils.clustering.results import Result, _fit, _without_gaps
from utils.errors import UserError
from utils.spaces.neighbours import require_features

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array
DENSITY_SAMPLES = 10
KNEE_SAMPLES = 5
LEAST_CLUSTER_SHARE = 0.01
# Above so many points Ward's method looks along a graph: all pairs would need gigabytes.
MOST_POINTS_IN_PAIRS = 5000
SOM_PASSES = 10
K_CANDIDATES = range(2, 21)
K_SAMPLE = 5000


def cluster(name: str, features: np.ndarray, n_clusters: int | None, seed: int) -> Result:
    """Cluster points by any of the methods.

    Parameters
    ----------
    name : str
        One of `CLUSTERERS`.
    features : ndarray of float32, shape (N, D)
        One row a point; finite.
    n_clusters : int or None
        Number of clusters k. None lets `choose_k` choose it. Those of `FINDS_K` find k themselves
        and do not look at it.
    seed : int
        Seed of all that is drawn at random; the same seed gives the same clusters.

    Returns
    -------
    Result
        As many clusters as asked for, or fewer where some would have no point (`metrics.k_found`).

    Raises
    ------
    UserError
        If the name is unknown, k is below 1, there are too few points for the method, a value is
        NaN or infinite, or k or a radius is to be found where all points are equal.
    """
    if name not in CLUSTERERS:
        raise UserError(f"unknown clusterer {name!r}: allowed are {', '.join(CLUSTERERS)}")
    if name in FINDS_K:
        result = CLUSTERERS[name].fit(features, 0, seed)
    else:
        if n_clusters is None:
            n_clusters, _ = choose_k(features, seed=seed)
        if n_clusters < 1:
            raise UserError(f"{name} needs at least 1 cluster, not {n_clusters}")
        result = CLUSTERERS[name].fit(features, n_clusters, seed)
    return Result(_without_gaps(result.assignment), result.confidence)


def with_equal_points_together(result: Result, groups: np.ndarray) -> Result:
    """Put points that are equal into one cluster: that of most of them, with one confidence.

    A layout places equal points near each other, not at one place, so that the border of two
    clusters can run between them.

    Parameters
    ----------
    result : Result
    groups : ndarray of int, shape (N,)
        Equal points have one number.
    """
    assignment = result.assignment.copy()
    confidence = None if result.confidence is None else result.confidence.copy()
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    for points in np.split(order, starts):
        if len(points) > 1:
            found, sizes = np.unique(assignment[points], return_counts=True)
            most = found[sizes.argmax()]
            if confidence is not None:
                confidence[points] = confidence[points][assignment[points] == most].mean()
            assignment[points] = most
    return Result(_without_gaps(assignment), confidence)


def choose_k(
    features: np.ndarray, candidates: Sequence[int] = K_CANDIDATES, seed: int = 0
) -> tuple[int, pd.DataFrame]:
    """Choose a number of clusters without labels: that of the highest silhouette of k-means.

    Rousseeuw (1987), "Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis".

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite. Of more than 5,000 points so many are drawn and looked at.
    candidates : sequence of int
        Values of k to try, from 2. The silhouette is undefined for k ≥ N, so those are left out.
    seed : int
        Seed of the draw and of k-means.

    Returns
    -------
    k : int
        The best candidate, and of equally good ones the first.
    curve : DataFrame
        A row per candidate tried: ``k`` and ``silhouette`` in [−1, 1].

    Raises
    ------
    UserError
        If no candidate is left, a value is NaN or infinite, or all points are equal.
    """
    import pandas as pd
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    require_features(features, 3, "choosing a number of clusters")
    sample = features
    if len(features) > K_SAMPLE:
        drawn = np.random.default_rng(seed).choice(len(features), K_SAMPLE, replace=False)
        sample = features[np.sort(drawn)]
    tried = [k for k in candidates if 2 <= k < len(sample)]
    if not tried:
        raise UserError(
            f"choosing a number of clusters for {len(sample)} points needs a candidate from 2 to "
            f"{len(sample) - 1}, found {list(candidates)}"
        )
    n_distinct = len(np.unique(sample, axis=0))
    if n_distinct == 1:
        raise UserError(
            "choosing a number of clusters: all points are equal, so none is better than another: "
            "check the representation, or give the number"
        )
    values = []
    for k in tried:
        # k-means finds no more clusters than there are distinct points.
        assignment = kmeans(sample, min(k, n_distinct), STARTS, seed).assignment
        with threadpool_limits(limits=1, user_api="blas"):
            values.append(silhouette_score(sample, assignment))
    curve = pd.DataFrame({"k": tried, "silhouette": values})
    return int(curve["k"][curve["silhouette"].argmax()]), curve


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


def _kmeans(features: np.ndarray, n_clusters: int, seed: int) -> Result:
    """k-means, the best of 10 starts."""
    return Result(kmeans(features, n_clusters, STARTS, seed).assignment)


def _gmm(features: np.ndarray, n_clusters: int, seed: int) -> Result:
    """Gaussian mixture with full covariances; of 10 k-means++ starts the likeliest is kept."""
    from numba import get_num_threads
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    require_features(features, max(n_clusters, 2), f"a mixture of {n_clusters} Gaussians")
    # In one common unit, so that the floor under the variances is as small beside any features.
    centred = features - features.mean(axis=0, dtype=np.float64)
    centred /= centred.std() or 1

    def fitted(start: int) -> GaussianMixture:
        return GaussianMixture(
            n_clusters, init_params="k-means++", max_iter=300, random_state=start
        ).fit(centred)

    starts = np.random.default_rng(seed).integers(2**31, size=STARTS).tolist()
    # The sums are made outside Python's lock. As many threads as the layouts of `spaces.umap` use.
    # Not by `_fit` in each: the limit is the process's, and threads would undo each other's.
    with (
        threadpool_limits(limits=1, user_api="blas"),
        ThreadPoolExecutor(get_num_threads()) as pool,
    ):
        models = list(pool.map(fitted, starts))
    belongs = max(models, key=lambda model: model.lower_bound_).predict_proba(centred)
    confidence = np.clip(belongs.max(axis=1), 0, 1).astype(np.float32)
    return Result(belongs.argmax(axis=1), confidence)


def _ward(features: np.ndarray, n_clusters: int, _seed: int) -> Result:
    """Agglomeration by the least increase of the within-cluster sum of squares (Ward 1963).

    Above 5,000 points only clusters that touch in the graph of nearest neighbours are merged.
    """
    require_features(features, max(n_clusters, 2), f"Ward's method with {n_clusters} clusters")
    graph = None
    if len(features) > MOST_POINTS_IN_PAIRS:
        graph = _neighbor_graph(features, GRAPH_NEIGHBORS, connected=True)
    return Result(_ward_labels(features, n_clusters, graph))


def _ward_labels(features: np.ndarray, n_clusters: int, graph: csr_array | None) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(n_clusters, linkage="ward", connectivity=graph)
    _fit(model, features)
    return model.labels_


def _hdbscan(features: np.ndarray, _k: int, _seed: int) -> Result:
    """HDBSCAN (Campello, Moulavi & Sander 2013): dense clusters of 1 % of the points and more."""
    from sklearn.cluster import HDBSCAN

    require_features(features, DENSITY_SAMPLES, "HDBSCAN")
    least = max(DENSITY_SAMPLES, round(LEAST_CLUSTER_SHARE * len(features)))
    model = HDBSCAN(min_cluster_size=least, min_samples=DENSITY_SAMPLES, copy=True)
    _fit(model, features)
    return Result(model.labels_, model.probabilities_.astype(np.float32))


def _dbscan_knee(features: np.ndarray, _k: int, _seed: int) -> Result:
    """DBSCAN with the radius at the knee of the distances to the fifth neighbour."""
    curve = k_distances(features, KNEE_SAMPLES)
    eps = curve[knee(curve)]
    if eps == 0:
        raise UserError(
            "DBSCAN at the knee: the knee of the distances is at 0, so no radius can be read "
            "(mostly equal points): check the representation or use another clusterer"
        )
    return Result(dbscan(features, eps, KNEE_SAMPLES))


def _som(features: np.ndarray, n_clusters: int, seed: int) -> Result:
    """Self-organising map whose units are clustered by Ward's method.

    Vesanto & Alhoniemi (2000), "Clustering of the Self-Organizing Map", with their 5 √N units, on a
    square. Units that are no point's best match are left out. Where fewer units than clusters are
    left, each is a cluster.
    """
    from minisom import MiniSom
    from sklearn.metrics import pairwise_distances_argmin
    from threadpoolctl import threadpool_limits

    require_features(features, n_clusters, f"a self-organising map for {n_clusters} clusters")
    n_points, n_features = features.shape
    side = max(2, round(np.sqrt(5 * np.sqrt(n_points))))
    som = MiniSom(
        side,
        side,
        n_features,
        sigma=side / 2,
        sigma_decay_function="linear_decay_to_one",
        decay_function="linear_decay_to_zero",
        random_seed=seed,
    )
    som.random_weights_init(features)
    som.train(features, SOM_PASSES * n_points, random_order=True)
    units = som.get_weights().reshape(-1, n_features)
    with threadpool_limits(limits=1, user_api="blas"):
        best = pairwise_distances_argmin(features, units.astype(features.dtype))
    hit, unit_of_point = np.unique(best, return_inverse=True)
    if len(hit) <= n_clusters:
        return Result(unit_of_point)
    return Result(_ward_labels(units[hit], n_clusters, None)[unit_of_point])


class Clusterer(NamedTuple):
    """A clusterer.

    Attributes
    ----------
    fit : callable
        From points, k and seed to a `Result`.
    settings : str
        What it is run with, and the source of these values.
    finds_k : bool
        Whether it finds k itself and ignores the one that is given.
    """

    fit: Callable[[np.ndarray, int, int], Result]
    settings: str
    finds_k: bool = False


CLUSTERERS = {
    "kmeans": Clusterer(_kmeans, f"k-means, the tightest of {STARTS} starts"),
    "gmm": Clusterer(_gmm, f"Gaussian mixture, full covariances, the likeliest of {STARTS} starts"),
    "ward": Clusterer(
        _ward,
        f"Ward's method, above {MOST_POINTS_IN_PAIRS:,} points on the graph of {GRAPH_NEIGHBORS} "
        "neighbours",
    ),
    "spectral": Clusterer(
        _spectral, f"normalised spectral clustering on the graph of {GRAPH_NEIGHBORS} neighbours"
    ),
    "hdbscan": Clusterer(
        _hdbscan,
        f"HDBSCAN, smallest cluster {LEAST_CLUSTER_SHARE:.0%} of the images, {DENSITY_SAMPLES} "
        "samples",
        finds_k=True,
    ),
    "dbscan_knee": Clusterer(
        _dbscan_knee,
        f"DBSCAN, {KNEE_SAMPLES} samples, eps at the knee of the k-distance curve",
        finds_k=True,
    ),
    "som": Clusterer(
        _som,
        "self-organising map of 5√N units, its units joined by Ward (Vesanto & Alhoniemi 2000)",
    ),
    "leiden": Clusterer(
        _leiden,
        f"Leiden, modularity at resolution {RESOLUTION:g} on the graph of {LEIDEN_NEIGHBORS} "
        "neighbours",
        finds_k=True,
    ),
    "evoc": Clusterer(
        _evoc,
        f"EVoC (McInnes 2025), the package's settings, {EVOC_NEIGHBORS} neighbours by the cosine, "
        "the most persistent layer",
        finds_k=True,
    ),
    "plscan": Clusterer(
        _plscan,
        f"PLSCAN (Bot et al. 2025), the package's settings, {PLSCAN_SAMPLES} samples, the most "
        "persistent layer",
        finds_k=True,
    ),
}
FINDS_K = frozenset(name for name, entry in CLUSTERERS.items() if entry.finds_k)
K_RULE = f"k: the highest silhouette of k-means, {K_CANDIDATES[0]} to {K_CANDIDATES[-1]}"
