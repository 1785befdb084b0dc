"""Whether a reported value is one more run of ours, what differs, and where runs vary from.

`values` are of independent runs, one a run, and thought of as drawn from a normal distribution; s
is their standard deviation. A `confidence` lies in (0, 1).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple, TypeVar

import numpy as np

# The percentiles that scipy.stats wraps: they load and answer many times faster.
from scipy.special import chdtri, fdtri, nctdtrinc, stdtr, stdtrit

Key = TypeVar("Key", bound=Hashable)
Interval = tuple[float, float]
Verdict = Literal["consistent", "too high", "too low", "uninformative", "not run"]


# --- one more run ------------------------------------------------------------------------------


def prediction_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Return where one more run would lie.

    Parameters
    ----------
    values : sequence of float, length n
    confidence : float

    Returns
    -------
    (float, float) or None
        mean ± t · s · √(1 + 1/n), t with n − 1 degrees of freedom; None for fewer than two values.

    References
    ----------
    Hahn, Meeker and Escobar, Statistical Intervals, 2nd edition, 2017, chapter 4.
    """
    quantile = _upper(confidence)
    mean, sd, n = _moments(values)
    if n < 2:
        return None
    half = float(stdtrit(n - 1, quantile)) * sd * (1 + 1 / n) ** 0.5
    return mean - half, mean + half


def prediction_p_value(
    values: Sequence[float], reported: float, half_rounding: float = 0.0
) -> float | None:
    """Return how often one more run would lie at least as far from our mean as a reported value.

    Parameters
    ----------
    values : sequence of float, length n
    reported : float
        The paper's value.
    half_rounding : float
        What `rounding` says of it; the value nearest to our mean that would be so printed counts.

    Returns
    -------
    float or None
        Two-sided p-value, in [0, 1]; None for fewer than two values. Runs that are all equal are
        met (1) or missed (0).

    References
    ----------
    Crawford and Howell, The Clinical Neuropsychologist 12, 1998, 482–486.
    """
    mean, sd, n = _moments(values)
    ends = _sample([reported - half_rounding, reported + half_rounding])
    distance = float(abs(np.clip(mean, *ends) - mean))
    if n < 2:
        return None
    if sd == 0:
        return float(distance <= 1e-9 * abs(mean))  # 0.1 + 0.2 is not missed by 0.3
    return float(2 * stdtr(n - 1, -distance / (sd * (1 + 1 / n) ** 0.5)))


def rounding(printed: str | float) -> float:
    """Return half a unit of the last digit that is printed.

    Parameters
    ----------
    printed : str or float
        "0.59" gives 0.005 and "221184" gives 0.5. Text is better: a number has lost its final
        zeros, so that 0.60 passes for 0.6, and one without a fraction counts as whole.

    Returns
    -------
    float
        h > 0: the value before rounding lies within h of the printed one.

    Raises
    ------
    ValueError
        If it is no decimal number.

    References
    ----------
    JCGM 100:2008, Guide to the Expression of Uncertainty in Measurement, F.2.2.1.
    """
    if not isinstance(printed, str):
        printed = str(int(printed)) if float(printed).is_integer() else repr(float(printed))
    try:
        exponent = Decimal(printed).as_tuple().exponent
    except InvalidOperation:
        exponent = None
    if not isinstance(exponent, int):  # of "nan" and "inf" it is a letter
        raise ValueError(f"{printed!r} is no decimal number")
    return float(Decimal(5).scaleb(exponent - 1))


class Rank(NamedTuple):
    """How many of our runs are below a reported value and not above it, and its place."""

    below: int
    at_or_below: int
    among: int  # our runs and the reported one

    @property
    def text(self) -> str:
        """Counted from the lowest: ``3rd of 21``, or with ties ``3rd to 5th of 21``."""
        places = dict.fromkeys([_ordinal(self.below + 1), _ordinal(self.at_or_below + 1)])
        return f"{' to '.join(places)} of {self.among}"


def rank(values: Sequence[float], reported: float, half_rounding: float = 0.0) -> Rank:
    """Return the place of a reported value among our runs.

    Parameters
    ----------
    values : sequence of float, length n
    reported, half_rounding : float
        The paper's value and its `rounding`. Our runs that lie in reported ± half_rounding are
        ties.

    Returns
    -------
    Rank
        If the paper's run is one more of ours and there are no ties, each of the n + 1 places is
        equally likely, whatever the distribution.

    References
    ----------
    Hahn, Meeker and Escobar, Statistical Intervals, 2nd edition, 2017, chapter 5.
    """
    sample = _sample(values)
    below = np.count_nonzero(sample < reported - half_rounding)
    return Rank(below, np.count_nonzero(sample <= reported + half_rounding), len(sample) + 1)


