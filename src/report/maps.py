"""The interactive maps: tables of points turned into what the page's script draws.

A table has a row for each point. ``x`` and ``y`` are its place; ``name``, ``link`` (an address
relative to the page), ``image`` and ``cell`` (small pictures, as `utils.figures.atlas.with_images`
adds them), ``aspect`` (width by height of the real picture, where the small ones were made square)
and ``nearest`` (the rows of up to ten others, the nearest first) are optional. Every other column
is something to colour and filter by: numbers and dates on a scale; words, categories, truth values,
clusters and levels in groups. An empty word is a missing one.

The page holds one block of JSON for each map:

``axes``
    What was used to lay out the points, such as "UMAP".
``xy``
    float32: x and y of the first point, of the second, ….
``names``, ``links``
    A JSON list of strings each, or null. Without names a point is called by its number.
``nearest``
    int32: ten row numbers for each point, −1 where there are fewer; or null, in which case the page
    takes the nearest on the map and says so.
``thumbs``
    Null, or the small pictures, which lie on square sheets with ``per_row`` cells a row: the
    addresses of the ``sheets`` (data of few pictures; files beside the page, loaded when needed, of
    many), and ``cells``, int32: the cell of each point's picture, counted through all sheets. The
    pictures of a cluster lie together, so that few sheets are loaded for it. ``aspects``, float32,
    or null: of pictures that were made square.
``columns``
    A list; the first one colours the points. With ``title``, and with ``values``: int16 numbers of
    ``groups`` (−1: none), which have ``colours``; or float32, where NaN is missing and dates
    (``is_date``) are days since 1970.

Arrays are little-endian, compressed by gzip and written in base64; lists of strings are compressed
JSON, in base64.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyarrow import parquet

from report import matrices
from utils.figures import atlas, cluster_names, style
from utils.store.files import atomic_path

if TYPE_CHECKING:
    from report.collect import Results

SPECIAL = ("x", "y", "name", "link", "image", "cell", "aspect", "nearest")
NEAREST = 10
TITLES = {"wrong": "mistakes", "confidence": "clarity", "bytes": "file size"}
WORDS = {
    "wrong": ("matched with its class", "matched with another class"),
}
NOISE = "noise"
# Of columns with more groups than these the largest are told apart, and the others are one.
MOST_GROUPS = 500
MOST_EMBEDDED = 2_000  # pictures


def plots(results: Results, folder: Path) -> dict[str, str]:
    """Make the map of each study that has one.

    Parameters
    ----------
    results : Results
    folder : Path
        Of the page; sheets of pictures are written into its folder ``maps``.

    Returns
    -------
    dict of str to str
        The JSON of each map by the identifier of its place in the page.
    """
    made = {}
    for name, study in results.studies.items():
        file, place = _file(results, name), f"atlas-{name}"
        if file is None:
            continue
        points = _with_names(pd.read_parquet(file))
        table = matrices.of_study(results, study)
        if table is not None:
            points["wrong"] = matrices.mistakes(points, table)
        made[place] = plot(points, place, folder)
    return made


def _with_names(points: pd.DataFrame) -> pd.DataFrame:
    """Name the clusters as the figures do, so that none has the name of a class."""
    codes = points["cluster"].to_numpy()
    names = cluster_names(codes.max() + 1)
    return points.assign(cluster=pd.Categorical.from_codes(codes, names))


def plot(points: pd.DataFrame, place: str, folder: Path, axes: str = "t-SNE") -> str:
    """Turn a table of points into a map.

    Parameters
    ----------
    points : DataFrame
        As this module describes it.
    place : str
        Identifier of its place in the page, also a folder's name.
    folder : Path
        Of the page; sheets of pictures are written into ``maps/<place>``.
    axes : str
        What laid out the points.

    Returns
    -------
    str
        JSON without "<", so that it can stand in a page.
    """
    columns = [
        column
        for name in points.columns
        if name not in SPECIAL
        for column in [_column(name, points[name])]
        if column is not None
    ]
    content = {
        "axes": axes,
        "xy": _packed(points[["x", "y"]].to_numpy(dtype="<f4").tobytes()),
        "names": _listed(points, "name"),
        "links": _listed(points, "link"),
        "nearest": _nearest(points),
        "thumbs": _thumbs(points, place, folder) if "image" in points else None,
        "columns": columns,
    }
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def n_points(results: Results, name: str) -> int:
    """Count the points of the map of the study `name`; 0 if it has none."""
    file = _file(results, name)
    return 0 if file is None else n_points_in(file)


def n_points_in(file: Path) -> int:
    """Count the points of a map."""
    return parquet.read_metadata(file).num_rows


def _file(results: Results, name: str) -> Path | None:
    runs = results.first_runs(name)
    return next((run.folder / run.manifest.atlas for run in runs if run.manifest.atlas), None)


def _packed(content: bytes) -> str:
    """Compress bytes; the same ones always give the same letters."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def _listed(points: pd.DataFrame, name: str) -> str | None:
    if name not in points:
        return None
    return _packed(json.dumps(points[name].tolist(), ensure_ascii=False).encode())


