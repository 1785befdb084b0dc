"""Times several ways of doing the same thing, side by side in one process."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

OURS = "ours"


@dataclass
class Result:
    """What a benchmark found.

    Attributes
    ----------
    what : str
        What was done, on how much of which data.
    seconds : dict of str to list of float
        Wall time of each counted run by way; the runs of all ways were taken in turn.
    aims : dict of str to float
        By other way, how many times as long as ours it was to take at least.
    checks : dict
        What shows that the ways give the same, and other measured numbers.
    """

    what: str
    seconds: dict[str, list[float]]
    aims: dict[str, float]
    checks: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return everything and what follows: medians and ratios."""
        return asdict(self) | {"medians": self.medians, "ratios": self.ratios}

    @property
    def medians(self) -> dict[str, float]:
        """Median seconds of each way."""
        return {way: round(statistics.median(runs), 4) for way, runs in self.seconds.items()}

    @property
    def ratios(self) -> dict[str, float]:
        """By other way, the median over the rounds of its time by ours in the same round."""
        ours = self.seconds[OURS]
        return {
            way: round(statistics.median(b / a for a, b in zip(ours, runs, strict=True)), 3)
            for way, runs in self.seconds.items()
            if way != OURS
        }


def in_turn(
    ways: dict[str, Callable[[], Any]], rounds: int, warm_up: Callable[[], Any] | None = None
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Run every way once in each round, in their order.

    Parameters
    ----------
    ways : dict of str to callable
        `OURS` and others.
    rounds : int
    warm_up : callable, optional
        Called once before; by default every way is, and not counted.

    Returns
    -------
    seconds : dict of str to list of float
        Wall time by way and round.
    results : dict
        What each way returned in the last round.
    """
    if warm_up is not None:
        warm_up()
    else:
        for way in ways.values():
            way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Any] = {}
    for number in range(1, rounds + 1):
        for name, way in ways.items():
            results.pop(name, None)
            gc.collect()
            started = time.perf_counter()
            results[name] = way()
            seconds[name].append(round(time.perf_counter() - started, 4))
            print(f"  round {number} of {rounds}: {name}: {seconds[name][-1]:.2f} s", flush=True)
    return seconds, results
