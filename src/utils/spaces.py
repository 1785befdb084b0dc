"""Spaces in which a representation is clustered, scored or drawn: PCA, UMAP and the t-SNE map.

And the neighbours of points in a space, on which UMAP and the clusterers of graphs build.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from utils.config import UserError

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

PERPLEXITY = 30.0
LEAST_MAP_POINTS = 5
# Up to so many features direct differences cost no more than a matrix product.
DIRECT_FEATURES = 64
_BLOCK = 256


def pca(features: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Project centred features onto their directions of largest variance.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite.
    n_components : int
        Number of directions d to keep, at most min(N, D).

    Returns
    -------
    scores : ndarray of float32, shape (N, d)
        Centred coordinates, the direction of largest variance first.
    explained_variance_ratio : ndarray of float, shape (d,)
        Share of the total variance along each direction, in [0, 1].

    Raises
    ------
    UserError
        If there are fewer points or features than components, a value is NaN or infinite, or all
        points are equal.

    Notes
    -----
    Exact, not randomised, and so free of a seed; the largest entry of every direction is positive,
    which fixes its sign. With at least as many points as features the D × D covariance is
    decomposed: the only large allocation besides the scores, whatever N is. With fewer points than
    features the covariance would be the larger matrix, so the data is decomposed itself.
    """
    require_features(features, least_points=n_components, purpose=f"PCA to {n_components}")
    n_points, n_features = features.shape
    if n_components > n_features:
        raise UserError(
            f"PCA to {n_components} needs at least as many features, found {n_features}: "
            "lower n_components"
        )
    if (features == features[0]).all():
        raise UserError(
            f"PCA to {n_components}: all {n_points} points are equal, so there is no variance: "
            "check the representation (a collapsed autoencoder looks like this)"
        )
    model = exact_pca(n_components, features.shape)
    scores = model.fit_transform(features).astype(np.float32, copy=False)
    return scores, model.explained_variance_ratio_


def exact_pca(n_components: int, shape: tuple[int, int]) -> PCA:
    """Return an unfitted PCA that draws nothing at random, as suits features of that shape."""
    from sklearn.decomposition import PCA

    n_points, n_features = shape
    solver = "covariance_eigh" if n_points >= n_features else "full"
    return PCA(n_components, svd_solver=solver)


def tsne(features: np.ndarray, seed: int) -> np.ndarray:
    """Draw points on a plane so that near neighbours stay near (t-SNE).

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        N of about 2,000 takes ten seconds on two cores; D at least 2.
    seed : int
        Seed of the randomised PCA that gives the starting positions.

    Returns
    -------
    ndarray of float32, shape (N, 2)
        Positions without a unit. Distances between far groups and the sizes of groups mean nothing.

    Raises
    ------
    UserError
        If there are fewer than 5 points or 2 features, or a value is NaN or infinite.

    Notes
    -----
    Barnes-Hut t-SNE (van der Maaten, 2014) with the perplexity 30. A perplexity p looks at 3p
    neighbours, which N points have only if p ≤ (N − 1) / 3; below 91 points it is lowered to that.
    """
    from sklearn.manifold import TSNE

    require_features(features, least_points=LEAST_MAP_POINTS, purpose="a t-SNE map")
    if features.shape[1] < 2:
        raise UserError("a t-SNE map needs at least 2 features, found 1: plot the feature itself")
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    model = TSNE(init="pca", learning_rate="auto", perplexity=perplexity, random_state=seed)
    return model.fit_transform(features).astype(np.float32, copy=False)


