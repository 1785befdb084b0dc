"""The points of maps and of views in three dimensions, from the numbers that figures left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from report.evidence_tables import DIMENSIONS_TABLE, MAPS_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.manifests import NotebookRun

BY_CLASS, BY_CLUSTER = "_label", "_cluster"
# The two views of notebook 3: of the images by class, and by cluster with the clusters' centres.
VIEW_BY_CLASS, VIEW_WITH_CENTRES = "dimensions_label", "dimensions_centres"


def of_runs(runs: Iterable[NotebookRun]) -> pd.DataFrame:
    """Read the points of each map that was drawn by class and by cluster.

    Returns
    -------
    DataFrame
        Columns of `MAPS_TABLE`.
    """
    return MAPS_TABLE.joined([part for run in runs for part in _maps_of(run)])


def _maps_of(run: NotebookRun) -> list[pd.DataFrame]:
    drawn = _numbers_of(run)
    stems = [
        name.removesuffix(BY_CLASS)
        for name in drawn
        if name.startswith("tsne")
        and name.endswith(BY_CLASS)
        and name.removesuffix(BY_CLASS) + BY_CLUSTER in drawn
    ]
    return [
        _joined(run, drawn[stem + BY_CLASS], drawn[stem + BY_CLUSTER]).assign(
            study=run.study, seed=run.seed, map=stem
        )
        for stem in stems
    ]


def _numbers_of(run: NotebookRun) -> dict[str, str]:
    """Map the name of each figure to the file of its numbers, for those that have one."""
    return {figure.name: figure.csv for figure in run.manifest.figures if figure.csv}


def _joined(run: NotebookRun, by_class: str, by_cluster: str) -> pd.DataFrame:
    """Join the numbers of the same map in two colourings, which have its points in one order."""
    classes, clusters = _read(run, by_class), _read(run, by_cluster)
    return classes.assign(cluster=clusters["cluster"])


def _read(run: NotebookRun, name: str) -> pd.DataFrame:
    words = {"class": str, "cluster": str}
    return pd.read_csv(run.folder / name, dtype=words, keep_default_na=False)


def dimensions_of_runs(runs: Iterable[NotebookRun]) -> pd.DataFrame:
    """Read the points and centres of each view in three dimensions.

    Returns
    -------
    DataFrame
        Columns of `DIMENSIONS_TABLE`.
    """
    return DIMENSIONS_TABLE.joined(
        [
            _view_of(run, drawn[VIEW_BY_CLASS], drawn[VIEW_WITH_CENTRES])
            for run in runs
            for drawn in [_numbers_of(run)]
            if {VIEW_BY_CLASS, VIEW_WITH_CENTRES} <= drawn.keys()
        ]
    )


def _view_of(run: NotebookRun, by_class: str, with_centres: str) -> pd.DataFrame:
    """Join two views of the same images, of which the second has the centres after the images."""
    classes, view = _read(run, by_class)["class"], _read(run, with_centres)
    axes = [name for name in view.columns if name.startswith("dimension ")]
    numbers = " ".join(name.removeprefix("dimension ") for name in axes)
    named = view.rename(columns=dict(zip(axes, "xyz", strict=True)))
    return named.assign(
        **{"class": classes.reindex(view.index, fill_value="")},
        study=run.study,
        seed=run.seed,
        axes=numbers,
    )
