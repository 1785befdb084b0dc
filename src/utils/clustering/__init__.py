"""Clusterers: from points of a space to a cluster for each."""

from utils.clustering.centres import kmeans
from utils.clustering.levels import (
    LEVELS_SETTINGS,
    Levels,
    close_groups,
    confidence,
    few_neighbors,
    find_levels,
)
from utils.clustering.methods import (
    CLUSTERERS,
    FINDS_K,
    K_RULE,
    choose_k,
    cluster,
    dbscan,
    k_distances,
    knee,
    with_equal_points_together,
)
from utils.clustering.mixtures import gaussian_mixture
from utils.clustering.results import (
    Clustering,
    Result,
)

__all__ = [
    "CLUSTERERS",
    "FINDS_K",
    "K_RULE",
    "LEVELS_SETTINGS",
    "Clustering",
    "Levels",
    "Result",
    "choose_k",
    "close_groups",
    "cluster",
    "confidence",
    "dbscan",
    "few_neighbors",
    "find_levels",
    "gaussian_mixture",
    "k_distances",
    "kmeans",
    "knee",
    "with_equal_points_together",
]
