import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import comparisons, reproduction
from utils import config, places
from utils.store import tables

OURS = ("autoencoder", "pca50", "kmeans")
NO_FACTS = tables.FACTS_TABLE.empty()


@pytest.fixture(scope="module", autouse=True)
def made_up(tmp_path_factory):
    """The configuration of made-up studies."""
    with places.elsewhere(config=fake_run.write_config(tmp_path_factory.mktemp("made-up"))):
        yield


@pytest.fixture
def study():
    return config.load_study("mnist-cae")


def metric_rows(values, metric="ari", n=70_000, ours=OURS, study="mnist-cae"):
    """Rows of one clustering; `values` maps a seed to a value."""
    return pd.DataFrame(
        [
            {
                "profile": "paper",
                "study": study,
                "dataset": "mnist",
                "n": n,
                "seed": seed,
                "representation": ours[0],
                "space": ours[1],
                "clusterer": ours[2],
                "k_found": 10,
                "noise_fraction": 0.0,
                "metric": metric,
                "value": value,
            }
            for seed, value in values.items()
        ],
        columns=list(tables.METRICS_TABLE.columns),
    )


# --- numbers -----------------------------------------------------------------------------------


def test_seed_values_are_those_of_the_largest_number_of_images():
    metrics = pd.concat([metric_rows({1: 0.4, 0: 0.3}), metric_rows({0: 0.9}, n=500)])
    assert comparisons.seed_values(metrics, "mnist-cae", *OURS, "ari") == {0: 0.3, 1: 0.4}
    assert comparisons.seed_values(metrics, "mnist-cae", *OURS, "ari", n=500) == {0: 0.9}


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_failed_seed_is_no_number(study, lost):
    table = reproduction.reported_vs_reproduced(
        metric_rows({0: 0.4, 1: lost, 2: 0.5}), NO_FACTS, [study], False
    )
    row = table.iloc[0]
    assert (row.n_seeds, row.reproduced_mean) == (2, pytest.approx(0.45))


def test_reproduced_is_the_mean_over_seeds_not_the_best(study):
    table = reproduction.reported_vs_reproduced(
        metric_rows({0: 0.20, 1: 0.43, 2: 0.21}), NO_FACTS, [study], False
    )
    assert list(table.columns) == [
        *("study", "figure", "reported", "reproduced_mean"),
        *("ci_low", "ci_high", "n_seeds", "verdict", "seed_values", "note"),
    ]
    row = table.iloc[0]
    assert row.figure == "ARI"
    assert row.reported == 0.4296
    assert row.reproduced_mean == pytest.approx(0.28)
    assert 0.20 <= row.ci_low < row.reproduced_mean < row.ci_high <= 0.43
    assert row.seed_values == "0.2000; 0.4300; 0.2100"


def test_a_figure_without_values_is_not_run(study):
    table = reproduction.reported_vs_reproduced(metric_rows({0: 0.4}), NO_FACTS, [study], False)
    silhouette = table.set_index("figure").loc["silhouette"]
    assert (silhouette.n_seeds, silhouette.verdict) == (0, "not run")
    assert silhouette.note == "this run has no such value"
    assert np.isnan(silhouette.reproduced_mean)
    assert np.isnan(silhouette.ci_low)


def facts_table(*rows):
    """Make facts of study mnist-cae: seed, notebook, name, value."""
    return pd.DataFrame(
        [("mnist-cae", *row) for row in rows],
        columns=[*tables.FACTS_TABLE.columns],
        dtype=object,
    )


def test_a_figure_that_was_not_run_has_its_reason_and_the_substitutes_value(study):
    missing = study.reported[0].model_copy(update={"representation": "resnet50", "space": "raw"})
    changed = study.model_copy(update={"reported": [missing]})
    reason = facts_table(
        (0, "04_pretrained_comparison", "not_run_resnet50", "no weights (offline)")
    )
    lite0 = ("efficientnet_lite0", "raw", "kmeans")
    rows = metric_rows({0: 0.3, 1: 0.5}, ours=lite0)
    row = reproduction.reported_vs_reproduced(rows, reason, [changed], False).iloc[0]
    assert (row.n_seeds, row.verdict, row.seed_values) == (0, "not run", "")
    assert np.isnan(row.reproduced_mean)
    assert row.note == "no weights (offline); EfficientNet-Lite0 as a substitute gives 0.4000"
    rows = pd.concat([rows, metric_rows({0: 0.42}, ours=("resnet50", "raw", "kmeans"))])
    row = reproduction.reported_vs_reproduced(rows, NO_FACTS, [changed], False).iloc[0]
    assert (row.n_seeds, row.verdict, row.note) == (1, "reproduced", "")


