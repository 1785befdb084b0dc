"""The report on a person's own pictures: what notebook 6 left, as one HTML page and one PDF."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from report import collect, evidence, notebook_parts, pages, provenance, run_tables
from report.markdown import fixed
from utils import clustering, estimator
from utils.config.vocabulary import PICTURES_NOTEBOOK
from utils.figures import atlas
from utils.runs.pictures import ASSIGNMENTS, DUPLICATES, MODEL, SKIPPED
from utils.store import files, ownership
from utils.store.tables import METRICS_TABLE

FILES = (ASSIGNMENTS, DUPLICATES, SKIPPED, MODEL)
SCORES = {"acc": "ACC", "ari": "ARI", "nmi": "NMI", "ami": "AMI", "purity": "purity"}


def build(
    run_dir: Path, study: str, seed: int, title: str, clusterer: str, out: Path, owner: str
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

    Raises
    ------
    UserError
        If results are missing or malformed, or a page cannot be made.
    """
    run = collect.notebook_run(run_dir / "manifest.json", "images", study, seed)
    _, about = estimator.load(run_dir / MODEL)
    with ownership.replaced_together(out, owner) as folder:
        for name in FILES:
            shutil.copyfile(run_dir / name, folder / name)
        for figure in run.manifest.figures:
            evidence.copy_figure(run_dir, figure, folder / "figures" / figure.name)
        record = _record(run)
        files.write_json(folder / "run.json", record)
        points = None
        if run.manifest.atlas is not None:
            points = pd.read_parquet(run_dir / run.manifest.atlas)
        context = _context(run, record, folder) | about
        context |= {
            "title": title,
            "clusterer": clusterer,
            "finds_k": clusterer in clustering.FINDS_K,
            "atlas_points": 0 if points is None else len(points),
        }
        source = folder / "article.md"
        source.write_text(pages.render("images.md.j2", context), encoding="utf-8")
        plots = {}
        if points is not None:
            plots[f"atlas-{study}"] = atlas.plot(points, atlas.colours(points))
        pages.write_all(source, folder, plots, [run], any_script=True)


def _context(run: collect.NotebookRun, record: dict[str, Any], folder: Path) -> dict[str, Any]:
    manifest = run.manifest
    stems = {
        (run.study, PICTURES_NOTEBOOK, figure.name): figure.name for figure in manifest.figures
    }
    page = notebook_parts.page(run, stems, {}, folder)
    scores = _scores(run)
    return {
        "study": run.study,
        "record": record,
        "facts": manifest.facts,
        "notes": manifest.notes,
        "figures": {view.name: view for view in page.figures},
        "sheets": [view for view in page.figures if view.name.startswith("sheet_")],
        "tables": {view.name: view for view in page.tables},
        "scores": scores,
        "score_header": [SCORES[name] for name in scores],
        "score_row": [fixed(value, 3) for value in scores.values()],
        "laid_out": manifest.facts["pictures"] >= estimator.LEAST_LAID_OUT,
        "provenance_rows": run_tables.machine_rows(record),
    }


def _scores(run: collect.NotebookRun) -> dict[str, float]:
    if METRICS_TABLE.file not in run.manifest.files:
        return {}
    table = METRICS_TABLE.read(run.folder / METRICS_TABLE.file).set_index("metric")["value"]
    return {name: float(table[name]) for name in SCORES if name in table}


def _record(run: collect.NotebookRun) -> dict[str, Any]:
    """Return what ``run.json`` holds: commit, versions, hardware and duration."""
    return {
        **provenance.provenance(),
        "seed": run.seed,
        "seconds": run.manifest.seconds,
        "peak_memory_mb": run.manifest.peak_memory_mb,
        "facts": run.manifest.facts,
    }
