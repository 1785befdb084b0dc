"""Pixels of every kind as red, green and blue of eight bits each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

STRIP_PIXELS = 2**20
# The largest values of 8, 10, 12, 14 and 16 bits.
DEPTHS = (255, 1023, 4095, 16_383, 65_535)
# Floating-point values that are no larger are not taken for those of 8 bits.
LEAST_FLOAT_MAXIMUM = 16
# Opaque pixels that are brighter on average would be lost on white.
BRIGHT = 191
_PROFILED_MODES = ("L", "RGB", "CMYK")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


def is_deep(picture: Image) -> bool:
    """Tell whether a picture has values of more than eight bits."""
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def rgb(picture: Image, profile: bytes | None = None) -> Image:
    """Turn a picture of any mode into red, green and blue.

    Parameters
    ----------
    picture : Image
        What is transparent in it is laid on white, or on black if its opaque pixels are bright.
        Values of more than eight bits are scaled, see `eight_bits`.
    profile : bytes, optional
        Its colour profile (ICC), which is applied. One that is damaged or belongs to other modes is
        not.
    """
    from PIL import Image, ImageCms

    if is_deep(picture):
        return Image.fromarray(eight_bits(picture)).convert("RGB")
    if picture.mode == "LAB":
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )
        return ImageCms.applyTransform(picture, transform)
    alpha = None
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
    if picture.mode not in _PROFILED_MODES:
        picture = picture.convert("RGB")
    picture = _by_profile(picture, profile)
    return picture if alpha is None else _on_contrast(picture, alpha)


def _by_profile(picture: Image, profile: bytes | None) -> Image:
    from PIL import ImageCms

    if profile:
        transform = _transform(profile, picture.mode)
        if transform is not None:
            return ImageCms.applyTransform(picture, transform)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """Return the way from a profile to sRGB; None where it changes nothing or is of no use."""
    import io

    from PIL import Image, ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode != "RGB":
            return transform
        steps = np.arange(0, 256, 51, dtype=np.uint8)
        colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        mapped = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform))
    except (ImageCms.PyCMSError, OSError):
        return None
    changes = np.abs(mapped.astype(int) - colours).max() > 1
    return transform if changes else None


def _on_contrast(picture: Image, alpha: Image) -> Image:
    from PIL import Image

    weights = np.asarray(alpha, dtype=np.float64)
    total = weights.sum()
    brightness = (np.asarray(picture.convert("L")) * weights).sum() / total if total else 0
    ground = Image.new("RGB", picture.size, "black" if brightness > BRIGHT else "white")
    ground.paste(picture, mask=alpha)
    return ground


def eight_bits(picture: Image) -> np.ndarray:
    """Scale values of more than eight bits: uint8, shape (height, width).

    From 0 to 65,535 they are taken for those of the fewest bits (8, 10, 12, 14 or 16) that hold the
    largest one; floating-point values up to 1 are multiplied by 255. Any others are scaled from
    their least to their largest value. Strip by strip: all values in float64 would take several
    times the memory of the picture.
    """
    bounds = [(values.min(), values.max()) for _, values in _strips(picture)]
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    low, span = _range(low, high, is_whole=picture.mode != "F")
    scaled = np.empty((picture.height, picture.width), np.uint8)
    for rows, values in _strips(picture):
        scaled[rows] = np.round((values - low) * (255 / span))
    return scaled


def _range(low: float, high: float, is_whole: bool) -> tuple[float, float]:
    """Return the value that becomes black, and how much more becomes white."""
    if low >= 0 and not is_whole and high <= 1:
        return 0, 1
    if low >= 0 and high <= DEPTHS[-1] and (is_whole or high > LEAST_FLOAT_MAXIMUM):
        return 0, next(depth for depth in DEPTHS if high <= depth)
    return low, (high - low) or 1


def _strips(picture: Image) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield some rows at a time, with their values as finite numbers in float64."""
    height = max(1, STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, height):
        bottom = min(top + height, picture.height)
        values = np.asarray(picture.crop((0, top, picture.width, bottom)), dtype=np.float64)
        yield slice(top, bottom), np.nan_to_num(values, posinf=0, neginf=0)
