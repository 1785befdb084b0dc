import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from report import collect
from utils import clustering, metrics, spaces
from utils.clustering import joint
from utils.clustering.results import Result
from utils.config import vocabulary
from utils.config.load import leaderboard_names, load_leaderboard
from utils.config.schema import Leaderboard, Row
from utils.data import datasets
from utils.errors import UserError
from utils.places import ROOT
from utils.representations import encoders
from utils.runs import leaderboard
from utils.store import files, tables

NOTEBOOK = "05_beyond_the_papers"
PIXELS = Row(representation="pixels", space="raw", clusterer="kmeans")


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


def row(representation, space, clusterer, **more):
    return Row(representation=representation, space=space, clusterer=clusterer, **more)


# --- what the files say ------------------------------------------------------------------------


@pytest.mark.parametrize("name", leaderboard_names())
def test_every_line_is_of_known_parts_and_its_settings_are_said(name, workspace):
    run = open_board(workspace)
    for line in load_leaderboard(name).rows:
        first, *then = line.clusterer.split(vocabulary.THEN)
        assert first in {*clustering.CLUSTERERS, *joint.METHODS} and then in (
            [],
            [vocabulary.SELF_LABEL],
        )
        assert len(run.settings(line).split("; ")) >= 3


def test_settings_name_the_rule_by_which_k_is_chosen(workspace):
    run = open_board(workspace)
    chosen = row("pixels", "raw", "kmeans", k="chosen")
    assert run.settings(chosen) == f"{run.settings(PIXELS)}; {leaderboard.K_RULE}"
    with pytest.raises(UserError, match=r"config/methods\.yaml does not say .*'sift'"):
        run.settings(row("sift", "raw", "kmeans"))


def test_a_line_listed_twice_is_refused():
    content = load_leaderboard("beyond-mnist").model_dump()
    content["rows"] = [*content["rows"], content["rows"][0]]
    with pytest.raises(ValueError, match="pixels / raw / kmeans is listed twice"):
        Leaderboard.model_validate(content)


# --- lines ---------------------------------------------------------------------------------------


def test_no_label_reaches_a_line(workspace):
    run = open_board(workspace)
    plain = [run.stages(line)[-1].arrays["assignment"] for line in run.rows()]
    (workspace / "runs" / "cache").rename(workspace / "kept")
    run.labels = np.random.default_rng(0).permutation(run.labels)
    shuffled = [run.stages(line)[-1].arrays["assignment"] for line in run.rows()]
    assert len(plain) >= 5
    for one, other in zip(plain, shuffled, strict=True):
        assert np.array_equal(one, other)


def test_a_shared_stage_is_computed_once_and_charged_to_both_lines(workspace, monkeypatch):
    calls = []
    plain = spaces.umap
    monkeypatch.setattr(spaces, "umap", lambda *a, **k: calls.append(1) or plain(*a, **k))
    run = open_board(workspace)
    lines = [row("pixels", "umap10", name) for name in ("kmeans", "gmm")]
    values = [run.run(line) for line in lines]
    assert len(calls) == 1
    shared = run.space("umap10", run.representation("pixels").arrays["features"]).seconds
    assert shared > 0.01
    assert all(value["seconds"] > shared for value in values)
    again = open_board(workspace).run(lines[0])
    assert len(calls) == 1 and again["seconds"] == values[0]["seconds"]


def test_only_what_has_a_seed_is_computed_for_each(workspace, monkeypatch):
    run, other = open_board(workspace), open_board(workspace, seed=1)
    features = run.representation("hog").arrays["features"]
    made = len(list((workspace / "runs" / "cache").iterdir()))
    assert np.array_equal(other.representation("hog").arrays["features"], features)
    run.space("pca5", features), other.space("pca5", features)
    assert len(list((workspace / "runs" / "cache").iterdir())) == made + 2
    one, two = (r.space("umap10", features).arrays["points"] for r in (run, other))
    assert not np.array_equal(one, two)


