"""PCA 50, neighbours, UMAP 10-d and a Gaussian mixture on 70,000 digits, seeded."""

from __future__ import annotations

import numpy as np

from measure import OURS, Result, in_turn
from utils import clustering, metrics, spaces
from utils.data import datasets

ROUNDS = 2
NEIGHBOURS, DIMENSIONS, CLUSTERS = 10, 10, 10
THEIRS = "umap-learn with random_state"


def run() -> Result:
    from umap import UMAP

    data = datasets.load("mnist")
    pixels = data.images.reshape(len(data.images), -1).astype(np.float32) / 255

    def pipeline(layout) -> tuple[np.ndarray, np.ndarray]:
        projected, _ = spaces.pca(pixels, 50)
        points = layout(projected)
        return points, clustering.cluster("gmm", points, CLUSTERS, seed=0).assignment

    ways = {
        OURS: lambda: pipeline(lambda x: spaces.umap(x, DIMENSIONS, NEIGHBOURS, seed=0)),
        THEIRS: lambda: pipeline(
            UMAP(
                n_neighbors=NEIGHBOURS,
                n_components=DIMENSIONS,
                min_dist=0.0,
                random_state=0,
                n_jobs=1,
            ).fit_transform
        ),
    }
    few = pixels[:5000]
    first = {}

    def warm_up() -> None:
        # Compiles what numba compiles, and keeps our first result for the comparison.
        spaces.umap(few, DIMENSIONS, NEIGHBOURS, seed=0)
        UMAP(n_neighbors=NEIGHBOURS, random_state=0, n_jobs=1).fit(few)
        first["points"] = ways[OURS]()[0]

    seconds, results = in_turn(ways, ROUNDS, warm_up)
    ari = {
        way: round(metrics.external(assignment, data.labels)["ari"], 4)
        for way, (_, assignment) in results.items()
    }
    checks = {"ari": ari, "same_bits": bool((first["points"] == results[OURS][0]).all())}
    what = f"PCA 50 → UMAP {DIMENSIONS} → Gaussian mixture, {len(pixels):,} images of MNIST"
    return Result(what, seconds, {THEIRS: 1 / 0.6}, checks)
