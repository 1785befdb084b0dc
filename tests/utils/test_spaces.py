import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from utils import metrics, spaces
from utils.config.methods import Space
from utils.errors import UserError
from utils.places import ROOT
from utils.spaces import neighbours


def random_features(n, d, seed=0):
    rng = np.random.default_rng(seed)
    spread = np.linspace(3, 0.1, d)
    return (rng.standard_normal((n, d)) * spread + 2).astype(np.float32)


def reference_pca(features, d):
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    rows = range(d)
    signs = np.sign(directions[rows, np.abs(directions[:d]).argmax(axis=1)])
    scores = centred @ (directions[:d] * signs[:, None]).T
    return scores, singular[:d] ** 2 / (singular**2).sum()


def test_pca_of_points_on_a_line():
    # Centred: (-2, -1), (0, 0), (2, 1): all on the direction (2, 1) / sqrt(5).
    points = np.array([[0, 0], [2, 1], [4, 2]], dtype=np.float32)
    scores, ratio = spaces.pca(points, 2)
    np.testing.assert_allclose(scores[:, 0], np.sqrt(5) * np.array([-1, 0, 1]), atol=1e-5)
    np.testing.assert_allclose(scores[:, 1], 0, atol=1e-5)
    np.testing.assert_allclose(ratio, [1, 0], atol=1e-6)


@pytest.mark.parametrize("shape", [(300, 20), (20, 300), (50, 50)], ids=["tall", "wide", "square"])
def test_pca_is_exact_with_fixed_signs(shape):
    features = random_features(*shape)
    scores, ratio = spaces.pca(features, 5)
    expected_scores, expected_ratio = reference_pca(features, 5)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected_scores, atol=2e-3)
    np.testing.assert_allclose(ratio, expected_ratio, rtol=1e-4)


def test_pca_is_the_same_each_time():
    features = random_features(200, 30)
    first, second = spaces.pca(features, 10), spaces.pca(features.copy(), 10)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_pca_never_copies_the_features():
    features = random_features(40_000, 100)
    spaces.pca(features[:200], 5)  # imports
    before = features.copy()
    tracemalloc.start()
    spaces.pca(features, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.6 * features.nbytes
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize(
    ("features", "d", "words"),
    [
        (random_features(3, 10), 5, "at least 5 points, found 3"),
        (random_features(10, 3), 5, "at least as many features, found 3: allowed are 1 to 3"),
        (np.ones((10, 10), np.float32), 5, "all 10 points are equal"),
        (np.ones((10, 2, 5), np.float32), 2, r"found \(10, 2, 5\)"),
    ],
)
def test_pca_refuses(features, d, words):
    with pytest.raises(UserError, match=words):
        spaces.pca(features, d)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", [lambda x: spaces.pca(x, 2), lambda x: spaces.tsne(x, 0)])
def test_values_that_are_not_finite_are_refused(method, bad):
    features = random_features(10, 5)
    features[7, 3] = features[8, 0] = bad
    with pytest.raises(
        UserError, match="2 of 10 points hold NaN or infinity, the first is point 7"
    ):
        method(features)


def test_tsne_keeps_neighbours_together_and_is_fixed_by_its_seed():
    groups = np.repeat([0, 1, 2], 20)
    features = random_features(60, 8) / 10 + 10 * groups[:, None].astype(np.float32)
    xy = spaces.tsne(features, seed=3)
    assert xy.shape == (60, 2)
    assert xy.dtype == np.float32
    distances = np.linalg.norm(xy[:, None] - xy, axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(groups[distances.argmin(axis=1)], groups)
    np.testing.assert_array_equal(spaces.tsne(features, seed=3), xy)


@pytest.mark.parametrize("n", [5, 30])
def test_tsne_of_fewer_points_than_the_perplexity_needs(n):
    xy = spaces.tsne(random_features(n, 4), seed=0)
    assert xy.shape == (n, 2)
    assert np.isfinite(xy).all()


def test_tsne_refuses_too_few_points():
    with pytest.raises(UserError, match="at least 5 points"):
        spaces.tsne(random_features(4, 3), seed=0)


@pytest.mark.parametrize(("n_features", "scale"), [(1, 0), (1, 1), (1, 1e6), (2, 1)])
def test_tsne_of_one_or_two_features_is_a_map(n_features, scale):
    features = scale * random_features(30, n_features)
    xy = spaces.tsne(features, seed=0)
    assert xy.shape == (30, 2)
    assert np.isfinite(xy).all()
    np.testing.assert_array_equal(spaces.tsne(features, seed=0), xy)


def all_distances(features):
    exact = features.astype(np.float64)
    return np.sqrt(((exact[:, None] - exact[None]) ** 2).sum(axis=2))


def nearest(features, k):
    """Distances to the k nearest other points, in ascending order, by brute force."""
    distances = all_distances(features)
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


def test_neighbours_on_a_line():
    line = np.array([[0], [1], [3], [7]], dtype=np.float32)
    indices, distances = spaces.knn_graph(line, 2)
    np.testing.assert_array_equal(indices, [[1, 2], [0, 2], [1, 0], [2, 1]])
    np.testing.assert_array_equal(distances, [[1, 3], [1, 2], [2, 3], [4, 6]])
    assert indices.dtype == np.int64
    assert distances.dtype == np.float32


# Few values, so that there are many equal points and equal distances.
@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=30),
        elements=st.integers(-2, 2).map(float),
    ),
    st.integers(1, 2),
    st.sampled_from([0.0, 300.0]),
    st.sampled_from([1e-25, 1.0, 1e25]),
)
def test_neighbours_are_the_nearest_other_points(points, k, offset, scale):
    features = (points + np.float32(offset)) * np.float32(scale)
    indices, distances = spaces.knn_graph(features, k)
    tolerance = 1e-4 * scale
    np.testing.assert_allclose(distances, nearest(features, k), rtol=1e-5, atol=tolerance)
    rows = np.arange(len(features))[:, None]
    np.testing.assert_allclose(
        distances, all_distances(features)[rows, indices], rtol=1e-5, atol=tolerance
    )
    assert (indices != rows).all()
    assert all(len(set(row)) == k for row in indices.tolist())


