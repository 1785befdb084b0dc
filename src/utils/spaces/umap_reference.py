"""UMAP as its authors' software lays points out, for a study whose protocol names that software."""

from __future__ import annotations

import numpy as np

from utils.errors import UserError
from utils.spaces.neighbours import require_features


def umap_reference(
    features: np.ndarray, n_components: int, n_neighbors: int, min_dist: float, seed: int
) -> np.ndarray:
    """Lay out points with umap-learn itself and its defaults.

    McInnes, Healy & Melville (2018), "UMAP: Uniform Manifold Approximation and Projection for
    Dimension Reduction". The leaderboards use `umap`, which differs in its neighbours, its start
    and its random points. No label is involved.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite. N at least ``n_components + 2`` and ``n_neighbors + 1``.
    n_components : int
        Number of dimensions d of the layout.
    n_neighbors : int
        Neighbours of a point that its layout looks at, itself counted; at least 2.
    min_dist : float
        Least distance of points in the layout, from 0.
    seed : int
        ``random_state`` of UMAP. With a seed umap-learn lays out on one thread.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Positions without a unit. Distances between far groups mean nothing.

    Raises
    ------
    UserError
        If there are too few points, a value is NaN or infinite, or `n_components` or `n_neighbors`
        is below what UMAP can use (1 and 2).
    """
    if n_components < 1 or n_neighbors < 2:
        raise UserError(
            f"UMAP needs at least 1 dimension and 2 neighbours, found {n_components} and "
            f"{n_neighbors}: raise n_components or n_neighbors"
        )
    purpose = f"UMAP to {n_components} dimensions with {n_neighbors} neighbours"
    require_features(features, max(n_components + 2, n_neighbors + 1), purpose)
    from umap import UMAP

    # n_jobs=1 is what umap-learn sets, with a warning, where there is a seed.
    model = UMAP(
        n_neighbors=n_neighbors,
        n_components=n_components,
        min_dist=min_dist,
        metric="euclidean",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(model.fit_transform(features), dtype=np.float32)
