"""Clusterings over seeds and radii, and indices over spaces."""

import numpy as np
import pytest

from utils import clustering, metrics
from utils.runs import sweeps


def test_dbscan_is_scored_with_noise_as_a_cluster_and_without_it():
    """Two dense groups that are classes of their own, and one far point of the first class."""
    labels = np.repeat([0, 1], 150).astype(np.uint8)
    points = np.zeros((300, 2), np.float32)
    points[150:] = 10
    points[0] = 1000
    frame = sweeps.dbscan_by_eps(points, labels, [1.0, 100.0], min_samples=3).set_index("eps")
    assert frame.loc[1.0, "k_found"] == 2
    assert frame.loc[1.0, "noise_fraction"] == pytest.approx(1 / 300)
    assert frame.loc[1.0, "ari"] < frame.loc[1.0, "ari_covered"] == 1
    assert frame.loc[100.0, "k_found"] == 1
    assert np.isnan(frame.loc[100.0, "silhouette_covered"])


def test_seeds_of_kmeans_are_scored_one_by_one():
    points = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.arange(60) % 5
    starts = sweeps.kmeans_by_seed(points, labels, n_clusters=5, n_init=1, seeds=[4, 7, 9])
    assert [start.kmeans_seed for start in starts] == [4, 7, 9]
    for seed, assignment, scores in starts:
        alone = clustering.kmeans(points, n_clusters=5, n_init=1, seed=seed).assignment
        np.testing.assert_array_equal(assignment, alone)
        assert scores == metrics.score(alone, labels, points)
    assert len({start.scores["purity"] for start in starts}) > 1


def test_internal_indices_are_measured_in_every_space():
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    points[20:] += 10
    good, bad = np.repeat([0, 1], 20), np.tile([0, 1], 20)
    frame = sweeps.internal_by_space({"good": good, "bad": bad}, {"a": points, "b": 2 * points})
    assert list(zip(frame["clusters_of"], frame["measured_in"], strict=True)) == [
        ("good", "a"), ("bad", "a"), ("good", "b"), ("bad", "b"),
    ]  # fmt: skip
    assert frame["silhouette"][0] > 0.8 > 0.1 > frame["silhouette"][1]
    assert frame["davies_bouldin"][0] < frame["davies_bouldin"][1]
