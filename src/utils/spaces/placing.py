"""Views of images side by side, in which images that were not fitted can be placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.spaces.components import directions
from utils.spaces.projections import pca
from utils.spaces.views import VIEW_COMPONENTS


@dataclass(frozen=True)
class Components:
    """The principal components of one view, scaled to a mean squared length of 1.

    Attributes
    ----------
    mean : ndarray of float64, shape (D,)
    directions : ndarray of float64, shape (d, D)
        d is 50, or fewer where there are fewer features or points.
    """

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> Components:
        """Find the components of features ``(N, D)``, as `spaces.views` does for each view."""
        mean = features.mean(axis=0, dtype=np.float64)
        scores, _ = pca(features, min(VIEW_COMPONENTS, *features.shape))
        found = directions(scores, features, mean)
        mean_squared_length = np.square(scores, dtype=np.float64).sum(axis=1).mean()
        return cls(mean, found / np.sqrt(mean_squared_length))

    def place(self, features: np.ndarray) -> np.ndarray:
        """Return the components of features of any images: float32, shape (M, d)."""
        return ((features - self.mean) @ self.directions.T).astype(np.float32)


def place_beside(
    fitted: list[np.ndarray], others: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Place fitted and other images in the components of the fitted ones, all views side by side.

    Parameters
    ----------
    fitted : list of ndarray of float32, each of shape (N, D_i)
        Features of the fitted images by view.
    others : list of ndarray of float32, each of shape (M, D_i)
        Features of the other images by view, in the same order.

    Returns
    -------
    fitted, others : ndarray of float32, shapes (N, d) and (M, d)
    """
    components = [Components.fit(view) for view in fitted]
    placed = [
        np.concatenate([one.place(view) for one, view in zip(components, views, strict=True)], 1)
        for views in (fitted, others)
    ]
    return placed[0], placed[1]
