"""What the article shows of each study."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import maps, study_tables, verdict_rows
from report.comparisons import (
    compare,
    rank_representations,
)
from report.markdown import fixed, in_words, interval, number, of_kind
from report.notebook_parts import (
    EXTERNAL,
    INTERNAL,
    KNOWN_NOTEBOOKS,
    METRICS,
    FigureView,
    Page,
    own_figure,
    page_of,
    shown_once,
)
from report.reproduction import sensitivity
from report.score_tables import score_rows
from report.variances import of_protocol
from utils import config

if TYPE_CHECKING:
    import pandas as pd

    from report.claims import TestedClaim
    from report.collect import NotebookRun, Results
    from report.comparisons import Comparison, Ranking
    from report.published import Published


@dataclass(frozen=True)
class StudyView:
    """One study's section."""

    study: config.Study
    not_run: str | None
    data: dict[str, Any] | None = None
    pages: dict[str, Page | None] = field(default_factory=dict)
    further_pages: list[Page] = field(default_factory=list)
    choices: list[list[object]] = field(default_factory=list)
    verdict_rows: list[list[object]] = field(default_factory=list)
    verdict_notes: list[str] = field(default_factory=list)
    forest: FigureView | None = None
    external_names: list[str] = field(default_factory=list)
    internal_names: list[str] = field(default_factory=list)
    scores: list[list[object]] = field(default_factory=list)
    internal: list[list[object]] = field(default_factory=list)
    protocol: list[list[object]] = field(default_factory=list)
    beside: list[list[object]] = field(default_factory=list)
    ranking: Ranking | None = None
    ranking_rows: list[list[object]] = field(default_factory=list)
    claims: list[TestedClaim] = field(default_factory=list)
    claims_are_published: bool = False
    sensitivity: list[list[object]] = field(default_factory=list)
    spreads: list[list[object]] = field(default_factory=list)
    losses: list[list[object]] = field(default_factory=list)
    atlas_points: int = 0

    @property
    def all_pages(self) -> list[Page]:
        """Pages of all notebooks, in their order."""
        return [page for page in self.pages.values() if page]

    @property
    def figure_ids(self) -> dict[str, str]:
        """Identifier of each figure by its name in its notebook."""
        shown = {item.name: item.id for page in self.all_pages for item in page.figures}
        return shown | {
            name: first.id for page in self.all_pages for name, first in page.repeats.items()
        }

    def with_each_figure_once(self, out: Path, seen: dict[str, FigureView]) -> StudyView:
        """Leave out figures that an earlier study has shown; see `notebook_parts.shown_once`."""
        pages: dict[str, Page | None] = defaultdict(lambda: None)
        for name, page in self.pages.items():
            pages[name] = shown_once(page, out, seen) if page else None
        return replace(self, pages=pages)


def study_view(
    results: Results, name: str, out: Path, published: Published | None = None
) -> StudyView:
    """Gather what the section of the study `name` shows; `out` holds the copied figures.

    A reduced run tests no claim; the outcomes are then those of the published run, if it has any.
    """
    study = results.studies[name]
    if name in results.not_run:
        return StudyView(study, results.not_run[name])
    pages: dict[str, Page | None] = defaultdict(lambda: None)
    for run in results.first_runs(name):
        pages[run.notebook] = page_of(results, run, out)
    own = results.verdicts[results.verdicts["study"] == name]
    margins = {reported.score: reported.margin for reported in study.reported}
    external, internal = score_rows(results.metrics, name)
    use_published = results.profile.reduced and published is not None
    claims = published.tested_claims.get(name, []) if use_published else []
    ranking = _ranking(results.metrics, study)
    return StudyView(
        study=study,
        not_run=None,
        data=results.data[name],
        pages=pages,
        further_pages=[page for key, page in pages.items() if page and key not in KNOWN_NOTEBOOKS],
        choices=[[choice.topic, choice.paper, choice.run, choice.why] for choice in study.choices],
        verdict_rows=verdict_rows.value_rows(own, margins),
        verdict_notes=[in_words(note) for note in verdict_rows.notes(own)],
        forest=_forest_view(study, own, out),
        atlas_points=maps.n_points(results, name),
        external_names=list(EXTERNAL.values()),
        internal_names=list(INTERNAL.values()),
        scores=external,
        internal=internal,
        protocol=study_tables.protocol_rows(study, pages),
        beside=study_tables.beside_rows(_beside(results.metrics, study, results.starts)),
        ranking=ranking,
        ranking_rows=study_tables.ranking_rows(ranking),
        claims=claims or results.tested_claims[name],
        claims_are_published=bool(claims),
        sensitivity=_sensitivity_rows(results, study),
        spreads=_spread_rows(results, study),
        losses=_loss_rows(results, name),
    )


