"""How good a clustering is: against labels, and by the shape of its clusters alone."""

import numpy as np

from utils.metrics.agreement import (
    adjusted_rand,
    neighbour_agreement,
    stability,
)
from utils.metrics.external import (
    NOISE,
    Contingency,
    _require_same_length,
    confusion_table,
    contingency,
    external,
    hungarian_match,
    hungarian_order,
    k_found,
    majority_order,
    matched_classes,
    noise_fraction,
)
from utils.metrics.internal import (
    internal,
    silhouette,
)


def score(
    assignment: np.ndarray, labels: np.ndarray | None, features: np.ndarray
) -> dict[str, float]:
    """Compute every metric that applies to a clustering.

    Parameters
    ----------
    assignment : ndarray of int, shape (N,)
        Cluster of each point; −1 is noise.
    labels : ndarray of int, shape (N,), or None
        Class of each point; without it only internal indices are computed.
    features : ndarray of float, shape (N, D)
        The space that was clustered, in which the internal indices are taken.

    Returns
    -------
    dict of str to float
        With labels: ``ari`` [−0.5, 1], ``ami`` (at most 1, 0 by chance), ``nmi``, ``homogeneity``,
        ``completeness``, ``v_measure``, ``purity``, ``acc`` (all [0, 1]); 1 is best.
        Always: ``silhouette`` [−1, 1] and ``calinski_harabasz`` [0, ∞), higher is better, and
        ``davies_bouldin`` [0, ∞), lower is better. These three are absent where they are undefined:
        with fewer than two clusters, or as many clusters as points (noise not counted).

    Raises
    ------
    ValueError
        If the lengths differ or there is no point.
    """
    _require_same_length(assignment, features)
    agreement = {} if labels is None else external(assignment, labels)
    return agreement | internal(assignment, features)


__all__ = [
    "NOISE",
    "Contingency",
    "adjusted_rand",
    "confusion_table",
    "contingency",
    "external",
    "hungarian_match",
    "hungarian_order",
    "internal",
    "k_found",
    "majority_order",
    "matched_classes",
    "neighbour_agreement",
    "noise_fraction",
    "score",
    "silhouette",
    "stability",
]
