"""The panels of one study in the article."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from utils.figures.style import INK, SMALL, _figure, class_colours, describe, group_colours

# Names of the panels; the last stands in the place of the density where the source has such a view.
PANELS = ("reconstructions", "before", "after", "by_class", "by_cluster", "density", "view_3d")


class StudyPanels(NamedTuple):
    """What the panels of a study's figure show.

    Attributes
    ----------
    reconstructions : ndarray of uint8, shape (H, W, 3), or None
        A picture of originals above their reconstructions.
    before, after : DataFrame
        Counts of images by cluster (rows, named after their majority class) and class, on pixels
        and on the code; empty where there is no evidence.
    points : DataFrame
        Columns ``x``, ``y``, ``class`` and ``cluster`` of the t-SNE map; empty likewise.
    view : DataFrame
        Columns ``x``, ``y``, ``z``, ``class``, ``what`` ("image" or "centre") and ``axes`` (the
        numbers of the three dimensions) of the clustered space; where it is not empty, it stands in
        the place of the map's density.
    answers : mapping of str to str
        For a name in `PANELS` the figure of the source that the panel answers.
    others : sequence of str
        The figures of the source that no panel answers, in words.
    """

    reconstructions: np.ndarray | None
    before: pd.DataFrame
    after: pd.DataFrame
    points: pd.DataFrame
    view: pd.DataFrame
    answers: Mapping[str, str]
    others: Sequence[str]


def study_panels(shown: StudyPanels, title: str) -> Figure:
    """Draw the panels of one study: reconstructions, confusion before and after, and maps."""
    fig = _figure(6.0, layout="constrained")
    parts = fig.subfigures(3, 1, height_ratios=[1.0, 2.2, 2.0])
    ax = parts[0].subplots()
    ax.axis("off")
    _letter(ax, "a", "originals and reconstructions", shown.answers.get("reconstructions"))
    if shown.reconstructions is not None:
        ax.imshow(shown.reconstructions, interpolation="lanczos")
    before, after = parts[1].subplots(1, 2)
    _letter(before, "b", "k-means on pixels", shown.answers.get("before"))
    _counts(before, shown.before)
    _letter(after, "c", "k-means on the code", shown.answers.get("after"))
    _counts(after, shown.after)
    by_class, by_cluster = (parts[2].add_subplot(1, 3, place) for place in (1, 2))
    for ax, letter, name, column in (
        (by_class, "d", "t-SNE, by class", "class"),
        (by_cluster, "e", "by cluster", "cluster"),
    ):
        _letter(ax, letter, name, shown.answers.get(f"by_{column}"))
        ax.set(xticks=[], yticks=[])
        if len(shown.points):
            _scatter(ax, shown.points, column)
    last = _view_in_three_dimensions if len(shown.view) else _density
    last(parts[2], shown)
    classes = sorted(set(shown.points["class"])) if len(shown.points) else []
    marks = [
        Line2D([], [], linestyle="", marker="o", ms=4, color=colour)
        for colour in class_colours(len(classes))
    ]
    if classes:
        fig.legend(
            marks, classes, loc="outside lower center", ncols=min(5, len(classes)), title="class"
        )
    return describe(fig, _caption(shown, title), _alternative(shown, title))


def _caption(shown: StudyPanels, title: str) -> str:
    parts = [f"{title}, panels a to f."]
    if len(shown.view):
        parts.append(
            f"Panel f shows dimensions {_axes(shown.view)} of the code by class; crosses are the "
            "centres of k-means."
        )
    if shown.answers:
        parts.append("In brackets: the figure of the source that a panel answers.")
    if shown.others:
        parts.append(f"Further figures of the source: {'; '.join(shown.others)}.")
    return " ".join(parts)


def _alternative(shown: StudyPanels, title: str) -> str:
    maps = "two maps and a view in three dimensions" if len(shown.view) else "three maps"
    return f"Six panels of {title}: reconstructions, two sorted confusion matrices, {maps}."


def _axes(view: pd.DataFrame) -> str:
    first, second, third = view["axes"].iloc[0].split()
    return f"{first}, {second} and {third}"


def _letter(ax: Axes, letter: str, name: str, answers: str | None) -> None:
    text = f"{letter}  {name}" + (f" [{answers}]" if answers else "")
    ax.set_title(text, loc="left", fontsize=SMALL)


def _counts(ax: Axes, counts: pd.DataFrame) -> None:
    if counts.empty:
        ax.axis("off")
        return
    values = counts.to_numpy(float)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(counts.columns)), counts.columns, rotation=60, ha="right")
    ax.set_yticks(range(len(counts)), counts.index)
    ax.tick_params(length=0, labelsize=SMALL - 1.5)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.1:
            colour = "white" if share > 0.6 else INK
            text = f"{share * 100:.0f}"
            ax.text(column, row, text, ha="center", va="center", fontsize=SMALL - 2, color=colour)


def _scatter(ax: Axes, points: pd.DataFrame, column: str) -> None:
    names = sorted(set(points[column]))
    if column == "cluster":
        names.sort(key=lambda name: (len(name), name))  # numbers, as text
    for name, colour in zip(names, group_colours(column, len(names)), strict=True):
        rows = points[points[column] == name]
        ax.scatter(rows["x"], rows["y"], s=2.5, color=colour, linewidths=0, rasterized=True)


def _density(part: Figure, shown: StudyPanels) -> None:
    ax = part.add_subplot(1, 3, 3)
    _letter(ax, "f", "density", shown.answers.get("density"))
    ax.set(xticks=[], yticks=[])
    if len(shown.points):
        ax.hexbin(shown.points["x"], shown.points["y"], gridsize=28, cmap="Blues", linewidths=0)
        centres = shown.points.groupby("cluster")[["x", "y"]].mean()
        ax.plot(centres["x"], centres["y"], "X", ms=6, color="#d55e00", mec="white", mew=0.7)


def _view_in_three_dimensions(part: Figure, shown: StudyPanels) -> None:
    # Centres lie over the points wherever they are.
    ax = part.add_subplot(1, 3, 3, projection="3d", computed_zorder=False)
    _letter(ax, "f", "3-D", shown.answers.get("view_3d"))
    images, centres = (shown.view[shown.view["what"] == what] for what in ("image", "centre"))
    names = sorted(set(images["class"]))
    for name, colour in zip(names, class_colours(len(names)), strict=True):
        rows = images[images["class"] == name]
        ax.scatter(*(rows[axis] for axis in "xyz"), s=2, color=colour, linewidths=0, alpha=0.7)
    ax.plot(*(centres[axis] for axis in "xyz"), "X", ms=6, color=INK, mec="white", mew=0.7)
    for axis, number in zip("xyz", shown.view["axes"].iloc[0].split(), strict=True):
        ax.set(**{f"{axis}label": number, f"{axis}ticks": []})
        getattr(ax, f"{axis}axis").labelpad = -12
