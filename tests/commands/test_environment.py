"""The lock, the files that repeat it, and the scripts that make the environment from it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from commands import environment
from utils.config import strict_yaml
from utils.places import ROOT

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


def test_uv_is_exact_and_hashed():
    name, *hashes = (ROOT / "requirements-uv.lock").read_text("utf-8").splitlines()[1:]
    assert re.fullmatch(r"uv==[0-9.]+ \\", name)
    assert hashes
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)


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


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-uv.lock", "environment.yml", "pyproject.toml"]
)
def test_no_index_is_named(name):
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?:|--(extra-)?index|--find-links|file:", text)


# --- the scripts ----------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A checkout in an awkward place, whose lock is empty: an installation takes no time."""
    root = tmp_path / 'it\'s a "checkout"'
    shutil.copytree(
        ROOT / "src/commands", root / "src/commands", ignore=shutil.ignore_patterns("__pycache__")
    )
    (root / "src/utils").mkdir()
    for name in ("__init__", "errors", "places"):
        shutil.copy(ROOT / f"src/utils/{name}.py", root / "src/utils")
    for name in ("environment.sh", "run_all.sh", "pyproject.toml", "requirements-uv.lock"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "config", root / "config")
    (root / "src/commands/__main__.py").write_text(
        "import sys; print('cli', sys.prefix, *sys.argv[1:])"
    )
    (root / "requirements.lock").write_text("# nothing\n")
    return root


FAKE_UV = """#!/bin/bash
echo uv "$@" >> "{tools}/calls"
if [[ $1 == venv ]]; then
    folder="${{@: -1}}"
    mkdir -p "$folder/bin" "$folder/lib/python{version}/site-packages"
    printf 'home = {home}\\nrelocatable = true\\n' > "$folder/pyvenv.cfg"
    ln -s "{home}/python{version}" "$folder/bin/python"
elif [[ $1 == pip ]]; then
    echo "Downloading something (1.0MiB)"
    if [[ -e "{tools}/uv-hangs" ]]; then touch "{tools}/hanging"; exec sleep 60; fi
    if [[ -e "{tools}/uv-says" ]]; then cat "{tools}/uv-says"; exit 2; fi
    cp "{tools}/relocatable-tool" "$(dirname "${{@: -2:1}}")/tool"
fi
"""
TOOL = 'import sys\nprint("a tool of", sys.prefix)\n'
# Makes environments whose pip is the one below; all else goes to the real Python.
FAKE_PYTHON = """#!/bin/bash
if [[ $1 == -m && $2 == venv ]]; then
    "{python}" -m venv --without-pip "$3"
    mkdir "$3/lib/python{version}/site-packages/pip"
    cp "{tools}/pip.py" "$3/lib/python{version}/site-packages/pip/__main__.py"
else
    exec "{python}" "$@"
fi
"""
FAKE_PIP = """
import pathlib, shutil, sys
tools, bin = pathlib.Path({tools!r}), pathlib.Path(sys.prefix, "bin")
what = "uv" if sys.argv[-1].endswith("requirements-uv.lock") else "all"
with (tools / "calls").open("a") as calls:
    print("pip", what, *sys.argv, file=calls)
if (tools / f"pip-{{what}}-says").exists():
    sys.exit((tools / f"pip-{{what}}-says").read_text())
if what == "uv":
    shutil.copy(tools / "uv-to-install", bin / "uv")
else:
    # As pip writes it where the path has spaces.
    head = f"#!/bin/sh\\n'\\''exec' \\"{{bin}}/python3\\" \\"$0\\" \\"$@\\"\\n' '\\''\\n"
    (bin / "tool").write_text(head + {tool!r})
    (bin / "tool").chmod(0o755)
"""


@pytest.fixture
def tools(tmp_path):
    """A folder with a stand-in for uv, whose environments are empty, and a list of its calls.

    Its files `uv-says`, `pip-uv-says` and `pip-all-says` let the stand-ins fail with a message.
    """
    folder = tmp_path / "tools"
    folder.mkdir()
    names = {
        "tools": str(folder),
        "python": sys.executable,
        "home": str(Path(sys._base_executable).parent),
        "version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "tool": TOOL,
    }
    for name, text in (("uv", FAKE_UV), ("python", FAKE_PYTHON), ("pip.py", FAKE_PIP)):
        (folder / name).write_text(text.format(**names))
        (folder / name).chmod(0o755)
    (folder / "relocatable-tool").write_bytes(environment.SCRIPT_HEAD + TOOL.encode())
    (folder / "relocatable-tool").chmod(0o755)
    return folder


def surroundings(tools):
    return os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": sys.executable}


