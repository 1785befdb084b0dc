import numpy as np
import pandas as pd
import pytest

from report import collect
from utils import metrics, pipeline, spaces
from utils.clustering import joint
from utils.clustering.results import Result
from utils.config.load import load_leaderboard
from utils.config.methods import Method
from utils.config.schema import Leaderboard
from utils.data import datasets
from utils.errors import UserError
from utils.representations import encoders
from utils.runs import leaderboard
from utils.store import files, tables

NOTEBOOK = "05_beyond_the_papers"
PIXELS = Method.parse("pixels", "raw", "kmeans")


@pytest.fixture
def workspace(tmp_path, monkeypatch, elsewhere):
    elsewhere(runs=tmp_path / "runs")
    small = datasets.load("mnist5k")
    monkeypatch.setattr(leaderboard.datasets, "load", lambda name, offline=False: small)
    board = load_leaderboard("beyond-mnist").model_copy(update={"reduced_images": 300})
    monkeypatch.setattr(leaderboard, "load_leaderboard", lambda name: board)
    return tmp_path


def open_board(workspace, seed=0):
    folder = workspace / "runs" / "quick" / "beyond-mnist" / f"seed-{seed}" / NOTEBOOK
    return leaderboard.open_board(NOTEBOOK, "beyond-mnist", "quick", seed, folder)


# --- what the files say ------------------------------------------------------------------------


def test_a_method_listed_twice_is_refused():
    content = load_leaderboard("beyond-mnist").model_dump()
    content["rows"] = [*content["rows"], content["rows"][0]]
    with pytest.raises(ValueError, match="pixels / raw / kmeans is listed twice"):
        Leaderboard.model_validate(content)


# --- methods -------------------------------------------------------------------------------------


def test_no_label_reaches_a_method(workspace):
    run = open_board(workspace)
    plain = [run.cluster(method).assignment for method in run.methods()]
    (workspace / "runs" / "cache").rename(workspace / "kept")
    run.labels = np.random.default_rng(0).permutation(run.labels)
    shuffled = [run.cluster(method).assignment for method in run.methods()]
    assert len(plain) >= 5
    for one, other in zip(plain, shuffled, strict=True):
        assert np.array_equal(one, other)


def test_noise_is_scored_twice_and_internal_indices_in_the_common_space(workspace, monkeypatch):
    run = open_board(workspace)
    found = run.labels.astype(np.int32)
    found[:100] = metrics.NOISE
    found[100:110] = (found[100:110] + 1) % 10
    monkeypatch.setattr(pipeline.clustering, "cluster", lambda *_: Result(found))
    values = run.run(PIXELS)
    assert values["acc_covered"] == pytest.approx(190 / 200)
    assert values["acc"] < 200 / 300 + 0.01
    assert values["ari"] == pytest.approx(metrics.external(found, run.labels)["ari"])
    pixels = run.images.reshape(300, -1).astype(np.float32) / 255
    expected = metrics.internal(found, spaces.pca(pixels, 50)[0])
    assert values["silhouette"] == pytest.approx(expected["silhouette"])
    assert values["silhouette"] != pytest.approx(metrics.internal(found, pixels)["silhouette"])


def test_without_noise_there_are_no_scores_of_covered_images(workspace):
    assert not [name for name in open_board(workspace).run(PIXELS).index if "covered" in name]


def test_the_settings_are_those_that_were_used(workspace, monkeypatch):
    run, seen = open_board(workspace), {}

    def fit_features(name, images, seed, epochs, on_epoch):
        seen[name] = epochs
        return np.random.default_rng(seed).normal(size=(len(images), 4)).astype(np.float32)

    def cluster(name, pixels, k, seed, epochs):
        seen[name] = epochs, k, pixels.max() <= 1
        return Result(np.arange(len(pixels), dtype=np.int32) % k)

    monkeypatch.setattr(encoders, "fit_features", fit_features)
    monkeypatch.setattr(joint, "cluster", cluster)
    limit = run.profile.max_epochs
    run.run(Method.parse("vae", "raw", "kmeans"))
    run.run(Method.parse("pixels", "raw", "idec"))
    run.finish()
    assert seen == {"vae": limit, "idec": ((limit, limit), 10, True)}
    assert limit < encoders.ENCODERS["vae"].epochs and limit < min(joint.EPOCHS)
    settings = pd.read_csv(run.record.folder / tables.COSTS_TABLE.file)["settings"].tolist()
    assert f"Adam 0.001, batches of 256, {limit} epochs; k-means" in settings[0]
    assert f"{limit} epochs of pretraining and {limit} of clustering" in settings[1]


