"""What the names in the tables are called in the words of the article."""

import re

NAMES = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "resnet50": "ResNet50",
    "resnet50_random": "ResNet50 with random weights",
    "kmeans": "k-means",
    "dbscan": "DBSCAN",
}


def describe(representation: str, space: str, clusterer: str) -> str:
    """Name a clustering in the words of the article."""
    reduced = re.fullmatch(r"(pca|umap)(\d+)", space)
    where = f"{reduced[1].upper()} {reduced[2]}" if reduced else space
    return (
        f"{NAMES.get(representation, representation)}, {where}, {NAMES.get(clusterer, clusterer)}"
    )
