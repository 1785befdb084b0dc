"""Every metric that the tables hold: what it is called, and how its values may be compared."""

from __future__ import annotations

from typing import NamedTuple


class MetricEntry(NamedTuple):
    """What is known of a metric.

    Attributes
    ----------
    name : str
        For running text.
    short : str
        For heads of tables and axes.
    sign : int
        1 if more is better, -1 if less is better.
    needs_labels : bool
    within_one_space : bool
        Whether values may be compared only if they were measured in the same space.
    """

    name: str
    short: str
    sign: int = 1
    needs_labels: bool = True
    within_one_space: bool = False


def _index(name: str, short: str, sign: int = 1) -> MetricEntry:
    return MetricEntry(name, short, sign, needs_labels=False, within_one_space=True)


METRICS = {
    "ari": MetricEntry("adjusted Rand index", "ARI"),
    "nmi": MetricEntry("normalised mutual information", "NMI"),
    "ami": MetricEntry("adjusted mutual information", "AMI"),
    "homogeneity": MetricEntry("homogeneity", "Homog."),
    "completeness": MetricEntry("completeness", "Compl."),
    "v_measure": MetricEntry("V-measure", "V"),
    "purity": MetricEntry("purity", "Purity"),
    "acc": MetricEntry("accuracy", "ACC"),
    "silhouette": _index("silhouette", "Silhouette"),
    "davies_bouldin": _index("Davies-Bouldin index", "Dav.-Bouldin", sign=-1),
    "calinski_harabasz": _index("Caliński-Harabasz index", "Cal.-Harabasz"),
}
EXTERNAL = tuple(key for key, metric in METRICS.items() if metric.needs_labels)
INTERNAL = tuple(key for key, metric in METRICS.items() if not metric.needs_labels)
