"""The envelope of plausible fillings: known values, properties, coverage, and its verdicts."""

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from report import reproduction
from report.envelope import Envelope, envelope
from report.statistics import prediction_interval
from utils import config, places
from utils.store import tables

FILLINGS = st.lists(
    st.lists(st.integers(-99, 99), min_size=1, max_size=5), min_size=2, max_size=5
).filter(lambda fillings: sum(map(len, fillings)) - len(fillings) >= 2)


# --- the intervals -----------------------------------------------------------------------------


def test_the_intervals_are_the_ones_computed_by_hand():
    # Squares within: 2, 2 and 0; s² is 4 / 2. t of two degrees of freedom is 4.302653.
    found = envelope([[0, 2], [10, 12], [5]])
    half = 4.302653 * 2**0.5
    expected = [(1, 1.5), (11, 1.5), (5, 2)]
    assert found.sizes == (2, 2, 1)
    for (low, high), (mean, inflation) in zip(found.intervals, expected, strict=True):
        assert (low, high) == pytest.approx(
            (mean - half * inflation**0.5, mean + half * inflation**0.5), rel=1e-6
        )
    assert (found.low, found.high) == (found.intervals[0][0], found.intervals[1][1])


@pytest.mark.parametrize("fillings", [[], [[1, 2, 3]], [[1, 2], [3]], [[1], [2], [3]]])
def test_no_envelope_without_two_fillings_and_two_degrees_of_freedom(fillings):
    assert envelope(fillings) is None


def test_an_envelope_needs_numbers_of_every_filling():
    with pytest.raises(ValueError, match="at least one network"):
        envelope([[1, 2, 3], []])
    with pytest.raises(ValueError, match="finite"):
        envelope([[1, 2, np.nan], [3, 4]])


def test_fillings_that_do_not_vary_have_points():
    found = envelope([[0.25, 0.25], [0.5, 0.5]])
    assert found.intervals == ((0.25, 0.25), (0.5, 0.5))
    assert found.judge(0.5, 0.005, 0.1) == "not decidable"
    assert found.judge(0.6, 0.005, 0.1) == "too high"


@given(FILLINGS, st.integers(-100, 100), st.integers(1, 50))
def test_the_envelope_moves_and_stretches_with_its_values(fillings, shift, scale):
    found = envelope(fillings)
    moved = envelope([[scale * value + shift for value in values] for values in fillings])
    assert np.array(moved.intervals) == pytest.approx(
        scale * np.array(found.intervals) + shift, rel=1e-9, abs=1e-6
    )
    mirrored = envelope([[-value for value in values] for values in fillings])
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-6)


@given(FILLINGS)
def test_the_order_of_further_fillings_makes_no_difference(fillings):
    found, other = envelope(fillings), envelope([fillings[0], *fillings[:0:-1]])
    assert (other.low, other.high) == pytest.approx((found.low, found.high))
    assert other.intervals[0] == pytest.approx(found.intervals[0])


@given(st.lists(st.integers(-99, 99), min_size=3, max_size=6))
def test_a_filling_with_one_network_lends_no_spread(values):
    """The default's interval is then the usual one."""
    found = envelope([values, [1]])
    assert found.intervals[0] == pytest.approx(prediction_interval(values), abs=1e-9)


@pytest.mark.parametrize("sizes", [(5, 2, 2, 1, 1), (5, 2, 2, 1, 1, 1, 1, 1), (2, 2, 2), (3, 1)])
def test_the_interval_of_each_filling_covers_a_new_run_of_it(sizes):
    random, experiments = np.random.default_rng(sum(sizes)), 10_000
    means, sd = 0.4 + 0.05 * np.arange(len(sizes)), 0.01
    covered = np.zeros(len(sizes))
    for _ in range(experiments):
        runs = [random.normal(mean, sd, n) for mean, n in zip(means, sizes, strict=True)]
        new = random.normal(means, sd)
        low, high = np.array(envelope(runs).intervals).T
        covered += (low <= new) & (new <= high)
    assert covered / experiments == pytest.approx(0.95, abs=0.01)


