"""Rows of features, and the directions of their principal components."""

from __future__ import annotations

import hashlib

import numpy as np


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Scale each row of an array to length 1: float32, shape (N, D); rows of zeros stay."""
    unit = np.empty(X.shape, np.float32)
    for rows in blocks(len(X)):
        # First by the largest value: squares of extreme values would overflow.
        largest = np.abs(X[rows]).max(axis=1, keepdims=True).astype(np.float64)
        scaled = X[rows] / np.where(largest > 0, largest, 1)
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        # Adding 0 makes one zero of the two.
        unit[rows] = scaled / np.where(lengths > 0, lengths, 1) + 0
    return unit


def equal_rows(X: np.ndarray) -> np.ndarray:
    """Give each row of an array a number from 0, equal rows the same one: int ``(N,)``."""
    numbers: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in X)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests])


def directions(points: np.ndarray, unit: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the directions of principal components from the points in them.

    Parameters
    ----------
    points : ndarray of float, shape (N, p)
    unit : ndarray of float, shape (N, D)
        The features that were projected.
    mean : ndarray of float, shape (D,)
        Their mean.

    Returns
    -------
    ndarray of float64, shape (p, D)

    Notes
    -----
    The components are uncorrelated, so that each direction is the features' regression on its
    component alone. A component without variance has the direction 0.
    """
    products = np.zeros((points.shape[1], unit.shape[1]))
    for rows in blocks(len(unit)):
        products += points[rows].T.astype(np.float64) @ (unit[rows].astype(np.float64) - mean)
    squares = (points.astype(np.float64) ** 2).sum(axis=0)
    is_used = squares > 1e-9 * squares.sum()
    products[is_used] /= squares[is_used, None]
    products[~is_used] = 0
    return products


def blocks(n: int, size: int = 4096) -> list[slice]:
    """Cut n rows into blocks, as copies of all in float64 would be large."""
    return [slice(start, start + size) for start in range(0, n, size)]
