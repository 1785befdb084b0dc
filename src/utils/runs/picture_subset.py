"""A few pictures that stand for all, to be labelled first."""

from __future__ import annotations

import numpy as np

from utils.errors import UserError


def diverse(components: np.ndarray, n: int) -> np.ndarray:
    """Choose pictures that are far from each other, so that each other one is near one of them.

    Parameters
    ----------
    components : ndarray of float32, shape (N, p)
        Principal components.
    n : int
        From 1 to N.

    Returns
    -------
    ndarray of int64, shape (n,)
        Rows in the order of choice: the first m of them are the choice of m.

    Raises
    ------
    UserError
        If n is not from 1 to N.

    Notes
    -----
    Farthest-first traversal from the picture nearest to the mean: the largest distance of a
    picture to its nearest chosen one is at most twice the least possible (Gonzalez 1985,
    "Clustering to minimize the maximum intercluster distance"). It looks at no label and draws
    nothing at random.
    """
    if not 1 <= n <= len(components):
        raise UserError(f"a subset of {n:,} pictures: there are {len(components):,}")
    points = components.astype(np.float32)
    chosen = np.empty(n, np.int64)
    nearest = np.full(len(points), np.inf, np.float32)
    row = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
    for place in range(n):
        chosen[place] = row
        nearest = np.minimum(nearest, ((points - points[row]) ** 2).sum(axis=1))
        # What is chosen is not chosen again, also among equal pictures.
        nearest[row] = -1
        row = int(nearest.argmax())
    return chosen
