import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from utils import clustering, figures, metrics, places, spaces
from utils.config.load import load_profile, load_study
from utils.data import datasets, prepared
from utils.errors import UserError
from utils.representations import training
from utils.runs import networks, progress
from utils.runs import study as study_module
from utils.store import cache, origins, tables
from utils.store.files import read_json


@pytest.fixture(scope="module")
def embedded():
    return datasets.load("mnist5k")


@pytest.fixture
def workspace(tmp_path, monkeypatch, embedded, elsewhere):
    """A tiny profile, an own cache, and MNIST made of the 300 first embedded images."""
    tiny = load_profile("quick").model_copy(
        update={"max_images": 300, "max_epochs": 2, "map_points": 60, "backbone_images": 40}
    )
    monkeypatch.setattr(study_module, "load_profile", lambda name: tiny)
    elsewhere(runs=tmp_path / "runs")
    mnist = dataclasses.replace(embedded, name="mnist", n_train=4000)
    monkeypatch.setattr(study_module.datasets, "load", lambda name, offline=False: mnist)
    return tmp_path


def open_run(notebook="02_train_autoencoder", seed=0, **changes):
    return study_module.open_run(notebook, "mnist-cae", "quick", seed, **changes)


def score(run, representation, space, clusterer, assignment, points):
    scores = metrics.score(assignment, run.labels[: len(assignment)], points)
    return run.record.score(representation, space, clusterer, assignment, scores)


def kmeans(run, points):
    settings = run.study.kmeans
    found = clustering.kmeans(points, settings.n_clusters, settings.n_init, settings.random_state)
    return found.assignment


@pytest.fixture
def no_mnist(monkeypatch, embedded):
    def load(name, offline=False):
        if name != "mnist5k":
            raise datasets.DataUnavailable("every source refused")
        return embedded

    monkeypatch.setattr(study_module.datasets, "load", load)


def test_data_json_says_what_is_used_and_is_left_alone_when_unchanged(workspace):
    study, profile = load_study("mnist-cae"), load_profile("quick")
    description = prepared.prepare_data(study, profile, False, workspace)
    path = workspace / "data.json"
    assert read_json(path) == description
    assert description["substituted"] is False
    assert description["reason"] is None
    before = path.stat().st_mtime_ns
    prepared.prepare_data(study, profile, False, workspace)
    assert path.stat().st_mtime_ns == before


def test_the_quick_profile_substitutes_and_says_so(workspace, no_mnist, capsys):
    description = prepared.prepare_data(
        load_study("mnist-cae"), load_profile("quick"), False, workspace
    )
    assert (description["dataset"], description["requested"]) == ("mnist5k", "mnist")
    assert description["substituted"] is True
    assert "every source refused" in description["reason"]
    run = open_run()
    assert "mnist5k is used instead of mnist" in capsys.readouterr().out
    run.record.finish()
    assert "mnist5k" in read_json(run.record.folder / "manifest.json")["notes"][0]


def test_the_paper_profile_does_not_substitute(workspace, no_mnist):
    paper = load_profile("paper")
    with pytest.raises(datasets.DataUnavailable):
        prepared.prepare_data(load_study("mnist-cae"), paper, False, workspace)
    assert not (workspace / "data.json").exists()


def test_offline_substitutes_in_every_profile(workspace, no_mnist):
    paper = load_profile("paper")
    description = prepared.prepare_data(load_study("mnist-cae"), paper, True, workspace)
    assert description["substituted"] is True


def test_the_profile_cuts_images_and_epochs(workspace, embedded):
    run = open_run()
    np.testing.assert_array_equal(run.images, embedded.images[:300])
    assert run.study.autoencoder.epochs == 2


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None, True])
def test_a_seed_that_is_no_whole_number_is_refused(workspace, seed):
    with pytest.raises(UserError, match="seed must be a whole number"):
        open_run(seed=seed)


