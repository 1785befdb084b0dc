import numpy as np
import pytest
from sklearn.datasets import make_blobs

from utils.clustering import numbers


@pytest.fixture(scope="module")
def five_groups():
    centres = 30 * np.eye(5, 8)
    points, _ = make_blobs(300, n_features=8, centers=centres, cluster_std=1.0, random_state=0)
    return numbers.Points(points.astype(np.float32), 0)


@pytest.mark.parametrize("rule", numbers.RULES)
def test_every_rule_finds_groups_that_stand_apart(five_groups, rule):
    assert numbers.RULES[rule].find(five_groups).k == 5


@pytest.mark.parametrize("rule", numbers.RULES)
def test_a_rule_finds_the_same_again_and_for_few_points(rule):
    points = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
    first, again = (numbers.RULES[rule].find(numbers.Points(points, 3)) for _ in range(2))
    assert first == pytest.approx(again, nan_ok=True)
    assert first.k >= 1


def test_prediction_strength_is_1_for_the_true_groups_and_low_above(five_groups):
    strengths = numbers.prediction_strengths(five_groups.components, 0)
    assert strengths[5] == 1
    assert strengths[8] < numbers.STRENGTH
    assert all(0 <= value <= 1 for value in strengths.values())


def test_prediction_strength_of_one_cloud_is_one_cluster():
    cloud = np.random.default_rng(0).normal(size=(45, 10)).astype(np.float32)
    assert numbers.prediction_strength(numbers.Points(cloud, 0)) == (1, 1.0)


def test_strength_counts_pairs_of_the_cluster_that_is_predicted_worst():
    clusters = np.array([0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 2, 2, 3])
    # of cluster 0 the pairs together are 2 of 6; cluster 1 is whole, cluster 2 a single point
    assert numbers._worst_predicted(clusters, predicted) == pytest.approx(1 / 3)
    renamed = 3 - predicted
    assert numbers._worst_predicted(clusters, renamed) == pytest.approx(1 / 3)
