"""One process that imports the heavy libraries once and forks the workflow's jobs from itself.

A notebook's libraries take longer to import than most of its cells to run. ``run_all.sh`` starts
the workflow through ``python -m commands.warm_start serve``. While Snakemake plans, that process
imports the libraries; then it forks a process for each job that asks for one with
``python -m commands.warm_start run MODULE``. Without such a process (on SLURM, or when Snakemake is
called by hand) each job imports the libraries itself. The results are the same.

Nothing is computed before a fork: a process that has started threads must not be forked.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import os
import runpy
import secrets
import selectors
import signal
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from report.notebook_format import skip_iri_grammars
from utils.store import fingerprints

# Names the socket that takes requests for forks; on Linux it is no file that could stay behind.
ADDRESS = "WARM_START"
# Libraries of the notebooks and the report, those needed first at the top.
LIBRARIES = (
    "papermill",
    "jupytext",
    "ipykernel.kernelapp",
    "numpy",
    "pandas",
    "pydantic",
    "yaml",
    "matplotlib.pyplot",
    "seaborn",
    "torch",
    "sklearn.cluster",
    "skimage.feature",
    "umap",
    "faiss",
    "timm",
    "torchvision",
)
# Libraries read these when they are imported, so a fork has the values of its parent.
READ_ON_IMPORT = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_WAIT_POLICY",
)
SECONDS_TO_ASK = 10
_PR_SET_PDEATHSIG = 1  # of sys/prctl.h: send a signal when the parent ends
# The settings under which this process, or its parent, imported the libraries.
imported_with: dict[str, str] | None = None


# --- the parent ----------------------------------------------------------------------------------


def serve(command: list[str], threads: int) -> int:
    """Run a command, and fork a process for each job that asks for one, until the command ends.

    Parameters
    ----------
    command : list of str
        Finds the address of this process in its environment.
    threads : int
        Processor cores that a fork computes with.

    Returns
    -------
    int
        The command's exit status, as a shell gives it.
    """
    if sys.platform != "linux":  # elsewhere libraries start threads that no fork survives
        return _as_a_shell(subprocess.call(command))
    name = f"warm-start-{os.getpgrp()}-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        process = subprocess.Popen(command, env=os.environ | {ADDRESS: name})
        # A signal that stops the run stops the command too; this process waits for its end.
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        _import_libraries(process, threads)
        _Parent(listener, process).work()
    return _as_a_shell(process.returncode)


def _import_libraries(process: subprocess.Popen, threads: int) -> None:
    """Import the libraries, until the command has ended.

    An import is never interrupted: some libraries abort the process then.
    """
    global imported_with
    imported_with = settings_of(threads)
    os.environ |= imported_with
    skip_iri_grammars()
    for name in LIBRARIES:
        if process.poll() is not None:
            return
        importlib.import_module(name)
    # Which packages libraries are: every notebook asks for it, and looking takes half a second.
    fingerprints.distributions()
    gc.collect()
    gc.freeze()  # so that a collection in a fork copies nothing of what is shared


def settings_of(threads: int) -> dict[str, str]:
    """Return the environment in which libraries are imported for a number of threads.

    Beside another notebook a training has more threads than free cores. Threads that spin while
    they wait for a thread without a core make it a hundred times slower, so these do not spin.
    """
    return dict.fromkeys(READ_ON_IMPORT, str(threads)) | {"OMP_WAIT_POLICY": "PASSIVE"}


class _Parent:
    """Forks jobs and returns their exit status to the processes that asked; has one thread."""

    def __init__(self, listener: socket.socket, process: subprocess.Popen) -> None:
        self._listener = listener
        self._process = process
        self._connections: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    def work(self) -> None:
        """Serve until the command has ended; then end the jobs that still run."""
        signal.set_wakeup_fd(self._waker.fileno())
        self._selector.register(self._woken, selectors.EVENT_READ, self._tell_ends)
        self._selector.register(self._listener, selectors.EVENT_READ, self._start)
        while self._process.poll() is None:
            for key, _ in self._selector.select():
                key.data()
        for pid in self._connections:
            os.kill(pid, signal.SIGTERM)

    def _start(self) -> None:
        connection, _ = self._listener.accept()
        try:
            job = Job.receive(connection)
        except (OSError, ValueError):  # the asking process ended, or is another user's
            connection.close()
            return
        pid = os.fork()
        if pid == 0:
            self._let_go()
            connection.close()
            job.become()
        job.close()
        self._connections[pid] = connection

        # Nothing more is sent: the connection ends with the process that asked.
        def stop() -> None:
            self._selector.unregister(connection)
            os.kill(pid, signal.SIGTERM)

        self._selector.register(connection, selectors.EVENT_READ, stop)

    def _tell_ends(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        for pid, connection in list(self._connections.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._connections[pid]
            with suppress(KeyError):
                self._selector.unregister(connection)
            with connection, suppress(OSError):  # the process that asked may have ended
                connection.sendall(b"%d" % _as_a_shell(os.waitstatus_to_exitcode(status)))

    def _let_go(self) -> None:
        """Close the parent's files in a fork."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        for end in (self._listener, self._woken, self._waker, *self._connections.values()):
            end.close()