def _sensitivity_rows(results: Results, study: config.Study) -> list[list[object]]:
    return [
        [
            variant,
            reported.score,
            "; ".join(source.value for source in reported.sources),
            _mean_of(as_run),
            _mean_of(varied),
            number(len(varied)),
        ]
        for variant, reported, as_run, varied in sensitivity(results.metrics, study)
    ]


def _mean_of(values: dict[int, float]) -> str:
    return fixed(sum(values.values()) / len(values)) if values else "–"


def _spread_rows(results: Results, study: config.Study) -> list[list[object]]:
    return [
        [
            METRICS[row.metric],
            fixed(row.sd_networks),
            interval(row.sd_networks_low, row.sd_networks_high, "score"),
            fixed(row.sd_starts),
            interval(row.sd_starts_low, row.sd_starts_high, "score"),
            of_kind(row.share_networks, "share"),
            interval(row.share_low, row.share_high, "share"),
            number(row.n_networks),
        ]
        for row in of_protocol(results.variances, study)
    ]


def _loss_rows(results: Results, study: str) -> list[list[object]]:
    """Write the losses of a study; their source stands in the place of the study's name."""
    own = results.reported_losses[results.reported_losses["study"] == study]
    rows = verdict_rows.loss_rows(own)
    return [[row[1], source, *row[2:]] for source, row in zip(own["source"], rows, strict=True)]


def _ranking(metrics: pd.DataFrame, study: config.Study) -> Ranking | None:
    frozen = _frozen(metrics, study)
    if not frozen:
        return None
    return rank_representations(metrics, study, _largest(metrics, study.study, frozen[0]))


def _frozen(metrics: pd.DataFrame, study: config.Study) -> list[str]:
    """List the representations of frozen networks."""
    names = metrics.loc[metrics["study"] == study.study, "representation"].unique()
    return [name for name in names if name != "pixels" and not name.startswith("autoencoder")]


def _forest_view(study: config.Study, verdicts: pd.DataFrame, out: Path) -> FigureView | None:
    stem = f"{study.study}-forest"
    if not (out / "figures" / f"{stem}.svg").is_file():
        return None
    values = "; ".join(
        f"{row.score}: reported {row.reported}, ours {row.ours}, interval {row.interval}"
        for row in verdict_rows.score_rows(verdicts)
    )
    return own_figure(
        out,
        stem,
        caption=(
            "Reported scores and ours, each on its own axis. The shaded span is the 95 % "
            "prediction interval for one more run, or the envelope of those of all fillings of "
            "what the paper leaves open: in a full run, a reported value beyond it is too high or "
            "too low"
        ),
        alt=f"Reported values, our runs, and the prediction interval for one more. {values}",
    )


def _largest(metrics: pd.DataFrame, study: str, representation: str) -> int | None:
    rows = metrics[(metrics["study"] == study) & (metrics["representation"] == representation)]
    return None if rows.empty else int(rows["n"].max())


def baseline_of(
    metrics: pd.DataFrame, study: config.Study, starts: pd.DataFrame
) -> Comparison | None:
    """Compare k-means on the code with k-means on raw pixels, by the adjusted Rand index."""
    n = _largest(metrics, study.study, "autoencoder")
    if n is None:
        return None
    ours = ("autoencoder", study.space.label, "kmeans")
    return compare(metrics, study, ours, ("pixels", "raw", "kmeans"), "ari", n, starts)


def _beside(
    metrics: pd.DataFrame, study: config.Study, starts: pd.DataFrame
) -> list[study_tables.Beside]:
    """Compare k-means on the code with k-means on the pixels and on frozen networks' features."""
    ours = ("autoencoder", study.space.label, "kmeans")
    found = []
    for name in ("pixels", *_frozen(metrics, study)):
        largest_of = "autoencoder" if name == "pixels" else name
        n, other = _largest(metrics, study.study, largest_of), (name, "raw", "kmeans")
        if n is None:
            continue
        external = compare(metrics, study, ours, other, "ari", n, starts)
        internal = compare(metrics, study, ours, other, "silhouette", n, starts)
        if external is not None:
            found.append(study_tables.Beside(name, n, external, internal))
    return found


def claim_id(study: str, number: int) -> str:
    """Return the identifier of the place where a claim of a study is tested."""
    return f"claim-{study}-{number}"


def notes_of(results: Results) -> list[dict[str, str]]:
    """List each note once, with the notebooks and seeds that left it."""
    origins: dict[str, list[NotebookRun]] = defaultdict(list)
    for run in results.notebooks:
        for note in run.manifest.notes:
            origins[note].append(run)
    listed = []
    for text, runs in origins.items():
        studies = ", ".join(dict.fromkeys(run.study for run in runs))
        notebooks = ", ".join(dict.fromkeys(run.notebook for run in runs))
        seeds = ", ".join(dict.fromkeys(str(run.seed) for run in runs))
        listed.append({"text": in_words(text), "origin": f"{studies}; {notebooks}; seed {seeds}"})
    return listed