def judge(
    values: Sequence[float],
    reported: float,
    half_rounding: float,
    margin: float,
    confidence: float = 0.95,
) -> Verdict:
    """Say whether a reported value is plausible as one more run of ours.

    Parameters
    ----------
    values : sequence of float, length n
    reported, half_rounding : float
        The paper's value and its `rounding`.
    margin : float
        Smallest difference that matters to the study, ≥ 0.
    confidence : float
        Of the prediction interval.

    Returns
    -------
    {"consistent", "too high", "too low", "uninformative", "not run"}
        ``too high``: the paper's value, however it was rounded, lies above the interval.
        ``uninformative``: it lies inside, but so would values further from our mean than `margin`;
        or there is one run only. ``not run``: there is none.

    References
    ----------
    Patil, Peng and Leek, Perspectives on Psychological Science 11, 2016, 539–544.
    """
    p_value = prediction_p_value(values, reported, half_rounding)
    interval = prediction_interval(values, confidence)
    if p_value is None or interval is None:
        return "uninformative" if len(values) else "not run"
    low, high = interval
    if p_value < 1 - confidence:
        return "too high" if reported > (low + high) / 2 else "too low"
    return "uninformative" if (high - low) / 2 > margin else "consistent"


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Adjust p-values for their number.

    Parameters
    ----------
    p_values : mapping of key to float
        All those that are looked at together, each in [0, 1].

    Returns
    -------
    dict of key to float
        In the same order. The chance that any true hypothesis falls below α is at most α, however
        the p-values depend on each other.

    References
    ----------
    Holm, Scandinavian Journal of Statistics 6, 1979, 65–70.
    """
    if not all(0 <= p_value <= 1 for p_value in p_values.values()):
        raise ValueError("a p-value lies between 0 and 1")
    adjusted, largest = {}, 0.0
    for tested, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = min(1.0, max(largest, (len(p_values) - tested) * p_values[key]))
        adjusted[key] = largest
    return {key: adjusted[key] for key in p_values}


def detectable(n: int, confidence: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest deviation that `n` runs would detect, in standard deviations of a run.

    Parameters
    ----------
    n : int
        Number of our runs, at least 2.
    confidence : float
        Of the prediction interval.
    power : float
        Chance that a single run which is off by so much lies outside, on its side; above
        1 − `confidence` and below 1.

    Returns
    -------
    float
        Noncentrality of t, times √(1 + 1/n).

    References
    ----------
    Johnson and Welch, Biometrika 31, 1940, 362–389.
    """
    if n < 2 or not 1 - confidence < power < 1:
        raise ValueError(f"needs two runs and a power between {1 - confidence:g} and 1")
    limit = stdtrit(n - 1, _upper(confidence))
    return float(nctdtrinc(n - 1, 1 - power, limit)) * (1 + 1 / n) ** 0.5


def smallest_deviation(
    values: Sequence[float], confidence: float = 0.95, power: float = 0.8
) -> float | None:
    """Return the smallest deviation from our mean that our runs would detect in one more run.

    Parameters
    ----------
    values : sequence of float, length n
    confidence, power : float
        As of `detectable`.

    Returns
    -------
    float or None
        `detectable` times s, in the unit of the values; None for fewer than two.

    References
    ----------
    Johnson and Welch, Biometrika 31, 1940, 362–389.
    """
    _, sd, n = _moments(values)
    return None if n < 2 else detectable(n, confidence, power) * sd


# --- methods beside each other -----------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """Difference of two means, ours minus the other, and the interval that covers it."""

    difference: float
    low: float
    high: float
    higher_is_better: bool = True

    @property
    def outcome(self) -> Literal["better", "worse", "undecided"]:
        """``better`` or ``worse`` if the interval leaves out 0."""
        if self.low <= 0 <= self.high:
            return "undecided"
        return "better" if (self.difference > 0) == self.higher_is_better else "worse"


def welch_interval(
    a: Sequence[float], b: Sequence[float], confidence: float = 0.95, higher_is_better: bool = True
) -> Difference | None:
    """Compare the means of two methods whose runs may vary differently.

    Parameters
    ----------
    a, b : sequence of float
    confidence : float
    higher_is_better : bool
        Whether more is better of what the values measure.

    Returns
    -------
    Difference or None
        Of `a` minus `b`; None if either has fewer than two values. If the runs of both are all
        equal, the interval is a point.

    Notes
    -----
    With three runs beside ten or twenty, 95 % intervals cover about 93 %; with five, 95 %.

    References
    ----------
    Welch, Biometrika 34, 1947, 28–35; Satterthwaite, Biometrics Bulletin 2, 1946, 110–114.
    """
    quantile = _upper(confidence)
    (mean_a, sd_a, n_a), (mean_b, sd_b, n_b) = _moments(a), _moments(b)
    if min(n_a, n_b) < 2:
        return None
    error = float(np.hypot(sd_a / n_a**0.5, sd_b / n_b**0.5))
    half = 0.0
    if error > 0:
        share = (sd_a / error) ** 2 / n_a
        freedom = 1 / (share**2 / (n_a - 1) + (1 - share) ** 2 / (n_b - 1))
        half = float(stdtrit(freedom, quantile)) * error
    difference = mean_a - mean_b
    return Difference(difference, difference - half, difference + half, higher_is_better)


