"""Losses that authors' saved runs printed beside ours. They are no scores and never counted so."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from types import MappingProxyType

import numpy as np
import pandas as pd

from report.comparisons import fact_texts, fact_values
from report.reproduction import (
    NOT_TESTED_REDUCED,
    NOT_TESTED_SUBSTITUTE,
    each_seed,
    moments,
)
from report.statistics import judge, prediction_interval, rank, rounding
from utils import config
from utils.store.tables import FAILED, Table

REPORTED_LOSSES_TABLE = Table(
    "reported_losses.csv",
    MappingProxyType(
        {
            # The printed value is a word: 0.60 is not 0.6.
            **dict.fromkeys(("study", "what", "source", "reported"), "str"),
            **dict.fromkeys(("mean", "sd"), "float64"),
            "n_networks": "int64",
            **dict.fromkeys(("prediction_low", "prediction_high"), "float64"),
            **dict.fromkeys(("rank", "verdict", "seed_values"), "str"),
        }
    ),
)


def beside_ours(
    facts: pd.DataFrame,
    studies: Iterable[config.Study],
    reduced: bool,
    substituted: Collection[str] = (),
) -> pd.DataFrame:
    """Set each loss that authors' saved runs printed beside those of our networks.

    Parameters
    ----------
    facts : DataFrame
        Columns of `tables.FACTS_TABLE`.
    studies : iterable of Study
        Studies with their reported losses.
    reduced : bool
        Whether the profile is a reduced one, which tests no reported value.
    substituted : collection of str
        Names of the studies that did not get the data that their protocol asks for.

    Returns
    -------
    DataFrame
        Columns of `REPORTED_LOSSES_TABLE`, a row per loss. The verdict is that of
        `statistics.judge` without a margin: a loss has none, and it is uninformative only with a
        single network. ``seed_values`` has ours in the order of their seeds, or the word "failed"
        for a seed whose training failed.
    """
    confidence = config.load_verdict_rule().confidence
    rows = [
        _row(facts, study, loss, confidence, reduced, substituted)
        for study in studies
        for loss in study.losses
    ]
    table = pd.DataFrame(rows, columns=list(REPORTED_LOSSES_TABLE.columns))
    return table.astype(dict(REPORTED_LOSSES_TABLE.types))


def _row(
    facts: pd.DataFrame,
    study: config.Study,
    loss: config.ReportedLoss,
    confidence: float,
    reduced: bool,
    substituted: Collection[str],
) -> dict[str, object]:
    failure = config.Fact(notebook=loss.fact.notebook, name=FAILED)
    failed = fact_texts(facts, study.study, failure)
    recorded = fact_values(facts, study.study, loss.fact)
    by_seed = {s: v for s, v in recorded.items() if s not in failed and math.isfinite(v)}
    values, value, half = list(by_seed.values()), float(loss.value), rounding(loss.value)
    low, high = prediction_interval(values, confidence) or (np.nan, np.nan)
    verdict = judge(values, value, half, math.inf, confidence)
    if values and reduced:
        verdict = NOT_TESTED_REDUCED
    elif values and study.study in substituted:
        verdict = NOT_TESTED_SUBSTITUTE
    return {
        "study": study.study,
        "what": loss.what,
        "source": loss.source,
        "reported": loss.value,
        **moments(values),
        "prediction_low": low,
        "prediction_high": high,
        "rank": rank(values, value, half).text if values else "",
        "verdict": verdict,
        "seed_values": each_seed(by_seed, failed, ".6g"),
    }
