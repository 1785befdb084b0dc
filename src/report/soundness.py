"""Whether networks were trained as they should be, by rules that were set beforehand.

No rule sees a label or a score that labels are needed for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from report.evidence_tables import DIMENSIONS_TABLE
from report.markdown import words
from report.study_names import short_name
from utils.store.tables import CONFUSION_TABLE, LOSSES_TABLE

if TYPE_CHECKING:
    from utils import config

# Of the variance of a code, at most this share lies between the clusters of k-means. On a line ten
# clusters have nearly all of it: of a normal variable, 98 % (Max 1960, "Quantizing for minimum
# distortion"). In two dimensions they have less than 90 %.
MOST_EXPLAINED = 0.95
# The last validation loss is at most this many times the least one.
MOST_RISEN = 1.1
# A cluster has at most this share of the images.
LARGEST_CLUSTER = 0.8
RULE = (
    "A network has collapsed if k-means finds fewer clusters in its code than it is told to, or if "
    f"more than {100 * MOST_EXPLAINED:.0f} % of the variance of the code lies between the "
    "clusters, which is so if the code is hardly more than a line. A collapsed network counts as "
    "failed: its scores are left out of all means."
)
# A network: study, seed and representation.
Network = tuple[str, int, str]
_NETWORK = ["study", "seed", "representation"]


@dataclass(frozen=True)
class Trainings:
    """What runs recorded of their networks: tables of `utils.store.tables` and of the evidence."""

    metrics: pd.DataFrame
    confusion: pd.DataFrame
    losses: pd.DataFrame
    dimensions: pd.DataFrame

    @classmethod
    def of(cls, metrics: pd.DataFrame, evidence: Mapping[str, pd.DataFrame]) -> Trainings:
        """Take the tables from those of a run's evidence."""
        tables = (CONFUSION_TABLE, LOSSES_TABLE, DIMENSIONS_TABLE)
        return cls(metrics, *(evidence[table.file] for table in tables))


def collapsed(metrics: pd.DataFrame, studies: Iterable[config.Study]) -> dict[Network, str]:
    """Find the networks that have collapsed, by `RULE`.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    studies : iterable of Study

    Returns
    -------
    dict of (str, int, str) to str
        Study, seed and representation to the reason, in words. A network with several clusterings,
        of all and of the first images, has collapsed if it has in each.
    """
    asked = {study.study: study.kmeans.n_clusters for study in studies}
    found: dict[Network, list[str | None]] = {}
    for row in explained_shares(metrics, asked).itertuples():
        # UMAP makes dense groups of any code: nothing shows there how much of it is left.
        share = math.nan if row.space.startswith("umap") else row.share
        reason = _reason(row.k_found, asked[row.study], share)
        found.setdefault((row.study, int(row.seed), row.representation), []).append(reason)
    return {network: reasons[0] for network, reasons in found.items() if all(reasons)}


def _reason(k_found: int, k: int, share: float) -> str | None:
    """Say why a clustering is that of a collapsed network; None if it is not."""
    if k_found < k:
        return f"k-means finds {k_found} instead of {k} clusters in its code"
    if share > MOST_EXPLAINED:
        return f"{100 * share:.0f} % of the variance of its code lies between {k} clusters"
    return None


def explained_shares(metrics: pd.DataFrame, studies: Collection[str]) -> pd.DataFrame:
    """List the clusterings of networks by k-means.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    studies : collection of str
        Whose networks are meant.

    Returns
    -------
    DataFrame
        Columns ``study``, ``seed``, ``representation``, ``space``, ``n``, ``k_found`` and
        ``share``, of the variance of the code that lies between the clusters; NaN where there are
        too few clusters for it.
    """
    own = metrics[
        metrics["representation"].str.startswith("autoencoder")
        & (metrics["clusterer"] == "kmeans")
        & metrics["study"].isin(studies)
    ]
    place = [*_NETWORK, "space", "n", "k_found"]
    ratios = own[own["metric"] == "calinski_harabasz"]
    listed = own[place].drop_duplicates().merge(ratios[[*place, "value"]], "left", on=place)
    shares = [explained_share(row.value, row.k_found, row.n) for row in listed.itertuples()]
    return listed.drop(columns="value").assign(share=shares)


