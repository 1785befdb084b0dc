"""Figures of scores: comparisons, the Pareto front and the forest of reported values."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from utils.config import vocabulary
from utils.config.metrics_table import EXTERNAL, INTERNAL, METRICS
from utils.figures.style import (
    GREY,
    INK,
    LEGEND_LETTERS,
    NORMAL,
    SMALL,
    _figure,
    _keep,
    _number_points,
    _single_axes,
    class_colours,
    describe,
    name_of,
)


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
    external = [name for name in EXTERNAL if name in frame]
    internal = [name for name in INTERNAL if name in frame]
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
    return describe(
        _keep(fig, frame.rename_axis("representation").reset_index()),
        "Metrics of each representation: those with labels can be compared, internal indices "
        "cannot, as each is measured in its own space.",
        f"Grouped bar charts of the metrics of {len(frame)} representations{_ari_range(frame)}.",
    )


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
    indices = ("silhouette", "davies_bouldin")
    for ax, index in zip(fig.subplots(1, 2, sharey=True), indices, strict=True):
        sign = METRICS[index].sign
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
        ax.set_title(_with_direction(index))
        ax.set_xticks(
            *(range(len(spaces)), list(map(name_of, spaces))),
            **{"rotation": 30, "ha": "right", "rotation_mode": "anchor"},
        )
        ax.set_yticks(range(len(names)), list(map(name_of, names)))
        ax.set_xlabel("measured in")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    fig.axes[0].set_ylabel("clusters of")
    return describe(
        _keep(fig, frame),
        "Silhouette (higher is better) and Davies-Bouldin index (lower is better) of every "
        "clustering (rows), measured in every space (columns). Compare within a column only.",
        "Two heat maps of internal indices, clusterings against spaces. The highest silhouette in "
        + "; ".join(_best_in_each_space(frame))
        + ".",
    )


def _ari_range(frame: pd.DataFrame) -> str:
    """Name the representations of the highest and the lowest ARI, if it was measured."""
    if "ari" not in frame:
        return ""
    ari = frame["ari"]
    return (
        f": the highest ARI is {ari.max():.3f} of {frame.index[ari.argmax()]}, the lowest "
        f"{ari.min():.3f} of {frame.index[ari.argmin()]}"
    )


def _best_in_each_space(frame: pd.DataFrame) -> list[str]:
    """Name the clustering of the highest silhouette in each space."""
    known = frame.dropna(subset="silhouette")
    best = known.loc[known.groupby("measured_in", sort=False)["silhouette"].idxmax()]
    return [
        f"the space of {name_of(row.measured_in)}: {row.silhouette:.3f}, clusters of "
        f"{name_of(row.clusters_of)}"
        for row in best.itertuples()
    ]


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
    keys = [
        vocabulary.describe(row.representation, row.space, row.clusterer)
        for row in on_front.itertuples()
    ]
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
    """A reported score and ours.

    Attributes
    ----------
    name : str
    reported : sequence of float
        The paper's value and, where it is another one, that of the authors' saved run.
    runs : sequence of float
        Our value for each run, at least one.
    low, high : float
        Prediction interval for one more run; NaN where there is none.
    """

    name: str
    reported: Sequence[float]
    runs: Sequence[float]
    low: float
    high: float


def forest(estimates: Sequence[Estimate], title: str) -> Figure:
    """Draw each reported score beside ours, on an axis of its own.

    Parameters
    ----------
    estimates : sequence of Estimate
        From top to bottom, at least one.
    title : str
    """
    fig = _figure(0.75 + 0.52 * len(estimates), layout="constrained")
    rows = fig.subplots(len(estimates), 1, squeeze=False)[:, 0]
    blue, orange = class_colours(2)
    # A saved run's diamond is hollow; the paper's is drawn above it.
    diamonds = [
        {"marker": "D", "ms": 7, "color": orange, "mec": INK, "mew": 0.8},
        {"marker": "D", "ms": 7, "color": "white", "mec": orange, "mew": 1.4},
    ]
    for ax, row in zip(rows, estimates, strict=True):
        if not math.isnan(row.low):
            ax.axvspan(row.low, row.high, color=blue, alpha=0.12, linewidth=0)
        ax.plot(row.runs, np.zeros(len(row.runs)), "o", color=blue, ms=3, alpha=0.5)
        ax.plot(np.mean(row.runs), 0, "s", color=blue, ms=6)
        for place, value in reversed(list(enumerate(row.reported))):
            ax.plot(value, 0, **diamonds[place])
        ax.set_ylim(-1, 1)
        ax.set_yticks([0], [row.name])
        ax.tick_params(axis="y", length=0)
        ax.margins(x=0.08)
        ax.xaxis.set_major_locator(MaxNLocator(6))
        sns.despine(ax=ax, left=True)
    fig.suptitle(title)
    marks = [
        *(Line2D([], [], linestyle="", **diamond) for diamond in diamonds),
        Line2D([], [], linestyle="", marker="o", ms=3, color=blue, alpha=0.5),
        Line2D([], [], linestyle="", marker="s", ms=6, color=blue),
        Patch(color=blue, alpha=0.12, linewidth=0),
    ]
    names = ["paper", "authors' saved run", "our runs", "their mean", "95 % prediction interval"]
    if all(len(row.reported) == 1 for row in estimates):
        del marks[1], names[1]
    fig.legend(marks, names, loc="outside lower center", ncols=len(names))
    shown = pd.DataFrame(estimates)
    shown.insert(2, "mean", [float(np.mean(row.runs)) for row in estimates])
    for column in ("reported", "runs"):
        shown[column] = ["; ".join(map(str, values)) for values in shown[column]]
    return _keep(fig, shown)


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
    ax.set_xticks(places, [METRICS[name].short for name in frame])
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
        ax.set_xlabel(_with_direction(name), fontsize=SMALL)
        ax.yaxis.set_major_formatter("{x:,g}")
        ax.margins(y=0.18)


def _with_direction(index: str) -> str:
    """Name an index, and say below whether more of it is better."""
    entry = METRICS[index]
    return f"{entry.name}\n({'higher' if entry.sign > 0 else 'lower'} is better)"


def _label_bars(ax: Axes, bars: BarContainer, texts: Sequence[str], upright: bool) -> None:
    texts = ["" if text == "nan" else text.replace("-", "−") for text in texts]
    ax.bar_label(bars, texts, padding=2, fontsize=SMALL, rotation=90 if upright else 0)
