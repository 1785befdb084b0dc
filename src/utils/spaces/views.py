"""Several views of the same images side by side."""

from __future__ import annotations

import numpy as np

from utils.errors import UserError
from utils.spaces.projections import pca

VIEW_COMPONENTS = 50
VIEWS_SETTINGS = f"each reduced to at most {VIEW_COMPONENTS} components of mean squared length 1"


def views(*features: np.ndarray) -> np.ndarray:
    """Put several views of the same images side by side, each with the same weight.

    Parameters
    ----------
    *features : ndarray of float32, shape (N, D_i)
        Features of the same N images in the same order; finite.

    Returns
    -------
    ndarray of float32, shape (N, sum of min(50, D_i))
        The views in the order given, each reduced to its 50 directions of largest variance (all of
        them where it has fewer features) and divided by one number, so that its rows have a mean
        squared norm of 1: each view has the same share of the squared distances between images.

    Raises
    ------
    UserError
        If there is no view, their numbers of images differ, or one cannot be reduced
        (`pca`: fewer points than components, values that are not finite, or all points equal).
    """
    if not features:
        raise UserError("views() needs the features of at least one representation")
    numbers = [len(view) for view in features]
    if len(set(numbers)) > 1:
        raise UserError(
            f"views side by side must be of the same images, found {numbers} points: "
            "compute every view from the same subset"
        )
    return np.concatenate([_unit_view(view) for view in features], axis=1)


def _unit_view(features: np.ndarray) -> np.ndarray:
    """Reduce one view by PCA, and scale it to a mean squared norm of 1."""
    scores, _ = pca(features, min(VIEW_COMPONENTS, features.shape[-1]))
    mean_squared_norm = np.square(scores, dtype=np.float64).sum(axis=1).mean()
    return (scores / np.sqrt(mean_squared_norm)).astype(np.float32)
