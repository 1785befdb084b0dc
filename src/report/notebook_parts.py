"""Figures, tables and pages of executed notebooks, as the article shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from report.markdown import cell, each, escape
from utils import errors
from utils.config import facts
from utils.config.metrics_table import METRICS as METRICS_TABLE
from utils.store.files import sha256_file

if TYPE_CHECKING:
    from report.collect import NotebookRun, Results, Table

# Heads of the columns of a study's two tables of scores.
EXTERNAL = {key: METRICS_TABLE[key].short for key in ("ari", "nmi", "ami", "acc", "purity")}
INTERNAL = {key: entry.short for key, entry in METRICS_TABLE.items() if key not in EXTERNAL}
METRICS = EXTERNAL | INTERNAL
# The history of the loss is drawn; its table stands in the notebook's own page.
LEFT_OUT = {("02_train_autoencoder", "history")}
# What a cell of a notebook's page is called, before its number.
CELL = "cell-"
# Bytes; a larger drawing, of very many points, is embedded as a picture if that is smaller.
LARGEST_SVG = 600_000
KNOWN_NOTEBOOKS = (
    "01_baseline_kmeans",
    "02_train_autoencoder",
    "03_latent_clustering",
    "04_pretrained_comparison",
)
# A wider and shorter table is turned on its side.
MOST_COLUMNS = 8


@dataclass(frozen=True)
class FigureView:
    """A figure of the article; `file` is relative to the report's folder."""

    id: str
    name: str
    caption: str
    alt: str
    file: str
    origin: Markup


@dataclass(frozen=True)
class TableView:
    """A table of the article."""

    id: str
    name: str
    caption: str
    header: list[str]
    rows: list[list[object]]
    origin: Markup


@dataclass(frozen=True)
class FactView:
    """A fact of a notebook with its value for each seed."""

    label: str
    kind: facts.Kind
    by_seed: dict[int, Any]

    @property
    def shown(self) -> str:
        """Its value in words, or the value of each seed where they differ."""
        return each(self.by_seed, self.kind)


@dataclass(frozen=True)
class Page:
    """What one notebook left.

    `facts` has every fact that is declared for the notebook; one that was not recorded is None, so
    that a misspelt name is an error. `repeats` has, by name, the figures of an earlier page that
    are this page's too, byte for byte.
    """

    notebook: str
    title: str
    anchor: str
    link: Markup
    figures: list[FigureView]
    tables: list[TableView]
    facts: dict[str, FactView | None]
    repeats: dict[str, FigureView] = field(default_factory=dict)

    @property
    def fact_rows(self) -> list[list[object]]:
        """Label and value of each recorded fact."""
        return [[fact.label, fact.shown] for fact in self.facts.values() if fact]


def figure_stems(results: Results) -> dict[tuple[str, str, str], str]:
    """Name the copy of each figure without its suffix.

    Returns
    -------
    dict of (str, str, str) to str
        (study, notebook, figure) to ``<study>-<figure>``; letters that are no good in a file's name
        become hyphens, and a second figure of one name gets a number.
    """
    stems: dict[tuple[str, str, str], str] = {}
    for study in results.topics:
        for run in results.first_runs(study):
            for figure in run.manifest.figures:
                stem = f"{study}-{re.sub(r'[^A-Za-z0-9_-]+', '-', figure.name)}"
                stems[study, run.notebook, figure.name] = _unused(stem, stems.values())
    return stems


