"""Where scores vary from: the table of variance components."""

import itertools

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from report import overall, variances
from report.statistics import variance_components
from utils import config, places
from utils.store import tables

CODE = ("autoencoder", "pca50", "kmeans")
VALUES = [[0.1, 0.2, 0.4], [0.3, 0.3, 0.5], [0.6, 0.2, 0.1]]


@pytest.fixture(autouse=True)
def made_up(tmp_path_factory):
    """The configuration of made-up studies."""
    with places.elsewhere(config=fake_run.write_config(tmp_path_factory.mktemp("made-up"))):
        yield


def starts(groups, place=CODE, n=9, metric="ari", study="mnist-cae"):
    """Rows of networks, each with a value for each seed of k-means."""
    rows = [
        (study, seed, *place, n, kmeans_seed, metric, value)
        for seed, values in enumerate(groups)
        for kmeans_seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(tables.STARTS_TABLE.columns))


def components(*parts, confidence=0.95):
    return variances.components(pd.concat(parts, ignore_index=True), confidence)


# --- the table ---------------------------------------------------------------------------------


def test_a_trained_representation_has_all_components():
    (row,) = components(starts(VALUES)).itertuples(index=False)
    split = variance_components(VALUES)
    assert row == (
        *("mnist-cae", *CODE, 9, "ari", 3, pytest.approx(3)),
        *(split.between, *split.between_interval),
        *(split.within, *split.within_interval),
        *(split.icc, *split.icc_interval),
    )


