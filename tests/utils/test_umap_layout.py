"""UMAP's layout: its steps against the formula and umap-learn, and the same for any threads."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from scipy.sparse import coo_array
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

from utils import spaces
from utils.places import ROOT
from utils.spaces import umap_layout

CURVE = 1.93, 0.79


@pytest.mark.parametrize("n_blocks", [1, 2, 4, 8])
def test_in_a_tournament_every_two_blocks_meet_once(n_blocks):
    rounds = umap_layout.tournament(n_blocks)
    assert rounds[0] == [(block, block) for block in range(n_blocks)]
    for pairs in rounds[1:]:
        assert sorted(block for pair in pairs for block in pair) == list(range(n_blocks))
    met = Counter(frozenset(pair) for pairs in rounds for pair in pairs)
    assert set(met.values()) == {1}
    assert len(met) == n_blocks * (n_blocks + 1) // 2


def test_strengths_are_those_of_the_formula():
    a, b = CURVE
    table = umap_layout._strengths(a, b)
    squared = np.geomspace(1e-9, 1e6, 5001).astype(np.float32)
    found = np.array([[umap_layout._strength.py_func(row, x) for x in squared] for row in table])
    exact = squared.astype(np.float64)
    pull = -2 * a * b * exact ** (b - 1) / (1 + a * exact**b)
    push = 2 * b / ((0.001 + exact) * (1 + a * exact**b))
    np.testing.assert_allclose(found, [pull, push], rtol=0.01)


def test_an_edge_pulls_both_ends_and_a_random_point_pushes_the_head():
    graph = coo_array(([np.float32(1)], ([0], [1])), shape=(2, 2))
    start = np.array([[0.0, 0.0], [1.0, 0.5]], np.float32)
    a, b = CURVE
    pull = -2 * a * b * 1.25 ** (b - 1) / (1 + a * 1.25**b)
    # The second of two epochs, at half the rate, is the first in which an edge is looked at.
    step = 0.5 * pull * (start[0] - start[1])
    one, other = start[0] + step, start[1] - step
    gap = one - other
    squared = (gap**2).sum()
    push = 2 * b / ((0.001 + squared) * (1 + a * squared**b)) * gap
    moved = umap_layout.lay_out(graph, start, CURVE, 2, seed=0)
    np.testing.assert_allclose(moved[1], other, rtol=0.02)
    # Of the points drawn each may be the other one, or the head itself, which does not push.
    pushes = (moved[0] - one) / (0.5 * np.clip(push, -4, 4))
    assert pushes[0] == pytest.approx(pushes[1], rel=0.05)
    assert pushes[0] == pytest.approx(round(float(pushes[0])), abs=0.1)
    assert 1 <= round(float(pushes[0])) <= umap_layout.RANDOM_POINTS


def test_an_edge_too_weak_for_the_epochs_is_never_looked_at():
    edges = np.array([1.0, 1.0, 0.09, 0.09], np.float32), ([0, 1, 0, 2], [1, 0, 2, 0])
    start = np.random.default_rng(0).random((3, 2), np.float32)
    moved = umap_layout.lay_out(coo_array(edges, shape=(3, 3)), start, CURVE, 10, seed=0)
    np.testing.assert_array_equal(moved[2], start[2])


@pytest.mark.parametrize("least", [0, 10_000])
def test_layouts_keep_neighbours_as_umap_learn_does(monkeypatch, least):
    from umap import UMAP

    monkeypatch.setattr(umap_layout, "LEAST_POINTS_IN_BLOCKS", least)
    digits = load_digits().data.astype(np.float32)
    theirs = UMAP(n_neighbors=10, n_components=2, min_dist=0.0, random_state=0, n_jobs=1)
    expected = trustworthiness(digits, theirs.fit_transform(digits), n_neighbors=10)
    found = [
        trustworthiness(digits, spaces.umap(digits, 2, 10, seed), n_neighbors=10) for seed in (0, 1)
    ]
    assert found == pytest.approx([expected] * 2, abs=0.01)


def test_threads_do_not_change_a_bit():
    code = """
import hashlib
import numpy as np
from utils import spaces
from utils.spaces import umap_layout
umap_layout.LEAST_POINTS_IN_BLOCKS = 0
points = np.random.default_rng(0).random((600, 12), dtype=np.float32)
print(hashlib.sha256(spaces.umap(points, 3, 10, seed=0).tobytes()).hexdigest())
"""
    threads = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_NUM_THREADS": number, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in ("1", "3")
    }
    assert len(threads) == 1
