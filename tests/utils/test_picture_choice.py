"""How a method is chosen for a person's own pictures, without labels."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from utils.config.selection import load_selection
from utils.runs import picture_choice


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, elsewhere):
    elsewhere(runs=tmp_path)


def test_a_method_is_chosen_that_finds_groups_that_stand_apart():
    points, groups = make_blobs(160, 20, centers=4, cluster_std=0.5, random_state=0)
    choice = picture_choice.choose(points.astype(np.float32), 0)
    assert len(choice.table) == len(load_selection().candidates)
    assert choice.table["chosen"].tolist().count("yes") == 1
    assert choice.table["groups"].tolist() == ["4"] * 4
    assert choice.table["score"].between(0, 1).all()
    # all are as good here, and of equals the first is taken
    assert (choice.clusterer, choice.clusters) == ("levels", "auto")
    fitted = picture_choice._fitted(choice.clusterer, choice.clusters, points, 0)
    assert adjusted_rand_score(groups, fitted.labels_) == 1


def test_a_method_with_another_number_is_not_ranked(monkeypatch):
    points, _ = make_blobs(160, 20, centers=4, cluster_std=0.5, random_state=0)
    fit = picture_choice._fitted

    def unstable(clusterer, clusters, features, seed):
        model = fit(clusterer, clusters, features, seed)
        if clusterer == "levels" and seed == 2:
            model.labels_ = np.minimum(model.labels_, 2)
        return model

    monkeypatch.setattr(picture_choice, "_fitted", unstable)
    choice = picture_choice.choose(points.astype(np.float32), 0)
    table = choice.table.set_index("method")
    assert table.loc["Levels", "groups"] == "3–4" and np.isnan(table.loc["Levels", "score"])
    assert choice.clusterer != "levels" and choice.clusters == 4
    assert "of 3 methods" in choice.why


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (np.random.default_rng(0).normal(size=(40, 8)), "40 different pictures are too few"),
        (np.random.default_rng(0).normal(size=(200, 10)), "no groups come again"),
    ],
)
def test_levels_are_taken_where_methods_cannot_be_compared(points, why):
    choice = picture_choice.choose(points.astype(np.float32), 0)
    assert (choice.clusterer, choice.clusters) == ("levels", "auto")
    assert why in choice.why and choice.table.empty