@pytest.mark.parametrize("representation", ["pixels", "resnet50_random", "efficientnet_lite0"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_without_training_there_is_one_network(representation, seeds):
    """The same starts of the same features, recorded with several seeds, are counted once."""
    groups = [[0.1, 0.2, 0.4, 0.3]] * seeds
    (row,) = components(starts(groups, (representation, "raw", "kmeans"))).itertuples()
    assert (row.n_networks, row.n_starts) == (1, 4)
    assert row.sd_starts == pytest.approx(np.std(groups[0], ddof=1))
    assert row.sd_starts_low < row.sd_starts < row.sd_starts_high
    networks = [column for column in variances.VARIANCES_TABLE.columns if "share" in column]
    networks += ["sd_networks", "sd_networks_low", "sd_networks_high"]
    assert np.isnan([getattr(row, column) for column in networks]).all()


def test_of_a_single_network_only_the_starts_are_known():
    (row,) = components(starts([[0.1, 0.2]])).itertuples()
    assert (row.n_networks, row.n_starts) == (1, 2)
    assert np.isnan([row.sd_networks, row.share_networks]).all()


def test_starts_are_counted_of_each_network():
    assert components(starts(VALUES * 2))["n_starts"].tolist() == [3]
    # Of 2, 3 and 3: the harmonic mean.
    uneven = components(starts([VALUES[0][:2], *VALUES[1:]]))
    assert uneven["n_starts"].tolist() == pytest.approx([3 / (1 / 2 + 1 / 3 + 1 / 3)])


def test_spaces_clusterers_and_images_are_kept_apart():
    places_ = [
        (CODE, 9),
        (CODE, 5),
        (("autoencoder", "raw", "kmeans"), 9),
        (("autoencoder-wide", "pca50", "kmeans"), 9),
        (("autoencoder", "pca50", "gmm"), 9),
    ]
    parts = [
        starts([[value + number for value in values] for values in VALUES], *place)
        for number, place in enumerate(places_)
    ]
    table = components(*parts, starts(VALUES, study="cifar10-cae"))
    assert len(table) == 6
    alone = components(starts(VALUES)).drop(columns=["study", *tables.COMBINATION[1:]])
    for row in table.drop(columns=list(tables.COMBINATION)).itertuples(index=False):
        assert row[0] == "ari"
        assert row[1:] == pytest.approx(next(alone.itertuples(index=False))[1:])


def test_metrics_stand_in_the_order_of_all_tables():
    parts = [starts(VALUES, metric=metric) for metric in ("silhouette", "nmi", "ari")]
    assert list(components(*parts)["metric"]) == ["ari", "nmi", "silhouette"]


def test_networks_with_one_start_each_cannot_be_split():
    assert components(starts([[0.1], [0.2]])).empty
    assert components(starts([[0.1]])).empty
    empty = components(tables.STARTS_TABLE.empty())
    assert list(empty.columns) == list(variances.VARIANCES_TABLE.columns)
    assert empty.empty
    assert empty["share_low"].dtype == components(starts(VALUES))["share_low"].dtype == float


def test_the_table_is_read_as_it_was_written(tmp_path):
    table = components(starts(VALUES), starts([[0.1, 0.2]], ("pixels", "raw", "kmeans")))
    schema = variances.VARIANCES_TABLE
    schema.write(table, tmp_path / schema.file)
    pd.testing.assert_frame_equal(
        schema.read(tmp_path / schema.file), table, check_dtype=False, rtol=1e-12
    )


# --- the interval of a standard deviation ------------------------------------------------------


def test_the_interval_of_a_standard_deviation_is_the_one_computed_by_hand():
    # Of three values: 2 / 7.377759 and 2 / 0.050636, percentiles of chi-square.
    assert variances.sd_interval(1, 3) == pytest.approx((0.520658, 6.284766), rel=1e-4)
    assert variances.sd_interval(0, 3) == (0, 0)


@given(st.floats(0.01, 100), st.integers(2, 50), st.floats(0.5, 0.99))
def test_the_interval_stretches_with_the_standard_deviation(sd, n, confidence):
    low, high = variances.sd_interval(sd, n, confidence)
    assert 0 < low < high
    assert (low, high) == pytest.approx(
        tuple(sd * end for end in variances.sd_interval(1, n, confidence))
    )
    chance = stats.chi2(n - 1).cdf([(n - 1) * (sd / end) ** 2 for end in (high, low)])
    assert chance == pytest.approx([(1 - confidence) / 2, (1 + confidence) / 2])


@pytest.mark.parametrize("n", [2, 5, 20])
def test_the_interval_covers_the_standard_deviation(n):
    sds = np.random.default_rng(n).normal(size=(20_000, n)).std(axis=1, ddof=1)
    low, high = np.array([variances.sd_interval(sd, n) for sd in sds]).T
    assert np.mean((low <= 1) & (high >= 1)) == pytest.approx(0.95, abs=0.006)


# --- what the article says of it ---------------------------------------------------------------


def test_the_article_shows_k_means_on_the_code_of_the_most_images():
    study = config.load_study("mnist-cae")
    table = components(
        starts(VALUES, n=5),
        starts(VALUES, n=9),
        starts(VALUES, n=9, metric="nmi"),
        starts(VALUES, ("autoencoder", "raw", "kmeans"), n=99),
        starts(VALUES, ("autoencoder-wide", "pca50", "kmeans"), n=99),
        starts(VALUES, ("pixels", "raw", "kmeans"), n=99),
        starts(VALUES, n=99, study="cifar10-cae"),
    )
    shown = variances.of_protocol(table, study)
    assert [(row.n, row.metric) for row in shown] == [(9, "ari"), (9, "nmi")]
    assert variances.of_protocol(components(starts(VALUES[:1])), study) == []


def apart(networks, within):
    """Networks whose means have the standard deviation `networks`, and their starts `within`."""
    steps = np.linspace(-1, 1, 6)
    return [
        (0.5 + networks * a / steps.std(ddof=1) + within * steps / steps.std(ddof=1)).tolist()
        for a in steps
    ]


@pytest.mark.parametrize(
    ("networks", "within", "counted"),
    [
        (0.10, 0.01, "networks"),
        (0.01, 0.10, "starts"),
        (0.10, 0.09, "undecided"),
        (0.0, 0.0, "undecided"),
    ],
)
def test_networks_differ_more_only_if_the_interval_says_so(networks, within, counted):
    table = components(starts(apart(networks, within)))
    found = overall.spreads(table, [config.load_study("mnist-cae")])
    assert [one.wider for one in found] == [counted]


def test_only_studies_of_the_report_with_several_networks_are_compared():
    table = components(
        starts(apart(0.1, 0.01)),
        starts(apart(0.1, 0.01), metric="nmi"),
        starts(apart(0.1, 0.01)[:1], study="cifar10-cae"),
    )
    studies = [config.load_study(name) for name in ("mnist-cae", "cifar10-cae")]
    assert [one.study for one in overall.spreads(table, studies)] == ["mnist-cae"]
    assert overall.spreads(table, studies[1:]) == []
    assert list(itertools.chain(overall.spreads(components(starts([[0.1]])), studies))) == []
