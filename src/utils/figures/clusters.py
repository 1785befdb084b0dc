"""Figures of clusters: maps and the curves of density-based clustering."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from utils import metrics
from utils.figures.style import (
    NOISE_GREY,
    SMALL,
    _figure,
    _grid,
    _keep,
    _single_axes,
    class_colours,
    describe,
    group_colours,
)

# Points of a curve; more cannot be told apart.
MOST_ON_CURVE = 2_000
# Neighbours of a point of a map that its alternative text looks at.
NEIGHBOURS = 10

# --- maps ----------------------------------------------------------------------------------------


def map_by_class(
    xy: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    title: str,
    legend_title: str,
    axes: str = "t-SNE",
) -> Figure:
    """Draw a map of points, a colour for each class or cluster.

    Parameters
    ----------
    xy : ndarray of float, shape (N, 2)
        Places on the map.
    values : ndarray of int, shape (N,)
        Index into `names`; −1 is noise and drawn in grey.
    names : sequence of str
        Names for the legend, which lists those that have points.
    title, legend_title : str
    axes : str
        What the map is made by; names its axes.
    """
    fig, ax = _map_axes(title, axes)
    _scatter(fig, ax, xy, values, names, legend_title)
    return describe(
        _keep(fig, _points(xy, "xy", values, names, legend_title)),
        f"{title}: {axes} map of {len(xy):,} images, a colour for each {legend_title}"
        f"{_noise(values)}.",
        f"Scatter plot of the {axes} map, a colour for each {legend_title}"
        f"{_noise(values)}{_neighbours(xy, values, legend_title)}.",
    )


def view_3d(
    points: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    title: str,
    legend_title: str,
    centres: np.ndarray | None = None,
) -> Figure:
    """Draw points by the first three dimensions that vary, a colour for each class or cluster.

    Parameters
    ----------
    points : ndarray of float, shape (N, D)
        D at least 3. A dimension that is the same for all points, such as a unit of a network that
        never fires, shows nothing and is left out, unless fewer than three vary.
    values : ndarray of int, shape (N,)
        Index into `names`; −1 is noise and drawn in grey.
    names : sequence of str
    title, legend_title : str
    centres : ndarray of float, shape (len(names), D), optional
        Marked and named.
    """
    drawn, constant = _drawn_dimensions(points)
    fig = _figure(4.6, layout="constrained")
    # Centres and their numbers lie over the points wherever they are.
    ax = fig.add_subplot(projection="3d", computed_zorder=False)
    ax.set_title(title)
    alpha = 0.8 if centres is None else 0.45
    _scatter(fig, ax, points[:, drawn], values, names, legend_title, alpha)
    centres = None if centres is None else centres[:, drawn]
    marks = [] if centres is None else zip(centres, names, strict=True)
    for (place, name), colour in zip(marks, group_colours(legend_title, len(names)), strict=False):
        ax.scatter(*place, s=140, c="white", edgecolors=colour, linewidths=1.8, zorder=3)
        ax.text(*place, name, ha="center", va="center", fontsize=SMALL, weight="bold", zorder=4)
    columns = [f"dimension {dimension + 1}" for dimension in drawn]
    for axis, dimension, column in zip("xyz", drawn, columns, strict=True):
        getattr(ax, f"{axis}axis").set_label_text(column)
        getattr(ax, f"{axis}axis").set_major_locator(MaxNLocator(4))
        if dimension in constant:
            value = float(points[0, dimension])
            ax.set(**{f"{axis}lim": (value - 1, value + 1)})
    shares = points.var(axis=0) / max(points.var(axis=0).sum(), np.finfo(float).tiny)
    marked = "" if centres is None else f" and a marked centre for each of {len(centres)} clusters"
    return describe(
        _keep(fig, _points(points[:, drawn], columns, values, names, legend_title, centres)),
        f"{title}: {_dimensions_in_words(drawn, constant)} of the clustered space for "
        f"{len(points):,} images, a colour for each {legend_title}{marked}."
        f"{_constant_in_words(constant, points.shape[1])}",
        f"Three-dimensional scatter plot, a colour for each {legend_title}{marked}; the three "
        f"dimensions have {shares[drawn].sum():.0%} of the variance.",
    )


def _drawn_dimensions(points: np.ndarray) -> tuple[list[int], list[int]]:
    """Choose three dimensions to draw, the first that vary, and list all that do not."""
    varies = np.ptp(points, axis=0) > 0
    by_choice = np.argsort(~varies, kind="stable")
    return sorted(by_choice[:3].tolist()), np.flatnonzero(~varies).tolist()


def _dimensions_in_words(drawn: Sequence[int], constant: Sequence[int]) -> str:
    if not constant or list(drawn) == [0, 1, 2]:
        return "the first three dimensions"
    first, second, third = (dimension + 1 for dimension in drawn)
    return f"dimensions {first}, {second} and {third}"


def _constant_in_words(constant: Sequence[int], n: int) -> str:
    """Say which of `n` dimensions are the same for all points, if any is."""
    if not constant:
        return ""
    if len(constant) > 3:
        return f" Of {n} dimensions {len(constant)} are the same for all images."
    *first, last = (str(dimension + 1) for dimension in constant)
    if first:
        return f" Dimensions {', '.join(first)} and {last} are the same for all images."
    return f" Dimension {last} is the same for all images."


def k_distances(curve: np.ndarray, knee: int, published: float, k: int) -> Figure:
    """Draw the sorted distances to the k-th neighbour, with their knee and the published radius.

    Parameters
    ----------
    curve : ndarray of float, shape (N,)
        Ascending.
    knee : int
        Position of the knee in it.
    published : float
        The paper's eps.
    k : int
    """
    fig, ax = _single_axes(3.0)
    colours = class_colours(3)
    places = np.arange(0, len(curve), -(-len(curve) // MOST_ON_CURVE))
    ax.plot(places, curve[places], color=colours[0])
    ax.plot(knee, curve[knee], "o", color=colours[1], label=f"knee: eps {curve[knee]:.2f}")
    ax.axhline(published, color=colours[2], linestyle="--", label=f"published: eps {published:g}")
    ax.set_xlabel("image, by distance")
    ax.set_ylabel(f"distance to neighbour {k}")
    ax.legend()
    return describe(
        _keep(fig, pd.DataFrame({"image": places, "distance": curve[places]})),
        f"Distances to neighbour {k} in ascending order. The knee proposes eps {curve[knee]:.2f}; "
        f"the paper has {published:g}.",
        f"Curve of neighbour distances that rises from {curve[0]:.2f} to {curve[-1]:.2f}, with its "
        f"knee at {curve[knee]:.2f} and the published radius {published:g}.",
    )


def k_curve(candidates: np.ndarray, silhouettes: np.ndarray, chosen: int) -> Figure:
    """Draw the silhouette by the number of clusters, and the number that was chosen.

    Parameters
    ----------
    candidates : ndarray of int, shape (c,)
    silhouettes : ndarray of float, shape (c,)
    chosen : int
    """
    fig, ax = _single_axes(2.6)
    ax.plot(candidates, silhouettes, marker="o", markersize=4)
    ax.axvline(chosen, color="#888888", linestyle="--", linewidth=1)
    ax.annotate(
        f"chosen: {chosen}",
        (chosen, silhouettes.min()),
        xytext=(5, 0),
        textcoords="offset points",
        fontsize=SMALL,
    )
    ax.set_xlabel("number of clusters k")
    ax.set_ylabel("silhouette of k-means")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_title("The choice of k, without labels")
    return describe(
        _keep(fig, pd.DataFrame({"k": candidates, "silhouette": silhouettes})),
        "Silhouette of k-means by the number of clusters; the number with the highest is taken.",
        f"A curve over {candidates.min()} to {candidates.max()} clusters, highest at "
        f"{candidates[silhouettes.argmax()]}.",
    )


def eps_strip(frame: pd.DataFrame) -> Figure:
    """Draw what DBSCAN finds as its radius grows.

    Parameters
    ----------
    frame : DataFrame
        Columns ``eps``, ``k_found``, ``noise_fraction``, ``ari`` (noise as a cluster of its own)
        and ``ari_covered`` (noise left out).
    """
    panels = {
        "clusters": ["k_found"],
        "share of noise": ["noise_fraction"],
        "ARI": ["ari", "ari_covered"],
    }
    fig, axes = _grid(4.6, len(panels), 1)
    for ax, (title, columns) in zip(axes[:, 0], panels.items(), strict=True):
        for column, colour in zip(columns, class_colours(2), strict=False):
            ax.plot(frame["eps"], frame[column], marker="o", ms=3.5, color=colour)
        ax.set_ylabel(title)
        ax.sharex(axes[0, 0])
    _whole_numbers(axes[0, 0], frame["k_found"])
    axes[1, 0].set_ylim(-0.05, 1.05)
    low, high = frame[panels["ARI"]].min(axis=None), frame[panels["ARI"]].max(axis=None)
    axes[2, 0].set_ylim(min(low, 0) - 0.02, max(1.1 * high, 0.1))  # not the rounding of nothing
    axes[-1, 0].legend(axes[-1, 0].lines, ["noise as a cluster", "without noise"])
    axes[-1, 0].set_xlabel("eps")
    most = frame.loc[frame["k_found"].idxmax()]
    return describe(
        _keep(fig, frame),
        "DBSCAN as its radius grows: clusters found, share of noise, and ARI with noise as a "
        "cluster and without it.",
        f"Three panels of curves over eps: at most {most['k_found']:.0f} "
        f"{'cluster is' if most['k_found'] == 1 else 'clusters are'} found, at eps "
        f"{most['eps']:.2f}, with {most['noise_fraction']:.0%} noise.",
    )


def _whole_numbers(ax: Axes, counts: pd.Series) -> None:
    """Let an axis of counts begin at 0 and have whole numbers only."""
    ax.set_ylim(0, 1.1 * max(1, counts.max()))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def map_centroids(
    xy: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    centres_xy: np.ndarray,
    title: str = "k-means centres",
    legend_title: str = "cluster",
) -> Figure:
    """Draw a map of points with a named disc at each cluster's centre.

    Parameters
    ----------
    xy, values, names, title, legend_title
        As for `map_by_class`.
    centres_xy : ndarray of float, shape (k, 2)
        Centre of cluster i in row i, on the same map.
    """
    fig, ax = _map_axes(title)
    _scatter(fig, ax, xy, values, names, legend_title, alpha=0.45)
    colours = group_colours(legend_title, len(names))
    for (x, y), name, colour in zip(centres_xy, names, colours, strict=True):
        ax.annotate(
            name,
            (x, y),
            ha="center",
            va="center",
            fontsize=SMALL,
            weight="bold",
            bbox={
                "boxstyle": "circle,pad=0.25",
                "facecolor": "white",
                "edgecolor": colour,
                "linewidth": 2,
            },
        )
    return describe(
        _keep(fig, _points(xy, "xy", values, names, legend_title, centres_xy)),
        f"{title}: t-SNE map of {len(xy):,} images and of the centres of {len(names)} clusters.",
        f"Scatter plot of the t-SNE map, a colour for each {legend_title}, with a marked centre "
        f"for each of {len(names)} clusters.",
    )


def map_density(xy: np.ndarray, title: str = "Density of the map") -> Figure:
    """Draw how densely the points ``(N, 2)`` of a map lie (Gaussian kernel estimate)."""
    fig, ax = _map_axes(title)
    sns.kdeplot(
        x=xy[:, 0],
        y=xy[:, 1],
        fill=True,
        cmap="Blues",
        levels=12,
        thresh=0.02,
        bw_adjust=0.5,
        gridsize=120,
        rasterized=True,  # the outlines of twelve levels are the largest drawing of all
        ax=ax,
    )
    _name_map_axes(ax)
    return describe(
        _keep(fig, pd.DataFrame(xy, columns=["x", "y"])),
        "Density of the points in the map. Gaps between dense regions are where clusters could "
        "part.",
        f"Density plot of the t-SNE map of {len(xy):,} images.",
    )


def _noise(values: np.ndarray) -> str:
    """Say in words what share of the points is noise, if any is."""
    share = metrics.noise_fraction(values)
    return f", noise ({share:.1%}) in grey" if share else ""


def _neighbours(xy: np.ndarray, values: np.ndarray, kind: str) -> str:
    """Say in words how many of a point's nearest neighbours in a map are of its own kind."""
    if len(xy) <= NEIGHBOURS:
        return ""
    share = metrics.neighbour_agreement(xy, np.asarray(values), NEIGHBOURS)
    return f": of an image's {NEIGHBOURS} nearest neighbours {share:.0%} have its {kind}"


