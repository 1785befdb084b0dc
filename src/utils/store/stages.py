"""Stages of a pipeline: arrays that are computed once, stored with what computing them took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils import places
from utils.store.cache import load_or_compute, with_prefix

_PROCESS = Path("/proc/self")
_UNKNOWN = float("nan")


@dataclass(frozen=True)
class Stage:
    """A computed stage.

    Attributes
    ----------
    arrays : dict of str to ndarray
    seconds : float
        Time that computing it took, in this run or in the one that stored it.
    peak_memory_mb : float
        Largest resident memory of the process meanwhile in MB (2^20 bytes), NaN if the system does
        not report it.
    settings : str
        What it was computed with.
    """

    arrays: dict[str, np.ndarray]
    seconds: float
    peak_memory_mb: float
    settings: str


def load_or_measure(
    name: str,
    recipe: dict[str, Any],
    code: tuple[str, ...],
    compute: Callable[[], dict[str, np.ndarray]],
    settings: str,
) -> Stage:
    """Return a stored stage if what made it is unchanged, otherwise compute, measure and store it.

    Parameters
    ----------
    name, recipe, code, compute
        As in `cache.load_or_compute`. A recipe without ``seed`` is stored once for all seeds.
    settings : str
        What it is computed with, for people.
    """

    def measured() -> dict[str, np.ndarray]:
        memory = PeakMemory()
        started = time.perf_counter()
        arrays = compute()
        seconds = time.perf_counter() - started
        cost = np.array([seconds, memory.megabytes()])
        return {f"array.{key}": array for key, array in arrays.items()} | {"cost": cost}

    file = f"{name}-seed{recipe['seed']}" if "seed" in recipe else name
    return _as_stage(load_or_compute(file, recipe, code, measured, places.cache()), settings)


def load_or_take(
    name: str, recipe: dict[str, Any], code: tuple[str, ...], whole: Stage, rows: slice
) -> Stage:
    """Return a stage of some rows only, which are taken from that of all rows.

    Parameters
    ----------
    name, recipe, code
        As for `load_or_measure`, of the part. No row may depend on another one.
    whole : Stage
        Of all rows; each of its arrays has a row for each point.
    rows : slice

    Returns
    -------
    Stage
        Its time is in proportion to the number of rows; its memory is that of the whole stage.
    """

    def taken() -> dict[str, np.ndarray]:
        arrays = {f"array.{key}": array[rows] for key, array in whole.arrays.items()}
        n = len(next(iter(whole.arrays.values())))
        share = len(range(*rows.indices(n))) / n
        return arrays | {"cost": np.array([share * whole.seconds, whole.peak_memory_mb])}

    return _as_stage(load_or_compute(name, recipe, code, taken, places.cache()), whole.settings)


def _as_stage(stored: dict[str, np.ndarray], settings: str) -> Stage:
    seconds, peak = stored["cost"].tolist()
    return Stage(with_prefix(stored, "array."), seconds, peak, settings)


class PeakMemory:
    """The largest resident memory of this process since the object was made.

    Linux keeps a high-water mark that a process may reset for itself. Where it may not, or there is
    no such mark, the peak is unknown.
    """

    def __init__(self) -> None:
        try:
            (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
            self._is_reset = True
        except OSError:
            self._is_reset = False

    def megabytes(self) -> float:
        """Return the peak in MB (2^20 bytes), NaN if it is unknown."""
        if not self._is_reset:
            return _UNKNOWN
        lines = (_PROCESS / "status").read_text(encoding="ascii", errors="replace").splitlines()
        marks = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")]
        return marks[0] if marks else _UNKNOWN
