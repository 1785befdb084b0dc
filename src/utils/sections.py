"""What the sections of the article show: rows, figures and words of each study and of the run."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import config
from utils.markdown import amount, cell, code, duration, each, escape, fixed, number
from utils.names import NAMES, describe

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from utils.claims import TestedClaim
    from utils.comparisons import Comparison, Ranking
    from utils.published import Published
    from utils.results import NotebookRun, Results, Table

# What a cell of a notebook's page is called, before its number.
CELL = "cell-"
# Bytes; a larger drawing, of very many points, is embedded as a picture if that is smaller.
LARGEST_SVG = 600_000
EXTERNAL = {"ari": "ARI", "nmi": "NMI", "ami": "AMI", "acc": "ACC", "purity": "Purity"}
INTERNAL = {
    "homogeneity": "Homog.",
    "completeness": "Compl.",
    "v_measure": "V",
    "silhouette": "Silhouette",
    "davies_bouldin": "Dav.-Bouldin",
    "calinski_harabasz": "Cal.-Harabasz",
}
METRICS = EXTERNAL | INTERNAL
KNOWN_NOTEBOOKS = (
    "01_baseline_kmeans",
    "02_train_autoencoder",
    "03_latent_clustering",
    "04_pretrained_comparison",
)
# A wider and shorter table is turned on its side.
MOST_COLUMNS = 8
# The history of the loss is drawn; its table stands in the notebook's own page.
LEFT_OUT = {("02_train_autoencoder", "history")}


@dataclass(frozen=True)
class FigureView:
    """A figure of the article; `file` is relative to the report's folder."""

    id: str
    name: str
    caption: str
    alt: str
    file: str
    origin: Markup


@dataclass(frozen=True)
class TableView:
    """A table of the article."""

    id: str
    name: str
    caption: str
    header: list[str]
    rows: list[list[object]]
    origin: Markup


@dataclass(frozen=True)
class Page:
    """What one notebook left; `facts` maps a name to the value of each seed."""

    notebook: str
    title: str
    anchor: str
    link: Markup
    figures: list[FigureView]
    tables: list[TableView]
    facts: dict[str, dict[int, Any] | None]
    fact_rows: list[list[object]]


@dataclass(frozen=True)
class Pretrained:
    """The autoencoder beside a frozen network on the same images."""

    representation: str
    external: Comparison
    internal: Comparison | None

    @property
    def contradiction(self) -> bool:
        """Whether labels and silhouette put the two in opposite order."""
        if self.internal is None:
            return False
        return {self.external.outcome, self.internal.outcome} == {"better", "worse"}


@dataclass(frozen=True)
class Verdict:
    """One reported figure beside ours, as text."""

    figure: str
    reported: str
    mean: str
    verdict: str


