"""Groups at several levels: nested, repeatable, without labels, down to small close groups."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from utils import spaces
from utils.clustering import close_groups, find_levels
from utils.clustering.levels import CLOSE_GROUPS, ONE_GROUP


def neighbours(points, k=50):
    return spaces.knn_graph(points.astype(np.float32), min(k, len(points) - 1))


@pytest.fixture(scope="module")
def groups_of_groups():
    """Three far groups, each of three groups that lie near each other."""
    random = np.random.default_rng(0)
    far = random.normal(0, 40, (3, 20))
    centres = np.concatenate([centre + random.normal(0, 3, (3, 20)) for centre in far])
    points, labels = make_blobs([60] * 9, centers=centres, cluster_std=1.2, random_state=0)
    return points, labels


def test_clear_groups_are_in_front(groups_of_groups):
    points, labels = groups_of_groups
    found = find_levels(*neighbours(points), seed=0)
    front = found.assignments[:, found.front]
    assert adjusted_rand_score(labels, front) > 0.95
    assert found.agreements[0] > 0.85


@pytest.mark.parametrize("seed", range(3))
def test_each_group_lies_in_one_of_the_level_before(groups_of_groups, seed):
    assignments = find_levels(*neighbours(groups_of_groups[0]), seed).assignments
    assert assignments.dtype == np.int32 and assignments.shape[1] > 1
    for coarse, fine in zip(assignments.T, assignments.T[1:], strict=False):
        assert fine.max() > coarse.max()
        for group in range(fine.max() + 1):
            assert len(np.unique(coarse[fine == group])) == 1


def test_the_largest_group_comes_first(groups_of_groups):
    for level in find_levels(*neighbours(groups_of_groups[0]), 0).assignments.T:
        assert (np.diff(np.bincount(level)) <= 0).all()


def test_the_same_seed_gives_the_same_levels(groups_of_groups):
    one, other = (find_levels(*neighbours(groups_of_groups[0]), 3) for _ in range(2))
    np.testing.assert_array_equal(one.assignments, other.assignments)


@pytest.mark.parametrize("n", [40, 80, 400])
def test_one_cloud_is_one_group(n):
    points = np.random.default_rng(1).normal(size=(n, 10))
    found = find_levels(*neighbours(points), seed=0)
    assert found.resolutions[found.front] == ONE_GROUP
    assert (found.assignments[:, found.front] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_forty_points_of_four_kinds_are_four_groups(seed):
    points, labels = make_blobs(40, 20, centers=4, cluster_std=1, random_state=seed)
    found = find_levels(*neighbours(points), seed)
    assert adjusted_rand_score(labels, found.assignments[:, found.front]) == 1
    assert found.assignments.max() < 40 / 4


def test_small_close_groups_come_out_at_the_finest_level():
    random = np.random.default_rng(0)
    cloud = random.normal(size=(400, 20))
    bursts = np.repeat(random.normal(size=(40, 20)), 4, axis=0)
    points = np.concatenate([bursts + random.normal(0, 0.1, bursts.shape), cloud])
    found = find_levels(*neighbours(points), seed=0)
    assert found.resolutions[-1] == CLOSE_GROUPS
    finest = found.assignments[:, -1]
    for burst in range(40):
        (group,) = set(finest[4 * burst : 4 * burst + 4])
        assert (finest == group).sum() == 4
    assert found.assignments[:, found.front].max() < 40


def test_a_cloud_has_few_close_groups():
    points = np.random.default_rng(0).normal(size=(500, 20))
    assert (close_groups(*neighbours(points)) >= 0).sum() <= 5


@pytest.mark.parametrize("n", [2, 3, 5, 10, 11])
def test_few_points_have_levels_too(n):
    points = np.random.default_rng(n).normal(size=(n, 3))
    found = find_levels(*neighbours(points), seed=0)
    assert found.assignments.shape == (n, len(found.resolutions))
