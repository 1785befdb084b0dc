"""Figures of the article: all scores at once, slopes over representations, indices, the line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch

from utils.config.metrics_table import METRICS
from utils.figures.style import (
    GREY,
    INK,
    SMALL,
    _figure,
    _keep,
    class_colours,
    describe,
)

# Beyond so many margins a value is drawn at the edge, with an arrow.
FARTHEST = 2.6
STAGES = {
    "pixels": "pixels",
    "pca": "PCA of pixels",
    "autoencoder": "autoencoder",
    "frozen": "frozen\nnetwork",
}


class ScoreOfPaper(NamedTuple):
    """A reported score and ours, for the figure of all scores.

    Attributes
    ----------
    study, score : str
        As they are called in the figure.
    runs : sequence of float
        Our value for each run; empty if it was not run.
    low, high : float
        Prediction interval or envelope; NaN where there is none.
    paper : float
    saved : float or None
        Value of the authors' saved run, where it is another one.
    margin : float
        Margin of interest, positive.
    verdict : str
    reduced : sequence of float
        Values of a reduced run, which count for nothing.
    """

    study: str
    score: str
    runs: Sequence[float]
    low: float
    high: float
    paper: float
    saved: float | None
    margin: float
    verdict: str
    reduced: Sequence[float] = ()


def all_scores(scores: Sequence[ScoreOfPaper]) -> Figure:
    """Draw every reported score beside our runs, on one axis in units of the margin of interest.

    Parameters
    ----------
    scores : sequence of ScoreOfPaper
        From top to bottom, those of a study together; at least one.
    """
    names, heights = _rows_of(scores)
    fig = _figure(max(2.0, 0.95 + 0.2 * len(names)), layout="constrained")
    ax = fig.subplots()
    blue, orange = class_colours(2)
    farthest = _farthest(scores)
    ax.axvspan(-1, 1, color="#f2f2f2", linewidth=0, zorder=0)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    for height, row in zip(heights, scores, strict=True):
        if len(row.runs):
            _draw_score(ax, height, row, farthest, (blue, orange))
        ax.text(farthest * 1.06, height, row.verdict, va="center", fontsize=SMALL)
    ax.set_yticks([-place for place in range(len(names))], names)
    for label, name in zip(ax.get_yticklabels(), names, strict=True):
        label.set_weight("bold" if name in {row.study for row in scores} else "normal")
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(-farthest, farthest)
    ax.set_ylim(-len(names) + 0.4, 0.6)
    ax.set_xlabel("difference from the mean of our runs, in margins of interest")
    sns.despine(ax=ax, left=True)
    marks = [
        Line2D([], [], linestyle="", marker="D", ms=6, color=orange, mec=INK, mew=0.8),
        Line2D([], [], linestyle="", marker="D", ms=6, color="white", mec=orange, mew=1.4),
        Line2D([], [], linestyle="", marker="o", ms=3, color=blue, alpha=0.5),
        Line2D([], [], color=blue, linewidth=4, alpha=0.3),
        Patch(color="#f2f2f2"),
    ]
    names = ["paper", "authors' saved run", "our runs", "95 % interval for one more run", "margin"]
    if any(len(row.reduced) for row in scores):
        marks.append(Line2D([], [], linestyle="", marker="x", ms=6, color=GREY, mew=1.6))
        names.append("this reduced run")
    in_a_row = 5 if len(names) == 5 else 3
    fig.legend(marks, names, loc="outside lower center", ncols=in_a_row, columnspacing=1.2)
    shown = pd.DataFrame(scores)
    for column in ("runs", "reduced"):
        shown[column] = ["; ".join(map(str, values)) for values in shown[column]]
    counts = pd.Series([row.verdict for row in scores]).value_counts()
    words = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    studies = dict.fromkeys(row.study for row in scores)
    return describe(
        _keep(fig, shown),
        "All reported scores beside our runs. Each row is shifted to the mean of our runs and "
        "divided by its margin of interest, so that the grey band is the margin. The bar is the "
        "95 % prediction interval for one more run or, where the paper leaves settings open, the "
        "envelope over all plausible settings.",
        f"Forest plot of {len(scores)} scores of {', '.join(studies)}: {words}.",
    )


def _rows_of(scores: Sequence[ScoreOfPaper]) -> tuple[list[str], list[float]]:
    """Name the rows from top to bottom, with one for each study, and place the scores."""
    names: list[str] = []
    heights = []
    for row in scores:
        if row.study not in names:
            names.append(row.study)
        heights.append(-float(len(names)))
        names.append(row.score)
    return names, heights


def _in_margins(row: ScoreOfPaper, value: float) -> float:
    return (value - float(np.mean(row.runs))) / row.margin


def _farthest(scores: Sequence[ScoreOfPaper]) -> float:
    """Return the end of the axis: the farthest value, within `FARTHEST`."""
    places = [
        abs(_in_margins(row, value))
        for row in scores
        if len(row.runs)
        for value in (*row.runs, row.low, row.high, row.paper, row.saved, *row.reduced)
        if value is not None and not math.isnan(value)
    ]
    return min(FARTHEST, max([1.1, *(1.08 * place for place in places)]))


def _draw_score(
    ax: Axes, height: float, row: ScoreOfPaper, farthest: float, colours: tuple[str, str]
) -> None:
    blue, orange = colours
    if not math.isnan(row.low):
        ends = [_in_margins(row, row.low), _in_margins(row, row.high)]
        ends = np.clip(ends, -farthest, farthest)
        ax.plot(ends, [height, height], color=blue, linewidth=5, alpha=0.3, solid_capstyle="butt")
    places = [_in_margins(row, value) for value in row.runs]
    ax.plot(places, np.full(len(places), height), "o", color=blue, ms=3, alpha=0.5)
    for value in row.reduced:
        place = np.clip(_in_margins(row, value), -farthest, farthest)
        ax.plot(place, height, "x", color=GREY, ms=6, mew=1.6, clip_on=False)
    for value, look in (
        (row.saved, {"color": "white", "mec": orange, "mew": 1.4}),
        (row.paper, {"color": orange, "mec": INK, "mew": 0.8}),
    ):
        if value is not None:
            place = _in_margins(row, value)
            marker = "D" if abs(place) <= farthest else "<" if place < 0 else ">"
            ax.plot(
                np.clip(place, -farthest, farthest), height, marker, ms=6, clip_on=False, **look
            )


class Slope(NamedTuple):
    """ARI of k-means on the representations of one study: values over runs by stage.

    `stages` maps keys of `STAGES` to values; `paper` is the reported ARI or None.
    """

    study: str
    stages: Mapping[str, Sequence[float]]
    paper: float | None


def slopes(studies: Sequence[Slope]) -> Figure:
    """Draw the ARI from pixels to the frozen network, a panel for each study.

    Parameters
    ----------
    studies : sequence of Slope
    """
    fig = _figure(2.7, layout="constrained")
    axes = fig.subplots(1, len(studies), sharey=True, squeeze=False)[0]
    blue, orange = class_colours(2)
    rows = []
    for ax, study in zip(axes, studies, strict=True):
        names = [stage for stage in STAGES if len(study.stages.get(stage, ()))]
        means = [float(np.mean(study.stages[name])) for name in names]
        for x, name in enumerate(names):
            values = study.stages[name]
            ax.plot(np.full(len(values), x), values, "o", color=blue, ms=3, alpha=0.45)
            rows += [{"study": study.study, "stage": name, "ari": value} for value in values]
        ax.plot(range(len(names)), means, "-s", color=blue, ms=5, linewidth=1.4)
        if study.paper is not None:
            ax.plot(names.index("autoencoder"), study.paper, "D", color=orange, mec=INK, ms=6)
        ax.set_xticks(range(len(names)), [STAGES[name] for name in names])
        ax.tick_params(axis="x", labelrotation=60)
        ax.set_title(study.study)
        ax.set_xlim(-0.4, len(names) - 0.6)
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
    axes[0].set_ylabel("ARI of k-means")
    axes[0].set_ylim(bottom=0)
    marks = [
        Line2D([], [], marker="s", ms=5, color=blue),
        Line2D([], [], linestyle="", marker="o", ms=3, color=blue, alpha=0.45),
        Line2D([], [], linestyle="", marker="D", ms=6, color=orange, mec=INK),
    ]
    fig.legend(marks, ["mean", "run", "paper"], loc="outside lower center", ncols=3)
    return describe(
        _keep(fig, pd.DataFrame(rows)),
        "ARI of k-means on raw pixels, on 50 principal components of the pixels, on the code of "
        "the study's autoencoder and on the features of a frozen network (EfficientNet-Lite0, "
        "trained on ImageNet with labels). Each dot is a run or, where the protocol allows one "
        "run only, a start of k-means. The frozen network was given the first images only.",
        "Slope plots of the ARI over representations, one for each study.",
    )


def pipeline(stages: Sequence[tuple[str, str]]) -> Figure:
    """Draw the stages of the pipeline as boxes in a row.

    Parameters
    ----------
    stages : sequence of (str, str)
        Name of each stage and what it may be.
    """
    fig = _figure(1.05)
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, len(stages)), ylim=(0, 1))
    ax.axis("off")
    for place, (name, choices) in enumerate(stages):
        box = FancyBboxPatch(
            (place + 0.05, 0.1),
            0.84,
            0.8,
            boxstyle="round,pad=0.02,rounding_size=0.05",
            facecolor="#eef3f8",
            edgecolor=GREY,
            linewidth=0.8,
        )
        ax.add_patch(box)
        ax.text(
            place + 0.47, 0.74, name, ha="center", va="center", fontsize=SMALL + 0.5, weight="bold"
        )
        ax.text(place + 0.47, 0.38, choices, ha="center", va="center", fontsize=SMALL - 1.5)
        if place:
            arrow = FancyArrowPatch(
                (place - 0.13, 0.5),
                (place + 0.03, 0.5),
                arrowstyle="-|>",
                mutation_scale=9,
                color=INK,
            )
            ax.add_patch(arrow)
    return describe(
        fig,
        "The pipeline. A method is a representation, a space and a clusterer; labels are used only "
        "for the scores with labels.",
        "Diagram: " + " → ".join(name for name, _ in stages) + ".",
    )


def indices_and_ari(table: pd.DataFrame) -> Figure:
    """Draw internal indices against the ARI, a point for each representation of a study.

    Parameters
    ----------
    table : DataFrame
        Columns ``study``, ``representation`` (words), ``silhouette``, ``davies_bouldin`` and
        ``ari``; each index in the representation's own space.
    """
    fig = _figure(2.6, layout="constrained")
    axes = fig.subplots(1, 2, sharey=True)
    studies = list(dict.fromkeys(table["study"]))
    colours = dict(zip(studies, class_colours(len(studies)), strict=True))
    kinds = list(dict.fromkeys(table["representation"]))
    markers = dict(zip(kinds, "osD^vPX*", strict=False))
    for ax, index in zip(axes, ("silhouette", "davies_bouldin"), strict=True):
        for row in table.itertuples():
            ax.plot(
                getattr(row, index),
                row.ari,
                markers[row.representation],
                color=colours[row.study],
                ms=6,
                alpha=0.85,
            )
        sign = "higher" if METRICS[index].sign > 0 else "lower"
        ax.set_xlabel(f"{METRICS[index].name} ({sign} is better)")
        ax.grid(color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
    axes[1].invert_xaxis()
    axes[0].set_ylabel("ARI")
    marks = [Line2D([], [], linestyle="", marker="o", color=colours[name]) for name in studies]
    marks += [Line2D([], [], linestyle="", marker=markers[kind], color=GREY) for kind in kinds]
    fig.legend(marks, [*studies, *kinds], loc="outside lower center", ncols=4)
    return describe(
        _keep(fig, table),
        "Internal indices, each in its representation's own space, against the ARI. Better values "
        "of an index lie to the right in both panels.",
        f"Two scatter plots of {len(table)} representations, indices against ARI.",
    )
