"""What a run says of itself beside the full-scale evidence: a check of the software."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from report import soundness
from report.markdown import escape, fixed
from report.study_names import short_name
from utils.store.tables import FAILED

if TYPE_CHECKING:
    from report.collect import Results
    from report.published import Published


@dataclass(frozen=True)
class SoftwareCheck:
    """Whether a run did all that it should, and what looks wrong in it.

    Attributes
    ----------
    problems : list of str
        What is missing or inconsistent; without any the check has passed.
    warnings : list of str
        What looks wrong in the trainings, see `soundness.warnings_of`.
    rows : list of list of str
        Study, score, this run's mean (or "failed"), set apart, and that of the full-scale run.
    """

    problems: list[str]
    warnings: list[str]
    rows: list[list[str]]


def check(results: Results, fullest: Published) -> SoftwareCheck:
    """Check a run, and set its scores beside the means of the full-scale run."""
    not_run = [
        f"{short_name(name)} was not run: {reason}." for name, reason in results.not_run.items()
    ]
    trainings = soundness.Trainings.of(results.metrics, results.evidence)
    return SoftwareCheck(
        not_run + [f"{gap}." for gap in results.gaps],
        soundness.warnings_of(trainings, results.studies.values()),
        _rows(results, fullest),
    )


def _rows(results: Results, fullest: Published) -> list[list[str]]:
    full = fullest.verdicts.drop_duplicates(["study", "score"])
    own = results.verdicts.drop_duplicates(["study", "score"])
    means = full.set_index(["study", "score"])["mean"]
    return [
        [
            short_name(row.study),
            row.score,
            _aside(FAILED if row.verdict == FAILED else fixed(row.mean)),
            fixed(means.get((row.study, row.score), float("nan"))),
        ]
        for row in own.sort_values("study", kind="stable").itertuples()
    ]


def _aside(text: str) -> Markup:
    """Set apart what counts for nothing: page and PDF have it in grey."""
    return Markup(f"[{escape(text)}]{{.aside}}")