@dataclass(frozen=True)
class StudyView:
    """One study's section."""

    study: config.Study
    not_run: str | None
    data: dict[str, Any] | None = None
    pages: dict[str, Page | None] = field(default_factory=dict)
    further_pages: list[Page] = field(default_factory=list)
    choices: list[list[object]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    verdict_rows: list[list[object]] = field(default_factory=list)
    verdict_notes: list[str] = field(default_factory=list)
    forest: FigureView | None = None
    counts: Counter[str] = field(default_factory=Counter)
    external_names: list[str] = field(default_factory=list)
    internal_names: list[str] = field(default_factory=list)
    scores: list[list[object]] = field(default_factory=list)
    internal: list[list[object]] = field(default_factory=list)
    baseline: Comparison | None = None
    pretrained: list[Pretrained] = field(default_factory=list)
    ranking: Ranking | None = None
    claims: list[TestedClaim] = field(default_factory=list)
    sensitivity: list[list[object]] = field(default_factory=list)
    spreads: list[list[object]] = field(default_factory=list)
    ari_spread: tuple[float, float] | None = None
    atlas_points: int = 0

    @property
    def all_pages(self) -> list[Page]:
        """Pages of all notebooks, in their order."""
        return [page for page in self.pages.values() if page]

    @property
    def figure_ids(self) -> dict[str, str]:
        """Identifier of each figure by its name in its notebook."""
        return {item.name: item.id for page in self.all_pages for item in page.figures}


def study_view(results: Results, name: str, verdict_table: pd.DataFrame, out: Path) -> StudyView:
    """Gather what the section of the study `name` shows; `out` holds the copied figures."""
    study = results.studies[name]
    if name in results.not_run:
        return StudyView(study, results.not_run[name])
    pages: dict[str, Page | None] = defaultdict(lambda: None)
    for run in results.first_runs(name):
        pages[run.notebook] = page_of(results, run, out)
    verdict_rows = verdict_table[verdict_table["study"] == name]
    verdicts = [
        Verdict(row.figure, amount(row.reported), amount(row.reproduced_mean), row.verdict)
        for row in verdict_rows.itertuples()
    ]
    external, internal = _score_rows(results.metrics, name)
    return StudyView(
        study=study,
        not_run=None,
        data=results.data[name],
        pages=pages,
        further_pages=[page for key, page in pages.items() if page and key not in KNOWN_NOTEBOOKS],
        choices=[[choice.topic, choice.paper, choice.run, choice.why] for choice in study.choices],
        verdicts=verdicts,
        verdict_rows=[
            [
                row.figure,
                figure.source,
                amount(row.reported),
                row.seed_values or "–",
                amount(row.reproduced_mean),
                _interval(row),
                number(figure.tolerance),
                row.verdict,
            ]
            for row, figure in zip(verdict_rows.itertuples(), study.reported, strict=True)
        ],
        verdict_notes=[
            f"{row.figure}: {row.note}" for row in verdict_rows.itertuples() if row.note
        ],
        forest=_forest_view(study, verdicts, out),
        atlas_points=_n_atlas_points(results, name),
        counts=Counter(verdict.verdict for verdict in verdicts),
        external_names=list(EXTERNAL.values()),
        internal_names=list(INTERNAL.values()),
        scores=external,
        internal=internal,
        baseline=baseline_of(results.metrics, study),
        pretrained=_pretrained(results.metrics, study),
        ranking=_ranking(results.metrics, study),
        claims=_claims(results, study),
        sensitivity=_sensitivity_rows(results, study),
        spreads=_spread_rows(results, study),
        ari_spread=_ari_spread(results, study),
    )


def _claims(results: Results, study: config.Study) -> list[TestedClaim]:
    from utils.claims import examine
    from utils.comparisons import fact_values, not_run_reason

    facts, name = results.facts, study.study
    return examine(
        study,
        results.metrics,
        results.confusion,
        lambda fact: fact_values(facts, name, fact),
        lambda clustered: not_run_reason(facts, name, clustered.representation),
    )


def _sensitivity_rows(results: Results, study: config.Study) -> list[list[object]]:
    from utils.comparisons import sensitivity

    return [
        [
            variant,
            figure.figure,
            amount(figure.value),
            _mean_of(as_run),
            _mean_of(varied),
            number(len(varied)),
        ]
        for variant, figure, as_run, varied in sensitivity(results.metrics, results.facts, study)
    ]


def _mean_of(values: dict[int, float]) -> str:
    return amount(sum(values.values()) / len(values)) if values else "–"


def _spread_rows(results: Results, study: config.Study) -> list[list[object]]:
    from utils.comparisons import spreads

    return [
        [METRICS[row.metric], fixed(row.networks), number(row.n_networks), fixed(row.clusterings)]
        for row in spreads(results.metrics, results.facts, study)
    ]


def _ari_spread(results: Results, study: config.Study) -> tuple[float, float] | None:
    """Return the standard deviation of the ARI over networks and over seeds of k-means."""
    from utils.comparisons import spreads

    found = [
        (row.networks, row.clusterings)
        for row in spreads(results.metrics, results.facts, study)
        if row.metric == "ari"
    ]
    return next((pair for pair in found if not any(map(math.isnan, pair))), None)


def _ranking(metrics: pd.DataFrame, study: config.Study) -> Ranking | None:
    from utils.comparisons import rank_representations

    frozen = _frozen(metrics, study)
    if not frozen:
        return None
    return rank_representations(metrics, study, _largest(metrics, study.study, frozen[0]))


def _frozen(metrics: pd.DataFrame, study: config.Study) -> list[str]:
    """List the representations of frozen networks."""
    names = metrics.loc[metrics["study"] == study.study, "representation"].unique()
    return [name for name in names if name != "pixels" and not name.startswith("autoencoder")]


def page_of(results: Results, run: NotebookRun, out: Path) -> Page:
    """Gather what the article shows of one notebook; `out` holds the copied figures."""
    from utils.results import figure_stems

    return page(run, figure_stems(results), _facts(results, run.study, run.notebook), out)


def page(
    run: NotebookRun,
    stems: Mapping[tuple[str, str, str], str],
    facts: dict[str, dict[int, Any] | None],
    out: Path,
) -> Page:
    """Gather what an article shows of one notebook.

    Parameters
    ----------
    run : NotebookRun
    stems : mapping of (str, str, str) to str
        Name of the copy of each figure, as from `results.figure_stems`.
    facts : dict of str to dict of int to value
        What the notebook recorded, for each seed.
    out : Path
        Folder of the report, which holds the copied figures.
    """
    from markupsafe import Markup

    link = Markup(f"[{escape(run.notebook)}]({notebook_href(run)})")
    anchor = f"{run.study}-{_slug(run.notebook)}"
    return Page(
        notebook=run.notebook,
        title=run.notebook.lstrip("0123456789_").replace("_", " ").capitalize(),
        anchor=anchor,
        link=link,
        figures=[
            FigureView(
                id=f"fig-{stems[run.study, run.notebook, figure.name]}",
                name=figure.name,
                caption=figure.caption,
                alt=figure.alt,
                file=_embedded_file(out, stems[run.study, run.notebook, figure.name]),
                origin=_origin(run, figure.cell),
            )
            for figure in run.manifest.figures
        ],
        tables=[
            _table_view(run, table, f"tbl-{anchor}-{position}", _origin(run, table.cell))
            for position, table in enumerate(run.manifest.tables)
            if (run.notebook, table.name) not in LEFT_OUT
        ],
        facts=facts,
        fact_rows=[[fact, each(values)] for fact, values in facts.items() if values],
    )


def _origin(run: NotebookRun, cell: int | None) -> Markup:
    """Say which seed and notebook made something, with a link to the cell."""
    from markupsafe import Markup

    text, place = escape(run.notebook), notebook_href(run)
    if cell is not None:
        text, place = text + f", cell {cell}", f"{place}#{CELL}{cell}"
    return Markup(f"*Seed {run.seed}, notebook* [{text}]({place}).")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name)


