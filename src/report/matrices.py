"""The table of clusters and classes beside each interactive map, as its printed figure has it.

A map shows a sample of the images; the counts are those of all images that were clustered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from utils import metrics
from utils.figures import cluster_names

if TYPE_CHECKING:
    from report.collect import Results
    from utils import config

# Of the notebook that draws both the map and the printed table.
NOTEBOOK, FIGURE = "03_latent_clustering", "confusion_latent"


def of_studies(results: Results) -> dict[str, str]:
    """Make the table of each study that has a map.

    Returns
    -------
    dict of str to str
        JSON, without "<", by the identifier of the map's place in the page: names of ``clusters``,
        the class ``matched`` with each, ``classes``, ``counts`` (a list for each cluster) and the
        identifier of the printed ``figure``.
    """
    tables = {name: of_study(results, study) for name, study in results.studies.items()}
    return {
        f"atlas-{name}": json.dumps(table, separators=(",", ":")).replace("<", "\\u003c")
        for name, table in tables.items()
        if table is not None
    }


def of_study(results: Results, study: config.Study) -> dict[str, Any] | None:
    """Make the table of a study; None without a map or without the counts of its clustering."""
    drawn = [run for run in results.first_runs(study.study) if run.notebook == NOTEBOOK]
    if not drawn or drawn[0].manifest.atlas is None:
        return None
    counts = results.confusion
    own = counts[
        (counts["study"] == study.study)
        & (counts["seed"] == drawn[0].seed)
        & (counts["representation"] == "autoencoder")
        & (counts["space"] == study.space.label)
        & (counts["clusterer"] == "kmeans")
    ]
    own = own[own["n"] == own["n"].max()]
    return matched(own) | {"figure": f"fig-{study.study}-{FIGURE}"} if len(own) else None


def mistakes(points: pd.DataFrame, table: dict[str, Any]) -> pd.Series:
    """Say of each point of a map whether its class is another than that of its cluster in `table`.

    Clusters that are matched on the points of the map alone may be matched with other classes.
    """
    match = dict(zip(table["clusters"], table["matched"], strict=True))
    of_clusters = points["cluster"].astype(object).map(match)
    return points["class"].astype(object) != of_clusters


def matched(counts: pd.DataFrame) -> dict[str, Any]:
    """Arrange the counts of one clustering as `utils.figures.matched_confusion` draws them.

    Parameters
    ----------
    counts : DataFrame
        Columns ``cluster``, ``class`` and ``images``, classes in their order.
    """
    classes = counts["class"].unique().tolist()
    codes = counts["class"].map({name: code for code, name in enumerate(classes)})
    labels = np.repeat(codes.to_numpy(), counts["images"])
    assignment = np.repeat(counts["cluster"].to_numpy(), counts["images"])
    table = metrics.hungarian_order(labels, assignment)
    match = metrics.hungarian_match(labels, assignment)
    names = cluster_names(int(table.clusters.max()) + 1)
    return {
        "clusters": [names[cluster] for cluster in table.clusters],
        "matched": [
            classes[match[cluster]] if cluster in match else None
            for cluster in table.clusters.tolist()
        ],
        "classes": classes,
        "counts": table.counts.tolist(),
    }
