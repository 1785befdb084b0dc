"""Intervals and verdicts: known values, properties, and coverage in simulated experiments."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from report import statistics

EXPERIMENTS = 20_000
# Four standard errors of a share of 95 % in so many experiments.
WITHIN = 0.006
SCORES = st.lists(st.floats(-100, 100), min_size=2, max_size=12)
P_VALUES = st.dictionaries(st.integers(), st.floats(0, 1), max_size=12)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# --- one more run ------------------------------------------------------------------------------


def test_the_prediction_interval_is_the_one_computed_by_hand():
    # Mean 2, s 1, n 3: the half width is 4.302653 · sqrt(4 / 3).
    assert statistics.prediction_interval([1, 2, 3]) == pytest.approx((-2.968275, 6.968275))
    # Of two values and at 50 %, t is 1: 1 ± sqrt(2) · sqrt(1.5).
    assert statistics.prediction_interval([0, 2], 0.5) == pytest.approx((1 - 3**0.5, 1 + 3**0.5))


def test_the_prediction_interval_of_equal_values_is_that_value():
    assert statistics.prediction_interval([0.1] * 3) == (0.1, 0.1)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_values_predict_nothing(values):
    assert statistics.prediction_interval(values) is None
    assert statistics.prediction_p_value(values, 0.5) is None
    assert statistics.smallest_deviation(values) is None


@given(SCORES, st.floats(-100, 100), st.floats(0.01, 100))
def test_the_prediction_interval_moves_and_stretches_with_its_values(values, shift, scale):
    low, high = statistics.prediction_interval(values)
    moved = statistics.prediction_interval([scale * value + shift for value in values])
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), abs=1e-6)
    mirrored = statistics.prediction_interval([-value for value in values])
    assert mirrored == pytest.approx((-high, -low), abs=1e-6)


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_the_prediction_interval_covers_a_new_run(n):
    runs, new = normal(EXPERIMENTS, n), normal(EXPERIMENTS, seed=1)
    low, high = np.array([statistics.prediction_interval(row) for row in runs]).T
    assert np.mean((low <= new) & (new <= high)) == pytest.approx(0.95, abs=WITHIN)


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_the_bootstrap_of_the_mean_does_not_cover_a_new_run(n):
    random = np.random.default_rng(0)
    runs, new, true_mean = random.normal(size=(2_000, n)), random.normal(size=2_000), 0
    means = runs[:, random.integers(0, n, size=(400, n))].mean(axis=2)
    low, high = np.percentile(means, [2.5, 97.5], axis=1)
    assert 0.25 < np.mean((low <= new) & (new <= high)) < 0.6
    assert np.mean((low <= true_mean) & (true_mean <= high)) > 0.7


# --- its p-value -------------------------------------------------------------------------------


def test_the_p_value_is_the_one_computed_by_hand():
    # t is (5 - 2) / sqrt(4 / 3) with two degrees of freedom.
    expected = 2 * stats.t.sf(3 / (4 / 3) ** 0.5, 2)
    assert statistics.prediction_p_value([1, 2, 3], 5) == pytest.approx(expected)
    assert statistics.prediction_p_value([1, 2, 3], -1) == pytest.approx(expected)
    assert statistics.prediction_p_value([1, 2, 3], 2) == 1


def test_the_p_value_is_that_of_the_nearest_value_so_printed():
    nearest = statistics.prediction_p_value([1, 2, 3], 4.5)
    assert statistics.prediction_p_value([1, 2, 3], 5, 0.5) == pytest.approx(nearest)
    assert statistics.prediction_p_value([1, 2, 3], -1, 0.5) == pytest.approx(nearest)
    assert statistics.prediction_p_value([1, 2, 3], 2.4, 0.5) == 1


def test_equal_values_are_met_or_missed():
    assert statistics.prediction_p_value([0.1] * 3, 0.1) == 1
    assert statistics.prediction_p_value([0.3] * 3, 0.1 + 0.2) == 1
    assert statistics.prediction_p_value([0.594] * 3, 0.59, 0.005) == 1
    assert statistics.prediction_p_value([0.594] * 3, 0.59) == 0
    assert statistics.prediction_p_value([221_184.0] * 3, 221_185) == 0


@given(SCORES, st.floats(-100, 100), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_p_value_and_the_interval_say_the_same(values, reported, confidence):
    low, high = statistics.prediction_interval(values, confidence)
    assume(min(abs(reported - low), abs(reported - high)) > 1e-6)
    p_value = statistics.prediction_p_value(values, reported)
    assert (low < reported < high) == (p_value > 1 - confidence)


def test_the_p_value_of_a_true_replicate_is_uniform():
    runs, new = normal(4_000, 5), normal(4_000, seed=1)
    p_values = [statistics.prediction_p_value(*pair) for pair in zip(runs, new, strict=True)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("values", [[0.5, np.nan], [0.5, np.inf, 0.4]])
def test_values_that_are_no_numbers_are_refused(values):
    with pytest.raises(ValueError, match="finite"):
        statistics.prediction_interval(values)
    with pytest.raises(ValueError, match="finite"):
        statistics.prediction_p_value([0.5, 0.4], values[1])
    with pytest.raises(ValueError, match="finite"):
        statistics.judge(values, 0.5, 0, 1)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.prediction_interval([1, 2], confidence)


# --- printed rounding --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "half"),
    [
        ("0.59", 0.005),
        ("0.590", 0.0005),
        ("-0.6", 0.05),
        ("3.2697", 0.00005),
        ("221184", 0.5),
        ("1.2e3", 50),
        ("1e-3", 0.0005),
        (0.59, 0.005),
        (1e-05, 0.000005),
        (221184.0, 0.5),
        (12, 0.5),
    ],
)
def test_half_a_unit_of_the_last_digit(printed, half):
    assert statistics.rounding(printed) == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize("printed", ["", "59 %", "221,184", "nan", "inf", float("nan")])
def test_what_is_no_decimal_has_no_rounding(printed):
    with pytest.raises(ValueError, match="no decimal number"):
        statistics.rounding(printed)


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_the_rounding_reaches_from_what_is_printed_to_the_value(value, digits):
    printed = f"{value:.{digits}f}"
    assert abs(float(printed) - value) <= statistics.rounding(printed) * (1 + 1e-6) + 1e-9


# --- place among our runs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "half", "expected", "text"),
    [
        (0.05, 0, (0, 0, 5), "1st of 5"),
        (0.25, 0, (2, 2, 5), "3rd of 5"),
        (0.9, 0, (4, 4, 5), "5th of 5"),
        (0.2, 0, (1, 2, 5), "2nd to 3rd of 5"),
        (0.2, 0.15, (0, 3, 5), "1st to 4th of 5"),
    ],
)
def test_the_place_among_our_runs(reported, half, expected, text):
    rank = statistics.rank([0.3, 0.1, 0.4, 0.2], reported, half)
    assert rank == expected
    assert rank.text == text


def test_a_place_among_many_runs():
    assert statistics.rank(range(20), 1.5).text == "3rd of 21"
    places = [statistics.rank(range(120), place - 1.5).text for place in (11, 12, 13, 22, 111)]
    assert [place.split()[0] for place in places] == ["11th", "12th", "13th", "22nd", "111th"]
    assert statistics.rank([], 1.5).text == "1st of 1"


@given(SCORES, st.floats(-100, 100), st.floats(0, 10))
def test_below_tied_and_above_are_all_our_runs(values, reported, half):
    below, at_or_below, among = statistics.rank(values, reported, half)
    above = sum(value > reported + half for value in values)
    assert 0 <= below <= at_or_below
    assert at_or_below + above == len(values) == among - 1


# --- many verdicts -----------------------------------------------------------------------------


def test_holm_is_the_one_computed_by_hand():
    # Sorted: 0.01 · 4, 0.02 · 3, 0.03 · 2, 0.5 · 1, none below the one before it.
    adjusted = statistics.holm({"a": 0.5, "b": 0.01, "c": 0.03, "d": 0.02})
    assert adjusted == pytest.approx({"a": 0.5, "b": 0.04, "c": 0.06, "d": 0.06})
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert statistics.holm({"a": 0.6, "b": 0.7}) == {"a": 1, "b": 1}
    assert statistics.holm({"alone": 0.04}) == {"alone": 0.04}
    assert statistics.holm({}) == {}


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_the_raw_value_and_bonferroni(p_values):
    adjusted = statistics.holm(p_values)
    assert adjusted.keys() == p_values.keys()
    for key, raw in p_values.items():
        assert raw <= adjusted[key] <= min(1, len(p_values) * raw)
    by_raw = sorted(p_values, key=p_values.get)
    assert all(adjusted[a] <= adjusted[b] for a, b in itertools.pairwise(by_raw))


def test_holm_keeps_the_chance_of_one_false_alarm():
    p_values = np.random.default_rng(0).uniform(size=(4_000, 6))
    smallest = [min(statistics.holm(dict(enumerate(row))).values()) for row in p_values]
    expected = 1 - (1 - 0.05 / 6) ** 6
    assert np.mean(np.array(smallest) < 0.05) == pytest.approx(expected, abs=0.014)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.holm({"right": 0.5, "wrong": wrong})


# --- what our runs could have seen -------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20, 100])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.99])
def test_the_smallest_deviation_has_the_power_that_was_asked(n, power):
    shift = statistics.detectable(n, power=power) / (1 + 1 / n) ** 0.5
    detected = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, shift)
    assert detected == pytest.approx(power, abs=1e-4)


def test_a_run_off_by_the_smallest_deviation_is_found_as_often_as_asked():
    runs, new = normal(4_000, 5), statistics.detectable(5) + normal(4_000, seed=1)
    verdicts = [statistics.judge(*pair, 0, np.inf) for pair in zip(runs, new, strict=True)]
    assert np.mean(np.array(verdicts) == "too high") == pytest.approx(0.8, abs=0.025)


def test_the_smallest_deviation_is_in_the_unit_of_the_values():
    assert statistics.smallest_deviation([1, 2, 3]) == statistics.detectable(3)
    assert statistics.smallest_deviation([10, 20, 30]) == 10 * statistics.detectable(3)
    assert statistics.smallest_deviation([0.5, 0.5]) == 0


def test_more_runs_see_more():
    by_number = [statistics.detectable(n) for n in range(2, 30)]
    assert by_number == sorted(by_number, reverse=True)
    # With very many runs it is the sum of two normal percentiles.
    assert statistics.detectable(10**6) == pytest.approx(1.959964 + 0.841621, abs=1e-3)


@pytest.mark.parametrize("arguments", [{"n": 1}, {"n": 5, "power": 1}, {"n": 5, "power": 0.02}])
def test_no_deviation_answers_what_cannot_be_asked(arguments):
    with pytest.raises(ValueError, match="needs"):
        statistics.detectable(**arguments)


# --- verdicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reported", "half", "margin", "expected"),
    [
        ([], 0.5, 0, 1, "not run"),
        ([0.5], 0.5, 0, 1, "uninformative"),
        ([0.5], 0.9, 0, 1, "uninformative"),
        ([1, 2, 3], 2, 0, 5, "consistent"),
        ([1, 2, 3], 6.9, 0, 5, "consistent"),
        ([1, 2, 3], 7.1, 0, 5, "too high"),
        ([1, 2, 3], -3.1, 0, 5, "too low"),
        ([1, 2, 3], 7.1, 0.5, 5, "consistent"),
        ([1, 2, 3], -3.1, 0.5, 5, "consistent"),
        ([1, 2, 3], 2, 0, 4.97, "consistent"),
        ([1, 2, 3], 2, 0, 4.96, "uninformative"),
        ([1, 2, 3], 7.1, 0, 0.1, "too high"),
        ([1, 2, 3], -3.1, 0, 0.1, "too low"),
        ([0.5, 0.5], 0.5, 0, 0, "consistent"),
        ([0.5, 0.5], 0.6, 0, 0, "too high"),
        ([0.5, 0.5], 0.4, 0, 0, "too low"),
    ],
)
def test_the_verdict(values, reported, half, margin, expected):
    assert statistics.judge(values, reported, half, margin) == expected


def test_a_lower_confidence_narrows_what_is_consistent():
    assert statistics.judge([1, 2, 3], 5, 0, 9, 0.95) == "consistent"
    assert statistics.judge([1, 2, 3], 5, 0, 9, 0.80) == "too high"


@pytest.mark.parametrize("n", [3, 10])
def test_a_true_replicate_is_seldom_called_wrong(n):
    runs, new = 0.6 + 0.02 * normal(4_000, n), 0.6 + 0.02 * normal(4_000, seed=1)
    printed = [f"{value:.2f}" for value in new]
    wrong = [
        statistics.judge(row, float(text), statistics.rounding(text), np.inf) != "consistent"
        for row, text in zip(runs, printed, strict=True)
    ]
    # The printed rounding can only be in the paper's favour.
    assert 0.02 < np.mean(wrong) < 0.05 + 0.01


# --- one method beside another -----------------------------------------------------------------

TWO_SAMPLES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=9)


@given(TWO_SAMPLES, TWO_SAMPLES, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_difference_is_that_of_scipy(a, b, confidence):
    assume(len(set(a)) > 1 and len(set(b)) > 1)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(confidence)
    found = statistics.welch_interval(a, b, confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-8)
    assert found.difference == pytest.approx(np.mean(a) - np.mean(b))


@given(SCORES, SCORES, st.floats(-100, 100), st.floats(0.01, 100))
def test_the_difference_stretches_but_does_not_move_with_its_values(a, b, shift, scale):
    found = statistics.welch_interval(a, b)
    moved = statistics.welch_interval(
        [scale * value + shift for value in a], [scale * value + shift for value in b]
    )
    expected = (scale * found.low, scale * found.high)
    # Where both samples spread by rounding errors only, their degrees of freedom mean nothing.
    assume(found.low == found.high or found.high - found.low > 1e-6)
    assert (moved.low, moved.high) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_sample_of_equal_values_lends_the_other_its_degrees_of_freedom():
    found = statistics.welch_interval([1, 2, 3], [1, 1, 1, 1])
    half = stats.t.ppf(0.975, 2) / 3**0.5
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half))
    assert found.outcome == "undecided"


def test_two_samples_of_equal_values_differ_by_a_point():
    found = statistics.welch_interval([3, 3], [1, 1, 1])
    assert (found.difference, found.low, found.high) == (2, 2, 2)
    assert found.outcome == "better"
    assert statistics.welch_interval([1, 1], [1, 1]).outcome == "undecided"


def test_no_difference_without_two_values_each():
    assert statistics.welch_interval([1], [1, 2]) is None
    assert statistics.welch_interval([1, 2], []) is None


@pytest.mark.parametrize(
    ("a", "b", "higher_is_better", "outcome"),
    [
        ([8, 11], [1, 1, 1], True, "undecided"),  # one degree of freedom: 8.5 ± 19.1
        ([9, 10, 9], [1, 2, 1], True, "better"),
        ([1, 2, 1], [9, 10, 9], True, "worse"),
        ([9, 10, 9], [1, 2, 1], False, "worse"),
        ([1, 2, 1], [9, 10, 9], False, "better"),
        ([1, 2, 3], [2, 3, 4], True, "undecided"),
        ([1, 2, 3], [2, 3, 4], False, "undecided"),
    ],
)
def test_the_outcome(a, b, higher_is_better, outcome):
    found = statistics.welch_interval(a, b, higher_is_better=higher_is_better)
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("sizes", "spreads", "tolerance"),
    [
        # Welch's degrees of freedom are approximate: of three runs beside ten they are too many.
        ((3, 10), (1, 1), 0.025),
        ((5, 20), (1, 3), 0.012),
        ((5, 20), (3, 1), 0.012),
        ((10, 20), (1, 3), 0.012),
    ],
)
def test_the_difference_covers_the_true_one(sizes, spreads, tolerance):
    a = spreads[0] * normal(5_000, sizes[0])
    b = spreads[1] * normal(5_000, sizes[1], seed=1)
    found = [statistics.welch_interval(*pair) for pair in zip(a, b, strict=True)]
    covered = np.mean([each.low <= 0 <= each.high for each in found])
    assert covered == pytest.approx(0.95, abs=tolerance)


# --- networks and clusterings ------------------------------------------------------------------


def nested(networks, repeats, between, within=1.0, experiments=1_500):
    """Experiments with a list of `repeats[i % len(repeats)]` values for each network."""
    level = between * normal(experiments, networks, 1)
    values = level + within * normal(experiments, networks, max(repeats), seed=1)
    sizes = [repeats[i % len(repeats)] for i in range(networks)]
    return [[row[:n] for row, n in zip(each, sizes, strict=True)] for each in values]


def test_the_components_are_the_ones_computed_by_hand():
    # Means 2, 5 and 8 have the variance 9, times 3 repeats: 27. Within each network it is 1.
    found = statistics.variance_components([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert found.within == pytest.approx(1)
    assert found.between == pytest.approx((26 / 3) ** 0.5)
    assert found.total == pytest.approx((29 / 3) ** 0.5)
    assert found.icc == pytest.approx(26 / 29)
    assert (found.n_networks, found.n_repeats) == (3, 3)
    # 6 / 14.449375 and 6 / 1.237344: percentiles of chi-square with six degrees of freedom.
    assert found.within_interval == pytest.approx((0.644396, 2.202061), rel=1e-5)
    # F of 27 with 2 and 6 degrees of freedom between 7.259856 and 1 / 39.331458; 2 / χ² after.
    low, high = 27 - 7.259856, 27 - 1 / 39.331458
    assert found.icc_interval == pytest.approx(
        (low / (low + 3 * 7.259856), high / (high + 3 / 39.331458)), rel=1e-5
    )
    between = (low / 3 * 2 / 7.377759) ** 0.5, (high / 3 * 2 / 0.0506356) ** 0.5
    assert found.between_interval == pytest.approx(between, rel=1e-5)


def test_networks_that_differ_less_than_clusterings_add_nothing():
    found = statistics.variance_components([[0, 4], [1, 3], [2, 2.1]])
    assert (found.between, found.icc) == (0, 0)
    assert found.between_interval[0] == found.icc_interval[0] == 0
    assert found.total == found.within > 0


def test_clusterings_that_do_not_vary():
    found = statistics.variance_components([[1, 1], [2, 2], [3, 3]])
    assert (found.within, found.within_interval) == (0, (0, 0))
    assert found.between == pytest.approx(1)
    assert (found.icc, found.icc_interval) == (1, (1, 1))
    same = statistics.variance_components([[0.1] * 3, [0.1] * 3])
    assert (same.between, same.within, same.total) == (0, 0, 0)
    assert np.isnan([same.icc, *same.icc_interval]).all()


@pytest.mark.parametrize("groups", [[], [[1, 2]], [[1], [2], [3]], [[1, 2], []]])
def test_no_components_without_networks_and_repeats(groups):
    assert statistics.variance_components(groups) is None


def test_repeats_that_differ_count_as_their_harmonic_mean():
    found = statistics.variance_components([[1, 2, 3], [], [4, 5, 6], [7, 8, 9, 7, 8, 9], [2]])
    assert found.n_networks == 4
    assert found.n_repeats == pytest.approx(4 / (1 / 3 + 1 / 3 + 1 / 6 + 1))


@given(
    st.lists(st.lists(st.integers(-99, 99), min_size=1, max_size=5), min_size=2, max_size=6),
    st.integers(-100, 100),
    st.integers(1, 50),
)
def test_the_components_stretch_but_do_not_move_with_their_values(groups, shift, scale):
    found = statistics.variance_components(groups)
    assume(found is not None)
    moved = statistics.variance_components([[scale * v + shift for v in g] for g in groups])
    assert moved.icc == pytest.approx(found.icc, nan_ok=True, abs=1e-7)
    assert moved.icc_interval == pytest.approx(found.icc_interval, nan_ok=True, abs=1e-7)
    for name in ("between", "within", "total"):
        assert getattr(moved, name) == pytest.approx(scale * getattr(found, name), abs=1e-4)
    low, high = found.within_interval
    assert low <= found.within <= high


@pytest.mark.parametrize("repeats", [[5], [2, 5, 8]])
def test_the_components_are_right_on_average(repeats):
    found = [statistics.variance_components(groups) for groups in nested(10, repeats, 2.0)]
    assert np.mean([each.within**2 for each in found]) == pytest.approx(1, abs=0.02)
    assert np.mean([each.between**2 for each in found]) == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("repeats", [[5], [2, 5, 8]])
@pytest.mark.parametrize("between", [0.3, 1.0, 3.0])
def test_the_intervals_of_the_components_cover_the_true_ones(repeats, between):
    found = [statistics.variance_components(groups) for groups in nested(6, repeats, between)]
    icc = between**2 / (between**2 + 1)
    for name, truth in (("within", 1.0), ("between", between), ("icc", icc)):
        low, high = np.array([getattr(each, f"{name}_interval") for each in found]).T
        covered = np.mean((low <= truth) & (truth <= high))
        assert covered == pytest.approx(0.95, abs=0.02), name
