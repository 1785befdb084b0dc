"""Clusterers that find layers of clusters, from many to few, and take the most persistent layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.clustering.results import Result
from utils.spaces.neighbours import require_features

if TYPE_CHECKING:
    from fast_hdbscan import PLSCAN

# As their packages set them.
EVOC_NEIGHBORS = 15
PLSCAN_SAMPLES = 5


def _evoc(features: np.ndarray, _k: int, seed: int) -> Result:
    """EVoC (McInnes 2025, package evoc): a layout of the graph of neighbours by the cosine."""
    from evoc import EVoC

    require_features(features, EVOC_NEIGHBORS + 1, "EVoC")
    model = EVoC(n_neighbors=EVOC_NEIGHBORS, random_state=seed).fit(features)
    return _result(model.labels_, model.membership_strengths_)


def _plscan(features: np.ndarray, _k: int, _seed: int) -> Result:
    """PLSCAN (Bot, McInnes & Aerts 2025): HDBSCAN for every size of the smallest cluster."""
    require_features(features, 2 * PLSCAN_SAMPLES, "PLSCAN")
    model = fit_plscan(features)
    return _result(model.labels_, model.membership_strengths_)


def fit_plscan(features: np.ndarray) -> PLSCAN:
    """Fit PLSCAN with its package's settings and a spanning tree that is always the same."""
    from fast_hdbscan import PLSCAN

    return PLSCAN(min_samples=PLSCAN_SAMPLES, reproducible=True).fit(features)


def _result(labels: np.ndarray, strengths: np.ndarray) -> Result:
    confidence = np.where(labels < 0, 0, np.clip(strengths, 0, 1))
    return Result(np.asarray(labels), confidence.astype(np.float32))
