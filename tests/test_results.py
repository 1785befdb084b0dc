import json
import shutil
import subprocess
from pathlib import Path

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import config, results

STUDIES = ("mnist-cae", "cifar10-cae")
OURS = ("autoencoder", "pca50", "kmeans")
NO_FACTS = pd.DataFrame(columns=list(results.FACT_COLUMNS))


@pytest.fixture(scope="module", autouse=True)
def made_up(tmp_path_factory):
    """A run of made-up studies, and the configuration that has them."""
    folder = tmp_path_factory.mktemp("made-up")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "CONFIG", fake_run.write_config(folder / "config"))
        yield fake_run.write_run(folder / "runs")


@pytest.fixture
def runs(made_up, tmp_path):
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(made_up, tmp_path / "runs"))


@pytest.fixture
def study():
    return config.load_study("mnist-cae")


def collect(runs, seeds=(0, 1)):
    return results.collect("quick", STUDIES, seeds, runs)


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
        columns=list(results.METRIC_COLUMNS),
    )


def notebook(runs, name, seed=0):
    return fake_run.notebook_folder(runs, "quick", "mnist-cae", seed, name)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- reading -----------------------------------------------------------------------------------


def test_collect_reads_every_notebook_of_every_seed(runs):
    collected = collect(runs)
    assert [(r.seed, r.notebook) for r in collected.notebooks] == [
        (seed, name) for seed in (0, 1) for name in fake_run.NOTEBOOKS
    ]
    assert collected.not_run == {"cifar10-cae": fake_run.REASON}
    assert collected.substituted == ["mnist-cae"]
    assert collected.gaps == ()
    assert list(collected.metrics.columns) == list(results.METRIC_COLUMNS)
    # 5 clusterings with 11 metrics, for 2 seeds
    assert len(collected.metrics) == 5 * 11 * 2


def test_collect_takes_only_the_seeds_asked_for(runs):
    assert set(collect(runs, seeds=(1,)).metrics["seed"]) == {1}


def test_a_notebook_without_manifest_is_a_gap_and_not_a_number(runs):
    (notebook(runs, "03_latent_clustering", seed=1) / "manifest.json").unlink()
    collected = collect(runs)
    assert len(collected.gaps) == 1
    assert "seed 1" in collected.gaps[0]
    assert "03_latent_clustering" in collected.gaps[0]
    row = results.verdicts(collected).iloc[0]
    assert (row.n_seeds, row.reproduced_mean) == (1, pytest.approx(0.41))


def test_a_study_that_left_nothing_is_not_run(runs):
    (runs / "quick" / "cifar10-cae" / "not_run.json").unlink()
    assert "cifar10-cae" in collect(runs).not_run


