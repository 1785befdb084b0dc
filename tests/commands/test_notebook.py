import os
import subprocess
import sys
import time

import pytest
from made_notebooks import PARAMETERS, write_notebook

from commands import notebook as notebook_module
from commands.notebook import NotebookFailed, _ProgressLines, main, run_notebook
from commands.telling import MARK
from report.collect import Manifest
from utils.store.files import damaged_files, read_json, sha256_file
from utils.store.fingerprints import numbers_fingerprint

MADE_FROM = ("--code", "of the script", "--inputs", "requirements.lock")
LEFT = {"executed.ipynb", "manifest.json", "checksums.json"}
FINISH = """
# What a real notebook's run.finish() does.
from pathlib import Path
(Path(run_dir) / "manifest.json").write_text(f'{{"study": "{study}", "seed": {seed}}}')
"""


def run(notebook, folder, say=lambda line: None):
    parameters = {
        "study": "one",
        "profile": "quick",
        "seed": 3,
        "run_dir": os.path.relpath(folder, notebook.parent),
    }
    run_notebook(notebook, parameters, folder, say)


def test_a_notebook_is_executed_with_its_parameters(tmp_path):
    talk = 'print("epoch 1/1: loss 0.5", flush=True)\nprint("chatter")\nprint("features 5/5")'
    here = "import os\nassert os.path.basename(os.getcwd()) == 'notebooks'"
    python = f"import sys\nassert sys.executable == {sys.executable!r}"
    notebook = write_notebook(tmp_path / "notebooks/01.py", here, python, talk, FINISH)
    before = notebook.read_bytes()
    folder = tmp_path / "runs/quick/one"
    folder.mkdir(parents=True)
    (folder / "failed.ipynb").write_text("of an earlier run")
    said = []
    run(notebook, folder, said.append)
    assert said == ["epoch 1/1: loss 0.5", "features 5/5"]
    assert {path.name for path in folder.iterdir()} == LEFT
    manifest = read_json(folder / "manifest.json")
    assert (manifest["study"], manifest["seed"]) == ("one", 3)
    assert "chatter" in (folder / "executed.ipynb").read_text()
    assert str(tmp_path) not in (folder / "executed.ipynb").read_text()
    assert notebook.read_bytes() == before


def test_a_default_that_somebody_saved_reaches_no_result(tmp_path):
    """Every name of the parameters cell is given a value, and the manifest has them all."""
    saved = PARAMETERS.replace("seed = 0", "seed = 7") + "\nn_clusters: int = 5\na, b = 1, 2"
    check = "assert (seed, n_clusters, a, b) == (3, None, None, None)"
    notebook = write_notebook(tmp_path / "notebooks/01.py", check, FINISH, parameters=saved)
    # What JupyterLab saved beside the script is not executed.
    notebook.with_suffix(".ipynb").write_text("{}")
    folder = tmp_path / "run"
    run(notebook, folder)
    given = {"study": "one", "profile": "quick", "seed": 3, "run_dir": "../run"}
    others = dict.fromkeys(("n_clusters", "a", "b"))
    assert read_json(folder / "manifest.json")["parameters"] == given | others
    executed = (folder / "executed.ipynb").read_text()
    assert "n_clusters = None" in executed and "n_clusters = 5" not in executed


def test_the_time_in_the_manifest_is_that_of_the_whole_execution(tmp_path):
    claim = (
        FINISH
        + """
import json
file = Path(run_dir) / "manifest.json"
file.write_text(json.dumps(json.loads(file.read_text()) | {"seconds": -1, "finished": "never"}))
"""
    )
    run(write_notebook(tmp_path / "notebooks/01.py", claim), tmp_path / "run")
    manifest = read_json(tmp_path / "run/manifest.json")
    assert manifest["seconds"] > 0
    assert manifest["started"] <= manifest["finished"] < "never"


