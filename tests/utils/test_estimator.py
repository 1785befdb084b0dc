"""The estimator: scikit-learn's own checks, what it finds, and its file."""

import copy
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from utils import estimator, spaces
from utils.clustering import voting
from utils.config.methods import Space
from utils.errors import UserError
from utils.estimator import FeatureClusterer


@parametrize_with_checks([FeatureClusterer(), FeatureClusterer(3, clusterer="kmeans")])
def test_it_is_an_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(300, 20, centers=4, cluster_std=0.5, random_state=0)


@pytest.fixture(scope="module")
def fitted(blobs):
    return FeatureClusterer().fit(blobs[0])


def test_clear_groups_and_their_number_are_found(blobs, fitted):
    assert fitted.n_clusters_ == 4
    assert adjusted_rand_score(blobs[1], fitted.labels_) == 1
    assert fitted.layout_.shape == (300, 20)
    assert fitted.levels_.dtype == np.int32 and len(fitted.levels_) == 300
    np.testing.assert_array_equal(fitted.levels_[:, fitted.front_], fitted.labels_)
    assert fitted.resolutions_.shape == (fitted.levels_.shape[1],)


def test_a_number_is_chosen_for_a_clusterer_that_needs_one(blobs):
    model = FeatureClusterer(clusterer="gmm").fit(blobs[0])
    assert adjusted_rand_score(blobs[1], model.labels_) == 1
    assert model.k_candidates_[model.k_silhouettes_.argmax()] == model.n_clusters_ == 4
    assert model.layout_.shape == (300, 10) and model.levels_.shape == (300, 1)


def test_another_level_can_be_in_front(blobs, fitted):
    n_levels = fitted.levels_.shape[1]
    model = FeatureClusterer(level=n_levels).fit(blobs[0])
    np.testing.assert_array_equal(model.labels_, fitted.levels_[:, -1])
    with pytest.raises(ValueError, match=f"level 9 of {n_levels}: ask for 1"):
        FeatureClusterer(level=9).fit(blobs[0])


def test_the_stages_are_those_of_the_pipeline(blobs, tmp_path, elsewhere):
    elsewhere(runs=tmp_path)
    stored = FeatureClusterer(4).fit_stored(blobs[0].astype(np.float32))
    assert set(stored.stages_) == {"space-pca20", "neighbours-50", "space-umap10", "clustering-gmm"}
    points = spaces.pca(spaces.unit_rows(blobs[0].astype(np.float32)), 20)[0]
    layout = spaces.project(Space("umap", 10), points, 0)
    np.testing.assert_array_equal(stored.layout_, layout)
    n_files = len(list(tmp_path.rglob("*.safetensors")))
    again = FeatureClusterer(4).fit_stored(blobs[0].astype(np.float32))
    np.testing.assert_array_equal(again.labels_, stored.labels_)
    assert len(list(tmp_path.rglob("*.safetensors"))) == n_files == 4
    assert again.stages_["space-umap10"].seconds == stored.stages_["space-umap10"].seconds


def test_bare_features_leave_nothing_on_the_disk(blobs, tmp_path, elsewhere):
    elsewhere(runs=tmp_path)
    FeatureClusterer().fit(blobs[0])
    assert not list(tmp_path.iterdir())


def test_what_lies_far_off_scores_high(blobs, fitted):
    foreign = np.random.default_rng(0).normal(0, 5, (20, 20))
    scores = fitted.score_outliers(foreign)
    assert scores.min() > fitted.far_threshold_
    own = fitted.score_outliers(blobs[0] * 1.01)
    assert (own > fitted.far_threshold_).mean() < 0.03
    np.testing.assert_allclose(own, fitted.outlier_scores_, atol=0.01)


def test_an_outlier_among_the_points_scores_highest(blobs):
    X = np.vstack([blobs[0], np.random.default_rng(0).normal(0, 5, (1, 20))])
    assert FeatureClusterer().fit(X).outlier_scores_.argmax() == 300


def test_points_between_groups_are_less_sure(blobs):
    X, labels = make_blobs(400, 20, centers=2, cluster_std=4, center_box=(-3, 3), random_state=1)
    model = FeatureClusterer(2).fit(X)
    wrong = model.labels_ != labels
    if wrong.mean() > 0.5:
        wrong = ~wrong
    assert 0 < wrong.sum() < 100
    assert model.probabilities_[wrong].mean() < model.probabilities_[~wrong].mean()


