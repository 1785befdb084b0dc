import re

import fake_run
import numpy as np
import pandas as pd
import pytest

from report import comparisons, reproduction
from report.statistics import prediction_interval, prediction_p_value
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


def judged(study, values, reduced=False, substituted=(), facts=NO_FACTS):
    """The table of one study, whose ARI has these values by seed."""
    rows = values if isinstance(values, pd.DataFrame) else metric_rows(values)
    return reproduction.reported_vs_reproduced(rows, facts, [study], reduced, substituted)


def with_ari(study, **changes):
    """The study with its first reported score changed, and no other."""
    reported = study.reported[0].model_copy(update=changes)
    return study.model_copy(update={"reported": [reported]})


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_failed_seed_is_no_number(study, lost):
    row = judged(study, {0: 0.4, 1: lost, 2: 0.5}).iloc[0]
    assert (row.n_networks, row["mean"]) == (2, pytest.approx(0.45))


def test_ours_is_the_mean_over_runs_not_the_best(study):
    table = judged(study, {0: 0.20, 1: 0.43, 2: 0.21})
    assert list(table.columns) == [
        *("study", "score", "source", "reported", "mean", "sd", "n_networks"),
        *("prediction_low", "prediction_high", "rank", "p_holm", "smallest_deviation"),
        *("verdict", "seed_values", "note"),
    ]
    row = table.iloc[0]
    assert (row.score, row.source, row.reported) == ("ARI", "Table I", "0.4296")
    assert row["mean"] == pytest.approx(0.28)
    assert row.sd == pytest.approx(np.std([0.20, 0.43, 0.21], ddof=1))
    interval = prediction_interval([0.20, 0.43, 0.21])
    assert (row.prediction_low, row.prediction_high) == pytest.approx(interval)
    assert row["rank"] == "3rd of 4"
    assert row.seed_values == "0.2000 0.4300 0.2100"


def test_a_score_without_values_is_not_run(study):
    silhouette = judged(study, {0: 0.4}).set_index("score").loc["silhouette"]
    assert (silhouette.n_networks, silhouette.verdict) == (0, "not run")
    assert silhouette.note == "this run has no such value"
    assert np.isnan(silhouette["mean"])
    assert np.isnan(silhouette.prediction_low)


def facts_table(*rows):
    """Make facts of study mnist-cae: seed, notebook, name, value."""
    return pd.DataFrame(
        [("mnist-cae", *row) for row in rows],
        columns=[*tables.FACTS_TABLE.columns],
        dtype=object,
    )


def test_a_score_that_was_not_run_has_its_reason_and_the_substitutes_value(study):
    changed = with_ari(study, representation="resnet50", space="raw")
    reason = facts_table(
        (0, "04_pretrained_comparison", "not_run_resnet50", "no weights (offline)")
    )
    lite0 = ("efficientnet_lite0", "raw", "kmeans")
    rows = metric_rows({0: 0.3, 1: 0.5}, ours=lite0)
    row = judged(changed, rows, facts=reason).iloc[0]
    assert (row.n_networks, row.verdict, row.seed_values) == (0, "not run", "")
    assert np.isnan(row["mean"])
    assert row.note == "no weights (offline); EfficientNet-Lite0 as a substitute gives 0.4000"
    rows = pd.concat([rows, metric_rows({0: 0.42}, ours=("resnet50", "raw", "kmeans"))])
    row = judged(changed, rows).iloc[0]
    assert (row.n_networks, row.verdict, row.note) == (1, "uninformative", "")


def test_a_failed_seed_is_shown_as_failed_and_not_averaged(study):
    failed = facts_table(
        (1, "03_latent_clustering", tables.FAILED, "again"),
        (1, "02_train_autoencoder", tables.FAILED, "the loss became nan"),
    )
    row = judged(study, {0: 0.2, 2: 0.4}, facts=failed).iloc[0]
    assert (row.n_networks, row["mean"]) == (2, pytest.approx(0.3))
    assert row.seed_values == "0.2000 failed 0.4000"
    assert row.note == "seed 1 failed: the loss became nan"
    row = judged(study, {}, facts=failed).iloc[0]
    assert (row.n_networks, row.verdict, row.seed_values) == (0, "failed", "failed")


