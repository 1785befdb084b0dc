"""Results turned into one HTML page, one PDF and the executed notebooks as pages."""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import config
from utils.names import NAMES, describe, describe_parts

if TYPE_CHECKING:
    import jinja2
    import pandas as pd
    from markupsafe import Markup
    from nbformat import NotebookNode

    from utils.claims import TestedClaim
    from utils.comparisons import Comparison, Ranking
    from utils.published import Published
    from utils.results import NotebookRun, Results, Table
    from utils.summary import KindOfRow

# Which files of its folder are the report's.
FILES = ".files.json"
TEMPLATE = config.ROOT / "reports" / "template"
# Neither raw HTML nor raw TeX is read, so that no text of a run can become markup.
MARKDOWN = "markdown-raw_html-raw_tex-raw_attribute-smart"
# Places in page.html.
SCRIPTS, SCRIPT_HASHES = "<!-- scripts -->", "none-but-these"
# What a cell of a notebook's page is called, before its number.
CELL = "cell-"
# What nbconvert makes of a code cell, in a place that the report links to.
CELL_TEMPLATE = f"""{{% extends 'basic/index.html.j2' %}}
{{% block codecell %}}
<section id="{CELL}{{{{ cell.execution_count }}}}" aria-label="Cell {{{{ cell.execution_count }}}}">
{{{{ super() }}}}
</section>
{{% endblock codecell %}}
"""
# Bytes; a larger drawing, of very many points, is embedded as a picture if that is smaller.
LARGEST_SVG = 600_000
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]|[\ud800-\udfff]")
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
INDEX_NAMES = {
    "silhouette": "silhouette",
    "davies_bouldin": "Davies-Bouldin index",
    "calinski_harabasz": "Caliński-Harabasz index",
}
KNOWN_NOTEBOOKS = (
    "01_baseline_kmeans",
    "02_train_autoencoder",
    "03_latent_clustering",
    "04_pretrained_comparison",
)
# A wider and shorter table is turned on its side.
MOST_COLUMNS = 8
# Rows of a leaderboard in its section; all of them stand at the end.
TOP_ROWS = 12
KEPT_ROWS = 5
# The history of the loss is drawn; its table stands in the notebook's own page.
LEFT_OUT = {("02_train_autoencoder", "history")}


# --- text ------------------------------------------------------------------------------------


def escape(text: object) -> Markup:
    """Turn any text into pandoc Markdown that shows exactly this text on one line.

    Parameters
    ----------
    text : object
        Its ``str`` is used; what is Markdown already (`markupsafe.Markup`) stays as it is.

    Returns
    -------
    Markup
        Every ASCII punctuation mark has a backslash, white space is one space, and control
        characters, which neither output can hold, are left out.
    """
    from markupsafe import Markup

    if isinstance(text, Markup):
        return text
    plain = re.sub(r"[ \t-\r\u2028\u2029]+", " ", CONTROL.sub("", str(text)))
    return Markup(PUNCTUATION.sub(r"\\\1", plain))


def identifier(name: str) -> Markup:
    """Return a name that needs no escaping, such as a study's, as Markdown.

    Raises
    ------
    ValueError
        If it has other characters than letters, digits, hyphen, underscore, full stop and colon.
    """
    from markupsafe import Markup

    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", name):
        raise ValueError(f"not a plain name: {name!r}")
    return Markup(name)


def code(name: str) -> Markup:
    """Return a plain name, such as a hash, set as code."""
    from markupsafe import Markup

    return Markup(f"`{identifier(name)}`")


def fixed(value: float | None, digits: int = 4) -> str:
    """Format a score with a fixed number of decimals; a missing one is a dash."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def amount(figure: float) -> str:
    """Format a figure of a paper or ours: a count whole, a score with four decimals."""
    return f"{figure:,.0f}" if abs(figure) >= 100 or figure == 1 else fixed(figure)


def number(value: object) -> str:
    """Format a count with thousands separators, a real number with four significant digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def cell(text: str) -> str:
    """Format one cell of a table of strings: numbers as `number` does, names in full."""
    if re.fullmatch(r"-?\d{1,15}", text):
        return number(int(text))
    if re.fullmatch(r"-?\d+\.\d*(e[+-]?\d+)?", text):
        return number(float(text))
    return NAMES.get(text, text)


