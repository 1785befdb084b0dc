"""Markdown and executed notebooks turned into pages: HTML and PDF, without a network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import signal
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import notebook_parts
from report.markdown import (
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
from report.notebook_format import skip_iri_grammars
from utils import errors, places
from utils.config.vocabulary import NAMES, describe

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup
    from nbconvert import HTMLExporter
    from nbformat import NotebookNode

    from report.collect import NotebookRun

NOTEBOOK_TEMPLATE, STYLE = "notebook.html.j2", "style.css"
# Neither raw HTML nor raw TeX is read, so that no text of a run can become markup.
MARKDOWN = "markdown-raw_html-raw_tex-raw_attribute-smart"
# Places in page.html.
SCRIPTS, SCRIPT_HASHES = "<!-- scripts -->", "none-but-these"
# What nbconvert makes of a code cell, in a place that the report links to.
CELL_TEMPLATE = f"""{{% extends 'basic/index.html.j2' %}}
{{% block codecell %}}
{{% set number = cell.execution_count %}}
<section id="{notebook_parts.CELL}{{{{ number }}}}" aria-label="Cell {{{{ number }}}}">
{{{{ super() }}}}
</section>
{{% endblock codecell %}}
"""


def environment(numbering: Numbering) -> jinja2.Environment:
    """Make an environment that escapes every value that is not marked as Markdown.

    Its templates have functions for figures, tables, references to them, and citations.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(places.template()),
        autoescape=True,
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        comment_start_string="<!--",
        comment_end_string="-->",
    )
    made.filters |= {
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
    }
    made.globals |= _markup_functions(numbering)
    return made


def render(
    name: str,
    context: dict[str, Any],
    environment_of: Callable[[Numbering], jinja2.Environment] = environment,
) -> str:
    """Fill in the template `name`; twice, since a reference may stand before what it refers to."""
    numbering = Numbering()
    template = environment_of(numbering).get_template(name)
    template.render(context)
    numbering.start_second_pass()
    return template.render(context)


def _markup_functions(numbering: Numbering) -> dict[str, Callable]:
    from markupsafe import Markup

    def figure(view: notebook_parts.FigureView) -> Markup:
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

    def refs(views: Iterable[notebook_parts.FigureView | notebook_parts.TableView]) -> Markup:
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
    }


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


def run_pandoc(source: Path, target: Path, *arguments: str) -> None:
    """Run pandoc in the folder of `source`; a warning, such as an unknown citation, is an error."""
    import pypandoc

    command = [
        pypandoc.get_pandoc_path(),
        f"--from={MARKDOWN}",
        f"--output={target.name}",
        "--standalone",
        "--citeproc",
        f"--bibliography={_fetched('references.bib')}",
        "--metadata=link-citations=true",
        "--number-sections",
        "--columns=100000",  # a long line gives a table no fixed widths
        "--fail-if-warnings",
        *arguments,
        source.name,
    ]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
    if done.returncode:
        raise errors.UserError(f"pandoc could not make {target.name}: {_why_it_failed(done)}")


def _fetched(name: str) -> str:
    """Return the path of a file that pandoc fetches as it would a URL: it decodes ``%20``."""
    return str(places.template() / name).replace("%", "%25")


def _why_it_failed(done: subprocess.CompletedProcess[str]) -> str:
    said = " ".join(done.stderr.split())
    if done.returncode >= 0:
        return said or f"exit status {done.returncode}"
    name = signal.Signals(-done.returncode).name
    return " ".join(
        [said, f"it was stopped by {name}; too little memory is a common cause"]
    ).strip()