def test_parameters_replace_the_studys_values_and_are_validated(workspace):
    run = open_run(epochs=1, n_components=7, n_clusters=4)
    assert run.study.autoencoder.epochs == 1
    assert run.study.space.label == "pca7"
    assert run.study.kmeans.n_clusters == 4
    with pytest.raises(UserError, match="epochs"):
        open_run(epochs=0)
    with pytest.raises(UserError, match="unknown parameter 'epoch'"):
        open_run(epoch=1)


def test_components_of_a_study_that_has_none_are_refused(workspace):
    with pytest.raises(UserError, match="'raw', which has no components: leave it None"):
        study_module.open_run("03_latent_clustering", "fashion-ae", "quick", 0, n_components=2)


def test_a_cell_that_is_run_again_replaces_what_it_recorded(workspace):
    run = open_run("01_baseline_kmeans")
    pixels = run.pixels()
    for n_clusters in (3, 4):
        assignment = (np.arange(300) % n_clusters).astype(np.int32)
        scores = score(run, "pixels", "raw", "kmeans", assignment, pixels)
        run.record.table(pd.DataFrame({"clusters": [n_clusters]}), "small", "A small table.")
        run.record.figure(figures.class_balance(run.labels, run.class_names), "bars", "Bars.")
    score(run, "pixels", "raw", "kmeans", assignment[:200], pixels[:200])
    run.record.finish()
    table = pd.read_csv(run.record.folder / "metrics.csv")
    assert not table.duplicated(["representation", "space", "clusterer", "n", "metric"]).any()
    assert set(table["k_found"]) == {4} and set(table["n"]) == {200, 300}
    first = table[table["n"] == 300]
    assert dict(zip(first["metric"], first["value"], strict=True)) == pytest.approx(dict(scores))
    assert len(pd.read_parquet(run.record.folder / "assignments.parquet")) == 500
    assert pd.read_parquet(run.record.folder / "confusion.parquet")["images"].sum() == 500
    manifest = read_json(run.record.folder / "manifest.json")
    assert [figure["name"] for figure in manifest["figures"]] == ["bars"]
    assert [table["name"] for table in manifest["tables"]] == ["small"]


