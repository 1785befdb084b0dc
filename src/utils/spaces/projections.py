"""Spaces in which a representation is clustered, scored or drawn: PCA, UMAP and the t-SNE map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.errors import UserError
from utils.spaces.neighbours import knn_graph, require_features

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

# Of UMAP: neighbours that a layout looks at, each point itself counted, and the least distance.
NEIGHBORS, LEAST_DISTANCE = 10, 0.0
PERPLEXITY = 30.0
LEAST_MAP_POINTS = 5
TSNE_START = 1e-4  # standard deviation of the positions that t-SNE starts from
# Where UMAP's layout starts and how long it runs, as in umap-learn but for the tolerance.
START_TOLERANCE = 1e-2
START_SIDE = 10.0
START_NOISE = 1e-4
MANY_POINTS = 10_000
FEW_EPOCHS, MANY_EPOCHS = 200, 500


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
            f"allowed are 1 to {min(n_points, n_features)} components"
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
        N of about 2,000 takes ten seconds on two cores.
    seed : int
        Seed of the randomised PCA that gives the starting positions; of a single feature, seed of
        the second coordinate of these.

    Returns
    -------
    ndarray of float32, shape (N, 2)
        Positions without a unit. Distances between far groups and the sizes of groups mean nothing.

    Raises
    ------
    UserError
        If there are fewer than 5 points, or a value is NaN or infinite.

    Notes
    -----
    Barnes-Hut t-SNE (van der Maaten, 2014) with the perplexity 30. A perplexity p looks at 3p
    neighbours, which N points have only if p ≤ (N − 1) / 3; below 91 points it is lowered to that.
    """
    from sklearn.manifold import TSNE

    require_features(features, least_points=LEAST_MAP_POINTS, purpose="a t-SNE map")
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    start = "pca" if features.shape[1] > 1 else _start_on_a_line(features, seed)
    model = TSNE(init=start, learning_rate="auto", perplexity=perplexity, random_state=seed)
    return model.fit_transform(features).astype(np.float32, copy=False)


def _start_on_a_line(feature: np.ndarray, seed: int) -> np.ndarray:
    """Lay points of a single feature ``(N, 1)`` along a line, as narrowly as t-SNE starts them."""
    line = feature - feature.mean()
    across = np.random.default_rng(seed).normal(scale=TSNE_START, size=feature.shape)
    return np.hstack([TSNE_START * line / (line.std() or 1), across]).astype(np.float32)


def umap(
    features: np.ndarray, n_components: int = 10, n_neighbors: int = NEIGHBORS, seed: int = 0
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
    approximate ones. Its graph and the spectral start are umap-learn's, the latter to a tolerance
    of 0.01, since it only begins the layout; the layout is that of `umap_layout`, with as many
    epochs, steps and random points as umap-learn's and the same for any number of threads.
    """
    if n_components < 1 or n_neighbors < 2:
        raise UserError(
            f"UMAP needs at least 1 dimension and 2 neighbours, found {n_components} and "
            f"{n_neighbors}: raise n_components or n_neighbors"
        )
    purpose = f"UMAP to {n_components} dimensions with {n_neighbors} neighbours"
    require_features(features, max(n_components + 2, n_neighbors + 1), purpose)
    from umap.spectral import spectral_layout
    from umap.umap_ import find_ab_params, fuzzy_simplicial_set

    from utils.spaces.umap_layout import lay_out

    others, distances = knn_graph(features, n_neighbors - 1)
    # UMAP takes each point for its own first neighbour, which of duplicates a search may not find.
    itself = np.arange(len(features))[:, None]
    neighbors = np.hstack([itself, others])
    distances = np.hstack([np.zeros_like(distances[:, :1]), distances])
    random = np.random.RandomState(seed)
    graph, _, _ = fuzzy_simplicial_set(
        features, n_neighbors, random, "euclidean", knn_indices=neighbors, knn_dists=distances
    )
    start = spectral_layout(features, graph, n_components, random, tol=START_TOLERANCE)
    # Points of one place would never part, and axes of one value would never be used.
    start = start * (START_SIDE / np.abs(start).max())
    start += random.normal(scale=START_NOISE, size=start.shape)
    start = START_SIDE * (start - start.min(axis=0)) / np.ptp(start, axis=0)
    n_epochs = FEW_EPOCHS if len(features) > MANY_POINTS else MANY_EPOCHS
    curve = find_ab_params(spread=1.0, min_dist=LEAST_DISTANCE)
    return lay_out(graph.tocoo(), start, curve, n_epochs, seed)
