"""The choice of pictures to label first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import UserError
from utils.runs.picture_subset import diverse


def test_one_of_each_group_comes_before_a_second_of_any():
    random = np.random.default_rng(0)
    centres = 20 * np.eye(6)
    groups = np.repeat(np.arange(6), [200, 5, 30, 2, 60, 3])
    points = centres[groups] + random.normal(size=(len(groups), 6))
    assert set(groups[diverse(points, 6)]) == set(range(6))


@given(st.integers(1, 20), st.integers(0, 5))
def test_a_smaller_choice_begins_a_larger_one_and_none_comes_twice(n, seed):
    # Few different values, so that many points are equal.
    points = np.random.default_rng(seed).integers(0, 2, (20, 2)).astype(np.float32)
    chosen = diverse(points, 20)
    assert sorted(chosen) == list(range(20))
    assert (diverse(points, n) == chosen[:n]).all()


@pytest.mark.parametrize("n", [0, 4])
def test_more_pictures_than_there_are_are_refused(n):
    with pytest.raises(UserError, match=r"there are 3"):
        diverse(np.zeros((3, 2)), n)
