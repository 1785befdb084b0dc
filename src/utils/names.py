"""Names in the tables: how they are put together, and what the article calls them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Behind a clusterer's name and a "+": its clusters are learned by a network, see `self_labelling`.
SELF_LABEL, THEN = "self_label", "+"
NAMES = {
    "hog": "HOG",
    "deskewed": "deskewed pixels",
    "deskewed_hog": "HOG of deskewed images",
    "ae_dense": "dense autoencoder",
    "ae_conv": "convolutional autoencoder",
    "ae_denoising": "denoising autoencoder",
    "vae": "variational autoencoder",
    "contrastive": "contrastive network",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite1": "EfficientNet-Lite1",
    "efficientnet_lite2": "EfficientNet-Lite2",
    "resnet50": "ResNet50",
    "resnet50_random": "ResNet50 with random weights",
    "kmeans": "k-means",
    "kmeans_k_chosen": "k-means, k chosen",
    "gmm": "Gaussian mixture",
    "ward": "Ward",
    "spectral": "spectral",
    "som": "SOM",
    "hdbscan": "HDBSCAN",
    "dbscan": "DBSCAN",
    "dbscan_knee": "DBSCAN, eps at the knee",
    "leiden": "Leiden",
    "dec": "DEC",
    "idec": "IDEC",
    "dcn": "DCN",
    "vade": "VaDE",
    "n2d": "N2D",
    SELF_LABEL: "self-labelling",
}


def describe(representation: str, space: str, clusterer: str) -> str:
    """Name a clustering in the words of the article."""
    return ", ".join(describe_parts(representation, space, clusterer))


def describe_parts(representation: str, space: str, clusterer: str) -> tuple[str, str, str]:
    """Name the parts of a clustering in the words of the article."""
    reduced = re.fullmatch(r"(pca|umap)(\d+)(?:x(\d+))?", space)
    where = f"{reduced[1].upper()} {reduced[2]}" if reduced else space
    where += f" × {reduced[3]} layouts" if reduced and reduced[3] else ""
    views, steps = (
        " + ".join(NAMES.get(part, part) for part in name.split("+"))
        for name in (representation, clusterer)
    )
    return views, where, steps


def largest_confusion(
    counts: np.ndarray, row_names: Sequence[str], column_names: Sequence[str]
) -> str:
    """Say in words which cell is the largest of those whose row and column differ in name.

    Parameters
    ----------
    counts : ndarray of int, shape (rows, columns)
        Images by the class after which a cluster is named (rows) and their own (columns).
    row_names, column_names : sequence of str
    """
    cells = [
        (int(counts[i, j]), row, column)
        for i, row in enumerate(row_names)
        for j, column in enumerate(column_names)
        if row != column
    ]
    n, row, column = max(cells, key=lambda cell: cell[0], default=(0, "", ""))
    if n == 0:
        return "no image lies in a cluster of another class"
    return f"the largest confusion is {n:,} images of {column} in a cluster of {row}"