def test_nothing_is_fetched_offline_whoever_asks(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFLINE", "1")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(datasets, "_fetch", lambda *_: pytest.fail("fetched"))
    monkeypatch.setattr(study_module, "data_of", lambda *_: {"dataset": "mnist"})
    with pytest.raises(datasets.DataUnavailable, match="--offline forbids"):
        open_run("01_baseline_kmeans")
    with pytest.raises(datasets.DataUnavailable, match="--offline forbids"):
        datasets.load("mnist")


def test_a_trained_autoencoder_is_loaded_the_second_time(workspace, capsys):
    first, history = open_run().autoencoder()
    assert "epoch 2/2" in capsys.readouterr().out
    second, same_history = open_run().autoencoder()
    assert "epoch" not in capsys.readouterr().out
    pd.testing.assert_frame_equal(history, same_history)
    for name, value in first.state_dict().items():
        assert (second.state_dict()[name] == value).all()
    assert list(history.columns) == ["epoch", "loss", "seconds"]
    open_run(epochs=1).autoencoder()
    assert "epoch 1/1" in capsys.readouterr().out


def test_lost_weights_are_trained_again_to_the_bit_where_fewer_threads_compute(
    workspace, monkeypatch
):
    with training.threads(2):
        first, _ = open_run().autoencoder()
    for file in places.cache().iterdir():
        file.unlink()
    monkeypatch.setenv("TRAINING_THREADS", "2")
    with training.threads(1):
        again, _ = open_run("03_latent_clustering").autoencoder()
        assert torch.get_num_threads() == 1
    for name, value in first.state_dict().items():
        assert (again.state_dict()[name] == value).all(), name


def test_labels_reach_nothing_that_trains_or_clusters(workspace, monkeypatch, embedded, elsewhere):
    """Shuffled labels change the scores and nothing else."""

    def assignment_and_ari(cache):
        elsewhere(runs=workspace / cache)
        run = open_run("03_latent_clustering")
        points, _ = spaces.pca(training.encode(run.autoencoder()[0], run.images), 50)
        assignment = kmeans(run, points)
        return assignment, score(run, "autoencoder", "pca50", "kmeans", assignment, points)["ari"]

    assignment, ari = assignment_and_ari("first")
    shuffled = dataclasses.replace(
        embedded, labels=np.random.default_rng(1).permutation(embedded.labels), n_train=4000
    )
    monkeypatch.setattr(study_module.datasets, "load", lambda name, offline=False: shuffled)
    assignment_again, ari_of_shuffled = assignment_and_ari("second")
    np.testing.assert_array_equal(assignment, assignment_again)
    assert ari_of_shuffled < 0.05 < ari


def test_finish_writes_what_was_recorded(workspace):
    run = open_run("01_baseline_kmeans")
    pixels = run.pixels()
    assert pixels.shape == (300, 784)
    assert 0 <= pixels.min() <= pixels.max() == 1
    scores = score(run, "pixels", "raw", "kmeans", kmeans(run, pixels), pixels)
    run.record.fact("n_images", 300)
    run.record.table(pd.DataFrame({"a": [1]}), "small", "A small table.")
    run.record.finish()
    table = pd.read_csv(run.record.folder / "metrics.csv")
    assert list(table.columns) == [
        "profile", "study", "dataset", "n", "seed", "representation", "space", "clusterer",
        "k_found", "noise_fraction", "metric", "value",
    ]  # fmt: skip
    assert dict(zip(table["metric"], table["value"], strict=True)) == pytest.approx(dict(scores))
    assert set(table["k_found"]) == {10}
    assignments = pd.read_parquet(run.record.folder / "assignments.parquet")
    assert list(assignments["index"]) == list(range(300))
    manifest = read_json(run.record.folder / "manifest.json")
    assert manifest["facts"] == {"n_images": 300}
    assert manifest["tables"] == [
        {"name": "small", "caption": "A small table.", "cell": None, "csv": "tables/small.csv"}
    ]
    assert manifest["seconds"] > 0
    assert manifest["peak_memory_mb"] > 0


def test_in_a_notebook_the_cell_that_made_something_is_recorded(workspace):
    from IPython.core.interactiveshell import InteractiveShell

    run = open_run("01_baseline_kmeans")
    shell = InteractiveShell.instance()
    try:
        shell.user_ns.update(run=run, table=pd.DataFrame({"a": [1]}))
        shell.run_cell("1 + 1", store_history=True)
        before = shell.execution_count
        done = shell.run_cell("run.record.table(table, 'small', 'A table.')", store_history=True)
        done.raise_error()
    finally:
        InteractiveShell.clear_instance()
    run.record.finish()
    (table,) = read_json(run.record.folder / "manifest.json")["tables"]
    assert table["cell"] == before


def test_an_interactive_run_follows_its_study_and_the_data_that_can_be_had(
    workspace, monkeypatch, embedded
):
    """What an earlier interactive run wrote down may be of another dataset, or of a substitute."""
    available = {"mnist5k": embedded}

    def load(name, offline=False):
        if name not in available:
            raise datasets.DataUnavailable("every source refused")
        return available[name]

    monkeypatch.setattr(datasets, "load", load)
    assert open_run().record.dataset == "mnist5k"
    available["mnist"] = dataclasses.replace(embedded, name="mnist", n_train=4000)
    assert open_run().record.dataset == "mnist"
    available["fashion_mnist"] = dataclasses.replace(embedded, name="fashion_mnist", n_train=4000)
    other = load_study("mnist-cae").model_copy(update={"dataset": "fashion_mnist"})
    monkeypatch.setattr(study_module, "load_study", lambda name: other)
    assert open_run().record.dataset == "fashion_mnist"


def test_interactive_runs_stay_apart_from_the_workflows(workspace):
    run = open_run()
    expected = workspace / "runs/interactive/mnist-cae/seed-0/02_train_autoencoder"
    assert run.record.folder == expected.resolve()


def test_map_rows_are_sorted_distinct_and_always_the_same(workspace):
    rows = open_run(seed=0).map_rows()
    assert len(set(rows)) == 60
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, open_run(seed=1).map_rows())


