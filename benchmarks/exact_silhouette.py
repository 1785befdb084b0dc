"""The silhouette of all 70,000 points, against scikit-learn's."""

from __future__ import annotations

import tracemalloc

import numpy as np
from sklearn.metrics import silhouette_score

from measure import OURS, Result, in_turn
from utils import clustering, metrics, spaces
from utils.data import datasets

ROUNDS = 2
THEIRS = "scikit-learn"


def run() -> Result:
    images = datasets.load("mnist").images
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    points, _ = spaces.pca(pixels, 50)
    assignment = clustering.kmeans(points, 10, 1, seed=0).assignment
    ways = {
        OURS: lambda: metrics.silhouette(assignment, points),
        THEIRS: lambda: float(silhouette_score(points, assignment)),
    }
    few = slice(0, 5000)
    seconds, values = in_turn(
        ways,
        ROUNDS,
        lambda: (
            metrics.silhouette(assignment[few], points[few]),
            silhouette_score(points[few], assignment[few]),
        ),
    )
    tracemalloc.start()
    ways[OURS]()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    checks = {
        "silhouette": {way: round(value, 7) for way, value in values.items()},
        "differs_by": abs(values[OURS] - values[THEIRS]),
        "peak_memory_mb": round(peak / 1e6),
    }
    what = f"exact silhouette of {len(points):,} × {points.shape[1]} points in 10 clusters"
    return Result(what, seconds, {THEIRS: 3.0}, checks)
