"""How the parts of a run grow with the number of images."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from utils import clustering as clusterers
from utils import config, metrics, spaces
from utils.data import datasets
from utils.representations import training

SIZES = (5_000, 10_000, 20_000, 40_000, 70_000)


def run() -> dict[str, Any]:
    """Time each part once on the first images of MNIST, with the settings of `mnist-cae`."""
    images = datasets.load("mnist").images
    protocol = config.load_study("mnist-cae").autoencoder.model_copy(update={"epochs": 1})
    training.train(images[:2560], protocol, seed=0)
    spaces.umap(np.random.default_rng(0).random((500, 50), dtype=np.float32))
    rows = []
    for n in SIZES:
        found: dict[str, Any] = {}

        def timed(name: str, act: Callable[[], Any], found: dict[str, Any] = found) -> Any:
            started = time.perf_counter()
            result = act()
            found[name] = round(time.perf_counter() - started, 3)
            return result

        part = images[:n]
        pixels = part.reshape(n, -1).astype(np.float32) / 255
        timed("an epoch of training", lambda part=part: training.train(part, protocol, seed=0))
        points, _ = timed("PCA 50", lambda pixels=pixels: spaces.pca(pixels, 50))
        clustering = timed(
            "k-means, 10 starts", lambda points=points: clusterers.kmeans(points, 10, 10, seed=0)
        )
        timed(
            "exact silhouette",
            lambda points=points, found=clustering: metrics.silhouette(found.assignment, points),
        )
        timed("neighbours and UMAP 10", lambda points=points: spaces.umap(points))
        print(f"  {n:,} images: {found}", flush=True)
        rows.append({"images": n, **found})
    return {"what": "parts of a run, on the first images of MNIST, in seconds", "rows": rows}
