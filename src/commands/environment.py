"""Makes ``.venv`` from ``requirements.lock``, beside the old one, and swaps the two at the end.

``run_all.sh`` and ``run_tests.sh`` run this file with the system's Python, so only the standard
library is imported. Nothing happens unless the lock, the Python or the path of this checkout has
changed. If only the path has, only paths are rewritten.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parents[2]
STAMP = ".lock-sha256"
VERSION = 'import sys; print("%d.%d" % sys.version_info[:2])'
GIGABYTES = 7
FULL_DISK = re.compile(r"No space left on device|os error 28\b")
UNREACHABLE = re.compile(
    r"Failed to establish a new connection|Temporary failure in name resolution|[Dd]ns error"
    r"|Name or service not known|Network is unreachable|error sending request|ProxyError"
    r"|Connection (aborted|broken|refused|reset)|[Tt]imed out|IncompleteRead"
)
SIZE = re.compile(r"Downloading .*\(([0-9.]+) ?([kKMG])(i?)B\)")
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_REWRITES = 0.5
# Finds the Python beside a script whatever the path of the environment.
SCRIPT_HEAD = b"""#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
"""
FIXED_HEAD = re.compile(rb"\A#!(?:/bin/sh\n'''exec' .*\n' '''|.*python[0-9.]*)\n")


class Failed(Exception):
    """The environment could not be made; the message is one line with the reason and the remedy."""


class DiskFull(Failed):
    """The disk has no space for the environment."""

    def __init__(self) -> None:
        super().__init__(
            f"no space left on the disk of {ROOT}: the environment takes about {GIGABYTES} GB; "
            "free some space and start again"
        )


class Places:
    """Paths of an environment in a checkout."""

    def __init__(self, root: Path) -> None:
        self.lock = root / "requirements.lock"
        self.environment = root / ".venv"
        # The new environment while it is being made, and the old one that it replaces.
        self.new, self.old = root / ".venv.new", root / ".venv.old"
        self.uv_lock, self.uv = root / "requirements-uv.lock", root / ".uv"
        self.sources, self.log = root / "src", root / "runs" / "install.log"


def main(program: str) -> int:
    """Bring the environment up to date; return 0, 1 if it cannot be made, 130 if stopped."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop_once)
    places = Places(ROOT)
    try:
        if not is_current(places):
            with only_one(places):
                make(places)
    except Failed as failed:
        return _complain(program, str(failed), 1)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _complain(program, str(DiskFull()), 1)
        return _complain(program, f"cannot make .venv: {error.strerror} ({error.filename})", 1)
    except subprocess.CalledProcessError as error:
        return _complain(program, f"cannot make .venv: {error.cmd} failed: {error.stderr}", 1)
    except KeyboardInterrupt:
        return _complain(program, "stopped: the next call reuses the downloads", 130)
    return 0


def _stop_once(_number: int, _frame: object) -> NoReturn:
    # A second Ctrl-C must not disturb the end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _complain(program: str, message: str, status: int) -> int:
    print(f"{program}: {' '.join(message.split())}", file=sys.stderr)
    return status


# --- the present environment ----------------------------------------------------------------------


