"""Representations by name: what each line of a leaderboard begins with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.config.vocabulary import FROZEN, HANDMADE
from utils.errors import UserError
from utils.representations import handmade


def features(
    name: str,
    images: np.ndarray,
    on_batch: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Represent images without training anything on them.

    Parameters
    ----------
    name : str
        ``pixels`` (in [0, 1]), ``hog``, the same of slant-corrected images (``deskewed``,
        ``deskewed_hog``), or a frozen network (`FROZEN`; each image's features have length 1).
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
    if name in FROZEN:
        return _frozen(name, images, on_batch)
    if name not in HANDMADE:
        allowed = ", ".join([*HANDMADE, *FROZEN])
        raise UserError(f"unknown representation {name!r}: allowed are {allowed}")
    if name.startswith("deskewed"):
        images = handmade.deskew(images)
    if name.endswith("hog"):
        return handmade.hog(images, on_batch)
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _frozen(
    name: str, images: np.ndarray, on_batch: Callable[[int, int], None] | None
) -> np.ndarray:
    from utils.representations import pretrained

    backbone = pretrained.load_backbone(name)
    found = pretrained.features(backbone, images, on_batch)
    return found / np.linalg.norm(found, axis=1, keepdims=True)
