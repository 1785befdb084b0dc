"""Clusterers that look along a graph of nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.clustering.centres import STARTS, kmeans
from utils.clustering.results import Result
from utils.spaces.neighbours import knn_graph, require_features

if TYPE_CHECKING:
    from scipy.sparse import csr_array
GRAPH_NEIGHBORS = 10
LEIDEN_NEIGHBORS = 15
RESOLUTION = 1.0


def _spectral(features: np.ndarray, n_clusters: int, seed: int) -> Result:
    """Normalised spectral clustering (Ng, Jordan & Weiss 2001) on the graph of 10 neighbours.

    The leading eigenvectors come from Lanczos iterations, which only multiply by the sparse graph.
    scikit-learn's SpectralClustering factorises it (ARPACK in shift-invert mode), and the factors
    of a graph from 50 dimensions fill up, or takes LOBPCG, which is slow on UMAP's. Lanczos may
    miss the repeated eigenvalues of a graph in several pieces, so they are joined first.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh

    purpose = f"spectral clustering with {n_clusters} clusters"
    require_features(features, n_clusters + 2, purpose)
    graph = _neighbor_graph(features, GRAPH_NEIGHBORS, connected=True)
    scale = diags_array(graph.sum(axis=1) ** -0.5)
    start = np.random.default_rng(seed).standard_normal(len(features))
    basis = min(len(features), max(100, 2 * n_clusters + 1))
    _, vectors = eigsh(scale @ graph @ scale, n_clusters, which="LA", v0=start, ncv=basis, tol=1e-6)
    # Of one piece, the graph has a first eigenvector above 0 everywhere: no row is all zeros.
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Result(kmeans(rows.astype(np.float32), n_clusters, STARTS, seed).assignment)


def _leiden(features: np.ndarray, _k: int, seed: int) -> Result:
    """Communities of the graph of 15 neighbours with the highest modularity.

    Traag, Waltman & van Eck (2019), "From Louvain to Leiden", at the resolution 1.
    """
    import igraph
    import leidenalg

    require_features(features, LEIDEN_NEIGHBORS + 1, "Leiden")
    graph = _neighbor_graph(features, LEIDEN_NEIGHBORS, connected=False)
    one, other = graph.nonzero()
    edges = np.column_stack([one, other])[one < other]
    found = leidenalg.find_partition(
        igraph.Graph(n=len(features), edges=edges),
        leidenalg.RBConfigurationVertexPartition,
        resolution_parameter=RESOLUTION,
        n_iterations=-1,
        seed=seed,
    )
    return Result(np.array(found.membership))


def _neighbor_graph(features: np.ndarray, k: int, connected: bool) -> csr_array:
    """Link every point with its nearest neighbours: symmetric, weights 1.

    With few points all others are neighbours. If `connected`, the pieces are joined.
    """
    from scipy.sparse import csr_array

    n_points = len(features)
    k = min(k, n_points - 1)
    indices, _ = knn_graph(features, k)
    ends = (np.repeat(np.arange(n_points), k), indices.ravel())
    one_way = csr_array((np.ones(n_points * k), ends), shape=(n_points, n_points))
    graph = one_way.maximum(one_way.T).tocsr()
    return _joined(graph, features) if connected else graph


def _joined(graph: csr_array, features: np.ndarray) -> csr_array:
    """Join a graph's pieces along the shortest tree of their means.

    Each link of the tree is one edge between the points that lie nearest to the two means.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
    from scipy.spatial.distance import cdist

    n_pieces, piece = connected_components(graph, directed=False)
    if n_pieces == 1:
        return graph
    points = np.arange(len(features))
    members = csr_array((np.ones(len(features)), (piece, points)))
    means = members @ features / np.bincount(piece)[:, None]
    off_mean = np.linalg.norm(features - means[piece], axis=1)
    by_piece = np.lexsort((off_mean, piece))
    middle = by_piece[np.searchsorted(piece[by_piece], np.arange(n_pieces))]
    # One more for each: a distance of 0 would be no link, and the shortest tree is the same.
    tree = minimum_spanning_tree(1 + cdist(means, means)).tocoo()
    ends = (middle[tree.row], middle[tree.col])
    bridges = csr_array((np.ones(n_pieces - 1), ends), shape=graph.shape)
    return (graph + bridges + bridges.T).tocsr()