def notebook_href(run: NotebookRun) -> str:
    """Name the page of an executed notebook, as seen from the report."""
    return f"notebooks/{run.study}-{_slug(run.notebook)}.html"


def atlas_file(results: Results, name: str) -> Path | None:
    """Find the table of the interactive map of the study `name`, if it has one."""
    runs = results.first_runs(name)
    return next((run.folder / run.manifest.atlas for run in runs if run.manifest.atlas), None)


def _n_atlas_points(results: Results, name: str) -> int:
    from pyarrow import parquet

    file = atlas_file(results, name)
    return 0 if file is None else parquet.read_metadata(file).num_rows


def _forest_view(study: config.Study, verdicts: list[Verdict], out: Path) -> FigureView | None:
    stem = f"{study.study}-forest"
    if not (out / "figures" / f"{stem}.svg").is_file():
        return None
    said = "; ".join(f"{row.figure}: reported {row.reported}, ours {row.mean}" for row in verdicts)
    return own_figure(
        out,
        stem,
        caption=(
            "Reported scores and ours, each on an axis of its own. The shaded span is the interval "
            "over the seeds widened by the tolerance: in a full run a reported value within it "
            "counts as reproduced"
        ),
        alt=f"Reported values beside the means of this run. {said}",
    )


def own_figure(out: Path, stem: str, caption: str, alt: str) -> FigureView:
    """View a figure that the report drew itself, of no notebook."""
    from markupsafe import Markup

    return FigureView(f"fig-{stem}", stem, caption, alt, _embedded_file(out, stem), Markup(""))


