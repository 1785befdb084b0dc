"""Figures of the report: each function turns arrays into one matplotlib figure of print width.

Labels, names and titles are drawn as they are: nothing in them is read as mathematics or markup.
"""

from __future__ import annotations

import base64
import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from utils.artifacts import atomic_path
from utils.names import describe

if TYPE_CHECKING:
    from PIL import Image

WIDTH = 6.3  # inches: 16 cm, the width of the printed text
POINTS_PER_INCH = 72
SMALL = 8  # points, the smallest text at print width
NORMAL = 9
PNG_DPI = 160
RASTER_DPI = 220  # of images and scatter points inside an SVG
# A palette is taken where it changes the colours by no more than this on average, of 255 levels.
PALETTE_ERROR = 2.5
EMBEDDED_PNG = re.compile(r"(?<=data:image/png;base64,)[A-Za-z0-9+/=\s]+")
NUMBERS = "shown_numbers"  # the attribute of a figure that holds them
# Points of a curve; more are not to be told apart.
MOST_ON_CURVE = 2_000
LEGEND_LETTERS = 84  # of the longest line below a figure
GREY = "#8c8c8c"
NOISE_GREY = "#b3b3b3"
INK = "#262626"
ENCODER, DECODER = "#5b8fc9", "#e0a458"
BLOCK_PITCH, BLOCK_SPACE = 42.0, 68.0  # points from block to block, and the width of the largest

# Okabe and Ito's colours (jfly.uni-koeln.de/color), the pale yellow replaced by a light green that
# shows on white, and Tol's wine and indigo: apart also to readers with a colour vision deficiency.
CLASS_COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
    "#a5d867",
    "#882255",
    "#332288",
    "#000000",
)

EXTERNAL_NAMES = {
    "ari": "ARI",
    "nmi": "NMI",
    "ami": "AMI",
    "homogeneity": "homo-\ngeneity",
    "completeness": "complete-\nness",
    "v_measure": "V-\nmeasure",
    "purity": "purity",
    "acc": "ACC",
}
INTERNAL_NAMES = {
    "silhouette": "silhouette\n(higher is better)",
    "davies_bouldin": "Davies-Bouldin\n(lower is better)",
    "calinski_harabasz": "Calinski-Harabasz\n(higher is better)",
}


def use_style() -> None:
    """Set the style of every figure. All functions here call it, so no caller has to."""
    plt.style.use("default")  # whatever somebody's own matplotlibrc says
    mpl.rcParams.update(
        {
            "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are alike everywhere
            "font.size": NORMAL,
            "axes.titlesize": NORMAL + 1,
            "axes.labelsize": NORMAL,
            "xtick.labelsize": SMALL,
            "ytick.labelsize": SMALL,
            "legend.fontsize": SMALL,
            "legend.title_fontsize": SMALL,
            "legend.frameon": False,
            "text.color": INK,
            "text.parse_math": False,  # a "$" in a class name is a dollar
            "axes.labelcolor": INK,
            "axes.edgecolor": GREY,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.facecolor": "white",
            "figure.facecolor": "white",
            "figure.dpi": 100,
            "savefig.facecolor": "white",
            "xtick.color": INK,
            "ytick.color": INK,
            "image.interpolation": "nearest",
            "image.cmap": "gray",
            "svg.fonttype": "path",
            "svg.hashsalt": "figures",  # otherwise the ids in an SVG are random
        }
    )


class Saved(NamedTuple):
    """The files of a figure; `csv` is None where it shows no numbers."""

    svg: Path
    png: Path
    csv: Path | None


def save(fig: Figure, folder: Path, name: str) -> Saved:
    """Write a figure as ``<name>.svg`` and ``<name>.png``, and its numbers as ``<name>.csv``.

    Parameters
    ----------
    fig : Figure
    folder : Path
        Made if it is missing.
    name : str
        Name of the files without a suffix.

    Returns
    -------
    Saved
        The PNG has 160 dots per inch. The same figure gives the same bytes again: no dates inside.
        Each file is written atomically. A figure of images has no numbers but its pixels, and no
        table.
    """
    use_style()
    # The layout settles with the second drawing; then it is kept, or the next would differ again.
    for _ in range(2):
        fig.draw_without_rendering()
    fig.set_layout_engine("none")
    svg, png = Path(folder) / f"{name}.svg", Path(folder) / f"{name}.png"
    with atomic_path(svg) as temporary:
        fig.savefig(temporary, dpi=RASTER_DPI, metadata={"Date": None})
        drawn = temporary.read_text(encoding="utf-8")
        smaller = EMBEDDED_PNG.sub(lambda found: _with_palette(found[0]), drawn)
        temporary.write_text(smaller, encoding="utf-8")
    with atomic_path(png) as temporary:
        fig.savefig(temporary, dpi=PNG_DPI, metadata={"Software": None})
    shown = getattr(fig, NUMBERS, None)
    csv = None if shown is None else svg.with_suffix(".csv")
    if csv is not None:
        with atomic_path(csv) as temporary:
            shown.to_csv(temporary, index=False, float_format="%.5g")
    return Saved(svg, png, csv)