def run_all(checkout, tools, *arguments, shell=(), program="run_all.sh", cwd="/", **variables):
    return subprocess.run(
        [*shell, checkout / program, *arguments],
        cwd=cwd,
        env=surroundings(tools) | variables,
        capture_output=True,
        text=True,
    )


def calls(tools):
    """List what was asked of the stand-ins: `uv venv`, `uv pip`, `pip uv`, `pip all`."""
    if not (tools / "calls").exists():
        return []
    lines = (tools / "calls").read_text().splitlines()
    return [" ".join(line.split()[:2]) for line in lines if "--version" not in line]


def files_of(environment):
    return {path: path.lstat().st_mtime_ns for path in environment.rglob("*")}


def tool_of(environment):
    said = subprocess.run([environment / "bin/tool"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def test_the_environment_is_made_once_for_a_lock(checkout, tools):
    out = checkout / "a b"
    first = run_all(checkout, tools, "--out", out, "--", "--x y")
    assert (first.returncode, first.stderr) == (0, "")
    said, progress, ready, cli = first.stdout.splitlines()
    assert said.startswith("making .venv from requirements.lock with Python 3.")
    assert re.fullmatch("  0 of 1 MB downloaded, 0 of 0 packages installed, [0-9]+ s", progress)
    assert re.fullmatch("the environment is ready after [0-9]+ s", ready)
    assert cli == f"cli {checkout / '.venv'} --out {out} -- --x y"
    assert calls(tools) == ["uv venv", "uv pip"]
    assert tool_of(checkout / ".venv") == f"a tool of {checkout / '.venv'}"

    before = files_of(checkout / ".venv")
    second = run_all(checkout, tools)
    assert second.stdout == f"cli {checkout / '.venv'}\n"
    assert calls(tools) == ["uv venv", "uv pip"]
    assert files_of(checkout / ".venv") == before

    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert "making .venv" in run_all(checkout, tools).stdout
    assert calls(tools) == ["uv venv", "uv pip"] * 2
    assert not list(checkout.glob(".venv.*"))


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_moved_checkout_keeps_its_environment(checkout, tools, installer):
    if installer == "pip":
        (tools / "uv-says").touch()
    assert install(checkout, tools).returncode == 0
    assert tool_of(checkout / ".venv") == f"a tool of {checkout / '.venv'}"
    moved = checkout.rename(checkout.with_name("moved"))
    made = calls(tools)
    said = run_all(moved, tools).stdout.splitlines()
    assert said == [
        "rewriting the paths in .venv, which was made in another folder",
        f"cli {moved / '.venv'}",
    ]
    assert run_all(moved, tools).stdout == f"cli {moved / '.venv'}\n"
    assert calls(tools) == made
    assert tool_of(moved / ".venv") == f"a tool of {moved / '.venv'}"
    for path in (moved / ".venv").rglob("*"):
        if path.suffix == ".pyc":
            continue  # names its source for tracebacks only, and Python corrects it on import
        assert not path.is_file() or os.fsencode(checkout) not in path.read_bytes(), path


def test_a_link_to_an_environment_elsewhere_is_replaced_not_followed(checkout, tools):
    elsewhere = checkout.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    (checkout / ".venv").symlink_to(elsewhere)
    assert run_all(checkout, tools).returncode == 0
    assert not (checkout / ".venv").is_symlink()
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]


UNREACHABLE = "error: Failed to fetch x: error sending request: dns error\n"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("error: no match for numpy\nhint: none\n", "error: no match for numpy"),
        ("error: No space left on device (os error 28)\n", "no space left on the disk"),
        (UNREACHABLE, "the package index cannot be reached"),
        (f"ERROR: none of {'1.0, ' * 500}", "… (log: "),
    ],
)
def test_a_failed_installation_is_one_line(checkout, tools, said, complaint):
    for name in ("uv-says", "pip-all-says"):
        (tools / name).write_text(said)
    failed = install(checkout, tools)
    assert failed.returncode == 1
    assert failed.stderr.startswith("run_all.sh: ")
    assert failed.stderr.count("\n") == 1
    assert complaint in failed.stderr
    assert not list(checkout.glob(".venv*"))


def test_a_failed_installation_leaves_the_old_environment(checkout, tools):
    run_all(checkout, tools)
    before = files_of(checkout / ".venv")
    lock = checkout / "requirements.lock"
    lock.write_text("# changed\n")
    (tools / "uv-says").write_text("error: No space left on device (os error 28)\n")
    assert run_all(checkout, tools).returncode == 1
    assert files_of(checkout / ".venv") == before
    assert not (checkout / ".venv.new").exists()

    (tools / "uv-says").unlink()
    lock.write_text("# nothing\n")
    assert run_all(checkout, tools).stdout == f"cli {checkout / '.venv'}\n"
    lock.write_text("# changed\n")
    again = run_all(checkout, tools)
    assert again.returncode == 0
    assert "making .venv" in again.stdout