def explained_share(calinski_harabasz: float, k: int, n: int) -> float:
    """Return the share of the variance that lies between clusters.

    The index (Caliński & Harabasz 1974) is the variance between `k` clusters over that within them,
    each over its degrees of freedom: (B / (k − 1)) / (W / (n − k)).
    """
    ratio = calinski_harabasz * (k - 1) / (n - k)
    return ratio / (1 + ratio)


def without(table: pd.DataFrame, networks: Collection[Network]) -> pd.DataFrame:
    """Leave out the rows of networks; the table has study, seed and representation."""
    if not networks:
        return table
    keys = pd.MultiIndex.from_frame(table[_NETWORK])
    return table[~keys.isin(list(networks))]


def warnings_of(runs: Trainings, studies: Iterable[config.Study]) -> list[str]:
    """Say of trainings what looks wrong, a sentence for each kind, study and network.

    Parameters
    ----------
    runs : Trainings
    studies : iterable of Study
    """
    found = collapsed(runs.metrics, studies)
    return [
        *(f"{_name(*network)} has collapsed: {reason}." for network, reason in found.items()),
        *_uneven(runs.confusion),
        *_risen(runs.losses),
        *_constant(runs.dimensions),
    ]


def _name(study: str, seed: int, network: str) -> str:
    return f"{short_name(study)}, seed {seed}: the {_network(network)}"


def _network(name: str) -> str:
    variant = name.removeprefix("autoencoder").removeprefix("-")
    return f"autoencoder ({variant})" if variant else "autoencoder"


def _uneven(confusion: pd.DataFrame) -> list[str]:
    own = confusion[
        confusion["representation"].str.startswith("autoencoder")
        & (confusion["clusterer"] == "kmeans")
    ]
    found = []
    for (study, seed, network), rows in own.groupby(_NETWORK):
        whole = rows[rows["n"] == rows["n"].max()]
        largest = whole.groupby("cluster")["images"].sum().max() / whole["images"].sum()
        if largest > LARGEST_CLUSTER:
            share = f"{100 * largest:.0f} % of the images"
            found.append(f"{_name(study, seed, network)} has {share} in one cluster.")
    return found


def _risen(losses: pd.DataFrame) -> list[str]:
    found = []
    for (study, network), rows in losses.groupby(["study", "network"], sort=False):
        curves = [
            of_seed.sort_values("epoch")["validation_loss"].dropna()
            for _, of_seed in rows.groupby("seed")
        ]
        curves = [curve for curve in curves if len(curve)]
        risen = [curve for curve in curves if curve.iloc[-1] > MOST_RISEN * curve.min()]
        if risen:
            worst = max(risen, key=lambda curve: curve.iloc[-1] / curve.min())
            found.append(
                f"{short_name(study)}: the validation loss of the {_network(network)} rose again "
                f"in {len(risen)} of {len(curves)} trainings, at most from {worst.min():.4f} to "
                f"{worst.iloc[-1]:.4f}."
            )
    return found


def _constant(dimensions: pd.DataFrame) -> list[str]:
    """Name the dimensions that are constant, of those up to the last that a view shows."""
    found = []
    for (study, seed), rows in dimensions.groupby(["study", "seed"], sort=False):
        images = rows[rows["what"] == "image"]
        axes = dict(zip(rows["axes"].iloc[0].split(), "xyz", strict=True))
        shown = {int(number): images[axis].nunique() > 1 for number, axis in axes.items()}
        constant = [str(at) for at in range(1, max(shown) + 1) if not shown.get(at, False)]
        if constant:
            are = "dimension {} is" if len(constant) == 1 else "dimensions {} are"
            found.append(
                f"{short_name(study)}, seed {seed}: {are.format(words(constant))} constant in the "
                "code."
            )
    return found
