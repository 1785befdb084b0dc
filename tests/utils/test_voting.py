import numpy as np
import pytest

from utils.clustering import voting
from utils.spaces import views
from utils.spaces.placing import place_beside


def test_a_vote_by_hand():
    fitted = np.array([[0.0], [1.0], [4.0], [100.0]])
    clusters = np.array([0, 1, 1, 2])
    assignment, shares = voting.vote(fitted, clusters, np.array([[0.25], [3.0], [99.0]]), 3)
    # Inverse distances: 1/.25, 1/.75, 1/3.75; 1/3, 1/2, 1; 1, 1/95, 1/98.
    assert assignment.tolist() == [0, 1, 2]
    expected = [4 / (4 + 4 / 3 + 4 / 15), 1.5 / (1.5 + 1 / 3), 1 / (1 + 1 / 95 + 1 / 98)]
    assert shares.tolist() == pytest.approx(expected, abs=1e-6)


def test_a_fitted_point_keeps_its_cluster_and_noise_can_win():
    fitted = np.random.default_rng(0).normal(size=(50, 3))
    clusters = np.random.default_rng(1).integers(-1, 4, 50)
    assignment, shares = voting.vote(fitted, clusters, fitted, 10)
    np.testing.assert_array_equal(assignment, clusters)
    assert (shares > 0.999).all() and (shares <= 1).all()


def test_fewer_fitted_points_than_neighbours_all_vote():
    assignment, shares = voting.vote(np.zeros((2, 1)), np.array([1, 1]), np.ones((1, 1)), 10)
    assert assignment.tolist() == [1] and shares.tolist() == [1]


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    fitted, points, clusters = rng.normal(size=(80, 4)), rng.normal(size=(30, 4)), np.arange(80) % 5
    whole = voting.vote(fitted, clusters, points, 10)
    monkeypatch.setattr(voting, "BLOCK", 40)
    for one, other in zip(voting.vote(fitted, clusters, points, 10), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fitted_images_lie_where_views_lays_them_and_others_beside_them():
    rng = np.random.default_rng(0)
    wide = (rng.normal(size=(300, 80)) @ np.diag(np.linspace(3, 0.1, 80)) + 5).astype(np.float32)
    narrow = rng.normal(size=(300, 6)).astype(np.float32)
    fitted, others = place_beside([wide, narrow], [wide[10:20], narrow[10:20]])
    assert fitted.shape == (300, 56)
    np.testing.assert_allclose(fitted, views(wide, narrow), atol=1e-4)
    np.testing.assert_allclose(others, fitted[10:20], atol=1e-6)