def test_clusters_found_are_read_from_their_column():
    rows = pd.concat([metric_rows({0: 0.1, 1: 0.2}), metric_rows({0: 0.1, 1: 0.2}, "nmi")])
    rows["k_found"] = [1, 3, 1, 3]
    assert comparisons.seed_values(rows, "mnist-cae", *OURS, "k_found") == {0: 1, 1: 3}


def test_sensitivity_sets_each_variant_beside_the_study(study):
    variant = config.Variant(name="small", options={"channels": [4, 8]}, why="to try")
    changed = study.model_copy(update={"variants": [variant]})
    place = ("autoencoder-small", "pca50", "kmeans")
    rows = pd.concat([metric_rows({0: 0.2, 1: 0.4}), metric_rows({0: 0.5}, ours=place)])
    ((name, reported, as_run, varied),) = reproduction.sensitivity(rows, changed)
    assert (name, reported.score, as_run, varied) == ("small", "ARI", {0: 0.2, 1: 0.4}, {0: 0.5})
    assert reproduction.sensitivity(metric_rows({0: 0.2}), changed) == []


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
        ([0.42], "uninformative"),
        ([0.60, 0.61, 0.62], "too low"),
        ([0.30, 0.31, 0.32], "too high"),
        ([0.40, 0.44, 0.43], "consistent"),
        ([0.2, 0.4, 0.6], "uninformative"),  # half the interval is 0.99
        ([0.42964, 0.42964], "consistent"),  # it is printed as 0.4296
        ([0.42966, 0.42966], "too low"),
    ],
)
def test_verdicts_of_a_full_run(study, values, expected):
    row = judged(study, dict(enumerate(values))).iloc[0]
    assert row.verdict == expected
    assert np.isnan(row.p_holm) == (len(values) == 1)
    if expected.startswith("too"):
        above = float(row.reported) > row.prediction_high
        below = float(row.reported) < row.prediction_low
        assert (above, below) == (expected == "too high", expected == "too low")


def test_a_reduced_run_and_substitute_data_test_nothing(study):
    values = {0: 0.40, 1: 0.44, 2: 0.43}
    row = judged(study, values, reduced=True).iloc[0]
    assert row.verdict == "not tested (reduced run)"
    assert row["mean"] == pytest.approx(0.4233, abs=1e-4)
    assert np.isnan(row.p_holm)
    row = judged(study, values, substituted=["mnist-cae"]).iloc[0]
    assert row.verdict == "not tested (substitute data)"
    assert judged(study, values, substituted=["cifar10-cae"]).iloc[0].verdict == "consistent"


def test_what_the_paper_leaves_open_is_not_decidable(study):
    changed = with_ari(study, open="no learning rate is stated")
    row = judged(changed, {0: 0.60, 1: 0.61, 2: 0.62}).iloc[0]
    assert (row.verdict, row.note) == ("not decidable", "no learning rate is stated")
    assert np.isnan(row.p_holm)
    assert row.prediction_low > 0.5
    assert judged(changed, {}).iloc[0].verdict == "not run"


KERAS = "Keras's weights"


@pytest.mark.parametrize(
    ("recorded", "is_open"),
    [
        ([], True),
        ([f"{KERAS} (SHA-256 12)"] * 2, False),
        ([f"{KERAS} (SHA-256 12)"], True),
        ([f"{KERAS} (SHA-256 12)", "torchvision"], True),
        ([f"not {KERAS}"] * 2, True),
    ],
)
def test_what_is_open_is_settled_if_every_run_recorded_it(study, recorded, is_open):
    place = {"notebook": "04_pretrained_comparison", "name": "weights_resnet50"}
    settled_by = config.RecordedText(**place, begins=KERAS)
    changed = with_ari(study, open="other weights", settled_by=settled_by)
    facts = facts_table(*((seed, *place.values(), text) for seed, text in enumerate(recorded)))
    row = judged(changed, {0: 0.60, 1: 0.61}, facts=facts).iloc[0]
    assert (row.verdict == "not decidable") == is_open
    assert row.note == ("other weights" if is_open else "")
    assert np.isnan(row.p_holm) == is_open


def saved(value):
    return config.ReportedValue(value=value, source="a notebook")


