"""Figures of groups at several levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from utils.figures.style import SMALL, _keep, _single_axes, describe


def level_sizes(levels: np.ndarray, front: int) -> Figure:
    """Draw the sizes of the groups of each level, the largest first.

    Parameters
    ----------
    levels : ndarray of int, shape (N, L)
        Group of each picture at each level, from 0; coarse to fine.
    front : int
        Position of the level in front, which is drawn boldly.
    """
    sizes = [np.sort(np.bincount(groups[groups >= 0]))[::-1] for groups in levels.T]
    fig, ax = _single_axes(2.8)
    for number, of_level in enumerate(sizes):
        is_front = number == front
        ax.plot(
            np.arange(1, len(of_level) + 1),
            of_level,
            marker="o",
            markersize=4 if is_front else 2.5,
            linewidth=2 if is_front else 1,
            zorder=3 if is_front else 2,
            label=f"level {number + 1}{', in front' if is_front else ''}: {len(of_level)} groups",
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("group, by size")
    ax.set_ylabel("pictures")
    ax.set_title("Sizes of the groups at each level")
    ax.legend(fontsize=SMALL, frameon=False)
    numbers = pd.concat(
        [
            pd.DataFrame({"level": number + 1, "group": np.arange(1, len(s) + 1), "pictures": s})
            for number, s in enumerate(sizes)
        ]
    )
    said = "; ".join(f"level {n + 1}: {len(s)}, {s[0]:,} to {s[-1]:,}" for n, s in enumerate(sizes))
    return describe(
        _keep(fig, numbers),
        "Number of pictures in each group, for each level, the largest group first.",
        f"A curve for each level over its groups, with the number of groups and their sizes: {said}"
        ".",
    )
