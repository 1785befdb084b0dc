"""The tables and figures that are written beside the article."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from report.collect import Figure, Results
from report.provenance import record
from report.reproduction import reported_vs_reproduced, values_of
from utils import config, places
from utils.store import cache, files
from utils.store.tables import (
    ASSIGNMENTS_TABLE,
    CONFUSION_TABLE,
    FACTS_TABLE,
    METRICS_TABLE,
    VERDICTS_TABLE,
)

if TYPE_CHECKING:
    from utils import figures


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


def write_results(results: Results, out: Path) -> None:
    """Write the tables, the record of the run and the figures into `out`, each file atomically."""
    out = Path(out)
    verdict_table = verdicts(results)
    for schema, table in (
        (METRICS_TABLE, results.metrics),
        (ASSIGNMENTS_TABLE, results.assignments),
        (CONFUSION_TABLE, results.confusion),
        (FACTS_TABLE, results.facts),
        (VERDICTS_TABLE, verdict_table),
    ):
        schema.write(table, out / schema.file)
    files.write_json(out / "run.json", record(results))
    stems = figure_stems(results)
    for study in results.topics:
        for run in results.first_runs(study):
            for figure in run.manifest.figures:
                stem = stems[study, run.notebook, figure.name]
                copy_figure(run.folder, figure, out / "figures" / stem)
    studies = list(results.studies.values())
    draw_forests(studies, results.metrics, results.facts, verdict_table, out / "figures")


def draw_forests(
    studies: Iterable[config.Study],
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    verdict_table: pd.DataFrame,
    folder: Path,
) -> None:
    """Draw the reported scores of each study beside ours; counts of parameters are no scores.

    Parameters
    ----------
    studies : iterable of Study
    metrics, facts, verdict_table : DataFrame
        Columns of `METRICS_TABLE`, `FACTS_TABLE` and `VERDICTS_TABLE`.
    folder : Path
        Gets ``<study>-forest`` as SVG, PNG and CSV for each study that has a score.
    """
    from utils import figures

    for study in studies:
        own = verdict_table[verdict_table["study"] == study.study].set_index("figure")
        estimates = [
            figures.Estimate(
                figure.figure,
                figure.value,
                figure.tolerance,
                list(values_of(metrics, facts, study.study, figure).values()),
                *own.loc[figure.figure, ["ci_low", "ci_high"]].astype(float),
            )
            for figure in study.reported
            if figure.fact is None
        ]
        estimates = [estimate for estimate in estimates if estimate.seeds]
        if estimates:
            drawn = cache.load_or_make(
                f"{study.study}-forest",
                {"title": study.title, "estimates": [list(one) for one in estimates]},
                ("utils.figures.style",),
                partial(_forest, estimates, study.title),
                places.cache(),
            )
            for suffix, content in drawn.items():
                with files.atomic_path(folder / f"{study.study}-forest.{suffix}") as temporary:
                    temporary.write_bytes(content)


def _forest(estimates: list[figures.Estimate], title: str) -> dict[str, bytes]:
    """Return the files of the figure that `draw_forests` draws, by suffix."""
    from utils import figures

    with tempfile.TemporaryDirectory() as folder:
        saved = figures.save(figures.forest(estimates, title), Path(folder), "forest")
        return {path.suffix[1:]: path.read_bytes() for path in saved if path is not None}


def copy_figure(folder: Path, figure: Figure, target: Path) -> None:
    """Copy the files of a notebook's figure to `target`, a path without its suffix."""
    for suffix in ("svg", "png", "csv"):
        name = getattr(figure, suffix)
        if name is not None:
            with files.atomic_path(target.with_name(f"{target.name}.{suffix}")) as temporary:
                shutil.copyfile(folder / name, temporary)


def verdicts(results: Results) -> pd.DataFrame:
    """Return the table of `reported_vs_reproduced` for everything that was collected."""
    return reported_vs_reproduced(
        results.metrics,
        results.facts,
        results.studies.values(),
        results.profile.reduced,
        results.substituted,
    )