def test_of_two_scores_of_the_same_thing_the_earlier_notebook_counts_and_the_report_says_so(runs):
    later = notebook(runs, "04_pretrained_comparison")
    rows = pd.read_csv(later / "metrics.csv")
    rows.loc[rows["representation"] == "autoencoder", "n"] = 5000
    rows.to_csv(later / "metrics.csv", index=False)
    earlier = notebook(runs, "03_latent_clustering") / "assignments.parquet"
    assigned = pd.read_parquet(earlier)
    assigned.assign(cluster=7).to_parquet(later / "assignments.parquet", index=False)
    collected = collect(runs, seeds=(0,))
    values = results.seed_values(collected.metrics, "mnist-cae", *OURS, "ari")
    assert values == {0: pytest.approx(0.41)}
    assert any("differ in ari" in gap for gap in collected.gaps)
    kept = collected.assignments.query("representation == 'autoencoder'")["cluster"]
    assert list(kept) == list(assigned["cluster"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 7}, "lies in the folder"),
        ({"profile": "paper"}, "lies in the folder"),
        ({"seconds": "long"}, "'seconds'"),
        ({"tables": [{"name": "a", "caption": "b", "csv": "tables/none.csv"}]}, "tables/none.csv"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_an_error_that_names_it(runs, changes, said):
    path = notebook(runs, "01_baseline_kmeans") / "manifest.json"
    edit(path, **changes)
    with pytest.raises(config.UserError, match=said) as error:
        collect(runs)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_manifest_is_an_error_that_names_it(runs):
    path = notebook(runs, "01_baseline_kmeans") / "manifest.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(config.UserError, match="not valid JSON"):
        collect(runs)


def test_a_study_without_a_record_of_its_data_is_an_error(runs):
    (runs / "quick" / "mnist-cae" / "data.json").unlink()
    with pytest.raises(config.UserError, match=r"data\.json: missing"):
        collect(runs)


@pytest.mark.parametrize(
    ("text", "said"), [("seed,n,value\n0,1,x\n", "malformed"), ("seed,n\n0,1\n", "'profile'")]
)
def test_a_damaged_table_of_metrics_is_an_error(runs, text, said):
    (notebook(runs, "01_baseline_kmeans") / "metrics.csv").write_text(text)
    with pytest.raises(config.UserError, match=said):
        collect(runs)


def test_unknown_names_are_errors(runs):
    with pytest.raises(config.UserError, match="no-such"):
        results.collect("quick", ["no-such"], [0], runs)
    with pytest.raises(config.UserError, match="no-such"):
        results.collect("no-such", ["mnist-cae"], [0], runs)


# --- numbers -----------------------------------------------------------------------------------


def test_seed_values_are_those_of_the_largest_number_of_images():
    metrics = pd.concat([metric_rows({1: 0.4, 0: 0.3}), metric_rows({0: 0.9}, n=500)])
    assert results.seed_values(metrics, "mnist-cae", *OURS, "ari") == {0: 0.3, 1: 0.4}
    assert results.seed_values(metrics, "mnist-cae", *OURS, "ari", n=500) == {0: 0.9}


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_failed_seed_is_no_number(study, lost):
    table = results.reported_vs_reproduced(
        metric_rows({0: 0.4, 1: lost, 2: 0.5}), NO_FACTS, [study], False
    )
    row = table.iloc[0]
    assert (row.n_seeds, row.reproduced_mean) == (2, pytest.approx(0.45))


def test_reproduced_is_the_mean_over_seeds_not_the_best(study):
    table = results.reported_vs_reproduced(
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
    table = results.reported_vs_reproduced(metric_rows({0: 0.4}), NO_FACTS, [study], False)
    silhouette = table.set_index("figure").loc["silhouette"]
    assert (silhouette.n_seeds, silhouette.verdict) == (0, "not run")
    assert np.isnan(silhouette.reproduced_mean)
    assert np.isnan(silhouette.ci_low)


def facts_table(*rows):
    """Make facts of study mnist-cae: seed, notebook, name, value."""
    return pd.DataFrame(
        [("mnist-cae", *row) for row in rows], columns=list(results.FACT_COLUMNS), dtype=object
    )


def test_a_figure_that_was_not_run_has_its_reason_and_the_substitutes_value(study):
    missing = study.reported[0].model_copy(update={"representation": "resnet50", "space": "raw"})
    changed = study.model_copy(update={"reported": [missing]})
    reason = facts_table(
        (0, "04_pretrained_comparison", "not_run_resnet50", "no weights (offline)")
    )
    lite0 = ("efficientnet_lite0", "raw", "kmeans")
    rows = metric_rows({0: 0.3, 1: 0.5}, ours=lite0)
    row = results.reported_vs_reproduced(rows, reason, [changed], False).iloc[0]
    assert (row.n_seeds, row.verdict, row.seed_values) == (0, "not run", "")
    assert np.isnan(row.reproduced_mean)
    assert row.note == "no weights (offline); EfficientNet-Lite0 as a substitute gives 0.4000"
    rows = pd.concat([rows, metric_rows({0: 0.42}, ours=("resnet50", "raw", "kmeans"))])
    row = results.reported_vs_reproduced(rows, NO_FACTS, [changed], False).iloc[0]
    assert (row.n_seeds, row.verdict, row.note) == (1, "reproduced", "")


def test_a_failed_seed_is_shown_as_failed_and_not_averaged(study):
    failed = facts_table(
        (1, "03_latent_clustering", results.FAILED, "again"),
        (1, "02_train_autoencoder", results.FAILED, "the loss became nan"),
    )
    row = results.reported_vs_reproduced(
        metric_rows({0: 0.2, 2: 0.4}), failed, [study], False
    ).iloc[0]
    assert (row.n_seeds, row.reproduced_mean) == (2, pytest.approx(0.3))
    assert row.seed_values == "0.2000; failed; 0.4000"
    assert row.note == "seed 1 failed: the loss became nan"
    row = results.reported_vs_reproduced(metric_rows({}), failed, [study], False).iloc[0]
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
    row = results.reported_vs_reproduced(metric_rows({}), facts, [changed], False).iloc[0]
    assert (row.reproduced_mean, row.n_seeds, row.verdict) == (counted, 2, expected)


def test_clusters_found_are_read_from_their_column():
    rows = pd.concat([metric_rows({0: 0.1, 1: 0.2}), metric_rows({0: 0.1, 1: 0.2}, "nmi")])
    rows["k_found"] = [1, 3, 1, 3]
    assert results.seed_values(rows, "mnist-cae", *OURS, "k_found") == {0: 1, 1: 3}


def test_sensitivity_sets_each_variant_beside_the_study(study):
    variant = config.Variant(name="small", options={"channels": [4, 8]}, why="to try")
    changed = study.model_copy(update={"variants": [variant]})
    place = ("autoencoder-small", "pca50", "kmeans")
    rows = pd.concat([metric_rows({0: 0.2, 1: 0.4}), metric_rows({0: 0.5}, ours=place)])
    ((name, figure, as_run, varied),) = results.sensitivity(rows, NO_FACTS, changed)
    assert (name, figure.figure, as_run, varied) == ("small", "ARI", {0: 0.2, 1: 0.4}, {0: 0.5})
    assert results.sensitivity(metric_rows({0: 0.2}), NO_FACTS, changed) == []


def test_spread_of_networks_and_of_clusterings_are_told_apart(study):
    facts = facts_table(
        (0, "03_latent_clustering", "kmeans_sd_ari", 0.03),
        (1, "03_latent_clustering", "kmeans_sd_ari", 0.04),
    )
    (spread,) = results.spreads(metric_rows({0: 0.2, 1: 0.4}), facts, study)
    assert (spread.metric, spread.n_networks) == ("ari", 2)
    assert spread.networks == pytest.approx(0.02**0.5)
    assert spread.clusterings == pytest.approx(((0.03**2 + 0.04**2) / 2) ** 0.5)
    assert np.isnan(results.spreads(metric_rows({0: 0.2}), facts, study)[0].networks)
    assert results.spreads(metric_rows({0: 0.2}), NO_FACTS, study) == []


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
    ranking = results.rank_representations(rows, study, 9)
    assert [row.representation for row in ranking.rows] == order
    assert (ranking.pairs, ranking.silhouette_agrees, ranking.davies_bouldin_agrees) == (
        3,
        *agreeing,
    )
    assert results.rank_representations(rows, study, 8) is None


def test_what_an_earlier_run_of_a_failed_notebook_left_is_no_result(runs):
    edit(notebook(runs, "03_latent_clustering", 1) / "manifest.json", failed="the loss became nan")
    collected = collect(runs)
    rows = collected.metrics[collected.metrics["representation"] == "autoencoder"]
    assert set(rows.loc[rows["n"] == 5000, "seed"]) == {0}
    assert any("seed 1 failed in 03_latent_clustering" in gap for gap in collected.gaps)


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
    table = results.reported_vs_reproduced(metric_rows(values), NO_FACTS, [study], False)
    assert table.iloc[0].verdict == expected


def test_a_reduced_run_and_substitute_data_test_nothing(study):
    rows = metric_rows({0: 0.42})
    tested = results.reported_vs_reproduced(rows, NO_FACTS, [study], True).iloc[0]
    assert tested.verdict == "not tested (reduced run)"
    assert tested.reproduced_mean == 0.42
    tested = results.reported_vs_reproduced(rows, NO_FACTS, [study], False, ["mnist-cae"]).iloc[0]
    assert tested.verdict == "not tested (substitute data)"
    tested = results.reported_vs_reproduced(rows, NO_FACTS, [study], False, ["cifar10-cae"]).iloc[0]
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
    assert results.verdict(reported, 0.49, 0.51, 0.01) == expected


@given(
    st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0.001, 1), st.floats(0.001, 1)
)
def test_a_larger_tolerance_never_turns_reproduced_into_something_else(
    reported, low, width, tolerance, more
):
    if results.verdict(reported, low, low + width, tolerance) == "reproduced":
        assert results.verdict(reported, low, low + width, tolerance + more) == "reproduced"


def test_interval_is_fixed_and_empty_for_one_seed():
    assert results.bootstrap_interval([0.4]) is None
    assert results.bootstrap_interval([]) is None
    sample = [0.1, 0.5, 0.3]
    assert results.bootstrap_interval(sample) == results.bootstrap_interval(sample)


def test_interval_of_many_values_is_close_to_the_normal_one():
    sample = np.random.default_rng(3).normal(10, 2, size=400)
    low, high = results.bootstrap_interval(sample)
    half = 1.96 * sample.std(ddof=1) / 20
    assert low == pytest.approx(sample.mean() - half, abs=0.03)
    assert high == pytest.approx(sample.mean() + half, abs=0.03)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6))
