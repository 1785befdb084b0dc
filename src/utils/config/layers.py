"""The layers of a network as a study's file writes them, such as ``dense 500`` or ``conv 32``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from utils.errors import UserError

# What each layer is followed by: whole numbers from 1, or a share from 0 to below 1.
LAYERS = {
    "flatten": (),
    "dense": ("units",),
    "relu": (),
    "conv": ("channels",),
    "deconv": ("channels",),
    "batch_norm": (),
    "max_pool": (),
    "upsample": (),
    "dropout": ("share",),
    "unflatten": ("channels", "height", "width"),
}
# These work on maps of (channels, height, width).
_ON_MAPS = ("conv", "deconv", "max_pool", "upsample")

Shape = tuple[int, ...]


class Layer(NamedTuple):
    """A layer: a key of `LAYERS` and its numbers."""

    kind: str
    numbers: tuple[float, ...]


def parse(text: str) -> Layer:
    """Read a layer.

    Parameters
    ----------
    text : str
        ``conv`` is 3×3 and keeps height and width, ``deconv`` is 3×3 and doubles them, ``max_pool``
        halves and ``upsample`` doubles them.

    Raises
    ------
    UserError
        If the layer is unknown, or its numbers are not what it takes.
    """
    kind, *words = text.split()
    if kind not in LAYERS:
        raise UserError(f"unknown layer {text!r}: allowed are {', '.join(map(_pattern, LAYERS))}")
    takes = LAYERS[kind]
    if len(words) != len(takes):
        raise UserError(f"layer {text!r}: write {_pattern(kind)!r}")
    if takes == ("share",):
        return Layer(kind, (_share(text, words[0]),))
    if not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise UserError(f"layer {text!r}: {' and '.join(takes)} must be whole numbers from 1")
    return Layer(kind, tuple(map(int, words)))


def _share(text: str, word: str) -> float:
    try:
        share = float(word)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UserError(f"layer {text!r}: the share must be a number from 0 to below 1")
    return share


def _pattern(kind: str) -> str:
    return " ".join([kind, *(name.upper() for name in LAYERS[kind])])


def shape_after(layers: Sequence[str], shape: Shape) -> Shape:
    """Return the shape of what layers make of one image or code.

    Parameters
    ----------
    layers : sequence of str
    shape : tuple of int
        Channels, height and width, or a number of units.

    Returns
    -------
    tuple of int

    Raises
    ------
    UserError
        If a layer is malformed, or does not fit the shape before it; the layer and that shape are
        named.
    """
    for text in layers:
        shape = _after(text, shape)
    return shape


def _after(text: str, shape: Shape) -> Shape:
    kind, numbers = parse(text)
    is_map = len(shape) == 3
    found = f"it is given {'×'.join(map(str, shape))}"
    if kind in _ON_MAPS and not is_map:
        raise UserError(f"layer {text!r} needs channels, height and width ({found}): unflatten")
    if kind == "dense" and is_map:
        raise UserError(f"layer {text!r} needs a row of numbers ({found}): put 'flatten' before it")
    if kind == "dense":
        return (int(numbers[0]),)
    if kind == "flatten":
        return (math.prod(shape),)
    if kind == "unflatten":
        made = tuple(map(int, numbers))
        if math.prod(made) != math.prod(shape):
            raise UserError(f"layer {text!r} makes {math.prod(made)} numbers, but {found}")
        return made
    if kind == "max_pool":
        if shape[1] % 2 or shape[2] % 2:
            raise UserError(f"layer {text!r} needs an even height and width ({found})")
        return shape[0], shape[1] // 2, shape[2] // 2
    factor = 2 if kind in ("deconv", "upsample") else 1
    if kind in ("conv", "deconv", "upsample"):
        channels = int(numbers[0]) if numbers else shape[0]
        return channels, factor * shape[1], factor * shape[2]
    return shape


def require_mirrored(decoder: Sequence[str], code: Shape, image: Shape) -> None:
    """Refuse a decoder that does not give an image, or as many numbers as an image has.

    Raises
    ------
    UserError
        If a layer is malformed or does not fit, or the numbers differ.
    """
    made = shape_after(decoder, code)
    fits = made == image if len(made) == 3 else math.prod(made) == math.prod(image)
    if not fits:
        raise UserError(
            f"the decoder makes {'×'.join(map(str, made))}, but an image is "
            f"{'×'.join(map(str, image))}: change its last layers"
        )
