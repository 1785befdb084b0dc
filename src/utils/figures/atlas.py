"""The interactive map of a study's images: what it shows, as a table, and the plot made of it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from utils import metrics

COLUMNS = ("x", "y", "class", "cluster", "wrong", "confidence", "image")
# As many images as a page can hold of four studies, at about a kilobyte each.
MOST_POINTS = 1_000
# WebP at this quality shows small pictures as they are, at a third of a PNG's size.
QUALITY = 80
SIDE = 96  # pixels on the screen
HEIGHT = 520
# `image` is written here and holds letters of base64 only; the names are escaped by Bokeh.
PICTURE = (
    f'<img src="@image" alt="" width="{SIDE}" height="{SIDE}" style="image-rendering: pixelated">'
)
LINES = {
    "name": "@name",
    "class": "class: @class",
    "cluster": "cluster: @cluster",
    "confidence": "margin: @confidence{0.00}",
}


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
        whether the cluster's matched class (Hungarian) is another than the image's; ``image`` is a
        picture as a ``data:`` address. Without labels there is neither ``class`` nor ``wrong``,
        with names there is ``name``.
    """
    shown = {"x": positions[:, 0].round(2), "y": positions[:, 1].round(2)}
    if names is not None:
        shown["name"] = list(names)
    if labels is not None:
        shown["class"] = pd.Categorical.from_codes(labels, categories=list(class_names))
    shown["cluster"] = clusters
    if labels is not None:
        shown["wrong"] = metrics.matched_classes(labels, clusters) != labels
    shown["confidence"] = confidence.round(3)
    shown["image"] = [_address(image) for image in images]
    return pd.DataFrame(shown)


def colours(points: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Give each class and each cluster of a map's points a colour, and right and wrong two."""
    from utils.figures.style import class_colours

    groups = {"cluster": sorted(points["cluster"].unique())}
    if "class" in points:
        groups = {"class": points["class"].cat.categories} | groups
    chosen = {
        key: dict(zip(map(str, found), class_colours(len(found)), strict=True))
        for key, found in groups.items()
    }
    if "wrong" in points:
        right, _, _, wrong = class_colours(4)
        chosen["wrong"] = {"false": right, "true": wrong}
    return chosen


def _address(image: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="WEBP", quality=QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def plot(points: pd.DataFrame, colours: dict[str, dict[str, str]]) -> str:
    """Make the interactive plot (Bokeh) that the report's page draws.

    Parameters
    ----------
    points : DataFrame
        As from `table`.
    colours : dict of str to dict of str to str
        What the points can be coloured by, ``class``, ``cluster`` or ``wrong``, and for each the
        colours of its groups in their order.

    Returns
    -------
    str
        JSON without "<", so that it can stand in a page: ``item``, what Bokeh draws, and
        ``colours`` as given, by group.
    """
    from bokeh.embed import json_item
    from bokeh.models import ColumnDataSource, HoverTool
    from bokeh.plotting import figure

    n = len(points)
    columns: dict[str, Any] = {name: points[name].tolist() for name in points.columns}
    lines = "".join(f"<div>{line}</div>" for name, line in LINES.items() if name in columns)
    tooltip = f'<div style="width: {SIDE + 60}px">{PICTURE}{lines}</div>'
    columns |= {"colour": ["#000000"] * n, "alpha": [0.75] * n}
    drawn = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        tools="pan,wheel_zoom,box_zoom,reset",
        toolbar_location="above",
        match_aspect=True,
    )
    drawn.toolbar.logo = None
    drawn.axis.visible = drawn.grid.visible = False
    dots = drawn.scatter(
        "x",
        "y",
        source=ColumnDataSource(columns, name="dots"),
        size=7,
        fill_color="colour",
        fill_alpha="alpha",
        line_color=None,
    )
    drawn.scatter(
        "x",
        "y",
        source=ColumnDataSource({"x": [], "y": []}, name="chosen"),
        size=18,
        fill_color=None,
        line_color="#000000",
        line_width=2.5,
    )
    drawn.add_tools(HoverTool(tooltips=tooltip, renderers=[dots], limit=1))
    content = {"item": json_item(drawn), "colours": colours}
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def script() -> str:
    """Return the library that draws the plot, to be put into the page."""
    from bokeh.resources import Resources

    (library, *_) = Resources(mode="inline", components=["bokeh"], minified=True).js_raw
    return library
