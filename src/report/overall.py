"""What abstract and discussion say: counts over all studies and leaderboards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from report import board_sections, provenance, sections
from report.board_sections import best_first
from report.markdown import duration, escape, fixed, interval, of_kind
from report.reproduction import CONTRADICTED
from report.tally import BestOfKind, best_of_each_kind, tally_identities, tally_scores
from report.variances import of_protocol
from report.verdict_rows import IDENTITIES_HEADER, identity_rows
from utils import config
from utils.store.tables import STARTS_TABLE

if TYPE_CHECKING:
    import pandas as pd

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

    A reduced run tests nothing; verdicts and claims are then those of the published run, if there
    is one, and claims as far as it has the counts that they are tested on.
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
    starts = published.evidence[STARTS_TABLE.file] if is_reduced and published else results.starts
    baselines = [sections.baseline_of(metrics, study, starts) for study in results.studies.values()]
    boards_are_published = bool(is_reduced and published and published.boards)
    best_methods = [
        BestMethods(board.title, kinds)
        for name, board in results.boards.items()
        if (kinds := best_of_each_kind(best_first(name, published, out, boards_are_published)))
    ]
    # A reduced run has few networks; the starts of the published run, if it has any, say more.
    use_published = is_reduced and published is not None and not published.variances.empty
    compared = spreads(
        published.variances if use_published else results.variances, results.studies.values()
    )
    return {
        "tally": None if judged is None else tally_scores(judged, confidence),
        "tally_is_published": is_reduced,
        "identity_counts": None if counted is None else tally_identities(counted),
        "identities_header": IDENTITIES_HEADER,
        "contradicted": CONTRADICTED,
        "identity_rows": [] if counted is None else identity_rows(counted),
        "claim_counts": Counter(tested.outcome for tested in claims if not tested.claim.substitute),
        "claims_are_published": any(view.claims_are_published for view in views),
        "claim_rows": _claim_rows(views, substitute=False),
        "substitute_rows": _claim_rows(views, substitute=True),
        "baseline_counts": Counter(found.outcome for found in baselines if found),
        "best_methods": best_methods,
        "boards_are_published": boards_are_published,
        "kind_rows": [_kind_row(best.title, one) for best in best_methods for one in best.kinds],
        "spread_rows": [spread.cells for spread in compared],
        "spread_counts": Counter(spread.wider for spread in compared),
        "spreads_are_published": use_published,
        "longest": _longest(results, published),
        "longest_is_published": is_reduced,
    }


def _longest(results: Results, published: Published | None) -> dict[str, Any] | None:
    """Return the longest notebook at full scale, as in `provenance.durations`.

    A reduced run says nothing of the time that a study takes: the published run does, with its
    parts on the studies and leaderboards of this run.
    """
    found = provenance.durations(results)
    if results.profile.reduced:
        records = [] if published is None else [published.record]
        records += [part for record in records for part in record.get("earlier", [])]
        listed = [run for record in records for run in record.get("notebooks", [])]
        found = [run for run in listed if run["study"] in results.topics]
    return max(found, key=lambda run: run["seconds"], default=None)


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a study's ARI, and the networks' share of its variance."""

    study: str
    networks: float
    starts: float
    share: tuple[float, float, float]  # with the ends of its interval
    n_networks: int

    @property
    def wider(self) -> Literal["networks", "starts", "undecided"]:
        """Which of the two differ more, if the interval of the share excludes one half."""
        _, low, high = self.share
        if low > 0.5:
            return "networks"
        return "starts" if high < 0.5 else "undecided"

    @property
    def cells(self) -> list[object]:
        """The row of a table."""
        share, low, high = self.share
        return [
            self.study,
            fixed(self.networks),
            fixed(self.starts),
            of_kind(share, "share"),
            interval(low, high, "share"),
            str(self.n_networks),
        ]


def spreads(variances: pd.DataFrame, studies: Iterable[config.Study]) -> list[Spread]:
    """Compare networks with starts of k-means, for each study with several networks.

    Parameters
    ----------
    variances : DataFrame
        Columns of `variances.VARIANCES_TABLE`.
    studies : iterable of Study
    """
    return [
        Spread(
            study.study,
            row.sd_networks,
            row.sd_starts,
            (row.share_networks, row.share_low, row.share_high),
            row.n_networks,
        )
        for study in studies
        for row in of_protocol(variances, study)
        if row.metric == "ari"
    ]


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
