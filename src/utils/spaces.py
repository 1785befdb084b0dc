"""Spaces in which a representation is clustered, scored or drawn: PCA and the t-SNE map."""

from __future__ import annotations

import numpy as np

from utils.config import UserError

PERPLEXITY = 30.0
LEAST_MAP_POINTS = 5


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
    from sklearn.decomposition import PCA

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
    solver = "covariance_eigh" if n_points >= n_features else "full"
    model = PCA(n_components, svd_solver=solver)
    scores = model.fit_transform(features).astype(np.float32, copy=False)
    return scores, model.explained_variance_ratio_


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
