"""Kills, full disks, no memory: what was finished stays, and the next run ends with the same."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from killable import train_and_store
from made_notebooks import write_notebook
from processes import Forked
from safetensors.numpy import load_file

from commands.notebook import NotebookFailed, run_notebook
from utils.places import ROOT


def stored(folder):
    (path,) = folder.glob("network-*.safetensors")
    return load_file(path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    status, said, errors = Forked(train_and_store, folder).wait(300)
    assert status == 0, errors
    assert said.split()[-1] == "stored"
    return stored(folder)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_killed_again_and_again_a_training_ends_as_an_undisturbed_one(
    tmp_path, faults, undisturbed
):
    """Each kill falls into the midst of an epoch or a write, at a moment of chance."""
    random.seed(0)
    epochs_before = 0
    for _ in range(12):
        process = Forked(train_and_store, tmp_path)
        assert process.stdout.readline() == "begun\n"
        first = process.stdout.readline()
        if first.startswith("training goes on"):
            first = process.stdout.readline()
        # At most one epoch was lost.
        if first.startswith("epoch"):
            assert int(first.split()[1]) >= epochs_before + 1
        time.sleep(random.uniform(0, 0.4))
        faults.tried()
        process.kill()
        rest = process.stdout.read()
        epochs = [int(line.split()[1]) for line in (first + rest).splitlines() if "epoch " in line]
        # The last one that was said to be done is in the checkpoint.
        epochs_before = max([epochs_before, *epochs])
        faults.survived()
        if "stored" in rest:
            break
    status, _, errors = Forked(train_and_store, tmp_path).wait(300)
    assert status == 0, errors
    assert_same(stored(tmp_path), undisturbed)
    # Nothing half-written is left but hidden files that the next write of their like replaces.
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("checkpoint")]


def limit_file_size(most_bytes):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@pytest.mark.parametrize("most_bytes", [10, 1_000, 20_000])
def test_a_full_disk_stops_a_training_and_leaves_no_half_result(
    tmp_path, faults, undisturbed, most_bytes
):
    faults.tried()
    limit = partial(limit_file_size, most_bytes)
    status, said, _errors = Forked(train_and_store, tmp_path, limit=limit).wait(300)
    assert status != 0 and "stored" not in said
    assert not list(tmp_path.glob("network-*"))
    status, _, errors = Forked(train_and_store, tmp_path).wait(300)
    assert status == 0, errors
    assert_same(stored(tmp_path), undisturbed)
    faults.survived()


def test_too_little_memory_stops_a_computation_and_leaves_no_half_result(tmp_path, faults):
    code = """
import sys
from pathlib import Path
import numpy as np
from utils.store.cache import load_or_compute
size = int(sys.argv[2])
compute = lambda: {"a": np.ones((size, 1000))}
load_or_compute("network", {}, ("utils.config.vocabulary",), compute, Path(sys.argv[1]))
"""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))

    def compute(rows):
        return subprocess.run(
            [sys.executable, "-c", code, tmp_path, str(rows)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
            preexec_fn=limit,
            capture_output=True,
            text=True,
        )

    faults.tried()
    done = compute(10**6)
    assert done.returncode != 0 and "Unable to allocate" in done.stderr
    assert not list(tmp_path.iterdir())
    assert compute(100).returncode == 0
    assert stored(tmp_path)["a"].shape == (100, 1000)
    faults.survived()


def fail_to_run(folder):
    """Run the notebook `a` of a folder; return how it failed."""
    with pytest.raises(NotebookFailed) as failed:
        run_notebook(folder / "a.py", {"run_dir": "x"}, folder / "run", print)
    return failed.value.failure.error


@pytest.mark.usefixtures("capfd")  # the log is the file that this process's errors go to
def test_the_tail_of_a_dead_kernels_log_is_in_the_message(tmp_path, faults):
    dying = "import os, signal; os.write(2, b'allocator: no page left\\n'); os.kill(os.getpid(), 9)"
    write_notebook(tmp_path / "a.py", dying)
    faults.tried()
    said = fail_to_run(tmp_path)
    assert "the kernel died" in said and "the log ends: " in said
    assert "allocator: no page left" in said
    faults.survived()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the kernel died"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the kernel died"),
        ("raise MemoryError('no more')", "MemoryError: no more"),
        ("raise OSError(28, 'No space left on device')", "No space left on device"),
        ("import sys; sys.exit(3)", "SystemExit|without its manifest"),
    ],
    ids=["killed", "crashed", "memory", "disk", "exit"],
)
def test_a_notebook_that_dies_is_reported_and_no_result(tmp_path, faults, code, said):
    write_notebook(tmp_path / "a.py", "print('before')", code)
    faults.tried()
    assert re.search(said, fail_to_run(tmp_path))
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert not (tmp_path / "run" / "executed.ipynb").exists()
    partial_notebook = (tmp_path / "run" / "failed.ipynb").read_text()
    assert "before" in partial_notebook
    faults.survived()