def _nearest(points: pd.DataFrame) -> str | None:
    if "nearest" not in points:
        return None
    rows = np.full((len(points), NEAREST), -1, "<i4")
    for row, others in zip(rows, points["nearest"], strict=True):
        row[: len(others)] = others[:NEAREST]
    return _packed(rows.tobytes())


# --- columns -------------------------------------------------------------------------------------


def _column(name: str, values: pd.Series) -> dict[str, Any] | None:
    """Describe a column; None for one that is the same for all points or not known of any."""
    if values.nunique() < 2 and not _is_clustering(name):
        return None
    title = TITLES.get(name, name.replace("_", " "))
    if _is_clustering(name) or not _is_number(values):
        return {"title": title, **_groups(name, values)}
    is_date = pd.api.types.is_datetime64_any_dtype(values)
    numbers = _days(values) if is_date else values.to_numpy(dtype="<f4", na_value=np.nan)
    return {"title": title, "values": _packed(numbers.tobytes()), "is_date": is_date}


def _is_clustering(name: str) -> bool:
    return name == "cluster" or name.startswith("level")


def _is_number(values: pd.Series) -> bool:
    kinds = pd.api.types
    return kinds.is_datetime64_any_dtype(values) or (
        kinds.is_numeric_dtype(values) and not kinds.is_bool_dtype(values)
    )


def _days(values: pd.Series) -> np.ndarray:
    naive = values.dt.tz_convert(None) if values.dt.tz is not None else values
    return ((naive - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(dtype="<f4")


def _groups(name: str, values: pd.Series) -> dict[str, Any]:
    if pd.api.types.is_bool_dtype(values):
        names = WORDS.get(name, ("no", "yes"))
        codes = values.to_numpy(dtype="<i2")
        colours = [style.GREY, style.CLASS_COLOURS[3]]
    else:
        kept = values if isinstance(values.dtype, pd.CategoricalDtype) else _in_order(values)
        codes = kept.cat.codes.to_numpy(dtype="<i2")
        names = [NOISE if group == -1 else str(group) for group in kept.cat.categories]
        kind = "cluster" if _is_clustering(name) else name
        coloured = iter(style.group_colours(kind, len(names) - names.count(NOISE)))
        colours = [style.GREY if group == NOISE else next(coloured) for group in names]
    return {"groups": list(names), "colours": colours, "values": _packed(codes.tobytes())}


def _in_order(values: pd.Series) -> pd.Series:
    """Make a column of words or numbers categorical, in their order; rare ones become one group."""
    values = values.mask(values == "")
    sizes = values.value_counts()
    if len(sizes) > MOST_GROUPS:
        values = values.where(values.isin(sizes.index[: MOST_GROUPS - 1]) | values.isna(), "others")
    return values.astype("category")


# --- small pictures ------------------------------------------------------------------------------


def _thumbs(points: pd.DataFrame, place: str, folder: Path) -> dict[str, Any]:
    """Put the sheets of few pictures into the page, and those of many beside it."""
    sheets = points["image"].dropna()
    keep = _address if len(points) <= MOST_EMBEDDED else _written
    return {
        "per_row": atlas.CELLS_PER_ROW,
        "cells": _packed(points["cell"].to_numpy(dtype="<i4").tobytes()),
        "aspects": _packed(points["aspect"].to_numpy(dtype="<f4").tobytes())
        if "aspect" in points
        else None,
        "sheets": [
            keep(content, folder, f"maps/{place}/{number}.webp")
            for number, content in enumerate(sheets)
        ],
    }


def _address(content: bytes, *_: object) -> str:
    return f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"


def _written(content: bytes, folder: Path, name: str) -> str:
    with atomic_path(folder / name) as temporary:
        temporary.write_bytes(content)
    return name