def umap(
    features: np.ndarray, n_components: int = 10, n_neighbors: int = 10, seed: int = 0
) -> np.ndarray:
    """Lay out points so that near neighbours stay near, packed for clustering (UMAP).

    McInnes, Healy & Melville (2018), "UMAP: Uniform Manifold Approximation and Projection for
    Dimension Reduction", with the least distance 0, which their documentation advises before
    clustering: groups become dense. No label is involved.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite. N at least ``n_components + 2`` and ``n_neighbors + 1``.
    n_components : int
        Number of dimensions d of the layout.
    n_neighbors : int
        Neighbours of a point that its layout looks at, itself counted, as in the paper's software.
    seed : int
        Seed of the layout.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Positions without a unit. Distances between far groups mean nothing. The same each time on
        one machine with the same libraries.

    Raises
    ------
    UserError
        If there are too few points, a value is NaN or infinite, or `n_components` or `n_neighbors`
        is below what UMAP can use (1 and 2).

    Notes
    -----
    The neighbours are the exact ones of `knn_graph` in the Euclidean distance, not UMAP's own
    approximate ones. UMAP runs in one thread, as always when it has a seed.
    """
    if n_components < 1 or n_neighbors < 2:
        raise UserError(
            f"UMAP needs at least 1 dimension and 2 neighbours, found {n_components} and "
            f"{n_neighbors}: raise n_components or n_neighbors"
        )
    purpose = f"UMAP to {n_components} dimensions with {n_neighbors} neighbours"
    require_features(features, max(n_components + 2, n_neighbors + 1), purpose)
    from umap import UMAP

    others, distances = knn_graph(features, n_neighbors - 1)
    # UMAP takes each point for its own first neighbour, which of duplicates a search may not find.
    itself = np.arange(len(features))[:, None]
    neighbors = np.hstack([itself, others])
    distances = np.hstack([np.zeros_like(distances[:, :1]), distances])
    model = UMAP(
        n_neighbors=n_neighbors,
        n_components=n_components,
        min_dist=0.0,
        precomputed_knn=(neighbors, distances, None),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # Only new points would need the index.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]", category=UserWarning)
        return model.fit_transform(features).astype(np.float32, copy=False)


def knn_graph(features: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest other points of every point, by the Euclidean distance.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite. 70,000 points of 50 features take about half a minute on
        two cores.
    k : int
        Number of neighbours, at least 1 and below N.

    Returns
    -------
    indices : ndarray of int64, shape (N, k)
        Rows of the neighbours, the nearest first and of equally near ones the lowest first; never
        the point itself.
    distances : ndarray of float32, shape (N, k)
        Their distances in the unit of the features; 0 between equal points.

    Raises
    ------
    UserError
        If k is below 1, there are k or fewer points, or a value is NaN or infinite.

    Notes
    -----
    An exhaustive search (faiss). Up to 64 features it takes differences of coordinates. Beyond that
    it takes them from a matrix product, which is much faster there and rounds: of points whose
    squared distances differ by less than about 1e-6 of the largest squared norm, either may be
    taken for the nearer. The distances returned, and their order, always come from differences.
    Of more than k equally near points any k may be returned.
    """
    if k < 1:
        raise UserError(f"a graph of nearest neighbours needs at least 1 of them, not {k}")
    require_features(features, k + 1, f"a graph of {k} nearest neighbours")
    # To search, a common offset would cost digits, and squares of extreme values would overflow.
    centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    # A power of two, so that scaling rounds nothing and equal distances stay equal.
    scale = np.exp2(np.floor(np.log2(np.abs(centred).max() or 1)), dtype=np.float32)
    found = _search(np.asarray(centred / scale, dtype=np.float32), k + 1)
    distances = np.empty(found.shape, dtype=np.float32)
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        differences = (features[found[rows]] - features[rows, None]) / scale
        distances[rows] = np.linalg.norm(differences, axis=2)
    # The point itself goes last and is cut off; or the farthest, where as many equal points hid it.
    distances[found == np.arange(len(found))[:, None]] = np.inf
    order = np.lexsort((found, distances), axis=1)[:, :k]
    indices = np.take_along_axis(found, order, axis=1)
    return indices, np.take_along_axis(distances, order, axis=1) * scale


def _search(points: np.ndarray, k: int) -> np.ndarray:
    """Search the rows of the k nearest points of every point; one of them is mostly itself."""
    import faiss

    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    usual = faiss.cvar.distance_compute_blas_threshold
    if points.shape[1] <= DIRECT_FEATURES:
        faiss.cvar.distance_compute_blas_threshold = np.iinfo(np.int32).max
    try:
        return index.search(points, k)[1]
    finally:
        faiss.cvar.distance_compute_blas_threshold = usual


def require_features(features: np.ndarray, least_points: int, purpose: str) -> None:
    """Refuse features that no method here can use.

    Parameters
    ----------
    features : ndarray, shape (N, D)
    least_points : int
        Smallest N that `purpose` works with.
    purpose : str
        What the features are for, as it begins the message.

    Raises
    ------
    UserError
        If the array is not (N, D), has fewer than `least_points` rows, or holds NaN or infinity.
    """
    if features.ndim != 2:
        raise UserError(
            f"{purpose} needs features of shape (points, features), found {features.shape}: "
            "flatten each point to one row"
        )
    if len(features) < least_points:
        raise UserError(
            f"{purpose} needs at least {least_points} points, found {len(features)}: "
            "use more images or ask for less"
        )
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{purpose}: {np.count_nonzero(~finite)} of {len(features)} points hold NaN or "
            f"infinity, the first is point {int(finite.argmin())}: check the images or the "
            "training behind them"
        )