def test_a_swap_that_was_stopped_is_finished(checkout, tools):
    run_all(checkout, tools)
    for name in (".venv.new", ".venv.old"):
        (checkout / ".venv").rename(checkout / name)
        assert run_all(checkout, tools).stdout.endswith(f"cli {checkout / '.venv'}\n")
        assert not list(checkout.glob(".venv.*"))
    assert calls(tools) == ["uv venv", "uv pip"]


def test_two_shells_make_one_environment(checkout, tools):
    both = [
        subprocess.Popen(
            [checkout / "run_all.sh"], env=surroundings(tools), stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert all(f"cli {checkout / '.venv'}" in output for output in outputs)
    assert calls(tools).count("uv pip") == 1


def test_ctrl_c_during_the_installation_and_again_is_one_line(checkout, tools):
    (tools / "uv-hangs").touch()
    process = subprocess.Popen(
        [checkout / "run_all.sh"],
        env=surroundings(tools),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tools / "hanging").exists():
        assert process.poll() is None
        time.sleep(0.01)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert complaint == "run_all.sh: stopped: the next call reuses the downloads\n"

    (tools / "uv-hangs").unlink()
    assert run_all(checkout, tools).stdout.endswith(f"cli {checkout / '.venv'}\n")
    assert not list(checkout.glob(".venv.*"))


@pytest.mark.parametrize("version", ["3.9", "none"])
def test_an_old_python_is_one_line_and_leaves_nothing(checkout, tools, version):
    python = tools / "python"
    answer = f'*print\\(\\"is*) echo is {version};;' if version != "none" else ""
    refuse = "*executable*) exit 0;;" if version != "none" else ""
    python.write_text(f'#!/bin/sh\ncase "$*" in {refuse} {answer} *) exit 1;; esac\n')
    python.chmod(0o755)
    refused = run_all(checkout, tools, PYTHON=str(python))
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("run_all.sh: Python too old: 3.11 or later is needed (")
    assert (f"is {version}" if version != "none" else "does not run") in refused.stderr
    assert not (checkout / ".venv").exists()


# --- where uv is missing --------------------------------------------------------------------------


def install(checkout, tools, before=""):
    """Make the environment with stand-ins for Python and its pip, as run_all.sh would."""
    program = f"""
import sys
sys.path.insert(0, {str(checkout / "src")!r})
sys.executable = {str(tools / "python")!r}
from commands import environment
{before}
sys.exit(environment.main("run_all.sh"))
"""
    return subprocess.run(
        [sys.executable, "-I", "-c", program],
        env=surroundings(tools) | {"PYTHON": ""},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def without_uv(tools):
    """No uv that runs; pip can install one."""
    (tools / "uv").rename(tools / "uv-to-install")
    (tools / "uv").write_text("#!/bin/sh\nexit 1\n")
    (tools / "uv").chmod(0o755)
    return tools


def test_a_missing_uv_is_installed_once_with_its_hashes(checkout, without_uv):
    made = install(checkout, without_uv)
    assert (made.returncode, made.stderr) == (0, "")
    assert calls(without_uv) == ["pip uv", "uv venv", "uv pip"]
    command = (without_uv / "calls").read_text().splitlines()[0]
    assert "--require-hashes" in command and "--only-binary" in command

    (checkout / "requirements.lock").write_text("# changed\n")
    assert install(checkout, without_uv).returncode == 0
    assert calls(without_uv) == ["pip uv", *["uv venv", "uv pip"] * 2]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("WARNING: Connection broken: IncompleteRead(3 of 9)\nERROR: no uv", "a download was cut"),
        ("ERROR: No matching distribution found for uv==1", "No matching distribution"),
    ],
)
def test_without_the_wheel_of_uv_pip_goes_on(checkout, without_uv, said, reason):
    (without_uv / "pip-uv-says").write_text(said)
    made = install(checkout, without_uv)
    assert (made.returncode, made.stderr) == (0, "")
    assert calls(without_uv) == ["pip uv", "pip all"]
    assert reason in made.stdout
    assert "continuing with pip" in made.stdout


def test_where_uv_fails_pip_goes_on(checkout, tools):
    (tools / "uv-says").write_text(UNREACHABLE)
    made = install(checkout, tools)
    assert (made.returncode, made.stderr) == (0, "")
    assert calls(tools) == ["uv venv", "uv pip", "pip all"]
    assert run_all(checkout, tools).stdout == f"cli {checkout / '.venv'}\n"


def test_no_network_and_no_environment_is_one_line_and_the_next_call_goes_on(checkout, without_uv):
    for what in ("uv", "all"):
        (without_uv / f"pip-{what}-says").write_text(
            "WARNING: Retrying after: Failed to establish a new connection: [Errno -2] Name or "
            "service not known\nERROR: No matching distribution found"
        )
    refused = install(checkout, without_uv)
    assert refused.returncode == 1
    assert refused.stderr.startswith("run_all.sh: the package index cannot be reached")
    assert refused.stderr.count("\n") == 1
    for what in ("uv", "all"):
        (without_uv / f"pip-{what}-says").unlink()
    assert install(checkout, without_uv).returncode == 0


def test_a_python_without_ensurepip_is_one_line(checkout, without_uv):
    refused = install(checkout, without_uv, "environment._has_pip = lambda: False")
    assert refused.returncode == 1
    assert "cannot make environments: install python3-venv" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert install(checkout, without_uv).returncode == 0


def test_a_full_disk_half_way_gives_its_space_back(checkout, tools):
    fills = """
def write(*_):
    raise OSError(28, "No space left on device", "x")
environment._write = write
"""
    refused = install(checkout, tools, fills)
    assert refused.returncode == 1
    assert "no space left on the disk" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list(checkout.glob(".venv*"))
    assert install(checkout, tools).returncode == 0


# --- progress -------------------------------------------------------------------------------------

UV_SAID = (
    "Resolved 3 packages in 1s",
    "Downloading torch (1.5GiB)",
    "Downloading numpy (16.0MiB)",
    " Downloaded numpy",
)
PIP_SAID = (
    "Ignoring x: markers 'python_version < \"3\"' don't match your environment",
    "Collecting numpy==2.2.6",
    "  Downloading numpy-2.2.6-cp311-cp311-manylinux_x86_64.whl (16.8 MB)",
    "  Downloading six-1.16.0-py2.py3-none-any.whl (11 kB)",
)


@pytest.mark.parametrize(
    ("said", "words"),
    [(UV_SAID, "17 of 1,590 MB downloaded, 1 of 3"), (PIP_SAID, "17 MB downloaded, 1 of 2")],
)
def test_progress_counts_megabytes_and_packages(tmp_path, capsys, said, words):
    (tmp_path / "requirements.lock").write_text("numpy==2.2.6 \\\n x\nsix==1 \\\n x\nx==1 \\\n")
    places = environment.Places(tmp_path)
    site = places.new / "lib/python3.11/site-packages"
    (site / "pip-1.dist-info").mkdir(parents=True)
    progress = environment.Progress(places)
    (site / "six-1.dist-info").mkdir()
    for line in said:
        progress.hear(line)
    progress.show()  # not yet
    progress.end()
    assert capsys.readouterr().out == f"  {words} packages installed, 0 s\n"


def test_a_terminal_has_one_line_that_is_rewritten(tmp_path, capsys, monkeypatch):
    (tmp_path / "requirements.lock").touch()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    progress = environment.Progress(environment.Places(tmp_path))
    progress.seconds_between = 0
    progress.show()
    progress.end()
    said = capsys.readouterr().out
    assert said.count("\r\x1b[K") == 2 and said.count("\n") == 1 and said.endswith("\n")


# --- answers before there is an environment -------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    ["--help", "--version", "images --help", "lab --help", "bench --help", "recipe", "publish -h"],
)
def test_help_needs_no_environment(checkout, tools, arguments):
    answer = run_all(checkout, tools, *arguments.split())
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout
    assert calls(tools) == []
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    "arguments",
    ["--bogus", "--studies none", "--profile huge", "images /nowhere", "bench x", "recipe x"],
)
def test_a_wrong_call_needs_no_environment(checkout, tools, arguments):
    answer = run_all(checkout, tools, *arguments.split())
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("run_all.sh: ")
    assert answer.stderr.count("\n") == 1
    assert calls(tools) == []
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("shell", [["sh"], ["bash"], ["bash", "--posix"]])
def test_any_shell_runs_it(checkout, tools, shell):
    answer = run_all(checkout, tools, "recipe", shell=shell)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "mnist-self-labelled" in answer.stdout


def test_a_link_to_it_runs_it(checkout, tools, tmp_path):
    (tmp_path / "one").symlink_to(checkout / "run_all.sh")
    (tmp_path / "two").symlink_to("one")
    answer = run_all(tmp_path, tools, "--version", program="two")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == f"{PROJECT['name']} {PROJECT['version']}\n"


def test_a_deleted_current_folder_is_said(checkout, tools, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "$0"'
    answer = subprocess.run(
        ["bash", "-c", script, checkout / "run_all.sh"],
        env=surroundings(tools),
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    # Before it, the shell itself may say so too.
    last = answer.stderr.splitlines()[-1]
    assert last == "run_all.sh: the current folder was deleted: change to another folder"
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
