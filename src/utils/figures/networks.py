"""Figures of networks: the architecture and the loss curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import MaxNLocator

from utils.figures.style import (
    INK,
    NORMAL,
    POINTS_PER_INCH,
    SMALL,
    WIDTH,
    _figure,
    _keep,
    _single_axes,
    class_colours,
    describe,
)

ENCODER, DECODER = "#5b8fc9", "#e0a458"
BLOCK_PITCH, BLOCK_SPACE = 42.0, 68.0  # points from block to block, and the width of the largest


# --- the autoencoder -----------------------------------------------------------------------------


def architecture(layers: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw an autoencoder as blocks: the encoder down the left side, the decoder up the right.

    Parameters
    ----------
    layers : sequence of mapping
        In the order of execution, each with ``layer`` (str), ``output_shape`` (tuple: channels,
        height, width, or units), ``parameters`` (int) and ``part`` ("encoder" or "decoder").

    Notes
    -----
    A layer that keeps the shape and has at most a scale and a shift for each channel (activation,
    dropout, batch normalisation) is written into the block before it. A block's width grows with
    the side of its feature map, its height with the number of channels; a vector is drawn as a
    square image of as many values.
    """
    encoder, decoder = _blocks(layers, "encoder"), _blocks(layers, "decoder")
    rows = max(len(encoder), len(decoder))
    width, height = WIDTH * POINTS_PER_INCH, rows * BLOCK_PITCH + 52
    fig = _figure(height / POINTS_PER_INCH)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))  # so that units are points
    ax.set_axis_off()

    largest = max(_side(layer["output_shape"]) for layer in layers)
    most_channels = max(_channels(layer["output_shape"]) for layer in layers)
    downwards = height - 24 - (np.arange(rows) + 0.5) * BLOCK_PITCH
    columns = []
    for name, blocks, levels, left, colour in (
        ("Encoder", encoder, downwards[: len(encoder)], 4, ENCODER),
        ("Decoder", decoder, downwards[::-1][: len(decoder)], width / 2 + 4, DECODER),
    ):
        boxes = [
            _draw_block(ax, block, left, y, colour, largest, most_channels)
            for block, y in zip(blocks, levels, strict=True)
        ]
        for box, following in pairwise(boxes):
            is_down = following.top < box.bottom
            ends = (box.bottom, following.top) if is_down else (box.top, following.bottom)
            _arrow(ax, box.x_middle, *ends)
        y = levels.max() + BLOCK_PITCH / 2 + 10
        total = sum(block["parameters"] for block in blocks)
        ax.text(left, y, name, va="center", weight="bold", fontsize=NORMAL + 1)
        ax.text(left + BLOCK_SPACE + 8, y, f"{total:,} parameters", va="center")
        columns.append(boxes)

    start, end = columns[0][-1], columns[1][0]
    corners = [start.x_middle, start.x_middle, end.x_middle], [start.bottom, 18, 18]
    ax.plot(*corners, color=INK, linewidth=0.8)
    _arrow(ax, end.x_middle, 18, end.bottom)
    latent = encoder[-1]["output_shape"]
    size = f" = {math.prod(latent):,}" if len(latent) > 1 else ""
    text = f"latent: {_shape_text(latent)}{size} values"
    middle = (start.x_middle + end.x_middle) / 2
    ax.text(middle, 15, text, ha="center", va="top", fontsize=SMALL)
    shown = pd.DataFrame(layers)[["part", "layer", "output_shape", "parameters"]]
    n_inputs, n_latent = math.prod(decoder[-1]["output_shape"]), math.prod(latent)
    return describe(
        _keep(fig, shown.assign(output_shape=shown["output_shape"].map(_shape_text))),
        f"The autoencoder: {shown['parameters'].sum():,} trainable parameters, latent of "
        f"{n_latent:,} numbers.",
        f"Block diagram of the encoder and the decoder: {n_inputs:,} pixel values become "
        f"{n_latent:,} numbers.",
    )


