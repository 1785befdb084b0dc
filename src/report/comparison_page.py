"""The comparison of two reports in words, for the terminal and as a page."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import run_comparison
from report.markdown import fixed, of_runs
from report.run_comparison import DIGITS, OUTCOMES, Run
from utils.config.metrics_table import METRICS
from utils.store.files import atomic_path, temporary_place

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 10
# In the order in which the scores are shown.
ORDER = ("moved", "not judged", "within the spread", "same")
MOVES_HEADER = ["Method", "B − A", "In sd", "Outcome", "A", "B"]


@dataclass(frozen=True)
class Comparison:
    """Two reports beside each other.

    Attributes
    ----------
    a, b : Run
    confidence : float
        Of the intervals, in (0, 1).
    """

    a: Run
    b: Run
    confidence: float

    @cached_property
    def scores(self) -> pd.DataFrame:
        """What `run_comparison.scores` returns, by outcome."""
        found = run_comparison.scores(self.a, self.b, self.confidence)
        return found.sort_values("outcome", key=lambda of: of.map(ORDER.index), kind="stable")

    @cached_property
    def differing(self) -> list[run_comparison.Differing]:
        """What differs behind the scores."""
        return run_comparison.differences(self.a, self.b)

    @property
    def alike(self) -> list[str]:
        """The kinds of which nothing differs."""
        return run_comparison.alike(self.differing)

    @property
    def described(self) -> list[str]:
        """A line on each report."""
        return [f"{side}: {_described(run)}" for side, run in (("A", self.a), ("B", self.b))]

    @property
    def notices(self) -> list[str]:
        """What a reader must know before the scores."""
        names = [run.record["profile"]["profile"] for run in (self.a, self.b)]
        reduced = [run.record["profile"]["reduced"] for run in (self.a, self.b)]
        said = []
        if reduced[0] != reduced[1]:
            said.append(
                f"The profiles differ ({names[0]}, {names[1]}): a reduced run checks the software, "
                "and its scores are expected to differ from those of the published scale."
            )
        said += [
            f"Report {side} has parts of {len(run.record['earlier']) + 1} runs; libraries, machine "
            "and settings are those of the latest."
            for side, run in (("A", self.a), ("B", self.b))
            if run.record.get("earlier")
        ]
        return said

    @property
    def summary(self) -> list[str]:
        """How many scores were compared and how many moved, in sentences."""
        counts = self.scores["outcome"].value_counts()
        moved, within, same, unjudged = (int(counts.get(name, 0)) for name in OUTCOMES)
        if self.scores.empty:
            said = ["No score is in both reports."]
        else:
            said = [
                f"{len(self.scores):,} scores are in both reports. Moved beyond the seeds' spread: "
                f"{moved:,}; within it: {within:,}; the same: {same:,}; not judged, since one seed "
                f"in each report shows no spread: {unjudged:,}."
            ]
        if moved + within:
            by_chance = (1 - self.confidence) * (moved + within)
            said.append(
                f"By chance alone, about {by_chance:.0f} of {moved + within:,} would have moved "
                f"({100 * self.confidence:g} % intervals)."
            )
        for side, run, other in (("A", self.a, self.b), ("B", self.b, self.a)):
            if only := run_comparison.only_in(run, other):
                parts = ", ".join(f"{study} {count:,}" for study, count in only.items())
                said.append(f"Only report {side} has {sum(only.values()):,} scores ({parts}).")
        return said

    @property
    def moves(self) -> list[list[str]]:
        """The largest moves of the adjusted Rand index, a cell for each title of `MOVES_HEADER`."""
        rows = run_comparison.largest_moves(self.scores, LARGEST)
        return [
            [_method(row), _signed(row), _in_sds(row), row.outcome, *_means(row)]
            for row in rows.itertuples()
        ]

    @property
    def header(self) -> list[str]:
        """Titles of the columns of `rows`."""
        interval = f"{100 * self.confidence:g} % interval"
        method, *others = MOVES_HEADER
        return [method, "Score", *others, "Images", interval]

    @property
    def moved(self) -> list[list[str]]:
        """Those of `rows` that moved."""
        return self.rows[: (self.scores["outcome"] == ORDER[0]).sum()]

    @property
    def rows(self) -> list[list[str]]:
        """All scores that both reports have, a cell for each title of `header`."""
        return [
            [
                _method(row),
                METRICS[row.metric].short if row.metric in METRICS else row.metric,
                _signed(row),
                _in_sds(row),
                row.outcome,
                *_means(row),
                f"{row.n_a:,}" if row.n_a == row.n_b else f"{row.n_a:,} and {row.n_b:,}",
                "–" if math.isnan(row.low) else f"{_number(row.low)} to {_number(row.high)}",
            ]
            for row in self.scores.itertuples()
        ]


def _described(run: Run) -> str:
    record = run.record
    commit = f"commit {record['commit'][:7]}" if record["commit"] else "of no commit"
    changed = ", with uncommitted changes" if record["dirty"] else ""
    seeds = max(map(len, run.seeds.values()), default=0)
    return (
        f"{run.name}: profile {record['profile']['profile']}, built {record['made'][:10]}, "
        f"{commit}{changed}, {', '.join(run.seeds)}; at most {seeds} "
        f"seed{'' if seeds == 1 else 's'}"
    )


def _method(row: Any) -> str:
    return f"{row.study}: {row.representation} / {row.space} / {row.clusterer}"


def _means(row: Any) -> tuple[str, str]:
    digits = _digits(max(abs(row.mean_a), abs(row.mean_b)))
    return (
        of_runs(row.mean_a, row.sd_a, row.seeds_a, digits),
        of_runs(row.mean_b, row.sd_b, row.seeds_b, digits),
    )


def _signed(row: Any) -> str:
    digits = _digits(max(abs(row.mean_a), abs(row.mean_b)))
    return f"{row.difference:+.{digits}f}".replace("-", "−")


def _in_sds(row: Any) -> str:
    return f"{abs(row.difference) / row.sd:.1f}" if row.sd > 0 else "–"


def _number(value: float) -> str:
    return fixed(value, _digits(abs(value))).replace("-", "−")


def _digits(size: float) -> int:
    return 1 if size >= 100 else 4


def write(compared: Comparison, target: Path) -> None:
    """Write the comparison as one HTML page, which needs no other file."""
    from report.pages import write_html
    from report.templates import render
    from report.web_pages import WebPage

    text = render(
        "comparison.md.j2",
        {
            "names": [compared.a.name, compared.b.name],
            "described": compared.described,
            "notices": compared.notices,
            "summary": compared.summary,
            "moves_header": MOVES_HEADER,
            "moves": compared.moves,
            "header": compared.header,
            "rows": compared.rows,
            "digits": DIGITS,
            "differing": compared.differing,
            "alike": compared.alike,
        },
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_place(target.parent) as folder:
        folder.mkdir()
        write_html(WebPage("comparison", text), folder)
        with atomic_path(target) as temporary:
            shutil.copyfile(folder / "comparison.html", temporary)


def in_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the cells of a table as lines of text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
