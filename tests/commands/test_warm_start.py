"""Jobs that are forked from a process that has imported the libraries."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_notebooks import write_notebook

from commands import warm_start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux only")

SERVE = """
import sys
from commands import warm_start
warm_start.LIBRARIES = tuple(sys.argv[1].split(","))
sys.exit(warm_start.serve(sys.argv[2:], threads=1))
"""
ASK = [sys.executable, "-P", "-m", "commands.warm_start", "run"]
# Programs of a package of the same name, so that the forks find them.
SAY = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ["WORD"], "decimal" in sys.modules]))
print("complaint", file=sys.stderr)
sys.exit(7)
"""
WAIT = """
import os, time
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def package(tmp_path):
    """A folder with a package `commands` that has the real parent and some small programs."""
    folder = tmp_path / "src" / "commands"
    folder.mkdir(parents=True)
    folder.joinpath("__init__.py").touch()
    folder.joinpath("warm_start.py").write_text(Path(warm_start.__file__).read_text("utf-8"))
    folder.joinpath("say.py").write_text(SAY)
    folder.joinpath("wait.py").write_text(WAIT)
    folder.joinpath("fail.py").write_text("raise ValueError('no such thing')")
    return folder.parent


def serve(package, *command, libraries="json"):
    return subprocess.Popen(
        [sys.executable, "-P", "-c", SERVE, libraries, *command],
        env=os.environ | {"PYTHONPATH": str(package), "WORD": "given"},
        cwd=package,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_job_runs_as_if_it_had_been_started_where_it_was_asked_for(package):
    with serve(package, *ASK, "say", "--a", "b", libraries="decimal") as parent:
        output, errors = parent.communicate(timeout=60)
    assert parent.returncode == 7
    assert json.loads(output) == [["--a", "b"], str(package), "given", True]
    assert errors == "complaint\n"


def test_a_job_that_fails_says_why_and_the_parent_goes_on(package):
    ask = f"{' '.join(ASK)} fail; echo $?; {' '.join(ASK)} say x; echo $?"
    with serve(package, "bash", "-c", ask) as parent:
        output, errors = parent.communicate(timeout=60)
    assert parent.returncode == 0
    first, _, last = output.splitlines()
    assert (first, last) == ("1", "7")
    assert "ValueError: no such thing" in errors


def test_without_a_parent_a_job_runs_by_itself(package):
    environment = os.environ | {"PYTHONPATH": str(package), "WORD": "given"}
    # The name of a parent that belongs to another run, as a job on a cluster inherits it.
    for name in ({}, {warm_start.ADDRESS: "warm-start-1-abc"}):
        done = subprocess.run(
            [*ASK, "say"], env=environment | name, capture_output=True, text=True, cwd=package
        )
        assert done.returncode == 7
        assert json.loads(done.stdout) == [[], str(package), "given", False]


def test_who_asked_is_killed_and_the_job_ends(package):
    with serve(package, *ASK, "wait") as parent:
        job = int(parent.stdout.readline())
        (asking,) = children_of(parent.pid) - {job}
        os.kill(asking, signal.SIGKILL)
        parent.communicate(timeout=60)
    assert parent.returncode == 128 + signal.SIGKILL
    assert ends(job)


def test_the_parent_is_killed_and_who_asked_says_so(package):
    ask = f"{' '.join(ASK)} wait; echo status $?"
    with serve(package, "bash", "-c", ask) as parent:
        job = int(parent.stdout.readline())
        parent.kill()
        output, errors = parent.communicate(timeout=60)
    assert output == "status 1\n"
    assert errors == "error: wait: the process that starts it has ended\n"
    assert ends(job)


def test_imports_stop_when_the_command_ends(package):
    """Not in the middle of one: PyTorch aborts the process then."""
    package.joinpath("slow.py").write_text("import time\ntime.sleep(1)\nprint('slow')")
    package.joinpath("late.py").write_text("print('late')")
    with serve(package, "sleep", "0.5", libraries="slow,late") as parent:
        output, _ = parent.communicate(timeout=30)
    assert (parent.returncode, output) == (0, "slow\n")


RUN = """
import os, sys
from pathlib import Path
from commands.notebook import NotebookFailed, run_notebook
os.environ.update(THREADS)
try:
    run_notebook(Path("a.ipynb").resolve(), {"run_dir": "run"}, Path("run"), print)
except NotebookFailed as failed:
    print(failed.failure.error)
"""
FINISH = "(__import__('pathlib').Path(run_dir) / 'manifest.json').write_text('{}')"


@pytest.fixture
def notebooks(tmp_path):
    """A folder whose package has this project's modules and a program that runs a notebook."""
    folder = tmp_path / "src" / "commands"
    folder.mkdir(parents=True)
    for path in Path(warm_start.__file__).parent.iterdir():
        folder.joinpath(path.name).symlink_to(path)
    return folder.parent


def run_notebook_in(notebooks, *cells, threads=1):
    settings = warm_start.settings_of(threads)
    program = RUN.replace("THREADS", repr(settings))
    notebooks.joinpath("commands/run_it.py").write_text(program)
    write_notebook(notebooks / "a.ipynb", *cells)
    return serve(notebooks, *ASK, "run_it", libraries="decimal,ipykernel.kernelapp")


@pytest.mark.parametrize(("threads", "is_fork"), [(1, True), (2, False)])
def test_a_kernel_is_a_fork_only_if_the_libraries_were_imported_as_it_needs_them(
    notebooks, threads, is_fork
):
    tell = (
        "import os, sys\n"
        "print('NOTE:', 'decimal' in sys.modules and 'commands.warm_start' in sys.modules)\n"
        "print('NOTE:', os.environ['OMP_NUM_THREADS'])"
    )
    with run_notebook_in(notebooks, tell, FINISH, threads=threads) as parent:
        output, errors = parent.communicate(timeout=60)
    assert output.splitlines() == [f"NOTE: {is_fork}", f"NOTE: {threads}"], errors
    assert (notebooks / "run/executed.ipynb").is_file()


def test_a_killed_fork_is_a_dead_kernel(notebooks):
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    with run_notebook_in(notebooks, kill, FINISH) as parent:
        output, _ = parent.communicate(timeout=60)
    assert "the kernel died: out of memory, or stopped by another process" in output


def test_a_kernel_ends_with_its_killed_runner(notebooks):
    say_pid = (
        "import os, time\nprint('NOTE:', os.getpid(), os.getppid(), flush=True)\ntime.sleep(60)"
    )
    with run_notebook_in(notebooks, say_pid) as parent:
        kernel, runner = map(int, parent.stdout.readline().split()[1:])
        os.kill(runner, signal.SIGKILL)
        parent.communicate(timeout=60)
    assert parent.returncode == 128 + signal.SIGKILL
    assert ends(kernel)


def children_of(pid):
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def ends(pid):
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
