"""The names that files of ``config`` may use, in tables that cost nothing to import.

What the names stand for is code in other modules, most of which need seconds to import; tests hold
both in step.
"""

from __future__ import annotations

from typing import NamedTuple


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

# Metrics whose spread over seeds of k-means the notebooks record.
SPREAD_METRICS = ("ari", "nmi", "purity", "acc")
