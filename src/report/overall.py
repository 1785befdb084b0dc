"""What abstract and discussion say: counts over all studies and leaderboards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from report import board_sections, sections
from report.board_sections import best_first
from report.markdown import duration, escape, fixed
from report.reproduction import CONTRADICTED
from report.tally import BestOfKind, best_of_each_kind, tally_identities, tally_scores
from report.verdict_rows import IDENTITIES_HEADER, identity_rows
from utils import config

if TYPE_CHECKING:
    from report.collect import Results
    from report.published import Published
    from report.sections import StudyView


@dataclass(frozen=True)
class BestMethods:
    """The best methods of a leaderboard, by what has to be trained."""

    title: str
    kinds: list[BestOfKind]


def context(
    results: Results,
    views: Sequence[StudyView],
    published: Published | None,
    out: Path,
) -> dict[str, Any]:
    """Gather what abstract and discussion say: counts over all studies and leaderboards.

    A reduced run tests nothing; the verdicts are then those of the published run, if there is one.
    """
    is_reduced = results.profile.reduced
    judged, counted = results.verdicts, results.identities
    if is_reduced:
        judged, counted = (published.verdicts, published.identities) if published else (None, None)
    if judged is not None:
        judged, counted = (of[of["study"].isin(results.studies)] for of in (judged, counted))
    confidence = config.load_verdict_rule().confidence
    claims = [tested for view in views for tested in view.claims]
    metrics = published.metrics if is_reduced and published else results.metrics
    baselines = [sections.baseline_of(metrics, study) for study in results.studies.values()]
    boards_are_published = bool(is_reduced and published and published.boards)
    best_methods = [
        BestMethods(board.title, kinds)
        for name, board in results.boards.items()
        if (kinds := best_of_each_kind(best_first(name, published, out, boards_are_published)))
    ]
    spreads = [(view.study.study, *ari) for view in views if (ari := view.ari_spread)]
    return {
        "tally": None if judged is None else tally_scores(judged, confidence),
        "tally_is_published": is_reduced,
        "identity_counts": None if counted is None else tally_identities(counted),
        "identities_header": IDENTITIES_HEADER,
        "contradicted": CONTRADICTED,
        "identity_rows": [] if counted is None else identity_rows(counted),
        "claim_counts": Counter(tested.outcome for tested in claims if not tested.claim.substitute),
        "claim_rows": _claim_rows(views, substitute=False),
        "substitute_rows": _claim_rows(views, substitute=True),
        "baseline_counts": Counter(found.outcome for found in baselines if found),
        "best_methods": best_methods,
        "boards_are_published": boards_are_published,
        "kind_rows": [_kind_row(best.title, one) for best in best_methods for one in best.kinds],
        "spread_rows": [[name, fixed(a, 3), fixed(b, 3)] for name, a, b in spreads],
        "wider_by_network": sum(networks > starts for _, networks, starts in spreads),
        "longest": max(results.notebooks, key=lambda run: run.manifest.seconds, default=None),
    }


def _kind_row(title: str, best: BestOfKind) -> list[object]:
    row = best.row
    scores = [board_sections.score_and_interval(row, score) for score in ("acc", "ari")]
    return [title, best.kind, board_sections.method_name(row), *scores, duration(row.seconds)]


def _claim_rows(views: Sequence[StudyView], substitute: bool) -> list[list[object]]:
    """List the claims in words, or those on a substitute, each with a link to its test."""
    return [
        [
            view.study.study,
            _link(tested.claim.text, sections.claim_id(view.study.study, number)),
            tested.claim.source,
            tested.outcome,
        ]
        for view in views
        for number, tested in enumerate(view.claims, start=1)
        if tested.claim.substitute == substitute
    ]


def _link(text: str, anchor: str) -> Markup:
    return Markup(f"[“{escape(text)}”](#{anchor})")
