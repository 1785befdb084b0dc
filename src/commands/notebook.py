"""Execute one notebook with papermill: ``python -m commands.notebook NOTEBOOK --study …``."""

from __future__ import annotations

import argparse
import ast
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.hermetic import leave_out_personal_settings
from commands.staleness import made_from
from commands.telling import tell, title_of
from report.notebook_format import skip_iri_grammars
from utils import places
from utils.store.files import (
    CHECKSUMS,
    atomic_path,
    is_inside,
    read_json,
    write_checksums,
    write_json,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Lines of a notebook's output that tell how far it is, or what it had to do otherwise, begin so.
PROGRESS_WORDS = ("epoch ", "features ", "training ", "NOTE: ")
# How an error begins that is a finding about the protocol, not a fault: see training.TrainingError.
DIVERGED = "TrainingError: "
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True)
class Failure:
    """Where and why a notebook stopped.

    Attributes
    ----------
    cell : int or None
        Number of the failing cell, the n of ``In [n]``; None if no cell was reached.
    source : str
        The failing cell's first line of code, or ``""``.
    error : str
        Type and message of the error, in one line.
    """

    cell: int | None
    source: str
    error: str


class NotebookFailed(Exception):
    """A notebook did not run to its end; `failure` says where and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def run_notebook(
    script: Path,
    parameters: dict[str, Any],
    folder: Path,
    say: Callable[[str], None],
    made_from: dict[str, Any] | None = None,
) -> None:
    """Execute a notebook from its script and leave ``executed.ipynb`` in `folder`.

    Parameters
    ----------
    script : Path
        The ``.py`` file of the notebook's pair; its folder is the working directory of the kernel.
    parameters : dict
        Values for the cell tagged ``parameters``, which must set each of these names. Every other
        name that the cell sets is given None: a default that somebody saved reaches no result.
    folder : Path
        Where the notebook's results go. The notebook must write ``manifest.json`` there; its
        parameters and the time of the whole execution are added to it.
    say : callable
        Is given each line of the notebook's output that tells how far it is.
    made_from : dict, optional
        What `staleness.made_from` returned; goes into the manifest.

    Raises
    ------
    NotebookFailed
        If a cell fails, the kernel dies or no manifest was written. What was executed so far is
        kept as ``failed.ipynb``, and no earlier manifest is left that could vouch for it.
    """
    skip_iri_grammars()
    import jupytext
    import nbformat

    folder.mkdir(parents=True, exist_ok=True)
    _empty(folder)
    partial = folder / ".running.ipynb"
    manifest = folder / places.MANIFEST
    began = datetime.now(UTC)
    try:
        notebook = jupytext.read(script)
        parameters = every_parameter(notebook, parameters)
        nbformat.write(notebook, partial)
        executed = _execute(partial, parameters, script.parent, say)
        if not manifest.is_file():
            raise NotebookFailed(Failure(None, "", "the notebook ended without its manifest.json"))
        note = {} if made_from is None else {"made_from": made_from}
        write_json(manifest, read_json(manifest) | _execution(began, parameters) | note)
        # Papermill notes absolute paths, which mean nothing on another machine.
        executed.metadata.papermill.update(input_path=script.name, output_path="executed.ipynb")
        with atomic_path(folder / "executed.ipynb") as temporary:
            nbformat.write(executed, temporary)
        write_checksums(folder)
    except NotebookFailed:
        manifest.unlink(missing_ok=True)
        if partial.is_file():
            partial.replace(folder / "failed.ipynb")
        raise
    finally:
        partial.unlink(missing_ok=True)


def every_parameter(notebook: NotebookNode, given: dict[str, Any]) -> dict[str, Any]:
    """Return a value for each name that a notebook's parameters cell sets: the one given, or None.

    Raises
    ------
    NotebookFailed
        If the cell does not set one of the names in `given`, so that its value would be ignored.
    """
    tagged = [c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    nodes = [node for source in tagged for node in ast.walk(ast.parse(source))]
    used = [node for node in nodes if isinstance(node, ast.Name)]
    names = [node.id for node in used if isinstance(node.ctx, ast.Store)]
    if missing := sorted(given.keys() - set(names)):
        reason = f"its cell tagged 'parameters' does not set {', '.join(missing)}"
        raise NotebookFailed(Failure(None, "", reason))
    return {name: given.get(name) for name in names}


def _execution(began: datetime, parameters: dict[str, Any]) -> dict[str, Any]:
    """Describe an execution that ends now, for its manifest."""
    ended = datetime.now(UTC)
    return {
        "parameters": parameters,
        "seconds": round((ended - began).total_seconds(), 3),
        "started": began.isoformat(timespec="seconds"),
        "finished": ended.isoformat(timespec="seconds"),
    }


def _empty(folder: Path) -> None:
    """Remove what an earlier run left in its folder, as far as its manifest lists it."""
    try:
        listed = [name for name in read_json(folder / places.MANIFEST)["files"] if is_inside(name)]
    except (OSError, ValueError, TypeError, KeyError):
        listed = []  # the run did not finish; nothing that it left is in the next one's manifest
    # The first two vouch for the others.
    own = (CHECKSUMS, places.MANIFEST, "executed.ipynb", "failed.ipynb", "error.json")
    for name in (*own, *listed):
        (folder / name).unlink(missing_ok=True)


def _execute(
    partial: Path, parameters: dict[str, Any], cwd: Path, say: Callable[[str], None]
) -> NotebookNode:
    """Execute the notebook in `partial`, which holds what was executed after each cell."""
    # The kernel is this environment's, even if the user has another one of the same name.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    # The kernel's debugger, which nobody uses here, complains about Python's frozen modules.
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    leave_out_personal_settings()
    import papermill
    from nbclient.exceptions import DeadKernelError

    from commands.forked_kernels import forked_kernel

    try:
        with _no_ipython_settings(), forked_kernel():
            return papermill.execute_notebook(
                partial,
                partial,
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                stdout_file=_ProgressLines(say),
                stderr_file=sys.stderr,
                cwd=cwd,
                # Nothing is left to be written when the last cell has ended.
                shutdown_kernel="immediate",
            )
    except papermill.PapermillExecutionError as error:
        text = _one_line(f"{error.ename}: {error.evalue}")
        raise NotebookFailed(Failure(error.exec_count, _first_code(error.source), text)) from None
    except DeadKernelError:
        reason = "the kernel died: out of memory, or stopped from outside"
        raise NotebookFailed(_last_started_cell(partial, reason + _last_words())) from None
    except RuntimeError as error:
        # What jupyter_client raises if a kernel does not start or does not answer.
        if "ernel" not in str(error):
            raise
        reason = f"the kernel did not start ({error})"
        raise NotebookFailed(Failure(None, "", reason + _last_words())) from None


@contextmanager
def _no_ipython_settings() -> Iterator[None]:
    """Give kernels an empty IPython folder: no start-up files, settings or history of anybody."""
    with tempfile.TemporaryDirectory(prefix="ipython-") as folder:
        os.environ["IPYTHONDIR"] = folder
        try:
            yield
        finally:
            del os.environ["IPYTHONDIR"]


def _last_words() -> str:
    """Return the end of what was complained about, if that goes into a file, as in a workflow."""
    log = Path("/proc/self/fd/2")
    if not log.is_file():
        return ""
    sys.stderr.flush()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    # Not that a kernel talks to this process without encryption, which each one says, and not the
    # frames of a trace, which are indented.
    said = [
        line
        for line in lines
        if line.strip()
        and not line.startswith((" ", "\t", "Traceback "))
        and "IPKernelApp" not in line
    ]
    return f"; the log ends: {_one_line(' | '.join(said[-3:]), 300)}" if said else ""


def _last_started_cell(partial: Path, reason: str) -> Failure:
    import nbformat

    started = [
        cell
        for cell in nbformat.read(partial, as_version=4).cells
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("start_time")
    ]
    return Failure(len(started) or None, _first_code(started[-1].source if started else ""), reason)


def _first_code(source: str) -> str:
    lines = (line.strip() for line in source.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def _one_line(text: str, length: int = 500) -> str:
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1] + "…"


class _ProgressLines:
    """A file that hands on the written lines that begin with a word of `PROGRESS_WORDS`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._unfinished = ""

    def write(self, text: str) -> None:
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            if line.startswith(PROGRESS_WORDS):
                self._say(line)

    def flush(self) -> None:
        """Do nothing: each line was handed on when it ended."""


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="commands.notebook", allow_abbrev=False)
    parser.add_argument("notebook", help="name of a script in notebooks/, without its suffix")
    parser.add_argument("--study", required=True)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--run-dir", required=True, type=Path, help="folder of its results")
    parser.add_argument("--code", required=True, help="fingerprint of the notebook's code")
    parser.add_argument(
        "--inputs", required=True, nargs="+", help="files that its results depend on"
    )
    parser.add_argument("--threads", type=int, help="processor cores to use (default: all)")
    parser.add_argument(
        "--training-threads", type=int, help="cores for training a network (default: as the rest)"
    )
    return parser.parse_args(arguments)