def test_variants_are_trained_under_the_same_protocol_for_the_first_seeds_only(workspace, capsys):
    run = open_run()
    (variant,) = run.variants
    assert variant.options == {"channels": [16, 32]}
    assert open_run(seed=1).variants == []
    model, _ = run.autoencoder(variant)
    assert "epoch 2/2" in capsys.readouterr().out
    assert training.encode(model, run.images[:3]).shape == (3, 32 * 7 * 7)
    assert training.encode(run.autoencoder()[0], run.images[:3]).shape == (3, 64 * 7 * 7)
    assert model.encoder[0].out_channels == 16


def test_a_network_that_was_trained_elsewhere_is_used_as_it_is_and_its_origin_is_named(
    workspace, monkeypatch
):
    """Weights that no training here would give, from a processor that is not this one."""
    run = open_run()
    protocol, images, resize = run.protocol(), run.training_images, run.study.images.resize
    model = networks.untrained(images, protocol, 0, resize)
    for weight in model.parameters():
        torch.nn.init.constant_(weight, 0.125)
    history = {"loss": [0.5, 0.25], "seconds": [2.0, 3.5]}
    elsewhere = {"commit": "0" * 40, "dirty": False, "processor": "a GPU", "computed": "then"}
    cache.store(
        "mnist-cae-autoencoder-seed0",
        networks.recipe(images, protocol, 0, resize, None),
        networks.CODE,
        networks.arrays_of(model.state_dict(), history),
        elsewhere,
        places.cache(),
    )
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained again"))
    used, losses = run.autoencoder()
    assert all((weight == 0.125).all() for weight in used.parameters())
    assert losses["loss"].tolist() == [0.5, 0.25]
    run.record.finish()
    manifest = read_json(run.record.folder / "manifest.json")
    origin = manifest["networks"]["autoencoder"]
    assert {name: origin[name] for name in elsewhere} == elsewhere
    assert (origin["seconds"], origin["precision"]) == (5.5, protocol.precision)
    assert manifest["origin"]["processor"] == origins.processor() != "a GPU"


def test_kmeans_has_the_studys_seed_and_without_one_the_runs(workspace):
    assert open_run(seed=5).study.kmeans.random_state == 5
    fashion = study_module.open_run("03_latent_clustering", "fashion-ae", "quick", 5)
    assert fashion.study.kmeans.random_state == 42


def test_results_stand_beside_what_the_paper_reports(workspace, capsys):
    run = open_run("03_latent_clustering")
    capsys.readouterr()
    scores = {"ari": 0.3, "purity": 0.5, "silhouette": 0.12345}
    run.result(scores, "autoencoder", "pca50", "kmeans")
    run.result(scores, "pixels", "raw", "kmeans")
    run.result({"n_parameters": 1234})
    assert capsys.readouterr().out.splitlines() == [
        "Result at reduced scale: ARI 0.3000; reported 0.4296 (Table I)",
        "Result at reduced scale: silhouette 0.1235; reported 0.1108 (Table I)",
        "Result at reduced scale: ARI 0.3000; not reported",
        "Result: n parameters 1,234; not reported",
    ]


