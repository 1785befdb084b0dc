"""Figures of images: samples, means, reconstructions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.figures.style import (
    NORMAL,
    SMALL,
    WIDTH,
    _grid,
    _keep,
    _single_axes,
    class_colours,
    describe,
)


def to_images(pixels: np.ndarray) -> np.ndarray:
    """Turn a network's pixels into images.

    Parameters
    ----------
    pixels : ndarray of float32, shape (N, C, H, W)
        In [0, 1]; C is 1 or 3.

    Returns
    -------
    ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    """
    images = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[-1] == 1 else images


# --- the data ------------------------------------------------------------------------------------


def samples(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], per_class: int
) -> Figure:
    """Show the first images of each class, a row a class.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    labels : ndarray of int, shape (N,)
        Index into `class_names`.
    class_names : sequence of str
    per_class : int
        Images in a row; a class that has fewer leaves the rest of its row white.
    """
    rows = [images[np.flatnonzero(labels == i)[:per_class]] for i in range(len(class_names))]
    tile = min(0.58, (WIDTH - 1.2) / per_class)
    fig, ax = _single_axes(len(class_names) * tile + 0.1)
    _show_rows(ax, rows, class_names, per_class)
    return describe(
        fig,
        f"The first {per_class} images of each class.",
        f"Grid of sample images, one row for each of {len(class_names)} classes: "
        f"{', '.join(class_names)}.",
    )


def image_rows(rows: Mapping[str, np.ndarray], title: str) -> Figure:
    """Show some images in named rows.

    Parameters
    ----------
    rows : dict of str to ndarray of uint8, shape (n, H, W) or (n, H, W, 3)
        Images of each row by its name; rows may differ in length, none is empty.
    title : str
    """
    columns = max(len(images) for images in rows.values())
    tile = min(0.58, (WIDTH - 1.8) / columns)
    fig, ax = _single_axes(len(rows) * tile + 0.4)
    _show_rows(ax, list(rows.values()), list(rows), columns)
    ax.set_title(title)
    names = [name for name in rows if name.strip()]
    described = f"{title}: {sum(map(len, rows.values())):,} images in rows"
    alt = f"{described} named {_listed(names)}." if names else f"{described}."
    return describe(fig, f"{described}.", alt)


def class_balance(labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Show the number of images of each class (`labels` (N,) index into `class_names`)."""
    counts = np.bincount(labels, minlength=len(class_names))
    fig, ax = _single_axes(0.24 * len(class_names) + 0.6)
    places = np.arange(len(class_names))
    bars = ax.barh(places, counts, color=class_colours(len(class_names)))
    ax.bar_label(bars, [f"{count:,}" for count in counts], padding=3, fontsize=SMALL)
    ax.set_yticks(places, class_names)
    ax.invert_yaxis()
    ax.tick_params(left=False)
    ax.set_xlabel("images")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.margins(x=0.1, y=0.02)
    low, high = int(counts.argmin()), int(counts.argmax())
    return describe(
        _keep(fig, pd.DataFrame({"class": class_names, "images": counts})),
        f"Images per class: from {counts[low]:,} ({class_names[low]}) to {counts[high]:,} "
        f"({class_names[high]}).",
        f"Bar chart of class sizes between {counts[low]:,} and {counts[high]:,} images.",
    )


def mean_images(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Show the mean image of each class, five in a row (arguments as for `samples`).

    A class without an image has an empty place.
    """
    columns = min(5, len(class_names))
    lines = math.ceil(len(class_names) / columns)
    fig, axes = _grid(lines * (WIDTH / columns + 0.1), lines, columns)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (ax, name) in enumerate(zip(axes.flat, class_names, strict=False)):
        ax.set_title(name, fontsize=NORMAL)
        if (labels == i).any():
            mean = images[labels == i].mean(axis=0)
            ax.imshow(np.rint(mean).astype(np.uint8), vmin=0, vmax=255)
    return describe(
        fig,
        "Mean image of each class. A blurred mean says that the class has no single shape.",
        f"One mean image for each of {len(class_names)} classes: {', '.join(class_names)}.",
    )


def reconstructions(originals: np.ndarray, reconstructed: np.ndarray) -> Figure:
    """Show images above their reconstructions.

    Parameters
    ----------
    originals, reconstructed : ndarray of uint8, shape (n, H, W) or (n, H, W, 3)
        The two may differ in H and W (a network that works on resized images).
    """
    tile = min(0.8, (WIDTH - 1.2) / len(originals))
    fig, axes = _grid(2 * tile + 0.2, 2, 1)
    names = ("original", "reconstruction")
    for ax, images, name in zip(axes.flat, (originals, reconstructed), names, strict=True):
        _show_rows(ax, [images], [name], len(images))
    n = len(originals)
    difference = ""
    if originals.shape == reconstructed.shape:
        mean = np.abs(originals.astype(int) - reconstructed).mean()
        difference = f"; on average a value differs by {mean:.1f} of 255"
    return describe(
        fig,
        f"{n} images and their reconstructions.",
        f"Two rows of {n} images: originals above, reconstructions below{difference}.",
    )


def _listed(names: Sequence[str], most: int = 12) -> str:
    """Join names by commas; of very many the first ones and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _show_rows(ax: Axes, rows: Sequence[np.ndarray], names: Sequence[str], columns: int) -> None:
    """Show rows of uint8 images (n, H, W) or (n, H, W, 3) as one picture with names at its left."""
    height, width, *colour = rows[0].shape[1:]
    gap = math.ceil(width / 32)
    sheet = np.full(
        (len(rows) * (height + gap) - gap, columns * (width + gap) - gap, *colour), 255, np.uint8
    )
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = i * (height + gap), j * (width + gap)
            sheet[y : y + height, x : x + width] = image
    # Not resampled: a drawing holds each pixel once and is scaled where it is shown.
    ax.imshow(sheet, vmin=0, vmax=255, interpolation="none")
    ax.set_yticks(np.arange(len(rows)) * (height + gap) + (height - 1) / 2, names)
    ax.set_xticks([])
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
