"""The figure of calibration: accuracy against confidence."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from utils.config import vocabulary
from utils.figures.style import GREY, _grid, _keep, class_colours, describe
from utils.metrics.calibration import N_BINS, expected_calibration_error

COLUMNS = 3
METHOD = ["representation", "space", "clusterer"]
# A bin's circle covers an area in proportion to its share of the images; all of them, in points².
WHOLE_AREA = 220


def reliability(table: pd.DataFrame, title: str) -> Figure:
    """Draw of each method how often images that it assigns with some confidence are right.

    Parameters
    ----------
    table : DataFrame
        At least one row: columns ``representation``, ``space``, ``clusterer``, ``bin``, ``n``,
        ``confidence`` and ``accuracy``. Rows of a method with the same bin, such as those of
        several seeds, are pooled.
    title : str

    Notes
    -----
    A circle below the diagonal is of images of which the method is surer than it is right. Its
    area is the share of images in its bin.
    """
    pooled = {key: pool(rows) for key, rows in table.groupby(METHOD, sort=False)}
    columns = min(COLUMNS, len(pooled))
    n_rows = math.ceil(len(pooled) / columns)
    fig, axes = _grid(0.5 + 2.5 * n_rows, n_rows, columns)
    blue = class_colours(1)[0]
    said = []
    for ax, (key, bins) in zip(axes.flat, pooled.items(), strict=False):
        error = expected_calibration_error(bins)
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
        ax.plot(bins["confidence"], bins["accuracy"], color=blue, linewidth=1)
        areas = WHOLE_AREA * bins["n"] / bins["n"].sum()
        ax.scatter(bins["confidence"], bins["accuracy"], s=np.maximum(areas, 3), color=blue)
        ax.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
        ax.xaxis.set_major_locator(MultipleLocator(0.25))
        ax.yaxis.set_major_locator(MultipleLocator(0.25))
        name = vocabulary.describe(*key)
        ax.set_title(_in_lines(f"{name}; ECE {error:.3f}"))
        ax.set_xlabel("confidence")
        ax.set_ylabel("accuracy")
        said.append(
            f"{name}: calibration error {error:.3f}, mean confidence "
            f"{np.average(bins['confidence'], weights=bins['n']):.3f}, accuracy "
            f"{np.average(bins['accuracy'], weights=bins['n']):.3f}"
        )
    for ax in axes.flat[len(pooled) :]:
        ax.set_visible(False)
    fig.suptitle(title)
    shown = [
        bins.assign(**dict(zip(METHOD, key, strict=True)))[[*METHOD, *bins.columns]]
        for key, bins in pooled.items()
    ]
    return describe(
        _keep(fig, pd.concat(shown, ignore_index=True)),
        "Accuracy of images that a method did not see against its confidence, the share of the "
        f"vote, in {N_BINS} bins. On the dashed line confidence is accuracy; the area of a circle "
        "is the share of images.",
        "Accuracy against confidence. " + "; ".join(said) + ".",
    )


def pool(rows: pd.DataFrame) -> pd.DataFrame:
    """Join rows of the same bin, such as those of several seeds.

    Parameters
    ----------
    rows : DataFrame
        Columns ``bin``, ``n``, ``confidence`` and ``accuracy``, of one method.

    Returns
    -------
    DataFrame
        The same columns, a row for each bin: the sum of ``n``, and means weighted by it.
    """
    weighted = rows[["confidence", "accuracy"]].mul(rows["n"], axis=0)
    sums = pd.concat([rows[["bin", "n"]], weighted], axis=1).groupby("bin").sum()
    means = sums[["confidence", "accuracy"]].div(sums["n"], axis=0)
    return pd.concat([sums[["n"]], means], axis=1).reset_index()


def _in_lines(text: str, letters: int = 34) -> str:
    return "\n".join(textwrap.wrap(text, letters))