# --- networks and clusterings ------------------------------------------------------------------


@dataclass(frozen=True)
class Components:
    """Where runs vary from: standard deviations, and the networks' share of the variance."""

    between: float  # of networks
    between_interval: Interval
    within: float  # of clusterings of one network
    within_interval: Interval
    icc: float  # NaN where nothing varies
    icc_interval: Interval
    n_networks: int
    n_repeats: float  # clusterings of a network; the harmonic mean if that differs

    @property
    def total(self) -> float:
        """Standard deviation of a single run: one clustering of one network."""
        return float(np.hypot(self.between, self.within))


def variance_components(
    groups: Sequence[Sequence[float]], confidence: float = 0.95
) -> Components | None:
    """Split the variance of runs into that of networks and that of their clusterings.

    Parameters
    ----------
    groups : sequence of sequence of float
        For each network a value per clustering; the numbers may differ.
    confidence : float
        Of each interval.

    Returns
    -------
    Components or None
        One-way random effects by the mean squares, none below 0; None for fewer than two networks
        or if no network has two clusterings.

    Notes
    -----
    The mean square of networks is that of their unweighted means times the harmonic mean of their
    numbers of clusterings. Where these are equal, it is the usual one and the intervals of `within`
    (χ²) and `icc` (F) are exact; that of `between` is the Williams–Tukey interval. Where they are
    very unequal (1, 2 and 20) and the networks are not, 95 % intervals of `between` and `icc` cover
    about 92 %.

    References
    ----------
    Searle, Casella and McCulloch, Variance Components, 1992, chapter 3. Williams, Biometrika 49,
    1962, 278–281. Numbers that differ: Thomas and Hultquist, Annals of Statistics 6, 1978, 582–587.
    """
    upper = _upper(confidence)
    samples = [sample for sample in map(_sample, groups) if len(sample)]
    networks = len(samples)
    freedom = sum(map(len, samples)) - networks
    if networks < 2 or freedom < 1:
        return None
    means, sds, sizes = np.array([_moments(sample) for sample in samples]).T
    repeats = networks / float(np.sum(1 / sizes))
    outer = repeats * _moments(means)[1] ** 2
    inner = float(np.nansum((sizes - 1) * sds**2)) / freedom

    def beyond(ratio: float) -> float:
        """Return the variance of networks if that of their means were inflated by `ratio`."""
        return max(0.0, outer - ratio * inner) / repeats

    def icc(ratio: float) -> float:
        both = beyond(ratio) + ratio * inner
        return beyond(ratio) / both if both > 0 else float("nan")

    ratios = [float(fdtri(networks - 1, freedom, p)) for p in (upper, 1 - upper)]
    chi = [float(chdtri(networks - 1, p)) / (networks - 1) for p in (1 - upper, upper)]
    limits = [float(chdtri(freedom, p)) / freedom for p in (1 - upper, upper)]
    low, high = (beyond(ratio) / c for ratio, c in zip(ratios, chi, strict=True))
    return Components(
        between=beyond(1) ** 0.5,
        between_interval=(low**0.5, high**0.5),
        within=inner**0.5,
        within_interval=((inner / limits[0]) ** 0.5, (inner / limits[1]) ** 0.5),
        icc=icc(1),
        icc_interval=(icc(ratios[0]), icc(ratios[1])),
        n_networks=networks,
        n_repeats=repeats,
    )


# --- parts -------------------------------------------------------------------------------------


def _sample(values: Sequence[float]) -> np.ndarray:
    sample = np.asarray(values, dtype=float)
    if not np.isfinite(sample).all():
        raise ValueError("values have to be finite numbers")
    return sample


def _moments(values: Sequence[float]) -> tuple[float, float, int]:
    """Return mean, standard deviation (NaN for fewer than two values) and number of values."""
    sample = _sample(values)
    if len(sample) < 2:
        return (float(sample[0]) if len(sample) else float("nan")), float("nan"), len(sample)
    # Exactly, as the mean of three times 0.1 is not 0.1.
    if sample.min() == sample.max():
        return float(sample[0]), 0.0, len(sample)
    return float(sample.mean()), float(sample.std(ddof=1)), len(sample)


def _upper(confidence: float) -> float:
    """Return the probability below the upper end of a two-sided interval."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, and {confidence} does not")
    return (1 + confidence) / 2


def _ordinal(place: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}th" if place % 100 in (11, 12, 13) else f"{place}{ending}"