def _embedded_file(out: Path, stem: str) -> str:
    """Choose the drawing, or the picture where there is no drawing or a large one."""
    svg, png = out / "figures" / f"{stem}.svg", out / "figures" / f"{stem}.png"
    sizes = {path: path.stat().st_size for path in (svg, png) if path.is_file()}
    if not sizes:
        raise config.UserError(f"figure {stem}: neither an SVG nor a PNG file was recorded")
    if sizes.get(svg, math.inf) > LARGEST_SVG:
        return f"figures/{min(sizes, key=sizes.get).name}"
    return f"figures/{svg.name}"


def _table_view(run: NotebookRun, table: Table, name: str, origin: Markup) -> TableView:
    import pandas as pd

    path = run.folder / table.csv
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise config.UserError(f"{path}: malformed ({error}): run the notebook again") from None
    header = [METRICS.get(column, column.replace("_", " ")) for column in frame.columns]
    lines = [header, *([cell(value) for value in row] for row in frame.itertuples(index=False))]
    if len(header) > max(MOST_COLUMNS, len(lines)):
        lines = [list(column) for column in zip(*lines, strict=True)]
    return TableView(name, table.name, table.caption, lines[0], lines[1:], origin)


def _facts(results: Results, study: str, notebook: str) -> dict[str, dict[int, Any] | None]:
    facts: dict[str, dict[int, Any] | None] = defaultdict(lambda: None)
    for run in results.notebooks:
        if (run.study, run.notebook) == (study, notebook):
            for name, value in run.manifest.facts.items():
                if value is not None:
                    facts[name] = {**(facts[name] or {}), run.seed: value}
    return facts


def _score_rows(metrics: pd.DataFrame, study: str) -> tuple[list, list]:
    """Return the rows of the table of external scores and of the table of all others."""
    from utils.comparisons import COMBINATION, summary

    external, internal = [], []
    rows = summary(metrics[metrics["study"] == study])
    for key, group in rows.groupby(list(COMBINATION), sort=False):
        _, representation, space, clusterer, n = key
        by_metric = {row.metric: row for row in group.itertuples()}
        name, images = describe(representation, space, clusterer), number(int(n))
        seeds = number(int(group["n_seeds"].max()))
        external.append([name, images, seeds, *_cells(by_metric, EXTERNAL)])
        internal.append([name, images, _clusters_found(group), *_cells(by_metric, INTERNAL)])
    return external, internal


def _clusters_found(group: pd.DataFrame) -> str:
    low, high = int(group["k_low"].min()), int(group["k_high"].max())
    found = number(low) if low == high else f"{low}–{high}"
    noise = group["noise"].max()
    return f"{found} ({100 * noise:.1f} % noise)" if noise > 0 else found


def _cells(by_metric: dict[str, Any], names: dict[str, str]) -> list[str]:
    return [_mean_and_sd(by_metric[key]) if key in by_metric else "–" for key in names]


def _mean_and_sd(row: Any) -> str:
    digits = 1 if abs(row.mean) >= 100 else 3
    spread = "" if math.isnan(row.sd) else f" ± {row.sd:.{digits}f}"
    return f"{row.mean:.{digits}f}{spread}"


def _largest(metrics: pd.DataFrame, study: str, representation: str) -> int | None:
    rows = metrics[(metrics["study"] == study) & (metrics["representation"] == representation)]
    return None if rows.empty else int(rows["n"].max())


def baseline_of(metrics: pd.DataFrame, study: config.Study) -> Comparison | None:
    """Compare k-means on the code with k-means on raw pixels, by the adjusted Rand index."""
    from utils.comparisons import compare

    n = _largest(metrics, study.study, "autoencoder")
    if n is None:
        return None
    ours = ("autoencoder", study.space.label, "kmeans")
    return compare(metrics, study.study, ours, ("pixels", "raw", "kmeans"), "ari", n)


def _pretrained(metrics: pd.DataFrame, study: config.Study) -> list[Pretrained]:
    """Compare k-means on the code with k-means on each frozen network's features."""
    from utils.comparisons import compare

    ours = ("autoencoder", study.space.label, "kmeans")
    found = []
    for name in _frozen(metrics, study):
        n, other = _largest(metrics, study.study, name), (name, "raw", "kmeans")
        external = compare(metrics, study.study, ours, other, "ari", n)
        internal = compare(metrics, study.study, ours, other, "silhouette", n)
        if external is not None:
            found.append(Pretrained(NAMES.get(name, name), external, internal))
    return found


