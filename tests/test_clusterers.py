import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from utils import clusterers, metrics
from utils.config import ROOT, UserError


def blobs(n=90, d=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % k
    return (rng.standard_normal((n, d)) + 20 * groups[:, None]).astype(np.float32), groups


def test_kmeans_of_four_points():
    points = np.array([[0, 0], [0, 2], [10, 0], [10, 4]], dtype=np.float32)
    assignment, centres = clusterers.kmeans(points, n_clusters=2, n_init=3, seed=0)
    assert assignment[0] == assignment[1] != assignment[2] == assignment[3]
    np.testing.assert_allclose(centres[assignment[0]], [0, 1])
    np.testing.assert_allclose(centres[assignment[2]], [10, 2])


def test_kmeans_finds_separate_groups_and_their_means():
    features, groups = blobs()
    clustering = clusterers.kmeans(features, n_clusters=3, n_init=5, seed=1)
    assert clustering.assignment.dtype == np.int32
    assert clustering.assignment.shape == (90,)
    assert clustering.centres.shape == (3, 4)
    assert metrics.score(clustering.assignment, groups, features)["ari"] == 1
    for cluster in range(3):
        members = features[clustering.assignment == cluster]
        np.testing.assert_allclose(clustering.centres[cluster], members.mean(axis=0), atol=1e-4)


def test_kmeans_is_fixed_by_its_seed():
    features = np.random.default_rng(0).random((300, 5), dtype=np.float32)
    first, second = (clusterers.kmeans(features, 8, 1, seed=4) for _ in range(2))
    other = clusterers.kmeans(features, 8, 1, seed=5)
    np.testing.assert_array_equal(first.assignment, second.assignment)
    assert not np.array_equal(first.assignment, other.assignment)


def test_more_starts_find_closer_centres():
    features = np.random.default_rng(0).random((200, 3), dtype=np.float32)

    def inertia(n_init):
        assignment, centres = clusterers.kmeans(features, 8, n_init, seed=0)
        return ((features - centres[assignment]) ** 2).sum()

    assert inertia(20) < 0.99 * inertia(1)


def test_fewer_distinct_points_than_clusters():
    features = np.repeat(np.array([[0.0, 0], [1, 1], [5, 5]], dtype=np.float32), 4, axis=0)
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        clustering = clusterers.kmeans(features, n_clusters=5, n_init=2, seed=0)
    assert clustering.centres.shape == (5, 2)
    assert metrics.k_found(clustering.assignment) == 3
    np.testing.assert_allclose(clustering.centres[clustering.assignment], features, atol=1e-6)


def test_fewer_points_than_clusters_are_refused():
    with pytest.raises(
        UserError, match="k-means with 10 clusters needs at least 10 points, found 9"
    ):
        clusterers.kmeans(np.zeros((9, 2), dtype=np.float32), 10, 1, seed=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    features = np.zeros((9, 2), dtype=np.float32)
    features[4, 1] = bad
    with pytest.raises(UserError, match="first is point 4"):
        clusterers.kmeans(features, 2, 1, seed=0)


# Two groups of three points a unit apart, and one point far from both.
LINE = np.array([[0], [1], [2], [10], [11], [12], [50]], dtype=np.float32)


def test_dbscan_finds_dense_groups_and_noise():
    assignment = clusterers.dbscan(LINE, eps=1.0, min_samples=2)
    np.testing.assert_array_equal(assignment, [0, 0, 0, 1, 1, 1, -1])
    assert assignment.dtype == np.int32


def test_dbscan_with_too_small_a_radius_calls_everything_noise():
    np.testing.assert_array_equal(clusterers.dbscan(LINE, eps=0.5, min_samples=2), [-1] * 7)


def test_k_distances_count_the_point_itself_and_ascend():
    np.testing.assert_allclose(clusterers.k_distances(LINE, 1), np.zeros(7))
    np.testing.assert_allclose(clusterers.k_distances(LINE, 2), [1, 1, 1, 1, 1, 1, 38])
    with pytest.raises(UserError, match="at least 8 points, found 7"):
        clusterers.k_distances(LINE, 8)


@pytest.mark.parametrize(
    ("curve", "position"),
    [([0, 1, 2, 3, 20], 3), ([0, 0, 0, 5, 10], 2), ([1, 1, 1], 0), ([0, 1, 2], 0)],
)
def test_the_knee_is_farthest_below_the_chord(curve, position):
    assert clusterers.knee(np.array(curve, dtype=float)) == position


def test_thread_pools_are_not_nested_after_torch():
    """OpenBLAS would print a line for each row: rows this wide, two threads, torch first."""
    code = """
import torch
import numpy as np
from utils import clusterers
wide = np.random.default_rng(0).random((64, 16384), dtype=np.float32)
clusterers.kmeans(wide, 4, 1, 0)
clusterers.dbscan(wide, 5, 5)
clusterers.k_distances(wide, 5)
"""
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **threads, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
