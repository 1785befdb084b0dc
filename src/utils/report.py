"""Results turned into one HTML page, one PDF and the executed notebooks as pages."""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import board_sections, config, sections
from utils.markdown import (
    Numbering,
    amount,
    duration,
    each,
    escape,
    fixed,
    identifier,
    markdown_table,
    number,
    words,
)
from utils.names import NAMES, describe

if TYPE_CHECKING:
    import jinja2
    import pandas as pd
    from markupsafe import Markup
    from nbformat import NotebookNode

    from utils.published import Published
    from utils.results import Results
    from utils.summary import KindOfRow

# Which files of its folder are the report's.
FILES = ".files.json"
TEMPLATE = config.ROOT / "reports" / "template"
# Neither raw HTML nor raw TeX is read, so that no text of a run can become markup.
MARKDOWN = "markdown-raw_html-raw_tex-raw_attribute-smart"
# Places in page.html.
SCRIPTS, SCRIPT_HASHES = "<!-- scripts -->", "none-but-these"
# What nbconvert makes of a code cell, in a place that the report links to.
CELL_TEMPLATE = f"""{{% extends 'basic/index.html.j2' %}}
{{% block codecell %}}
{{% set number = cell.execution_count %}}
<section id="{sections.CELL}{{{{ number }}}}" aria-label="Cell {{{{ number }}}}">
{{{{ super() }}}}
</section>
{{% endblock codecell %}}
"""
INDEX_NAMES = {
    "silhouette": "silhouette",
    "davies_bouldin": "Davies-Bouldin index",
    "calinski_harabasz": "Caliński-Harabasz index",
}


@dataclass(frozen=True)
class BestRows:
    """The best rows of a leaderboard, by what has to be trained."""

    title: str
    kinds: list[KindOfRow]


def _atlas_plots(results: Results) -> dict[str, str]:
    """Return the plot of each interactive map as JSON, by the identifier of its place."""
    import pandas as pd

    from utils import atlas
    from utils.figures import class_colours

    plots = {}
    for name in results.studies:
        file = sections.atlas_file(results, name)
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
    views = [sections.study_view(results, name, verdict_table, out) for name in results.studies]
    boards = board_sections.board_views(results, published, out)
    context = {
        "profile": results.profile,
        "seeds": results.seeds,
        "record": record,
        "views": views,
        "substituted": results.substituted,
        "overview": sections.overview_rows(verdict_table),
        "data_rows": sections.data_rows(results),
        "dataset_order": list(dict.fromkeys(data["dataset"] for data in results.data.values())),
        "hash_rows": sections.hash_rows(results),
        "duration_rows": sections.duration_rows(results),
        "provenance_rows": sections.provenance_rows(record),
        "notes": sections.notes_of(results),
        "rule": config.load_verdict_rule(),
        "published": published,
        "published_rows": sections.beside_published(verdict_table, published),
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
    views: list[sections.StudyView],
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
    baselines = [sections.baseline_of(metrics, study) for study in results.studies.values()]
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
        return board_sections.kept_board(name, published)
    board = read_tables(out)["leaderboard"]
    return list(board[board["study"] == name].itertuples(index=False))


def _kind_row(title: str, best: KindOfRow) -> list[object]:
    row = best.row
    scores = [board_sections.score_and_interval(row, score) for score in ("acc", "ari")]
    return [title, best.kind, board_sections.row_name(row), *scores, duration(row.seconds)]


def _claim_rows(views: list[sections.StudyView]) -> list[list[object]]:
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
        "clusters": board_sections.clusters_in_words,
    }
    environment.globals |= _markup_functions(numbering)
    return environment


def _markup_functions(numbering: Numbering) -> dict[str, Callable]:
    from markupsafe import Markup

    def figure(view: sections.FigureView) -> Markup:
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

    def refs(views: Iterable[sections.FigureView | sections.TableView]) -> Markup:
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
        "external_metrics": tuple(sections.EXTERNAL),
    }


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


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
            target = out / sections.notebook_href(run)
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
