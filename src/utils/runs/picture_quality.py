"""Pictures that a curator looks at: dark, light, blank, nearly empty, odd-sized or blurred."""

from __future__ import annotations

import numpy as np
import pandas as pd

DARK, LIGHT, BLANK = "dark", "light", "blank"
LITTLE, ODD, BLURRED = "low information", "odd size", "blurred"
ISSUES = (DARK, LIGHT, BLANK, LITTLE, ODD, BLURRED)
# Brightness in [0, 1] of nearly the brightest and of nearly the darkest pixel.
BRIGHTEST_OF_DARK, DARKEST_OF_LIGHT = 0.30, 0.68
# Standard deviation of the brightness, of 1: one colour but for compression.
DEVIATION_OF_BLANK = 0.006
# Bits a pixel of the brightness in 64 steps; 6 are possible.
ENTROPY_OF_LITTLE = 1.5
# Longer by shorter side, and pixels by those of the middle picture.
LONGEST_SHAPE, SMALLEST_SHARE = 3.0, 1 / 16
# See `sharpness`; of sharp photographs it is above 0.3.
SHARPNESS_OF_BLURRED = 0.25
LONGEST_SIDE = 384
BLUR = 9  # pixels, of the other blur
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_ONE_TIME = 1024


def sharpness(picture: np.ndarray) -> float:
    """Return how much of a picture's contrast lies in details of a few pixels.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        With its longer side at most about `LONGEST_SIDE` pixels: what is blurred there looks
        blurred.

    Returns
    -------
    float
        In [0, 1], of the direction in which it is lower; NaN for a picture of less than 16 pixels a
        side or of one colour.

    Notes
    -----
    By how much another blur lowers the differences between neighbours: much in a sharp picture,
    little in one that is blurred already (Crété-Roffet et al. 2007, "The blur effect: perception
    and estimation with a new no-reference perceptual blur metric", SPIE 6492; 1 less their value).
    """
    if min(picture.shape[:2]) < 16:
        return float("nan")
    grey = picture @ _LUMINANCE
    values = []
    for image in (grey, np.ascontiguousarray(grey.T)):
        sums = image.cumsum(axis=0)
        blurred = (sums[BLUR:] - sums[:-BLUR]) / BLUR
        start = BLUR // 2 + 1
        sharp = np.abs(np.diff(image[start : start + len(blurred)], axis=0))
        lost = np.maximum(sharp - np.abs(np.diff(blurred, axis=0)), 0)
        total = float(sharp.sum())
        if total >= sharp.size / 100:  # a hundredth of a grey value from pixel to pixel
            values.append(float(lost.sum()) / total)
    return min(values, default=float("nan"))


def issues(
    small: np.ndarray, width: np.ndarray, height: np.ndarray, sharpness: np.ndarray
) -> pd.DataFrame:
    """List pictures that are unusual in how they look, with the measure that says so.

    Parameters
    ----------
    small : ndarray of uint8, shape (N, S, S, 3)
        Small copies of the whole pictures.
    width, height : ndarray of int, shape (N,)
        Pixels.
    sharpness : ndarray of float, shape (N,)
        See `sharpness`.

    Returns
    -------
    DataFrame
        Columns ``row``, ``issue`` (of `ISSUES`) and ``value``; by issue, the most extreme first:

        - dark: 99 % of the pixels have at most this brightness, in [0, 1];
        - light: 99 % have at least this brightness;
        - blank: standard deviation of the brightness; these are in no other list of brightness;
        - low information: entropy of the brightness in 64 steps, bits;
        - odd size: the longer side by the shorter one or, of small pictures, the share of the
          pixels of the middle picture of the collection;
        - blurred: sharpness, in [0, 1].
    """
    darkest, brightest, deviation, entropy = _brightness(small)
    blank = deviation <= DEVIATION_OF_BLANK
    pixels = width.astype(np.float64) * height
    share = pixels / np.median(pixels) if len(pixels) else pixels
    shape = np.maximum(width, height) / np.minimum(width, height)
    is_long = shape >= LONGEST_SHAPE
    found = [
        _listed(DARK, ~blank & (brightest <= BRIGHTEST_OF_DARK), brightest),
        _listed(LIGHT, ~blank & (darkest >= DARKEST_OF_LIGHT), darkest, highest_first=True),
        _listed(BLANK, blank, deviation),
        _listed(LITTLE, ~blank & (entropy <= ENTROPY_OF_LITTLE), entropy),
        _listed(ODD, is_long, shape, highest_first=True),
        _listed(ODD, ~is_long & (share <= SMALLEST_SHARE), share),
        _listed(BLURRED, ~blank & (sharpness <= SHARPNESS_OF_BLURRED), sharpness),
    ]
    return pd.concat(found, ignore_index=True)


def _listed(
    issue: str, chosen: np.ndarray, values: np.ndarray, highest_first: bool = False
) -> pd.DataFrame:
    rows = np.flatnonzero(chosen)
    order = np.argsort(-values[rows] if highest_first else values[rows], kind="stable")
    rows = rows[order].astype(np.int64)
    return pd.DataFrame({"row": rows, "issue": issue, "value": values[rows].astype(float).round(4)})


def _brightness(small: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the 1 % and 99 % quantiles, the deviation and the entropy of the brightness."""
    measures = np.zeros((len(small), 4))
    for start in range(0, len(small), _ONE_TIME):
        part = small[start : start + _ONE_TIME]
        grey = part.reshape(len(part), -1, 3) @ _LUMINANCE
        measures[start : start + len(part), :2] = np.quantile(grey, (0.01, 0.99), axis=1).T / 255
        measures[start : start + len(part), 2] = grey.std(axis=1) / 255
        steps = np.minimum(grey / 4, 63).astype(np.int64)
        for row, values in enumerate(steps, start):
            shares = np.bincount(values) / len(values)
            shares = shares[shares > 0]
            measures[row, 3] = -(shares * np.log2(shares)).sum()
    return tuple(measures.T)
