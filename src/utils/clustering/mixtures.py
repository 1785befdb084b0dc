"""Mixtures of Gaussians as scikit-learn fits them by default, for a study that uses them so."""

from __future__ import annotations

import numpy as np

from utils.clustering.results import Clustering, _fit
from utils.spaces import require_features


def gaussian_mixture(features: np.ndarray, n_components: int, seed: int) -> Clustering:
    """Cluster by a mixture of Gaussians with full covariances; each point joins the likeliest.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite.
    n_components : int
        Number of Gaussians k.
    seed : int
        ``random_state`` of the mixture, which its first k-means starts from.

    Returns
    -------
    Clustering
        k centres, the means of the Gaussians; every point has a cluster.

    Raises
    ------
    UserError
        If there are fewer points than Gaussians, or a value is NaN or infinite.

    Notes
    -----
    All other settings are scikit-learn's defaults: one start, expectation-maximisation (Dempster,
    Laird & Rubin 1977) from the clusters of k-means, at most 100 steps. In double precision, since
    the determinants of the covariances are small. The leaderboards' ``gmm`` keeps the likeliest of
    several starts.
    """
    from sklearn.mixture import GaussianMixture

    purpose = f"a mixture of {n_components} Gaussians"
    require_features(features, max(n_components, 2), purpose)
    points = features.astype(np.float64)
    model = GaussianMixture(n_components, covariance_type="full", random_state=seed)
    _fit(model, points)
    return Clustering(model.predict(points).astype(np.int32), model.means_)
