"""Hand-made features: representations that nothing was trained for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.errors import UserError

ORIENTATIONS = 8
CELL_SIDE = 4
BLOCK_SIDE = 2
BATCH = 500
HOG_SETTINGS = (
    f"{ORIENTATIONS} orientations, cells of {CELL_SIDE}×{CELL_SIDE} pixels, blocks of "
    f"{BLOCK_SIDE}×{BLOCK_SIDE} cells, L2-Hys (Dalal & Triggs 2005)"
)
DESKEWING = "slant correction by moments (LeCun et al. 1998)"


def pixels(images: np.ndarray) -> np.ndarray:
    """Take the pixels themselves: float32 ``(N, D)`` in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def hog(images: np.ndarray, on_batch: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Describe images by histograms of oriented gradients (Dalal & Triggs 2005).

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
        H and W at least 8 pixels; what is left over beyond a multiple of 4 is not looked at. In a
        colour image every pixel has the gradient of the channel where it is largest.
    on_batch : callable, optional
        Called with the number of images done and N after each 500 images and at the end.

    Returns
    -------
    ndarray of float32, shape (N, D)
        Histograms of 8 unsigned orientations in cells of 4 × 4 pixels, normalised in each block of
        2 × 2 cells (L2, clipped at 0.2, L2 again), so values are in [0, 1]. With h × w cells
        D = 32 (h − 1)(w − 1): 1,152 for 28 × 28 pixels, 1,568 for 32 × 32. A block without any
        gradient is all zeros, and so is a constant image.

    Raises
    ------
    UserError
        If there is no image, they are not of such a shape and type, or smaller than 8 × 8.
    """
    from skimage.feature import hog as hog_of_image

    _require_images(images)
    channel_axis = -1 if images.ndim == 4 else None
    rows = []
    for done, image in enumerate(images, start=1):
        row = hog_of_image(
            image,
            orientations=ORIENTATIONS,
            pixels_per_cell=(CELL_SIDE, CELL_SIDE),
            cells_per_block=(BLOCK_SIDE, BLOCK_SIDE),
            block_norm="L2-Hys",
            channel_axis=channel_axis,
        )
        rows.append(row.astype(np.float32))
        if on_batch is not None and (done % BATCH == 0 or done == len(images)):
            on_batch(done, len(images))
    return np.stack(rows)


def deskew(images: np.ndarray) -> np.ndarray:
    """Set slanted strokes upright and centre them, by the moments of the ink.

    The slant is the slope of the regression of ink's columns on its rows; the image is sheared by
    it about its centre of mass (LeCun, Bottou, Bengio & Haffner 1998 deskew MNIST's digits so).

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W)
        Bright strokes on black.

    Returns
    -------
    ndarray of uint8, shape (N, H, W)
        Bilinearly interpolated. An image without ink, or with all of it in one row, stays centred.

    Raises
    ------
    UserError
        If the images are not grey.
    """
    if images.ndim != 3 or images.dtype != np.uint8:
        raise UserError(
            f"deskewing needs grey images uint8 of shape (N, H, W), found {images.dtype} of shape "
            f"{images.shape}: use another representation for colour images"
        )
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return np.concatenate([_deskewed(batch) for batch in batches]) if batches else images


def _deskewed(images: np.ndarray) -> np.ndarray:
    import torch
    from torch.nn import functional

    ink = torch.from_numpy(images).float()[:, None] / 255
    height, width = images.shape[1:]
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    mass = ink.sum((1, 2, 3)).clamp_min(1e-6)[:, None, None]

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (ink[:, 0] * values).sum((1, 2), keepdim=True) / mass

    row, column = mean(rows), mean(columns)
    spread = mean((rows - row) ** 2)
    slant = torch.where(spread > 0, mean((rows - row) * (columns - column)) / spread, 0.0)
    source_columns = column + columns + slant * rows
    source_rows = (row + rows).expand_as(source_columns)
    grid = torch.stack([source_columns, source_rows], dim=-1)
    upright = functional.grid_sample(ink, grid, align_corners=True)[:, 0]
    return (upright.clamp(0, 1) * 255).round().byte().numpy()


def _require_images(images: np.ndarray) -> None:
    """Refuse what is not a stack of images with at least one block each."""
    is_colour = images.ndim == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or is_colour):
        raise UserError(
            f"HOG needs images uint8 of shape (N, H, W) or (N, H, W, 3), found {images.dtype} of "
            f"shape {images.shape}: give the images as utils.datasets loads them"
        )
    least = CELL_SIDE * BLOCK_SIDE
    if len(images) == 0:
        raise UserError("HOG needs at least 1 image, found none: choose a larger subset")
    if min(images.shape[1:3]) < least:
        height, width = images.shape[1:3]
        raise UserError(
            f"HOG needs images of at least {least} × {least} pixels, found {height} × {width}: "
            "enlarge them first"
        )
