"""The lock, the files that repeat it, and the scripts that make the environment from it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from utils import strict_yaml
from utils.config import ROOT

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = ("3.11", "3.12", "3.13")


def entries():
    """Return the lock's entries: the requirement, and the lines of its hashes."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)
    pairs = [block.replace("\\\n", "\n").split("\n", 1) for block in blocks if block.strip()]
    return {requirement.strip(): hashes.split() for requirement, hashes in pairs}


def holds(requirement, python):
    """Say whether a requirement applies to Linux on x86-64 with that Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    marker = requirement.marker
    return marker is None or Marker(str(marker)).evaluate(environment)


def test_every_entry_is_exact_and_hashed():
    assert len(entries()) > 100
    for requirement, hashes in entries().items():
        assert re.search(r"==[^*,]+$", requirement.split(";")[0].strip()), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text) for text in hashes)


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_is_locked_once_for_each_python(python):
    locked = [Requirement(text) for text in entries()]
    names = [canonicalize_name(found.name) for found in locked if holds(found, python)]
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    for dependency in wanted:
        assert names.count(canonicalize_name(Requirement(dependency).name)) == 1, dependency
    assert len(names) == len(set(names))


def test_the_conda_environment_has_the_same_pins():
    content = strict_yaml.parse((ROOT / "environment.yml").read_bytes()).content
    packages = next(entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    assert packages[0] == "--editable ."  # the module `utils`
    assert packages[1:] == list(entries()), "the head of environment.yml says how to update it"
    python = next(str(d) for d in content["dependencies"] if str(d).startswith("python "))
    allowed = Requirement(python.replace("python ", "python")).specifier
    assert all(f"{version}.0" in allowed for version in PYTHONS)
    assert "3.14.0" not in allowed
    assert f"{sys.version_info.major}.{sys.version_info.minor}.0" in allowed


def test_every_text_file_has_the_same_line_ends_on_every_machine():
    """Also in a clone that turns line ends into those of Windows, where bash reads ``bash\\r``."""
    listed = subprocess.run(
        ["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [line.partition("\t") for line in listed.stdout.splitlines()]
    assert files
    for kinds, _, name in files:
        in_git, _, attributes = kinds.split(maxsplit=2)
        is_text = "eol=lf" in attributes and "-text" not in attributes
        assert (in_git in ("i/lf", "i/none")) == is_text, name


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml", "pyproject.toml"])
def test_no_index_is_named(name):
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?:|--(extra-)?index|--find-links|file:", text)


# --- the scripts ----------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A checkout in an awkward place, whose lock is empty: an installation takes no time."""
    root = tmp_path / 'it\'s a "checkout"'
    (root / "src" / "utils").mkdir(parents=True)
    for name in ("environment.sh", "run_all.sh"):
        shutil.copy(ROOT / name, root)
    (root / "src/utils/__init__.py").touch()
    (root / "src/utils/cli.py").write_text("import sys; print('cli', sys.prefix, *sys.argv[1:])")
    (root / "requirements.lock").write_text("# nothing\n")
    return root


@pytest.fixture
def tools(tmp_path):
    """A folder with a stand-in for uv, whose environments are empty, and a list of its calls."""
    folder = tmp_path / "tools"
    folder.mkdir()
    uv = folder / "uv"
    uv.write_text(
        f"""#!/bin/bash
echo "$@" >> "{folder}/calls"
if [[ $1 == venv ]]; then "{sys.executable}" -m venv --without-pip "${{@: -1}}"; fi
if [[ $1 == pip ]]; then
    echo "Downloading something (1 MiB)"
    if [[ $FAIL_WITH ]]; then cat "$FAIL_WITH"; exit 2; fi
fi
"""
    )
    uv.chmod(0o755)
    return folder


def run_all(checkout, tools, *arguments, **variables):
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": sys.executable}
    return subprocess.run(
        [checkout / "run_all.sh", *arguments],
        cwd="/",
        env=environment | {"FAIL_WITH": ""} | variables,
        capture_output=True,
        text=True,
    )


def calls(tools):
    return [line.split()[0] for line in (tools / "calls").read_text().splitlines()]


def test_the_environment_is_made_once_for_a_lock(checkout, tools):
    first = run_all(checkout, tools, "a b", "--x")
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0].startswith("making .venv from requirements.lock with uv and Python 3.")
    assert lines[1:] == [
        "  Downloading something (1 MiB)",
        lines[2],
        f"cli {checkout / '.venv'} a b --x",
    ]
    assert re.fullmatch(r"the environment is ready after \d+ s", lines[2])
    made = calls(tools)
    assert made.count("pip") == 1

    files = {path: path.stat().st_mtime_ns for path in (checkout / ".venv").rglob("*")}
    second = run_all(checkout, tools)
    assert second.stdout == f"cli {checkout / '.venv'}\n"
    assert calls(tools) == made
    assert files == {path: path.stat().st_mtime_ns for path in (checkout / ".venv").rglob("*")}

    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert "making .venv" in run_all(checkout, tools).stdout
    assert calls(tools).count("pip") == 2


def test_a_moved_checkout_gets_a_new_environment(checkout, tools):
    run_all(checkout, tools)
    moved = checkout.rename(checkout.with_name("moved"))
    assert "making .venv" in run_all(moved, tools).stdout
    assert run_all(moved, tools).stdout == f"cli {moved / '.venv'}\n"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("error: no match for numpy\nhint: none\n", "error: no match for numpy"),
        ("error: No space left on device (os error 28)\n", "no space left on the disk"),
    ],
)
def test_a_failed_installation_is_one_line_and_done_again(checkout, tools, said, complaint):
    (tools / "message").write_text(said)
    failed = run_all(checkout, tools, FAIL_WITH=str(tools / "message"))
    assert failed.returncode == 1
    assert failed.stderr.startswith("run_all.sh: ")
    assert failed.stderr.count("\n") == 1
    assert complaint in failed.stderr
    again = run_all(checkout, tools)
    assert again.returncode == 0
    assert "making .venv" in again.stdout


def test_two_shells_make_one_environment(checkout, tools):
    command = [checkout / "run_all.sh"]
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": sys.executable}
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert all(f"cli {checkout / '.venv'}" in output for output in outputs)
    assert calls(tools).count("pip") == 1


@pytest.mark.parametrize("version", ["3.9", "none"])
def test_an_old_python_is_one_line_and_leaves_nothing(checkout, tools, version):
    python = tools / "python"
    answer = f"*print*) echo {version};;" if version != "none" else ""
    python.write_text(f'#!/bin/sh\ncase "$*" in {answer} *) exit 1;; esac\n')
    python.chmod(0o755)
    refused = run_all(checkout, tools, PYTHON=str(python))
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("run_all.sh: Python too old: 3.11 or later is needed (")
    assert (f"is {version}" if version != "none" else "does not run") in refused.stderr
    assert not (checkout / ".venv").exists()


# --- what pytest collects -------------------------------------------------------------------------


def test_executed_notebooks_are_never_collected(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    notebook = new_notebook(cells=[new_code_cell("1")])
    for path in ("notebooks/a.ipynb", "runs/quick/one/executed.ipynb", "reports/quick/b.ipynb"):
        (tmp_path / path).parent.mkdir(parents=True)
        nbformat.write(notebook, tmp_path / path)
    for arguments in ([], ["."]):
        collected = subprocess.run(
            [sys.executable, "-m", "pytest", "--nbval", "--collect-only", "-q", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        ).stdout
        found = {line.split("::")[0] for line in collected.splitlines() if ".ipynb" in line}
        assert {Path(name).name for name in found} == {"a.ipynb"}, collected