def _interval(row: Any) -> str:
    if math.isnan(row.ci_low):
        return "–"
    return f"{amount(row.ci_low)}\u00a0to\u00a0{amount(row.ci_high)}"


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
        listed.append({"text": text, "origin": f"{studies}; {notebooks}; seed {seeds}"})
    return listed


def duration_rows(results: Results) -> list[list[object]]:
    """List how long every notebook took with each seed, and its largest memory."""
    rows = []
    for study in results.topics:
        for first in results.first_runs(study):
            runs = {
                run.seed: run.manifest
                for run in results.notebooks
                if (run.study, run.notebook) == (study, first.notebook)
            }
            times = [duration(runs[s].seconds) if s in runs else "–" for s in results.seeds]
            memory = [m.peak_memory_mb for m in runs.values() if m.peak_memory_mb is not None]
            peak = f"{number(round(max(memory)))} MB" if memory else "–"
            rows.append([study, first.notebook, ", ".join(times), peak])
    return rows


def provenance_rows(record: dict[str, Any]) -> list[list[object]]:
    """List what the record of a run says of its profile, commit, machine and versions."""
    made, commit, *machine = machine_rows(record)
    return [
        made,
        commit,
        ["Profile", f"{record['profile']['profile']}: {record['profile']['description']}"],
        ["Seeds", ", ".join(map(str, record["seeds"]))],
        *machine,
    ]


def machine_rows(record: dict[str, Any]) -> list[list[object]]:
    """List what the record of a run says of commit, machine and versions."""
    machine = record["hardware"]
    changes = "with changes that are not committed" if record["dirty"] else "no other changes"
    commit = record["commit"]
    return [
        ["Made", record["made"]],
        ["Commit", f"{commit} ({changes})" if commit else f"none: {record['commit_reason']}"],
        ["Time of all notebooks", duration(record["seconds"])],
        ["Processor", f"{machine['cpu']}, {machine['cores']} cores"],
        ["Memory", f"{machine['memory_gib']} GiB"],
        ["GPU", machine["gpu"] or "none"],
        ["System", machine["system"]],
        ["Versions", ", ".join(f"{name} {text}" for name, text in record["versions"].items())],
    ]


def hash_rows(results: Results) -> list[list[object]]:
    """List the hashes of each study's images and labels."""
    return [
        [study, part, code(data[key]) if data[key] else "–"]
        for study, data in results.data.items()
        for part, key in (("images", "images_sha256"), ("labels", "labels_sha256"))
    ]


def data_rows(results: Results) -> list[list[object]]:
    """List the data of each study: what it got, how much of it, and from where."""
    rows = []
    for study, data in results.data.items():
        used = results.metrics.loc[results.metrics["study"] == study, "n"].max()
        dataset = data["dataset"]
        if data["substituted"]:
            dataset = f"{dataset} (instead of {data['requested']})"
        images = number(int(used)) if used == used else "–"
        rows.append([study, dataset, images, data["source"], code(data["images_sha256"][:12])])
    return rows


def overview_rows(verdict_table: pd.DataFrame) -> list[list[object]]:
    """List every reported figure beside ours."""
    return [_figure_beside_ours(row) for row in verdict_table.itertuples()]


def _figure_beside_ours(row: Any) -> list[object]:
    numbers = [amount(row.reported), amount(row.reproduced_mean), _interval(row)]
    return [row.study, row.figure, *numbers, row.n_seeds, row.verdict]


def beside_published(
    verdict_table: pd.DataFrame, published: Published | None
) -> list[list[object]]:
    """Set this run's mean of each reported figure beside the published run's."""
    if published is None:
        return []
    ours = {(row.study, row.figure): row for row in verdict_table.itertuples()}
    both = [
        (row, ours[row.study, row.figure])
        for row in published.verdicts.itertuples()
        if (row.study, row.figure) in ours
    ]
    return [
        [*_figure_beside_ours(kept), amount(own.reproduced_mean), own.n_seeds] for kept, own in both
    ]