def _map_axes(title: str, axes: str = "t-SNE") -> tuple[Figure, Axes]:
    fig, ax = _single_axes(4.6)
    ax.set_title(title)
    _name_map_axes(ax, axes)
    return fig, ax


def _name_map_axes(ax: Axes, axes: str = "t-SNE") -> None:
    ax.set_aspect("equal", "datalim")
    ax.set(xticks=[], yticks=[], xlabel=f"{axes} 1", ylabel=f"{axes} 2")  # places have no unit


def _points(
    places: np.ndarray,
    axes: Sequence[str],
    values: np.ndarray,
    names: Sequence[str],
    kind: str,
    centres: np.ndarray | None = None,
) -> pd.DataFrame:
    """List the points of a drawing by their places on the `axes`, and the centres after them."""
    named = [*names, "noise"]  # the last is at −1
    rows = pd.DataFrame(places, columns=list(axes)).assign(**{kind: [named[v] for v in values]})
    if centres is None:
        return rows
    marked = pd.DataFrame(centres[:, : len(axes)], columns=list(axes)).assign(**{kind: names})
    return pd.concat([rows.assign(what="image"), marked.assign(what="centre")])


def _scatter(
    fig: Figure,
    ax: Axes,
    xy: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    legend_title: str,
    alpha: float = 0.8,
) -> None:
    values = np.asarray(values, dtype=int)
    colours = [*group_colours(legend_title, len(names)), NOISE_GREY]  # the last is at −1
    shown = sorted(np.unique(values), key=lambda value: (value < 0, value))
    order = np.random.default_rng(0).permutation(len(xy))  # so that no class hides the others
    order = order[np.argsort(values[order] >= 0, kind="stable")]  # and noise hides none
    ax.scatter(
        *xy[order].T,
        s=float(np.clip(14_000 / len(xy), 1, 14)),
        c=np.array(colours)[values[order]],
        alpha=alpha,
        linewidths=0,
        rasterized=True,
    )
    dots = [
        Line2D([], [], linestyle="", marker="o", markersize=5, color=colours[value])
        for value in shown
    ]
    texts = [names[value] if value >= 0 else "noise" for value in shown]
    legend = fig.legend(dots, texts, title=legend_title, loc="outside right upper")
    legend.set_alignment("left")
