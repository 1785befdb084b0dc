import json
import shutil
import subprocess
from pathlib import Path

import fake_run
import pandas as pd
import pytest

from report import collect as collect_module
from report import comparisons, evidence, provenance
from utils import errors, places
from utils.config.vocabulary import study_notebooks
from utils.store import files, origins, tables

STUDIES = ("mnist-cae", "cifar10-cae")
OURS = ("autoencoder", "pca50", "kmeans")


@pytest.fixture(scope="module", autouse=True)
def made_up(tmp_path_factory):
    """A run of made-up studies, and the configuration that has them."""
    folder = tmp_path_factory.mktemp("made-up")
    with places.elsewhere(config=fake_run.write_config(folder / "config")):
        yield fake_run.write_run(folder / "runs")


@pytest.fixture
def runs(made_up, tmp_path):
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(made_up, tmp_path / "runs"))


def collect(runs, seeds=(0, 1)):
    """Collect what a test has made of the runs, as if the notebooks had left it."""
    for manifest in runs.glob("*/*/*/*/manifest.json"):
        files.write_checksums(manifest.parent)
    return collect_module.collect("quick", STUDIES, seeds, runs)


def notebook(runs, name, seed=0):
    return fake_run.notebook_folder(runs, "quick", "mnist-cae", seed, name)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- reading -----------------------------------------------------------------------------------


def test_collect_reads_every_notebook_of_every_seed(runs):
    collected = collect(runs)
    assert [(r.seed, r.notebook) for r in collected.notebooks] == [
        (seed, name) for seed in (0, 1) for name in study_notebooks(seed, (0, 1))
    ]
    assert collected.not_run == {"cifar10-cae": fake_run.REASON}
    assert collected.substituted == ["mnist-cae"]
    assert collected.gaps == ()
    assert list(collected.metrics.columns) == list(tables.METRICS_TABLE.columns)
    # 11 metrics: of the code for 2 seeds, of what nothing is trained for with the first seed, from
    # 3 seeds of k-means or once.
    assert len(collected.metrics) == 11 * (2 + (3 + 1) + (3 + 1))


def test_collect_takes_only_the_seeds_asked_for(runs):
    metrics = collect(runs, seeds=(1,)).metrics
    assert set(metrics["seed"]) == {1}
    assert set(metrics["representation"]) == {"autoencoder"}
    trained = collect(runs, seeds=(0,)).metrics.query("representation == 'autoencoder'")
    assert set(trained["seed"]) == {0}