def test_new_points_get_the_cluster_of_their_group(blobs, fitted):
    X, y = make_blobs(400, 20, centers=4, cluster_std=0.5, random_state=0)
    found, share = fitted.vote(X[300:])
    assert adjusted_rand_score(y[300:], found) == 1
    assert ((share >= 0) & (share <= 1.0001)).all()
    placed = fitted.transform(X[300:])
    assert placed.shape == (100, 20)


def test_the_points_of_fit_stay_where_they_are(blobs, fitted):
    np.testing.assert_allclose(fitted.transform(blobs[0]), fitted.layout_, atol=1e-3)
    np.testing.assert_array_equal(fitted.predict(blobs[0]), fitted.labels_)


def test_it_works_in_a_pipeline_and_twice_the_same(blobs, fitted):
    again = clone(fitted).fit(blobs[0])
    np.testing.assert_array_equal(again.labels_, fitted.labels_)
    labels = make_pipeline(StandardScaler(), FeatureClusterer(4)).fit_predict(blobs[0])
    assert adjusted_rand_score(blobs[1], labels) == 1


def test_noise_is_kept_apart():
    X, _ = make_blobs(400, 5, centers=3, cluster_std=0.1, random_state=0)
    model = FeatureClusterer(clusterer="hdbscan").fit(X)
    assert model.n_clusters_ == 3 and len(model.k_candidates_) == 0
    assert set(model.predict(X)) <= {-1, 0, 1, 2}


@pytest.mark.parametrize("n", [2, 3, 5, 10, 49, 50, 51])
def test_few_points_have_a_defined_result(n):
    X = np.random.default_rng(n).normal(size=(n, 30))
    model = FeatureClusterer().fit(X)
    assert len(model.labels_) == n and 1 <= model.n_clusters_ <= n
    assert model.levels_.shape[0] == n


@pytest.mark.parametrize("clusterer", ["auto", "gmm"])
def test_three_different_points_among_sixty_are_three_clusters(clusterer):
    X = np.random.default_rng(0).normal(size=(3, 8))[np.arange(60) % 3]
    model = FeatureClusterer(clusterer=clusterer).fit(X)
    assert (model.n_different_, model.n_clusters_) == (3, 3)
    assert (model.labels_ == model.labels_[np.arange(60) % 3]).all()


def test_more_clusters_than_different_points_are_one_for_each():
    X = np.random.default_rng(0).normal(size=(3, 8))[np.arange(60) % 3]
    assert FeatureClusterer(10).fit(X).n_clusters_ == 3


def test_copies_are_in_one_cluster_at_every_level():
    X = np.random.default_rng(0).normal(size=(300, 8))
    X[:200] = X[0]
    model = FeatureClusterer().fit(X)
    assert (model.levels_[:200] == model.levels_[0]).all()


@pytest.mark.parametrize("n", [2, 10, 100])
@pytest.mark.parametrize("k", ["auto", 2])
def test_equal_points_are_one_cluster(n, k):
    model = FeatureClusterer(k).fit(np.full((n, 4), 3.5))
    assert model.n_clusters_ == 1 and (model.labels_ == 0).all()
    assert (model.predict(np.full((1, 4), 3.5)) == 0).all()


def test_many_equal_points_and_a_few_others():
    X = np.zeros((200, 6))
    X[:5] = np.random.default_rng(0).normal(10, 1, (5, 6))
    model = FeatureClusterer(2).fit(X)
    assert len(set(model.labels_[5:])) == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"n_clusters": 0}, "whole number from 1"),
        ({"n_clusters": 2.5}, "whole number from 1"),
        ({"n_clusters": "many"}, "whole number from 1"),
        ({"n_clusters": True}, "whole number from 1"),
        ({"n_clusters": 9}, "9 clusters of 8 points"),
        ({"clusterer": "magic"}, "unknown clusterer 'magic'"),
        ({"n_components": 0}, "n_components must be"),
        ({"n_neighbors": -1}, "n_neighbors must be"),
    ],
)
def test_a_wrong_parameter_is_named(settings, reason):
    with pytest.raises(ValueError, match=reason):
        FeatureClusterer(**settings).fit(np.random.default_rng(0).normal(size=(8, 3)))


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 5))
def test_any_points_have_a_cluster_each(n, d, seed):
    X = np.random.default_rng(seed).integers(0, 3, (n, d)).astype(float)
    model = FeatureClusterer(random_state=seed).fit(X)
    assert model.labels_.shape == (n,) and model.labels_.min() >= 0
    assert ((model.probabilities_ >= 0) & (model.probabilities_ <= 1)).all()


