"""The style of all figures, and how they are saved.

Labels, names and titles are drawn as they are: nothing in them is read as mathematics or markup.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from utils.config import vocabulary
from utils.store.files import atomic_path

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
# Attributes of a figure that hold its numbers and its description.
NUMBERS, DESCRIPTION = "shown_numbers", "description"
LEGEND_LETTERS = 84  # of the longest line below a figure
GREY = "#8c8c8c"
NOISE_GREY = "#b3b3b3"
INK = "#262626"

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
# Of clusters, which are no classes: apart from each other, and none is the colour of a class. Found
# by a search for the largest least distance in Oklab, also with a colour vision deficiency.
CLUSTER_COLOURS = (
    "#8866ee",
    "#cc8844",
    "#116688",
    "#666611",
    "#88ccee",
    "#661111",
    "#cccc11",
    "#1111cc",
    "#aa88aa",
    "#441166",
)


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


class Description(NamedTuple):
    """A figure in words: its caption, and what a reader who cannot see it should know."""

    caption: str
    alt: str


def describe(fig: Figure, caption: str, alt: str) -> Figure:
    """Attach a caption and an alternative text, in plain text, to a figure."""
    setattr(fig, DESCRIPTION, Description(caption, alt))
    return fig


def description(fig: Figure) -> Description:
    """Return what `describe` attached to a figure."""
    return getattr(fig, DESCRIPTION)


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
    return _first_colours(CLASS_COLOURS, n, saturation=0.9)


def cluster_colours(n: int) -> list[str]:
    """Return `n` colours as "#rrggbb" for clusters; none is that of a class of the same number."""
    return _first_colours(CLUSTER_COLOURS, n, saturation=0.55)


def cluster_names(n: int) -> list[str]:
    """Name clusters 0 to n − 1 so that no name is that of a class: "c0", "c1", …."""
    return [f"c{cluster}" for cluster in range(n)]


def name_of(representation: str, space: str = "", clusterer: str = "") -> str:
    """Name a representation, or with all three parts a clustering, in words for people."""
    if not clusterer:
        return vocabulary.NAMES.get(representation, representation)
    return vocabulary.describe(representation, space, clusterer)


def group_colours(kind: str, n: int) -> list[str]:
    """Return `n` colours for groups of a kind: "cluster", or classes of any other name."""
    return cluster_colours(n) if kind == "cluster" else class_colours(n)


def _first_colours(palette: tuple[str, ...], n: int, saturation: float) -> list[str]:
    if n <= len(palette):
        return list(palette[:n])
    return [str(colour) for colour in sns.husl_palette(n, s=saturation).as_hex()]


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