def test_a_failed_seed_is_shown_as_failed_and_not_averaged(study):
    failed = facts_table(
        (1, "03_latent_clustering", tables.FAILED, "again"),
        (1, "02_train_autoencoder", tables.FAILED, "the loss became nan"),
    )
    row = reproduction.reported_vs_reproduced(
        metric_rows({0: 0.2, 2: 0.4}), failed, [study], False
    ).iloc[0]
    assert (row.n_seeds, row.reproduced_mean) == (2, pytest.approx(0.3))
    assert row.seed_values == "0.2000; failed; 0.4000"
    assert row.note == "seed 1 failed: the loss became nan"
    row = reproduction.reported_vs_reproduced(metric_rows({}), failed, [study], False).iloc[0]
    assert (row.n_seeds, row.verdict, row.seed_values) == (0, "failed", "failed")


@pytest.mark.parametrize(("counted", "expected"), [(7, "reproduced"), (8, "above"), (6, "below")])
def test_a_recorded_number_is_compared_exactly_with_tolerance_0(study, counted, expected):
    figure = config.Reported(
        figure="parameters",
        value=7,
        fact={"notebook": "02_train_autoencoder", "name": "n_parameters"},
        source="section 5",
        tolerance=0,
    )
    facts = facts_table(
        (0, "02_train_autoencoder", "n_parameters", counted),
        (1, "02_train_autoencoder", "n_parameters", counted),
        (0, "02_train_autoencoder", "n_other", 99),
        (0, "03_latent_clustering", "n_parameters", 99),
    )
    changed = study.model_copy(update={"reported": [figure]})
    row = reproduction.reported_vs_reproduced(metric_rows({}), facts, [changed], False).iloc[0]
    assert (row.reproduced_mean, row.n_seeds, row.verdict) == (counted, 2, expected)


def test_clusters_found_are_read_from_their_column():
    rows = pd.concat([metric_rows({0: 0.1, 1: 0.2}), metric_rows({0: 0.1, 1: 0.2}, "nmi")])
    rows["k_found"] = [1, 3, 1, 3]
    assert comparisons.seed_values(rows, "mnist-cae", *OURS, "k_found") == {0: 1, 1: 3}


def test_sensitivity_sets_each_variant_beside_the_study(study):
    variant = config.Variant(name="small", options={"channels": [4, 8]}, why="to try")
    changed = study.model_copy(update={"variants": [variant]})
    place = ("autoencoder-small", "pca50", "kmeans")
    rows = pd.concat([metric_rows({0: 0.2, 1: 0.4}), metric_rows({0: 0.5}, ours=place)])
    ((name, figure, as_run, varied),) = reproduction.sensitivity(rows, NO_FACTS, changed)
    assert (name, figure.figure, as_run, varied) == ("small", "ARI", {0: 0.2, 1: 0.4}, {0: 0.5})
    assert reproduction.sensitivity(metric_rows({0: 0.2}), NO_FACTS, changed) == []


def test_spread_of_networks_and_of_clusterings_are_told_apart(study):
    facts = facts_table(
        (0, "03_latent_clustering", "kmeans_sd_ari", 0.03),
        (1, "03_latent_clustering", "kmeans_sd_ari", 0.04),
    )
    (spread,) = comparisons.spreads(metric_rows({0: 0.2, 1: 0.4}), facts, study)
    assert (spread.metric, spread.n_networks) == ("ari", 2)
    assert spread.networks == pytest.approx(0.02**0.5)
    assert spread.clusterings == pytest.approx(((0.03**2 + 0.04**2) / 2) ** 0.5)
    assert np.isnan(comparisons.spreads(metric_rows({0: 0.2}), facts, study)[0].networks)
    assert comparisons.spreads(metric_rows({0: 0.2}), NO_FACTS, study) == []


def representations(**values):
    """Make metrics of representations: ARI, silhouette and Davies-Bouldin of each, on 9 images."""
    return pd.concat(
        metric_rows({0: value}, metric, n=9, ours=(name, "raw", "kmeans"))
        for name, triple in values.items()
        for metric, value in zip(("ari", "silhouette", "davies_bouldin"), triple, strict=True)
    )


