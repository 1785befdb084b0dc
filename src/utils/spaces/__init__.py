"""Spaces in which a representation is clustered, scored or drawn."""

from utils.spaces.components import (
    blocks,
    directions,
    equal_rows,
    unit_rows,
)
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
from utils.spaces.registry import (
    PROJECTIONS,
    project,
    reduction,
)
from utils.spaces.umap_reference import umap_reference
from utils.spaces.views import (
    VIEWS_SETTINGS,
    views,
)

__all__ = [
    "PROJECTIONS",
    "VIEWS_SETTINGS",
    "blocks",
    "directions",
    "equal_rows",
    "exact_pca",
    "knn_graph",
    "pca",
    "project",
    "reduction",
    "require_features",
    "tsne",
    "umap",
    "umap_reference",
    "unit_rows",
    "views",
]