def test_a_notebook_without_manifest_is_a_gap_and_not_a_number(runs):
    (notebook(runs, "03_latent_clustering", seed=1) / "manifest.json").unlink()
    collected = collect(runs)
    assert len(collected.gaps) == 1
    assert "seed 1" in collected.gaps[0]
    assert "03_latent_clustering" in collected.gaps[0]
    row = collected.verdicts.iloc[0]
    assert (row.n_networks, row["mean"]) == (1, pytest.approx(0.41))


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
    values = comparisons.seed_values(collected.metrics, "mnist-cae", *OURS, "ari")
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
        ({"facts": {"n_imagez": 5000}}, "no fact 'n_imagez'.*declare"),
        ({"facts": {"n_images": "many"}}, "'n_images' must be a count, not 'many'"),
        ({"tables": [{"name": "a", "caption": "b", "csv": "tables/none.csv"}]}, "tables/none.csv"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_an_error_that_names_it(runs, changes, said):
    path = notebook(runs, "01_baseline_kmeans") / "manifest.json"
    edit(path, **changes)
    with pytest.raises(errors.UserError, match=said) as error:
        collect(runs)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_manifest_is_an_error_that_names_it(runs):
    path = notebook(runs, "01_baseline_kmeans") / "manifest.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(errors.UserError, match="not valid JSON"):
        collect(runs)


@pytest.mark.parametrize("name", ["metrics.csv", "assignments.parquet", "executed.ipynb"])
def test_a_file_that_changed_since_is_an_error_that_names_it(runs, name):
    folder = notebook(runs, "01_baseline_kmeans")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(errors.UserError, match=rf"{name}: was changed or damaged.*run again"):
        collect_module.collect("quick", STUDIES, [0], runs)


def test_a_study_without_a_record_of_its_data_is_an_error(runs):
    (runs / "quick" / "mnist-cae" / "data.json").unlink()
    with pytest.raises(errors.UserError, match=r"data\.json: missing"):
        collect(runs)


@pytest.mark.parametrize(
    ("text", "said"),
    [("seed,n,value\n0,1,x\n", "'value' must have numbers only"), ("seed,n\n0,1\n", "'profile'")],
)
def test_a_damaged_table_of_metrics_is_an_error(runs, text, said):
    (notebook(runs, "01_baseline_kmeans") / "metrics.csv").write_text(text)
    with pytest.raises(errors.UserError, match=said):
        collect(runs)


def test_unknown_names_are_errors(runs):
    with pytest.raises(errors.UserError, match="no-such"):
        collect_module.collect("quick", ["no-such"], [0], runs)
    with pytest.raises(errors.UserError, match="no-such"):
        collect_module.collect("no-such", ["mnist-cae"], [0], runs)


def test_what_an_earlier_run_of_a_failed_notebook_left_is_no_result(runs):
    edit(notebook(runs, "03_latent_clustering", 1) / "manifest.json", failed="the loss became nan")
    collected = collect(runs)
    rows = collected.metrics[collected.metrics["representation"] == "autoencoder"]
    assert set(rows.loc[rows["n"] == 5000, "seed"]) == {0}
    assert any("seed 1 failed in 03_latent_clustering" in gap for gap in collected.gaps)


# --- files -------------------------------------------------------------------------------------


def test_what_no_manifest_lists_is_no_result(runs):
    expected = collect(runs)
    for name in ("metrics.csv", "confusion.parquet", "assignments.parquet", "costs.csv"):
        for folder in runs.glob("*/*/*/02_train_autoencoder"):
            (folder / name).write_text("of an earlier run")
        for folder in runs.glob("*/*/*/*/"):
            (folder / ".ipynb_checkpoints").mkdir(exist_ok=True)
            (folder / ".ipynb_checkpoints/executed-checkpoint.ipynb").write_text("looked at")
    found = collect_module.collect(
        "quick", STUDIES, (0, 1), runs
    )  # with the checksums as they were
    for table in ("metrics", "confusion", "assignments", "costs"):
        pd.testing.assert_frame_equal(getattr(found, table), getattr(expected, table))
    assert found.gaps == expected.gaps


def test_write_results_writes_every_table(runs, tmp_path):
    collected, out = collect(runs), tmp_path / "out"
    evidence.write_results(collected, out)
    metrics = pd.read_csv(out / "metrics.csv")
    pd.testing.assert_frame_equal(metrics, collected.metrics, check_dtype=False)
    verdicts = pd.read_csv(out / "reported_vs_reproduced.csv")
    assert list(verdicts.columns) == list(tables.VERDICTS_TABLE.columns)
    assert list(verdicts["study"]) == ["mnist-cae"] * 2 + ["cifar10-cae"] * 2
    record = json.loads((out / "run.json").read_text())
    assert record["seeds"] == [0, 1]
    assert record["data"]["mnist-cae"]["images_sha256"] == "5b92582eb909c82a" * 4
    assert len(record["notebooks"]) == 4 + 2
    assert record["seconds"] == 4 * 41.5 + 2 * 141.5
    assert {"python", "torch", "typst"} <= set(record["versions"])
    assert record["hardware"]["cores"] >= 1
    assert (record["commit"] is None) == bool(record["commit_reason"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: A processor\nmodel\t\t: 3\n",
            "A processor (family 26, model 2)",
        ),
        ("model name\t: A processor\n", "A processor"),
        ("CPU part\t: 0xd0c\n", "arch64"),
    ],
)
def test_processors_of_one_name_are_told_apart(tmp_path, monkeypatch, text, name):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(origins, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(provenance.platform, "processor", lambda: "arch64")
    assert provenance.hardware()["cpu"] == name


def test_assignments_are_written_once_per_clustering(runs, tmp_path):
    evidence.write_results(collect(runs), tmp_path)
    table = pd.read_parquet(tmp_path / "assignments.parquet")
    assert list(table.columns) == list(tables.ASSIGNMENTS_TABLE.columns)
    assert isinstance(table["representation"].dtype, pd.CategoricalDtype)
    assert len(table) == (3 + 1 + 2) * 5000 + (3 + 1) * 500
    key = [column for column in tables.ASSIGNMENTS_TABLE.columns if column != "cluster"]
    assert not table.duplicated(key).any()


def test_figures_are_copied_under_plain_names(runs, tmp_path):
    collected = collect(runs)
    evidence.write_results(collected, tmp_path)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"mnist-cae-samples.svg", "mnist-cae-samples.png", "mnist-cae-tsne-x-b-.svg"} <= names
    drawn = {f"mnist-cae-forest.{suffix}" for suffix in ("svg", "png", "csv")}
    pictures = [name for name in names - drawn if not name.endswith(".csv")]
    assert drawn <= names and len(pictures) == 2 * len(evidence.figure_stems(collected))
    numbers = (tmp_path / "figures" / "mnist-cae-tsne_label.csv").read_text()
    assert numbers == fake_run.NUMBERS["class"]
    source = notebook(runs, "01_baseline_kmeans") / "figures" / "samples.svg"
    assert (tmp_path / "figures" / "mnist-cae-samples.svg").read_bytes() == source.read_bytes()


def test_two_figures_of_one_name_get_two_files(runs):
    path = notebook(runs, "02_train_autoencoder") / "manifest.json"
    figures = json.loads(path.read_text())["figures"]
    edit(path, figures=[{**figures[0], "name": "samples"}])
    stems = evidence.figure_stems(collect(runs))
    assert len(set(stems.values())) == len(stems)
    assert stems["mnist-cae", "02_train_autoencoder", "samples"] == "mnist-cae-samples-2"


def test_git_state_tells_commit_changes_and_reason(tmp_path):
    assert origins.git_state(tmp_path) == (None, None, "the folder is not a git checkout")

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True)

    git("init", "--quiet")
    assert origins.git_state(tmp_path) == (None, None, "the git checkout has no commit")
    (tmp_path / "file").write_text("a")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    commit, dirty, reason = origins.git_state(tmp_path)
    assert (len(commit), dirty, reason) == (40, False, None)
    (tmp_path / "file").write_text("b")
    assert origins.git_state(tmp_path)[1] is True
    inner = tmp_path / "inner"
    inner.mkdir()
    assert origins.git_state(inner)[0] is None


def test_a_checkout_of_another_user_is_called_so(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    commit, dirty, reason = origins.git_state(tmp_path)
    assert (commit, dirty) == (None, None)
    assert "belongs to another user" in reason and "safe.directory" in reason
