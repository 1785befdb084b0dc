"""Whether one picture is a copy of another, also cropped, turned, mirrored or changed in tone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
from threadpoolctl import threadpool_limits

# Four turns, each also mirrored.
ORIENTATIONS = 8
# Pixels of a side, for the search over crops.
COARSE_SIDE = 16
# Crops keep so much of each side; each is tried at places at most 1/24 of the side apart.
CROP_SCALES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)
CROP_STEPS = 24
ALIGNING_STEPS = 10
# A window keeps at least so much of each side.
LEAST_WINDOW = 0.6
# Details are compared in blocks, of which so many stand in a row, without the outer eighth of the
# picture: two pictures in the same frame are no copies.
BLOCKS, EDGE = 6, 8
# A block has details if it varies by this share of what the whole picture does (as a standard
# deviation), and by more than rounding to whole grey values does.
LEAST_VARIATION, LEAST_DEVIATION = 0.2, 1.0
_PAIRS_AT_ONCE = 256
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Placed:
    """Where one picture of each pair lies in the other.

    Attributes
    ----------
    outer, inner : ndarray of int64, shape (P,)
        Rows of the pictures; the inner one is a crop of the outer one, or all of it.
    orientation : ndarray of int64, shape (P,)
        How the inner one has to be turned, see `oriented`.
    window : ndarray of float32, shape (P, 4)
        Top, left, height and width of the inner one, in shares of the outer one's sides.
    correlation : ndarray of float32, shape (P,)
        In [-1, 1].
    """

    outer: np.ndarray
    inner: np.ndarray
    orientation: np.ndarray
    window: np.ndarray
    correlation: np.ndarray

    def some(self, chosen: np.ndarray) -> Placed:
        """Return some of the pairs."""
        return Placed(
            self.outer[chosen],
            self.inner[chosen],
            self.orientation[chosen],
            self.window[chosen],
            self.correlation[chosen],
        )


@dataclass(frozen=True)
class Agreement:
    """How well the details of placed pictures agree, over blocks that have details.

    Attributes
    ----------
    inner : ndarray of float32, shape (P,)
        Correlation without the outer eighth of the picture, in [-1, 1].
    mean, median : ndarray of float32, shape (P,)
        Of the blocks' correlations, in [-1, 1]; 0 where no block has details.
    share : ndarray of float32, shape (P,)
        Of these blocks, how many correlate by 0.8 or more, in [0, 1].
    blocks : ndarray of int64, shape (P,)
        How many blocks have details, of 36.
    """

    inner: np.ndarray
    mean: np.ndarray
    median: np.ndarray
    share: np.ndarray
    blocks: np.ndarray


def grey(pictures: np.ndarray) -> np.ndarray:
    """Return the luminance (ITU-R BT.601) of colours.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (N, H, W, 3)

    Returns
    -------
    ndarray of uint8, shape (N, H, W)
    """
    values = np.empty(pictures.shape[:3], np.uint8)
    for start in range(0, len(pictures), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        values[part] = np.round(pictures[part] @ _LUMINANCE)
    return values


def shrunk(pictures: np.ndarray, side: int) -> np.ndarray:
    """Average squares of pixels: ``(N, S, S)`` to float32 ``(N, side, side)``; side divides S."""
    n, size, _ = pictures.shape
    factor = size // side
    cut = pictures.reshape(n, side, factor, side, factor)
    return cut.mean(axis=(2, 4), dtype=np.float32)


def oriented(pictures: np.ndarray, orientation: int) -> np.ndarray:
    """Turn square pictures ``(N, S, S)`` by quarters; from the fifth orientation on, mirror too."""
    turned = np.rot90(pictures, orientation % 4, axes=(1, 2))
    return turned[:, :, ::-1] if orientation >= 4 else turned


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Centre and scale the last axis to length 1; what does not vary becomes 0."""
    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=-1, keepdims=True)
    # Below half a grey value there is nothing but rounding.
    flat = lengths < 0.5 * np.sqrt(vectors.shape[-1])
    return np.where(flat, 0, centred / np.maximum(lengths, 1e-6)).astype(np.float32)


def turns(side: int) -> np.ndarray:
    """Return the order of a square's pixels in each orientation: int64 ``(8, side²)``."""
    pixels = np.arange(side * side).reshape(1, side, side)
    return np.stack([oriented(pixels, number).ravel() for number in range(ORIENTATIONS)])