def _keep(fig: Figure, numbers: pd.DataFrame) -> Figure:
    """Keep the numbers that a figure shows with it, so that they can be saved beside it."""
    setattr(fig, NUMBERS, numbers)
    return fig


def _with_palette(encoded: str) -> str:
    """Store a PNG, in base64, with 256 colours if nobody sees the difference: a third as large."""
    from PIL import Image

    drawn = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    # The other methods of Pillow cannot do transparency.
    reduced = drawn.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    if np.abs(_on_white(drawn) - _on_white(reduced.convert("RGBA"))).mean() > PALETTE_ERROR:
        return encoded
    buffer = io.BytesIO()
    reduced.save(buffer, format="PNG", optimize=True)
    return min(base64.b64encode(buffer.getvalue()).decode("ascii"), encoded, key=len)


def _on_white(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture, dtype=float)
    opacity = pixels[..., 3:] / 255
    return pixels[..., :3] * opacity + 255 * (1 - opacity)


def class_colours(n: int) -> list[str]:
    """Return `n` colours as "#rrggbb"; class i has colour i in every figure.

    Up to ten stay apart with a colour vision deficiency; more are spread over the hues.
    """
    if n <= len(CLASS_COLOURS):
        return list(CLASS_COLOURS[:n])
    return [str(colour) for colour in sns.husl_palette(n).as_hex()]


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
    return fig


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
    return fig


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
    return _keep(fig, pd.DataFrame({"class": class_names, "images": counts}))


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
    return fig


# --- the autoencoder -----------------------------------------------------------------------------


