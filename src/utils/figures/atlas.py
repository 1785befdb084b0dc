"""The interactive map of a study's images: what it shows, as a table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from utils import metrics

COLUMNS = ("x", "y", "class", "cluster", "wrong", "confidence", "cell", "image")
# As many as the page's script draws and searches without delay.
MOST_POINTS = 100_000
# WebP at this quality shows small pictures as they are, at a third of a PNG's size.
QUALITY = 80
METHOD = 2  # half the time of the default, for files that are a tenth larger
# Of a square sheet of small pictures.
CELLS_PER_ROW = 16


def margins(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Say how clearly each point lies nearer to its centre than to any other.

    Parameters
    ----------
    points : ndarray of float, shape (N, d)
    centres : ndarray of float, shape (k, d)
        At least two.

    Returns
    -------
    ndarray of float32, shape (N,)
        One less the distance to the nearest centre by that to the second, in [0, 1]: 0 half way
        between two, 1 on a centre.
    """
    from sklearn.metrics import pairwise_distances

    nearest, second = np.partition(pairwise_distances(points, centres), 1, axis=1)[:, :2].T
    between = np.divide(nearest, second, out=np.ones_like(nearest), where=second > 0)
    return (1 - between).astype(np.float32)


def few(n: int) -> slice:
    """Pick at most `MOST_POINTS` of `n` points, at even steps."""
    return slice(None, None, -(-n // MOST_POINTS))


def table(
    images: np.ndarray,
    positions: np.ndarray,
    labels: np.ndarray | None,
    class_names: tuple[str, ...],
    clusters: np.ndarray,
    confidence: np.ndarray,
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Gather what the map shows of each image.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    positions : ndarray of float, shape (N, 2)
    labels : ndarray of int, shape (N,), or None
        For showing only.
    class_names : tuple of str
    clusters : ndarray of int, shape (N,)
    confidence : ndarray of float, shape (N,)
        In [0, 1].
    names : sequence of str, optional
        What each image is called.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`. ``class`` is categorical, in the order of the labels; ``wrong`` says
        whether the cluster's matched class (Hungarian) is another than the image's; ``cell`` and
        ``image`` are as `with_images` has them. Without labels there is neither ``class`` nor
        ``wrong``, with names there is ``name``.
    """
    shown = {"x": positions[:, 0], "y": positions[:, 1]}
    if names is not None:
        shown["name"] = list(names)
    if labels is not None:
        shown["class"] = pd.Categorical.from_codes(labels, categories=list(class_names))
    shown["cluster"] = clusters
    if labels is not None:
        shown["wrong"] = metrics.matched_classes(labels, clusters) != labels
    shown["confidence"] = confidence.round(3)
    return with_images(pd.DataFrame(shown), images)


def with_images(points: pd.DataFrame, images: np.ndarray) -> pd.DataFrame:
    """Add small images to the points of a map.

    Parameters
    ----------
    points : DataFrame
        With ``cluster`` among its columns.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)

    Returns
    -------
    DataFrame
        With two more columns: ``image`` holds the `sheets`, one in each row from the first, and
        None in all others; ``cell`` says where on them an image is. Those of a cluster are
        together.
    """
    order = np.argsort(points["cluster"].to_numpy(), kind="stable")
    made = sheets(images, order)
    cells = np.argsort(order).astype(np.int32)
    return points.assign(cell=cells, image=made + [None] * (len(images) - len(made)))


def sheets(images: np.ndarray, order: np.ndarray) -> list[bytes]:
    """Lay small images out on square sheets, row by row, and return each as a WebP file.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    order : ndarray of int, shape (N,)
        Which image is in each cell, counted through all sheets. Of the last sheet some stay empty.
    """
    height, width = images.shape[1:3]
    per_sheet = CELLS_PER_ROW**2

    def sheet(start: int) -> bytes:
        cells = np.zeros((per_sheet, *images.shape[1:]), np.uint8)
        rows = order[start : start + per_sheet]
        cells[: len(rows)] = images[rows]
        grid = cells.reshape(CELLS_PER_ROW, CELLS_PER_ROW, *images.shape[1:]).swapaxes(1, 2)
        return _webp(grid.reshape(CELLS_PER_ROW * height, CELLS_PER_ROW * width, *images.shape[3:]))

    with ThreadPoolExecutor() as pool:  # the encoder leaves Python's lock
        return list(pool.map(sheet, range(0, len(images), per_sheet)))


def _webp(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="WEBP", quality=QUALITY, method=METHOD)
    return buffer.getvalue()
