"""Stored state: truncated, zeroed, flipped, replaced or removed, it is never taken as a result."""

import os
import shutil

import fake_run
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils import artifacts, estimator, recording, results, training
from utils.config import Autoencoder, UserError
from utils.estimator import FeatureClusterer

slow = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
damages = st.one_of(
    st.tuples(st.just("truncated"), st.floats(0, 0.999)),
    st.tuples(st.just("zeroed"), st.floats(0, 0.999)),
    st.tuples(st.just("flipped"), st.floats(0, 0.999)),
    st.tuples(st.just("replaced"), st.just(0.0)),
    st.tuples(st.just("removed"), st.just(0.0)),
)


def damage(path, kind, place, older=b"of an older version"):
    """Damage a file; return whether it is another one now."""
    before = path.read_bytes()
    at = int(place * len(before))
    content = bytearray(before)
    if kind == "truncated":
        del content[at:]
    elif kind == "zeroed":
        content[at : at + 64] = bytes(len(content[at : at + 64]))
    elif kind == "flipped":
        content[at] ^= 0x10
    elif kind == "replaced":
        content = bytearray(older)
    path.unlink()
    if kind != "removed":
        path.write_bytes(content)
    return kind == "removed" or bytes(content) != before


@slow
@given(damages, st.sampled_from(["safetensors", "json"]), st.integers(0, 3))
def test_a_stored_result(tmp_path, faults, how, suffix, seed):
    folder = tmp_path / "cache"
    shutil.rmtree(folder, ignore_errors=True)
    expected = np.random.default_rng(seed).normal(size=(50, 4))

    def load():
        compute = lambda: {"a": expected.copy()}  # noqa: E731
        return artifacts.load_or_compute("thing", {"seed": seed}, ("names",), compute, folder)

    load()
    (path,) = folder.glob(f"*.{suffix}")
    faults.tried()
    damage(path, *how)
    np.testing.assert_array_equal(load()["a"], expected)
    np.testing.assert_array_equal(load()["a"], expected)
    faults.survived()


IMAGES = np.random.default_rng(0).integers(0, 255, (48, 28, 28), dtype=np.uint8)
PROTOCOL = {
    "architecture": "conv_batchnorm",
    "options": {"channels": [2, 4]},
    "loss": "binary_cross_entropy",
    "optimizer": {"name": "adam", "learning_rate": 1e-2},
    "batch_size": 16,
    "epochs": 3,
}


class Stopped(Exception):
    """In the place of a kill."""


def losses(checkpoint=None, stop_after=None):
    def stop(epoch, _values):
        if epoch == stop_after:
            raise Stopped

    protocol = Autoencoder.model_validate(PROTOCOL)
    run = training.train(IMAGES, protocol, 0, checkpoint=checkpoint, on_epoch=stop)
    return run.history["loss"]


@pytest.fixture(scope="module")
def undisturbed():
    return losses()


@settings(slow, max_examples=12)
@given(damages)
def test_a_checkpoint(tmp_path, faults, undisturbed, how):
    path = tmp_path / "checkpoint.safetensors"
    path.unlink(missing_ok=True)
    with pytest.raises(Stopped):
        losses(path, stop_after=2)
    faults.tried()
    damage(path, *how)
    assert losses(path) == undisturbed
    faults.survived()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    X = np.random.default_rng(0).normal(size=(40, 5))
    estimator.save(FeatureClusterer(3).fit(X), path, {"backbone": "a network"})
    return path


@slow
@given(damages)
def test_a_model(tmp_path, faults, model, how):
    path = tmp_path / "model.safetensors"
    shutil.copy(model, path)
    faults.tried()
    changed = damage(path, *how)
    if changed:
        with pytest.raises(UserError):
            estimator.load(path)
    faults.survived()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return fake_run.write_run(tmp_path_factory.mktemp("runs"))


@settings(slow, max_examples=15)
@given(
    damages,
    st.sampled_from(["manifest.json", "metrics.csv", "assignments.parquet", "executed.ipynb"]),
)
def test_what_a_notebook_left(tmp_path, faults, runs, how, name):
    copy = tmp_path / "runs"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(runs, copy)
    path = fake_run.notebook_folder(copy, "quick", "mnist-cae", 0, "01_baseline_kmeans") / name
    faults.tried()
    if damage(path, *how):
        try:
            collected = results.collect("quick", ["mnist-cae"], [0], copy)
        except UserError as error:
            assert str(path.parent) in str(error)
        else:
            # Without its manifest a notebook did not finish, and the report says so.
            assert name == "manifest.json" and how[0] == "removed" and collected.gaps
    faults.survived()


def test_a_result_that_may_not_be_read(tmp_path, faults):
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    compute = lambda: {"a": np.zeros(3)}  # noqa: E731
    artifacts.load_or_compute("thing", {}, ("names",), compute, tmp_path)
    faults.tried()
    for path in tmp_path.iterdir():
        path.chmod(0)
    found = artifacts.load_or_compute("thing", {}, ("names",), compute, tmp_path)
    np.testing.assert_array_equal(found["a"], np.zeros(3))
    faults.survived()


def test_a_clock_that_was_moved_back(tmp_path, faults):
    compute = lambda: {"a": np.arange(3)}  # noqa: E731
    artifacts.load_or_compute("thing", {}, ("names",), compute, tmp_path)
    faults.tried()
    for path in tmp_path.iterdir():
        os.utime(path, (2**31, 2**31))  # from the year 2038
    before = {path: path.stat().st_mtime for path in tmp_path.iterdir()}
    found = artifacts.load_or_compute("thing", {}, ("names",), pytest.fail, tmp_path)
    np.testing.assert_array_equal(found["a"], np.arange(3))
    assert {path: path.stat().st_mtime for path in tmp_path.iterdir()} == before
    faults.survived()


def test_no_cache_is_shared_with_the_tests():
    assert recording.CACHE.is_absolute()
