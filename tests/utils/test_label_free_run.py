import numpy as np
import pandas as pd
import pytest

from utils.config.load import load_leaderboard
from utils.config.methods import Method
from utils.data import datasets
from utils.runs import label_free, leaderboard
from utils.store import tables

NOTEBOOK = "05_beyond_the_papers"
PIXELS = Method.parse("pixels", "raw", "kmeans")


@pytest.fixture
def run(tmp_path, monkeypatch, elsewhere):
    elsewhere(runs=tmp_path / "runs")
    small = datasets.load("mnist5k")
    monkeypatch.setattr(leaderboard.datasets, "load", lambda name, offline=False: small)
    board = load_leaderboard("beyond-mnist").model_copy(update={"reduced_images": 200})
    monkeypatch.setattr(leaderboard, "load_leaderboard", lambda name: board)
    folder = tmp_path / "runs" / "quick" / "beyond-mnist" / "seed-0" / NOTEBOOK
    return leaderboard.open_board(NOTEBOOK, "beyond-mnist", "quick", 0, folder)


def test_indices_are_bounded_and_see_no_label(run):
    found = label_free.open_label_free(run).indices(PIXELS)
    assert set(found.index) == {"silhouette_umap", "generalisation", "agreement_halves"}
    assert found.between(-1, 1).all()
    run.labels = np.random.default_rng(0).permutation(run.labels)
    again = label_free.open_label_free(run).indices(PIXELS)
    pd.testing.assert_series_equal(found, again)


def test_what_finds_k_or_is_trained_again_has_no_halves():
    can = {
        "kmeans": True,
        "gmm": True,
        "ward": True,
        "leiden": False,
        "hdbscan": False,
        "gmm+self_label": False,
        "turtle": False,
        "idec": False,
    }
    for clusterer, expected in can.items():
        space = "raw" if clusterer in ("turtle", "idec") else "umap10"
        assert label_free.can_be_halved(Method.parse("pixels", space, clusterer)) == expected


def test_representations_are_those_that_need_no_training(run):
    run.profile = run.profile.model_copy(update={"reduced": False})
    found = label_free.open_label_free(run).representations()
    assert list(found)[:2] == ["pixels", "hog"]
    assert not [name for name in found if "ae" in name or "contrastive" in name]


def test_what_was_found_is_written_for_the_report(run):
    unlabelled = label_free.open_label_free(run)
    unlabelled.indices(PIXELS)
    numbers = unlabelled.numbers("pixels", PIXELS)
    unlabelled.write()
    indices = tables.LABEL_FREE_TABLE.read(run.record.folder / tables.LABEL_FREE_TABLE.file)
    assert set(indices["index"]) == {"silhouette_umap", "generalisation", "agreement_halves"}
    written = tables.NUMBERS_TABLE.read(run.record.folder / tables.NUMBERS_TABLE.file)
    assert dict(zip(written["rule"], written["k"], strict=True)) == numbers.to_dict()
    assert written["k"].ge(1).all() and set(written["representation"]) == {"pixels"}
