"""Where the scores of a study vary from: its networks, and the seed of k-means."""

from __future__ import annotations

import pandas as pd

from report.statistics import Components, variance_components
from utils import config
from utils.config.metrics_table import METRICS

# Of one clustering of one representation.
PLACE = ("study", "representation", "space", "clusterer", "n")


def components(
    starts: pd.DataFrame, study: config.Study, representation: str = "autoencoder"
) -> dict[str, Components]:
    """Split the variance of each score of a representation that is clustered from several seeds.

    Parameters
    ----------
    starts : DataFrame
        Columns of `tables.STARTS_TABLE`.
    study : config.Study
    representation : str

    Returns
    -------
    dict of str to Components
        By metric, in the order of `METRICS`; empty for fewer than two networks.
    """
    rows = starts[(starts["study"] == study.study) & (starts["representation"] == representation)]
    found = {}
    for metric in METRICS:
        values = rows[rows["metric"] == metric]
        groups = [part["value"].tolist() for _, part in values.groupby("seed")]
        if (split := variance_components(groups)) is not None:
            found[metric] = split
    return found
