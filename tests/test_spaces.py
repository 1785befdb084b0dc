import tracemalloc

import numpy as np
import pytest

from utils import spaces
from utils.config import UserError


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
        (random_features(10, 3), 5, "at least as many features, found 3"),
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


@pytest.mark.parametrize(
    ("shape", "words"), [((4, 3), "at least 5 points"), ((9, 1), "at least 2 features")]
)
def test_tsne_refuses(shape, words):
    with pytest.raises(UserError, match=words):
        spaces.tsne(random_features(*shape), seed=0)