def test_a_run_begins_with_what_is_not_its_own_alone(tmp_path):
    ours = ("metrics.csv", "tables/a.csv", "executed.ipynb", "checksums.json", "error.json")
    others = ("notes.txt", "tables/mine.csv", ".hidden", "../precious")
    for name in (*ours, *others):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text(name)
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text('{"files": ["metrics.csv", "tables/a.csv", "gone.csv", "../precious"]}')
    notebook_module._empty(tmp_path / "run")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"run/notes.txt", "run/tables/mine.csv", "run/.hidden", "precious"}
    for text in ("", "[]", '{"files": 3}', '{"files": [3]}', "\x00"):
        manifest.write_text(text)
        notebook_module._empty(tmp_path / "run")
        assert not manifest.exists() and (tmp_path / "run/notes.txt").exists()


@pytest.mark.parametrize("name", ["a {brace}", "{seed}", "100%20 {}"])
def test_a_folder_of_any_name_has_its_notebook(tmp_path, name):
    """Papermill takes braces in a path for parameters."""
    notebook = write_notebook(tmp_path / name / "01.py", FINISH)
    given = {"study": "one", "profile": "quick", "seed": 0, "run_dir": "run"}
    run_notebook(notebook, given, tmp_path / name / "run", print)
    assert (tmp_path / name / "run" / "executed.ipynb").is_file()


def test_a_failing_cell_is_named_and_the_partial_notebook_kept(
    tmp_path, monkeypatch, capsys, elsewhere
):
    notebook = write_notebook(
        tmp_path / "notebooks/01.py",
        'print("before")',
        '# why\nx = 1\nraise ValueError("two\\nlines")',
        FINISH,
    )
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    elsewhere(tmp_path)
    (tmp_path / "requirements.lock").write_text("numpy==1.0")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # the tests' own handlers stay
    options = ["--study", "one", "--profile", "quick", "--seed", "3", "--run-dir", str(folder)]
    assert main(["01", *options, *MADE_FROM]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{MARK}start 01 · one · seed 3",
        f"{MARK}failed 01 · one · seed 3 failed in cell [4] `x = 1`: ValueError: two lines; "
        f"the executed cells are in {folder / 'failed.ipynb'}",
    ]
    assert read_json(folder / "error.json") == {
        "notebook": "01",
        "study": "one",
        "seed": 3,
        "cell": 4,
        "source": "x = 1",
        "error": "ValueError: two lines",
    }
    # No manifest of an earlier run is left to vouch for this one.
    assert {path.name for path in folder.iterdir()} == {"error.json", "failed.ipynb"}
    assert "before" in (folder / "failed.ipynb").read_text()
    assert notebook.is_file()


def test_a_diverged_training_is_recorded_as_a_failed_seed(tmp_path, monkeypatch, capsys, elsewhere):
    """It is a finding about the protocol: the other seeds and the report go on."""
    diverge = (
        "from utils.representations.training import TrainingError\n"
        "raise TrainingError('the loss became nan')"
    )
    write_notebook(tmp_path / "notebooks/01.py", diverge, FINISH)
    folder = tmp_path / "run"
    elsewhere(tmp_path)
    (tmp_path / "requirements.lock").write_text("numpy==1.0")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    options = ["--study", "one", "--profile", "quick", "--seed", "3", "--run-dir", str(folder)]
    assert main(["01", *options, *MADE_FROM]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{MARK}say 01 · one · seed 3: TrainingError: the loss became nan",
        f"{MARK}done 01 · one · seed 3",
    ]
    assert {path.name for path in folder.iterdir()} == LEFT
    manifest = Manifest.model_validate(read_json(folder / "manifest.json"))
    assert manifest.failed == "the loss became nan"
    assert (manifest.notebook, manifest.study, manifest.seed) == ("01", "one", 3)
    assert read_json(folder / "manifest.json")["made_from"]["code"] == "of the script"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [None, None, None]),
        (["--threads", "2"], ["2", None, None]),
        (["--threads", "1", "--training-threads", "2"], ["1", "2", "PASSIVE"]),
    ],
)
def test_a_kernel_computes_with_the_threads_it_is_given(
    tmp_path, monkeypatch, options, expected, elsewhere
):
    names = ["OMP_NUM_THREADS", "TRAINING_THREADS", "OMP_WAIT_POLICY"]
    # A copy, so that nothing set here stays; without what the machine has set.
    kept = {name: value for name, value in os.environ.items() if name not in names}
    monkeypatch.setattr(os, "environ", kept)
    given = f"import os\nassert [os.environ.get(name) for name in {names}] == {expected}"
    write_notebook(tmp_path / "notebooks/01.py", given, FINISH)
    elsewhere(tmp_path)
    (tmp_path / "requirements.lock").write_text("numpy==1.0")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # the tests' own handlers stay
    required = ["--study", "one", "--profile", "quick", "--seed", "0", *MADE_FROM]
    assert main(["01", *required, "--run-dir", str(tmp_path / "run"), *options]) == 0
    manifest = read_json(tmp_path / "run" / "manifest.json")
    lock = {"requirements.lock": sha256_file(tmp_path / "requirements.lock")}
    numbers = numbers_fingerprint(tmp_path / "notebooks/01.py")
    made_from = {"code": "of the script", "numbers": numbers, "inputs": lock, "definitions": {}}
    assert manifest["made_from"] == made_from
    assert not damaged_files(tmp_path / "run")


