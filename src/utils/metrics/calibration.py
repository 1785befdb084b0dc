"""Calibration: whether images assigned with confidence c are right in a share c of the cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

N_BINS = 10


def reliability(
    confidence: np.ndarray, is_correct: np.ndarray, n_bins: int = N_BINS
) -> pd.DataFrame:
    """Compare confidence with accuracy in bins of equal width.

    Parameters
    ----------
    confidence : ndarray of float, shape (N,)
        In [0, 1].
    is_correct : ndarray of bool, shape (N,)
    n_bins : int
        Bin b of 0, …, `n_bins` − 1 holds the confidences in (b / n_bins, (b + 1) / n_bins]; the
        first one also holds 0.

    Returns
    -------
    DataFrame
        A row for each bin that is not empty: ``bin``, ``n``, and its mean ``confidence`` and
        ``accuracy``.

    Raises
    ------
    ValueError
        If the lengths differ, there is no point, or a confidence is not in [0, 1].

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), "On Calibration of Modern Neural Networks".
    """
    import pandas as pd

    confidence = np.asarray(confidence, dtype=np.float64)
    if len(confidence) != len(is_correct) or len(confidence) == 0:
        raise ValueError(f"{len(confidence)} confidences for {len(is_correct)} points")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("a confidence must be in [0, 1]")
    edges = np.arange(1, n_bins) / n_bins
    table = pd.DataFrame(
        {
            "bin": np.searchsorted(edges, confidence, side="left"),
            "confidence": confidence,
            "accuracy": np.asarray(is_correct, dtype=np.float64),
        }
    )
    grouped = table.groupby("bin")
    return grouped.mean().assign(n=grouped.size()).reset_index()


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean gap between confidence and accuracy over the bins, weighted by their points.

    Parameters
    ----------
    table : DataFrame
        What `reliability` returned.

    Returns
    -------
    float
        In [0, 1]; 0 if every bin is as accurate as it is confident.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning".
    """
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["n"]).sum() / table["n"].sum())
