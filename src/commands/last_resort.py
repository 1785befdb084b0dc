"""The command line's last resort: whatever goes wrong ends in one line, one status and a log.

Only the standard library is imported here, so that an interrupt during the imports of the rest is
caught as well.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import datetime
from pathlib import Path
from typing import NoReturn, TextIO

from commands.arguments import PROGRAM
from utils import places

RUN_FAILED, INTERRUPTED = 1, 130
OUTPUT_CLOSED = 128 + signal.SIGPIPE
STOPPED = "stopped: what was finished is kept, the next run goes on from there"
# Characters that would steer a terminal or turn the direction of what follows; a file's name may
# have any of them. Line breaks and tabs are allowed.
_STEERING = [*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
ESCAPED = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in _STEERING
    if chr(code) not in "\n\t"
}
ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EMFILE: "allow more open files (ulimit -n 1024)",
}


def guarded(act: Callable[[], int]) -> int:
    """Call `act` and return the exit status; whatever it raises becomes a line and a status.

    Parameters
    ----------
    act : callable
        Returns an exit status. `SystemExit` passes through.

    Returns
    -------
    int
        That of `act`; 130 if a signal stopped it, 141 if nobody reads the output any more, 1 after
        any other exception. The trace of such an exception is kept in a log that the line names.
    """
    _open_standard_streams()
    with redirect_stdout(_PlainText(sys.stdout)), signals_as_interrupts():
        try:
            try:
                return act()
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt:
            return complain(STOPPED, INTERRUPTED)
        except Exception as error:
            if _drop_unwritable_output() and isinstance(error, BrokenPipeError):
                return complain(f"{STOPPED} (nobody reads the output any more)", OUTPUT_CLOSED)
            return complain(f"{explain(error)}; {_keep_trace(error)}", RUN_FAILED)


def complain(message: str, status: int) -> int:
    """Print one line of complaint and return the exit status."""
    with suppress(OSError):  # there is no other place to say it
        print(f"{PROGRAM}: {' '.join(message.split())}".translate(ESCAPED), file=sys.stderr)
    return status


def explain(error: Exception) -> str:
    """Say what went wrong in words for people."""
    if isinstance(error, OSError):
        where = "" if error.filename is None else f" ({error.filename})"
        advice = f": {ADVICE[error.errno]}" if error.errno in ADVICE else ""
        return f"{error.strerror or error}{where}{advice}; earlier results are as they were"
    if isinstance(error, MemoryError):
        return f"not enough memory ({error})" if str(error) else "not enough memory"
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _keep_trace(error: Exception) -> str:
    """Write the full trace into a log below ``runs`` or a temporary file; say which."""
    name = f"error-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    text = "".join(traceback.format_exception(error))
    try:
        return f"log: {_write_new(places.logs() / name, text)}"
    except OSError:
        try:
            return f"log: {_write_new(Path(tempfile.gettempdir()) / name, text)}"
        except OSError as reason:
            return f"its trace could not be written ({reason.strerror or reason})"


def _write_new(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only a new file: another user may have put a link into the folder of temporary files.
    with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink()
            raise
    return path


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `KeyboardInterrupt` during the block, as SIGINT does.

    One that is ignored stays so: ``nohup`` asks for it.
    """

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _PlainText:
    """A text file that writes characters that steer terminals as their codes."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(text.translate(ESCAPED))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def _open_standard_streams() -> None:
    """Give streams that were closed by the caller a place, and let no text be unprintable.

    Otherwise the next files that are opened would take the numbers of closed streams, and
    processes started from here would write into them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")


def _drop_unwritable_output() -> bool:
    """Tell whether nobody reads the output any more; let Python's exit not try to write again."""
    watched = select.poll()
    watched.register(1, 0)
    has_no_reader = any(event & select.POLLERR for _, event in watched.poll(0))
    try:
        sys.stdout.flush()
        is_writable = not has_no_reader
    except OSError:
        is_writable = False
    if not is_writable:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    return has_no_reader
