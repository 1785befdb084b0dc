"""Where scores vary from: the networks, and the starts of k-means."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.special import chdtri

from report.statistics import Interval, variance_components
from utils import config
from utils.config.metrics_table import METRICS
from utils.store.tables import COMBINATION, Table

# Of a representation without training, and of a single network, only the starts vary.
VARIANCES_TABLE = Table(
    "variance_components.csv",
    MappingProxyType(
        {
            **dict.fromkeys(("study", "representation", "space", "clusterer"), "str"),
            "n": "int64",
            "metric": "str",
            "n_networks": "int64",
            # Of each network; the harmonic mean if they differ.
            "n_starts": "float64",
            **dict.fromkeys(("sd_networks", "sd_networks_low", "sd_networks_high"), "float64"),
            **dict.fromkeys(("sd_starts", "sd_starts_low", "sd_starts_high"), "float64"),
            # Of the variance of a single run, that of networks: the intraclass correlation.
            **dict.fromkeys(("share_networks", "share_low", "share_high"), "float64"),
        }
    ),
)


def components(starts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Split the variance of each score into that of networks and that of starts of k-means.

    Parameters
    ----------
    starts : DataFrame
        Columns of `tables.STARTS_TABLE`.
    confidence : float
        Of each interval, in (0, 1).

    Returns
    -------
    DataFrame
        Columns of `VARIANCES_TABLE`, a row for each metric of each clustering that has a second
        start, in order of appearance. Of a single network, and of a representation without
        training, which is the same for every seed, all that is of networks is missing.
    """
    rows = []
    for place, of_place in starts.groupby(list(COMBINATION), sort=False):
        key = dict(zip(COMBINATION, place, strict=True))
        if not key["representation"].startswith("autoencoder"):
            of_place = of_place.drop_duplicates(["kmeans_seed", "metric"]).assign(seed=0)
        for metric in METRICS:
            values = of_place[of_place["metric"] == metric]
            groups = [part["value"].tolist() for _, part in values.groupby("seed")]
            found = _of_networks(groups, confidence) or _of_starts(groups, confidence)
            if found is not None:
                rows.append({**key, "metric": metric, **found})
    table = pd.DataFrame(rows, columns=list(VARIANCES_TABLE.columns))
    return table.astype(dict(VARIANCES_TABLE.types))


def _of_networks(groups: list[list[float]], confidence: float) -> dict[str, float] | None:
    split = variance_components(groups, confidence)
    if split is None:
        return None
    sizes = {len(group) for group in groups}
    return {
        "n_networks": split.n_networks,
        # Three equal numbers have a harmonic mean that differs in its last digit.
        "n_starts": float(sizes.pop()) if len(sizes) == 1 else split.n_repeats,
        **_estimate("sd_networks", "sd_networks", split.between, split.between_interval),
        **_estimate("sd_starts", "sd_starts", split.within, split.within_interval),
        **_estimate("share_networks", "share", split.icc, split.icc_interval),
    }


def _of_starts(groups: list[list[float]], confidence: float) -> dict[str, float] | None:
    if len(groups) != 1 or len(groups[0]) < 2:
        return None
    (values,) = groups
    sd = 0.0 if min(values) == max(values) else float(np.std(values, ddof=1))
    return {
        "n_networks": 1,
        "n_starts": float(len(values)),
        **_estimate("sd_starts", "sd_starts", sd, sd_interval(sd, len(values), confidence)),
    }


def _estimate(name: str, ends: str, value: float, interval: Interval) -> dict[str, float]:
    return {name: value, f"{ends}_low": interval[0], f"{ends}_high": interval[1]}


def sd_interval(sd: float, n: int, confidence: float = 0.95) -> Interval:
    """Return the interval of a standard deviation.

    Parameters
    ----------
    sd : float
        That of the sample, ≥ 0.
    n : int
        Size of the sample, at least 2.
    confidence : float
        In (0, 1).

    Returns
    -------
    (float, float)
        s √((n − 1) / χ²), with the percentiles of χ² of n − 1 degrees of freedom that leave out
        half of 1 − `confidence` on each side.

    References
    ----------
    Hahn, Meeker and Escobar, Statistical Intervals, 2nd edition, 2017, chapter 4.
    """
    outside = (1 - confidence) / 2
    low, high = (float(chdtri(n - 1, above)) for above in (outside, 1 - outside))
    return sd * ((n - 1) / low) ** 0.5, sd * ((n - 1) / high) ** 0.5


def of_protocol(variances: pd.DataFrame, study: config.Study) -> Sequence[tuple]:
    """List the rows of k-means on the code of a study's autoencoder that tell networks apart.

    Parameters
    ----------
    variances : DataFrame
        Columns of `VARIANCES_TABLE`.
    study : Study

    Returns
    -------
    list of named tuple
        One for each metric; of the largest number of images.
    """
    rows = variances[
        (variances["study"] == study.study)
        & (variances["representation"] == "autoencoder")
        & (variances["space"] == study.space.label)
        & (variances["clusterer"] == "kmeans")
        & variances["sd_networks"].notna()
    ]
    return list(rows[rows["n"] == rows["n"].max()].itertuples())
