"""Stored state: truncated, zeroed, flipped, replaced or removed, it is never taken as a result."""

import os
import shutil
import types
from pathlib import Path
from types import SimpleNamespace

import fake_run
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snakemake.persistence.file import FilePersistence

from commands import staleness
from report import collect
from utils import estimator, places
from utils.config.schema import Autoencoder
from utils.data import prepared
from utils.errors import UserError
from utils.estimator import FeatureClusterer
from utils.representations import training
from utils.store import cache, files, ownership
from utils.store.fingerprints import notebook_fingerprint

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
        return cache.load_or_compute(
            "thing", {"seed": seed}, ("utils.config.vocabulary",), compute, folder
        )

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
            collected = collect.collect("quick", ["mnist-cae"], [0], copy)
        except UserError as error:
            assert str(path.parent) in str(error)
        else:
            # Without its manifest a notebook did not finish, and the report says so.
            assert name == "manifest.json" and how[0] == "removed" and collected.gaps
    faults.survived()


UNREADABLE = [None, b"", b"{", b"null", b"[1]", b"\xff\xfe\x00", b"[" * 10**5, b"{}"]


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)


@pytest.mark.parametrize("content", UNREADABLE)
def test_a_small_file_of_state_is_made_again(tmp_path, faults, monkeypatch, content):
    """Data and reason of a study, and the owner of a report."""
    known = {"dataset": "digits", "requested": "digits", "substituted": False, "reason": None}
    monkeypatch.setattr(prepared, "prepare_data", lambda *_: known)
    study = types.SimpleNamespace(dataset="digits")
    data = tmp_path / "one" / "data.json"
    faults.tried()
    put(data, content)
    assert prepared.data_of(study, None, data.parent / "seed-0" / "01") == known
    put(data, content)
    files.update_json(data, known)
    assert files.read_json(data) == known
    assert prepared.data_of(study, None, data.parent / "seed-0" / "01") == known
    put(tmp_path / ".files.json", content)
    manifest = ownership.read_manifest(tmp_path)
    assert manifest is None or not manifest.files
    faults.survived()


RESULTS = ("runs/quick/one/seed-0/01/manifest.json", f"runs/quick/{'long' * 60}/manifest.json")


def record_of(folder, result):
    """Return the path of Snakemake's note on a result, by Snakemake's own function."""
    return Path(
        FilePersistence._record_path(SimpleNamespace(_fetch_max_len=len_max), folder, result)
    )


def len_max(_folder):
    return 255


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize(
    "content", [*UNREADABLE[1:-1], os.urandom(300), b'{"input": 3}', b'{"starttime": "x"}']
)
def test_a_note_of_snakemake_is_reset_alone(tmp_path, faults, result, content):
    other = record_of(tmp_path / "metadata", "other")
    put(other, b'{"rule": "01", "input": ["a"], "incomplete": false}')
    put(record_of(tmp_path / "metadata", result), content)
    put(record_of(tmp_path / "incomplete", result), content)
    put(tmp_path / "metadata" / "not base 64", b"of somebody else")
    faults.tried()
    assert staleness.mend_records(tmp_path) == {"other"}
    assert other.is_file() and (tmp_path / "metadata" / "not base 64").is_file()
    assert not record_of(tmp_path / "metadata", result).exists()
    # What is half done stays known as such.
    assert files.read_json(record_of(tmp_path / "incomplete", result)) == {"external_jobid": None}
    faults.survived()


def test_files_in_the_place_of_snakemakes_folders(tmp_path, faults):
    faults.tried()
    (tmp_path / ".snakemake").write_text("a file")
    assert staleness.mend_records(tmp_path / ".snakemake") == set()
    assert not (tmp_path / ".snakemake").exists()
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / ".snakemake" / "metadata").write_text("a file")
    assert staleness.mend_records(tmp_path / ".snakemake") == set()
    faults.survived()


@pytest.fixture
def made(tmp_path, monkeypatch, elsewhere):
    """A repository with a script and a lock, and the manifest of a notebook made from them."""
    elsewhere(tmp_path)
    put(
        tmp_path / "notebooks" / "01_a.py",
        b"from utils.config import vocabulary\nvocabulary.describe\n",
    )
    put(tmp_path / "requirements.lock", b"numpy==1.0")
    manifest = tmp_path / "runs/quick/one/seed-0/01_a/manifest.json"
    code = notebook_fingerprint(tmp_path / "notebooks" / "01_a.py")
    note = staleness.made_from(code, "", ["requirements.lock"])
    manifest.parent.mkdir(parents=True)
    files.write_json(manifest, {"made_from": note})
    yield manifest
    staleness.code_of.cache_clear()
    staleness._digest_of.cache_clear()


def test_what_has_not_changed_is_not_stale(made):
    assert not staleness.is_stale(made)


@pytest.mark.parametrize("how", ["input", "no input", "code", "no note", "empty", "bytes", "other"])
def test_a_change_shows_without_snakemakes_notes(tmp_path, faults, made, how):
    faults.tried()
    if how == "input":
        put(tmp_path / "requirements.lock", b"numpy==2.0")
    elif how == "no input":
        (tmp_path / "requirements.lock").unlink()
    elif how == "code":
        put(
            tmp_path / "notebooks" / "01_a.py",
            b"from utils.config import vocabulary\nvocabulary.NAMES\n",
        )
    else:
        content = {"no note": b"{}", "empty": b"", "bytes": b"\xff", "other": b'{"made_from": []}'}
        put(made, content[how])
    assert staleness.is_stale(made)
    faults.survived()


def test_a_result_that_may_not_be_read(tmp_path, faults):
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    compute = lambda: {"a": np.zeros(3)}  # noqa: E731
    cache.load_or_compute("thing", {}, ("utils.config.vocabulary",), compute, tmp_path)
    faults.tried()
    for path in tmp_path.iterdir():
        path.chmod(0)
    found = cache.load_or_compute("thing", {}, ("utils.config.vocabulary",), compute, tmp_path)
    np.testing.assert_array_equal(found["a"], np.zeros(3))
    faults.survived()


def test_a_clock_that_was_moved_back(tmp_path, faults):
    compute = lambda: {"a": np.arange(3)}  # noqa: E731
    cache.load_or_compute("thing", {}, ("utils.config.vocabulary",), compute, tmp_path)
    faults.tried()
    for path in tmp_path.iterdir():
        os.utime(path, (2**31, 2**31))  # from the year 2038
    before = {path: path.stat().st_mtime for path in tmp_path.iterdir()}
    found = cache.load_or_compute("thing", {}, ("utils.config.vocabulary",), pytest.fail, tmp_path)
    np.testing.assert_array_equal(found["a"], np.arange(3))
    assert {path: path.stat().st_mtime for path in tmp_path.iterdir()} == before
    faults.survived()


def test_no_cache_is_shared_with_the_tests():
    assert places.cache().is_absolute()
