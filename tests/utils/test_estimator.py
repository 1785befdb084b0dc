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

from utils import estimator
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
    assert fitted.k_candidates_[fitted.k_silhouettes_.argmax()] == 4
    assert fitted.layout_.shape == (300, 10)


def test_new_points_get_the_cluster_of_their_group(blobs, fitted):
    X, y = make_blobs(400, 20, centers=4, cluster_std=0.5, random_state=0)
    found, share = fitted.vote(X[300:])
    assert adjusted_rand_score(y[300:], found) == 1
    assert ((share >= 0) & (share <= 1.0001)).all()
    placed = fitted.transform(X[300:])
    assert placed.shape == (100, 10)


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
    assert model.layout_.shape[1] == (10 if n >= 50 else min(30, n - 1))


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
    head = json.dumps(names | {"__metadata__": {"format": "feature-clusterer-1", "content": "{}"}})
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head.encode())
    os.truncate(path, 8 + len(head) + size)
    with pytest.raises(UserError, match="no model of this program has that many"):
        estimator.load(path)


def test_votes_are_the_same_in_blocks(blobs, fitted, monkeypatch):
    whole = fitted.vote(blobs[0])
    monkeypatch.setattr(estimator, "_BLOCK", 50)
    for one, other in zip(fitted.vote(blobs[0]), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_file_holds_numbers_and_words_only(tmp_path, fitted):
    estimator.save(fitted, tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    assert json.loads(head["__metadata__"]["content"])["parameters"]["n_components"] == 50
    assert set(load_file(tmp_path / "m.safetensors")) == set(head) - {"__metadata__"}
