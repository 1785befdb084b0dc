"""One run at a time, the files that it may open, and its processes, which end with it."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from utils import places
from utils.errors import UserError

# With too few open files, kernels die without a reason.
OPEN_FILES_NEEDED, OPEN_FILES_WANTED = 256, 1024
SECONDS_TO_STOP = 10
SECONDS_BETWEEN_LOOKS = 0.1


def allow_open_files() -> None:
    """Raise this process's limit of open files, if necessary.

    Raises
    ------
    UserError
        If the system allows too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if allowed < OPEN_FILES_NEEDED:
        raise UserError(
            f"only {allowed} open files are allowed, and a run needs {OPEN_FILES_NEEDED}: "
            f"allow more (ulimit -n {OPEN_FILES_WANTED})"
        )
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


@contextmanager
def only_run() -> Iterator[IO[str]]:
    """Hold this checkout's lock; the workflow inherits it and holds it until it ends.

    Raises
    ------
    UserError
        If another process holds it.
    """
    places.runs().mkdir(exist_ok=True)
    with (places.runs() / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"another run is in progress in {places.root()} (process {lock.read().strip()}): "
                "wait until it ends, or stop it"
            ) from None
        lock.truncate(0)
        print(os.getpid(), file=lock, flush=True)
        yield lock


def running() -> str | None:
    """Return the number of the process that holds this checkout's lock; None without one."""
    lock = places.runs() / ".lock"
    if not lock.is_file():
        return None
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
    return None


@contextmanager
def group(command: list[str], log: IO[str], lock: IO[str]) -> Iterator[subprocess.Popen]:
    """Start a command as a process group that never outlives this block or this process.

    Its output goes to `log`. A watcher, whose input is a pipe from this process, ends the group
    even if this process is killed.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=[lock.fileno()],
    )
    try:
        with _watcher_of(process.pid):
            yield process
    except BaseException:
        _stop(process)
        raise
    finally:
        _end_group(process.pid)


@contextmanager
def _watcher_of(group: int) -> Iterator[None]:
    watcher = subprocess.Popen(
        ["bash", "-c", 'read -r; kill -- "-$0"', str(group)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()


def _end_group(group: int) -> None:
    """End the processes of a workflow that was itself killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        ends = time.monotonic() + SECONDS_TO_STOP
        with suppress(ProcessLookupError):
            os.killpg(group, number)
            while time.monotonic() < ends:
                os.killpg(group, 0)
                time.sleep(SECONDS_BETWEEN_LOOKS)


def _stop(process: subprocess.Popen) -> None:
    """End the group of `process`; its kernels are in other groups and end with their parents."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=SECONDS_TO_STOP)
            return


def lines_while(process: subprocess.Popen, file: Path) -> Iterator[str]:
    """Yield each line that is written to `file` until the process has ended."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        begun = ""
        while True:
            is_running = process.poll() is None
            for part in stream:
                begun += part
                if begun.endswith("\n"):
                    yield begun
                    begun = ""
            if not is_running:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