def test_interval_lies_within_the_values(values):
    low, high = results.bootstrap_interval(values, resamples=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_summary_has_mean_deviation_and_clusters_found():
    rows = metric_rows({0: 0.2, 1: 0.4})
    rows["k_found"] = [1, 3]
    rows["noise_fraction"] = [0.0, 0.5]
    (row,) = results.summary(pd.concat([rows, metric_rows({0: np.nan}, "nmi")])).itertuples()
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
    assert results.Comparison(ours, other).outcome == expected


def test_of_davies_bouldin_less_is_better():
    metrics = pd.concat(
        [
            metric_rows({0: 3.0}, "davies_bouldin"),
            metric_rows({0: 4.0}, "davies_bouldin", ours=("pixels", "raw", "kmeans")),
        ]
    )
    arguments = (metrics, "mnist-cae", OURS, ("pixels", "raw", "kmeans"), "davies_bouldin")
    compared = results.compare(*arguments, 70_000)
    assert (compared.outcome, compared.single_seed) == ("better", True)
    assert results.compare(*arguments, 500) is None


# --- files -------------------------------------------------------------------------------------


def test_write_results_writes_every_table(runs, tmp_path):
    collected, out = collect(runs), tmp_path / "out"
    results.write_results(collected, out)
    metrics = pd.read_csv(out / "metrics.csv")
    pd.testing.assert_frame_equal(metrics, collected.metrics, check_dtype=False)
    verdicts = pd.read_csv(out / "reported_vs_reproduced.csv")
    assert list(verdicts.columns) == list(results.VERDICT_COLUMNS)
    assert list(verdicts["study"]) == ["mnist-cae"] * 2 + ["cifar10-cae"] * 2
    record = json.loads((out / "run.json").read_text())
    assert record["seeds"] == [0, 1]
    assert record["data"]["mnist-cae"]["images_sha256"] == "5b92582eb909c82a" * 4
    assert len(record["notebooks"]) == 8
    assert record["seconds"] == 4 * 41.5 + 4 * 141.5
    assert {"python", "torch", "typst"} <= set(record["versions"])
    assert record["hardware"]["cores"] >= 1
    assert (record["commit"] is None) == bool(record["commit_reason"])


def test_assignments_are_written_once_per_clustering(runs, tmp_path):
    results.write_results(collect(runs), tmp_path)
    table = pd.read_parquet(tmp_path / "assignments.parquet")
    assert list(table.columns) == list(results.ASSIGNMENT_COLUMNS)
    assert isinstance(table["representation"].dtype, pd.CategoricalDtype)
    assert len(table) == 2 * (3 * 5000 + 2 * 500)
    key = [column for column in results.ASSIGNMENT_COLUMNS if column != "cluster"]
    assert not table.duplicated(key).any()


def test_figures_are_copied_under_plain_names(runs, tmp_path):
    collected = collect(runs)
    results.write_results(collected, tmp_path)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"mnist-cae-samples.svg", "mnist-cae-samples.png", "mnist-cae-tsne-x-b-.svg"} <= names
    assert len(names) == 2 * len(results.figure_stems(collected))
    source = notebook(runs, "01_baseline_kmeans") / "figures" / "samples.svg"
    assert (tmp_path / "figures" / "mnist-cae-samples.svg").read_bytes() == source.read_bytes()


def test_two_figures_of_one_name_get_two_files(runs):
    path = notebook(runs, "02_train_autoencoder") / "manifest.json"
    figures = json.loads(path.read_text())["figures"]
    edit(path, figures=[{**figures[0], "name": "samples"}])
    stems = results.figure_stems(collect(runs))
    assert len(set(stems.values())) == len(stems)
    assert stems["mnist-cae", "02_train_autoencoder", "samples"] == "mnist-cae-samples-2"


def test_git_state_tells_commit_changes_and_reason(tmp_path):
    assert results.git_state(tmp_path) == (None, None, "the folder is not a git checkout")

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True)

    git("init", "--quiet")
    assert results.git_state(tmp_path) == (None, None, "the git checkout has no commit")
    (tmp_path / "file").write_text("a")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    commit, dirty, reason = results.git_state(tmp_path)
    assert (len(commit), dirty, reason) == (40, False, None)
    (tmp_path / "file").write_text("b")
    assert results.git_state(tmp_path)[1] is True
    inner = tmp_path / "inner"
    inner.mkdir()
    assert results.git_state(inner)[0] is None
