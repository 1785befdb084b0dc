import numpy as np
import pytest

from utils.metrics.calibration import expected_calibration_error, reliability


def test_a_table_by_hand():
    confidence = np.array([0.0, 0.1, 0.15, 0.95, 0.95, 1.0])
    is_correct = np.array([False, True, True, True, False, True])
    table = reliability(confidence, is_correct)
    assert table["bin"].tolist() == [0, 1, 9]
    assert table["n"].tolist() == [2, 1, 3]
    assert table["confidence"].tolist() == pytest.approx([0.05, 0.15, 2.9 / 3])
    assert table["accuracy"].tolist() == pytest.approx([0.5, 1, 2 / 3])
    expected = (2 * 0.45 + 1 * 0.85 + 3 * 0.3) / 6
    assert expected_calibration_error(table) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_an_edge_belongs_to_the_bin_below_it(share):
    (row,) = reliability(np.array([share]), np.array([True]))["bin"].tolist()
    assert row == round(10 * share) - 1


def test_confidences_that_are_right_have_no_error_and_others_the_known_one():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 200_000)
    right = rng.random(len(confidence)) < confidence
    assert expected_calibration_error(reliability(confidence, right)) < 0.01
    overconfident = rng.random(len(confidence)) < confidence - 0.2
    error = expected_calibration_error(reliability(confidence, overconfident))
    assert error == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("confidence", "right"),
    [([0.5, 1.01], [True, True]), ([np.nan], [True]), ([0.5], [True, False]), ([], [])],
)
def test_what_is_no_confidence_is_refused(confidence, right):
    with pytest.raises(ValueError, match="confidence"):
        reliability(np.array(confidence), np.array(right))
