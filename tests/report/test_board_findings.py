"""Sentences of the article on the leaderboards."""

import pandas as pd
import pytest

from report import board_findings, published
from utils.store.tables import NEW_IMAGES_TABLE, RANKINGS_TABLE

BOARD, OTHER = "beyond-cifar10", "beyond-mnist"


def ranking(index, ari, regret, n_rows=3, study=BOARD, clusterer="kmeans"):
    return {
        "study": study, "index": index, "tau": 0.5, "tau_low": 0.1, "tau_high": 0.9,
        "n_rows": n_rows, "n_undefined": 0, "n_partial": 0, "representation": "pixels",
        "space": "raw", "clusterer": clusterer, "n": 100.0, "ari": ari, "best_ari": 0.5,
        "regret": regret,
    }  # fmt: skip


def new_images(kind, space, values, study=BOARD):
    return [
        {
            "study": study, "seed": seed, "representation": "pixels", "space": space,
            "clusterer": "kmeans", "kind": kind, "n_fit": 10_000, "n": 10_000, "metric": "ari",
            "value": value,
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip


@pytest.fixture
def fullest():
    def make(rankings=(), scores=()):
        tables = {
            "leaderboard_rankings": RANKINGS_TABLE.joined([pd.DataFrame(list(rankings))]),
        }
        new = NEW_IMAGES_TABLE.joined([pd.DataFrame(list(scores))])
        record = {"leaderboards": [BOARD, OTHER, "beyond-nothing"]}
        evidence = {NEW_IMAGES_TABLE.file: new}
        return published.Published(pd.DataFrame(), pd.DataFrame(), record, evidence, tables)

    return make


def test_the_pick_of_the_rule_stands_beside_the_best_single_index(fullest):
    rankings = [
        ranking("agreement_seeds", 0.4, 0.1),
        ranking("silhouette_umap", 0.45, 0.05, clusterer="ward"),
        ranking("rule", 0.475, 0.025, clusterer="gmm"),
    ]
    (said,) = board_findings.picks(fullest(rankings))
    assert "On CIFAR-10 it picks pixels, raw, Gaussian mixture, with ARI 0.475, 5.0 %" in said
    assert "the silhouette in the UMAP space loses least, 10.0 %" in said


def test_a_board_without_a_rule_is_left_out(fullest):
    assert board_findings.picks(fullest([ranking("agreement_seeds", 0.4, 0.1)])) == []
    nothing = ranking("rule", float("nan"), float("nan"), n_rows=0)
    assert board_findings.picks(fullest([ranking("agreement_seeds", 0.4, 0.1), nothing])) == []


def test_held_out_images_stand_beside_those_of_the_leaderboard(fullest):
    scores = [
        *new_images("held_out", "raw", [0.2, 0.4]),
        *new_images("held_out", "umap10", [0.5, 0.7]),
        *new_images("fit", "raw", [0.45, 0.45]),
        *new_images("fit", "umap10", [0.45, 0.45]),
        *new_images("fit", "raw", [0.9], study=OTHER),
    ]
    (said,) = board_findings.held_out(fullest(scores=scores))
    assert "the 10,000 test images of CIFAR-10" in said
    assert "with ARI 0.300 to 0.600, against 0.450 on" in said
    assert board_findings.held_out(fullest(scores=new_images("fit", "raw", [0.9]))) == []
