"""Executed notebooks as pages, which need neither a network nor a script."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from report import notebook_parts, pandoc
from report.markdown import duration
from report.notebook_format import skip_iri_grammars
from utils import errors, places
from utils.store import cache, files

if TYPE_CHECKING:
    import jinja2
    from nbconvert import HTMLExporter
    from nbformat import NotebookNode

    from report.collect import NotebookRun

NOTEBOOK_TEMPLATE, STYLE = "notebook.html.j2", "style.css"
# What nbconvert makes of a code cell, in a place that the report links to.
CELL_TEMPLATE = f"""{{% extends 'basic/index.html.j2' %}}
{{% block codecell %}}
{{% set number = cell.execution_count %}}
<section id="{notebook_parts.CELL}{{{{ number }}}}" aria-label="Cell {{{{ number }}}}">
{{{{ super() }}}}
</section>
{{% endblock codecell %}}
"""


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
        ("report.notebook_pages",),
        lambda: {"page": _converted(run).encode()},
        places.cache(),
    )
    return made["page"]


def _converted(run: NotebookRun) -> str:
    skip_iri_grammars()
    import nbformat

    content = nbformat.read(run.folder / "executed.ipynb", as_version=4)
    return page_of(content, f"{run.notebook}: {run.study}, seed {run.seed}", run.manifest.seconds)


def page_of(content: NotebookNode, title: str, seconds: float) -> str:
    """Return an executed notebook as a page that needs neither a network nor a script.

    Parameters
    ----------
    content : NotebookNode
    title : str
    seconds : float
        How long it ran.
    """
    from pygments.formatters import HtmlFormatter

    body, _ = _exporter().from_notebook_node(content)
    colours = {
        name: HtmlFormatter(style=style).get_style_defs(".highlight")
        for name, style in (("light", "default"), ("dark", "github-dark"))
    }
    return (
        _environment()
        .get_template(NOTEBOOK_TEMPLATE)
        .render(
            title=title,
            body=body,
            style=(places.template() / STYLE).read_text(encoding="utf-8"),
            colours=colours,
            parameters=_parameters(content),
            duration=duration(seconds),
        )
    )


@functools.cache
def _exporter() -> HTMLExporter:
    skip_iri_grammars()
    from nbconvert import HTMLExporter
    from nbconvert.filters import clean_html

    return HTMLExporter(
        template_name="basic",
        raw_template=CELL_TEMPLATE,
        # A notebook that ran for seven studies has the same cells seven times.
        filters={
            "markdown2html": functools.cache(pandoc.markdown_to_html),
            "clean_html": functools.cache(clean_html),
        },
    )


def _parameters(notebook: NotebookNode) -> dict[str, str]:
    """Return the values that a notebook was run with.

    Where it wrote to tells a reader nothing, and None stands for the study's own value.
    """
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    shown = {name: value for name, value in given.items() if name != "run_dir"}
    return {name: str(value) for name, value in shown.items() if value is not None}


def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(places.template()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
