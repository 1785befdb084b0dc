"""EVoC and PLSCAN: clusterers that find k themselves."""

import numpy as np
import pytest

from utils import clustering, metrics
from utils.errors import UserError


def groups_of_points(n=400, d=16, k=4):
    random = np.random.default_rng(0)
    groups = np.arange(n) % k
    centres = 6 * random.normal(size=(k, d))
    return (random.normal(size=(n, d)) + centres[groups]).astype(np.float32), groups


# EVoC is compiled for a minute in every process, and splits groups of so few points.
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [pytest.param("evoc", 4, 40, marks=pytest.mark.slow), ("plscan", 4, 4)],
)
def test_clear_groups_are_found_without_their_number(name, least, most):
    points, groups = groups_of_points()
    # The number that is given is not looked at.
    found, again = (clustering.cluster(name, points, k, seed=0) for k in (2, 9))
    covered = found.assignment != metrics.NOISE
    assert name in clustering.FINDS_K
    assert found.assignment.dtype == np.int32
    assert least <= metrics.k_found(found.assignment) <= most
    scores = metrics.external(found.assignment[covered], groups[covered])
    assert covered.mean() > 0.4 and scores["homogeneity"] > 0.99
    np.testing.assert_array_equal(found.assignment, again.assignment)
    np.testing.assert_array_equal(found.confidence, again.confidence)
    assert found.confidence.dtype == np.float32
    assert found.confidence.min() >= 0 and found.confidence.max() <= 1
    assert (found.confidence[~covered] == 0).all()


@pytest.mark.parametrize(("name", "least"), [("evoc", 16), ("plscan", 10)])
def test_too_few_points_are_refused(name, least):
    with pytest.raises(UserError, match=f"at least {least} points, found 5"):
        clustering.cluster(name, groups_of_points(5)[0], 2, 0)
