"""Errors as people see them: one line and one exit status, and a log of what was unexpected.

Only the standard library is imported here, so that an interrupt during all other imports is caught
as well.
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

from commands.arguments import PROGRAM, WrongCall
from utils import places
from utils.errors import UserError

RUN_FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130
OUTPUT_CLOSED = 128 + signal.SIGPIPE
STOPPED = "stopped: finished parts are kept, and the next run continues from there"
# Characters that control a terminal or change the direction of text; a file's name may contain any
# of them. Line breaks and tabs are allowed.
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
    """Call `act` and return the exit status; print one line if it raises an exception.

    Parameters
    ----------
    act : callable
        Returns an exit status. `SystemExit` passes through.

    Returns
    -------
    int
        That of `act`, or of the exception (see `line_and_status`). The trace of an unexpected one
        is kept in a log that the line names.
    """
    _open_standard_streams()
    with redirect_stdout(_PlainText(sys.stdout)), signals_as_interrupts():
        try:
            try:
                return act()
            finally:
                sys.stdout.flush()
        except (KeyboardInterrupt, Exception) as error:
            line, status = line_and_status(error, has_reader=not _drop_unwritable_output())
            if status == RUN_FAILED and not isinstance(error, UserError):
                line = f"{line}; {_keep_trace(error)}"
        with suppress(OSError):  # there is no other place for it
            print(f"{PROGRAM}: {' '.join(line.split())}".translate(ESCAPED), file=sys.stderr)
        return status


def line_and_status(error: BaseException, has_reader: bool = True) -> tuple[str, int]:
    """Turn an exception into a line for people and an exit status.

    Parameters
    ----------
    error : BaseException
    has_reader : bool
        Whether somebody still reads the output.

    Returns
    -------
    tuple of str and int
        The status is 2 for a wrong call, 130 after a signal, 141 if nobody reads the output any
        more, and otherwise 1.
    """
    if isinstance(error, UserError):
        return str(error), USAGE_ERROR if isinstance(error, WrongCall) else RUN_FAILED
    if isinstance(error, KeyboardInterrupt):
        return STOPPED, INTERRUPTED
    if isinstance(error, BrokenPipeError) and not has_reader:
        return f"{STOPPED} (nobody reads the output any more)", OUTPUT_CLOSED
    return _explain(error), RUN_FAILED


def reason_of_failure(error: Exception) -> str:
    """Return the line on why a job failed; print the trace of an unexpected error to its log."""
    if not isinstance(error, UserError):
        traceback.print_exception(error)
    return " ".join(line_and_status(error)[0].split())


def _explain(error: BaseException) -> str:
    if isinstance(error, OSError):
        where = "" if error.filename is None else f" ({error.filename})"
        advice = f": {ADVICE[error.errno]}" if error.errno in ADVICE else ""
        return f"{error.strerror or error}{where}{advice}; earlier results are unchanged"
    if isinstance(error, MemoryError):
        return f"not enough memory ({error})" if str(error) else "not enough memory"
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _keep_trace(error: Exception) -> str:
    """Write the full trace to a log in ``runs`` or to a temporary file; return its name."""
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
    # Only a new file: another user may have placed a link in the folder of temporary files.
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

    An ignored signal stays ignored, as ``nohup`` requires.
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
    """A text file that writes control characters as their codes."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(text.translate(ESCAPED))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def _open_standard_streams() -> None:
    """Reopen streams that the caller closed, and let them accept any text.

    Otherwise the next opened files would get the numbers of closed streams, and processes started
    from here would write to those files.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)  # a kernel does not start without its streams
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")


def _drop_unwritable_output() -> bool:
    """Tell whether nobody reads the output any more; keep Python's exit from writing again."""
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