def test_a_run_of_any_filling_is_rarely_beyond_the_envelope():
    random, sizes = np.random.default_rng(0), (5, 2, 2, 1, 1)
    means, beyond = 0.4 + 0.05 * np.arange(len(sizes)), 0
    for number in range(4_000):
        runs = [random.normal(mean, 0.01, n) for mean, n in zip(means, sizes, strict=True)]
        new = random.normal(means[number % len(sizes)], 0.01)
        beyond += envelope(runs).judge(new, 0, np.inf).startswith("too")
    assert beyond / 4_000 < 0.05


# --- its verdicts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "half_rounding", "margin", "expected"),
    [
        (0.45, 0, 1, "consistent"),
        (0.30, 0, 1, "not decidable"),  # inside the default's interval only
        (0.55, 0, 1, "not decidable"),
        (0.61, 0, 1, "too high"),
        (0.19, 0, 1, "too low"),
        (0.61, 0.02, 1, "not decidable"),  # it may have been 0.60
        (0.19, 0.02, 1, "not decidable"),
        (0.39, 0.02, 1, "consistent"),  # it may have been 0.40
        (0.51, 0.02, 1, "consistent"),
        (0.45, 0, 0.14, "uninformative"),  # half of the default's interval is 0.15
        (0.55, 0, 0.14, "uninformative"),
        (0.61, 0, 0.14, "too high"),
        (0.45, 0, 0.151, "consistent"),
    ],
)
def test_the_verdict(reported, half_rounding, margin, expected):
    found = Envelope((5, 1), ((0.2, 0.5), (0.4, 0.6)))
    assert found.judge(reported, half_rounding, margin) == expected


def test_fillings_that_exclude_each_other_leave_nothing_consistent():
    found = Envelope((5, 2), ((0.1, 0.2), (0.5, 0.6)))
    assert found.judge(0.15, 0, 1) == found.judge(0.3, 0, 1) == "not decidable"
    # The rounding is wide enough for either, and no single value lies in both.
    assert found.judge(0.35, 0.2, 1) == "not decidable"


@given(FILLINGS, st.floats(-300, 300), st.floats(0, 5), st.sampled_from([1.0, 1e9]))
def test_the_verdict_follows_from_the_intervals(fillings, reported, half, margin):
    found = envelope(fillings)
    verdict = found.judge(reported, half, margin)
    assert (verdict == "too high") == (reported - half > found.high)
    assert (verdict == "too low") == (reported + half < found.low)
    if verdict == "consistent":
        for low, high in found.intervals:
            assert low - half <= reported <= high + half
    if margin == 1e9:
        assert verdict != "uninformative"


# --- in the table of verdicts ------------------------------------------------------------------

OPEN = "no channels are stated"
NO_FACTS = tables.FACTS_TABLE.empty()
DEFAULT = [0.390, 0.392, 0.394, 0.391, 0.393]


@pytest.fixture(scope="module", autouse=True)
def made_up(tmp_path_factory):
    """The configuration of made-up studies."""
    with places.elsewhere(config=fake_run.write_config(tmp_path_factory.mktemp("made-up"))):
        yield


def study_with(value="0.4296", fillings=("wide", "narrow"), **changes):
    """A study whose ARI the paper leaves open, with variants of which some are fillings."""
    study = config.load_study("mnist-cae")
    reported = study.reported[0].model_copy(update={"open": OPEN, "value": value} | changes)
    variants = [
        config.Variant(name=name, options={"channels": [4, 8]}, why="w", filling=name in fillings)
        for name in ("wide", "narrow", "other")
    ]
    return study.model_copy(update={"reported": [reported], "variants": variants})


def metrics(**values):
    """Metrics of the autoencoder (`default`) and of its variants, by name."""
    rows = [
        {
            **{"profile": "paper", "study": "mnist-cae", "dataset": "mnist", "n": 9, "seed": seed},
            "representation": "autoencoder" if name == "default" else f"autoencoder-{name}",
            **{"space": "pca50", "clusterer": "kmeans", "k_found": 10, "noise_fraction": 0.0},
            **{"metric": "ari", "value": value},
        }
        for name, of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    ]
    return pd.DataFrame(rows, columns=list(tables.METRICS_TABLE.columns))


