"""The counts of abstract and discussion: verdicts, and best methods by what is trained."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from report.reproduction import JUDGED, NOT_DECIDABLE, NOT_RUN
from utils.config.methods import Method
from utils.store.tables import FAILED

if TYPE_CHECKING:
    import pandas as pd

NOT_TESTED = "not tested"
CONSISTENT = "consistent"
OUTSIDE = ("too high", "too low")
VERDICTS = (*JUDGED, NOT_DECIDABLE, NOT_RUN, FAILED, NOT_TESTED)
# What a method trains.
UNTRAINED = "nothing is trained"
FROZEN_NETWORK = "a network that was trained on other images, with their labels, is used unchanged"
TRAINED = "a network is trained on the images themselves"
KINDS = (UNTRAINED, FROZEN_NETWORK, TRAINED)


@dataclass(frozen=True)
class ScoreTally:
    """The verdicts on reported scores, counted.

    Attributes
    ----------
    scores : int
        All scores that papers report.
    papers : Counter of str
        Number of the papers' values by verdict, in the order of `VERDICTS`.
    saved_runs : Counter of str
        Number of the values that the authors' saved runs have instead, by verdict.
    one_run : int
        Scores with a verdict that rests on a single run of ours.
    rejected : int
        Papers' values outside their interval also if all of them are tested together.
    beyond_envelope : int
        Papers' values that no plausible filling gives; a verdict without a p-value.
    """

    scores: int
    papers: Counter[str]
    saved_runs: Counter[str]
    one_run: int
    rejected: int
    beyond_envelope: int

    @property
    def judged(self) -> int:
        """How many of the papers' values are compared with an interval."""
        return sum(self.papers[verdict] for verdict in JUDGED)

    @property
    def outside(self) -> int:
        """How many of the papers' values are too high or too low."""
        return sum(self.papers[verdict] for verdict in OUTSIDE)


def tally_scores(verdicts: pd.DataFrame, confidence: float) -> ScoreTally:
    """Count the verdicts of a run.

    Parameters
    ----------
    verdicts : DataFrame
        Columns of `tables.VERDICTS_TABLE`; the first row of each score is the paper's.
    confidence : float
        Of the intervals.
    """
    is_saved = verdicts.duplicated(["study", "score"])
    papers = verdicts[~is_saved]
    judged = papers["verdict"].isin(JUDGED)
    return ScoreTally(
        scores=len(papers),
        papers=_by_verdict(papers),
        saved_runs=_by_verdict(verdicts[is_saved]),
        one_run=int((judged & (papers["n_networks"] == 1)).sum()),
        rejected=int((papers["p_holm"] < 1 - confidence).sum()),
        beyond_envelope=int((papers["verdict"].isin(OUTSIDE) & papers["p_holm"].isna()).sum()),
    )


def _by_verdict(rows: pd.DataFrame) -> Counter[str]:
    """Count verdicts; why a value is not tested makes no difference."""
    words = [NOT_TESTED if word.startswith(NOT_TESTED) else word for word in rows["verdict"]]
    counts = Counter(words)
    return Counter({word: counts[word] for word in VERDICTS if counts[word]})


def tally_identities(identities: pd.DataFrame) -> Counter[str]:
    """Count the outcomes of a table of identities, of `tables.IDENTITIES_TABLE`."""
    return Counter(identities["outcome"])


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
