"""What PyTorch has no fast way for on the CPU, compiled: an optimiser and a group of layers.

Both wait for the memory, through which each operation of PyTorch's travels once. Here a value is
read and written as few times as the mathematics allows, and the results are the same for any number
of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
import torch
from numba.extending import overload
from torch import nn

SIDE = 2
# Which of the four pixels of a window was the largest; that none was above zero.
NONE = SIDE * SIDE
# Products and sums may be taken at once; that a number is none, as when a training diverges, stays.
CONTRACT = {"contract"}
# As what NumPy holds a feature map, which knows no bfloat16.
STORED = {torch.bfloat16: torch.uint16, torch.float32: torch.float32}


@contextmanager
def _threads_of_torch() -> Iterator[None]:
    usual = numba.get_num_threads()
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(usual)


# --- Adadelta ------------------------------------------------------------------------------------


class FusedAdadelta(torch.optim.Adadelta):
    """PyTorch's Adadelta (Zeiler 2012), equal to rounding, reading and writing each value once.

    PyTorch has no fused Adadelta: each of its ten operations reads and writes the whole weight, so
    that a weight larger than the cache travels to memory and back ten times a step.
    """

    @torch.no_grad()
    @_threads_of_torch()
    def step(self) -> None:
        """Update every parameter that has a gradient; the same for any number of threads."""
        for group in self.param_groups:
            settings = [np.float32(group[name]) for name in ("lr", "rho", "eps")]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["square_avg"] = torch.zeros_like(parameter)
                    state["acc_delta"] = torch.zeros_like(parameter)
                state["step"] += 1
                gradient = parameter.grad
                if gradient.stride() != parameter.stride():
                    gradient = torch.empty_like(parameter).copy_(gradient)
                tensors = parameter, gradient, state["square_avg"], state["acc_delta"]
                _update(*map(_in_memory_order, tensors), *settings)


def _in_memory_order(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().as_strided((tensor.numel(),), (1,)).numpy()


@numba.njit(parallel=True, cache=True)
def _update(weight, gradient, square_avg, acc_delta, learning_rate, rho, epsilon):
    rest = np.float32(1) - rho
    for i in numba.prange(weight.size):
        slope = gradient[i]
        square = rho * square_avg[i] + rest * slope * slope
        delta = np.sqrt((acc_delta[i] + epsilon) / (square + epsilon)) * slope
        square_avg[i] = square
        acc_delta[i] = rho * acc_delta[i] + rest * delta * delta
        weight[i] -= learning_rate * delta


# --- layers --------------------------------------------------------------------------------------


def norm_relu_pool(features: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    """Batch normalisation, ReLU and 2×2 max-pooling at once; updates the running statistics.

    One after the other these layers read and write a large feature map fourteen times a step. Here
    it is read four times and its gradient written once, and the normalised map is never made.

    Parameters
    ----------
    features : Tensor of bfloat16 or float32, shape (N, C, H, W)
        Channels last; H and W even.
    norm : BatchNorm2d
        In training, with weights, biases and running statistics (Ioffe & Szegedy 2015).

    Returns
    -------
    Tensor of the same type, shape (N, C, H / 2, W / 2)
        Equal to that of the three layers but for rounding.
    """
    pooled, mean, variance = _NormReluPool.apply(features, norm.weight, norm.bias, norm.eps)
    with torch.no_grad():
        n = features.numel() / features.shape[1]
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (n / (n - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    return pooled


class _NormReluPool(torch.autograd.Function):
    @staticmethod
    @_threads_of_torch()
    def forward(ctx, features, weight, bias, epsilon):
        pixels = _as_numpy(features)
        n = features.numel() // features.shape[1]
        sums = _sums(pixels).sum(axis=0, dtype=np.float64) / n
        mean, variance = sums[0], np.maximum(sums[1] - sums[0] ** 2, 0)
        scale = 1 / np.sqrt(variance + epsilon)
        factor = weight.detach().numpy() * scale
        shift = bias.detach().numpy() - mean * factor
        pooled, largest = _pool(pixels, factor.astype(np.float32), shift.astype(np.float32))
        ctx.save_for_backward(features, weight)
        ctx.kept = largest, mean, scale
        statistics = [torch.from_numpy(values.astype(np.float32)) for values in (mean, variance)]
        ctx.mark_non_differentiable(*statistics)
        return _as_tensor(pooled, features.dtype), *statistics

    @staticmethod
    @_threads_of_torch()
    def backward(ctx, slope, _mean, _variance):
        features, weight = ctx.saved_tensors
        largest, mean, scale = ctx.kept
        slope = slope.contiguous(memory_format=torch.channels_last)
        n = features.numel() // features.shape[1]
        pixels, slopes = _as_numpy(features), _as_numpy(slope)
        # Of the slopes, and of them times the pixels that they belong to.
        sums = _slope_sums(pixels, slopes, largest).sum(axis=0, dtype=np.float64)
        bias_slope = sums[0]
        weight_slope = (sums[1] - mean * sums[0]) * scale
        # factor · (slope - bias_slope / n - normalised · weight_slope / n), in powers of the pixel.
        factor = weight.detach().numpy() * scale
        by_pixel = -factor * scale * weight_slope / n
        rest = -factor * bias_slope / n - by_pixel * mean
        numbers = (values.astype(np.float32) for values in (factor, by_pixel, rest))
        found = _spread(pixels, slopes, largest, *numbers)
        of_norm = [torch.from_numpy(v.astype(np.float32)) for v in (weight_slope, bias_slope)]
        return _as_tensor(found, features.dtype), *of_norm, None


def _as_numpy(features: torch.Tensor) -> np.ndarray:
    """View ``(N, C, H, W)``, channels last, as ``(N, H, W, C)``; bfloat16 as uint16."""
    return features.detach().permute(0, 2, 3, 1).view(STORED[features.dtype]).numpy()


def _as_tensor(pixels: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(pixels).view(dtype).permute(0, 3, 1, 2)


def _wide(stored):
    """Return a stored number as float32; compiled only."""


def _narrow(value, dtype):
    """Return a float32 number as it is stored; compiled only."""


@overload(_wide, inline="always")
def _wide_of(stored):
    if stored == numba.float32:
        return lambda stored: stored
    return lambda stored: np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)


@overload(_narrow, inline="always")
def _narrow_of(value, dtype):
    if dtype.dtype == numba.float32:
        return lambda value, dtype: np.float32(value)

    def rounded(value, dtype):
        # To the nearest, and of two equally near ones to the even.
        bits = np.float32(value).view(np.uint32)
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        return np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

    return rounded


@numba.njit(parallel=True, fastmath=CONTRACT, cache=True)
def _sums(pixels):
    n, height, width, channels = pixels.shape
    sums = np.zeros((n, 2, channels), np.float32)
    for i in numba.prange(n):
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    value = _wide(pixels[i, y, x, c])
                    sums[i, 0, c] += value
                    sums[i, 1, c] += value * value
    return sums


@numba.njit(parallel=True, fastmath=CONTRACT, cache=True)
def _pool(pixels, factor, shift):
    n, height, width, channels = pixels.shape
    shape = n, height // SIDE, width // SIDE, channels
    pooled = np.empty(shape, pixels.dtype)
    largest = np.empty(shape, np.uint8)
    for i in numba.prange(n):
        for y in range(shape[1]):
            for x in range(shape[2]):
                for c in range(channels):
                    best, place = np.float32(0), np.uint8(NONE)
                    for j in range(SIDE * SIDE):
                        pixel = pixels[i, SIDE * y + j // SIDE, SIDE * x + j % SIDE, c]
                        value = factor[c] * _wide(pixel) + shift[c]
                        place = place if value <= best else np.uint8(j)
                        best = best if value <= best else value
                    pooled[i, y, x, c] = _narrow(best, pixels.dtype)
                    largest[i, y, x, c] = place
    return pooled, largest


@numba.njit(parallel=True, fastmath=CONTRACT, cache=True)
def _slope_sums(pixels, slopes, largest):
    n, height, width, channels = slopes.shape
    sums = np.zeros((n, 2, channels), np.float32)
    for i in numba.prange(n):
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    slope, place = _wide(slopes[i, y, x, c]), largest[i, y, x, c]
                    pixel = np.float32(0)
                    for j in range(SIDE * SIDE):
                        value = _wide(pixels[i, SIDE * y + j // SIDE, SIDE * x + j % SIDE, c])
                        pixel = value if place == j else pixel
                    slope = slope if place != NONE else np.float32(0)
                    sums[i, 0, c] += slope
                    sums[i, 1, c] += slope * pixel
    return sums


@numba.njit(parallel=True, fastmath=CONTRACT, cache=True)
def _spread(pixels, slopes, largest, factor, by_pixel, rest):
    n, height, width, channels = slopes.shape
    found = np.empty(pixels.shape, pixels.dtype)
    for i in numba.prange(n):
        for y in range(height):
            for x in range(width):
                for j in range(SIDE * SIDE):
                    row, column = SIDE * y + j // SIDE, SIDE * x + j % SIDE
                    for c in range(channels):
                        slope = _wide(slopes[i, y, x, c])
                        slope = slope if largest[i, y, x, c] == j else np.float32(0)
                        value = by_pixel[c] * _wide(pixels[i, row, column, c]) + rest[c]
                        found[i, row, column, c] = _narrow(factor[c] * slope + value, pixels.dtype)
    return found
