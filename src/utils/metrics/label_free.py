"""Indices of a clustering that need no label, and the rule that chooses a method by them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.clustering import voting
from utils.metrics.agreement import _contingency, adjusted_rand

if TYPE_CHECKING:
    import pandas as pd

# Of more images so many are drawn, always the same.
MOST_IMAGES = 5000
DIGITS = 6  # of an index, which count when methods are ranked


def drawn(n_images: int) -> np.ndarray:
    """Draw the rows of at most `MOST_IMAGES` images, always the same, in ascending order."""
    return np.sort(np.random.default_rng(0).permutation(n_images)[:MOST_IMAGES])


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Return the adjusted Rand index of two clusterings of the same points; noise is a cluster."""
    return float(adjusted_rand(_contingency(one, other)))


def agreement_of_halves(
    features: np.ndarray,
    cluster: Callable[[np.ndarray], np.ndarray],
    seed: int,
    voters: int = voting.VOTERS,
) -> float:
    """Cluster two halves of the points and say how well the clusters of one fit the other.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point, in which nearest neighbours are meaningful; N at least 4.
    cluster : callable
        From rows of the points, an ndarray of int ``(m,)``, to the cluster of each, ``(m,)``.
    seed : int
        Seed of the draw of the halves.
    voters : int
        Nearest points of the clustered half that vote on a point of the other half.

    Returns
    -------
    float
        In [−0.5, 1]: the adjusted Rand index of two clusterings of all points. Each is that of one
        half, extended to the other half by a vote of the nearest neighbours.

    References
    ----------
    Lange, Roth, Braun & Buhmann (2004), "Stability-based validation of clustering solutions": a
    classifier carries the solution of one half to the other. They compare by the share of points
    that differ under the best renaming; the adjusted Rand index needs none and subtracts chance.
    """
    order = np.random.default_rng(seed).permutation(len(features))
    halves = [np.sort(half) for half in np.array_split(order, 2)]
    extended = []
    for own, other in (halves, halves[::-1]):
        whole = np.empty(len(features), np.int32)
        whole[own] = cluster(own)
        whole[other] = voting.vote(features[own], whole[own], features[other], voters)[0]
        extended.append(whole)
    return agreement(*extended)


def agreement_with_others(
    clusterings: Mapping[Hashable, np.ndarray], group_of: Mapping[Hashable, Hashable]
) -> dict[Hashable, float]:
    """Say how well each clustering agrees with those of other groups.

    Parameters
    ----------
    clusterings : mapping to ndarray of int, shape (N,)
        Cluster of each of the same points; −1 is noise and counts as a cluster.
    group_of : mapping
        Group of each clustering, such as its representation.

    Returns
    -------
    dict to float
        The mean adjusted Rand index with the clusterings of every other group, in [−0.5, 1]. Every
        group has the same weight, whatever its size. NaN if there is no other group.
    """
    found: dict[Hashable, dict[Hashable, list[float]]] = {name: {} for name in clusterings}
    for one, other in itertools.combinations(clusterings, 2):
        if group_of[one] != group_of[other]:
            value = agreement(clusterings[one], clusterings[other])
            found[one].setdefault(group_of[other], []).append(value)
            found[other].setdefault(group_of[one], []).append(value)
    return {
        name: float(np.mean([np.mean(values) for values in by_group.values()]))
        if by_group
        else np.nan
        for name, by_group in found.items()
    }


def scaled_ranks(values: pd.DataFrame) -> pd.DataFrame:
    """Rank each column: 0 the lowest value, 1 the highest, the mean rank for equal values.

    Parameters
    ----------
    values : DataFrame
        A row per method, a column per index; more is better. Missing values stay missing, and so
        is a column with a single value: a rank among one says nothing.
    """
    n_values = values.notna().sum()
    # Rounded, so that the same clusters in another order, summed in another order, are equal.
    return (values.round(DIGITS).rank() - 1) / (n_values - 1).where(n_values > 1)


def rule_scores(values: pd.DataFrame, kinds: Sequence[Sequence[str]]) -> pd.Series:
    """Score methods by several indices: the mean rank over kinds of evidence.

    Parameters
    ----------
    values : DataFrame
        A row per method, a column per index; more is better.
    kinds : sequence of sequences of str
        The indices of each kind, which share one weight.

    Returns
    -------
    Series of float
        In [0, 1], by the rows of `values`. The score of a method is the mean over kinds of the mean
        of its scaled ranks (`scaled_ranks`); missing if a kind is missing.
    """
    import pandas as pd

    ranks = scaled_ranks(values)
    of_kinds = [ranks[list(indices)].mean(axis=1) for indices in kinds]
    return pd.concat(of_kinds, axis=1).mean(axis=1, skipna=False).rename("rule")
