"""``run_all.sh lab``: open JupyterLab, or write the first view of notebook 0 as a page."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from commands.arguments import PROGRAM, WrongCall
from utils import places

HELP = "open the notebooks in JupyterLab, on this machine only"
EXPLORING = "00_explore"
WIDGET = "application/vnd.jupyter.widget-view+json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} lab [--export FILE.html] [-- ...]"
    parser.epilog = "Arguments after -- go to JupyterLab."
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE.html",
        help=f"instead run {EXPLORING} and write it as a page that needs no kernel",
    )


def check(options: argparse.Namespace) -> None:
    """Accept any arguments for JupyterLab; a page has the ending .html.

    Raises
    ------
    WrongCall
        If the page has another ending, or its folder does not exist.
    """
    if options.export is None:
        return
    options.export = options.export.absolute()
    if options.export.suffix != ".html":
        raise WrongCall(f"--export: {options.export.name}: give a name that ends in .html")
    if not options.export.parent.is_dir():
        raise WrongCall(
            f"--export: {options.export.parent}: there is no such folder: make it first"
        )


def act(options: argparse.Namespace) -> int:
    """Write the page, or become JupyterLab, on this machine only, with the notebooks open."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    if options.export is not None:
        return _export(options.export)
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command.append(f"--notebook-dir={places.root() / 'notebooks'}")
    os.execv(sys.executable, [*command, *options.passed_on])


def _export(page: Path) -> int:
    """Run the notebook and write its first view; its widgets, which need a kernel, are left out."""
    import jupytext
    from nbclient import NotebookClient

    from report.notebook_pages import page_of
    from utils.store.files import write_text

    folder = places.root() / "notebooks"
    notebook = jupytext.read(folder / f"{EXPLORING}.py")
    began = time.perf_counter()
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if WIDGET not in one.get("data", {})]
    write_text(page, page_of(notebook, EXPLORING, time.perf_counter() - began))
    print(f"{page}: the first view of {EXPLORING}")
    return 0
