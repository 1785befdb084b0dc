"""The last resort: whatever goes wrong in the command is one line, one status and a log."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest

from commands import bench, last_resort, main, recipe
from utils.places import ROOT

# A command that does what its only argument says, guarded as the real one is.
COMMAND = """
import os, sys, time
from commands import last_resort
last_resort.places.logs = lambda: last_resort.Path(sys.argv[1])
def act():
    exec(sys.argv[2])
    return 0
sys.exit(last_resort.guarded(act))
"""


def heed_signals():
    """Undo what ``nohup`` and ``&`` ask for: they start the tests with ignored signals."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(logs, code, shell="exec"):
    """Start a command from a shell, which can set limits and redirect first."""
    words = [shell, sys.executable, "-P", "-c", COMMAND, str(logs), code]
    return subprocess.Popen(
        ["bash", "-c", f'{words[0]} "$@"', "bash", *words[1:]],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )


def finish(process):
    with process:
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def assert_one_line(errors):
    assert errors.startswith("run_all.sh: ") and errors.count("\n") == 1, errors


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "unexpected ZeroDivisionError: division by zero"),
        ("raise OSError(28, 'No space left on device', 'x')", "No space left on device (x): free"),
        ("raise OSError(24, 'Too many open files')", "ulimit -n 1024"),
        ("raise MemoryError", "not enough memory"),
        (r"raise ValueError('two\nlines')", "unexpected ValueError: two lines"),
        (r"raise RuntimeError('a \x1b[31mred\x07 bell')", r"a \x1b[31mred\x07 bell"),
        ("import utils.no_such_module", "unexpected ModuleNotFoundError"),
    ],
)
def test_an_exception_is_one_line_and_its_trace_is_in_the_log(tmp_path, faults, code, said):
    faults.tried()
    status, output, errors = finish(start(tmp_path / "logs", code))
    assert (status, output) == (1, "")
    assert_one_line(errors)
    assert said in errors
    log = errors.rstrip().partition("; log: ")[2]
    (written,) = (tmp_path / "logs").iterdir()
    assert log == str(written) and "Traceback (most recent call last)" in written.read_text()
    faults.survived()


def test_without_a_place_for_logs_the_trace_goes_to_a_temporary_file(tmp_path, faults):
    (tmp_path / "logs").write_text("a file")
    (tmp_path / "tmp").mkdir()
    faults.tried()
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMMAND, str(tmp_path / "logs"), "1 / 0"],
        env=env,
        capture_output=True,
        text=True,
    )
    assert_one_line(done.stderr)
    (written,) = (tmp_path / "tmp").iterdir()
    assert str(written) in done.stderr and "ZeroDivisionError" in written.read_text()
    faults.survived()


def test_where_nothing_can_be_written_the_line_says_so(tmp_path, faults):
    faults.tried()
    shell = "trap '' XFSZ; ulimit -f 0; exec"
    status, _, errors = finish(start(tmp_path / "logs", "1 / 0", shell))
    assert status == 1
    assert_one_line(errors)
    assert "division by zero; its trace could not be written (" in errors
    assert not list((tmp_path / "logs").iterdir())
    faults.survived()


ALLOW = "from commands.process import allow_open_files, resource; allow_open_files(); "


def test_too_few_open_files_are_one_line_with_the_remedy(tmp_path, faults):
    faults.tried()
    status, _, errors = finish(start(tmp_path / "logs", ALLOW, "ulimit -n 48; exec"))
    assert status == 1
    assert_one_line(errors)
    assert "only 48 open files are allowed" in errors and "ulimit -n 1024" in errors
    faults.survived()


def test_a_soft_limit_of_open_files_is_raised(tmp_path, faults):
    code = f"{ALLOW} print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    faults.tried()
    assert finish(start(tmp_path, code, "ulimit -Sn 48; exec")) == (0, "1024\n", "")
    faults.survived()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line(tmp_path, faults, number):
    code = "print('begun', flush=True); time.sleep(60)"
    faults.tried()
    process = start(tmp_path, code)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    status, _, errors = finish(process)
    assert status == 130
    assert errors == f"run_all.sh: {last_resort.STOPPED}\n"
    faults.survived()


