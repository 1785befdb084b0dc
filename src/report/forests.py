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
    verdict_table: pd.DataFrame,
    folder: Path,
) -> None:
    """Draw the reported scores of each study beside ours.

    Parameters
    ----------
    studies : iterable of Study
    metrics, verdict_table : DataFrame
        Columns of `METRICS_TABLE` and `VERDICTS_TABLE`.
    folder : Path
        Gets ``<study>-forest`` as SVG, PNG and CSV for each study that has a value of a score.
    """
    for study in studies:
        own = verdict_table[verdict_table["study"] == study.study]
        own = own.drop_duplicates("score").set_index("score")
        estimates = [
            figures.Estimate(
                reported.score,
                [float(source.value) for source in reported.sources],
                list(values_of(metrics, study, reported).values()),
                *own.loc[reported.score, ["prediction_low", "prediction_high"]].astype(float),
            )
            for reported in study.reported
        ]
        estimates = [estimate for estimate in estimates if estimate.runs]
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
