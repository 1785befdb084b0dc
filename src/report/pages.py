"""The article in Markdown turned into pages: HTML and PDF, without a network."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from report.notebook_pages import write_notebook_pages
from report.pandoc import run_pandoc, template_path
from utils import errors, places
from utils.figures import atlas

if TYPE_CHECKING:
    from report.collect import NotebookRun

# Places in page.html.
SCRIPTS, SCRIPT_HASHES = "<!-- scripts -->", "none-but-these"


def write_html(source: Path, target: Path, plots: Mapping[str, str]) -> None:
    """Make the page; `plots` has the JSON of each interactive map by the place for it.

    The numbers of each figure are taken from the folder ``figures`` beside it.
    """
    run_pandoc(
        source,
        target,
        "--to=html5",
        f"--template={template_path('page.html')}",
        f"--css={template_path('style.css')}",
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
        f"--template={template_path('page.typ')}",
        f"--lua-filter={places.template() / 'typst.lua'}",
    )
    try:
        target.write_bytes(typst.compile(typst_source, ignore_system_fonts=not any_script))
    except typst.TypstError as error:
        reason = " ".join(str(error).split())
        raise errors.UserError(f"typst could not make {target.name}: {reason}") from None
    typst_source.unlink()


class Document(NamedTuple):
    """What becomes ``<name>.html`` and ``<name>.pdf``.

    Attributes
    ----------
    name : str
    text : str
        In pandoc's Markdown; image files are relative to the report's folder.
    plots : dict of str to str
        JSON of each interactive map by the identifier of its place.
    """

    name: str
    text: str
    plots: Mapping[str, str] = MappingProxyType({})


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
    sources = {folder / f"{document.name}.md": document for document in documents}
    # Pandoc and Typst leave this process a core for the rest.
    with ThreadPoolExecutor() as pool:
        waiting = []
        for source, document in sources.items():
            source.write_text(document.text, encoding="utf-8")
            page, pdf = source.with_suffix(".html"), source.with_suffix(".pdf")
            waiting.append(pool.submit(write_html, source, page, document.plots))
            waiting.append(pool.submit(write_pdf, source, pdf, any_script))
        write_notebook_pages(runs, folder)
    for page in waiting:
        page.result()
    for source in sources:
        source.unlink()
