import numpy as np
import pytest

from report import resampling
from utils import metrics

SCORES = ("ari", "acc", "nmi", "ami")


def noisy(labels, share, seed, k=4):
    random = np.random.default_rng(seed)
    moved = random.random(len(labels)) < share
    return np.where(moved, random.integers(-1, k, len(labels)), labels)


@pytest.fixture
def some():
    labels = np.arange(240) % 4
    return labels, [noisy(labels, 0.3, 0), noisy(labels, 0.5, 1, k=6)]


def test_a_resample_scores_what_was_drawn(some, monkeypatch):
    """Where each image is drawn once, the scores are those of the clusterings."""
    labels, clusterings = some

    class Same:
        def multinomial(self, n, shares, size):
            return np.tile(np.rint(n * shares).astype(int), (size, 1))

    drawn = resampling.over_images(clusterings, labels, SCORES, 3, Same())
    for column, clusters in enumerate(clusterings):
        expected = metrics.external(clusters, labels)
        for name in SCORES:
            assert drawn[name][:, column] == pytest.approx(expected[name], abs=1e-12)


def test_drawing_groups_is_drawing_images(some):
    labels, clusterings = some
    drawn = resampling.over_images(clusterings, labels, SCORES, 3000, np.random.default_rng(0))
    random, plain = np.random.default_rng(1), []
    for _ in range(600):
        rows = random.integers(0, len(labels), len(labels))
        values = [metrics.external(clusters[rows], labels[rows]) for clusters in clusterings]
        plain.append([[value[name] for value in values] for name in SCORES])
    plain = np.array(plain)
    for place, name in enumerate(SCORES):
        assert drawn[name].mean(0) == pytest.approx(plain[:, place].mean(0), abs=0.01)
        assert drawn[name].std(0) == pytest.approx(plain[:, place].std(0), rel=0.15)
        # The same images for both clusterings: their scores go together.
        together = np.corrcoef(drawn[name].T)[0, 1]
        assert together == pytest.approx(np.corrcoef(plain[:, place].T)[0, 1], abs=0.15)


def test_the_spread_over_images_is_that_of_new_images():
    """A score of fresh images of the same kind lies in the 95 % interval about as often."""
    random, inside = np.random.default_rng(3), []
    probabilities = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
    true = resampling.adjusted_rand(1e7 * probabilities)
    for _ in range(200):
        labels = random.integers(0, 4, 300)
        clusters = np.array([random.choice(4, p=probabilities[label]) for label in labels])
        drawn = resampling.over_images([clusters], labels, ("ari",), 200, random)["ari"][:, 0]
        low, high = resampling.percentile_interval(drawn, 0.95)
        inside.append(low < true < high)
    assert 0.88 < np.mean(inside) <= 1


def test_seeds_are_drawn_with_replacement():
    drawn = np.tile([0.0, 1.0], (20_000, 1))
    values, counts = np.unique(
        resampling.over_seeds(drawn, np.random.default_rng(0)), return_counts=True
    )
    assert values.tolist() == [0, 0.5, 1]
    assert counts / 20_000 == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_a_perfect_clustering_stays_perfect():
    labels = np.arange(60) % 3
    drawn = resampling.over_images([labels], labels, SCORES, 50, np.random.default_rng(0))
    assert all((values == pytest.approx(1)) for values in drawn.values())


def test_p_values_by_hand():
    assert resampling.two_sided_p(np.full(99, 0.2)) == pytest.approx(0.02)
    assert resampling.two_sided_p(np.r_[-np.ones(9), np.ones(90)]) == pytest.approx(0.2)
    assert resampling.two_sided_p(np.zeros(99)) == 1


def test_p_values_of_no_difference_are_uniform():
    random = np.random.default_rng(0)
    p_values = []
    for _ in range(500):
        sample = random.normal(size=40)
        means = sample[random.integers(0, 40, (400, 40))].mean(axis=1)
        p_values.append(resampling.two_sided_p(means))
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(p_values) < level) == pytest.approx(level, abs=0.05)
