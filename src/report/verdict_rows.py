"""The tables of verdicts and identities as text, for the article and the README."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from report.markdown import fixed, interval, number, of_runs, p_value

if TYPE_CHECKING:
    import pandas as pd

HEADER = (
    *("Study", "Score", "Reported", "Ours (runs)"),
    *("95 % prediction interval", "Rank", "Verdict"),
)
IDENTITIES_HEADER = ("Study", "Count", "Reported", "Ours", "Outcome")
LOSSES_HEADER = ("Study", "Loss", *HEADER[2:])
# The printed losses have four decimals, of which the last is the first that differs among runs.
LOSS_DIGITS = 6


@dataclass(frozen=True)
class ScoreRow:
    """A score: the paper's value and, where it is another one, that of its authors' saved run.

    Of what differs between the two, each text has the paper's first and the saved run's second.
    """

    study: str
    score: str
    reported: str
    ours: str
    interval: str
    rank: str
    verdict: str

    @property
    def cells(self) -> list[object]:
        """One cell for each title of `HEADER`."""
        return list(astuple(self))


def score_rows(verdicts: pd.DataFrame) -> list[ScoreRow]:
    """Write each score of a table of verdicts in a row.

    Parameters
    ----------
    verdicts : DataFrame
        Columns of `tables.VERDICTS_TABLE`.
    """
    return [
        ScoreRow(
            str(study),
            str(score),
            "; ".join(rows["reported"]),
            of_runs(*rows.iloc[0][["mean", "sd", "n_networks"]]),
            interval(*rows.iloc[0][["prediction_low", "prediction_high"]], "score"),
            _joined(rows["rank"]) or "–",
            _joined(rows["verdict"]),
        )
        for (study, score), rows in verdicts.groupby(["study", "score"], sort=False)
    ]


def _joined(texts: pd.Series) -> str:
    """Join what is said of paper and saved run, once if it is the same."""
    return "; ".join(dict.fromkeys(texts))


def value_rows(verdicts: pd.DataFrame, margins: dict[str, float]) -> list[list[object]]:
    """Write each reported value of a study in a row, with everything that its verdict rests on.

    Parameters
    ----------
    verdicts : DataFrame
        Columns of `tables.VERDICTS_TABLE`, of one study.
    margins : dict of str to float
        Margin of interest of each score.
    """
    return [
        [
            row.score,
            row.source,
            row.reported,
            of_runs(row.mean, row.sd, row.n_networks),
            interval(row.prediction_low, row.prediction_high, "score"),
            row.rank or "–",
            p_value(row.p_holm),
            fixed(row.smallest_deviation),
            number(margins[row.score]),
            row.verdict,
        ]
        for row in verdicts.itertuples()
    ]


def notes(verdicts: pd.DataFrame) -> list[str]:
    """List, for each score, the value of every run and what else is to be said.

    Parameters
    ----------
    verdicts : DataFrame
        Columns of `tables.VERDICTS_TABLE`, of one study.
    """
    listed = []
    for row in verdicts.drop_duplicates("score").itertuples():
        runs = [f"runs {row.seed_values.replace(' ', ', ')}"] if row.seed_values else []
        listed.append(f"{row.score}: {'; '.join([*runs, *filter(None, [row.note])])}")
    return listed


def identity_rows(identities: pd.DataFrame) -> list[list[object]]:
    """Write each identity in a row with a cell for each title of `IDENTITIES_HEADER`.

    Parameters
    ----------
    identities : DataFrame
        Columns of `tables.IDENTITIES_TABLE`.
    """
    return [
        [
            row.study,
            row.what,
            _counts(row.reported),
            _counts(row.ours) or "–",
            row.outcome + (f": {row.note}" if row.note and row.outcome != "as reported" else ""),
        ]
        for row in identities.itertuples()
    ]


def loss_rows(losses: pd.DataFrame) -> list[list[object]]:
    """Write each reported loss in a row with a cell for each title of `LOSSES_HEADER`.

    Parameters
    ----------
    losses : DataFrame
        Columns of `reported_losses.REPORTED_LOSSES_TABLE`.
    """
    return [
        [
            row.study,
            row.what,
            row.reported,
            of_runs(row.mean, row.sd, row.n_networks, LOSS_DIGITS),
            _loss_interval(row.prediction_low, row.prediction_high),
            row.rank or "–",
            row.verdict,
        ]
        for row in losses.itertuples()
    ]


def _loss_interval(low: float, high: float) -> str:
    ends = (fixed(end, LOSS_DIGITS) for end in (low, high))
    return "–" if math.isnan(low) else "\u00a0to\u00a0".join(ends)


def _counts(text: str) -> str:
    return ", ".join(f"{int(count):,}" for count in text.split())
