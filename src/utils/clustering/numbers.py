"""Rules that find a number of clusters without labels, all from the same points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from utils.clustering import levels
from utils.clustering.centres import kmeans
from utils.clustering.methods import K_CANDIDATES, choose_k
from utils.clustering.persistent_layers import fit_plscan
from utils.spaces import knn_graph, umap

# Tibshirani & Walther (2005): the largest k of at least this strength, over so many halvings.
STRENGTH, HALVINGS = 0.8, 5
# Fewer points have no neighbourhoods to lay out: their components are looked at and clustered.
LEAST_LAID_OUT = 50
LEVEL_NEIGHBORS = 50
LAYOUT_COMPONENTS = 10


class Found(NamedTuple):
    """A number of clusters, and what the rule saw at it; NaN if it measures nothing."""

    k: int
    value: float = np.nan


@dataclass(frozen=True)
class Points:
    """Points in the space of their principal components, and what several rules look at.

    Attributes
    ----------
    components : ndarray of float32, shape (N, d)
        N at least 4.
    seed : int
        Not negative; of all that is drawn at random.
    """

    components: np.ndarray
    seed: int

    @cached_property
    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices and distances of the nearest others of each point."""
        return knn_graph(self.components, min(LEVEL_NEIGHBORS, len(self.components) - 1))

    @cached_property
    def layout(self) -> np.ndarray:
        """The UMAP layout, float32 ``(N, 10)``; of fewer than 50 points their components."""
        if len(self.components) < LEAST_LAID_OUT:
            return self.components
        return umap(self.components, LAYOUT_COMPONENTS, seed=self.seed)


def leiden(points: Points, resolution: float) -> Found:
    """Count Leiden's communities of the graph of 15 neighbours at a resolution.

    Traag, Waltman & van Eck (2019), "From Louvain to Leiden", with modularity.
    """
    groups = levels.communities(points.nearest[0], resolution, points.seed)
    return Found(int(groups.max()) + 1)


def front_level(points: Points) -> Found:
    """Count the groups of the level in front, see `levels.find_levels`.

    The value is the agreement of its groups with those of parts of the points; NaN for one group.
    """
    found = levels.find_levels(*points.nearest, points.seed)
    k = int(found.assignments[:, found.front].max()) + 1
    measured = found.agreements[~np.isnan(found.agreements)]
    return Found(k, float(measured[-1]) if k > 1 else np.nan)


def plscan(points: Points) -> Found:
    """Count the clusters of the most persistent layer of PLSCAN in the UMAP layout.

    Bot, McInnes & Aerts (2025), "Persistent Multiscale Density-based Clustering", by fast-hdbscan
    with its defaults and its reproducible spanning tree. The value is the layer's persistence.
    Points in no cluster are not counted.
    """
    model = fit_plscan(points.layout)
    return Found(int(model.labels_.max()) + 1, float(np.max(model.layer_persistence_scores_)))


def silhouette(points: Points) -> Found:
    """Take the k of the highest silhouette of k-means in the UMAP layout, see `choose_k`."""
    k, curve = choose_k(points.layout, seed=points.seed)
    return Found(k, float(curve["silhouette"].max()))


def prediction_strength(points: Points) -> Found:
    """Take the largest k whose clusters of one half of the layout predict those of the other."""
    strengths = prediction_strengths(points.layout, points.seed)
    good = [k for k, strength in strengths.items() if strength >= STRENGTH]
    return Found(max(good), strengths[max(good)]) if good else Found(1, 1.0)


def prediction_strengths(
    points: np.ndarray, seed: int, candidates: Sequence[int] = K_CANDIDATES
) -> dict[int, float]:
    """Measure how well the k-means clusters of one half of the points predict those of the other.

    Parameters
    ----------
    points : ndarray of float32, shape (N, D)
    seed : int
        Seed of the halvings and of k-means.
    candidates : sequence of int
        Numbers of clusters; those above a quarter of the points are left out.

    Returns
    -------
    dict of int to float
        By k the prediction strength in [0, 1], the mean over `HALVINGS` halvings: of the cluster of
        the second half that is predicted worst, the share of its pairs of points that the centres
        of the first half put together too. 1 for a cluster of one point.

    References
    ----------
    Tibshirani & Walther (2005), "Cluster validation by prediction strength".
    """
    from scipy.spatial.distance import cdist

    random = np.random.default_rng(seed)
    tried = [k for k in candidates if k < len(points) // 4]
    strengths = dict.fromkeys(tried, 0.0)
    for _ in range(HALVINGS):
        order = random.permutation(len(points))
        first_half, second_half = np.array_split(points[order], 2)
        for k in tried:
            first = kmeans(first_half, k, 1, seed)
            second = kmeans(second_half, k, 1, seed)
            predicted = cdist(second_half, first.centres).argmin(axis=1)
            strengths[k] += _worst_predicted(second.assignment, predicted) / HALVINGS
    return strengths


def _worst_predicted(clusters: np.ndarray, predicted: np.ndarray) -> float:
    """Return the least share of a cluster's pairs that the prediction puts together."""
    shares = []
    for cluster in np.unique(clusters):
        counts = np.bincount(predicted[clusters == cluster])
        n = counts.sum()
        shares.append((counts * (counts - 1)).sum() / (n * (n - 1)) if n > 1 else 1.0)
    return float(min(shares))


class NumberRule(NamedTuple):
    """A rule for the number of clusters.

    Attributes
    ----------
    name : str
        For people.
    find : callable
        From `Points` to `Found`.
    """

    name: str
    find: Callable[[Points], Found]


RULES = {
    "leiden_0.5": NumberRule("Leiden, resolution 0.5", lambda points: leiden(points, 0.5)),
    "leiden_1": NumberRule("Leiden, resolution 1", lambda points: leiden(points, 1.0)),
    "levels": NumberRule("the level in front", front_level),
    "plscan": NumberRule("PLSCAN", plscan),
    "prediction_strength": NumberRule("prediction strength", prediction_strength),
    "silhouette": NumberRule("silhouette of k-means", silhouette),
}
