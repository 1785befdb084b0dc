"""The tables and figures that are written beside the article."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import derived_tables, evidence_tables, new_images, provenance
from report.board_tables import write_tables
from report.forests import draw_forests
from report.notebook_parts import figure_stems
from utils import config
from utils.store import files
from utils.store.tables import (
    ASSIGNMENTS_TABLE,
    FACTS_TABLE,
    METRICS_TABLE,
)

if TYPE_CHECKING:
    from report.collect import Figure, NotebookRun, Results


def write_results(results: Results, out: Path) -> dict[str, Any]:
    """Write tables, figures and the record of the run into `out`, each file atomically.

    Returns
    -------
    dict
        What ``run.json`` holds.
    """
    record = provenance.record(results)
    studies = list(results.studies.values())
    for schema, table in (
        (METRICS_TABLE, results.metrics),
        (ASSIGNMENTS_TABLE, results.assignments),
        (FACTS_TABLE, results.facts),
    ):
        schema.write(table, out / schema.file)
    derived_tables.write(results, out)
    evidence_tables.write(results.evidence, out)
    files.write_json(out / "run.json", record)
    stems = figure_stems(results)
    for study in results.topics:
        for run in results.first_runs(study):
            for figure in run.manifest.figures:
                stem = stems[study, run.notebook, figure.name]
                _copy_figure(run.folder, figure, out / "figures" / stem)
    draw_forests(studies, results.metrics, results.verdicts, out / "figures")
    if results.boards:
        write_tables(
            results.boards,
            results.metrics,
            results.costs,
            results.assignments,
            results.labels,
            results.label_free,
            config.load_verdict_rule(),
            out,
        )
        new_images.draw(results.boards, results.reliability, out)
    return record


def write_pictures(
    run: NotebookRun, names: Iterable[str], out: Path, seconds: float
) -> dict[str, Any]:
    """Copy the files of these names, and the figures, of a run on pictures; write its record.

    Returns
    -------
    dict
        What ``run.json`` holds.
    """
    for name in names:
        shutil.copyfile(run.folder / name, out / name)
    for figure in run.manifest.figures:
        _copy_figure(run.folder, figure, out / "figures" / figure.name)
    record = provenance.record_of_pictures(run, seconds)
    files.write_json(out / "run.json", record)
    return record


def _copy_figure(folder: Path, figure: Figure, target: Path) -> None:
    """Copy the files of a notebook's figure to `target`, a path without its suffix."""
    for suffix in ("svg", "png", "csv"):
        name = getattr(figure, suffix)
        if name is not None:
            with files.atomic_path(target.with_name(f"{target.name}.{suffix}")) as temporary:
                shutil.copyfile(folder / name, temporary)