def loss_curve(history: pd.DataFrame, loss: str = "loss") -> Figure:
    """Draw the loss by epoch.

    Parameters
    ----------
    history : DataFrame
        Columns ``epoch``, ``loss`` and, if it was measured, ``validation_loss``.
    loss : str
        Name of the loss, for its axis and the caption.
    """
    loss = loss.replace("_", " ")
    fig, ax = _single_axes(3.0)
    marker = "o" if len(history) <= 20 else None
    colours = class_colours(2)
    ax.plot(history["epoch"], history["loss"], color=colours[0], marker=marker, ms=3.5)
    if "validation_loss" in history:
        ax.plot(
            history["epoch"], history["validation_loss"], color=colours[1], marker=marker, ms=3.5
        )
        ax.legend(ax.lines, ["training", "validation"])
    ax.set_xlabel("epoch")
    ax.set_ylabel(loss)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    curves = {"training": "loss", "validation": "validation_loss"}
    losses = {name: history[column] for name, column in curves.items() if column in history}
    ends = [f"{name} from {of.iloc[0]:.4f} to {of.iloc[-1]:.4f}" for name, of in losses.items()]
    courses = [f"the {name} loss {_course(history['epoch'], of)}" for name, of in losses.items()]
    epochs = f"{len(history)} epoch{'s' if len(history) > 1 else ''}"
    return describe(
        _keep(fig, history),
        f"Loss ({loss}) over {epochs}: {', '.join(ends)}.",
        f"Line chart of the loss by epoch: {'; '.join(courses)}.",
    )


def _course(epochs: pd.Series, losses: pd.Series) -> str:
    """Say in words how a loss goes over the epochs."""
    values = losses.to_numpy(float)
    first, last, lowest = values[0], values[-1], int(values.argmin())
    if len(values) == 1:
        return f"is {first:.4f}"
    if lowest == 0:
        return f"is lowest in the first epoch, at {first:.4f}, and ends at {last:.4f}"
    if lowest == len(values) - 1:
        return f"falls from {first:.4f} to {last:.4f}"
    return (
        f"falls from {first:.4f} to {values[lowest]:.4f} in epoch {epochs.iloc[lowest]} and ends "
        f"higher, at {last:.4f}"
    )


def _blocks(layers: Sequence[Mapping[str, Any]], part: str) -> list[dict[str, Any]]:
    """Join the layers of a part into blocks: ``names``, ``output_shape``, ``parameters``."""
    blocks: list[dict[str, Any]] = []
    for layer in layers:
        if layer["part"] != part:
            continue
        shape, parameters = tuple(layer["output_shape"]), layer["parameters"]
        is_small = parameters <= 2 * shape[0]  # a scale and a shift for each channel
        if blocks and blocks[-1]["output_shape"] == shape and is_small:
            blocks[-1]["names"].append(layer["layer"])
            blocks[-1]["parameters"] += parameters
        else:
            blocks.append(
                {"names": [layer["layer"]], "output_shape": shape, "parameters": parameters}
            )
    return blocks


class _Box(NamedTuple):
    x_middle: float
    bottom: float
    top: float


def _draw_block(
    ax: Axes,
    block: Mapping[str, Any],
    left: float,
    y: float,
    colour: str,
    largest: float,
    most_channels: int,
) -> _Box:
    """Draw a block with its middle at height `y` and its text beside it."""
    width = BLOCK_SPACE * math.sqrt(_side(block["output_shape"]) / largest)
    channels = _channels(block["output_shape"])
    height = 7 + 19 * math.log2(1 + channels) / math.log2(1 + most_channels)
    x_middle = left + BLOCK_SPACE / 2
    corner = (x_middle - width / 2, y - height / 2)
    ax.add_patch(Rectangle(corner, width, height, fc=colour, ec=INK, linewidth=0.6))

    first, *others = block["names"]
    size = _shape_text(block["output_shape"])
    if block["parameters"]:
        size += f" · {block['parameters']:,} parameters"
    lines = [first, *([", ".join(others)] if others else []), size]
    for i, line in enumerate(lines):
        ax.text(
            left + BLOCK_SPACE + 8,
            y + ((len(lines) - 1) / 2 - i) * (SMALL + 2.5),
            line,
            va="center",
            fontsize=SMALL,
            weight="bold" if i == 0 else "normal",
        )
    return _Box(x_middle, y - height / 2, y + height / 2)


def _side(shape: Sequence[int]) -> float:
    return math.sqrt(math.prod(shape[1:]) if len(shape) > 1 else shape[0])


def _channels(shape: Sequence[int]) -> int:
    return shape[0] if len(shape) > 1 else 1


def _shape_text(shape: Sequence[int]) -> str:
    return "×".join(f"{side:,}" for side in shape)


def _arrow(ax: Axes, x: float, start: float, end: float) -> None:
    ax.add_patch(
        FancyArrowPatch(
            (x, start),
            (x, end),
            arrowstyle="-|>",
            mutation_scale=7,
            shrinkA=0,
            shrinkB=1,
            color=INK,
            linewidth=0.8,
        )
    )
