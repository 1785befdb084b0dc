"""Features of a frozen network, averaged over several views of each image.

A class hardly depends on which way an object looks or how tightly it is framed, the features of a
network a little. Digits and clothes differ from their mirror images: this is for photographs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.representations import pretrained

# Of an image's side that a crop from its centre keeps.
CROP = 7 / 8
SETTINGS = (
    "the mean of four views, each of length 1: the image and its centre, 7/8 of the side, and "
    "both mirrored"
)
_N_VIEWS = 4


def unit_features(
    name: str, images: np.ndarray, on_batch: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Compute features by a frozen network in the mean over views, each scaled to length 1.

    Parameters
    ----------
    name : str
        A key of `pretrained.LITE`.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    on_batch : callable, optional
        Called with the number of images done, all views together, and N.

    Returns
    -------
    ndarray of float32, shape (N, D)
    """
    total: np.ndarray | float = 0.0
    for i, view in enumerate(views(images)):

        def report(done: int, n_images: int, before: int = i) -> None:
            if on_batch is not None:
                on_batch((before * n_images + done) // _N_VIEWS, n_images)

        total = total + pretrained.unit_features(name, view, report)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def views(images: np.ndarray) -> list[np.ndarray]:
    """Return the views: the images, their centres, and both mirrored; uint8 as the images."""
    height, width = images.shape[1:3]
    top, left = (round(side * (1 - CROP) / 2) for side in (height, width))
    centres = images[:, top : height - top, left : width - left]
    return [images, images[:, :, ::-1], centres, centres[:, :, ::-1]]
