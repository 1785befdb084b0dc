"""The counts of abstract and discussion: verdicts, and best methods by what is trained."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from utils import config
from utils.config.methods import Method

if TYPE_CHECKING:
    import pandas as pd

JUDGED = ("reproduced", "above", "below")
# What a method trains.
UNTRAINED = "nothing is trained"
FROZEN_NETWORK = "a network that was trained on other images is used unchanged"
TRAINED = "a network is trained on the images themselves"
KINDS = (UNTRAINED, FROZEN_NETWORK, TRAINED)


@dataclass(frozen=True)
class ValueTally:
    """The verdicts of a run, counted.

    Attributes
    ----------
    reported : int
        All reported values.
    reproduced, above, below : int
        By verdict.
    without : int
        Those without a verdict: not run, failed, or not tested.
    by_tolerance : int
        Reproduced values that lie outside the interval itself.
    counts, exact_counts : int
        Values that must be equal, such as counts of weights, and those that are.
    one_seed : int
        Verdicts that rest on one seed.
    """

    reported: int
    reproduced: int
    above: int
    below: int
    without: int
    by_tolerance: int
    counts: int
    exact_counts: int
    one_seed: int

    @property
    def judged(self) -> int:
        """How many values have a verdict."""
        return self.reproduced + self.above + self.below


def tally_values(verdicts: pd.DataFrame, studies: Iterable[config.Study]) -> ValueTally:
    """Count the verdicts of a run.

    Parameters
    ----------
    verdicts : DataFrame
        Columns of `tables.VERDICTS_TABLE`.
    studies : iterable of Study
        Those of the table; a tolerance of 0 means that a value must be equal.
    """
    exact = {
        (study.study, figure.figure)
        for study in studies
        for figure in study.reported
        if figure.tolerance == 0
    }
    rows = list(verdicts.itertuples())
    by_verdict = Counter(row.verdict for row in rows)
    judged = [row for row in rows if row.verdict in JUDGED]
    counts = [row for row in judged if (row.study, row.figure) in exact]
    return ValueTally(
        reported=len(rows),
        reproduced=by_verdict["reproduced"],
        above=by_verdict["above"],
        below=by_verdict["below"],
        without=len(rows) - len(judged),
        by_tolerance=sum(row.verdict == "reproduced" and _is_outside(row) for row in judged),
        counts=len(counts),
        exact_counts=sum(row.verdict == "reproduced" for row in counts),
        one_seed=sum(row.n_seeds == 1 for row in judged),
    )


def _is_outside(row: Any) -> bool:
    """Return whether the reported value is outside our interval; one seed is its own interval."""
    low, high = (
        row.reproduced_mean if math.isnan(end) else end for end in (row.ci_low, row.ci_high)
    )
    return not low <= row.reported <= high


@dataclass(frozen=True)
class BestOfKind:
    """The best method of a leaderboard among those that train the same.

    `row` has the columns `leaderboards.BOARD_COLUMNS`.
    """

    kind: str
    row: Any


def best_of_each_kind(rows: Iterable[Any]) -> list[BestOfKind]:
    """Find the best method by ARI of each of `KINDS`, the best first.

    Parameters
    ----------
    rows : iterable of named tuple
        With ``representation``, ``clusterer`` and ``ari``; those without an ARI are left out.
    """
    best: dict[str, Any] = {}
    for row in rows:
        kind = kind_of(row.representation, row.clusterer)
        if not math.isnan(row.ari) and (kind not in best or row.ari > best[kind].ari):
            best[kind] = row
    found = [BestOfKind(kind, row) for kind, row in best.items()]
    return sorted(found, key=lambda one: -one.row.ari)


def kind_of(representation: str, clusterer: str) -> str:
    """Return what a method trains, and on which images: one of `KINDS`."""
    method = Method.from_table(representation, "raw", clusterer)
    if method.is_trained_here:
        return TRAINED
    return FROZEN_NETWORK if method.weights_trained_with else UNTRAINED