def test_a_signal_that_is_ignored_stays_so(tmp_path, faults):
    """Nohup asks for it."""
    code = "print('begun', flush=True); time.sleep(0.3); print('done')"
    faults.tried()
    process = start(tmp_path, code, "trap '' HUP; exec")
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGHUP)
    assert finish(process) == (0, "done\n", "")
    faults.survived()


def test_output_that_nobody_reads_is_one_line(tmp_path, faults):
    faults.tried()
    code = "for _ in range(10**6): print('words', flush=True)"
    process = start(tmp_path, code)
    process.stdout.readline()
    process.stdout.close()
    with process:
        errors = process.stderr.read()
    assert process.returncode == 141
    assert_one_line(errors)
    assert "nobody reads the output" in errors
    faults.survived()


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ("exec >&-", 0),
        ("exec <&-", 0),
        ("exec >&- 2>&-", 0),
        ("exec >/dev/full", 1),
        ("exec 2>/dev/full", 0),
    ],
)
def test_streams_that_are_closed_or_full(tmp_path, faults, shell, status):
    """What is opened next must not take a closed stream's number."""
    code = "print('words'); file = open(os.devnull); assert file.fileno() > 2"
    faults.tried()
    found, output, errors = finish(start(tmp_path / "logs", code, f"{shell}; exec"))
    assert found == status
    assert output == ("" if ">" in shell and "2>/" not in shell else "words\n")
    assert "Exception ignored" not in errors and errors.count("\n") == status
    faults.survived()


def test_a_child_has_the_streams_that_the_caller_closed(tmp_path, faults):
    """A notebook's kernel does not start without them."""
    child = "import sys; sys.exit(sys.stdout is None or sys.stdin is None)"
    code = f"import subprocess; sys.exit(subprocess.call([sys.executable, '-c', {child!r}]))"
    faults.tried()
    status, _, errors = finish(start(tmp_path, code, "exec <&- >&-; exec"))
    assert (status, errors) == (0, "")
    faults.survived()


def test_names_do_not_steer_the_terminal(tmp_path, faults):
    code = r"print('a\x1b]0;title\x07b\rc\u202egpj.png', 'd\te\nf')"
    faults.tried()
    _, output, errors = finish(start(tmp_path, code))
    assert output == "a\\x1b]0;title\\x07b\\x0dc\\u202egpj.png d\te\nf\n"
    assert errors == ""
    faults.survived()


def test_an_interrupt_during_the_imports_is_one_line(tmp_path, faults):
    """The interrupt comes while the command line's own modules are imported."""
    (tmp_path / "commands").mkdir()
    for name in ("__init__", "__main__", "arguments", "last_resort"):
        shutil.copy(ROOT / f"src/commands/{name}.py", tmp_path / "commands")
    slow = "import time; print('importing', flush=True); time.sleep(60)"
    (tmp_path / "commands/main.py").write_text(slow)
    faults.tried()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "commands"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    status, _, errors = finish(process)
    assert (status, errors) == (130, f"run_all.sh: {last_resort.STOPPED}\n")
    faults.survived()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
@pytest.mark.parametrize("part", ["recipe", "bench"])
def test_every_subcommand_is_guarded(faults, monkeypatch, tmp_path, capsys, part, error, elsewhere):
    def fail(*_):
        raise error

    elsewhere(runs=tmp_path)
    monkeypatch.setattr(recipe, "act", fail)
    monkeypatch.setattr(bench, "act", fail)
    faults.tried()
    words = {"recipe": ["recipe", "mnist-pixels"], "bench": ["bench", "growth"]}
    status = main.main(words[part])
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert_one_line(capsys.readouterr().err)
    faults.survived()
