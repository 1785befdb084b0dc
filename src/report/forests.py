"""The figures of reported scores beside ours."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd

from report.reproduction import values_of
from utils import config, figures, places
from utils.store import cache, files


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
    with tempfile.TemporaryDirectory() as folder:
        saved = figures.save(figures.forest(estimates, title), Path(folder), "forest")
        return {path.suffix[1:]: path.read_bytes() for path in saved if path is not None}