@pytest.mark.parametrize(
    ("silhouettes", "indices", "agreeing"),
    [((0.3, 0.2, 0.1), (1, 2, 3), (3, 3)), ((0.1, 0.2, 0.3), (2, 1, 3), (0, 2))],
)
def test_representations_are_ranked_by_labels_and_by_indices(study, silhouettes, indices, agreeing):
    aris = {"pixels": 0.1, "resnet50": 0.9, "efficientnet_lite0": 0.5}
    order = sorted(aris, key=aris.get, reverse=True)
    triples = zip(order, silhouettes, indices, strict=True)
    rows = representations(**{name: (aris[name], s, d) for name, s, d in triples})
    ranking = comparisons.rank_representations(rows, study, 9)
    assert [row.representation for row in ranking.rows] == order
    assert (ranking.pairs, ranking.silhouette_agrees, ranking.davies_bouldin_agrees) == (
        3,
        *agreeing,
    )
    assert comparisons.rank_representations(rows, study, 8) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({0: 0.42}, "reproduced"),
        ({0: 0.60}, "above"),
        ({0: 0.30}, "below"),
        ({0: 0.40, 1: 0.44, 2: 0.43}, "reproduced"),
        ({0: 0.60, 1: 0.61, 2: 0.62}, "above"),
        ({0: 0.30, 1: 0.31, 2: 0.32}, "below"),
    ],
)
def test_verdicts_of_a_full_run(study, values, expected):
    table = reproduction.reported_vs_reproduced(metric_rows(values), NO_FACTS, [study], False)
    assert table.iloc[0].verdict == expected


def test_a_reduced_run_and_substitute_data_test_nothing(study):
    rows = metric_rows({0: 0.42})
    tested = reproduction.reported_vs_reproduced(rows, NO_FACTS, [study], True).iloc[0]
    assert tested.verdict == "not tested (reduced run)"
    assert tested.reproduced_mean == 0.42
    full = (rows, NO_FACTS, [study], False)
    tested = reproduction.reported_vs_reproduced(*full, ["mnist-cae"]).iloc[0]
    assert tested.verdict == "not tested (substitute data)"
    tested = reproduction.reported_vs_reproduced(*full, ["cifar10-cae"]).iloc[0]
    assert tested.verdict == "reproduced"


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (0.49, "reproduced"),
        (0.51, "reproduced"),
        (0.47, "above"),
        (0.53, "below"),
        (0.485, "reproduced"),
        (0.515, "reproduced"),
    ],
)
def test_verdict_widens_the_interval_by_the_tolerance(reported, expected):
    assert reproduction.verdict(reported, 0.49, 0.51, 0.01) == expected


@given(
    st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0.001, 1), st.floats(0.001, 1)
)
def test_a_larger_tolerance_never_turns_reproduced_into_something_else(
    reported, low, width, tolerance, more
):
    if reproduction.verdict(reported, low, low + width, tolerance) == "reproduced":
        assert reproduction.verdict(reported, low, low + width, tolerance + more) == "reproduced"


def test_interval_is_fixed_and_empty_for_one_seed():
    assert reproduction.bootstrap_interval([0.4]) is None
    assert reproduction.bootstrap_interval([]) is None
    sample = [0.1, 0.5, 0.3]
    assert reproduction.bootstrap_interval(sample) == reproduction.bootstrap_interval(sample)


def test_interval_of_many_values_is_close_to_the_normal_one():
    sample = np.random.default_rng(3).normal(10, 2, size=400)
    low, high = reproduction.bootstrap_interval(sample)
    half = 1.96 * sample.std(ddof=1) / 20
    assert low == pytest.approx(sample.mean() - half, abs=0.03)
    assert high == pytest.approx(sample.mean() + half, abs=0.03)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6))
def test_interval_lies_within_the_values(values):
    low, high = reproduction.bootstrap_interval(values, resamples=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_summary_has_mean_deviation_and_clusters_found():
    rows = metric_rows({0: 0.2, 1: 0.4})
    rows["k_found"] = [1, 3]
    rows["noise_fraction"] = [0.0, 0.5]
    (row,) = comparisons.summary(pd.concat([rows, metric_rows({0: np.nan}, "nmi")])).itertuples()
    assert (row.mean, row.sd) == (pytest.approx(0.3), pytest.approx(0.02**0.5))
    assert (row.n_seeds, row.k_low, row.k_high, row.noise) == (2, 1, 3, 0.25)


# --- comparisons -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "other", "expected"),
    [
        ((0.5, 0.6), (0.3, 0.4), "better"),
        ((0.3, 0.4), (0.5, 0.6), "worse"),
        ((0.3, 0.5), (0.4, 0.6), "no clear difference"),
        ((0.4, 0.6), (0.3, 0.5), "no clear difference"),
        ((0.4,), (0.4,), "no clear difference"),
    ],
)
def test_a_difference_needs_ranges_that_do_not_overlap(ours, other, expected):
    assert comparisons.Comparison(ours, other).outcome == expected


def test_of_davies_bouldin_less_is_better():
    metrics = pd.concat(
        [
            metric_rows({0: 3.0}, "davies_bouldin"),
            metric_rows({0: 4.0}, "davies_bouldin", ours=("pixels", "raw", "kmeans")),
        ]
    )
    arguments = (metrics, "mnist-cae", OURS, ("pixels", "raw", "kmeans"), "davies_bouldin")
    compared = comparisons.compare(*arguments, 70_000)
    assert (compared.outcome, compared.single_seed) == ("better", True)
    assert comparisons.compare(*arguments, 500) is None
