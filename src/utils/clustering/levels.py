"""Groups at several levels, nested from coarse to fine, along a graph of nearest neighbours.

One number of groups suits no two folders of pictures, so that a person is given several levels. The
level in front is Leiden's at one resolution; coarser levels join its groups, finer ones split them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from igraph import Graph

# Of few points the neighbours are an eighth of all: more of them would link all groups.
NEIGHBORS, LEAST_NEIGHBORS, NEIGHBORS_SHARE = 15, 5, 1 / 8
# The level in front is the finest of these resolutions whose groups come again.
FRONT_RESOLUTIONS = (0.7, 0.5, 0.3, 0.2)
# They come again if those of so many parts of the points, each of that share, agree with those of
# all points: the adjusted Rand index is at least this on average.
PARTS, SHARE, AGREEMENT = 5, 0.8, 0.85
COARSEST, FINER_RESOLUTIONS = 0.2, (0.3, 1.0, 2.0)
LEAST_MEAN_SIZE = 5
# Groups that are too small for the graph: every member's nearest points are the other members, and
# those are on average nearer than the next point, by this factor.
SMALLEST, CLOSENESS = 3, 0.8
CONFIDENCE_NEIGHBORS = 20
ONE_GROUP, CLOSE_GROUPS = 0.0, np.inf
LEVELS_SETTINGS = (
    f"Leiden on the graph of {NEIGHBORS} neighbours; in front the finest resolution of "
    f"{', '.join(f'{r:g}' for r in FRONT_RESOLUTIONS)} whose groups come again in parts of "
    f"{SHARE:.0%} with an ARI of {AGREEMENT:g}"
)


class Levels(NamedTuple):
    """Groups of the same points at several levels.

    Attributes
    ----------
    assignments : ndarray of int32, shape (N, L)
        Group of each point at each level, from 0, the largest first; coarse to fine, each group
        within one of the level before.
    resolutions : ndarray of float64, shape (L,)
        Leiden's resolution of each level, ascending; 0 for one group of all, infinity for small
        close groups beside those of the level before.
    front : int
        Position of the level in front.
    agreements : ndarray of float64, shape (c,)
        By resolution of `FRONT_RESOLUTIONS`, in that order, how well the groups of parts agree with
        those of all points, as an adjusted Rand index; NaN where a finer one was good enough.
    """

    assignments: np.ndarray
    resolutions: np.ndarray
    front: int
    agreements: np.ndarray


def find_levels(indices: np.ndarray, distances: np.ndarray, seed: int) -> Levels:
    """Find groups at several levels from the nearest neighbours of points. No label is involved.

    Traag, Waltman & van Eck (2019), "From Louvain to Leiden: guaranteeing well-connected
    communities", with the modularity of Reichardt & Bornholdt (2006), "Statistical mechanics of
    community detection", at several resolutions.

    Parameters
    ----------
    indices : ndarray of int, shape (N, k)
        Nearest others of each point, the nearest first. Of k above `NEIGHBORS` the farther ones
        serve where nearer ones are left out.
    distances : ndarray of float, shape (N, k)
    seed : int
        Not negative.

    Returns
    -------
    Levels
        At least one level. Left out are levels that are equal to the one before, of one group
        unless in front, or with fewer than `LEAST_MEAN_SIZE` points a group.

    Notes
    -----
    In front is the finest of `FRONT_RESOLUTIONS` whose groups come again: those of parts of the
    points agree with those of all. If none does, in front is one group of all points. Coarser
    levels join groups in the graph of groups, in which a resolution means the same as among points;
    finer ones split a group by its points, with their degrees in the whole graph.
    """
    graph = _graph(indices)
    front, groups, agreements = _choose_front(graph, indices, seed)
    found = {front: groups}
    if front > min(FRONT_RESOLUTIONS):
        found[COARSEST] = _joined(graph, groups, COARSEST, seed)
    for resolution in (r for r in FINER_RESOLUTIONS if r > front):
        groups = _split(graph, groups, resolution, seed)
        if len(indices) < LEAST_MEAN_SIZE * (groups.max() + 1):
            break
        found[resolution] = groups
    close = close_groups(indices, distances)
    found = _with_whole_groups(found, close)
    finest = found[max(found)]
    found[CLOSE_GROUPS] = np.where(close < 0, finest, finest.max() + 1 + close)
    kept: list[float] = []
    for resolution in sorted(found):
        n_groups = len(np.unique(found[resolution]))
        n_before = len(np.unique(found[kept[-1]])) if kept else 1
        if resolution == front and n_groups == n_before:
            kept = kept[:-1]
        if resolution == front or n_groups > n_before:
            kept.append(resolution)
    assignments = [_largest_first(found[resolution]) for resolution in kept]
    return Levels(np.column_stack(assignments), np.array(kept), kept.index(front), agreements)


def communities(indices: np.ndarray, resolution: float, seed: int) -> np.ndarray:
    """Find Leiden's communities of the graph that `find_levels` looks at, at one resolution.

    Parameters
    ----------
    indices : ndarray of int, shape (N, k)
        Nearest others of each point, the nearest first.
    resolution : float
        Above 0.
    seed : int
        Not negative.

    Returns
    -------
    ndarray of int, shape (N,)
        Community of each point, from 0.
    """
    return _communities(_graph(indices), resolution, seed)


def close_groups(indices: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Find small groups whose members' nearest points are the other members of the group.

    Parameters
    ----------
    indices : ndarray of int, shape (N, k)
        Nearest others of each point, the nearest first.
    distances : ndarray of float, shape (N, k)

    Returns
    -------
    ndarray of int, shape (N,)
        Group of each point, from 0; −1 for points in none. A group has `SMALLEST` to `NEIGHBORS`
        points; its members' mean distance is at most `CLOSENESS` of that to the next point.
    """
    n_points = len(indices)
    k = min(indices.shape[1], NEIGHBORS)
    itself = np.column_stack([np.arange(n_points), indices])
    candidates = []
    for size in range(k, SMALLEST - 1, -1):
        inside = distances[:, : size - 1].mean(axis=1)
        closed = np.sort(itself[:, :size], axis=1)
        _, first, counts = np.unique(closed, axis=0, return_index=True, return_counts=True)
        for members in closed[first[counts == size]]:
            next_point = distances[members, size - 1].mean()
            if inside[members].mean() <= CLOSENESS * next_point:
                candidates.append((inside[members].mean() / (next_point or 1), members))
    found = np.full(n_points, -1)
    n_groups = 0
    for _, members in sorted(candidates, key=lambda candidate: candidate[0]):
        if (found[members] < 0).all():
            found[members] = n_groups
            n_groups += 1
    return found


