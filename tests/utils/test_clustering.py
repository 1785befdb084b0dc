import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning

from utils import clustering as clusterers
from utils import metrics
from utils.clustering import graphs, methods
from utils.errors import UserError
from utils.places import ROOT


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
from utils import clustering as clusterers
wide = np.random.default_rng(0).random((64, 16384), dtype=np.float32)
clusterers.kmeans(wide, 4, 1, 0)
clusterers.dbscan(wide, 5, 5)
clusterers.k_distances(wide, 5)
grouped = (wide[:, :8] + 9 * (np.arange(64) % 2)[:, None]).astype(np.float32)
for name in clusterers.CLUSTERERS:
    if name != "evoc":  # it is compiled for a minute in every process
        clusterers.cluster(name, grouped, 2, 0)
torch.ones(300, 300) @ torch.ones(300, 300)
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


# EVoC is compiled for a minute in every process; its own tests are in test_persistent_layers.py.
ALL = [name for name in methods.CLUSTERERS if name != "evoc"]
NEED_K = [name for name in ALL if name not in methods.FINDS_K]


def uniform_blobs(n_points, k, d, seed):
    """k groups of n_points, each even in a cube and 20 of its sides from the next: no outlier."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(k), n_points))
    return (rng.random((len(groups), d)) + 20 * groups[:, None]).astype(np.float32), groups


def test_the_registry_holds_those_that_find_k_and_those_that_need_it():
    assert set(NEED_K) == {"kmeans", "gmm", "ward", "spectral", "som"}
    assert set(methods.CLUSTERERS) > methods.FINDS_K


# PLSCAN has clear groups of its own in test_persistent_layers.py.
@pytest.mark.parametrize("name", [name for name in ALL if name not in ("dbscan_knee", "plscan")])
@settings(max_examples=8)
@given(st.integers(2, 4), st.integers(2, 5), st.integers(0, 1000))
def test_separate_groups_are_found_exactly(name, k, d, seed):
    # Modularity prefers groups in which nearly all are neighbours: it splits large ones.
    features, groups = uniform_blobs(20 if name == "leiden" else 40, k, d, seed)
    result = clusterers.cluster(name, features, k, seed)
    assert result.assignment.dtype == np.int32
    assert metrics.external(result.assignment, groups)["ari"] == 1


@settings(max_examples=8)
@given(st.integers(2, 4), st.integers(0, 1000))
def test_dbscan_at_the_knee_never_joins_separate_groups(k, seed):
    features, groups = uniform_blobs(60, k, 2, seed)
    assignment, confidence = clusterers.cluster("dbscan_knee", features, None, seed)
    covered = assignment >= 0
    assert covered.mean() > 0.5
    assert metrics.external(groups[covered], assignment[covered])["homogeneity"] > 0
    for cluster in np.unique(assignment[covered]):
        assert len(np.unique(groups[assignment == cluster])) == 1
    assert confidence is None


@pytest.mark.parametrize("name", NEED_K)
def test_without_k_it_is_chosen(name):
    features, groups = uniform_blobs(25, 4, 3, seed=0)
    result = clusterers.cluster(name, features, None, seed=1)
    assert metrics.external(result.assignment, groups)["ari"] == 1


@pytest.mark.parametrize("name", sorted(methods.FINDS_K & set(ALL)))
def test_those_that_find_k_do_not_look_at_it(name):
    features, _ = uniform_blobs(30, 3, 3, seed=0)
    given_k, none = (clusterers.cluster(name, features, k, seed=1) for k in (7, None))
    np.testing.assert_array_equal(given_k.assignment, none.assignment)


@pytest.mark.parametrize("name", ALL)
def test_every_clusterer_is_fixed_by_its_seed(name):
    features = np.random.default_rng(0).random((300, 4), dtype=np.float32)
    first, second = (clusterers.cluster(name, features.copy(), 6, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.assignment, second.assignment)
    np.testing.assert_array_equal(first.confidence, second.confidence)


@pytest.mark.parametrize("name", ["kmeans", "gmm", "som"])
def test_another_seed_starts_elsewhere(name):
    features = np.random.default_rng(0).random((300, 4), dtype=np.float32)
    first, second = (clusterers.cluster(name, features, 9, seed).assignment for seed in (4, 5))
    assert not np.array_equal(first, second)


# Few values, so that there are many equal points and clusters that stay empty.
@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@settings(max_examples=12)
@given(
    arrays(
        np.float32, st.tuples(st.integers(16, 40), st.integers(1, 3)), elements=st.integers(0, 3)
    )
)
def test_clusters_are_numbered_without_gaps(name, features):
    try:
        assignment, confidence = clusterers.cluster(name, features, 5, seed=0)
    except UserError as refusal:
        assert name == "dbscan_knee"
        assert "the knee of the distances is at 0" in str(refusal)
        return
    assert assignment.dtype == np.int32
    assert assignment.shape == (len(features),)
    found = np.unique(assignment[assignment >= 0])
    np.testing.assert_array_equal(found, np.arange(len(found)))
    assert assignment.min() >= (-1 if name in methods.FINDS_K else 0)
    assert len(found) <= 5 or name in methods.FINDS_K
    if confidence is not None:
        assert confidence.dtype == np.float32
        assert confidence.shape == (len(features),)
        assert confidence.min() >= 0
        assert confidence.max() <= 1
        assert (confidence[assignment < 0] == 0).all()


def test_a_mixture_is_unsure_between_groups():
    features = np.random.default_rng(0).standard_normal((400, 2))
    features[:200, 0] += 5
    features[0] = [2.5, 0]
    features[1] = [6, 0]
    confidence = clusterers.cluster("gmm", features.astype(np.float32), 2, seed=0).confidence
    assert 0.5 <= confidence[0] < 0.95
    assert confidence[1] > 0.999


def test_hdbscan_is_less_sure_of_a_point_at_the_rim():
    features, groups = uniform_blobs(50, 2, 2, seed=0)
    features[0] = 20 * groups[0] + np.array([1.3, 0.5])
    assignment, confidence = clusterers.cluster("hdbscan", features, None, seed=0)
    assert assignment[0] == assignment[groups == groups[0]][-1]
    assert 0 < confidence[0] < confidence[1:].min()


def test_a_far_point_is_noise_to_those_of_density():
    features, _ = uniform_blobs(50, 2, 2, seed=0)
    features[0] = 500
    for name in ("hdbscan", "dbscan_knee"):
        assert clusterers.cluster(name, features, None, seed=0).assignment[0] == -1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [name for name in ALL if name != "dbscan_knee"])
def test_equal_points(name):
    features = np.full((60, 4), 3.3, dtype=np.float32)
    assignment, _ = clusterers.cluster(name, features, 3, seed=0)
    most = {"ward": 3, "spectral": 3, "hdbscan": 0}.get(name, 1)
    assert metrics.k_found(assignment) <= most
    assert (assignment == -1).all() == (name == "hdbscan")


@pytest.mark.parametrize("name", [*NEED_K, "dbscan_knee"])
def test_nothing_is_found_in_equal_points(name):
    words = "the knee of the distances is at 0" if name == "dbscan_knee" else "all points are equal"
    with pytest.raises(UserError, match=words):
        clusterers.cluster(name, np.full((60, 4), 3.3, dtype=np.float32), None, seed=0)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_clusters", [3, None])
def test_too_few_points_are_refused(name, n_clusters):
    with pytest.raises(UserError, match=r"needs at least \d+ points, found 2"):
        clusterers.cluster(name, np.zeros((2, 3), dtype=np.float32), n_clusters, seed=0)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_clusters", [3, None])
def test_every_clusterer_refuses_values_that_are_not_finite(name, n_clusters):
    features = np.zeros((40, 3), dtype=np.float32)
    features[5, 1] = np.nan
    with pytest.raises(UserError, match="first is point 5"):
        clusterers.cluster(name, features, n_clusters, seed=0)


def test_unknown_names_and_numbers_are_refused():
    features, _ = uniform_blobs(10, 2, 2, seed=0)
    with pytest.raises(UserError, match="unknown clusterer 'kmean': allowed are kmeans, gmm"):
        clusterers.cluster("kmean", features, 2, seed=0)
    with pytest.raises(UserError, match="ward needs at least 1 cluster, not 0"):
        clusterers.cluster("ward", features, 0, seed=0)


def test_a_mixture_follows_long_groups_where_kmeans_cuts_them():
    rng = np.random.default_rng(0)
    groups = np.arange(300) % 2
    features = rng.standard_normal((300, 2)) * [10, 0.3] + np.outer(groups, [0, 4])
    features = features.astype(np.float32)
    found = clusterers.cluster("gmm", features, 2, seed=0).assignment
    cut = clusterers.cluster("kmeans", features, 2, seed=0).assignment
    assert metrics.external(found, groups)["ari"] == 1
    assert metrics.external(cut, groups)["ari"] < 0.2


def test_a_mixture_does_not_depend_on_the_threads(monkeypatch):
    features = np.random.default_rng(0).random((500, 3), dtype=np.float32)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("numba.get_num_threads", lambda threads=threads: threads)
        found.append(clusterers.cluster("gmm", features, 4, seed=0))
    np.testing.assert_array_equal(found[0].assignment, found[1].assignment)
    np.testing.assert_array_equal(found[0].confidence, found[1].confidence)


@given(st.sampled_from([1e-6, 1e6]))
@settings(max_examples=2)
def test_a_mixture_does_not_depend_on_the_unit(unit):
    features = np.random.default_rng(0).random((200, 3), dtype=np.float32)
    usual = clusterers.cluster("gmm", features, 3, seed=0).assignment
    other = clusterers.cluster("gmm", features * np.float32(unit), 3, seed=0).assignment
    assert metrics.external(other, usual)["ari"] > 0.99


def rings(n, seed=0):
    """Two rings, one in the other: no straight line parts them."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % 2
    angles = rng.random(n) * 2 * np.pi
    radii = np.where(groups, 5, 1) + 0.05 * rng.standard_normal(n)
    points = np.column_stack([np.cos(angles), np.sin(angles)]) * radii[:, None]
    return points.astype(np.float32), groups