def _unused(name: str, taken: Collection[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def page_of(results: Results, run: NotebookRun, out: Path) -> Page:
    """Gather what the article shows of one notebook; `out` holds the copied figures."""
    seeds = [
        other
        for other in results.notebooks
        if (other.study, other.notebook) == (run.study, run.notebook)
    ]
    return page(run, figure_stems(results), seeds, out)


def page(
    run: NotebookRun,
    stems: Mapping[tuple[str, str, str], str],
    seeds: Iterable[NotebookRun],
    out: Path,
) -> Page:
    """Gather what an article shows of one notebook.

    Parameters
    ----------
    run : NotebookRun
    stems : mapping of (str, str, str) to str
        Name of the copy of each figure, as from `figure_stems`.
    seeds : iterable of NotebookRun
        The runs of this notebook, whose facts are shown.
    out : Path
        Folder of the report, which holds the copied figures.
    """
    link = Markup(f"[{escape(run.notebook)}]({notebook_href(run)})")
    anchor = f"{run.study}-{_slug(run.notebook)}"
    return Page(
        notebook=run.notebook,
        title=run.notebook.lstrip("0123456789_").replace("_", " ").capitalize(),
        anchor=anchor,
        link=link,
        figures=[
            FigureView(
                id=f"fig-{stems[run.study, run.notebook, figure.name]}",
                name=figure.name,
                caption=figure.caption,
                alt=figure.alt,
                file=_embedded_file(out, stems[run.study, run.notebook, figure.name]),
                origin=_origin(run, figure.cell),
            )
            for figure in run.manifest.figures
        ],
        tables=[
            _table_view(run, table, f"tbl-{anchor}-{position}", _origin(run, table.cell))
            for position, table in enumerate(run.manifest.tables)
            if (run.notebook, table.name) not in LEFT_OUT
        ],
        facts=_facts(run.notebook, seeds),
    )


def shown_once(page: Page, out: Path, seen: dict[str, FigureView]) -> Page:
    """Leave out the figures of a page that an earlier one has under the same name, byte for byte.

    Parameters
    ----------
    page : Page
    out : Path
        Folder of the report, which holds the figures.
    seen : dict of str to FigureView
        The figures of earlier pages by name and hash of their file; those of this page are added.
    """
    own, repeats = [], {}
    for figure in page.figures:
        content = f"{figure.name} {sha256_file(out / figure.file)}"
        first = seen.setdefault(content, figure)
        if first is figure:
            own.append(figure)
        else:
            repeats[figure.name] = first
    return replace(page, figures=own, repeats=repeats)


def _origin(run: NotebookRun, cell: int | None) -> Markup:
    """Say which seed and notebook made something, with a link to the cell."""
    text, place = escape(run.notebook), notebook_href(run)
    if cell is not None:
        text, place = text + f", cell {cell}", f"{place}#{CELL}{cell}"
    return Markup(f"*Seed {run.seed}, notebook* [{text}]({place}).")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name)


def notebook_href(run: NotebookRun) -> str:
    """Name the page of an executed notebook, as seen from the report."""
    return f"notebooks/{run.study}-{_slug(run.notebook)}.html"


def own_figure(out: Path, stem: str, caption: str, alt: str) -> FigureView:
    """View a figure that the report drew itself, of no notebook."""
    return FigureView(f"fig-{stem}", stem, caption, alt, _embedded_file(out, stem), Markup(""))


def _embedded_file(out: Path, stem: str) -> str:
    """Choose the drawing, or the picture where there is no drawing or a large one."""
    svg, png = out / "figures" / f"{stem}.svg", out / "figures" / f"{stem}.png"
    sizes = {path: path.stat().st_size for path in (svg, png) if path.is_file()}
    if not sizes:
        raise errors.UserError(f"figure {stem}: neither an SVG nor a PNG file was recorded")
    if sizes.get(svg, math.inf) > LARGEST_SVG:
        return f"figures/{min(sizes, key=sizes.get).name}"
    return f"figures/{svg.name}"


def _table_view(run: NotebookRun, table: Table, name: str, origin: Markup) -> TableView:
    path = run.folder / table.csv
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise errors.UserError(f"{path}: malformed ({error}): run the notebook again") from None
    header = [METRICS.get(column, column.replace("_", " ")) for column in frame.columns]
    lines = [header, *([cell(value) for value in row] for row in frame.itertuples(index=False))]
    if len(header) > max(MOST_COLUMNS, len(lines)):
        lines = [list(column) for column in zip(*lines, strict=True)]
    return TableView(name, table.name, table.caption, lines[0], lines[1:], origin)


def _facts(notebook: str, runs: Iterable[NotebookRun]) -> dict[str, FactView | None]:
    views: dict[str, FactView | None] = {
        fact.name: None for fact in facts.of_notebook(notebook) if fact.variable is None
    }
    for run in runs:
        for name, value in run.manifest.facts.items():
            if value is None:
                continue
            if views.get(name) is None:
                fact = facts.declared(notebook, name)
                views[name] = FactView(fact.label, fact.kind, {})
            views[name].by_seed[run.seed] = value
    return views