def test_noise_is_scored_twice_and_internal_indices_in_the_common_space(workspace, monkeypatch):
    run = open_board(workspace)
    found = run.labels.astype(np.int32)
    found[:100] = metrics.NOISE
    found[100:110] = (found[100:110] + 1) % 10
    monkeypatch.setattr(clustering, "cluster", lambda *_: Result(found))
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


def test_trained_lines_take_the_epochs_of_the_profile(workspace, monkeypatch):
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
    run.run(row("vae", "raw", "kmeans"))
    run.run(row("pixels", "raw", "idec"))
    assert seen == {"vae": limit, "idec": ((limit, limit), 10, True)}
    assert limit < encoders.ENCODERS["vae"].epochs and limit < min(joint.EPOCHS)
    with pytest.raises(UserError, match="dec cannot choose k: give its line 'k: given'"):
        run.run(row("pixels", "raw", "dec", k="chosen"))


def test_costly_lines_are_run_with_the_first_seeds_only(workspace):
    for seed, there in ((0, True), (1, False)):
        run = open_board(workspace, seed=seed)
        run.profile = run.profile.model_copy(update={"reduced": False})
        assert ("vae" in {line.representation for line in run.rows()}) == there
        assert "pixels" in {line.representation for line in run.rows()}


def test_a_recipe_is_one_line(workspace):
    run = open_board(workspace)
    (line,) = run.rows("mnist-self-labelled")
    assert line.clusterer == "gmm+self_label"
    with pytest.raises(UserError, match=r"'nothing': beyond-mnist has .*mnist-self-labelled"):
        run.rows("nothing")


def test_only_known_spaces_are_allowed(workspace):
    run = open_board(workspace)
    for name in ("tsne2", "pca", "umap0", "pca-3", "pca2x3", "umap2x0"):
        with pytest.raises(UserError, match=r"allowed are raw, pca<d>, umap<d> and umap<d>x<layo"):
            run.space(name, np.zeros((20, 3), np.float32))


def test_several_layouts_stand_side_by_side_with_equal_weight(workspace):
    features = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    points = open_board(workspace, seed=1).space("umap2x3", features).arrays["points"]
    layouts = [spaces.umap(features, 2, seed=seed) for seed in (3, 4, 5)]
    assert points.shape == (60, 6)
    for i, layout in enumerate(layouts):
        part = points[:, 2 * i : 2 * i + 2]
        assert (part**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)
        ours, theirs = pdist(part), pdist(layout)
        np.testing.assert_allclose(ours / ours.max(), theirs / theirs.max(), atol=1e-4)


def test_a_seed_is_a_whole_number(workspace):
    for seed in (-1, True, 1.5):
        with pytest.raises(UserError, match="seed must be a whole number"):
            leaderboard.open_board(NOTEBOOK, "beyond-mnist", "quick", seed)


# --- what is recorded ----------------------------------------------------------------------------


def test_costs_and_labels_reach_the_results(workspace):
    run = open_board(workspace)
    run.run(PIXELS)
    run.run(row("pixels", "raw", "kmeans", k="chosen"))
    run.finish()
    files.write_checksums(run.folder)  # as what runs the notebook does
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


def test_the_peak_of_memory_rises_with_an_allocation():
    # In a process of its own: a training before it would have made this one keep what is freed.
    code = """if True:
        import numpy as np
        from utils.runs.leaderboard import PeakMemory
        memory = PeakMemory()
        before = memory.megabytes()
        block = np.ones(300 * 2**20, np.uint8)
        del block
        print(before, memory.megabytes(), PeakMemory().megabytes())
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    said = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    before, after, again = map(float, said.split())
    if np.isnan(before):
        pytest.skip("this system does not tell")
    assert after > before + 200
    assert again < after - 200


def test_costs_have_the_columns_of_the_results(workspace):
    run = open_board(workspace)
    run.run(PIXELS)
    run.finish()
    assert list(pd.read_csv(run.folder / tables.COSTS)) == list(collect.COST_COLUMNS)
