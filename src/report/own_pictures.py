"""The report on a person's own pictures: what notebook 6 left, as one HTML page and one PDF."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

from report import collect, evidence, maps, pages
from report.pictures_article import article, is_laid_out
from utils import estimator
from utils.runs.pictures import ASSIGNMENTS, DUPLICATES, MODEL, SKIPPED
from utils.store import ownership

FILES = (ASSIGNMENTS, DUPLICATES, SKIPPED, MODEL)


def build(
    run_dir: Path,
    study: str,
    seed: int,
    title: str,
    clusterer: str,
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
    clusterer : str
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
    _, about = estimator.load(run_dir / MODEL)
    with ownership.replaced_together(out, owner) as folder:
        record = evidence.write_pictures(run, FILES, folder, time.monotonic() - began)
        text = article(run, record, about, title, clusterer, folder)
        plots = {}
        if run.manifest.atlas is not None:
            place = f"atlas-{study}"
            points = pd.read_parquet(run_dir / run.manifest.atlas)
            axes = "UMAP" if is_laid_out(run) else "principal components"
            plots[place] = maps.plot(points, place, folder, axes)
        pages.write_all([pages.Document("report", text, plots)], folder, [run], any_script=True)