def test_costly_methods_are_run_with_the_first_seeds_only(workspace):
    for seed, there in ((0, True), (1, False)):
        run = open_board(workspace, seed=seed)
        run.profile = run.profile.model_copy(update={"reduced": False})
        clusterers = {method.clusterer for method in run.methods()}
        assert ("dec" in clusterers) == there
        assert "kmeans" in clusterers


def test_a_recipe_is_one_method(workspace):
    run = open_board(workspace)
    (method,) = run.methods("mnist-self-labelled")
    assert method.names[2] == "gmm+self_label"
    with pytest.raises(UserError, match=r"'nothing': beyond-mnist has .*mnist-self-labelled"):
        run.methods("nothing")


def test_a_seed_is_a_whole_number(workspace):
    for seed in (-1, True, 1.5):
        with pytest.raises(UserError, match="seed must be a whole number"):
            leaderboard.open_board(NOTEBOOK, "beyond-mnist", "quick", seed)


# --- what is recorded ----------------------------------------------------------------------------


def test_costs_and_labels_reach_the_results(workspace):
    run = open_board(workspace)
    run.run(PIXELS)
    run.run(Method.parse("pixels", "raw", "kmeans", "chosen"))
    run.finish()
    files.write_checksums(run.record.folder)  # as what runs the notebook does
    collected = collect.collect("quick", ["beyond-mnist"], [0], workspace / "runs")
    assert list(collected.boards) == ["beyond-mnist"] and not collected.studies
    assert collected.costs["clusterer"].tolist() == ["kmeans", "kmeans_k_chosen"]
    assert collected.costs["k_given"].tolist() == [True, False]
    assert (collected.costs["seconds"] > 0).all()
    assert np.array_equal(collected.labels["beyond-mnist"], run.labels)
    assert set(collected.metrics["study"]) == {"beyond-mnist"}


def test_prototypes_are_nearest_to_the_mean_and_doubtful_ones_least_sure(workspace):
    run = open_board(workspace)
    assignment = np.repeat([0, 1, -1], 100).astype(np.int32)
    points = np.zeros((300, 2))
    points[:, 0] = np.abs(np.arange(300) - 57)
    prototypes = run.prototypes(assignment, points)
    assert list(prototypes) == ["cluster 0", "cluster 1"]
    mean = points[:100].mean(axis=0)
    nearest = np.linalg.norm(points[:100] - mean, axis=1).argmin()
    assert np.array_equal(prototypes["cluster 0"][0], run.images[nearest])
    doubtful = run.doubtful(assignment, np.linspace(1, 0, 300))
    assert np.array_equal(doubtful["cluster 1"][0], run.images[199])


def test_the_commonest_confusion_comes_first(workspace):
    run = open_board(workspace)
    run.labels = np.repeat(np.arange(10), 30).astype(np.uint8)
    assignment = run.labels.astype(np.int32)
    assignment[:7], assignment[30:33] = 4, 2
    shown = run.most_confused(assignment)
    assert list(shown) == ["0 in 4 (7)", "1 in 2 (3)"]
    assert np.array_equal(shown["0 in 4 (7)"], run.images[:7])
    assert run.most_confused(run.labels.astype(np.int32)) == {}


def test_costs_have_the_columns_of_the_results_and_the_name_of_the_recipe(workspace):
    run = open_board(workspace)
    run.run(PIXELS)
    run.run(*run.methods("mnist-pixels"))
    run.finish()
    costs = pd.read_csv(run.record.folder / tables.COSTS_TABLE.file, keep_default_na=False)
    assert list(costs) == list(tables.COSTS_TABLE.columns)
    assert costs["recipe"].tolist() == ["", "mnist-pixels"]
