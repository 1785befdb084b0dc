"""The interactive maps: the tables that notebooks left of them, and their plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pyarrow import parquet

from utils.figures import atlas

if TYPE_CHECKING:
    from report.collect import Results


def plots(results: Results) -> dict[str, str]:
    """Return the plot of each study's map as JSON, by the identifier of its place in the page."""
    files = {name: _file(results, name) for name in results.studies}
    return {f"atlas-{name}": plot(file) for name, file in files.items() if file is not None}


def plot(file: Path) -> str:
    """Return the plot of the points in a file, as JSON."""
    points = pd.read_parquet(file)
    return atlas.plot(points, atlas.colours(points))


def n_points(results: Results, name: str) -> int:
    """Count the points of the map of the study `name`; 0 if it has none."""
    file = _file(results, name)
    return 0 if file is None else n_points_in(file)


def n_points_in(file: Path) -> int:
    """Count the points of a map."""
    return parquet.read_metadata(file).num_rows


def _file(results: Results, name: str) -> Path | None:
    runs = results.first_runs(name)
    return next((run.folder / run.manifest.atlas for run in runs if run.manifest.atlas), None)