def test_two_sources_give_two_rows_with_a_verdict_each(study):
    changed = with_ari(study, saved=saved("0.90"))
    paper, own = judged(changed, {0: 0.40, 1: 0.44, 2: 0.43}).itertuples()
    assert (paper.source, paper.reported, paper.verdict) == ("Table I", "0.4296", "consistent")
    assert (own.source, own.reported, own.verdict) == ("a notebook", "0.90", "too high")
    assert paper.mean == own.mean


def test_an_equal_second_source_is_merged_and_only_as_printed(study):
    (row,) = judged(with_ari(study, saved=saved("0.4296")), {0: 0.4, 1: 0.5}).itertuples()
    assert (row.source, row.reported) == ("Table I; a notebook", "0.4296")
    assert len(judged(with_ari(study, saved=saved("0.42960")), {0: 0.4, 1: 0.5})) == 2


def test_p_values_are_adjusted_over_the_papers_scores_alone(study):
    values = {0: 0.40, 1: 0.44, 2: 0.43}
    alone = judged(with_ari(study), values).iloc[0].p_holm
    first = study.reported[0].model_copy(update={"saved": saved("0.90")})
    undecidable = first.model_copy(update={"score": "open", "open": "all"})
    second = first.model_copy(update={"score": "again", "value": "0.8", "saved": None})
    changed = study.model_copy(update={"reported": [first, undecidable, second]})
    table = judged(changed, values)
    p = table.set_index(["score", "source"])["p_holm"]
    assert p.notna().sum() == 2
    single = prediction_p_value(list(values.values()), 0.8, 0.05)
    assert p["again", "Table I"] == pytest.approx(2 * single)
    assert p["ARI", "Table I"] == pytest.approx(max(alone, 2 * single))


@pytest.mark.parametrize(
    ("representation", "random_state", "runs"),
    [
        ("pixels", 42, 1),
        ("resnet50", 42, 1),
        ("autoencoder", 42, 3),
        ("autoencoder-small", 42, 3),
        ("pixels", None, 3),
    ],
)
def test_untrained_features_with_a_fixed_seed_of_kmeans_are_one_run(
    study, representation, random_state, runs
):
    kmeans = study.kmeans.model_copy(update={"random_state": random_state})
    changed = with_ari(study, representation=representation, space="raw")
    changed = changed.model_copy(update={"kmeans": kmeans})
    place = (representation, "raw", "kmeans")
    row = judged(changed, metric_rows(dict.fromkeys(range(3), 0.4296), ours=place)).iloc[0]
    assert (row.n_networks, len(row.seed_values.split())) == (runs, runs)
    assert row.verdict == ("uninformative" if runs == 1 else "consistent")


# --- identities --------------------------------------------------------------------------------


def identity(**changes):
    fact = {"notebook": "02_train_autoencoder", "name": "n_parameters"}
    return config.Identity(**({"what": "p", "value": "7", "source": "s", "fact": fact} | changes))


@pytest.mark.parametrize(
    ("counted", "changes", "outcome"),
    [
        ([7, 7], {}, "as reported"),
        ([8, 8], {}, "differs"),
        ([7, 8], {}, "differs"),
        ([8, 9], {"rounding": 2}, "as reported"),
        ([10], {"rounding": 2}, "differs"),
        ([8], {"contradiction": "its layers have 8"}, "the paper contradicts its own network"),
        ([7], {"contradiction": "its layers have 8"}, "as reported"),
        ([], {}, "not run"),
    ],
)
def test_a_count_is_checked_and_not_judged(study, counted, changes, outcome):
    changed = study.model_copy(update={"identities": [identity(**changes)], "reported": []})
    facts = facts_table(
        *((seed, "02_train_autoencoder", "n_parameters", n) for seed, n in enumerate(counted)),
        (0, "02_train_autoencoder", "n_other", 99),
        (0, "03_latent_clustering", "n_parameters", 99),
    )
    (row,) = reproduction.identities(metric_rows({}), facts, [changed]).itertuples()
    assert (row.reported, row.outcome) == ("7", outcome)
    assert row.ours == " ".join(map(str, sorted(set(counted))))
    assert judged(changed, metric_rows({}), facts=facts).empty


