"""Figures of confusion matrices: clusters against classes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from utils import metrics
from utils.figures.style import POINTS_PER_INCH, SMALL, WIDTH, _keep, _single_axes, describe

# Inches beside a heat map for the bar of its shades.
SHADES_SPACE = 0.75
SHADES_NOTE = "A cell's number counts images; its colour is their share of the row."


def largest_confusion(
    counts: np.ndarray, row_names: Sequence[str], column_names: Sequence[str]
) -> str:
    """Say in words which cell is the largest of those whose row and column differ in name.

    Parameters
    ----------
    counts : ndarray of int, shape (rows, columns)
        Images by the class after which a cluster is named (rows) and their own (columns).
    row_names, column_names : sequence of str
    """
    cells = [
        (int(counts[i, j]), row, column)
        for i, row in enumerate(row_names)
        for j, column in enumerate(column_names)
        if row != column
    ]
    n, row, column = max(cells, key=lambda cell: cell[0], default=(0, "", ""))
    if n == 0:
        return "no image lies in a cluster of another class"
    images = "image" if n == 1 else "images"
    return f"the largest confusion is {n:,} {images} of {column} in a cluster of {row}"


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
    A cell's number is a count, its shade that count's share of the row, as the bar says. Numbers
    are left out where the cells are too small to read them.
    """
    n_rows, n_columns = matrix.shape
    label_space = 0.35 + 0.075 * max(len(name) for name in row_names)
    cell = (WIDTH - label_space - SHADES_SPACE) / n_columns
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
        cbar_kws={"label": "colour: share of the row", "format": PercentFormatter(1)},
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
    return describe(
        _keep(fig, counts),
        f"{title}: each {row_title} (rows) against each {column_title} (columns). {SHADES_NOTE}",
        f"Confusion matrix, {title}; {largest_confusion(matrix, row_names, column_names)}.",
    )


def matched_confusion(
    labels: np.ndarray, assignment: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Draw clusters against classes, matched one to one so that the diagonal is heaviest.

    Parameters
    ----------
    labels, assignment : ndarray of int, shape (N,)
        Class and cluster of each image; −1 is noise.
    class_names : sequence of str
        Name of class 0, 1, ….
    title : str

    Notes
    -----
    The order of the rows is that of `metrics.hungarian_order`. A row bears the name of its class;
    a cluster without one is "unmatched".
    """
    table = metrics.hungarian_order(labels, assignment)
    match = metrics.hungarian_match(labels, assignment)
    rows = [class_names[match[c]] if c in match else "unmatched" for c in table.clusters.tolist()]
    columns = [class_names[i] for i in table.classes]
    return describe(
        confusion(table.counts, rows, columns, title, "cluster, by its matched class"),
        f"{title}: clusters (rows, matched one to one with classes by the Hungarian algorithm) "
        f"against classes (columns). {SHADES_NOTE}",
        f"Matched confusion matrix, {title}; {largest_confusion(table.counts, rows, columns)}.",
    )


def majority_confusion(
    labels: np.ndarray, assignment: np.ndarray, class_names: Sequence[str], title: str
) -> Figure:
    """Draw clusters against classes, each cluster named after its majority class.

    Schlachter (2020) sorts the clusters in this way. The parameters are those of
    `matched_confusion`; the order of the rows is that of `metrics.majority_order`.
    """
    table = metrics.majority_order(labels, assignment)
    rows = [class_names[i] for i in table.majority]
    columns = [class_names[i] for i in table.classes]
    missing = [name for name in class_names if name not in rows]
    found = (
        f"No cluster has the majority of: {', '.join(missing)}."
        if missing
        else "Every class is the majority of some cluster."
    )
    return describe(
        confusion(table.counts, rows, columns, title, "cluster, by its majority class"),
        f"{title}: clusters (rows, named after their majority class) against classes (columns). "
        f"{found} {SHADES_NOTE}",
        f"Confusion matrix sorted by majority class, {title}; {len(set(rows))} of "
        f"{len(class_names)} classes are the majority of a cluster, and "
        f"{largest_confusion(table.counts, rows, columns)}.",
    )
