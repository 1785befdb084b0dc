"""The report of a profile: results collected, tables written, pages made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import collect, crate, maps, matrices, web_pages
from report.article import article
from report.evidence import write_results
from report.pages import Document, write_all
from report.supplement import supplement
from report.web_pages import WebPage
from utils.store import ownership

if TYPE_CHECKING:
    from report.collect import Results


def build(
    profile: str, studies: Sequence[str], seeds: Sequence[int], runs_dir: Path, out: Path
) -> None:
    """Write the whole report of a profile.

    Parameters
    ----------
    profile : str
        Name of the profile.
    studies : sequence of str
        Names of the studies, in the order of the report.
    seeds : sequence of int
        Seeds whose results belong in the report.
    runs_dir : Path
        Folder that holds ``<profile>/<study>/seed-<k>/<notebook>/``.
    out : Path
        Folder of the report. Nothing in it changes unless every part could be made.

    Raises
    ------
    UserError
        If results are missing or malformed, or a page cannot be made.
    """
    results = collect.collect(profile, studies, seeds, runs_dir)
    owner = ownership.report_of_profile(profile)
    with ownership.replaced_together(Path(out), owner) as folder:
        record = write_results(results, folder)
        documents = _documents(results, record, folder)
        runs = [run for name in results.topics for run in results.first_runs(name)]
        write_all(documents, folder, runs)
        crate.write(folder, results.studies.values())


def _documents(results: Results, record: dict[str, Any], folder: Path) -> list[Document]:
    """Write the article, whose page is one file, and the supplement, whose pages are many.

    The article is what people pass on. The supplement lies in its folder anyway, beside the
    notebooks that it leads to; there the figures are loaded one by one, when they are seen.
    """
    text = article(results, record, folder)
    further = supplement(results, record, folder)
    labels = {"report": "Article", **web_pages.labels(further, "supplement")}
    page = WebPage("report", web_pages.with_pages(text, labels, "report"))
    plots, tables = maps.plots(results, folder), matrices.of_studies(results)
    pages = web_pages.split(further, "supplement", labels, plots, tables)
    return [
        Document("report", text, pages=[page]),
        Document("supplement", further, pages=pages),
    ]
