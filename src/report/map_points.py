"""The points of the t-SNE maps, from the numbers that their figures left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from report.evidence_tables import MAPS_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.manifests import NotebookRun

BY_CLASS, BY_CLUSTER = "_label", "_cluster"


def of_runs(runs: Iterable[NotebookRun]) -> pd.DataFrame:
    """Read the points of each map that was drawn by class and by cluster.

    Returns
    -------
    DataFrame
        Columns of `MAPS_TABLE`.
    """
    return MAPS_TABLE.joined([part for run in runs for part in _maps_of(run)])


def _maps_of(run: NotebookRun) -> list[pd.DataFrame]:
    drawn = {figure.name: figure.csv for figure in run.manifest.figures if figure.csv}
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


def _joined(run: NotebookRun, by_class: str, by_cluster: str) -> pd.DataFrame:
    """Join the numbers of the same map in two colourings, which have its points in one order."""
    classes, clusters = (
        pd.read_csv(run.folder / name, dtype={"class": str, "cluster": str}, keep_default_na=False)
        for name in (by_class, by_cluster)
    )
    return classes.assign(cluster=clusters["cluster"])