def version_of(python: Path | str) -> str | None:
    """Return the version of a Python, such as 3.11, or None if it does not run."""
    try:
        asked = subprocess.run(
            [python, "-I", "-S", "-c", VERSION], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()


def description(places: Places, environment: Path) -> str | None:
    """Describe an environment: the hash of its lock, its Python and its path."""
    if not places.lock.is_file():
        raise Failed(f"{places.lock} is missing: restore it with git checkout requirements.lock")
    version = version_of(environment / "bin" / "python")
    digest = hashlib.sha256(places.lock.read_bytes()).hexdigest()
    return version and f"{digest} {version} {places.lock}"


def noted(environment: Path) -> str | None:
    """Return the description that was stored when an environment was complete, if any."""
    stamp = environment / STAMP
    return stamp.read_text(encoding="utf-8").strip() if stamp.is_file() else None


def is_current(places: Places) -> bool:
    """Tell whether the environment fits the lock, ``$PYTHON`` and the path of this checkout."""
    current = description(places, places.environment)
    return (
        current is not None and current == noted(places.environment) and _is_wanted_python(current)
    )


def _is_wanted_python(described: str) -> bool:
    return not os.environ.get("PYTHON") or described.split()[1] == version_of(sys.executable)


def was_moved(places: Places) -> bool:
    """Tell whether only the path of the environment differs from its description."""
    current, before = description(places, places.environment), noted(places.environment)
    if current is None or before is None or not _is_wanted_python(current):
        return False
    return current.split(" ", 2)[:2] == before.split(" ", 2)[:2]


# --- making it ------------------------------------------------------------------------------------


@contextmanager
def only_one(places: Places) -> Iterator[None]:
    """Let a second shell wait; child processes inherit the lock and hold it until they end."""
    with places.lock.open("rb") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another shell that is making .venv", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(places: Places) -> None:
    """Make the environment, or finish the work of an earlier call.

    Raises
    ------
    Failed
        If it cannot be made; an older one is unchanged.
    """
    for kept in (places.new, places.old):
        # An earlier call was stopped between the two renamings of a swap.
        if not os.path.lexists(places.environment) and noted(kept):
            kept.rename(places.environment)
    if is_current(places):
        return
    if was_moved(places):
        print("rewriting the paths in .venv, which was made in another folder", flush=True)
        settle(places)
        discard(places.new)
        discard(places.old)
        return
    began = time.monotonic()
    discard(places.new)
    places.log.parent.mkdir(exist_ok=True)
    try:
        with places.log.open("wb") as log:
            fill(places, log)
        # With its temporary path in the stamp, so that the next call settles it if this one stops.
        digest, version, _ = description(places, places.new).split(" ", 2)
        _write(places.new / STAMP, f"{digest} {version} {places.new}\n".encode())
    except (Failed, OSError):
        discard(places.new)  # it may have filled the disk
        raise
    discard(places.old)
    if os.path.lexists(places.environment):
        places.environment.rename(places.old)
    places.new.rename(places.environment)
    settle(places)
    discard(places.old)
    print(f"the environment is ready after {time.monotonic() - began:.0f} s", flush=True)


def discard(folder: Path) -> None:
    """Remove an environment, or the link to one."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def settle(places: Places) -> None:
    """Adapt an environment to its path: its scripts, its link to `src` and its stamp."""
    environment = places.environment
    python = environment / "bin" / "python"
    if "relocatable = true" not in (environment / "pyvenv.cfg").read_text(encoding="utf-8"):
        # This rewrites the scripts named `activate`.
        activate = [python, "-I", "-m", "venv", "--without-pip", environment]
        subprocess.run(activate, capture_output=True, text=True, check=True)
        for script in (environment / "bin").iterdir():
            if script.is_file() and not script.is_symlink():
                _free_script(script)
    asked = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    site = subprocess.run([python, "-I", "-c", asked], capture_output=True, text=True, check=True)
    link = Path(site.stdout.rstrip("\n")) / "autoencoder-clustering-report.pth"
    _write(link, os.fsencode(f"{places.sources}\n"))
    _write(environment / STAMP, os.fsencode(f"{description(places, environment)}\n"))


def _free_script(script: Path) -> None:
    """Let a script find its Python whatever the path."""
    with script.open("rb") as file:
        if file.read(2) != b"#!":
            return
    content = script.read_bytes()
    freed = FIXED_HEAD.sub(lambda _: SCRIPT_HEAD, content, count=1)
    if freed != content:
        _write(script, freed, script.stat().st_mode)


def _write(file: Path, content: bytes, mode: int = 0o644) -> None:
    temporary = file.with_name(f"{file.name}.tmp")
    temporary.write_bytes(content)
    temporary.chmod(mode)
    temporary.replace(file)


# --- the installers -------------------------------------------------------------------------------


def fill(places: Places, log: IO[bytes]) -> None:
    """Install the locked packages into the new environment with uv, or else with pip.

    Raises
    ------
    Failed
        If both fail.
    """
    about = f"Python {version_of(sys.executable)} (log: {places.log})"
    print(f"making .venv from requirements.lock with {about}", flush=True)
    uv = find_uv(places) or install_uv(places, log)
    if uv is not None:
        try:
            install_with_uv(uv, places, log)
            return
        except DiskFull:
            raise
        except Failed as failed:
            print(f"  uv failed ({failed}): continuing with pip, which takes minutes", flush=True)
            discard(places.new)
    if not _has_pip():
        raise Failed(
            f"{sys.executable} cannot make environments: install python3-venv (Debian, Ubuntu) "
            "or uv, and start again"
        )
    install_with_pip(places, log)


def find_uv(places: Places) -> str | None:
    """Return the uv of this machine, or that of an earlier call."""
    for uv in ("uv", str(places.uv / "bin" / "uv")):
        try:
            if subprocess.run([uv, "--version"], capture_output=True).returncode == 0:
                return uv
        except OSError:
            continue
    return None


def install_uv(places: Places, log: IO[bytes]) -> str | None:
    """Install the pinned uv into an environment of its own; if that fails, return None."""
    if not _has_pip():
        return None
    discard(places.uv)
    python = str(places.uv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pip += ["--quiet", "--retries", "1", "--require-hashes", "--only-binary", ":all:"]
    try:
        execute([sys.executable, "-m", "venv", str(places.uv)], log)
        execute([*pip, "-r", str(places.uv_lock)], log)
    except DiskFull:
        raise
    except Failed as failed:
        print(
            f"  uv is not available ({failed}): continuing with pip, which takes minutes",
            flush=True,
        )
        return None
    return find_uv(places)


def _has_pip() -> bool:
    return importlib.util.find_spec("ensurepip") is not None


def install_with_uv(uv: str, places: Places, log: IO[bytes]) -> None:
    """Fill the new environment with uv."""
    os.environ["UV_PYTHON_DOWNLOADS"] = "never"
    python = str(places.new / "bin" / "python")
    venv = [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(places.new)]
    execute(venv, log)
    sync = [uv, "pip", "sync", "--require-hashes", "--python", python, str(places.lock)]
    execute(sync, log, Progress(places))


def install_with_pip(places: Places, log: IO[bytes]) -> None:
    """Fill the new environment with pip."""
    execute([sys.executable, "-m", "venv", str(places.new)], log)
    pip = [str(places.new / "bin" / "python"), "-m", "pip", "install", "--no-input"]
    pip += ["--disable-pip-version-check", "--progress-bar", "off", "--require-hashes", "--no-deps"]
    pip += ["--no-compile"]  # as uv: modules are compiled at their first import
    execute([*pip, "-r", str(places.lock)], log, Progress(places))


def execute(command: Sequence[str], log: IO[bytes], progress: Progress | None = None) -> None:
    """Run a step of the installation; its output goes to `log`.

    Raises
    ------
    Failed
        If it fails, with its reason.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,  # the child inherits the lock
    ) as process:
        try:
            output = _follow(process.stdout, log, progress)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise _explanation(output, log.name)