# --- its file -------------------------------------------------------------------------------------


def test_a_saved_model_says_the_same(tmp_path, blobs, fitted):
    estimator.save(fitted, tmp_path / "m.safetensors", {"backbone": "some net"})
    model, about = estimator.load(tmp_path / "m.safetensors")
    assert about == {"backbone": "some net"}
    assert model.get_params() == fitted.get_params()
    X = blobs[0] + 0.01
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(model.transform(X), fitted.transform(X))


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.999])
def test_a_damaged_model_is_refused(tmp_path, fitted, place):
    path = tmp_path / "m.safetensors"
    estimator.save(fitted, path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        estimator.load(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged"):
        estimator.load(path)


def test_a_model_of_an_earlier_version_is_refused_by_name(tmp_path):
    head = {"format": "feature-clusterer-1", "content": "{}"}
    save_file({"a": np.zeros(3)}, tmp_path / "m.safetensors", head)
    with pytest.raises(UserError, match="by an earlier version of this program"):
        estimator.load(tmp_path / "m.safetensors")


def test_another_file_is_no_model(tmp_path):
    save_file({"a": np.zeros(3)}, tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="not a model of this program"):
        estimator.load(tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="no such file"):
        estimator.load(tmp_path / "no")


def crafted(path, fitted, parameters=None, **arrays):
    """Write a model with other parameters or arrays, and the checksum that belongs to them."""
    model = copy.deepcopy(fitted)
    for name, value in arrays.items():
        setattr(model, name, value)
    get_params = model.get_params
    model.get_params = lambda: get_params() | (parameters or {})
    estimator.save(model, path)
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: {"labels_": np.full_like(m.labels_, 2**31 - 1)}, "labels_ are not whole"),
        (lambda m: {"labels_": m.labels_ - 5}, "labels_ are not whole"),
        (lambda m: {"labels_": m.labels_.astype(float)}, "labels_ are not whole"),
        (lambda m: {"labels_": m.labels_[:-1]}, "labels_ has the shape"),
        (lambda m: {"scores_": m.scores_[:, :1]}, "scores_ has the shape"),
        (lambda m: {"mean_": m.mean_[:2]}, "components_ has the shape"),
        (lambda m: {"layout_": m.layout_[:, 0]}, "layout_ has the shape"),
        (lambda m: {"levels_": m.levels_[:-1]}, "levels_ has the shape"),
        (lambda m: {"levels_": m.levels_ + 1}, "not those of the level in front"),
        (lambda m: {"front_": 99}, "not those of the level in front"),
        (lambda m: {"mean_": np.array(1.0)}, "cannot be used"),
        (lambda m: {"labels_": m.labels_[:0]}, "cannot be used"),
        (lambda m: {"mean_": m.mean_ * np.nan}, "mean_ has values"),
        (lambda m: {"parameters": {"n_neighbors": -1}}, "n_neighbors must be"),
        (lambda m: {"parameters": {"clusterer": "magic"}}, "unknown clusterer"),
        (lambda m: {"parameters": {"what": 1}}, "cannot be used"),
    ],
)
def test_a_model_whose_parts_do_not_belong_together_is_refused(tmp_path, fitted, change, reason):
    path = crafted(tmp_path / "m.safetensors", fitted, **change(fitted))
    with pytest.raises(UserError, match=reason):
        estimator.load(path)


def test_a_model_that_asks_for_memory_is_refused_before_it_is_read(tmp_path):
    """A file of 192 GiB of nothing, which takes no place on the disk."""
    size = 192 * 2**30
    names = {
        name: {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for name in estimator._ARRAYS
    }
    names["scores_"] = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    head = json.dumps(names | {"__metadata__": {"format": "feature-clusterer-2", "content": "{}"}})
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head.encode())
    os.truncate(path, 8 + len(head) + size)
    with pytest.raises(UserError, match="no model of this program has that many"):
        estimator.load(path)


def test_votes_are_the_same_in_blocks(blobs, fitted, monkeypatch):
    whole = fitted.vote(blobs[0])
    monkeypatch.setattr(voting, "BLOCK", 50)
    for one, other in zip(fitted.vote(blobs[0]), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_file_holds_numbers_and_words_only(tmp_path, fitted):
    estimator.save(fitted, tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    assert json.loads(head["__metadata__"]["content"])["parameters"]["n_components"] == 50
    assert set(load_file(tmp_path / "m.safetensors")) == set(head) - {"__metadata__"}