def test_spectral_clustering_parts_rings():
    features, groups = rings(400)
    found = clusterers.cluster("spectral", features, 2, seed=0).assignment
    assert metrics.external(found, groups)["ari"] == 1


def test_ward_along_the_graph_finds_groups_as_with_all_pairs(monkeypatch):
    features, groups = uniform_blobs(60, 4, 3, seed=0)
    monkeypatch.setattr(methods, "MOST_POINTS_IN_PAIRS", 10)
    used = []
    graph_of = graphs._neighbor_graph
    monkeypatch.setattr(
        methods, "_neighbor_graph", lambda *a, **k: used.append(graph_of(*a, **k)) or used[-1]
    )
    found = clusterers.cluster("ward", features, 4, seed=0).assignment
    assert metrics.external(found, groups)["ari"] == 1
    # asked for fewer clusters than there are pieces, it goes over the bridges between them
    assert metrics.k_found(clusterers.cluster("ward", features, 2, seed=0).assignment) == 2
    assert [connected_components(graph)[0] for graph in used] == [1, 1]


@settings(max_examples=20)
@given(
    arrays(np.float32, st.tuples(st.integers(3, 60), st.just(2)), elements=st.integers(0, 9)),
    st.integers(1, 3),
)
def test_the_joined_graph_is_the_graph_of_neighbours_in_one_piece(features, k):
    apart = graphs._neighbor_graph(features, k, connected=False)
    joined = graphs._neighbor_graph(features, k, connected=True)
    assert connected_components(joined)[0] == 1
    assert (joined != joined.T).nnz == 0
    added = joined - apart
    assert added.nnz == 0 or added.data.min() >= 0
    assert added.count_nonzero() == 2 * (connected_components(apart)[0] - 1)
    assert set(np.unique(apart.data)) == {1.0}
    assert apart.diagonal().sum() == 0