def test_a_dead_kernel_is_reported_with_its_cell(tmp_path):
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    notebook = write_notebook(tmp_path / "01.py", FINISH, kill, "x = 2")
    with pytest.raises(NotebookFailed) as failed:
        run(notebook, tmp_path / "run")
    failure = failed.value.failure
    assert (failure.cell, failure.source) == (4, "import os, signal")
    assert "kernel died" in failure.error
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"failed.ipynb"}


def test_a_missing_manifest_is_a_failure(tmp_path):
    notebook = write_notebook(tmp_path / "01.py", "x = 1")
    with pytest.raises(NotebookFailed, match=r"without its manifest\.json"):
        run(notebook, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"failed.ipynb"}


def test_a_notebook_that_would_ignore_a_parameter_is_refused(tmp_path):
    notebook = write_notebook(tmp_path / "01.py", FINISH, parameters="study = 'default'")
    with pytest.raises(NotebookFailed, match="does not set profile, run_dir, seed"):
        run(notebook, tmp_path / "run")


def test_sigterm_stops_the_kernel_and_leaves_no_half_notebook(tmp_path):
    say_pid = "import os, time\nprint('epoch', os.getpid(), flush=True)\ntime.sleep(60)"
    notebook = write_notebook(tmp_path / "01.py", say_pid)
    code = (
        "import pathlib, signal, sys\n"
        "from commands import notebook as runner\n"
        "signal.signal(signal.SIGTERM, runner._exit_on_sigterm)\n"
        "values = dict(study='one', profile='quick', seed=0, run_dir='run')\n"
        "notebook, folder = map(pathlib.Path, sys.argv[1:])\n"
        "runner.run_notebook(notebook, values, folder, lambda line: print(line, flush=True))\n"
    )
    command = [sys.executable, "-c", code, str(notebook), str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        kernel = int(process.stdout.readline().removeprefix("epoch "))
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 128 + 15
    for _ in range(100):
        if not is_running(kernel):
            break
        time.sleep(0.05)
    assert not is_running(kernel)
    assert list((tmp_path / "run").iterdir()) == []


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_progress_lines_may_come_in_pieces():
    said = []
    lines = _ProgressLines(said.append)
    for piece in ("epo", "ch 1", "\nnoise\nfeatures 1/2\nepoch 2", "\n", "epoch 3"):
        lines.write(piece)
    assert said == ["epoch 1", "features 1/2", "epoch 2"]


def test_a_runner_compiles_no_grammars_and_still_refuses_a_malformed_notebook():
    code = """
import sys
from report.notebook_format import skip_iri_grammars
skip_iri_grammars()
import nbformat, papermill
assert "lark" not in sys.modules
try:
    nbformat.validate({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]})
except nbformat.ValidationError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "refused\n", done.stderr