def test_a_result_has_the_papers_value_and_that_of_the_saved_run(workspace, capsys):
    run = study_module.open_run("03_latent_clustering", "fashion-ae", "quick", 0)
    capsys.readouterr()
    run.result({"purity": 0.5}, "autoencoder", "raw", "kmeans")
    assert capsys.readouterr().out.splitlines() == [
        "Result at reduced scale: purity 0.5000; reported 0.5541 (section 7.1), "
        "0.5063 (the run saved in the authors' notebook)"
    ]
    run = study_module.open_run("03_latent_clustering", "cifar10-cae", "quick", 0)
    capsys.readouterr()
    run.result({"k_found": 2}, "autoencoder", "raw", "dbscan")
    assert capsys.readouterr().out.splitlines() == [
        "Result at reduced scale: clusters found by DBSCAN 2; reported 1 (section 7)"
    ]


def test_reported_facts_are_those_of_their_notebook(workspace, capsys):
    facts = {"n_weights": 3, "n_biases": 4}
    for notebook, expected in (
        ("02_train_autoencoder", ["weights 3; reported 221,184 (section 5)"]),
        ("03_latent_clustering", ["n weights 3; not reported"]),
    ):
        run = study_module.open_run(notebook, "fashion-ae", "quick", 0)
        capsys.readouterr()
        run.result(facts)
        assert capsys.readouterr().out.splitlines()[:1] == [f"Result: {line}" for line in expected]


def test_a_stored_result_is_computed_once(workspace):
    calls = []

    def double(features, seed):
        calls.append(seed)
        return features * 2

    double.__module__ = "utils.spaces.projections"
    run, features = open_run(), np.ones((2, 2), np.float32)
    for seed in (0, 0, 1):
        np.testing.assert_array_equal(run.stored("twice", double, features, seed), features * 2)
    assert calls == [0, 1]


def test_a_network_without_weights_is_replaced_once_and_its_reason_recorded(
    workspace, monkeypatch, capsys
):
    monkeypatch.setenv("OFFLINE", "1")
    monkeypatch.setenv("DATA_DIR", str(workspace / "empty"))
    monkeypatch.delenv("RESNET50_KERAS_WEIGHTS", raising=False)
    run = open_run("04_pretrained_comparison", backbone_images=3)
    names = ["resnet50", "efficientnet_lite0", "resnet50_random"]
    run.study = run.study.model_copy(update={"backbones": names})
    networks = run.backbones()
    assert [network.name for network, _ in networks] == names[1:]
    assert [features.shape for _, features in networks] == [(3, 1280), (3, 2048)]
    run.record.finish()
    facts = read_json(run.record.folder / "manifest.json")["facts"]
    of_weights = [f"weights_{name}" for name in names[1:]]
    assert list(facts) == ["not_run_resnet50", *of_weights]
    assert [facts[fact] for fact in of_weights] == [network.weights for network, _ in networks]
    assert "offline" in facts["not_run_resnet50"]
    assert "is used instead" in capsys.readouterr().out


def test_counts_of_classes_in_clusters_are_recorded(workspace):
    run = open_run("01_baseline_kmeans")
    pixels = run.pixels()
    score(run, "pixels", "raw", "kmeans", kmeans(run, pixels), pixels)
    run.record.finish()
    table = tables.CONFUSION_TABLE.read(run.record.folder / "confusion.parquet")
    assert table["images"].sum() == 300
    assert set(table["class"]) == set("0123456789")


def test_progress_of_features_is_told_ten_times_at_most(capsys):
    told = progress.print_tenths()
    for done in range(50, 10_001, 50):
        told(done, 10_000)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"features {done}/10000" for done in range(1000, 10_001, 1000)]


def test_progress_of_a_training_has_the_losses_of_each_epoch(capsys):
    values = {"loss": 0.5, "validation_loss": 0.25, "seconds": 1.26}
    progress.print_epochs(9)(2, values)
    progress.print_epochs()(3, {"loss": 1, "seconds": 0})
    assert capsys.readouterr().out.splitlines() == [
        "epoch 2/9: loss 0.50000, validation loss 0.25000, 1.3 s",
        "epoch 3: loss 1.00000, 0.0 s",
    ]