# --- a job ---------------------------------------------------------------------------------------


@dataclass
class Job:
    """A program to run, and the files for its output.

    Attributes
    ----------
    module : str
        A module of this package that is a program.
    arguments : list of str
    environment : dict of str to str
    folder : str
        The current folder.
    output : tuple of int
        File descriptors of the standard output and of the standard error.
    """

    module: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    output: tuple[int, int]

    def send(self, connection: socket.socket) -> None:
        """Ask the parent for it."""
        content = asdict(self) | {"output": None}
        socket.send_fds(connection, [b"\n"], self.output)
        connection.sendall(json.dumps(content).encode() + b"\n")

    @classmethod
    def receive(cls, connection: socket.socket) -> Job:
        """Receive a job from a process of this user.

        Raises
        ------
        OSError or ValueError
            If the process is another user's, or the job is incomplete.
        """
        _require_same_user(connection)
        connection.settimeout(SECONDS_TO_ASK)
        _, output, _, _ = socket.recv_fds(connection, 1, 2)
        with connection.makefile("rb") as stream:
            job = cls(**json.loads(stream.readline()) | {"output": tuple(output)})
        connection.settimeout(None)
        return job

    def close(self) -> None:
        """Close the files for its output."""
        for descriptor in self.output:
            os.close(descriptor)

    def become(self) -> NoReturn:
        """Run it in this process, which is a fork, and end."""

        def do() -> None:
            # Without the parent nobody could receive its exit status.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            for number, descriptor in enumerate(self.output, start=1):
                os.dup2(descriptor, number)
            self.close()
            os.environ.clear()
            os.environ.update(self.environment)
            os.chdir(self.folder)
            run_here(self.module, self.arguments)

        exit_after(do)


def run(module: str, arguments: list[str]) -> int:
    """Run a program of this package in a fork of the parent, or here if there is no parent.

    Parameters
    ----------
    module : str
        Its name, without the package.
    arguments : list of str

    Returns
    -------
    int
        Its exit status.
    """
    name = os.environ.get(ADDRESS, "")
    # A job on a cluster inherits the name, but is of another group.
    if not name.startswith(f"warm-start-{os.getpgrp()}-"):
        run_here(module, arguments)
        return 0
    job = Job(module, arguments, dict(os.environ), str(Path.cwd()), (1, 2))
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"\0{name}")
            _require_same_user(connection)
            job.send(connection)
            status = connection.recv(16)
    except OSError:
        status = b""
    if not status:
        print(f"error: {module}: the process that starts it has ended", file=sys.stderr)
    return int(status or b"1")


def run_here(module: str, arguments: list[str]) -> None:
    """Run a program of this package in this process, as ``python -m`` does."""
    sys.argv[1:] = arguments
    runpy.run_module(f"{__package__}.{module}", run_name="__main__", alter_sys=True)


def exit_after(action: Callable[[], None]) -> NoReturn:
    """Call a function in a fork, and end without returning to the forked code."""
    status = 1
    try:
        action()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # the parent's own handlers must not see it
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _require_same_user(connection: socket.socket) -> None:
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    if user != os.getuid():
        raise PermissionError("the other end is another user's")


def _as_a_shell(status: int) -> int:
    """Return an exit status, or for a signal what a shell gives."""
    return status if status >= 0 else 128 - status


def main(arguments: list[str] | None = None) -> int:
    """Serve a command, or run a program; return the exit status."""
    parser = argparse.ArgumentParser(prog="commands.warm_start", allow_abbrev=False)
    kinds = parser.add_subparsers(dest="kind", required=True)
    serving = kinds.add_parser("serve")
    serving.add_argument("--threads", type=int, required=True)
    serving.add_argument("command", nargs=argparse.REMAINDER)
    running = kinds.add_parser("run")
    running.add_argument("module")
    running.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.kind == "serve":
        return serve(options.command, options.threads)
    return run(options.module, options.arguments)


if __name__ == "__main__":
    # By its name, so that a program in a fork finds the variables set here.
    from commands import warm_start

    sys.exit(warm_start.main())
