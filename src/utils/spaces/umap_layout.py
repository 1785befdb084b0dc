"""The layout of UMAP's graph: stochastic gradient steps along its edges, in several threads.

The loss and its steps are those of McInnes, Healy & Melville (2018) as umap-learn takes them:
along an edge both ends move together, then its head moves away from a few points drawn at random.
umap-learn takes the steps one after the other wherever it has a seed. Here the points are dealt at
random into blocks, and blocks meet in pairs as in a tournament (Gemulla, Nijkamp, Haas & Sismanis
2011, "Large-scale matrix factorization with distributed stochastic gradient descent"): the pairs of
a round share no point, so that threads take them at once, and what comes out is the same for any
number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit, prange

if TYPE_CHECKING:
    from scipy.sparse import coo_array

# Rounds of BLOCKS / 2 pairs keep as many threads busy, and the two blocks of a pair stay in a
# core's cache. Random points come from the block of the edge's tail; in blocks of few points they
# would too often be its neighbours.
BLOCKS = 8
LEAST_POINTS_IN_BLOCKS = 4096
RANDOM_POINTS = 5
LARGEST_STEP = np.float32(4)

# The strength of a step depends on the squared distance alone. It is read from a table by the
# distance's leading bits, eight of the exponent and seven of the mantissa, which is within 1 % of
# its value and a multiple faster than a power.
_DROPPED_BITS = 16
_NEAREST, _FARTHEST = 2.0**-40, 2.0**24


def lay_out(
    graph: coo_array, start: np.ndarray, curve: tuple[float, float], n_epochs: int, seed: int
) -> np.ndarray:
    """Move points so that those joined by strong edges come near and all others apart.

    Parameters
    ----------
    graph : coo_array of float32, shape (N, N)
        Symmetric; an edge's weight in (0, 1] is how surely it exists. None below the largest
        divided by `n_epochs` is ever looked at.
    start : ndarray of float32, shape (N, d)
        Positions to begin with.
    curve : tuple of float
        The a and b of 1 / (1 + a r^(2b)), which says how sure an edge of length r is.
    n_epochs : int
        The strongest edge is looked at in each but the first, others in proportion to their weight.
    seed : int
        Of the random points and of the order of the steps.

    Returns
    -------
    ndarray of float32, shape (N, d)
        The same for any number of threads.
    """
    rng = np.random.default_rng(seed)
    n = len(start)
    n_blocks = BLOCKS if n >= LEAST_POINTS_IN_BLOCKS else 1
    dealt = rng.permutation(n)
    place = np.empty(n, np.int64)
    place[dealt] = np.arange(n)
    limits = np.linspace(0, n, n_blocks + 1).astype(np.int64)

    rounds = tournament(n_blocks)
    pairs = [pair for pairs in rounds for pair in pairs]
    number = np.empty((n_blocks, n_blocks), np.int64)
    for i, (one, other) in enumerate(pairs):
        number[one, other] = number[other, one] = i
    sure = graph.data >= graph.data.max() / n_epochs
    heads, tails = place[graph.row[sure]], place[graph.col[sure]]
    head_blocks, tail_blocks = (np.searchsorted(limits, x, "right") - 1 for x in (heads, tails))
    meeting = number[head_blocks, tail_blocks]
    order = np.lexsort((tails, heads, meeting))

    positions = np.ascontiguousarray(start[dealt], dtype=np.float32)
    wait = (graph.data.max() / graph.data[sure][order]).astype(np.float32)
    _run_epochs(
        positions,
        heads[order].astype(np.int32),
        tails[order].astype(np.int32),
        tail_blocks[order].astype(np.int32),
        limits,
        wait,
        np.searchsorted(meeting[order], np.arange(len(pairs) + 1)),
        np.cumsum([0, *map(len, rounds)]),
        _strengths(*curve),
        rng.integers(1, 2**63, len(pairs), dtype=np.uint64),
        n_epochs,
    )
    return positions[place]


def tournament(n_blocks: int) -> list[list[tuple[int, int]]]:
    """Pair blocks in rounds: each with itself in the first, with every other once in the rest.

    Parameters
    ----------
    n_blocks : int
        1, or an even number.

    Returns
    -------
    list of list of tuple of int
        The pairs of each round; a block is in one pair of a round.
    """
    rounds = [[(block, block) for block in range(n_blocks)]]
    first, *ring = range(n_blocks)
    for _ in ring:
        seats = [first, *ring]
        half = n_blocks // 2
        rounds.append(list(zip(seats[:half], reversed(seats[half:]), strict=True)))
        ring = [ring[-1], *ring[:-1]]
    return rounds


def _strengths(a: float, b: float) -> np.ndarray:
    """Tabulate by squared distance how strongly an edge pulls and a random point pushes."""
    slots = np.arange(_FIRST_SLOT, _LAST_SLOT + 1, dtype=np.int32)
    middles = (slots << _DROPPED_BITS) + (1 << _DROPPED_BITS - 1)
    squared = middles.view(np.float32).astype(np.float64)
    power = a * squared**b
    pull = -2 * b * power / (squared * (1 + power))
    push = 2 * b / ((0.001 + squared) * (1 + power))
    return np.stack([pull, push]).astype(np.float32)


@njit(inline="always")
def _slot(squared):
    return np.float32(squared).view(np.int32) >> _DROPPED_BITS


_FIRST_SLOT = int(_slot.py_func(np.float32(_NEAREST)))
_LAST_SLOT = int(_slot.py_func(np.float32(_FARTHEST))) - 1


@njit(inline="always")
def _strength(strengths, squared):
    return strengths[min(max(_slot(squared), _FIRST_SLOT), _LAST_SLOT) - _FIRST_SLOT]


@njit(inline="always")
def _clipped(step):
    return min(max(step, -LARGEST_STEP), LARGEST_STEP)


@njit(fastmath=True, cache=True)
def _pull_together(here, there, strengths, rate):
    squared = np.float32(0)
    for d in range(len(here)):
        squared += (here[d] - there[d]) ** 2
    strength = _strength(strengths, squared)
    for d in range(len(here)):
        step = rate * _clipped(strength * (here[d] - there[d]))
        here[d] += step
        there[d] -= step


@njit(fastmath=True, cache=True)
def _push_away(here, positions, drawn, strengths, rate, pushes):
    # All from where the point is now, and not one after the other, so that they need not wait.
    pushes[:] = 0
    for d in range(len(here)):
        for i in range(RANDOM_POINTS):
            pushes[i] += (here[d] - positions[drawn[i], d]) ** 2
    for i in range(RANDOM_POINTS):
        pushes[i] = _strength(strengths, pushes[i])
    for d in range(len(here)):
        step = np.float32(0)
        for i in range(RANDOM_POINTS):
            step += _clipped(pushes[i] * (here[d] - positions[drawn[i], d]))
        here[d] += rate * step


@njit(fastmath=True, cache=True)
def _run_pair(
    positions, edges, heads, tails, tail_blocks, limits, wait, due, strengths, state, epoch, rate
):
    drawn = np.empty(RANDOM_POINTS, np.uint64)
    pushes = np.empty(RANDOM_POINTS, np.float32)
    for edge in range(edges[0], edges[1]):
        if due[edge] > epoch:
            continue
        due[edge] += wait[edge]
        here = positions[heads[edge]]
        _pull_together(here, positions[tails[edge]], strengths[0], rate)
        block = tail_blocks[edge]
        first, after = np.uint64(limits[block]), np.uint64(limits[block + 1])
        for i in range(RANDOM_POINTS):
            # Marsaglia (2003), "Xorshift RNGs".
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            drawn[i] = first + ((state >> np.uint64(32)) * (after - first) >> np.uint64(32))
        _push_away(here, positions, drawn, strengths[1], rate, pushes)
    return state


@njit(parallel=True, cache=True)
def _run_epochs(
    positions, heads, tails, tail_blocks, limits, wait, edges, rounds, strengths, states, n_epochs
):
    due = wait.copy()
    for epoch in range(n_epochs):
        rate = np.float32(1 - epoch / n_epochs)
        for i in range(len(rounds) - 1):
            for pair in prange(rounds[i], rounds[i + 1]):
                states[pair] = _run_pair(
                    positions,
                    edges[pair : pair + 2],
                    heads,
                    tails,
                    tail_blocks,
                    limits,
                    wait,
                    due,
                    strengths,
                    states[pair],
                    epoch,
                    rate,
                )