def architecture(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw an autoencoder as blocks: the encoder down the left side, the decoder up the right.

    Parameters
    ----------
    layers : sequence of mapping
        In the order of execution, each with ``layer`` (str), ``output_shape`` (tuple: channels,
        height, width, or units), ``parameters`` (int) and ``part`` ("encoder" or "decoder").

    Notes
    -----
    A layer that keeps the shape and has at most a scale and a shift for each channel (activation,
    dropout, batch normalisation) is written into the block before it. A block's width grows with
    the side of its feature map, its height with the number of channels; a vector is drawn as a
    square image of as many values.
    """
    encoder, decoder = _blocks(layers, "encoder"), _blocks(layers, "decoder")
    rows = max(len(encoder), len(decoder))
    width, height = WIDTH * POINTS_PER_INCH, rows * BLOCK_PITCH + 52
    fig = _figure(height / POINTS_PER_INCH)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))  # so that units are points
    ax.set_axis_off()

    largest = max(_side(layer["output_shape"]) for layer in layers)
    most_channels = max(_channels(layer["output_shape"]) for layer in layers)
    downwards = height - 24 - (np.arange(rows) + 0.5) * BLOCK_PITCH
    columns = []
    for name, blocks, levels, left, colour in (
        ("Encoder", encoder, downwards[: len(encoder)], 4, ENCODER),
        ("Decoder", decoder, downwards[::-1][: len(decoder)], width / 2 + 4, DECODER),
    ):
        boxes = [
            _draw_block(ax, block, left, y, colour, largest, most_channels)
            for block, y in zip(blocks, levels, strict=True)
        ]
        for box, following in pairwise(boxes):
            is_down = following.top < box.bottom
            ends = (box.bottom, following.top) if is_down else (box.top, following.bottom)
            _arrow(ax, box.x_middle, *ends)
        y = levels.max() + BLOCK_PITCH / 2 + 10
        total = sum(block["parameters"] for block in blocks)
        ax.text(left, y, name, va="center", weight="bold", fontsize=NORMAL + 1)
        ax.text(left + BLOCK_SPACE + 8, y, f"{total:,} parameters", va="center")
        columns.append(boxes)

    start, end = columns[0][-1], columns[1][0]
    corners = [start.x_middle, start.x_middle, end.x_middle], [start.bottom, 18, 18]
    ax.plot(*corners, color=INK, linewidth=0.8)
    _arrow(ax, end.x_middle, 18, end.bottom)
    latent = encoder[-1]["output_shape"]
    size = f" = {math.prod(latent):,}" if len(latent) > 1 else ""
    text = f"latent: {_shape_text(latent)}{size} values"
    middle = (start.x_middle + end.x_middle) / 2
    ax.text(middle, 15, text, ha="center", va="top", fontsize=SMALL)
    shown = pd.DataFrame(layers)[["part", "layer", "output_shape", "parameters"]]
    return _keep(fig, shown.assign(output_shape=shown["output_shape"].map(_shape_text)))


def loss_curve(history: pd.DataFrame) -> Figure:
    """Draw the loss by epoch.

    Parameters
    ----------
    history : DataFrame
        Columns ``epoch``, ``loss`` and, if it was measured, ``validation_loss``.
    """
    fig, ax = _single_axes(3.0)
    marker = "o" if len(history) <= 20 else None
    colours = class_colours(2)
    ax.plot(history["epoch"], history["loss"], color=colours[0], marker=marker, ms=3.5)
    if "validation_loss" in history:
        ax.plot(
            history["epoch"], history["validation_loss"], color=colours[1], marker=marker, ms=3.5
        )
        ax.legend(ax.lines, ["training", "validation"])
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    return _keep(fig, history)


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
    return fig


# --- clusters ------------------------------------------------------------------------------------


def confusion(
    matrix: np.ndarray,
    row_names: Sequence[str],
    column_names: Sequence[str],
    title: str,
    row_title: str = "cluster",
    column_title: str = "class",
) -> Figure:
    """Draw a table of counts as a heat map with the counts in it.

    Parameters
    ----------
    matrix : ndarray of int, shape (rows, columns)
    row_names, column_names : sequence of str
    title : str
    row_title, column_title : str
        What the rows and the columns are.

    Notes
    -----
    A row's shade is each count's share of that row. Counts are left out where the cells are too
    small to read them; a bar then gives the shades.
    """
    n_rows, n_columns = matrix.shape
    label_space = 0.35 + 0.075 * max(len(name) for name in row_names)
    cell = (WIDTH - label_space) / n_columns
    cell_height = float(np.clip(cell * 0.75, 0.17, 0.45))
    digits = max(len(str(count)) for count in matrix.flat)
    font = min(SMALL, (cell * POINTS_PER_INCH - 2) / (0.64 * digits))
    is_readable = font >= 6
    fig, ax = _single_axes(n_rows * cell_height + 0.45 + 0.055 * max(map(len, column_names)) + 0.3)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    sns.heatmap(
        shares,
        vmin=0,
        vmax=1,
        cmap="Blues",
        annot=matrix if is_readable else False,
        fmt="d",
        annot_kws={"fontsize": font},
        cbar=not is_readable,
        cbar_kws={"label": f"share of the {row_title}"},
        linewidths=0.5,
        linecolor="#e6e6e6",
        ax=ax,
    )
    ax.set_xticks(np.arange(n_columns) + 0.5, column_names)
    ax.set_yticks(np.arange(n_rows) + 0.5, row_names, rotation=0)
    if max(len(name) for name in column_names) * 0.075 > cell:
        plt.setp(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    ax.tick_params(left=False, bottom=False)
    ax.set_xlabel(column_title)
    ax.set_ylabel(row_title)
    ax.set_title(title)
    counts = pd.DataFrame(matrix, columns=list(column_names))
    counts.insert(0, f"{row_title} \\ {column_title}", list(row_names), allow_duplicates=True)
    return _keep(fig, counts)


def map_by_class(
    xy: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    title: str,
    legend_title: str,
    axes: str = "t-SNE",
) -> Figure:
    """Draw a map of points, a colour for each class or cluster.

    Parameters
    ----------
    xy : ndarray of float, shape (N, 2)
        Places on the map.
    values : ndarray of int, shape (N,)
        Index into `names`; −1 is noise and drawn in grey.
    names : sequence of str
        Names for the legend, which lists those that have points.
    title, legend_title : str
    axes : str
        What the map is made by; names its axes.
    """
    fig, ax = _map_axes(title, axes)
    _scatter(fig, ax, xy, values, names, legend_title)
    return _keep(fig, _points(xy, "xy", values, names, legend_title))


def view_3d(
    points: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    title: str,
    legend_title: str,
    centres: np.ndarray | None = None,
) -> Figure:
    """Draw points by their first three dimensions, a colour for each class or cluster.

    Parameters
    ----------
    points : ndarray of float, shape (N, D)
        D at least 3; the first three are drawn.
    values : ndarray of int, shape (N,)
        Index into `names`; −1 is noise and drawn in grey.
    names : sequence of str
    title, legend_title : str
    centres : ndarray of float, shape (len(names), D), optional
        Marked and numbered by their row.
    """
    fig = _figure(4.6, layout="constrained")
    # Centres and their numbers lie over the points wherever they are.
    ax = fig.add_subplot(projection="3d", computed_zorder=False)
    ax.set_title(title)
    alpha = 0.8 if centres is None else 0.45
    _scatter(fig, ax, points[:, :3], values, names, legend_title, alpha)
    for row, centre in enumerate([] if centres is None else centres):
        colour, place = class_colours(len(centres))[row], centre[:3]
        ax.scatter(*place, s=90, c="white", edgecolors=colour, linewidths=1.8, zorder=3)
        ax.text(*place, str(row), ha="center", va="center", fontsize=SMALL, weight="bold", zorder=4)
    for axis, name in zip((ax.xaxis, ax.yaxis, ax.zaxis), "123", strict=True):
        axis.set_label_text(f"dimension {name}")
        axis.set_major_locator(MaxNLocator(4))
    columns = ("dimension 1", "dimension 2", "dimension 3")
    return _keep(fig, _points(points[:, :3], columns, values, names, legend_title, centres))


def k_distances(curve: np.ndarray, knee: int, published: float, k: int) -> Figure:
    """Draw the sorted distances to the k-th neighbour, with their knee and the published radius.

    Parameters
    ----------
    curve : ndarray of float, shape (N,)
        Ascending.
    knee : int
        Position of the knee in it.
    published : float
        The paper's eps.
    k : int
    """
    fig, ax = _single_axes(3.0)
    colours = class_colours(3)
    places = np.arange(0, len(curve), -(-len(curve) // MOST_ON_CURVE))
    ax.plot(places, curve[places], color=colours[0])
    ax.plot(knee, curve[knee], "o", color=colours[1], label=f"knee: eps {curve[knee]:.2f}")
    ax.axhline(published, color=colours[2], linestyle="--", label=f"published: eps {published:g}")
    ax.set_xlabel("image, by distance")
    ax.set_ylabel(f"distance to neighbour {k}")
    ax.legend()
    return _keep(fig, pd.DataFrame({"image": places, "distance": curve[places]}))


def k_curve(candidates: np.ndarray, silhouettes: np.ndarray, chosen: int) -> Figure:
    """Draw the silhouette by the number of clusters, and the number that was chosen.

    Parameters
    ----------
    candidates : ndarray of int, shape (c,)
    silhouettes : ndarray of float, shape (c,)
    chosen : int
    """
    fig, ax = _single_axes(2.6)
    ax.plot(candidates, silhouettes, marker="o", markersize=4)
    ax.axvline(chosen, color="#888888", linestyle="--", linewidth=1)
    ax.annotate(
        f"chosen: {chosen}",
        (chosen, silhouettes.min()),
        xytext=(5, 0),
        textcoords="offset points",
        fontsize=SMALL,
    )
    ax.set_xlabel("number of clusters k")
    ax.set_ylabel("silhouette of k-means")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_title("The choice of k, without labels")
    return _keep(fig, pd.DataFrame({"k": candidates, "silhouette": silhouettes}))


def eps_strip(frame: pd.DataFrame) -> Figure:
    """Draw what DBSCAN finds as its radius grows.

    Parameters
    ----------
    frame : DataFrame
        Columns ``eps``, ``k_found``, ``noise_fraction``, ``ari`` (noise as a cluster of its own)
        and ``ari_covered`` (noise left out).
    """
    panels = {
        "clusters": ["k_found"],
        "share of noise": ["noise_fraction"],
        "ARI": ["ari", "ari_covered"],
    }
    fig, axes = _grid(4.6, len(panels), 1)
    for ax, (title, columns) in zip(axes[:, 0], panels.items(), strict=True):
        for column, colour in zip(columns, class_colours(2), strict=False):
            ax.plot(frame["eps"], frame[column], marker="o", ms=3.5, color=colour)
        ax.set_ylabel(title)
        ax.sharex(axes[0, 0])
    axes[-1, 0].legend(axes[-1, 0].lines, ["noise as a cluster", "without noise"])
    axes[-1, 0].set_xlabel("eps")
    return _keep(fig, frame)


def map_centroids(
    xy: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    centres_xy: np.ndarray,
    title: str = "k-means centres",
    legend_title: str = "cluster",
) -> Figure:
    """Draw a map of points with a numbered disc at each cluster's centre.

    Parameters
    ----------
    xy, values, names, title, legend_title
        As for `map_by_class`.
    centres_xy : ndarray of float, shape (k, 2)
        Centre of cluster i in row i, on the same map; its disc bears the name i.
    """
    fig, ax = _map_axes(title)
    _scatter(fig, ax, xy, values, names, legend_title, alpha=0.45)
    colours = class_colours(len(names))
    for (x, y), name, colour in zip(centres_xy, names, colours, strict=True):
        ax.annotate(
            name,
            (x, y),
            ha="center",
            va="center",
            fontsize=SMALL,
            weight="bold",
            bbox={
                "boxstyle": "circle,pad=0.25",
                "facecolor": "white",
                "edgecolor": colour,
                "linewidth": 2,
            },
        )
    return _keep(fig, _points(xy, "xy", values, names, legend_title, centres_xy))


def map_density(xy: np.ndarray, title: str = "Density of the map") -> Figure:
    """Draw how densely the points ``(N, 2)`` of a map lie (Gaussian kernel estimate)."""
    fig, ax = _map_axes(title)
    sns.kdeplot(
        x=xy[:, 0],
        y=xy[:, 1],
        fill=True,
        cmap="Blues",
        levels=12,
        thresh=0.02,
        bw_adjust=0.5,
        gridsize=120,
        rasterized=True,  # the outlines of twelve levels are the largest drawing of all
        ax=ax,
    )
    _name_map_axes(ax)
    return _keep(fig, pd.DataFrame(xy, columns=["x", "y"]))


def comparison(frame: pd.DataFrame) -> Figure:
    """Compare representations: metrics with labels in one panel, internal indices apart.

    Parameters
    ----------
    frame : DataFrame
        A row for each representation, whose name is the index; a column for each metric, named as
        in the table of metrics. A missing value leaves a gap.

    Notes
    -----
    Internal indices are hatched and drawn apart, each on its own scale, with a note that they are
    not comparable between representations: each is taken in another space.
    """
    external = [name for name in EXTERNAL_NAMES if name in frame]
    internal = [name for name in INTERNAL_NAMES if name in frame]
    panels = [
        (draw, names, height)
        for draw, names, height in (
            (_draw_external, external, 3.0),
            (_draw_internal, internal, 2.2),
        )
        if names
    ]
    heights = [height for *_, height in panels]
    fig = _figure(sum(heights) + 0.2 * len(frame), layout="constrained")
    parts = fig.subfigures(len(panels), 1, height_ratios=heights, squeeze=False).flat
    colours = class_colours(len(frame))
    for part, (draw, names, _) in zip(parts, panels, strict=True):
        draw(part, frame[names], colours)
    swatches = [Patch(color=colour) for colour in colours]
    fig.legend(swatches, [str(name) for name in frame.index], loc="outside upper center")
    return _keep(fig, frame.rename_axis("representation").reset_index())


def internal_by_space(frame: pd.DataFrame) -> Figure:
    """Draw internal indices of clusterings (rows) measured in several spaces (columns).

    Parameters
    ----------
    frame : DataFrame
        Columns ``clusters_of``, ``measured_in``, ``silhouette`` and ``davies_bouldin``; a row for
        each pair. Darker is better in both panels, each column (space) on a scale of its own.
    """
    names = list(dict.fromkeys(frame["clusters_of"]))
    spaces = list(dict.fromkeys(frame["measured_in"]))
    fig = _figure(1.6 + 0.28 * len(names), layout="constrained")
    indices = (("silhouette", 1), ("davies_bouldin", -1))
    for ax, (index, sign) in zip(fig.subplots(1, 2, sharey=True), indices, strict=True):
        values = frame.pivot(index="clusters_of", columns="measured_in", values=index)
        values = values.loc[names, spaces].to_numpy(dtype=float)
        low, high = np.nanmin(sign * values, axis=0), np.nanmax(sign * values, axis=0)
        shade = (sign * values - low) / np.where(high > low, high - low, 1)
        ax.imshow(shade, cmap="Blues", vmin=-0.3, vmax=1.3, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            dark = shade[row, column] > 0.6
            ax.text(
                column,
                row,
                "–" if np.isnan(value) else f"{value:.3f}",
                ha="center",
                va="center",
                color="white" if dark else INK,
            )
        ax.set_title(INTERNAL_NAMES[index])
        ax.set_xticks(range(len(spaces)), spaces, rotation=30, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(names)), names)
        ax.set_xlabel("measured in")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    fig.axes[0].set_ylabel("clusters of")
    return _keep(fig, frame)


def pareto(board: pd.DataFrame, front: np.ndarray, title: str) -> Figure:
    """Draw how good the rows of a leaderboard are against what they cost.

    Parameters
    ----------
    board : DataFrame
        Columns ``representation``, ``space``, ``clusterer``, ``seconds`` (positive), ``ari``,
        ``ari_low``, ``ari_high`` (missing where there is no interval) and ``k_given`` (bool).
    front : ndarray of bool, shape (rows,)
        Rows that no other row beats in both. They are joined, numbered by rising time and named
        below.
    title : str
    """
    ordered = board.assign(front=front).sort_values("seconds")
    on_front = ordered[ordered["front"]]
    keys = [describe(row.representation, row.space, row.clusterer) for row in on_front.itertuples()]
    columns = 2 if max(map(len, keys), default=0) <= 40 else 1  # as many as fit beside each other
    named = [
        textwrap.fill(f"{place}  {key}", LEGEND_LETTERS, subsequent_indent="     ")
        for place, key in enumerate(keys, start=1)
    ]
    lines = 2 + sum(1 + name.count("\n") for name in named)
    fig, ax = _single_axes(3.2 + 0.17 * math.ceil(lines / columns))
    blue = class_colours(1)[0]
    kinds = (("o", True, "number of clusters given"), ("^", False, "number of clusters found"))
    for marker, given, _ in kinds:
        for is_front, colour in ((False, GREY), (True, blue)):
            rows = ordered[(ordered["front"] == is_front) & (ordered["k_given"] == given)]
            ends = rows[["ari_low", "ari_high"]].to_numpy(float).T
            ax.vlines(rows["seconds"], *ends, color=colour, linewidth=0.8, alpha=0.7)
            ax.plot(rows["seconds"], rows["ari"], marker, color=colour, ms=5 if is_front else 3.5)
    ax.plot(on_front["seconds"], on_front["ari"], color=blue, linewidth=1.2)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.margins(x=0.07, y=0.12)
    ax.set_title(title)
    ax.set_xlabel("seconds for the whole row (logarithmic)")
    has_interval = board["ari_low"].notna().any()
    ax.set_ylabel("ARI (mean and interval over seeds)" if has_interval else "ARI")

    shown = [kind for kind in kinds if (board["k_given"] == kind[1]).any()]
    marks = [Line2D([], [], linestyle="", marker=kind[0], ms=4, color=GREY) for kind in shown]
    names = [kind[2] for kind in shown] + named
    marks += [Line2D([], [], linestyle="") for _ in named]
    fig.legend(marks, names, loc="outside lower left", labelspacing=0.25, ncols=columns)
    _number_points(fig, ax, on_front[["seconds", "ari"]].to_numpy(float))
    columns = ["representation", "space", "clusterer", "seconds", "ari", "ari_low", "ari_high"]
    return _keep(fig, ordered[[*columns, "k_given", "front"]])


class Estimate(NamedTuple):
    """A reported figure and ours.

    Attributes
    ----------
    name : str
    reported : float
    tolerance : float
        By which the interval is widened for the verdict.
    seeds : sequence of float
        Our value for each seed, at least one.
    low, high : float
        Interval of their mean; NaN where there is none.
    """

    name: str
    reported: float
    tolerance: float
    seeds: Sequence[float]
    low: float
    high: float


def forest(estimates: Sequence[Estimate], title: str) -> Figure:
    """Draw each reported figure beside ours, on an axis of its own.

    Parameters
    ----------
    estimates : sequence of Estimate
        From top to bottom, at least one.
    title : str
    """
    fig = _figure(0.75 + 0.52 * len(estimates), layout="constrained")
    rows = fig.subplots(len(estimates), 1, squeeze=False)[:, 0]
    blue, orange = class_colours(2)
    for ax, row in zip(rows, estimates, strict=True):
        mean = float(np.mean(row.seeds))
        low, high = (mean if math.isnan(end) else end for end in (row.low, row.high))
        ax.axvspan(low - row.tolerance, high + row.tolerance, color=blue, alpha=0.12, linewidth=0)
        ax.plot(row.seeds, np.zeros(len(row.seeds)), "o", color=blue, ms=3, alpha=0.5)
        ax.hlines(0, low, high, color=blue, linewidth=2)
        ax.plot(mean, 0, "s", color=blue, ms=6)
        ax.plot(row.reported, 0, "D", color=orange, ms=7, mec=INK, mew=0.8)
        ax.set_ylim(-1, 1)
        ax.set_yticks([0], [row.name])
        ax.tick_params(axis="y", length=0)
        ax.margins(x=0.08)
        ax.xaxis.set_major_locator(MaxNLocator(6))
        sns.despine(ax=ax, left=True)
    fig.suptitle(title)
    marks = [
        Line2D([], [], linestyle="", marker="D", ms=7, color=orange, mec=INK, mew=0.8),
        Line2D([], [], marker="s", ms=6, color=blue, linewidth=2),
        Line2D([], [], linestyle="", marker="o", ms=3, color=blue, alpha=0.5),
        Patch(color=blue, alpha=0.12, linewidth=0),
    ]
    names = ("reported", "our mean and interval", "a seed", "counts as reproduced")
    fig.legend(marks, names, loc="outside lower center", ncols=len(names))
    shown = pd.DataFrame(estimates)
    shown.insert(2, "mean", [float(np.mean(row.seeds)) for row in estimates])
    return _keep(fig, shown.assign(seeds=["; ".join(map(str, row.seeds)) for row in estimates]))


# --- pieces --------------------------------------------------------------------------------------


def _figure(height: float, **options: Any) -> Figure:
    """Make a figure of print width and `height` inches that pyplot does not keep."""
    use_style()
    fig = plt.figure(figsize=(WIDTH, height), **options)
    plt.close(fig)  # kept by pyplot, it would stay in memory and a notebook would show it twice
    return fig


def _single_axes(height: float) -> tuple[Figure, Axes]:
    fig = _figure(height, layout="constrained")
    return fig, fig.subplots()


def _grid(height: float, rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    fig = _figure(height, layout="constrained")
    return fig, fig.subplots(rows, columns, squeeze=False)


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


def _blocks(layers: Sequence[Mapping[str, Any]], part: str) -> list[dict[str, Any]]:
    """Join the layers of a part into blocks: ``names``, ``output_shape``, ``parameters``."""
    blocks: list[dict[str, Any]] = []
    for layer in layers:
        if layer["part"] != part:
            continue
        shape, parameters = tuple(layer["output_shape"]), layer["parameters"]
        is_small = parameters <= 2 * shape[0]  # a scale and a shift for each channel
        if blocks and blocks[-1]["output_shape"] == shape and is_small:
            blocks[-1]["names"].append(layer["layer"])
            blocks[-1]["parameters"] += parameters
        else:
            blocks.append(
                {"names": [layer["layer"]], "output_shape": shape, "parameters": parameters}
            )
    return blocks


class _Box(NamedTuple):
    x_middle: float
    bottom: float
    top: float


def _draw_block(
    ax: Axes,
    block: Mapping[str, Any],
    left: float,
    y: float,
    colour: str,
    largest: float,
    most_channels: int,
) -> _Box:
    """Draw a block with its middle at height `y` and its text beside it."""
    width = BLOCK_SPACE * math.sqrt(_side(block["output_shape"]) / largest)
    channels = _channels(block["output_shape"])
    height = 7 + 19 * math.log2(1 + channels) / math.log2(1 + most_channels)
    x_middle = left + BLOCK_SPACE / 2
    corner = (x_middle - width / 2, y - height / 2)
    ax.add_patch(Rectangle(corner, width, height, fc=colour, ec=INK, linewidth=0.6))

    first, *others = block["names"]
    size = _shape_text(block["output_shape"])
    if block["parameters"]:
        size += f" · {block['parameters']:,} parameters"
    lines = [first, *([", ".join(others)] if others else []), size]
    for i, line in enumerate(lines):
        ax.text(
            left + BLOCK_SPACE + 8,
            y + ((len(lines) - 1) / 2 - i) * (SMALL + 2.5),
            line,
            va="center",
            fontsize=SMALL,
            weight="bold" if i == 0 else "normal",
        )
    return _Box(x_middle, y - height / 2, y + height / 2)


def _side(shape: Sequence[int]) -> float:
    return math.sqrt(math.prod(shape[1:]) if len(shape) > 1 else shape[0])


def _channels(shape: Sequence[int]) -> int:
    return shape[0] if len(shape) > 1 else 1


def _shape_text(shape: Sequence[int]) -> str:
    return "×".join(f"{side:,}" for side in shape)


def _arrow(ax: Axes, x: float, start: float, end: float) -> None:
    ax.add_patch(
        FancyArrowPatch(
            (x, start),
            (x, end),
            arrowstyle="-|>",
            mutation_scale=7,
            shrinkA=0,
            shrinkB=1,
            color=INK,
            linewidth=0.8,
        )
    )


def _number_points(fig: Figure, ax: Axes, points: np.ndarray) -> None:
    """Write 1, 2, … at the upper left of points that rise from left to right.

    Nothing else lies there. A number that would touch an earlier one is moved up.
    """
    fig.draw_without_rendering()  # so that places on the page are known
    taken: list[Bbox] = []
    for place, point in enumerate(points, start=1):
        rise = 3.0
        while True:
            text = ax.annotate(
                str(place),
                point,
                (-4, rise),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=SMALL,
                weight="bold",
            )
            box = text.get_window_extent().padded(1)
            if not any(box.overlaps(other) for other in taken):
                break
            text.remove()
            rise += 3
        taken.append(box)
    highest = max((box.y1 for box in taken), default=0)
    top = ax.transData.inverted().transform((0, highest))[1]
    ax.set_ylim(top=max(top, ax.get_ylim()[1]))


def _map_axes(title: str, axes: str = "t-SNE") -> tuple[Figure, Axes]:
    fig, ax = _single_axes(4.6)
    ax.set_title(title)
    _name_map_axes(ax, axes)
    return fig, ax


def _name_map_axes(ax: Axes, axes: str = "t-SNE") -> None:
    ax.set_aspect("equal", "datalim")
    ax.set(xticks=[], yticks=[], xlabel=f"{axes} 1", ylabel=f"{axes} 2")  # places have no unit


def _points(
    places: np.ndarray,
    axes: Sequence[str],
    values: np.ndarray,
    names: Sequence[str],
    kind: str,
    centres: np.ndarray | None = None,
) -> pd.DataFrame:
    """List the points of a drawing by their places on the `axes`, and the centres after them."""
    named = [*names, "noise"]  # the last is at −1
    rows = pd.DataFrame(places, columns=list(axes)).assign(**{kind: [named[v] for v in values]})
    if centres is None:
        return rows
    marked = pd.DataFrame(centres[:, : len(axes)], columns=list(axes)).assign(**{kind: names})
    return pd.concat([rows.assign(what="image"), marked.assign(what="centre")])


def _scatter(
    fig: Figure,
    ax: Axes,
    xy: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    legend_title: str,
    alpha: float = 0.8,
) -> None:
    values = np.asarray(values, dtype=int)
    colours = [*class_colours(len(names)), NOISE_GREY]  # the last is at −1
    shown = sorted(np.unique(values), key=lambda value: (value < 0, value))
    order = np.random.default_rng(0).permutation(len(xy))  # so that no class hides the others
    order = order[np.argsort(values[order] >= 0, kind="stable")]  # and noise hides none
    ax.scatter(
        *xy[order].T,
        s=float(np.clip(14_000 / len(xy), 1, 14)),
        c=np.array(colours)[values[order]],
        alpha=alpha,
        linewidths=0,
        rasterized=True,
    )
    dots = [
        Line2D([], [], linestyle="", marker="o", markersize=5, color=colours[value])
        for value in shown
    ]
    texts = [names[value] if value >= 0 else "noise" for value in shown]
    legend = fig.legend(dots, texts, title=legend_title, loc="outside right upper")
    legend.set_alignment("left")


def _draw_external(part: SubFigure, frame: pd.DataFrame, colours: Sequence[str]) -> None:
    """Draw a group of bars for each metric, a bar in it for each representation.

    More than 40 bars are too narrow for their numbers.
    """
    ax = part.subplots()
    places = np.arange(len(frame.columns))
    width = 0.82 / len(frame)
    for i, (values, colour) in enumerate(zip(frame.to_numpy(float), colours, strict=True)):
        shift = (i - (len(frame) - 1) / 2) * width
        bars = ax.bar(places + shift, values, width * 0.94, color=colour)
        if frame.size <= 40:
            _label_bars(ax, bars, [f"{value:.2f}" for value in values], upright=frame.size > 16)
    ax.set_xticks(places, [EXTERNAL_NAMES[name] for name in frame])
    ax.set_yticks(np.linspace(0, 1, 6))
    lowest = frame.min(axis=None)  # ARI and AMI can be negative
    ax.set_ylim(lowest - 0.1 if lowest < 0 else 0, 1.15)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_title("With labels (higher is better)")


def _draw_internal(part: SubFigure, frame: pd.DataFrame, colours: Sequence[str]) -> None:
    """Draw each index in axes of its own."""
    part.suptitle(
        "Without labels: each in its own space, not comparable between representations",
        fontsize=NORMAL + 1,
    )
    axes = part.subplots(1, len(frame.columns), squeeze=False).flat
    for ax, name in zip(axes, frame, strict=True):
        values = frame[name].to_numpy(float)
        bars = ax.bar(range(len(values)), values, 0.7, color=colours, hatch="///", ec="white")
        texts = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values]
        _label_bars(ax, bars, texts, upright=len(values) > 4)
        ax.set(xticks=[], xlim=(-0.6, len(values) - 0.4))  # also if a value is missing
        ax.set_xlabel(INTERNAL_NAMES[name], fontsize=SMALL)
        ax.yaxis.set_major_formatter("{x:,g}")
        ax.margins(y=0.18)


def _label_bars(ax: Axes, bars: BarContainer, texts: Sequence[str], upright: bool) -> None:
    texts = ["" if text == "nan" else text.replace("-", "−") for text in texts]
    ax.bar_label(bars, texts, padding=2, fontsize=SMALL, rotation=90 if upright else 0)
