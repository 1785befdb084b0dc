"""Execute one notebook with papermill: ``python -m commands.notebook NOTEBOOK --study …``."""

from __future__ import annotations

import argparse
import ast
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.hermetic import leave_out_personal_settings
from commands.last_resort import reason_of_failure
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
from utils.store.fingerprints import notebook_definitions, numbers_fingerprint

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Beginnings of the output lines that report progress, or a deviation from the protocol.
PROGRESS_WORDS = ("epoch ", "features ", "training ", "NOTE: ")
# Beginning of an error that is a finding about the protocol, not a fault: training.TrainingError.
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
    """A notebook that stopped; `failure` says where and why."""

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
        Values for the cell tagged ``parameters``, which must set each of these names. All other
        names in the cell get None, so that a default saved in the notebook affects no result.
    folder : Path
        For the notebook's results. The notebook must write ``manifest.json`` there; parameters and
        duration are added to it.
    say : callable
        Called with each line of the notebook's output that reports progress.
    made_from : dict, optional
        The result of `staleness.made_from`, for the manifest.

    Raises
    ------
    NotebookFailed
        If a cell fails, the kernel dies or no manifest was written. The executed cells are kept in
        ``failed.ipynb``, and any earlier manifest is removed.
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
        # Papermill records absolute paths, which mean nothing on another machine.
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
    """Return a value for each name in a notebook's parameters cell: the given one, or None.

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
    """Describe for its manifest an execution that ends now."""
    ended = datetime.now(UTC)
    return {
        "parameters": parameters,
        "seconds": round((ended - began).total_seconds(), 3),
        "started": began.isoformat(timespec="seconds"),
        "finished": ended.isoformat(timespec="seconds"),
    }


def _empty(folder: Path) -> None:
    """Remove the files of an earlier run that its manifest lists."""
    try:
        listed = [name for name in read_json(folder / places.MANIFEST)["files"] if is_inside(name)]
    except (OSError, ValueError, TypeError, KeyError):
        listed = []  # the run did not finish; the next manifest lists none of its files
    # The first two certify the others.
    own = (CHECKSUMS, places.MANIFEST, "executed.ipynb", "failed.ipynb", "error.json")
    for name in (*own, *listed):
        (folder / name).unlink(missing_ok=True)


def _execute(
    partial: Path, parameters: dict[str, Any], cwd: Path, say: Callable[[str], None]
) -> NotebookNode:
    """Execute the notebook in `partial`, which is rewritten after each cell."""
    # Use this environment's kernel, even if the user has another one of the same name.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    # The kernel's debugger, which is not used here, warns about Python's frozen modules.
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    leave_out_personal_settings()
    import papermill
    from nbclient.exceptions import DeadKernelError

    from commands.forked_kernels import forked_kernel

    # Papermill fills in parameters where a path has braces.
    path = str(partial).replace("{", "{{").replace("}", "}}")
    try:
        with _no_ipython_settings(), forked_kernel():
            return papermill.execute_notebook(
                path,
                path,
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                stdout_file=_ProgressLines(say),
                stderr_file=sys.stderr,
                cwd=cwd,
                # Everything is written when the last cell has ended.
                shutdown_kernel="immediate",
            )
    except papermill.PapermillExecutionError as error:
        text = _one_line(f"{error.ename}: {error.evalue}")
        raise NotebookFailed(Failure(error.exec_count, _first_code(error.source), text)) from None
    except DeadKernelError:
        reason = "the kernel died: out of memory, or stopped by another process"
        raise NotebookFailed(_last_started_cell(partial, reason + _last_words())) from None
    except RuntimeError as error:
        # jupyter_client raises it if a kernel does not start or does not answer.
        if "ernel" not in str(error):
            raise
        reason = f"the kernel did not start ({error})"
        raise NotebookFailed(Failure(None, "", reason + _last_words())) from None


@contextmanager
def _no_ipython_settings() -> Iterator[None]:
    """Give kernels an empty IPython folder: no personal start-up files, settings or history."""
    with tempfile.TemporaryDirectory(prefix="ipython-") as folder:
        os.environ["IPYTHONDIR"] = folder
        try:
            yield
        finally:
            del os.environ["IPYTHONDIR"]


def _last_words() -> str:
    """Return the last lines of standard error if it is a file, as in a workflow."""
    log = Path("/proc/self/fd/2")
    if not log.is_file():
        return ""
    sys.stderr.flush()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    # Without each kernel's warning of unencrypted communication with this process, and without
    # the frames of a trace, which are indented.
    last = [
        line
        for line in lines
        if line.strip()
        and not line.startswith((" ", "\t", "Traceback "))
        and "IPKernelApp" not in line
    ]
    return f"; the log ends: {_one_line(' | '.join(last[-3:]), 300)}" if last else ""


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
    """A file that passes on the written lines that begin with a word of `PROGRESS_WORDS`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._unfinished = ""

    def write(self, text: str) -> None:
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            if line.startswith(PROGRESS_WORDS):
                self._say(line)

    def flush(self) -> None:
        """Do nothing: each line was passed on when it ended."""


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
    # An exception, so that the kernel is stopped on the way out.
    raise SystemExit(128 + signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    """Run one notebook from the command line; return the exit status."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    if options.threads is not None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(options.threads)))
    if options.training_threads is not None:
        # For the kernel, see utils.config.training_threads.
        os.environ["TRAINING_THREADS"] = str(options.training_threads)
        # Beside another notebook a training has more threads than free cores. Threads that spin
        # while they wait for a thread without a core make it a hundred times slower.
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
    note = made_from(
        options.code, numbers_fingerprint(script), options.inputs, notebook_definitions(script)
    )
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
            failure = Failure(None, "", reason_of_failure(error))
        tell("failed", _explain(title, failure, folder / "failed.ipynb"))
        job = {"notebook": options.notebook, "study": options.study, "seed": options.seed}
        write_json(folder / "error.json", job | asdict(failure))
        return 1
    tell("done", title)
    return 0


def _record_divergence(
    options: argparse.Namespace, folder: Path, failure: Failure, execution: dict[str, Any]
) -> None:
    """Record in a manifest that the training of this seed diverged: this is a result."""
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
    kept = f"; the executed cells are in {partial}" if partial.is_file() else ""
    return f"{title} failed{where}: {failure.error}{kept}"


if __name__ == "__main__":
    sys.exit(main())