@pytest.mark.parametrize("k", [2, 5])
def test_the_k_of_the_highest_silhouette_is_chosen(k):
    features, _ = uniform_blobs(20, k, 3, seed=1)
    chosen, curve = clusterers.choose_k(features, range(2, 8), seed=0)
    assert chosen == k
    assert list(curve.columns) == ["k", "silhouette"]
    assert curve["k"].tolist() == list(range(2, 8))
    assert curve["silhouette"].max() == curve["silhouette"][k - 2]


def test_k_is_chosen_on_a_sample_drawn_by_the_seed(monkeypatch):
    features = np.random.default_rng(0).random((400, 3), dtype=np.float32)
    monkeypatch.setattr(methods, "K_SAMPLE", 100)
    curves = [clusterers.choose_k(features, [2, 3], seed)[1] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(curves[0], curves[1])
    assert not np.array_equal(curves[0], curves[2])


def test_candidates_without_a_silhouette_are_left_out():
    features, _ = uniform_blobs(3, 2, 2, seed=0)
    chosen, curve = clusterers.choose_k(features)
    assert chosen == 2
    assert curve["k"].tolist() == [2, 3, 4, 5]
    with pytest.raises(UserError, match=r"a candidate from 2 to 5, found \[1, 6\]"):
        clusterers.choose_k(features, [1, 6])


def test_k_is_chosen_among_fewer_distinct_points_than_candidates():
    features = np.repeat(np.array([[0.0, 0], [1, 1], [9, 9]], dtype=np.float32), 5, axis=0)
    chosen, curve = clusterers.choose_k(features)
    assert chosen == 3
    assert curve["silhouette"][1:].tolist() == [1.0] * (len(curve) - 1)


def test_units_of_the_map_without_a_point_make_no_cluster():
    corners = np.array([[0, 0], [30, 0], [33, 0]], dtype=np.float32)
    features, groups = np.repeat(corners, 40, axis=0), np.repeat([0, 1, 2], 40)
    found = clusterers.cluster("som", features, 3, seed=0).assignment
    assert metrics.external(found, groups)["ari"] == 1


def test_equal_points_get_the_cluster_of_most_of_them():
    groups = np.array([0, 1, 1, 1, 2, 3, 3])
    result = clusterers.Result(
        np.array([0, 2, 1, 2, 0, 1, -1], np.int32),
        np.array([0.5, 0.6, 0.9, 0.8, 0.4, 0.3, 0], np.float32),
    )
    found = clusterers.with_equal_points_together(result, groups)
    assert found.assignment.tolist() == [0, 1, 1, 1, 0, -1, -1]  # the cluster 1 is empty now
    np.testing.assert_allclose(found.confidence, [0.5, 0.7, 0.7, 0.7, 0.4, 0, 0], rtol=1e-6)
