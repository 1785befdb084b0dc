"""Contact sheets: a person's pictures with their names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.figure import Figure

from utils.figures.style import SMALL, WIDTH, _keep, _single_axes, describe

SHEET_COLUMNS = 8
UNKNOWN = "\N{WHITE SQUARE}"  # for a letter that the figures' font lacks
LETTERS = 9  # that stand below a picture in a line
NAME_SPACE = 0.36  # inches, two lines


class Named(NamedTuple):
    """Pictures and their names.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, H, W, 3)
    names : list of str, length n
    """

    images: np.ndarray
    names: list[str]


def contact_sheet(parts: Mapping[str, Named], title: str) -> Figure:
    """Show pictures in named parts, at most `SHEET_COLUMNS` in a line, each above its file's name.

    Parameters
    ----------
    parts : dict of str to Named
        None is empty.
    title : str

    Returns
    -------
    Figure
        Its numbers are a table of the columns ``part``, ``name`` (in full) in order.
    """
    lines = [
        (part if start == 0 else "", Named(named.images[start:stop], named.names[start:stop]))
        for part, named in parts.items()
        for start in range(0, len(named.names), SHEET_COLUMNS)
        for stop in [start + SHEET_COLUMNS]
    ]
    tile = (WIDTH - 1.0) / SHEET_COLUMNS
    fig, ax = _single_axes(len(lines) * (tile + NAME_SPACE) + 0.3)
    height, width = lines[0][1].images.shape[1:3]
    gap, pitch = math.ceil(width / 16), height + round(NAME_SPACE / tile * height)
    shape = (len(lines) * pitch, SHEET_COLUMNS * (width + gap) - gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for row, (_, named) in enumerate(lines):
        for column, (image, name) in enumerate(zip(*named, strict=True)):
            x, y = column * (width + gap), row * pitch
            sheet[y : y + height, x : x + width] = image
            middle, below = x + width / 2, y + height + gap / 2
            ax.text(middle, below, _short(name), ha="center", va="top", fontsize=SMALL)
    # Not resampled: a drawing holds each pixel once and is scaled where it is shown.
    ax.imshow(sheet, interpolation="none")
    ax.set_yticks(np.arange(len(lines)) * pitch + (height - 1) / 2, [part for part, _ in lines])
    ax.set_xticks([])
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    listed = [(part, name) for part, named in parts.items() for name in named.names]
    described = f"{title}: {len(listed):,} pictures with their names"
    return describe(
        _keep(fig, pd.DataFrame(listed, columns=["part", "name"])),
        f"{described}.",
        f"{described}, in the parts {', '.join(parts)}.",
    )


def _short(name: str) -> str:
    """Write a file's name, without its folder, in two lines; of a long one beginning and end."""
    last = "".join(
        letter if ord(letter) in _letters() else UNKNOWN for letter in PurePosixPath(name).name
    )
    if len(last) <= LETTERS:
        return last
    stem, dot, suffix = last.rpartition(".")
    if stem and max(len(stem), len(dot + suffix)) <= LETTERS:
        return f"{stem}\n{dot}{suffix}"
    if len(last) <= 2 * LETTERS:
        return f"{last[:LETTERS]}\n{last[LETTERS:]}"
    return f"{last[:LETTERS]}\n…{last[1 - LETTERS :]}"


@cache
def _letters() -> frozenset[int]:
    """Return the code points of the font that `use_style` sets."""
    file = font_manager.findfont("DejaVu Sans")
    return frozenset(font_manager.get_font(file).get_charmap())
