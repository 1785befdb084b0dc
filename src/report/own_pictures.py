"""The report on a person's own pictures: what notebook 6 left, as one HTML page and one PDF."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pandas as pd

from report import collect, evidence, maps, pages
from report.pictures_article import article, is_laid_out
from report.web_pages import WebPage
from utils import estimator
from utils.runs.picture_map import address
from utils.runs.pictures import (
    AGAINST,
    ASSIGNMENTS,
    DUPLICATES,
    MODEL,
    OUTLIERS,
    QUALITY,
    SKIPPED,
    SUBSET,
)
from utils.store import ownership

FILES = (ASSIGNMENTS, OUTLIERS, DUPLICATES, QUALITY, SKIPPED, MODEL)
FILES_IF_ASKED = (SUBSET, AGAINST)


def build(
    run_dir: Path,
    study: str,
    seed: int,
    title: str,
    out: Path,
    owner: str,
    began: float,
) -> None:
    """Write the report of one folder of pictures.

    Parameters
    ----------
    run_dir : Path
        Folder that notebook 6 wrote into.
    study : str
        Plain name of the collection.
    seed : int
    title : str
        Any text.
    out : Path
        Folder of the report. Nothing in it changes unless every part could be made.
    owner : str
        Whose the report is, as `ownership.report_on_pictures` names it.
    began : float
        When the command began, by `time.monotonic`.

    Raises
    ------
    UserError
        If results are missing or malformed, or a page cannot be made.
    """
    run = collect.notebook_run(run_dir / "manifest.json", "images", study, seed)
    model, about = estimator.load(run_dir / MODEL)
    with ownership.replaced_together(out, owner) as folder:
        asked = [name for name in FILES_IF_ASKED if name in run.manifest.files]
        record = evidence.write_pictures(run, (*FILES, *asked), folder, time.monotonic() - began)
        points = _linked(pd.read_parquet(run_dir / run.manifest.atlas), out)
        links = dict(zip(points["name"], points["link"], strict=True))
        text = article(run, record, about, title, model.clusterer_, folder, links)
        place = f"atlas-{study}"
        axes = "UMAP" if is_laid_out(run) else "principal components"
        plots = {place: maps.plot(points, place, folder, axes)}
        # Not one file, since the originals, to which the map leads, are not in the page either.
        page = WebPage("report", text, plots, is_one_file=False)
        document = pages.Document("report", text, pages=[page])
        pages.write_all([document], folder, [run], any_script=True)


def _linked(points: pd.DataFrame, out: Path) -> pd.DataFrame:
    """Replace the addresses of the pictures by those relative to the folder of the report."""
    base = address(out)
    links = [os.path.relpath(file, base) for file in points["file"]]
    return points.drop(columns="file").assign(link=links)