def _exit_on_sigterm(_number: int, _frame: object) -> None:
    # As an exception, so that the kernel is stopped on the way out.
    raise SystemExit(128 + signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    """Run one notebook as the command line says; return the exit status."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    if options.threads is not None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(options.threads)))
    if options.training_threads is not None:
        # For the kernel, see utils.config.training_threads.
        os.environ["TRAINING_THREADS"] = str(options.training_threads)
        # Beside another notebook a training has more threads than free cores. Threads that spin
        # while they wait for one without a core make it a hundred times slower.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    script = places.root() / "notebooks" / f"{options.notebook}.py"
    folder = options.run_dir.resolve()
    parameters = {
        "study": options.study,
        "profile": options.profile,
        "seed": options.seed,
        # Relative to the kernel's folder, so that an executed notebook names no machine's paths.
        "run_dir": os.path.relpath(folder, script.parent),
    }
    title = title_of(options.notebook, options.study, options.seed)
    began = datetime.now(UTC)
    tell("start", title)
    note = made_from(options.code, options.inputs)
    try:
        run_notebook(
            script,
            parameters,
            folder,
            lambda line: tell("say", f"{options.study} seed {options.seed}: {line}"),
            note,
        )
    except Exception as error:
        if isinstance(error, NotebookFailed):
            failure = error.failure
            if failure.error.startswith(DIVERGED):
                execution = _execution(began, parameters) | {"made_from": note}
                _record_divergence(options, folder, failure, execution)
                tell("say", f"{title}: {failure.error}")
                tell("done", title)
                return 0
        else:
            traceback.print_exc()  # unexpected: the job's log has all of it
            failure = Failure(None, "", _one_line(f"{type(error).__name__}: {error}"))
        tell("failed", _explain(title, failure, folder / "failed.ipynb"))
        job = {"notebook": options.notebook, "study": options.study, "seed": options.seed}
        write_json(folder / "error.json", job | asdict(failure))
        return 1
    tell("done", title)
    return 0


def _record_divergence(
    options: argparse.Namespace, folder: Path, failure: Failure, execution: dict[str, Any]
) -> None:
    """Leave a manifest that says that this seed failed: a protocol that diverges is a result."""
    (folder / "failed.ipynb").replace(folder / "executed.ipynb")
    write_json(
        folder / places.MANIFEST,
        {
            "notebook": options.notebook,
            "study": options.study,
            "profile": options.profile,
            "seed": options.seed,
            "files": [],
            "failed": failure.error.removeprefix(DIVERGED),
        }
        | execution,
    )
    write_checksums(folder)


def _explain(title: str, failure: Failure, partial: Path) -> str:
    where = "" if failure.cell is None else f" in cell [{failure.cell}] `{failure.source}`"
    kept = f"; what was executed is in {partial}" if partial.is_file() else ""
    return f"{title} failed{where}: {failure.error}{kept}"


if __name__ == "__main__":
    sys.exit(main())