def each(values: dict[int, Any]) -> str:
    """Format one recorded fact: once if all seeds agree, else the value of each seed."""
    shown = {seed: NAMES.get(value, number(value)) for seed, value in values.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{value} (seed {seed})" for seed, value in shown.items())


def duration(seconds: float) -> str:
    """Format a duration in the unit that suits its size; an unknown one is a dash."""
    if math.isnan(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def words(items: Iterable[str]) -> Any:
    """Join items with commas and a last "and"; Markdown stays Markdown."""
    from markupsafe import Markup

    parts = [escape(item) for item in items]
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup(", ").join(parts[:-1]) + Markup(" and ") + parts[-1]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    """Return a pipe table; a column whose cells are all numbers is set to the right.

    Parameters
    ----------
    header : sequence of str
        Titles of the C columns.
    rows : sequence of sequence
        Cells, C in each row; what is not `Markup` is escaped.
    """
    from markupsafe import Markup

    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    rule = ["--:" if cells and all(map(_is_number, cells)) else ":--" for cells in columns]
    lines = [[escape(title) for title in header], rule]
    lines += [[escape(value) for value in row] for row in rows]
    return Markup("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _is_number(value: object) -> bool:
    return re.fullmatch(r"[-–]?[\d.,]*( ± [\d.]+)?( %)?(e[+-]?\d+)?", str(value)) is not None


class Numbering:
    """Numbers figures and tables in the order of their appearance.

    The article is rendered twice, because its text names a figure before that figure stands: the
    first pass learns the numbers, the second one uses them.
    """

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self._defined: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._learning = True

    def start_second_pass(self) -> None:
        """Count from one again, with every label known."""
        self._defined.clear()
        self._counts.clear()
        self._learning = False

    def define(self, kind: str, name: str) -> str:
        """Return the label of the next figure or table, for example ``Figure 3``.

        Raises
        ------
        ValueError
            If `name` has a label already.
        """
        if name in self._defined:
            raise ValueError(f"{name} is defined twice")
        self._defined.add(name)
        self._counts[kind] += 1
        self.labels[name] = f"{kind} {self._counts[kind]}"
        return self.labels[name]

    def ref(self, name: str) -> Markup:
        """Return a link to what `name` stands for; its text is the label.

        Raises
        ------
        KeyError
            If nothing of that name is in the article.
        """
        from markupsafe import Markup

        label = "?" if self._learning else self.labels[name]
        return Markup(f"[{label}](#{identifier(name)})")


# --- what the template sees --------------------------------------------------------------------


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


@dataclass(frozen=True)
class BestRows:
    """The best rows of a leaderboard, by what has to be trained."""

    title: str
    kinds: list[KindOfRow]


@dataclass(frozen=True)
class Goal:
    """What a leaderboard's best row was to reach by one score, and what it has."""

    score: str
    aim: float
    value: float

    @property
    def is_reached(self) -> bool:
        """Whether the score is at least what was aimed at."""
        return self.value >= self.aim


@dataclass(frozen=True)
class BoardView:
    """One leaderboard's section: rows of its tables, and what its sentences are chosen by.

    A row that a sentence names is a named tuple of the columns of `leaderboards.TABLES`.
    """

    name: str
    title: str
    n_clusters: int
    common_space: int
    internal_images: int
    n_rows: int = 0
    n_images: int = 0
    n_seeds: int = 0
    best: Any = None
    next: Any = None
    n_compared: int = 0
    n_beaten: int = 0
    top_rows: list[list[object]] = field(default_factory=list)
    difference_rows: list[list[object]] = field(default_factory=list)
    ranking_rows: list[list[object]] = field(default_factory=list)
    found_rows: list[list[object]] = field(default_factory=list)
    all_rows: list[list[object]] = field(default_factory=list)
    settings_rows: list[list[object]] = field(default_factory=list)
    picks: list[Any] = field(default_factory=list)
    front: list[Any] = field(default_factory=list)
    figure: FigureView | None = None
    n_found: int = 0
    n_right_k: int = 0
    best_found: Any = None
    best_given: Any = None
    recipes: list[Any] = field(default_factory=list)
    kept_rows: list[list[object]] = field(default_factory=list)
    aims: list[Goal] = field(default_factory=list)
    kept_aims: list[Goal] = field(default_factory=list)
    attempt_rows: list[list[object]] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    @property
    def is_one_seed(self) -> bool:
        """Whether no row has more than one seed."""
        return self.n_seeds == 1


def study_view(results: Results, name: str, verdict_table: pd.DataFrame, out: Path) -> StudyView:
    """Gather what the section of the study `name` shows; `out` holds the copied figures."""
    study = results.studies[name]
    if name in results.not_run:
        return StudyView(study, results.not_run[name])
    pages: dict[str, Page | None] = defaultdict(lambda: None)
    for run in results.first_runs(name):
        pages[run.notebook] = _page(results, run, out)
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
        baseline=_baseline(results.metrics, study),
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


def _page(results: Results, run: NotebookRun, out: Path) -> Page:
    from markupsafe import Markup

    from utils.results import figure_stems

    stems = figure_stems(results)
    link = Markup(f"[{escape(run.notebook)}]({_notebook_href(run)})")
    anchor = f"{run.study}-{_slug(run.notebook)}"
    facts = _facts(results, run.study, run.notebook)
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

    text, place = escape(run.notebook), _notebook_href(run)
    if cell is not None:
        text, place = text + f", cell {cell}", f"{place}#{CELL}{cell}"
    return Markup(f"*Seed {run.seed}, notebook* [{text}]({place}).")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name)


def _notebook_href(run: NotebookRun) -> str:
    return f"notebooks/{run.study}-{_slug(run.notebook)}.html"


def _atlas_file(results: Results, name: str) -> Path | None:
    """Find the table of the interactive map of the study `name`, if it has one."""
    runs = results.first_runs(name)
    return next((run.folder / run.manifest.atlas for run in runs if run.manifest.atlas), None)


def _n_atlas_points(results: Results, name: str) -> int:
    from pyarrow import parquet

    file = _atlas_file(results, name)
    return 0 if file is None else parquet.read_metadata(file).num_rows


def _atlas_plots(results: Results) -> dict[str, str]:
    """Return the plot of each interactive map as JSON, by the identifier of its place."""
    import pandas as pd

    from utils import atlas
    from utils.figures import class_colours

    plots = {}
    for name in results.studies:
        file = _atlas_file(results, name)
        if file is None:
            continue
        points = pd.read_parquet(file)
        groups = {
            "class": points["class"].cat.categories,
            "cluster": sorted(points["cluster"].unique()),
        }
        colours = {
            key: dict(zip(map(str, found), class_colours(len(found)), strict=True))
            for key, found in groups.items()
        }
        right, _, _, wrong = class_colours(4)
        colours["wrong"] = {"false": right, "true": wrong}
        plots[f"atlas-{name}"] = atlas.plot(points, colours)
    return plots


def _forest_view(study: config.Study, verdicts: list[Verdict], out: Path) -> FigureView | None:
    stem = f"{study.study}-forest"
    if not (out / "figures" / f"{stem}.svg").is_file():
        return None
    said = "; ".join(f"{row.figure}: reported {row.reported}, ours {row.mean}" for row in verdicts)
    return _own_figure(
        out,
        stem,
        caption=(
            "Reported scores and ours, each on an axis of its own. The shaded span is the interval "
            "over the seeds widened by the tolerance: in a full run a reported value within it "
            "counts as reproduced"
        ),
        alt=f"Reported values beside the means of this run. {said}",
    )


def _own_figure(out: Path, stem: str, caption: str, alt: str) -> FigureView:
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


def _baseline(metrics: pd.DataFrame, study: config.Study) -> Comparison | None:
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


def _notes(results: Results) -> list[dict[str, str]]:
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


def _duration_rows(results: Results) -> list[list[object]]:
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


def _provenance_rows(record: dict[str, Any]) -> list[list[object]]:
    machine = record["hardware"]
    changes = "with changes that are not committed" if record["dirty"] else "no other changes"
    commit = record["commit"]
    return [
        ["Made", record["made"]],
        ["Commit", f"{commit} ({changes})" if commit else f"none: {record['commit_reason']}"],
        ["Profile", f"{record['profile']['profile']}: {record['profile']['description']}"],
        ["Seeds", ", ".join(map(str, record["seeds"]))],
        ["Time of all notebooks", duration(record["seconds"])],
        ["Processor", f"{machine['cpu']}, {machine['cores']} cores"],
        ["Memory", f"{machine['memory_gib']} GiB"],
        ["GPU", machine["gpu"] or "none"],
        ["System", machine["system"]],
        ["Versions", ", ".join(f"{name} {text}" for name, text in record["versions"].items())],
    ]


def _hash_rows(results: Results) -> list[list[object]]:
    return [
        [study, part, code(data[key]) if data[key] else "–"]
        for study, data in results.data.items()
        for part, key in (("images", "images_sha256"), ("labels", "labels_sha256"))
    ]


def _data_rows(results: Results) -> list[list[object]]:
    rows = []
    for study, data in results.data.items():
        used = results.metrics.loc[results.metrics["study"] == study, "n"].max()
        dataset = data["dataset"]
        if data["substituted"]:
            dataset = f"{dataset} (instead of {data['requested']})"
        images = number(int(used)) if used == used else "–"
        rows.append([study, dataset, images, data["source"], code(data["images_sha256"][:12])])
    return rows


def _overview_rows(verdict_table: pd.DataFrame) -> list[list[object]]:
    return [
        [
            row.study,
            row.figure,
            amount(row.reported),
            amount(row.reproduced_mean),
            _interval(row),
            row.n_seeds,
            row.verdict,
        ]
        for row in verdict_table.itertuples()
    ]


def _beside_published(
    verdict_table: pd.DataFrame, published: Published | None
) -> list[list[object]]:
    """Set this run's mean of each reported figure beside the published run's."""
    if published is None:
        return []
    ours = {(row.study, row.figure): row for row in verdict_table.itertuples()}
    return [
        [
            row.study,
            row.figure,
            amount(row.reported),
            amount(row.reproduced_mean),
            _interval(row),
            row.n_seeds,
            row.verdict,
            amount(ours[row.study, row.figure].reproduced_mean),
            ours[row.study, row.figure].n_seeds,
        ]
        for row in published.verdicts.itertuples()
        if (row.study, row.figure) in ours
    ]


# --- leaderboards ------------------------------------------------------------------------------


def board_view(board: config.Leaderboard, tables: dict[str, pd.DataFrame], out: Path) -> BoardView:
    """Gather what the section of a leaderboard shows.

    Parameters
    ----------
    board : Leaderboard
    tables : dict of str to DataFrame
        What `leaderboards.read_tables` returned.
    out : Path
        Folder of the report, in which the leaderboard's figure lies.
    """
    from utils.leaderboards import pareto_front

    name = board.leaderboard
    plain = BoardView(
        name, board.title, board.n_clusters, board.common_space, board.internal_images
    )
    own = [table[table["study"] == name] for table in tables.values()]
    rows, differences, rankings = (table.drop(columns="study") for table in own)
    if rows["ari"].isna().all():
        return plain
    rows = rows.assign(place=range(1, len(rows) + 1), n=rows["n"].astype(int))
    listed = list(rows.itertuples(index=False))
    compared = list(differences.itertuples(index=False))
    found = [row for row in listed if not row.k_given]
    given = [row for row in listed if row.k_given]
    on_front = rows[pareto_front(rows)].sort_values("seconds")
    return replace(
        plain,
        n_rows=len(rows),
        n_images=int(rows["n"].max()),
        n_seeds=int(rows["n_seeds"].max()),
        best=listed[0],
        next=compared[0] if compared else None,
        n_compared=len(compared),
        n_beaten=sum(row.excludes_zero and row.difference > 0 for row in compared),
        top_rows=[_top_row(row) for row in listed[:TOP_ROWS]],
        difference_rows=[_difference_row(row) for row in compared],
        ranking_rows=[_ranking_row(row) for row in rankings.itertuples(index=False)],
        found_rows=[_found_row(row) for row in found],
        all_rows=[_board_row(row) for row in listed],
        settings_rows=[
            [_row_name(row), row.recipe or "–", _with_reason(row, board)] for row in listed
        ],
        picks=list(rankings.itertuples(index=False)),
        front=list(on_front.itertuples(index=False)),
        figure=_pareto_view(board, on_front, out) if len(on_front) else None,
        n_found=len(found),
        n_right_k=sum(row.k_low == row.k_high == board.n_clusters for row in found),
        best_found=found[0] if found else None,
        best_given=given[0] if given else None,
        recipes=[row for row in listed if row.recipe],
        attempt_rows=[_attempt_row(attempt) for attempt in board.attempts],
        aims=_goals(board, listed[0]),
    )


def _board_views(results: Results, published: Published | None, out: Path) -> list[BoardView]:
    from utils.leaderboards import read_tables

    if not results.boards:
        return []
    tables = read_tables(out)
    return [
        replace(
            board_view(board, tables, out),
            kept_rows=_kept_rows(name, published),
            kept_aims=_kept_goals(board, published),
            pages=[_page(results, run, out) for run in results.first_runs(name)],
        )
        for name, board in results.boards.items()
    ]


def _goals(board: config.Leaderboard, best: Any) -> list[Goal]:
    if board.aim is None:
        return []
    return [Goal(key.upper(), aim, getattr(best, key)) for key, aim in board.aim]


def _kept_board(name: str, published: Published | None) -> list[Any]:
    """List the rows of a leaderboard's published run, the best first."""
    if published is None or not published.boards:
        return []
    table = published.boards["leaderboard"]
    own = table[table["study"] == name].sort_values("ari", ascending=False, kind="stable")
    return list(own.itertuples(index=False))


def _kept_goals(board: config.Leaderboard, published: Published | None) -> list[Goal]:
    """Compare the best row of a leaderboard's published run with what was aimed at."""
    rows = _kept_board(board.leaderboard, published)
    return _goals(board, rows[0]) if rows else []


def _kept_rows(name: str, published: Published | None) -> list[list[object]]:
    """Show the best rows of a leaderboard's published run, and its named ones."""
    rows = _kept_board(name, published)
    shown = [row for place, row in enumerate(rows) if place < KEPT_ROWS or row.recipe]
    return [
        [_row_name(row), number(row.n), row.n_seeds]
        + [_score_and_interval(row, score) for score in ("acc", "ari")]
        + [fixed(row.stability, 3), _seconds(row)]
        for row in shown
    ]


def _with_reason(row: Any, board: config.Leaderboard) -> str:
    """Join a row's settings and, where the leaderboard's file says it, what the row is to show."""
    key = (row.representation, row.space, row.clusterer)
    reasons = [r.why for r in board.rows if (r.representation, r.space, r.method) == key and r.why]
    return "; ".join([row.settings, *(f"the idea: {reason}" for reason in reasons)])


def _attempt_row(attempt: config.Attempt) -> list[object]:
    scores = map(fixed, (attempt.acc, attempt.ari))
    return [attempt.what, number(attempt.images), *scores, attempt.outcome]


def _pareto_view(board: config.Leaderboard, front: pd.DataFrame, out: Path) -> FigureView:
    stem = f"{board.leaderboard}-pareto"
    points = "; ".join(
        f"{_row_name(row)}: {fixed(row.ari)} after {duration(row.seconds)}"
        for row in front.itertuples(index=False)
    )
    return _own_figure(
        out,
        stem,
        caption=(
            f"{board.title}: ARI of every row against the seconds that the whole row takes. Joined "
            "and named: rows that no other is as quick and as good as"
        ),
        alt=f"ARI against seconds; rows that no other beats in both: {points}",
    )


def _row_name(row: Any) -> str:
    return describe(row.representation, row.space, row.clusterer)


def _top_row(row: Any) -> list[object]:
    return [
        *describe_parts(row.representation, row.space, row.clusterer),
        *(_score_and_interval(row, score) for score in ("acc", "ari", "nmi")),
        *(_clusters_of(row), fixed(row.stability, 3), _seconds(row)),
    ]


def _score_and_interval(row: Any, score: str) -> str:
    mean, low, high = (getattr(row, f"{score}{end}") for end in ("", "_low", "_high"))
    if math.isnan(low):
        return fixed(mean, 3)
    return f"{mean:.3f} ({low:.3f}\u00a0to\u00a0{high:.3f})"


def _clusters_of(row: Any) -> str:
    return _k_range(row) + ("" if row.k_given else "*")


def _k_range(row: Any) -> str:
    return number(row.k_low) if row.k_low == row.k_high else f"{row.k_low}–{row.k_high}"


def _clusters_in_words(row: Any) -> str:
    return f"{_k_range(row)} cluster{'' if row.k_high == 1 else 's'}"


def _seconds(row: Any) -> str:
    return "–" if math.isnan(row.seconds) else f"{row.seconds:,.{0 if row.seconds >= 100 else 1}f}"


def _difference_row(row: Any) -> list[object]:
    interval = "–" if math.isnan(row.ci_low) else f"{fixed(row.ci_low)} to {fixed(row.ci_high)}"
    scores = [fixed(value) for value in (row.best_ari, row.ari, row.difference)]
    tested = "not tested" if row.n_seeds == 0 else "yes" if row.excludes_zero else "no"
    return [_row_name(row), number(row.n_seeds), *scores, interval, tested]


def _ranking_row(row: Any) -> list[object]:
    counts = [number(n) for n in (row.n_rows, row.n_partial, row.n_undefined)]
    picked = _row_name(row) if row.n_rows else "–"
    lost = [fixed(value) for value in (row.ari, row.best_ari, row.regret)]
    return [INTERNAL[row.index], fixed(row.tau, 3), *counts, picked, *lost]


def _found_row(row: Any) -> list[object]:
    covered = f"{100 * row.coverage:.1f} %"
    # Without noise the covered points are all points.
    ari_covered = row.ari if row.coverage == 1 else row.ari_covered
    return [_row_name(row), _k_range(row), covered, fixed(row.ari), fixed(ari_covered)]


def _board_row(row: Any) -> list[object]:
    scores = (row.acc, row.ari, row.nmi, row.ami, row.silhouette, row.davies_bouldin)
    chosen = fixed(row.calinski_harabasz, 0)
    memory = "–" if math.isnan(row.peak_memory_mb) else number(round(row.peak_memory_mb))
    return [
        *(_row_name(row), number(row.n_seeds)),
        *(fixed(value, 3) for value in scores),
        *(chosen, _clusters_of(row), fixed(row.coverage, 2), fixed(row.stability, 2)),
        *(_seconds(row), memory),
    ]


# --- the article -------------------------------------------------------------------------------


def article(results: Results, record: dict[str, Any], out: Path) -> str:
    """Return the article as pandoc Markdown.

    Parameters
    ----------
    results : Results
        What the runs left.
    record : dict
        What ``run.json`` holds.
    out : Path
        Folder into which `results.write_results` and, if there are leaderboards,
        `leaderboards.write_tables` have written.

    Returns
    -------
    str
        Image files and links to notebooks are relative to `out`.
    """
    from utils.leaderboards import IMAGE_RESAMPLES
    from utils.published import load
    from utils.results import verdicts

    published = load()
    verdict_table = verdicts(results)
    views = [study_view(results, name, verdict_table, out) for name in results.studies]
    boards = _board_views(results, published, out)
    context = {
        "profile": results.profile,
        "seeds": results.seeds,
        "record": record,
        "views": views,
        "substituted": results.substituted,
        "overview": _overview_rows(verdict_table),
        "data_rows": _data_rows(results),
        "dataset_order": list(dict.fromkeys(data["dataset"] for data in results.data.values())),
        "hash_rows": _hash_rows(results),
        "duration_rows": _duration_rows(results),
        "provenance_rows": _provenance_rows(record),
        "notes": _notes(results),
        "rule": config.load_verdict_rule(),
        "published": published,
        "published_rows": _beside_published(verdict_table, published),
        "boards": boards,
        "image_resamples": IMAGE_RESAMPLES,
        **_as_a_whole(results, verdict_table, views, published, out),
    }
    numbering = Numbering()
    template = _environment(numbering).get_template("article.md.j2")
    template.render(context)
    numbering.start_second_pass()
    return template.render(context)


def _as_a_whole(
    results: Results,
    verdict_table: pd.DataFrame,
    views: list[StudyView],
    published: Published | None,
    out: Path,
) -> dict[str, Any]:
    """Gather what abstract and discussion say: counts over all studies and leaderboards.

    A reduced run tests nothing; what it cannot say, the kept run says, if there is one.
    """
    from utils import summary

    is_reduced = results.profile.reduced
    judged = verdict_table if not is_reduced else published.verdicts if published else None
    if judged is not None:
        judged = judged[judged["study"].isin(results.studies)]
    metrics = published.metrics if is_reduced and published else results.metrics
    baselines = [_baseline(metrics, study) for study in results.studies.values()]
    kept_boards = bool(is_reduced and published and published.boards)
    best_rows = [
        BestRows(board.title, kinds)
        for name, board in results.boards.items()
        if (kinds := summary.best_of_each_kind(_best_first(name, published, out, kept_boards)))
    ]
    spreads = [(view.study.study, *ari) for view in views if (ari := view.ari_spread)]
    return {
        "tally": None
        if judged is None
        else summary.tally_figures(judged, results.studies.values()),
        "tally_is_kept": is_reduced,
        "claim_counts": Counter(claim.outcome for view in views for claim in view.claims),
        "claim_rows": _claim_rows(views),
        "baseline_counts": Counter(found.outcome for found in baselines if found),
        "best_rows": best_rows,
        "board_is_kept": kept_boards,
        "kind_rows": [_kind_row(best.title, one) for best in best_rows for one in best.kinds],
        "spread_rows": [[name, fixed(a, 3), fixed(b, 3)] for name, a, b in spreads],
        "wider_by_network": sum(networks > starts for _, networks, starts in spreads),
        "longest": max(results.notebooks, key=lambda run: run.manifest.seconds, default=None),
    }


def _best_first(name: str, published: Published | None, out: Path, is_kept: bool) -> list[Any]:
    """List the rows of a leaderboard, of the kept run or of this one."""
    from utils.leaderboards import read_tables

    if is_kept:
        return _kept_board(name, published)
    board = read_tables(out)["leaderboard"]
    return list(board[board["study"] == name].itertuples(index=False))


def _kind_row(title: str, best: KindOfRow) -> list[object]:
    row = best.row
    scores = [_score_and_interval(row, score) for score in ("acc", "ari")]
    return [title, best.kind, _row_name(row), *scores, duration(row.seconds)]


def _claim_rows(views: list[StudyView]) -> list[list[object]]:
    """List the claims in words, each with a link to the place where it is tested."""
    from markupsafe import Markup

    return [
        [
            view.study.study,
            Markup(f"[“{escape(tested.claim.text)}”](#{claim_id(view.study.study, number)})"),
            tested.claim.source,
            tested.outcome,
        ]
        for view in views
        for number, tested in enumerate(view.claims, start=1)
    ]


def claim_id(study: str, number: int) -> str:
    """Return the identifier of the place where a claim of a study is tested."""
    return f"claim-{study}-{number}"


def _environment(numbering: Numbering) -> jinja2.Environment:
    """Make an environment that escapes every value that is not marked as Markdown."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE),
        autoescape=True,
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        comment_start_string="<!--",
        comment_end_string="-->",
    )
    environment.filters |= {
        "escape": escape,
        "identifier": identifier,
        "fixed": fixed,
        "number": number,
        "amount": amount,
        "name": lambda key: NAMES.get(key, key),
        "each": each,
        "words": words,
        "describe": describe,
        "duration": duration,
        "index_name": INDEX_NAMES.get,
        "clusters": _clusters_in_words,
    }
    environment.globals |= _markup_functions(numbering)
    return environment


def _markup_functions(numbering: Numbering) -> dict[str, Callable]:
    from markupsafe import Markup

    def figure(view: FigureView) -> Markup:
        label = numbering.define("Figure", view.id)
        caption = f"**{label}.** {escape(_sentence(view.caption))} {view.origin}"
        attributes = f'#{identifier(view.id)} alt="{escape(view.alt)}"'
        return Markup(f"![{caption}]({view.file}){{{attributes}}}")

    def table(
        name: str,
        caption: str,
        header: list[str],
        rows: list[list[object]],
        origin: str = "",
        sortable: bool = False,
    ) -> Markup:
        label = numbering.define("Table", name)
        classes = ".table .sortable" if sortable else ".table"
        lines = (
            f'::: {{{classes} role="region" tabindex="0" aria-label="{label}"}}',
            markdown_table(header, rows),
            "",
            f": **{label}.** {escape(_sentence(caption))} {origin} {{#{identifier(name)}}}",
            ":::",
        )
        return Markup("\n".join(lines))

    def refs(views: Iterable[FigureView | TableView]) -> Markup:
        return words(numbering.ref(view.id) for view in views)

    def cite(*keys: str) -> Markup:
        return Markup("[{}]").format(Markup("; ").join(f"@{identifier(key)}" for key in keys))

    def cite_text(key: str) -> Markup:
        return Markup(f"@{identifier(key)}")

    return {
        "figure": figure,
        "table": table,
        "ref": numbering.ref,
        "refs": refs,
        "cite": cite,
        "cite_text": cite_text,
        "claim_id": claim_id,
        "external_metrics": tuple(EXTERNAL),
    }


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


# --- pages -------------------------------------------------------------------------------------


def _pandoc(source: Path, target: Path, *arguments: str) -> None:
    """Run pandoc in the folder of `source`; a warning, such as an unknown citation, is an error."""
    import pypandoc

    command = [
        pypandoc.get_pandoc_path(),
        f"--from={MARKDOWN}",
        f"--output={target.name}",
        "--standalone",
        "--citeproc",
        f"--bibliography={TEMPLATE / 'references.bib'}",
        "--metadata=link-citations=true",
        "--number-sections",
        "--columns=100000",  # a long line gives a table no fixed widths
        "--fail-if-warnings",
        *arguments,
        source.name,
    ]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
    if done.returncode:
        reason = " ".join(done.stderr.split())
        raise config.UserError(f"pandoc could not make {target.name}: {reason}")


def _html(source: Path, target: Path, plots: dict[str, str]) -> None:
    """Make the page; `plots` has the JSON of each interactive map by the place for it.

    The numbers of each figure are taken from the folder ``figures`` beside it.
    """
    _pandoc(
        source,
        target,
        "--to=html5",
        f"--template={TEMPLATE / 'page.html'}",
        f"--css={TEMPLATE / 'style.css'}",
        "--embed-resources",
        "--mathml",
        "--toc",
        "--toc-depth=2",
    )
    # Put in afterwards, so that each script stands in the page as its hash has it.
    page = target.read_text(encoding="utf-8")
    scripts = _scripts(bool(plots))
    blocks = [
        f'<script type="application/json" class="atlas-plot" data-place="{place}">{plot}</script>'
        for place, plot in plots.items()
    ]
    blocks += [
        f'<script type="text/csv" class="numbers" data-figure="fig-{table.stem}">{packed}</script>'
        for table in sorted((target.parent / "figures").glob("*.csv"))
        if f'id="fig-{table.stem}"' in page
        for packed in [_packed(table.read_bytes())]
    ]
    blocks += [f"<script>{script}</script>" for script in scripts]
    hashes = " ".join(f"'{_script_hash(script)}'" for script in scripts)
    for mark, content in ((SCRIPTS, "\n".join(blocks)), (SCRIPT_HASHES, hashes)):
        if mark not in page:
            raise ValueError(f"page.html has no {mark}")
        page = page.replace(mark, content, 1)  # what follows may be somebody's words
    target.write_text(page, encoding="utf-8")


def _packed(content: bytes) -> str:
    """Compress a file for the page; the same file always gives the same letters."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def _scripts(has_plots: bool) -> list[str]:
    from utils import atlas

    own = (TEMPLATE / "page.js").read_text(encoding="utf-8")
    return [atlas.script(), own] if has_plots else [own]


def _script_hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"sha256-{digest}"


def _pdf(source: Path, target: Path) -> None:
    import typst

    typst_source = target.with_suffix(".typ")
    # Citations are left to citeproc, as in the HTML page; quotation marks stay as they are.
    _pandoc(
        source,
        typst_source,
        "--to=typst-citations-smart",
        f"--template={TEMPLATE / 'page.typ'}",
        f"--lua-filter={TEMPLATE / 'typst.lua'}",
    )
    try:
        target.write_bytes(typst.compile(typst_source, ignore_system_fonts=True))
    except typst.TypstError as error:
        reason = " ".join(str(error).split())
        raise config.UserError(f"typst could not make {target.name}: {reason}") from None
    typst_source.unlink()


def _notebook_pages(results: Results, out: Path) -> None:
    import nbformat
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    exporter = HTMLExporter(
        template_name="basic",
        raw_template=CELL_TEMPLATE,
        filters={"markdown2html": _markdown_cell},
    )
    page = _page_environment().get_template("notebook.html.j2")
    colours = {
        name: HtmlFormatter(style=style).get_style_defs(".highlight")
        for name, style in (("light", "default"), ("dark", "github-dark"))
    }
    style = (TEMPLATE / "style.css").read_text(encoding="utf-8")
    for study in results.topics:
        for run in results.first_runs(study):
            notebook = run.folder / "executed.ipynb"
            if not notebook.is_file():
                raise config.UserError(f"{notebook}: missing: run the notebook again")
            content = nbformat.read(notebook, as_version=4)
            body, _ = exporter.from_notebook_node(content)
            target = out / _notebook_href(run)
            target.parent.mkdir(exist_ok=True)
            title = f"{run.notebook}: {study}, seed {run.seed}"
            html = page.render(
                title=title,
                body=body,
                style=style,
                colours=colours,
                parameters=_parameters(content),
                duration=duration(run.manifest.seconds),
            )
            target.write_text(html, encoding="utf-8")


def _parameters(notebook: NotebookNode) -> dict[str, str]:
    """Return the values that a notebook was run with; where it wrote to tells a reader nothing."""
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    return {name: str(value) for name, value in given.items() if name != "run_dir"}


def _markdown_cell(source: str) -> str:
    """Turn the Markdown of a notebook's cell into HTML with MathML, which needs no script."""
    import pypandoc

    command = [pypandoc.get_pandoc_path(), f"--from={MARKDOWN}", "--to=html5", "--mathml"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    return done.stdout


def _page_environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


def build(
    profile: str, studies: Sequence[str], seeds: Sequence[int], runs_dir: Path, out: Path
) -> None:
    """Write the whole report of a profile.

    Parameters
    ----------
    profile : str
        Name of the profile.
    studies : sequence of str
        Names of the studies, in the order of the report.
    seeds : sequence of int
        Seeds whose results belong in the report.
    runs_dir : Path
        Folder that holds ``<profile>/<study>/seed-<k>/<notebook>/``.
    out : Path
        Folder of the report. Nothing in it changes unless every part could be made.

    Raises
    ------
    UserError
        If results are missing or malformed, or a page cannot be made.
    """
    from utils import artifacts
    from utils.results import collect, write_results

    results = collect(profile, studies, seeds, runs_dir)
    with _replaced_together(Path(out)) as folder:
        write_results(results, folder)
        if results.boards:
            _write_leaderboards(results, folder)
        record = artifacts.read_json(folder / "run.json")
        source = folder / "article.md"
        source.write_text(article(results, record, folder), encoding="utf-8")
        # Pandoc and Typst leave this process a core for the rest.
        with ThreadPoolExecutor() as pool:
            pages = (
                pool.submit(_html, source, folder / "report.html", _atlas_plots(results)),
                pool.submit(_pdf, source, folder / "report.pdf"),
            )
            _notebook_pages(results, folder)
        for page in pages:
            page.result()
        source.unlink()


def _write_leaderboards(results: Results, folder: Path) -> None:
    from utils.leaderboards import write_tables

    write_tables(
        results.boards,
        results.metrics,
        results.costs,
        results.assignments,
        results.labels,
        config.load_verdict_rule(),
        folder,
    )


@contextmanager
def _replaced_together(out: Path) -> Iterator[Path]:
    """Yield an empty folder whose files replace those in `out` when the block ends well.

    Files that an earlier report left and this one has no more are removed. Only those: `out` may
    be a folder in which somebody keeps other things.
    """
    from utils import artifacts

    out.mkdir(parents=True, exist_ok=True)
    list_file = out / FILES
    earlier = set(artifacts.read_json(list_file)) if list_file.is_file() else set()
    # Inside `out`, which may be on a disk of its own.
    with tempfile.TemporaryDirectory(prefix=".building-", dir=out) as name:
        folder = Path(name)
        yield folder
        new = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        artifacts.write_json(list_file, sorted(new | earlier))
        for path in new:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).replace(out / path)
        for path in earlier - new:
            (out / path).unlink(missing_ok=True)
        artifacts.write_json(list_file, sorted(new))


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a report from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m utils.report", description=__doc__)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--studies", required=True, help="names, separated by commas")
    parser.add_argument("--seeds", required=True, help="whole numbers, separated by commas")
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--out", required=True, type=Path, help="folder of the report")
    options = parser.parse_args(arguments)
    try:
        seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        parser.error(f"--seeds must be whole numbers separated by commas, not {options.seeds!r}")
    try:
        build(options.profile, options.studies.split(","), seeds, options.runs, options.out)
    except config.UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