def crop_windows() -> np.ndarray:
    """List the crops that are tried: float32 ``(C, 4)``, top, left, height and width in [0, 1]."""
    windows = []
    for scale in CROP_SCALES:
        starts = np.linspace(0, 1 - scale, 1 + int(np.ceil((1 - scale) * CROP_STEPS - 1e-9)))
        windows += [(top, left, scale, scale) for top in starts for left in starts]
    return np.array(windows, np.float32)


def _averaging(starts: np.ndarray, lengths: np.ndarray, side: int, size: int) -> np.ndarray:
    """Return the weights ``(C, side, size)`` that average intervals of `size` pixels to `side`."""
    edges = starts[:, None] + lengths[:, None] * np.linspace(0, 1, side + 1)
    edges *= size
    pixels = np.arange(size)
    low, high = edges[:, :-1, None], edges[:, 1:, None]
    overlap = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return (overlap / overlap.sum(axis=2, keepdims=True)).astype(np.float32)


def place(small: np.ndarray, pairs: np.ndarray) -> Placed:
    """Find how one picture of each pair is best laid into the other, roughly.

    Parameters
    ----------
    small : ndarray of uint8, shape (N, S, S)
        Grey pictures, whole, as squares; S is a multiple of 16.
    pairs : ndarray of int64, shape (P, 2)
        Rows of two different pictures each.

    Returns
    -------
    Placed
        The best of all orientations, all `crop_windows` and both ways round.
    """
    windows = crop_windows()
    size = small.shape[1]
    down = _averaging(windows[:, 0], windows[:, 2], COARSE_SIDE, size)
    across = _averaging(windows[:, 1], windows[:, 3], COARSE_SIDE, size).transpose(0, 2, 1)
    whole = normalised(shrunk(small, COARSE_SIDE).reshape(len(small), -1))
    turned = turns(COARSE_SIDE)
    placed = Placed(
        pairs[:, 0].copy(),
        pairs[:, 1].copy(),
        np.zeros(len(pairs), np.int64),
        np.zeros((len(pairs), 4), np.float32),
        np.full(len(pairs), -2, np.float32),
    )
    # Threads cost more than they gain on such small matrices.
    with threadpool_limits(1, "blas"):
        for outer, inner in ((0, 1), (1, 0)):
            order = np.argsort(pairs[:, outer], kind="stable")
            rows, starts = np.unique(pairs[order, outer], return_index=True)
            for row, part in zip(rows, np.split(order, starts[1:]), strict=True):
                crops = normalised((down @ small[row] @ across).reshape(len(windows), -1))
                others = whole[pairs[part, inner]][:, turned].reshape(-1, COARSE_SIDE**2)
                found = (crops @ others.T).reshape(len(windows), len(part), ORIENTATIONS)
                found = found.transpose(1, 0, 2).reshape(len(part), -1)
                best = found.argmax(axis=1)
                score = found[np.arange(len(part)), best]
                better = score > placed.correlation[part]
                won, best = part[better], best[better]
                placed.correlation[won] = score[better]
                placed.outer[won], placed.inner[won] = row, pairs[won, inner]
                placed.orientation[won] = best % ORIENTATIONS
                placed.window[won] = windows[best // ORIENTATIONS]
    return placed


def align(pictures: np.ndarray, rows: np.ndarray, placed: Placed) -> Placed:
    """Move and scale the windows so that the pictures correlate best.

    Parameters
    ----------
    pictures : ndarray of uint8 or float32, shape (M, S, S)
        Grey pictures, whole, as squares.
    rows : ndarray of int64, shape (M,)
        Which rows these are, sorted.
    placed : Placed

    Returns
    -------
    Placed
        With the windows of the highest correlation that was met, at this size of the pictures.

    Notes
    -----
    The enhanced correlation coefficient of Evangelidis and Psarakis (2008, "Parametric image
    alignment using enhanced correlation coefficient maximization", IEEE TPAMI 30(10)), by its
    forward additive steps.
    """
    outer = np.searchsorted(rows, placed.outer)
    inner = np.searchsorted(rows, placed.inner)
    side = pictures.shape[1]
    order = turns(side)
    window = placed.window.astype(np.float64)
    best, best_window = np.full(len(outer), -2.0), window.copy()
    moving = np.arange(len(outer))
    for _ in range(ALIGNING_STEPS):
        sums, products = _moments(
            pictures,
            outer[moving],
            inner[moving],
            order,
            placed.orientation[moving],
            window[moving],
        )
        correlation, step = _ecc_step(sums, products, side)
        better = correlation > best[moving]
        best[moving[better]] = correlation[better]
        best_window[moving[better]] = window[moving[better]]
        moved = _inside(window[moving] + step)
        # Steps of a fiftieth of a pixel change nothing, and worse places lead farther away.
        goes_on = (np.abs(moved - window[moving]).max(axis=1) >= 0.02 / side) & (
            correlation >= best[moving] - 0.02
        )
        window[moving] = moved
        moving = moving[goes_on]
        if not len(moving):
            break
    return replace(
        placed, window=best_window.astype(np.float32), correlation=best.astype(np.float32)
    )


def _inside(window: np.ndarray) -> np.ndarray:
    """Keep windows within the picture and not too small."""
    sizes = np.clip(window[:, 2:], LEAST_WINDOW, 1)
    return np.concatenate([np.clip(window[:, :2], 0, 1 - sizes), sizes], axis=1)


def _ecc_step(sums: np.ndarray, products: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlations and the steps of the windows, from `_moments`."""
    n = side * side
    products = products - sums[:, :, None] * sums[:, None, :] / n
    seen, target, shared = products[:, 0, 0], products[:, 5, 5], products[:, 0, 5]
    # Below half a grey value there is nothing but rounding.
    varies = np.minimum(seen, target) >= n / 4
    length = np.sqrt(np.where(varies, target, 1))
    correlation = np.where(varies, shared / (length * np.sqrt(np.where(varies, seen, 1))), 0)
    normal = products[:, 1:5, 1:5]
    ridge = 1e-3 * np.einsum("pii->p", normal) / 4 + 1e-6
    normal = normal + ridge[:, None, None] * np.eye(4)
    both = np.stack([products[:, 1:5, 0], products[:, 1:5, 5] / length[:, None]], axis=2)
    solved = np.linalg.solve(normal, both)
    unexplained = seen - (both[:, :, 0] * solved[:, :, 0]).sum(axis=1)
    in_common = shared / length - (both[:, :, 1] * solved[:, :, 0]).sum(axis=1)
    gain = np.where(in_common > 1e-6, unexplained / np.maximum(in_common, 1e-6), 0)
    step = gain[:, None] * solved[:, :, 1] - solved[:, :, 0]
    # No farther at once than the linear model holds: two pixels.
    largest = np.abs(step).max(axis=1, keepdims=True)
    return correlation, step * np.minimum(1, 2 / side / np.maximum(largest, 1e-12))


@numba.njit(parallel=True, fastmath=True, cache=True)
def _moments(pictures, outer, inner, order, orientation, window):
    """Sum over pixels what `_ecc_step` needs of each pair.

    Of six values of a pixel the sums and the sums of products, float64 ``(P, 6)`` and ``(P, 6,
    6)``: what is seen in the window (0), how it changes with the window's top, left, height and
    width (1 to 4), and the inner picture (5).
    """
    side = pictures.shape[1]
    sums, products = np.zeros((len(outer), 6)), np.zeros((len(outer), 6, 6))
    for pair in numba.prange(len(outer)):
        seen = pictures[outer[pair]]
        target = pictures[inner[pair]].ravel()
        turned = order[orientation[pair]]
        values = np.empty((6, side), np.float32)
        for i in range(side):
            v = (i + 0.5) / side
            y = min(max((window[pair, 0] + window[pair, 2] * v) * side - 0.5, 0.0), side - 1.0)
            row = min(int(y), side - 2)
            down = np.float32(y - row)
            for j in range(side):
                u = (j + 0.5) / side
                x = min(max((window[pair, 1] + window[pair, 3] * u) * side - 0.5, 0.0), side - 1.0)
                column = min(int(x), side - 2)
                right = np.float32(x - column)
                a, b = np.float32(seen[row, column]), np.float32(seen[row, column + 1])
                c, d = np.float32(seen[row + 1, column]), np.float32(seen[row + 1, column + 1])
                top, bottom = a + right * (b - a), c + right * (d - c)
                by_row = side * (bottom - top)
                by_column = side * ((b - a) + down * ((d - c) - (b - a)))
                values[0, j] = top + down * (bottom - top)
                values[1, j] = by_row
                values[2, j] = by_column
                values[3, j] = by_row * v
                values[4, j] = by_column * u
                values[5, j] = target[turned[i * side + j]]
            for k in range(6):
                for m in range(k, 6):
                    total = np.float32(0)
                    for j in range(side):
                        total += values[k, j] * values[m, j]
                    products[pair, k, m] += total
                total = np.float32(0)
                for j in range(side):
                    total += values[k, j]
                sums[pair, k] += total
        for k in range(6):
            for m in range(k):
                products[pair, k, m] = products[pair, m, k]
    return sums, products


def seen_through(outer: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Sample pictures ``(P, S, S)`` in their windows ``(P, 4)``, linearly between pixels."""
    n, side, _ = outer.shape
    centres = (np.arange(side, dtype=np.float32) + 0.5) / side
    pictures = np.arange(n)[:, None, None]

    def between(start: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = np.clip((start[:, None] + length[:, None] * centres) * side - 0.5, 0, side - 1)
        first = np.minimum(place.astype(np.int64), side - 2)
        return first, (place - first).astype(np.float32)

    row, down = between(window[:, 0], window[:, 2])
    column, right = between(window[:, 1], window[:, 3])
    row, column = row[:, :, None], column[:, None, :]
    down, right = down[:, :, None], right[:, None, :]
    above = outer[pictures, row, column] * (1 - right) + outer[pictures, row, column + 1] * right
    row = row + 1
    below = outer[pictures, row, column] * (1 - right) + outer[pictures, row, column + 1] * right
    return above * (1 - down) + below * down


def _pair_pictures(
    pictures: np.ndarray, rows: np.ndarray, placed: Placed
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outer pictures and the inner ones, turned."""
    outer = pictures[np.searchsorted(rows, placed.outer)].astype(np.float32)
    inner = pictures[np.searchsorted(rows, placed.inner)].astype(np.float32)
    for number in range(1, ORIENTATIONS):
        chosen = placed.orientation == number
        inner[chosen] = oriented(inner[chosen], number)
    return outer, inner


def detail(pictures: np.ndarray, rows: np.ndarray, placed: Placed) -> Agreement:
    """Compare the details of placed pictures, block by block.

    Parameters
    ----------
    pictures, rows, placed
        As for `align`, which comes first; S is a multiple of 32.
    """
    parts = []
    for start in range(0, len(placed.outer), _PAIRS_AT_ONCE):
        part = placed.some(np.arange(start, min(start + _PAIRS_AT_ONCE, len(placed.outer))))
        outer, inner = _pair_pictures(pictures, rows, part)
        parts.append(_agreement(seen_through(outer, part.window), inner))
    if not parts:
        return Agreement(*(np.empty(0, np.float32) for _ in range(4)), np.empty(0, np.int64))
    return Agreement(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _agreement(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the attributes of `Agreement` for pictures that lie on each other."""
    side = one.shape[1]
    edge = side // EDGE
    one, other = one[:, edge:-edge, edge:-edge], other[:, edge:-edge, edge:-edge]
    n = len(one)
    inner = (normalised(one.reshape(n, -1)) * normalised(other.reshape(n, -1))).sum(axis=1)
    a, b = _blocks(one), _blocks(other)
    deviation_a, deviation_b = (np.sqrt((x * x).mean(axis=2)) for x in (a, b))
    product = np.maximum(deviation_a * deviation_b, 1e-6)
    correlation = (a * b).mean(axis=2) / product
    varies = np.maximum(_relative(deviation_a), _relative(deviation_b)) >= LEAST_VARIATION
    varies &= np.maximum(deviation_a, deviation_b) >= LEAST_DEVIATION
    count = varies.sum(axis=1)
    divisor = np.maximum(count, 1)
    mean = (correlation * varies).sum(axis=1) / divisor
    share = ((correlation >= 0.8) & varies).sum(axis=1) / divisor
    # Blocks without details go last; the middle of the others is the median.
    ordered = np.sort(np.where(varies, correlation, np.inf), axis=1)
    median = np.where(count, ordered[np.arange(n), (divisor - 1) // 2], 0)
    return inner, mean, median, share.astype(np.float32), count


def _relative(deviations: np.ndarray) -> np.ndarray:
    whole = np.sqrt((deviations**2).mean(axis=1, keepdims=True))
    return deviations / np.maximum(whole, 1e-6)


def _blocks(pictures: np.ndarray) -> np.ndarray:
    """Cut pictures into blocks ``(N, 36, pixels)``, each less its mean."""
    n, side, _ = pictures.shape
    cut = pictures.reshape(n, BLOCKS, side // BLOCKS, BLOCKS, side // BLOCKS)
    blocks = cut.transpose(0, 1, 3, 2, 4).reshape(n, BLOCKS * BLOCKS, -1)
    return blocks - blocks.mean(axis=2, keepdims=True)
