"""The neighbours of points in a space, on which UMAP and the clusterers of graphs build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.errors import UserError

if TYPE_CHECKING:
    from faiss import IndexFlatL2
# Up to so many features direct differences cost no more than a matrix product.
DIRECT_FEATURES = 16
# Points that a search by matrix products finds beyond those asked for, so that rounding among the
# farthest of them mostly leaves the others proven.
SPARE = 4
_BLOCK = 256


def knn_graph(features: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest other points of every point, by the Euclidean distance.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row a point; finite.
    k : int
        Number of neighbours, at least 1 and below N.

    Returns
    -------
    indices : ndarray of int64, shape (N, k)
        Rows of the neighbours, the nearest first and of equally near ones the lowest first; never
        the point itself.
    distances : ndarray of float32, shape (N, k)
        Their distances in the unit of the features; 0 between equal points.

    Raises
    ------
    UserError
        If k is below 1, there are k or fewer points, or a value is NaN or infinite.

    Notes
    -----
    An exhaustive search (faiss). Of more than `DIRECT_FEATURES` features it is by a matrix product,
    |x|² + |y|² - 2xy, which is much faster and rounds; the distances returned, and their order, are
    those of differences of coordinates. A sum of n rounded products is off by at most γ_n of the
    sum of their sizes (Higham 2002, "Accuracy and Stability of Numerical Algorithms", 3.1): points
    that may for this be nearer than the farthest of the k are searched for again by differences. Of
    more than k equally near points any k may be returned.
    """
    if k < 1:
        raise UserError(f"a graph of nearest neighbours needs at least 1 of them, not {k}")
    require_features(features, k + 1, f"a graph of {k} nearest neighbours")
    import faiss

    # To search, a common offset would cost digits, and squares of extreme values would overflow.
    centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    # A power of two, so that scaling rounds nothing and equal distances stay equal.
    scale = np.exp2(np.floor(np.log2(np.abs(centred).max() or 1)), dtype=np.float32)
    points = np.asarray(centred / scale, dtype=np.float32)
    n, d = points.shape
    index = faiss.IndexFlatL2(d)
    index.add(points)
    everything = np.arange(n)
    if d <= DIRECT_FEATURES:
        found = _search_by_differences(index, points, k + 1)
        return _nearest_of(found, everything, features, k, scale)

    squares, found = index.search(points, min(k + 1 + SPARE, n))
    indices, distances = _nearest_of(found, everything, features, k, scale)
    lengths = np.linalg.norm(points, axis=1)
    gamma = (d + 8) * np.finfo(np.float32).eps / 2
    rounding = 2 * gamma * (lengths + lengths.max()) ** 2
    unproven = np.flatnonzero((distances[:, -1] / scale) ** 2 > squares[:, -1] - rounding)
    if len(unproven) and found.shape[1] < n:
        found = _search_by_differences(index, points[unproven], k + 1)
        again = _nearest_of(found, unproven, features, k, scale)
        indices[unproven], distances[unproven] = again
    return indices, distances


def _search_by_differences(index: IndexFlatL2, points: np.ndarray, k: int) -> np.ndarray:
    """Search the rows of the k nearest points of each given one; one of them is mostly itself."""
    import faiss

    usual = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = np.iinfo(np.int32).max
    try:
        return index.search(points, k)[1]
    finally:
        faiss.cvar.distance_compute_blas_threshold = usual


def _nearest_of(
    found: np.ndarray, rows: np.ndarray, features: np.ndarray, k: int, scale: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Sort what was found for some rows by exact distance, the row itself left out; keep k."""
    distances = np.empty(found.shape, dtype=np.float32)
    for start in range(0, len(found), _BLOCK):
        part = slice(start, start + _BLOCK)
        differences = (features[found[part]] - features[rows[part], None]) / scale
        distances[part] = np.linalg.norm(differences, axis=2)
    # The point itself goes last and is cut off; or the farthest, where as many equal points hid it.
    distances[found == rows[:, None]] = np.inf
    order = np.lexsort((found, distances), axis=1)[:, :k]
    nearest = np.take_along_axis(found, order, axis=1)
    return nearest, np.take_along_axis(distances, order, axis=1) * scale


def require_features(features: np.ndarray, least_points: int, purpose: str) -> None:
    """Refuse features that no method here can use.

    Parameters
    ----------
    features : ndarray, shape (N, D)
    least_points : int
        Smallest N that `purpose` works with.
    purpose : str
        What the features are for, as it begins the message.

    Raises
    ------
    UserError
        If the array is not (N, D), has fewer than `least_points` rows, or holds NaN or infinity.
    """
    if features.ndim != 2:
        raise UserError(
            f"{purpose} needs features of shape (points, features), found {features.shape}: "
            "flatten each point to one row"
        )
    if len(features) < least_points:
        raise UserError(
            f"{purpose} needs at least {least_points} points, found {len(features)}: "
            "use more images or ask for less"
        )
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{purpose}: {np.count_nonzero(~finite)} of {len(features)} points hold NaN or "
            f"infinity, the first is point {int(finite.argmin())}: check the images or the "
            "training behind them"
        )
