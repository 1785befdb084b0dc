"""The notebooks' files: pairs in step, one parameters cell, small outputs, no errors."""

import ast
import re
from collections import Counter

import jupytext
import nbformat
import pytest

from utils.config.vocabulary import PICTURES_NOTEBOOK
from utils.places import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IDS = [path.stem for path in NOTEBOOKS]


MOST_LINES = 25
# Outputs of cells without this tag are compared.
IGNORED = "nbval-ignore-output"


def code_cells(path):
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def bound_names(source):
    """List the names that a cell gives a value; those inside functions and comprehensions not.

    The names of a loop come with what it goes through: over the same things they mean the same.
    """
    inner = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    names, waiting = set(), [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.For):
            through = ast.unparse(node.iter)
            names |= {(one, through) for one in bound_names(f"{ast.unparse(node.target)} = 0")}
            waiting += node.body
        elif not isinstance(node, inner):
            waiting += ast.iter_child_nodes(node)
    return names - {"_"}


def ambiguous(sources):
    """List the names to which several cells give a value that is not the same."""
    bound = [name for source in sources for name in bound_names(source)]
    loops = {name for name in bound if isinstance(name, tuple)}
    names = [name for name in bound if isinstance(name, str)] + [name for name, _ in loops]
    return sorted(name for name, count in Counter(names).items() if count > 1)


def code(notebook):
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def test_every_script_has_its_notebook():
    scripts = {path.stem for path in (ROOT / "notebooks").glob("*.py")}
    assert scripts == set(IDS)
    assert len(scripts) >= 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_the_pair_is_in_step(path):
    """`jupytext --sync notebooks/*.ipynb` brings them together again."""
    notebook = nbformat.read(path, as_version=4)
    script = jupytext.read(path.with_suffix(".py"))
    assert code(notebook) == code(script)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_there_is_one_parameters_cell_with_the_common_names(path):
    notebook = nbformat.read(path, as_version=4)
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    lines = [line for line in tagged[0].source.splitlines() if not line.startswith("#")]
    names = [line.split("=")[0].strip() for line in lines]
    assert names[:4] == ["study", "profile", "seed", "run_dir"]
    # What the workflow does not give is None, see commands.notebook.every_parameter.
    if path.stem != PICTURES_NOTEBOOK:
        values = [line.split("=")[1].split("#")[0].strip() for line in lines[4:]]
        assert values == ["None"] * len(values)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_it_is_committed_with_outputs_that_are_small_and_free_of_errors(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_a_cell_is_short_and_a_name_means_one_thing(path):
    sources = [cell.source for cell in code_cells(path)]
    assert max(len(source.splitlines()) for source in sources) <= MOST_LINES
    assert ambiguous(sources) == []


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a = 1", "a = 2"], ["a"]),
        (["for a in b:\n    c = a", "for a in b:\n    d = a"], []),
        (["for a in b:\n    c = a", "for a in b:\n    c = a"], ["c"]),
        (["for a, e in b:\n    pass", "for e in f:\n    pass"], ["e"]),
        (["for a in b:\n    pass", "a = 1"], ["a"]),
        (["import a", "from b import c as a"], ["a"]),
        (["def f():\n    a = 1", "a = [a for a in range(3)]"], []),
        (["for _ in a:\n    pass", "_ = 1"], []),
    ],
)
def test_a_name_with_two_meanings_is_found(sources, names):
    assert ambiguous(sources) == names


def test_half_of_the_cells_have_an_output_that_is_compared():
    """Notebook 0 is left out: its outputs depend on what was run before."""
    cells = [cell for path in NOTEBOOKS if path.stem != "00_explore" for cell in code_cells(path)]
    compared = [c for c in cells if c.outputs and IGNORED not in c.metadata.get("tags", [])]
    assert len(compared) >= len(cells) / 2, f"{len(compared)} of {len(cells)}"


def test_the_table_of_layers_ends_with_the_sigmoid_that_makes_pixels():
    path = next(path for path in NOTEBOOKS if path.stem == "02_train_autoencoder")
    tables = [
        output["data"]["text/plain"]
        for cell in code_cells(path)
        for output in cell.outputs
        if "layer_table" in cell.source and "text/plain" in output.get("data", {})
    ]
    assert len(tables) == 1
    assert re.search(r"decoder\s+Sigmoid\s.*$", tables[0].splitlines()[-1])
