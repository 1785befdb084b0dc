"""The article on a person's own pictures: what it shows, gathered for its template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from report import notebook_parts, run_tables, templates
from report.markdown import fixed
from utils import clustering, estimator
from utils.store.tables import METRICS_TABLE

if TYPE_CHECKING:
    from report.collect import NotebookRun

SCORES = {"acc": "ACC", "ari": "ARI", "nmi": "NMI", "ami": "AMI", "purity": "purity"}
# Half of its pictures are of another folder, and the map has no links to them.
PAIRS = "against"


def article(
    run: NotebookRun,
    record: dict[str, Any],
    about: dict[str, Any],
    title: str,
    clusterer: str,
    folder: Path,
    links: Mapping[str, str],
) -> str:
    """Return the article on a folder of pictures as pandoc Markdown.

    Parameters
    ----------
    run : NotebookRun
        Of notebook 6.
    record : dict
        What ``run.json`` holds.
    about : dict
        What the model says of itself, see `estimator.load`.
    title : str
        Any text.
    clusterer : str
    folder : Path
        Folder of the report, which holds the copied figures.
    links : dict of str to str
        The address of each picture's file, relative to the report, by the picture's name.
    """
    manifest = run.manifest
    stems = {(run.study, run.notebook, figure.name): figure.name for figure in manifest.figures}
    page = notebook_parts.page(run, stems, [run], folder)
    scores = _scores(run)
    facts = {name: view.by_seed[run.seed] if view else None for name, view in page.facts.items()}
    context = about | {
        "title": title,
        "clusterer": clusterer,
        "finds_k": clusterer in clustering.FINDS_K,
        "by_levels": clusterer == estimator.LEVELS,
        "named": {
            figure.name: _named(run, figure.name, figure.csv, links) for figure in manifest.figures
        },
        "study": run.study,
        "record": record,
        "facts": facts,
        "notes": manifest.notes,
        "figures": {view.name: view for view in page.figures},
        "sheets": [view for view in page.figures if view.name.startswith("sheet_")],
        "tables": {view.name: view for view in page.tables},
        "scores": scores,
        "score_header": [SCORES[name] for name in scores],
        "score_row": [fixed(value, 3) for value in scores.values()],
        "laid_out": is_laid_out(run),
        "provenance_rows": run_tables.machine_rows(record, "everything before these pages"),
    }
    return templates.render("images.md.j2", context)


def _named(
    run: NotebookRun, name: str, csv: str | None, links: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """Return the names on a contact sheet with their links, by its parts; nothing for others."""
    if csv is None or name == PAIRS:
        return []
    shown = pd.read_csv(run.folder / csv, dtype=str, keep_default_na=False)
    if list(shown.columns) != ["part", "name"]:
        return []
    # The addresses consist of letters, digits and what means nothing in Markdown.
    return [
        (part, [(name, Markup(links[name])) for name in names])
        for part, names in shown.groupby("part", sort=False)["name"]
    ]


def is_laid_out(run: NotebookRun) -> bool:
    """Whether UMAP laid out the pictures; few are shown and clustered in their components."""
    return run.manifest.facts["pictures"] >= estimator.LEAST_LAID_OUT


def _scores(run: NotebookRun) -> dict[str, float]:
    if METRICS_TABLE.file not in run.manifest.files:
        return {}
    table = METRICS_TABLE.read(run.folder / METRICS_TABLE.file).set_index("metric")["value"]
    return {name: float(table[name]) for name in SCORES if name in table}
