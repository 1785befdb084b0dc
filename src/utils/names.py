"""What the names in the tables are called in the words of the article."""

import re

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
    "self_label": "self-labelling",
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
