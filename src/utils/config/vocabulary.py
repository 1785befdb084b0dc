"""The names that files of ``config`` and tables may use, and what they are called in the article.

What the names stand for is code in other modules, most of which need seconds to import; tests hold
both in step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from utils.config.methods import NAMES as NAMES  # the report imports it from here
from utils.config.methods import Method


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
# numbers from 1, a "size" is one of them, a "share" is a number from 0 to below 1, a "flag" is true
# or false (false where it is left out), "layers" are a list of those of `layers`, and a tuple has
# the words that are allowed (the first where it is left out).
ARCHITECTURES: dict[str, dict[str, str | tuple[str, ...]]] = {
    "conv_batchnorm": {"channels": "sizes", "decoder_norm": "flag"},
    "conv_dense": {"channels": "size", "widths": "sizes"},
    "conv_dropout": {"channels": "sizes", "dropout": "share"},
    "dense": {"widths": "sizes"},
    "layers": {
        "encoder": "layers",
        "decoder": "layers",
        "output": ("sigmoid", "linear"),
        "initial": ("pytorch", "keras"),
    },
}
# The fewest sizes with which an architecture is one.
LEAST_SIZES = {"conv_dense": 2, "conv_dropout": 2}

# Used instead of a frozen network whose weights are not available; its own come in a package.
SUBSTITUTE = "efficientnet_lite0"

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

# Without a network to train: their results are those of k-means alone, so one seed runs them all.
UNTRAINED_NOTEBOOKS = ("01_baseline_kmeans", "04_pretrained_comparison")


def study_notebooks(seed: int, seeds: Sequence[int]) -> list[str]:
    """List the notebooks of a study that a seed, one of `seeds`, is run with."""
    is_first = seed == min(seeds)
    return [name for name in STUDY_NOTEBOOKS if is_first or name not in UNTRAINED_NOTEBOOKS]


def describe(representation: str, space: str, clusterer: str) -> str:
    """Name a clustering in the words of the article."""
    return ", ".join(describe_parts(representation, space, clusterer))


def describe_parts(representation: str, space: str, clusterer: str) -> tuple[str, str, str]:
    """Name the parts of a clustering in the words of the article."""
    return Method.from_table(representation, space, clusterer).in_words