def _follow(stream: IO[bytes], log: IO[bytes], progress: Progress | None) -> str:
    """Return the output of a process, and show its progress until it ends."""
    lines, begun = [], b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if selector.select(progress and progress.seconds_between):
                part = os.read(stream.fileno(), 65536)
                if not part:
                    break
                log.write(part)
                log.flush()
                *whole, begun = (begun + part).split(b"\n")
                for line in whole:
                    lines.append(line.decode("utf-8", "replace"))
                    if progress is not None:
                        progress.hear(lines[-1])
            if progress is not None:
                progress.show()
    if progress is not None:
        progress.end()
    return "\n".join([*lines, begun.decode("utf-8", "replace")])


def _explanation(output: str, log: str) -> Failed:
    if FULL_DISK.search(output):
        return DiskFull()
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    unreachable = next((line for line in lines if UNREACHABLE.search(line)), None)
    if unreachable is not None:
        what = UNREACHABLE.search(unreachable)[0]
        return Failed(
            f"the package index cannot be reached, or a download was cut off ({what}): check the "
            f"network or the proxy, and start again (log: {log})"
        )
    errors = (line for line in lines if re.search("error", line, re.IGNORECASE))
    reason = next(errors, lines[-1] if lines else "no reason given")
    shortened = reason if len(reason) <= 150 else f"{reason[:149]}…"  # pip lists all versions
    return Failed(f"the installation failed: {shortened} (log: {log})")


class Progress:
    """Progress of an installer: a line that is rewritten on a terminal, else a line every 10 s."""

    def __init__(self, places: Places) -> None:
        self.folder = places.new
        self.there_before = self._count()  # pip itself, if pip fills the environment
        self.packages = sum(
            "==" in line for line in places.lock.read_text(encoding="utf-8").splitlines()
        )
        self.announced = self.downloaded = 0.0
        self.sizes: dict[str, float] = {}
        self.began = self.shown = time.monotonic()
        self.rewrites = sys.stdout.isatty()
        self.seconds_between = SECONDS_BETWEEN_REWRITES if self.rewrites else SECONDS_BETWEEN_LINES

    def hear(self, line: str) -> None:
        """Process a line of output of uv or pip."""
        if match := SIZE.search(line):
            size = float(match[1]) * {"k": 1e-3, "K": 1e-3, "M": 1.0, "G": 1e3}[match[2]]
            if match[3]:  # uv, which downloads several at once and reports the end of each
                self.sizes[line.split()[1]] = size * 1.049
                self.announced += size * 1.049
            else:  # pip, which does not report the end
                self.downloaded += size
        elif line.startswith(" Downloaded "):
            self.downloaded += self.sizes.pop(line.split()[1], 0.0)
        elif match := re.match("Resolved ([0-9]+) packages", line):  # uv
            self.packages = int(match[1])
        elif line.startswith("Ignoring "):  # pip, about packages for other platforms
            self.packages -= 1

    def show(self) -> None:
        """Show the progress, if it is time to."""
        if time.monotonic() - self.shown >= self.seconds_between:
            self.shown = time.monotonic()
            self._print(self._words())

    def end(self) -> None:
        """Show the final state."""
        self._print(self._words() + ("\n" if self.rewrites else ""))

    def _count(self) -> int:
        return sum(1 for _ in self.folder.glob("lib/python3*/site-packages/*.dist-info"))

    def _words(self) -> str:
        installed = self._count() - self.there_before
        of_all = f" of {self.announced:,.0f}" if self.announced else ""
        return (
            f"  {self.downloaded:,.0f}{of_all} MB downloaded, {installed} of {self.packages} "
            f"packages installed, {time.monotonic() - self.began:.0f} s"
        )

    def _print(self, words: str) -> None:
        if self.rewrites:
            print(f"\r\033[K{words}", end="", flush=True)
        else:
            print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
