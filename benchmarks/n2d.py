"""ClustPy's N2D against our recipe without a network, on the same images."""

from __future__ import annotations

import numpy as np

from measure import OURS, Result, in_turn
from utils import clustering, metrics, spaces
from utils.clustering import joint
from utils.data import datasets
from utils.representations import registry
from utils.spaces.views import views

IMAGES = 10_000
ROUNDS = 1
VIEWS = ("deskewed", "deskewed_hog")
THEIRS = "ClustPy's N2D"


def _recipe(images: np.ndarray) -> np.ndarray:
    """Pixels and gradients of slant-corrected images, UMAP, Gaussian mixture."""
    features = views(*(registry.features(name, images) for name in VIEWS))
    return clustering.cluster("gmm", spaces.umap(features), 10, seed=0).assignment


def run() -> Result:
    data = datasets.load("mnist")
    images, labels = data.images[:IMAGES], data.labels[:IMAGES]
    pixels = images.reshape(IMAGES, -1).astype(np.float32) / 255
    ways = {
        OURS: lambda: _recipe(images),
        THEIRS: lambda: joint.cluster("n2d", pixels, 10, seed=0).assignment,
    }
    seconds, found = in_turn(ways, ROUNDS, lambda: _recipe(images[:2000]))
    ari = {
        way: round(metrics.external(assignment, labels)["ari"], 4)
        for way, assignment in found.items()
    }
    what = f"clusters of the first {IMAGES:,} images of MNIST"
    return Result(what, seconds, {THEIRS: 3.0}, {"ari": ari})
