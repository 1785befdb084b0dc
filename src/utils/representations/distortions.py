"""Random distortions of images that leave what they show as it is."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

ROTATION = 15.0
SCALE = 0.15
SHEAR = 0.2
SHIFT = 0.1
BEND = 0.06
BEND_POINTS = 5


def distort(
    pixels: torch.Tensor, generator: torch.Generator, strength: float = 1.0
) -> torch.Tensor:
    """Turn, stretch, shear, shift and bend each image at random.

    Parameters
    ----------
    pixels : Tensor, shape (N, C, H, W)
        Float32 in [0, 1].
    generator : Generator
        On the CPU; the same state gives the same distortions on every device.
    strength : float
        Scales all of them; 0 leaves the images as they are. At 1: up to ±15 degrees, ±15 % in width
        and in height, shear ±0.2, ±10 % of half the side, and a smooth field of displacements with
        a standard deviation of 6 % of half the side (Simard, Steinkraus & Platt 2003).

    Returns
    -------
    Tensor, shape (N, C, H, W)
        Float32 in [0, 1]; black where nothing was.
    """
    n = len(pixels)

    def drawn(limit: float) -> torch.Tensor:
        return (2 * torch.rand(n, generator=generator) - 1) * limit * strength

    angle, shear = drawn(math.radians(ROTATION)), drawn(SHEAR)
    width, height = 1 + drawn(SCALE), 1 + drawn(SCALE)
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = width * angle.cos(), shear - angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin(), height * angle.cos()
    matrix[:, 0, 2], matrix[:, 1, 2] = drawn(SHIFT), drawn(SHIFT)
    bends = torch.randn(n, 2, BEND_POINTS, BEND_POINTS, generator=generator) * BEND * strength
    field = functional.interpolate(bends, size=pixels.shape[2:], mode="bicubic", align_corners=True)
    grid = functional.affine_grid(matrix, list(pixels.shape), align_corners=False)
    grid = (grid + field.permute(0, 2, 3, 1)).to(pixels.device)
    return functional.grid_sample(pixels, grid, align_corners=False).clamp(0, 1)
