"""The spaces of a method by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from utils.config.methods import Space
from utils.spaces import projections
from utils.spaces.umap_reference import umap_reference
from utils.spaces.views import VIEWS_SETTINGS, views

# Features above the first number are reduced to the second before neighbours are sought.
MOST_FEATURES, REDUCED_FEATURES = 200, 50


class Projection(NamedTuple):
    """A kind of space.

    Attributes
    ----------
    project : callable
        From features, `Space` and seed to points.
    settings : callable
        From `Space` to what it is computed with, and the source of these values.
    of_neighbours : bool
        Whether it looks for neighbours, for which wide features are reduced first.
    is_seeded : bool
    """

    project: Callable[[np.ndarray, Space, int], np.ndarray]
    settings: Callable[[Space], str]
    of_neighbours: bool
    is_seeded: bool


def _pca(features: np.ndarray, space: Space, _seed: int) -> np.ndarray:
    return projections.pca(features, space.n_components)[0]


def _umap(features: np.ndarray, space: Space, seed: int) -> np.ndarray:
    seeds = range(seed * space.layouts, (seed + 1) * space.layouts)
    neighbors = space.n_neighbors or projections.NEIGHBORS
    layouts = [projections.umap(features, space.n_components, neighbors, own) for own in seeds]
    return layouts[0] if space.layouts == 1 else views(*layouts)


def _umap_learn(features: np.ndarray, space: Space, seed: int) -> np.ndarray:
    neighbors, distance = projections.NEIGHBORS, projections.LEAST_DISTANCE
    return umap_reference(features, space.n_components, neighbors, distance, seed)


def _umap_learn_settings(space: Space) -> str:
    return (
        f"UMAP to {space.n_components} dimensions, {space.n_neighbors or projections.NEIGHBORS} "
        f"neighbours, min_dist {projections.LEAST_DISTANCE:g} (McInnes et al. 2018)"
    )


def _umap_settings(space: Space) -> str:
    # As in `umap_layout`: threads may not write to the same points.
    text = f"{_umap_learn_settings(space)}, a variant: negatives drawn within a block"
    if space.layouts > 1:
        text += f", {space.layouts} layouts of different seeds side by side, {VIEWS_SETTINGS}"
    return text


PROJECTIONS = {
    "pca": Projection(
        _pca, lambda space: f"{space.n_components} principal components", False, False
    ),
    "umap": Projection(_umap, _umap_settings, True, True),
    "umaplearn": Projection(
        _umap_learn,
        lambda space: f"{_umap_learn_settings(space)}, by umap-learn itself on one thread",
        True,
        True,
    ),
}


def reduction(features: np.ndarray, to: int = 0) -> Space:
    """Return the space to which features are reduced before neighbours are sought in them.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
    to : int
        Principal components to which wider features are reduced; 0 reduces those of more than 200
        dimensions to 50.
    """
    if features.shape[1] <= (to or MOST_FEATURES):
        return Space()
    return Space("pca", min(to or REDUCED_FEATURES, *features.shape))


def project(space: Space, features: np.ndarray, seed: int) -> np.ndarray:
    """Project features into a space.

    Parameters
    ----------
    space : Space
    features : ndarray of float32, shape (N, D)
    seed : int
        Not looked at by ``raw`` and ``pca``.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Several layouts stand side by side with equal weight, so that no cluster depends on one.

    Raises
    ------
    UserError
        If there are too few points or features, or a value is NaN or infinite.
    """
    if space.kind == "raw":
        return features
    return PROJECTIONS[space.kind].project(features, space, seed)