def row_of(study, rows, reduced=False, substituted=()):
    return reproduction.reported_vs_reproduced(rows, NO_FACTS, [study], reduced, substituted).iloc[
        0
    ]


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("0.3920", "not decidable"),  # inside the default's interval, below the other's
        ("0.4300", "not decidable"),
        ("0.4100", "not decidable"),  # between the two
        ("0.4700", "too high"),
        ("0.3000", "too low"),
    ],
)
def test_an_open_score_is_judged_by_the_envelope_of_its_fillings(value, verdict):
    rows = metrics(default=DEFAULT, wide=[0.430, 0.432])
    row = row_of(study_with(value, fillings=("wide",)), rows)
    found = envelope([DEFAULT, [0.430, 0.432]])
    assert row.verdict == verdict
    assert (row.prediction_low, row.prediction_high) == (found.low, found.high)
    assert (row.n_networks, row["mean"]) == (5, pytest.approx(0.392))
    assert row.sd == pytest.approx(np.std(DEFAULT, ddof=1))
    assert row.seed_values == "0.3900 0.3920 0.3940 0.3910 0.3930"
    assert row.note == (
        f"{OPEN}; envelope of 2 fillings, 5 + 2 networks: {found.low:.4f} to {found.high:.4f}"
    )
    assert np.isnan([row.p_holm, row.smallest_deviation]).all()
    assert np.isclose(
        found.high - found.intervals[1][0],
        2 * stats.t.ppf(0.975, 5) * 1.5**0.5 * np.sqrt((4 * np.var(DEFAULT, ddof=1) + 2e-6) / 5),
    )


def test_a_value_inside_the_interval_of_every_filling_is_consistent():
    rows = metrics(default=DEFAULT, wide=[0.391, 0.393], narrow=[0.390])
    row = row_of(study_with("0.3925"), rows)
    assert row.verdict == "consistent"
    assert "envelope of 3 fillings, 5 + 2 + 1 networks" in row.note
    assert np.isnan(row.p_holm)
    assert row_of(study_with("0.3925", margin=0.001), rows).verdict == "uninformative"


@pytest.mark.parametrize(
    "rows",
    [
        {"default": DEFAULT},
        {"default": DEFAULT, "other": [0.43, 0.44]},  # a variant that is no filling
        {"default": DEFAULT, "wide": [0.43, 0.44]},  # a filling was not run
        {"default": [0.39, 0.40], "wide": [0.43], "narrow": [0.41]},  # one degree of freedom
        {"default": [0.39], "wide": [0.43], "narrow": [0.41]},
    ],
)
def test_without_fillings_or_spread_it_is_not_decidable_as_before(rows):
    row = row_of(study_with("0.9"), metrics(**rows))
    assert (row.verdict, row.note) == ("not decidable", OPEN)
    assert np.isnan(row.p_holm)
    usual = prediction_interval(rows["default"]) or (np.nan, np.nan)
    assert (row.prediction_low, row.prediction_high) == pytest.approx(usual, nan_ok=True)


def test_only_what_is_open_has_an_envelope():
    rows = metrics(default=DEFAULT, wide=[0.430, 0.432])
    row = row_of(study_with("0.4300", open=None), rows)
    assert row.verdict == "too high"
    assert (row.prediction_low, row.prediction_high) == prediction_interval(DEFAULT)
    assert row.note == ""
    assert row.p_holm < 0.05


def test_fillings_without_the_default_are_not_run():
    row = row_of(study_with(), metrics(wide=[0.43, 0.44, 0.45], narrow=[0.39]))
    assert (row.verdict, row.n_networks) == ("not run", 0)
    assert np.isnan(row.prediction_low)


def test_a_reduced_run_and_substitute_data_test_nothing():
    rows = metrics(default=DEFAULT, wide=[0.430, 0.432])
    assert row_of(study_with(), rows, reduced=True).verdict == "not tested (reduced run)"
    substituted = row_of(study_with(), rows, substituted=["mnist-cae"])
    assert substituted.verdict == "not tested (substitute data)"


def test_the_value_of_a_saved_run_is_judged_by_the_same_envelope():
    saved = config.ReportedValue(value="0.9", source="a notebook")
    rows = metrics(default=DEFAULT, wide=[0.430, 0.432])
    study = study_with("0.3000", fillings=("wide",), saved=saved)
    table = reproduction.reported_vs_reproduced(rows, NO_FACTS, [study], False)
    assert list(table["verdict"]) == ["too low", "too high"]
    assert table["p_holm"].isna().all()
