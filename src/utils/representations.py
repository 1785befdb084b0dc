"""Representations by name: what each line of a leaderboard begins with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.config import UserError, is_offline

# Each view of the same images by itself; several are joined by "+" and weigh the same.
VIEWS_JOINED_BY = "+"
FROZEN = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def handmade_names() -> tuple[str, ...]:
    """List the representations that nothing was trained for."""
    return ("pixels", "hog", "deskewed", "deskewed_hog")


def is_seeded(name: str) -> bool:
    """Tell whether a representation depends on a seed."""
    return any(part not in (*handmade_names(), *FROZEN) for part in name.split(VIEWS_JOINED_BY))


def features(
    name: str,
    images: np.ndarray,
    seed: int,
    max_epochs: int | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Represent images; no label is involved.

    Parameters
    ----------
    name : str
        ``pixels`` (in [0, 1]), ``hog``, the same of slant-corrected images (``deskewed``,
        ``deskewed_hog``), a network that is trained on these images (``encoders``), or a frozen one
        (`FROZEN`; each image's features have length 1).
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    seed : int
        Of networks that are trained here; see `is_seeded`.
    max_epochs : int, optional
        Limit for such networks, below their own default.
    on_epoch, on_batch : callable, optional
        Progress of a training and of a computation of features.

    Returns
    -------
    ndarray of float32, shape (N, D)

    Raises
    ------
    UserError
        If the name is unknown, or the images do not suit the representation.
    """
    from utils import handmade

    if name == "pixels":
        return images.reshape(len(images), -1).astype(np.float32) / 255
    if name == "hog":
        return handmade.hog(images, on_batch)
    if name.startswith("deskewed"):
        rest = name.removeprefix("deskewed").removeprefix("_") or "pixels"
        if rest in ("pixels", "hog"):
            return features(rest, handmade.deskew(images), seed, on_batch=on_batch)
    if name in FROZEN:
        return _frozen(name, images, on_batch)
    from utils import encoders

    if name in encoders.REPRESENTATIONS:
        epochs = encoders.DEFAULT_EPOCHS[name]
        epochs = epochs if max_epochs is None else min(epochs, max_epochs)
        return encoders.fit_features(name, images, seed, epochs, on_epoch)
    allowed = ", ".join([*handmade_names(), *encoders.REPRESENTATIONS, *FROZEN])
    raise UserError(f"unknown representation {name!r}: allowed are {allowed}")


def _frozen(
    name: str, images: np.ndarray, on_batch: Callable[[int, int], None] | None
) -> np.ndarray:
    from utils import pretrained

    backbone = pretrained.load_backbone(name, is_offline())
    found = pretrained.features(backbone, images, on_batch)
    return found / np.linalg.norm(found, axis=1, keepdims=True)
