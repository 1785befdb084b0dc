"""External scores computed again from counts of classes in clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from utils.config.metrics_table import EXTERNAL
from utils.metrics import external
from utils.store.tables import COMBINATION

CLUSTERING = (*COMBINATION, "seed")
# Scores are rounded where they are published.
TOLERANCE = 1e-6


def external_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """Compute the external scores of each clustering from its counts.

    Parameters
    ----------
    counts : DataFrame
        Columns of `tables.CONFUSION_TABLE`.

    Returns
    -------
    DataFrame
        A row for each clustering and a column for each of `EXTERNAL`; the index has the columns
        `CLUSTERING`.
    """
    rows = {
        key: external(*expanded(part))
        for key, part in counts.groupby(list(CLUSTERING), sort=False, observed=True)
    }
    index = pd.MultiIndex.from_tuples(rows, names=CLUSTERING) if rows else None
    return pd.DataFrame(rows.values(), index=index, columns=list(EXTERNAL))


def expanded(counts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return cluster and class number of each image of one clustering, in the order of its rows."""
    images, classes = counts["images"].to_numpy(), pd.factorize(counts["class"])[0]
    return np.repeat(counts["cluster"].to_numpy(), images), np.repeat(classes, images)


def disagreements(metrics: pd.DataFrame, counts: pd.DataFrame) -> list[str]:
    """List the scores that do not follow from the counts, and counts or scores without the other.

    Parameters
    ----------
    metrics, counts : DataFrame
        Columns of `tables.METRICS_TABLE` and `tables.CONFUSION_TABLE`.

    Returns
    -------
    list of str
        Of each clustering of the counts every external score is compared; empty if all agree.
    """
    again = external_scores(counts)
    recorded = metrics[metrics["metric"].isin(EXTERNAL)]
    scores = recorded.pivot(index=list(CLUSTERING), columns="metric", values="value")
    complaints = [f"{key}: no scores" for key in again.index.difference(scores.index)]
    complaints += [f"{key}: no counts" for key in scores.index.difference(again.index)]
    for key in again.index.intersection(scores.index):
        for name, value in again.loc[key].items():
            found = scores.loc[key].get(name, np.nan)
            if not abs(found - value) < TOLERANCE:
                complaints.append(f"{key}: {name} is {found}, by the counts {value}")
    return complaints