def confidence(assignment: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Say how surely each point belongs to its cluster, from the clusters of its nearest points.

    Parameters
    ----------
    assignment : ndarray of int, shape (N,)
        Cluster of each point, from 0; −1 is noise.
    indices : ndarray of int, shape (N, k)
        Nearest others of each point, the nearest first.

    Returns
    -------
    ndarray of float32, shape (N,)
        The share of walks of two steps, each to one of the nearest points, that stay in the
        cluster, in [0, 1]; 0 for noise. At most `CONFIDENCE_NEIGHBORS` nearest points count, and
        an eighth of few points.
    """
    nearest = indices[:, : few_neighbors(len(indices), CONFIDENCE_NEIGHBORS)]
    stays = assignment[nearest] == assignment[:, None]
    once = stays.mean(axis=1)
    twice = (stays * once[nearest]).mean(axis=1)
    return np.where(assignment < 0, 0, twice).astype(np.float32)


def few_neighbors(n_points: int, most: int) -> int:
    """Return a number of neighbours: `most`, or an eighth of few points, but at least 5."""
    return min(most, max(LEAST_NEIGHBORS, int(NEIGHBORS_SHARE * n_points)))


def _graph(indices: np.ndarray) -> Graph:
    """Link every point with its nearest ones; a link of both directions is one."""
    import igraph

    nearest = indices[:, : few_neighbors(len(indices), NEIGHBORS)]
    ends = np.column_stack([np.repeat(np.arange(len(nearest)), nearest.shape[1]), nearest.ravel()])
    graph = igraph.Graph(n=len(nearest), edges=np.unique(np.sort(ends, axis=1), axis=0))
    graph.vs["degree"] = graph.degree()
    graph.es["weight"] = 1.0
    return graph


def _choose_front(
    graph: Graph, indices: np.ndarray, seed: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the resolution of the level in front, its groups, and what was found of others."""
    parts = list(_parts(indices, seed))
    agreements = np.full(len(FRONT_RESOLUTIONS), np.nan)
    for number, resolution in enumerate(FRONT_RESOLUTIONS):
        groups = _communities(graph, resolution, seed)
        agreements[number] = np.mean(
            [_agreement(groups[rows], _communities(part, resolution, seed)) for rows, part in parts]
        )
        if groups.max() > 0 and agreements[number] >= AGREEMENT:
            return resolution, groups, agreements
    return ONE_GROUP, np.zeros(len(indices), int), agreements


def _parts(indices: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, Graph]]:
    """Draw parts of the points; yield the rows of each and the graph of the neighbours in it."""
    n_points = len(indices)
    generator = np.random.default_rng(seed)
    for _ in range(PARTS):
        drawn = generator.permutation(n_points)[: max(2, round(SHARE * n_points))]
        rows = np.sort(drawn)
        number = np.full(n_points, -1)
        number[rows] = np.arange(len(rows))
        nearest = number[indices[rows]]
        # The neighbours within the part first, in their order.
        order = np.argsort(nearest < 0, axis=1, kind="stable")
        nearest = np.take_along_axis(nearest, order, axis=1)[:, :NEIGHBORS]
        yield rows, _graph(np.where(nearest < 0, np.arange(len(rows))[:, None], nearest))


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))


