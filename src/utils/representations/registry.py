"""Representations by name that need no training on the images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from utils.config.methods import FROZEN
from utils.errors import UserError
from utils.representations import handmade, pretrained, pretrained_views

OnBatch = Callable[[int, int], None]
# Ends the name of a frozen network whose features are averaged over views of each image.
AVERAGED = "_views"


class Representation(NamedTuple):
    """A representation.

    Attributes
    ----------
    compute : callable
        From images, and a function to be called with the number of images done and N, to features.
    settings : str
        What it is computed with, and the source of these values.
    module : str
        Where its code is.
    """

    compute: Callable[[np.ndarray, OnBatch | None], np.ndarray]
    settings: str
    module: str


def _handmade(compute: Callable, settings: str) -> Representation:
    return Representation(compute, settings, "utils.representations.handmade")


def _frozen(name: str) -> Representation:
    network = name.removesuffix(AVERAGED)
    side = pretrained.LITE[network].side
    settings = f"ImageNet weights, {side}×{side} pixels, features of length 1"
    module = pretrained
    if network != name:
        module, settings = pretrained_views, f"{settings}, {pretrained_views.SETTINGS}"
    return Representation(partial(module.unit_features, network), settings, module.__name__)


REPRESENTATIONS = {
    "pixels": _handmade(lambda images, _: handmade.pixels(images), "pixel values in [0, 1]"),
    "hog": _handmade(handmade.hog, handmade.HOG_SETTINGS),
    "deskewed": _handmade(
        lambda images, _: handmade.pixels(handmade.deskew(images)),
        f"pixels after {handmade.DESKEWING}",
    ),
    "deskewed_hog": _handmade(
        lambda images, on_batch: handmade.hog(handmade.deskew(images), on_batch),
        f"HOG after {handmade.DESKEWING}: {handmade.HOG_SETTINGS}",
    ),
    **{name: _frozen(name) for name in FROZEN},
}


def entry(name: str) -> Representation:
    """Return the entry of a representation.

    Raises
    ------
    UserError
        If the name is unknown.
    """
    if name not in REPRESENTATIONS:
        allowed = ", ".join(REPRESENTATIONS)
        raise UserError(f"unknown representation {name!r}: allowed are {allowed}")
    return REPRESENTATIONS[name]


def features(name: str, images: np.ndarray, on_batch: OnBatch | None = None) -> np.ndarray:
    """Represent images without training anything on them.

    Parameters
    ----------
    name : str
        A key of `REPRESENTATIONS`: ``pixels`` (in [0, 1]), ``hog``, the same of slant-corrected
        images (``deskewed``, ``deskewed_hog``), or a frozen network (each image's features have
        length 1).
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    on_batch : callable, optional
        Called with the number of images done and N, where there is something to wait for.

    Returns
    -------
    ndarray of float32, shape (N, D)

    Raises
    ------
    UserError
        If the name is unknown, or the images do not suit the representation.
    """
    return entry(name).compute(images, on_batch)