def dense_groups(n, d):
    """Groups like those of a UMAP layout: distances of 1e-3 at 10 and more from the middle."""
    rng = np.random.default_rng(0)
    centres = 10 * rng.standard_normal((20, d))
    return (centres[np.arange(n) % 20] + 1e-3 * rng.standard_normal((n, d))).astype(np.float32)


@pytest.mark.parametrize("d", [neighbours.DIRECT_FEATURES, neighbours.DIRECT_FEATURES + 1, 200])
def test_neighbours_in_dense_groups_are_exact(d):
    # So many numbers that faiss, left alone, would search by a matrix product.
    features = dense_groups(2400, d)
    indices, distances = spaces.knn_graph(features, 5)
    some = np.arange(0, 2400, 20)
    np.testing.assert_allclose(distances[some], nearest(features[some], 5), rtol=1e-3, atol=5e-6)
    exact = all_distances(features[some])[np.arange(120)[:, None], indices[some] // 20]
    np.testing.assert_allclose(distances[some], exact, rtol=1e-3, atol=5e-6)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (indices % 20 == np.arange(2400)[:, None] % 20).all()


def test_neighbours_that_rounding_cannot_change_are_searched_once(monkeypatch):
    features = np.random.default_rng(0).standard_normal((800, 50), dtype=np.float32)
    expected = nearest(features, 5)
    monkeypatch.delattr(neighbours, "_search_by_differences")
    _, distances = spaces.knn_graph(features, 5)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


def test_neighbours_among_equal_points():
    indices, distances = spaces.knn_graph(np.full((40, 3), 3.3, dtype=np.float32), 5)
    np.testing.assert_array_equal(distances, 0)
    assert (indices != np.arange(40)[:, None]).all()


@pytest.mark.parametrize(
    ("features", "k", "words"),
    [
        (np.zeros((4, 2), np.float32), 4, "4 nearest neighbours needs at least 5 points, found 4"),
        (np.zeros((4, 2), np.float32), 0, "at least 1 of them, not 0"),
        (np.full((4, 2), np.nan, np.float32), 2, "NaN or infinity"),
    ],
)
def test_knn_graph_refuses(features, k, words):
    with pytest.raises(UserError, match=words):
        spaces.knn_graph(features, k)


def groups_of(n, d=20, k=3):
    groups = np.arange(n) % k
    noise = np.random.default_rng(0).standard_normal((n, d))
    return (noise + 12 * groups[:, None]).astype(np.float32), groups


def test_umap_packs_groups_and_is_fixed_by_its_seed():
    features, groups = groups_of(150)
    layout = spaces.umap(features, n_components=2, seed=3)
    assert layout.shape == (150, 2)
    assert layout.dtype == np.float32
    distances = all_distances(layout)
    same = groups[:, None] == groups
    assert distances[same].max() < distances[~same].min()
    np.testing.assert_array_equal(spaces.umap(features, n_components=2, seed=3), layout)
    assert not np.array_equal(spaces.umap(features, n_components=2, seed=4), layout)


def test_umap_of_the_fewest_points_and_of_duplicates():
    features, _ = groups_of(30)
    for points in (features[:12], np.repeat(features[:12], 20, axis=0), np.ones((30, 4), "f4")):
        layout = spaces.umap(points, seed=0)
        assert layout.shape == (len(points), 10)
        assert np.isfinite(layout).all()


def test_umap_gets_every_point_as_its_own_first_neighbour(monkeypatch):
    from umap import umap_

    seen = []
    plain = umap_.fuzzy_simplicial_set

    def spy(features, n_neighbors, random, metric, knn_indices, knn_dists):
        seen.append((knn_indices, knn_dists))
        return plain(
            features, n_neighbors, random, metric, knn_indices=knn_indices, knn_dists=knn_dists
        )

    monkeypatch.setattr(umap_, "fuzzy_simplicial_set", spy)
    spaces.umap(np.repeat(np.eye(3, dtype=np.float32), 9, axis=0), n_components=2, n_neighbors=4)
    [(neighbors, distances)] = seen
    np.testing.assert_array_equal(neighbors[:, 0], np.arange(27))
    np.testing.assert_array_equal(distances[:, 0], 0)
    assert neighbors.shape == distances.shape == (27, 4)
    assert all(len(set(row)) == 4 for row in neighbors.tolist())


@pytest.mark.parametrize(
    ("n", "options", "words"),
    [
        (11, {}, "UMAP to 10 dimensions with 10 neighbours needs at least 12 points, found 11"),
        (15, {"n_components": 2, "n_neighbors": 15}, "at least 16 points, found 15"),
        (15, {"n_components": 0}, "at least 1 dimension"),
        (15, {"n_neighbors": 1}, "at least 1 dimension and 2 neighbours, found 10 and 1"),
    ],
)
def test_umap_refuses(n, options, words):
    with pytest.raises(UserError, match=words):
        spaces.umap(random_features(n, 4), **options)


def test_umap_after_torch_says_nothing():
    """Torch, faiss and numba bring a thread pool each; a clash or a warning would be printed."""
    code = """
import torch
torch.ones(300, 300) @ torch.ones(300, 300)
import numpy as np
from utils import spaces
spaces.umap(np.random.default_rng(0).random((200, 70), dtype=np.float32), 5, 8, seed=0)
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


def test_umap_learn_itself_is_a_space_of_its_own():
    rng = np.random.default_rng(0)
    groups = np.repeat(rng.normal(scale=20, size=(3, 8)), 40, axis=0)
    features = (groups + rng.normal(size=groups.shape)).astype(np.float32)
    space = Space.parse("umaplearn2")
    assert (str(space), space.in_words) == ("umaplearn2", "umap-learn 2")
    layout = spaces.project(space, features, seed=3)
    np.testing.assert_array_equal(layout, spaces.umap_reference(features, 2, 10, 0.0, 3))
    assert metrics.silhouette(np.repeat(np.arange(3), 40), layout) > 0.5
    assert "a variant" in spaces.PROJECTIONS["umap"].settings(Space.parse("umap2"))
    assert "umap-learn itself" in spaces.PROJECTIONS["umaplearn"].settings(space)