def _communities(graph: Graph, resolution: float, seed: int, total: int = 0) -> np.ndarray:
    """Return the communities of a graph, or of a part of one, of the highest modularity.

    As communities of the constant Potts model, in which a node's size is its degree: modularity
    divides the resolution by the sum of all degrees, `total` where that is not the graph's own.
    """
    import igraph

    degrees = graph.vs["degree"]
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = graph.community_leiden(
            objective_function="CPM",
            weights="weight",
            node_weights=degrees,
            resolution=resolution / (total or sum(degrees) or 1),
            n_iterations=-1,
        )
    finally:
        igraph.set_random_number_generator(random)
    return np.array(found.membership)


def _joined(graph: Graph, groups: np.ndarray, resolution: float, seed: int) -> np.ndarray:
    """Join groups into the communities of a lower resolution."""
    whole = graph.copy()
    whole.contract_vertices(groups.tolist(), combine_attrs="sum")
    whole.simplify(combine_edges="sum")
    return _communities(whole, resolution, seed)[groups]


def _split(graph: Graph, groups: np.ndarray, resolution: float, seed: int) -> np.ndarray:
    """Split each group into the communities of a higher resolution."""
    total = sum(graph.vs["degree"])
    found = np.empty_like(groups)
    n_found = 0
    for group in range(groups.max() + 1):
        rows = np.flatnonzero(groups == group)
        part = graph.induced_subgraph(rows)
        found[rows] = n_found + _communities(part, resolution, seed, total)
        n_found = found[rows].max() + 1
    return found


def _with_whole_groups(
    found: dict[float, np.ndarray], close: np.ndarray
) -> dict[float, np.ndarray]:
    """Put the members of each close group together at every level: where most of them are.

    All go where one of the majority at the finest level is, so that the levels stay nested.
    """
    finest = found[max(found)]
    stands_for = np.arange(len(close))
    for group in range(close.max() + 1):
        members = np.flatnonzero(close == group)
        groups, counts = np.unique(finest[members], return_counts=True)
        most = groups[counts.argmax()]
        stands_for[members] = members[finest[members] == most][0]
    return {resolution: groups[stands_for] for resolution, groups in found.items()}


def _largest_first(groups: np.ndarray) -> np.ndarray:
    """Give groups numbers from 0, the largest first."""
    _, numbered, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int32)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[numbered]
