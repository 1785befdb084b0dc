"""The supplement: everything that the notebooks of a run left, gathered for its template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from report import (
    article_figures,
    board_sections,
    overall,
    published,
    run_tables,
    sections,
    stale_numbers,
    study_tables,
    templates,
)
from utils import places

if TYPE_CHECKING:
    from report.collect import Results
    from report.notebook_parts import FigureView

# What captions say of the numbers in a table.
RUNS = {
    "this": "This run, at full scale.",
    "published": "At full scale.",
    "none": "",
}


def supplement(results: Results, record: dict[str, Any], out: Path) -> str:
    """Return the supplement as pandoc Markdown.

    Parameters
    ----------
    results : Results
        What the runs left.
    record : dict
        What ``run.json`` holds.
    out : Path
        Folder into which `evidence.write_results` has written.

    Returns
    -------
    str
        Image files and links to notebooks are relative to `out`. Where a page of its own begins,
        there is a mark of `web_pages`.
    """
    published_run = published.load(places.published())
    stale = stale_numbers.of_other_code(published_run) if published_run else {}
    marked = stale_numbers.marked_scores(published_run, stale) if published_run else set()
    seen: dict[str, FigureView] = {}
    views = [
        sections.study_view(results, name, out, published_run).with_each_figure_once(out, seen)
        for name in results.studies
    ]
    context = {
        "profile": results.profile,
        "seeds": results.seeds,
        "record": record,
        "substituted": results.substituted,
        "views": views,
        "notes": sections.notes_of(results),
        "claim_id": sections.claim_id,
        "short_name": article_figures.short_name,
        "external_metrics": tuple(sections.EXTERNAL),
        "beside_header": study_tables.BESIDE_HEADER,
        "ranking_header": study_tables.RANKING_HEADER,
        "has_mark": stale_numbers.has_mark,
        "stale_note": Markup(stale_numbers.NOTE),
        **run_tables.context(results, record, published_run, marked),
        **board_sections.context(
            results, published_run, out, stale_numbers.marked_representations(stale)
        ),
        **overall.context(results, views, published_run, out),
    }
    runs = RUNS | ({"this": "This run, reduced."} if results.profile.reduced else {})
    return templates.render("supplement.md.j2", context, board_sections.FILTERS, runs)
