"""The article in Markdown turned into pages: HTML and PDF, without a network."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from report import page_images
from report.notebook_pages import write_notebook_pages
from report.pandoc import run_pandoc, template_path
from report.web_pages import WebPage, whole
from utils import errors, places

if TYPE_CHECKING:
    from report.collect import NotebookRun

# Places in page.html.
STYLE, SCRIPTS = "<!-- style -->", "<!-- scripts -->"
SCRIPT_HASHES, IMAGE_SOURCES = "none-but-these", "data-and-files"
# Of a page with maps, in the order in which they use each other, after the page's own.
MAP_SCRIPTS = ("map_points.js", "map_panels.js", "map.js", "matrix.js")

# Where Typst fails if a figure that floats meets certain breaks of pages: typst/typst#8487.
FAULT_WITH_FLOATS = "typst-pdf"


def write_html(page: WebPage, folder: Path) -> None:
    """Make the page in `folder`, whose folder ``figures`` has its images and their numbers."""
    source, target = folder / f"{page.name}.html.md", folder / f"{page.name}.html"
    source.write_text(page_images.prepare(page.text, folder, page.is_one_file), encoding="utf-8")
    run_pandoc(
        source,
        target,
        "--to=html5",
        f"--template={template_path('page.html')}",
        *(["--embed-resources"] if page.is_one_file else []),
        f"--number-offset={page.section}",
        "--mathml",
        "--toc",
        "--toc-depth=2",
    )
    source.unlink()
    # Put in afterwards, so that each script stands in the page as its hash has it.
    made = target.read_text(encoding="utf-8")
    scripts = _scripts(bool(page.plots))
    blocks = [
        f'<script type="application/json" class="map-data" data-place="{place}">{plot}</script>'
        for place, plot in page.plots.items()
    ]
    blocks += [
        f'<script type="application/json" class="matrix-data" data-place="{place}">{table}</script>'
        for place, table in page.matrices.items()
    ]
    if page.is_one_file:
        blocks += _numbers(made, folder)
    blocks += [f"<script>{script}</script>" for script in scripts]
    style = (places.template() / "style.css").read_text(encoding="utf-8")
    contents = {
        STYLE: f"<style>\n{style}</style>",
        IMAGE_SOURCES: "data:" if page.is_one_file else "data: 'self' file:",
        SCRIPTS: "\n".join(blocks),
        SCRIPT_HASHES: " ".join(f"'{_script_hash(script)}'" for script in scripts),
    }
    for mark, content in contents.items():
        if mark not in made:
            raise ValueError(f"page.html has no {mark}")
        made = made.replace(mark, content, 1)  # what follows may be somebody's words
    target.write_text(made, encoding="utf-8")


def _numbers(page: str, folder: Path) -> list[str]:
    """Put the numbers of each figure of a page into blocks of data."""
    return [
        f'<script type="text/csv" class="numbers" data-figure="fig-{table.stem}">{packed}</script>'
        for table in sorted((folder / "figures").glob("*.csv"))
        if f'id="fig-{table.stem}"' in page
        for packed in [_packed(table.read_bytes())]
    ]


def _packed(content: bytes) -> str:
    """Compress a file for the page; the same file always gives the same letters."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def _scripts(has_plots: bool) -> list[str]:
    names = ["page.js", *(MAP_SCRIPTS if has_plots else ())]
    return [(places.template() / name).read_text(encoding="utf-8") for name in names]


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
        f"--template={template_path('page.typ')}",
        f"--lua-filter={places.template() / 'typst.lua'}",
    )
    settings = {"ignore_system_fonts": not any_script}
    try:
        try:
            content = typst.compile(typst_source, **settings)
        except typst.TypstError as error:
            if FAULT_WITH_FLOATS not in str(error):
                raise
            content = typst.compile(typst_source, sys_inputs={"floats": "none"}, **settings)
    except typst.TypstError as error:
        reason = " ".join(str(error).split())
        raise errors.UserError(f"typst could not make {target.name}: {reason}") from None
    target.write_bytes(content)
    typst_source.unlink()
    source.unlink()


class Document(NamedTuple):
    """What becomes ``<name>.pdf`` and one or several HTML pages.

    Attributes
    ----------
    name : str
    text : str
        In pandoc's Markdown; image files are relative to the report's folder.
    plots : dict of str to str
        JSON of each interactive map by the identifier of its place, for the only page.
    pages : sequence of WebPage
        The HTML pages; without any, the text is one page of the same name.
    """

    name: str
    text: str
    plots: Mapping[str, str] = MappingProxyType({})
    pages: Sequence[WebPage] = ()


def write_all(
    documents: Iterable[Document],
    folder: Path,
    runs: Iterable[NotebookRun],
    any_script: bool = False,
) -> None:
    """Make the pages and PDFs of documents, and the notebooks' pages.

    Parameters
    ----------
    documents : iterable of Document
    folder : Path
    runs : iterable of NotebookRun
        The notebooks that the documents lead to.
    any_script : bool
        Whether letters that Typst's own fonts lack may come from the system's, so that a PDF looks
        different on another machine.
    """
    # Pandoc and Typst leave this process a core for the rest.
    with ThreadPoolExecutor() as pool:
        waiting = []
        for document in documents:
            source = folder / f"{document.name}.md"
            source.write_text(whole(document.text), encoding="utf-8")
            waiting.append(pool.submit(write_pdf, source, source.with_suffix(".pdf"), any_script))
            only = WebPage(document.name, document.text, document.plots)
            for page in document.pages or [only]:
                waiting.append(pool.submit(write_html, page, folder))
        write_notebook_pages(runs, folder)
    for one in waiting:
        one.result()