def write_html(source: Path, target: Path, plots: dict[str, str]) -> None:
    """Make the page; `plots` has the JSON of each interactive map by the place for it.

    The numbers of each figure are taken from the folder ``figures`` beside it.
    """
    run_pandoc(
        source,
        target,
        "--to=html5",
        f"--template={_fetched('page.html')}",
        f"--css={_fetched('style.css')}",
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
    from utils.figures import atlas

    own = (places.template() / "page.js").read_text(encoding="utf-8")
    return [atlas.script(), own] if has_plots else [own]


def _script_hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"sha256-{digest}"


def write_pdf(source: Path, target: Path, any_script: bool = False) -> None:
    """Make the PDF of an article in Markdown; fonts of the system only for `any_script`."""
    import typst

    typst_source = target.with_suffix(".typ")
    # Citations are left to citeproc, as in the HTML page; quotation marks stay as they are.
    run_pandoc(
        source,
        typst_source,
        "--to=typst-citations-smart",
        f"--template={_fetched('page.typ')}",
        f"--lua-filter={places.template() / 'typst.lua'}",
    )
    try:
        target.write_bytes(typst.compile(typst_source, ignore_system_fonts=not any_script))
    except typst.TypstError as error:
        reason = " ".join(str(error).split())
        raise errors.UserError(f"typst could not make {target.name}: {reason}") from None
    typst_source.unlink()


def write_notebook_pages(runs: Iterable[NotebookRun], out: Path) -> None:
    """Make a page of each executed notebook, in the folder ``notebooks`` of `out`.

    Raises
    ------
    UserError
        If an executed notebook is missing.
    """
    for run in runs:
        notebook = run.folder / "executed.ipynb"
        if not notebook.is_file():
            raise errors.UserError(f"{notebook}: missing: run the notebook again")
        target = out / notebook_parts.notebook_href(run)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(_notebook_page(run))


def _notebook_page(run: NotebookRun) -> bytes:
    """Return the page of an executed notebook, kept from an earlier report if nothing changed."""
    from utils import places
    from utils.store import cache, files

    recipe = {
        "notebook": files.sha256_file(run.folder / "executed.ipynb"),
        "run": [run.notebook, run.study, run.seed, run.manifest.seconds],
        "template": {
            n: files.sha256_file(places.template() / n) for n in (NOTEBOOK_TEMPLATE, STYLE)
        },
    }
    made = cache.load_or_make(
        f"{run.study}-{run.notebook}-seed{run.seed}-page",
        recipe,
        ("report.pages",),
        lambda: {"page": _converted(run).encode()},
        places.cache(),
    )
    return made["page"]


def _converted(run: NotebookRun) -> str:
    skip_iri_grammars()
    import nbformat
    from pygments.formatters import HtmlFormatter

    content = nbformat.read(run.folder / "executed.ipynb", as_version=4)
    body, _ = _exporter().from_notebook_node(content)
    colours = {
        name: HtmlFormatter(style=style).get_style_defs(".highlight")
        for name, style in (("light", "default"), ("dark", "github-dark"))
    }
    return (
        _page_environment()
        .get_template(NOTEBOOK_TEMPLATE)
        .render(
            title=f"{run.notebook}: {run.study}, seed {run.seed}",
            body=body,
            style=(places.template() / STYLE).read_text(encoding="utf-8"),
            colours=colours,
            parameters=_parameters(content),
            duration=duration(run.manifest.seconds),
        )
    )


@cache
def _exporter() -> HTMLExporter:
    skip_iri_grammars()
    from nbconvert import HTMLExporter
    from nbconvert.filters import clean_html

    return HTMLExporter(
        template_name="basic",
        raw_template=CELL_TEMPLATE,
        # A notebook that ran for seven studies has the same cells seven times.
        filters={"markdown2html": cache(_markdown_cell), "clean_html": cache(clean_html)},
    )


def _parameters(notebook: NotebookNode) -> dict[str, str]:
    """Return the values that a notebook was run with.

    Where it wrote to tells a reader nothing, and None stands for the study's own value.
    """
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    shown = {name: value for name, value in given.items() if name != "run_dir"}
    return {name: str(value) for name, value in shown.items() if value is not None}


def _markdown_cell(source: str) -> str:
    """Turn the Markdown of a notebook's cell into HTML with MathML, which needs no script."""
    import pypandoc

    command = [pypandoc.get_pandoc_path(), f"--from={MARKDOWN}", "--to=html5", "--mathml"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    if done.returncode:
        raise errors.UserError(f"pandoc could not make a notebook's page: {_why_it_failed(done)}")
    return done.stdout


def _page_environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(places.template()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


def write_all(
    source: Path,
    folder: Path,
    plots: dict[str, str],
    runs: Iterable[NotebookRun],
    any_script: bool = False,
) -> None:
    """Make ``report.html``, ``report.pdf`` and the notebooks' pages, and remove the Markdown.

    Parameters
    ----------
    source : Path
        The article in pandoc's Markdown, in `folder`.
    folder : Path
    plots : dict of str to str
        JSON of each interactive map by the identifier of its place.
    runs : iterable of NotebookRun
        The notebooks that the article leads to.
    any_script : bool
        Whether letters that Typst's own fonts lack may come from the system's, so that the PDF
        looks different on another machine.
    """
    # Pandoc and Typst leave this process a core for the rest.
    with ThreadPoolExecutor() as pool:
        waiting = (
            pool.submit(write_html, source, folder / "report.html", plots),
            pool.submit(write_pdf, source, folder / "report.pdf", any_script),
        )
        write_notebook_pages(runs, folder)
    for page in waiting:
        page.result()
    source.unlink()
