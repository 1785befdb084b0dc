import ast
import re

import pytest

from utils import config, places
from utils.config import checks, facts
from utils.errors import UserError
from utils.store.tables import FACTS_TABLE, FAILED

NOTEBOOKS = sorted((places.ROOT / "notebooks").glob("[0-9]*.py"))


def recorded_in(path):
    """Names of the facts that a source file records; a variable part becomes ``*``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "fact":
            name = node.args[0]
            parts = name.values if isinstance(name, ast.JoinedStr) else [name]
            yield "".join(part.value if isinstance(part, ast.Constant) else "*" for part in parts)


def as_recorded(fact):
    return re.sub(r"<\w+>", "*", fact.name)


def test_the_declared_facts_are_those_that_notebooks_record():
    recorded = {(path.stem, name) for path in NOTEBOOKS for name in recorded_in(path)}
    recorded |= {
        ("05_beyond_the_papers" if path.stem == "leaderboard" else "04_pretrained_comparison", name)
        for path in (places.ROOT / "src" / "utils" / "runs").glob("*.py")
        for name in recorded_in(path)
    }
    assert ("02_train_autoencoder", "n_parameters_*") in recorded
    assert {(fact.notebook, as_recorded(fact)) for fact in facts.FACTS} == recorded


def test_each_fact_is_declared_once_with_a_label():
    keys = [(fact.notebook, fact.name) for fact in facts.FACTS]
    assert len(set(keys)) == len(keys)
    assert all(fact.label for fact in facts.FACTS)


@pytest.mark.parametrize(
    ("notebook", "name", "kind", "label"),
    [
        ("02_train_autoencoder", "n_parameters", "count", "parameters of the autoencoder"),
        (
            *("02_train_autoencoder", "n_parameters_latent-10", "count"),
            "parameters of the autoencoder, variant latent-10",
        ),
        ("04_pretrained_comparison", "not_run_timm:a.b", "text", "reason why timm:a.b was not run"),
        ("06_your_images", "files found", "count", "files found"),
    ],
)
def test_a_fact_is_found_by_its_recorded_name(notebook, name, kind, label):
    found = facts.declared(notebook, name)
    assert (found.name, found.kind, found.label) == (name, kind, label)


@pytest.mark.parametrize("name", ["n_imagez", "parameters_", "n_parameters", ""])
def test_a_misspelt_fact_is_an_error_that_lists_the_allowed_ones(name):
    with pytest.raises(UserError, match=r"allowed are n_images, .*: correct the name"):
        facts.declared("01_baseline_kmeans", name)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("n_images", 3, 3.5),
        ("n_images", 3, True),
        ("image_shape", "28×28", 28),
        ("pca50_explained_variance_pixels", 0.5, "half"),
        ("n_classes", None, "ten"),
    ],
)
def test_a_value_of_another_kind_is_an_error(name, good, bad):
    facts.require("01_baseline_kmeans", name, good)
    with pytest.raises(UserError, match=f"fact '{name}' must be a"):
        facts.require("01_baseline_kmeans", name, bad)


def test_the_facts_of_a_notebook_that_is_not_of_this_project_are_of_any_kind():
    facts.require("07_mine", "odd", ["anything"])
    assert facts.declared("07_mine", "odd").kind == "any"


def test_the_facts_that_a_study_may_name_are_the_declared_numbers():
    for name in config.study_names():
        for notebook, names in checks.numbers_of(config.load_study(name)).items():
            assert all(facts.declared(notebook, fact).is_number for fact in names)


def test_the_published_facts_are_declared():
    table = places.published() / "facts.csv"
    if not table.is_file():
        pytest.skip("no full run is published yet")
    rows = FACTS_TABLE.read(table)
    for row in rows[rows["fact"] != FAILED].itertuples():
        facts.declared(row.notebook, row.fact)
