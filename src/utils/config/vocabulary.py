"""The names that files of ``config`` and tables may use, and what they are called in the article.

What the names stand for is code in other modules, most of which need seconds to import; tests hold
both in step.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    pass


class ImageSet(NamedTuple):
    """What is known of a dataset before it is loaded.

    Attributes
    ----------
    shape : tuple of int
        Number of images, height, width and, of coloured ones, 3.
    n_train : int
        The first so many images are the train split.
    class_names : tuple of str
        Name of each class number.
    """

    shape: tuple[int, ...]
    n_train: int
    class_names: tuple[str, ...]


_DIGITS = tuple("0123456789")
DATASETS = {
    "mnist": ImageSet((70000, 28, 28), 60000, _DIGITS),
    "fashion_mnist": ImageSet(
        (70000, 28, 28),
        60000,
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "cifar10": ImageSet(
        (60000, 32, 32, 3),
        50000,
        (
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
    ),
    "mnist5k": ImageSet((5000, 28, 28), 5000, _DIGITS),
    "digits": ImageSet((1797, 8, 8), 1797, _DIGITS),
}

# Options of each architecture of `autoencoders`, and what they are: "sizes" are a list of whole
# numbers from 1, a "size" is one of them, a "share" is a number from 0 to below 1, and a "flag" is
# true or false (false where it is left out).
ARCHITECTURES = {
    "conv_batchnorm": {"channels": "sizes", "decoder_norm": "flag"},
    "conv_dense": {"channels": "size", "widths": "sizes"},
    "conv_dropout": {"channels": "sizes", "dropout": "share"},
    "dense": {"widths": "sizes"},
}
# The fewest sizes with which an architecture is one.
LEAST_SIZES = {"conv_dense": 2, "conv_dropout": 2}

# Representations of a leaderboard: computed by rule, by a frozen network, or by one that is trained
# on the images. Names of studies are representations too, and "+" joins views of the same images.
HANDMADE = ("pixels", "hog", "deskewed", "deskewed_hog")
FROZEN = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
TRAINED = ("ae_dense", "ae_conv", "ae_denoising", "vae", "contrastive")
VIEWS_JOINED_BY = "+"

SPACE = r"raw|pca[1-9][0-9]*|umap[1-9][0-9]*(x[1-9][0-9]*)?"
SPACES = ("raw", "pca<d>", "umap<d>", "umap<d>x<layouts>")

CLUSTERERS = ("kmeans", "gmm", "ward", "spectral", "hdbscan", "dbscan_knee", "som", "leiden")
# These train a network of their own on pixels.
JOINT = ("dec", "idec", "dcn", "vade", "n2d")

# The notebooks of a study, each with those whose results it needs; that of a leaderboard; and that
# of a person's own pictures.
STUDY_NOTEBOOKS = {
    "01_baseline_kmeans": (),
    "02_train_autoencoder": (),
    "03_latent_clustering": ("02_train_autoencoder",),
    "04_pretrained_comparison": ("02_train_autoencoder",),
}
LEADERBOARD_NOTEBOOK = "05_beyond_the_papers"
PICTURES_NOTEBOOK = "06_your_images"

# Metrics whose spread over seeds of k-means the notebooks record.
SPREAD_METRICS = ("ari", "nmi", "purity", "acc")

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
