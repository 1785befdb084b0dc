"""Where one more run lies if a paper leaves a setting open: the envelope of plausible fillings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from report.statistics import Interval, variance_components

# With a single one, t is so wide that no value would be refuted.
FEWEST_DEGREES_OF_FREEDOM = 2


@dataclass(frozen=True)
class Envelope:
    """A prediction interval for one more run of each filling, the default's first.

    Attributes
    ----------
    sizes : tuple of int
        Number of networks of each filling.
    intervals : tuple of (float, float)
    """

    sizes: tuple[int, ...]
    intervals: tuple[Interval, ...]

    @property
    def low(self) -> float:
        """Lowest end of all intervals."""
        return min(low for low, _ in self.intervals)

    @property
    def high(self) -> float:
        """Highest end of all intervals."""
        return max(high for _, high in self.intervals)

    @property
    def text(self) -> str:
        """Fillings, networks and ends: ``envelope of 3 fillings, 5 + 2 + 1 networks: 0.1 to …``."""
        networks = " + ".join(map(str, self.sizes))
        return (
            f"envelope of {len(self.sizes)} fillings, {networks} networks: "
            f"{self.low:.4f} to {self.high:.4f}"
        )

    def judge(
        self, reported: float, half_rounding: float, margin: float
    ) -> Literal["consistent", "too high", "too low", "uninformative", "not decidable"]:
        """Say whether a reported value is plausible as one more run of any filling.

        Parameters
        ----------
        reported, half_rounding : float
            The paper's value and its `statistics.rounding`.
        margin : float
            Smallest difference that matters to the study, ≥ 0.

        Returns
        -------
        {"consistent", "too high", "too low", "uninformative", "not decidable"}
            ``too high``: the value, however it was rounded, lies above the envelope.
            ``uninformative``: it does not lie beyond it, and half of the default's interval is
            wider than `margin`. ``consistent``: it lies inside the interval of every filling.
            ``not decidable``: the filling decides.
        """
        least, most = reported - half_rounding, reported + half_rounding
        if least > self.high:
            return "too high"
        if most < self.low:
            return "too low"
        low, high = self.intervals[0]
        if (high - low) / 2 > margin:
            return "uninformative"
        # One and the same unrounded value has to lie inside all of them.
        least = max(least, *(low for low, _ in self.intervals))
        most = min(most, *(high for _, high in self.intervals))
        return "consistent" if least <= most else "not decidable"


def envelope(fillings: Sequence[Sequence[float]], confidence: float = 0.95) -> Envelope | None:
    """Return where one more run of each filling of what a paper leaves open would lie.

    Parameters
    ----------
    fillings : sequence of F sequences of float
        The values of the networks of each filling, the default's first; at least one of each.
    confidence : float
        Of each interval, in (0, 1).

    Returns
    -------
    Envelope or None
        Of filling f, with n of the N networks and the mean m: m ± t · s · √(1 + 1/n), where s is
        the standard deviation within fillings, pooled over all of them, and t has N − F degrees of
        freedom. None for fewer than two fillings or `FEWEST_DEGREES_OF_FREEDOM`.

    Notes
    -----
    Runs are taken to vary equally under every filling; a filling with a single network then has an
    interval too. Nothing is assumed of how the means of fillings are distributed: they are a choice
    and no sample, so that the envelope says nothing of fillings that were not run.

    References
    ----------
    Hahn, Meeker and Escobar, Statistical Intervals, 2nd edition, 2017, chapter 4; the pooled
    standard deviation: Searle, Casella and McCulloch, Variance Components, 1992, chapter 3.
    """
    if not all(len(values) for values in fillings):
        raise ValueError("a filling has at least one network")
    sizes = tuple(map(len, fillings))
    freedom = sum(sizes) - len(sizes)
    if len(sizes) < 2 or freedom < FEWEST_DEGREES_OF_FREEDOM:
        return None
    pooled = variance_components(fillings, confidence).within
    quantile = float(stdtrit(freedom, (1 + confidence) / 2))
    intervals = []
    for values in fillings:
        mean, half = float(np.mean(values)), quantile * pooled * (1 + 1 / len(values)) ** 0.5
        intervals.append((mean - half, mean + half))
    return Envelope(sizes, tuple(intervals))
