"""Little notebooks that tests write, to be executed."""

from pathlib import Path

import jupytext
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = 'study = "default"\nprofile = "quick"\nseed = 0\nrun_dir = None'


def write_notebook(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    """Write the script of a notebook of a title, a cell of parameters and these cells."""
    first = new_code_cell(parameters)
    first.metadata["tags"] = ["parameters"]
    notebook = new_notebook(
        cells=[new_markdown_cell("# Title"), first, *map(new_code_cell, cells)],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "P"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(notebook, path, fmt="py:percent")
    return path
