"""Processes of the tests: which work in a folder, and functions that run in one of their own."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

from utils.places import ROOT

# A server imports once what takes seconds; each process is a fork of it, as good as a fresh one,
# and computes with one thread.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["killable"])
SERVER = {
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, ROOT / "src"))),
}


class Forked:
    """A function that runs in a process of its own, where it can be killed.

    It and its arguments must be picklable. `limit` is called before it, in the same process.
    """

    def __init__(self, function: Callable, *arguments, limit: Callable | None = None) -> None:
        with mock.patch.dict(os.environ, SERVER):
            forkserver.ensure_running()
        self._output, output = FORKS.Pipe(duplex=False)
        self._errors, errors = FORKS.Pipe(duplex=False)
        call = (function, arguments, limit, output, errors)
        self.process = FORKS.Process(target=_call, args=call, daemon=True)
        self.process.start()
        output.close()
        errors.close()
        self.stdout = os.fdopen(os.dup(self._output.fileno()), encoding="utf-8")

    def kill(self) -> None:
        """End it at once, wherever it is."""
        self.process.kill()
        self.process.join()

    def wait(self, timeout: float) -> tuple[int, str, str]:
        """Return how it ended (0: well), what it printed that was not read, and its errors."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, "it still runs"
        with self.stdout, os.fdopen(os.dup(self._errors.fileno()), encoding="utf-8") as errors:
            return self.process.exitcode, self.stdout.read(), errors.read()


def _call(function, arguments, limit, output, errors) -> None:
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    if limit is not None:
        limit()
    function(*arguments)


def processes_in(folder: Path) -> dict[int, str]:
    """Map each process whose current folder is `folder` or below it to its command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
            if command and (process / "cwd").readlink().is_relative_to(folder):
                found[int(process.name)] = command
    return found
