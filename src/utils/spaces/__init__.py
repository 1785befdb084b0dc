"""Spaces in which a representation is clustered, scored or drawn."""

from utils.spaces.neighbours import (
    knn_graph,
    require_features,
)
from utils.spaces.projections import (
    exact_pca,
    pca,
    tsne,
    umap,
)
from utils.spaces.views import (
    views,
)

__all__ = [
    "exact_pca",
    "knn_graph",
    "pca",
    "require_features",
    "tsne",
    "umap",
    "views",
]