def test_clusters_found_can_be_an_identity(study):
    clustered = {"representation": "autoencoder", "space": "pca50", "clusterer": "kmeans"}
    counted = identity(value="10", fact=None, clusters_of=clustered)
    changed = study.model_copy(update={"identities": [counted]})
    (row,) = reproduction.identities(metric_rows({0: 0.4}), NO_FACTS, [changed]).itertuples()
    assert (row.ours, row.outcome) == ("10", "as reported")


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
        ((0.58, 0.59, 0.60), (0.38, 0.39, 0.40), "better"),
        ((0.38, 0.39, 0.40), (0.58, 0.59, 0.60), "worse"),
        ((0.5, 0.6), (0.3, 0.4), "undecided"),  # their ranges do not overlap
        ((0.3, 0.5), (0.4, 0.6), "undecided"),
        ((0.4, 0.4), (0.4, 0.4), "undecided"),
        ((0.9,), (0.3, 0.3), "undecided"),
        ((0.9, 0.9), (0.3,), "undecided"),
        ((0.9,), (0.3,), "undecided"),
    ],
)
def test_a_difference_needs_an_interval_that_excludes_0(ours, other, expected):
    compared = comparisons.Comparison(ours, other)
    assert compared.outcome == expected
    if min(len(ours), len(other)) < 2:
        assert "a single run" in compared.difference_in_words
    else:
        low, high = map(float, re.findall(r"-?[0-9.]+", compared.difference_in_words)[-2:])
        assert (low <= 0 <= high) == (expected == "undecided")
    upside_down = comparisons.Comparison(ours, other, higher_is_better=False)
    opposite = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert upside_down.outcome == opposite[expected]


def test_of_davies_bouldin_less_is_better(study):
    metrics = pd.concat(
        [
            metric_rows({0: 3.0, 1: 3.1}, "davies_bouldin"),
            metric_rows({0: 4.0, 1: 4.1}, "davies_bouldin", ours=("pixels", "raw", "kmeans")),
        ]
    )
    arguments = (metrics, study, OURS, ("pixels", "raw", "kmeans"), "davies_bouldin")
    assert comparisons.compare(*arguments, 70_000).outcome == "better"
    assert comparisons.compare(*arguments, 500) is None
    fixed = study.model_copy(update={"kmeans": config.KMeans(n_clusters=10, random_state=42)})
    compared = comparisons.compare(metrics, fixed, *arguments[2:], 70_000)
    assert (compared.outcome, compared.other) == ("undecided", (4.0,))


# --- representations beside each other -----------------------------------------------------------

PIXELS = ("pixels", "raw", "kmeans")


def starts_of(values, place=PIXELS, n=70_000):
    rows = [("mnist-cae", 0, *place, n, start, "ari", value) for start, value in enumerate(values)]
    return pd.DataFrame(rows, columns=list(tables.STARTS_TABLE.columns))


@pytest.mark.parametrize(
    ("values", "fixed", "starts", "expected"),
    [
        ({0: 0.3}, 42, [0.31, 0.33], {0: 0.31, 1: 0.33}),
        ({0: 0.3, 1: 0.3}, 42, [0.31, 0.33], {0: 0.31, 1: 0.33}),  # all seeds are one run
        ({0: 0.3}, 42, [], {0: 0.3}),
        ({0: 0.3, 1: 0.4}, None, [0.31, 0.33], {0: 0.3, 1: 0.4}),  # each seed is a run
    ],
)
def test_where_one_run_is_all_there_is_its_starts_are_compared(
    study, values, fixed, starts, expected
):
    changed = study.kmeans.model_copy(update={"random_state": fixed})
    of = study.model_copy(update={"kmeans": changed})
    rows = metric_rows(values, ours=PIXELS)
    found = comparisons.values_to_compare(rows, starts_of(starts), of, PIXELS, "ari", 70_000)
    assert found == expected
    assert comparisons.values_to_compare(rows, None, of, PIXELS, "ari", 70_000) == (
        comparisons.run_values(rows, of, *PIXELS, "ari", 70_000)
    )


def test_a_single_trained_network_is_not_replaced_by_its_starts(study):
    starts = starts_of([0.31, 0.33], OURS)
    found = comparisons.values_to_compare(metric_rows({0: 0.3}), starts, study, OURS, "ari", 70_000)
    assert found == {0: 0.3}
