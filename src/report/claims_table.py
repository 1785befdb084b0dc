"""The outcomes of the papers' claims, for a run and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from report import soundness
from report.claims import TestedClaim, examine
from report.comparisons import fact_values, not_run_reason
from utils.store.tables import Table

if TYPE_CHECKING:
    from utils import config

CLAIMS_TABLE = Table(
    "claims.csv",
    MappingProxyType(
        {
            **dict.fromkeys(("study", "claim", "source", "outcome"), "str"),
            # Whether it is about a network that stands in for the paper's: no claim of the paper.
            "substitute": "bool",
            "sentences": "str",
        }
    ),
)
REDUCED = "a reduced run tests no claim"


def of_studies(
    studies: Iterable[config.Study],
    metrics: pd.DataFrame,
    confusion: pd.DataFrame,
    facts: pd.DataFrame,
    starts: pd.DataFrame,
    reduced: bool,
) -> dict[str, list[TestedClaim]]:
    """Test the claims of studies against a run's tables.

    Parameters
    ----------
    studies : iterable of Study
    metrics, confusion, facts, starts : DataFrame
        Columns of `METRICS_TABLE`, `CONFUSION_TABLE`, `FACTS_TABLE` and `STARTS_TABLE` of `tables`.
    reduced : bool
        Whether the profile is a reduced one, which tests no claim.

    Returns
    -------
    dict of str to list of TestedClaim
        By study; claims on a substitute after those of the paper. Networks that have collapsed, by
        `soundness.RULE`, do not count.
    """
    studies = list(studies)
    networks = soundness.collapsed(metrics, studies)
    metrics, confusion, starts = (
        soundness.without(table, networks) for table in (metrics, confusion, starts)
    )
    return {
        study.study: sorted(
            _untested(study) if reduced else _tested(study, metrics, confusion, facts, starts),
            key=lambda one: one.claim.substitute,
        )
        for study in studies
    }


def _untested(study: config.Study) -> list[TestedClaim]:
    return [TestedClaim(claim, (), REDUCED) for claim in study.claims]


def _tested(
    study: config.Study,
    metrics: pd.DataFrame,
    confusion: pd.DataFrame,
    facts: pd.DataFrame,
    starts: pd.DataFrame,
) -> list[TestedClaim]:
    return examine(
        study,
        metrics,
        confusion,
        partial(fact_values, facts, study.study),
        lambda clustered: not_run_reason(facts, study.study, clustered.representation),
        starts,
    )


def table(tested: Mapping[str, Sequence[TestedClaim]]) -> pd.DataFrame:
    """Return the columns of `CLAIMS_TABLE`, a row for each claim of each study."""
    rows = [
        {
            "study": study,
            "claim": one.claim.text,
            "source": one.claim.source,
            "outcome": one.outcome,
            "substitute": one.claim.substitute,
            "sentences": " ".join(one.sentences),
        }
        for study, claims in tested.items()
        for one in claims
    ]
    return pd.DataFrame(rows, columns=list(CLAIMS_TABLE.columns))
