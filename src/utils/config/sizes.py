"""Numbers of features, known before anything is loaded; tests compare them with the code."""

from __future__ import annotations

import math

from utils.config import layers, methods
from utils.config.schema import Study
from utils.config.vocabulary import DATASETS

# Features of the networks that have equally many for images of any size.
ENCODED = {
    **dict.fromkeys(("ae_dense", "ae_denoising", "vae"), 10),
    **dict.fromkeys(methods.FROZEN, 1280),
    "contrastive": 512,
}


def image_shape(study: Study) -> tuple[int, int, int]:
    """Return channels, height and width of an image as the network sees it."""
    height, width, *channels = DATASETS[study.dataset].shape[1:]
    side = study.images.resize
    return (*(channels or (1,)), side or height, side or width)


def shrinking(architecture: str, options: dict) -> int:
    """Return by what factor a network shrinks the sides of an image."""
    if architecture == "conv_batchnorm":
        return 2 ** len(options["channels"])
    if architecture == "conv_dropout":
        return 2 ** (len(options["channels"]) - 1)
    return 1


def latent_size(architecture: str, options: dict, shape: tuple[int, int, int]) -> int:
    """Return how many numbers a network makes of an image of (channels, height, width)."""
    if architecture == "layers":
        return math.prod(layers.shape_after(options["encoder"], shape))
    if "widths" in options:
        return options["widths"][-1]
    factor = shrinking(architecture, options)
    return options["channels"][-1] * (shape[1] // factor) * (shape[2] // factor)


def n_features(view: str, shape: tuple[int, ...], studies: dict[str, Study]) -> int:
    """Return how many features a representation has.

    Parameters
    ----------
    view : str
        One representation of a leaderboard.
    shape : tuple of int
        Height and width of an image and, if coloured, 3.
    studies : dict of str to Study
        By name; one of them may be the view.

    Returns
    -------
    int
    """
    if view in studies:
        autoencoder = studies[view].autoencoder
        return latent_size(
            autoencoder.architecture, autoencoder.options, image_shape(studies[view])
        )
    if view in ("pixels", "deskewed"):
        return math.prod(shape)
    rows, columns = shape[0] // 4, shape[1] // 4
    if view in ("hog", "deskewed_hog"):
        return 32 * (rows - 1) * (columns - 1)
    if view == "ae_conv":
        return 64 * rows * columns
    return ENCODED[view]
