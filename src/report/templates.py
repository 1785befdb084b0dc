"""Templates of the articles, filled in so that no value can become markup."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from report.markdown import (
    Numbering,
    duration,
    escape,
    fixed,
    identifier,
    in_words,
    markdown_table,
    number,
    words,
)
from report.web_pages import page_break
from utils import places
from utils.config.vocabulary import NAMES

if TYPE_CHECKING:
    import jinja2

    from report.notebook_parts import FigureView, TableView


def environment(
    numbering: Numbering, runs: Mapping[str, str] = MappingProxyType({})
) -> jinja2.Environment:
    """Make an environment that escapes every value that is not marked as Markdown.

    Its templates have functions for figures, tables, references to them, and citations. `runs` has
    what the captions of tables say of the run that their numbers are of.
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
        "name": lambda key: NAMES.get(key, key),
        "words": words,
        "in_words": in_words,
        "duration": duration,
    }
    made.globals |= _markup_functions(numbering, runs)
    return made


def render(
    name: str,
    context: dict[str, Any],
    filters: Mapping[str, Callable] = MappingProxyType({}),
    runs: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Fill in the template `name`; twice, since a reference may stand before what it refers to."""
    numbering = Numbering()
    made = environment(numbering, runs)
    made.filters |= filters
    template = made.get_template(name)
    template.render(context)
    numbering.start_second_pass()
    return template.render(context)


def _markup_functions(numbering: Numbering, runs: Mapping[str, str]) -> dict[str, Callable]:
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
        better: str = "",
        of: str = "this",
    ) -> Markup:
        label = numbering.define("Table", name)
        classes = ".table .sortable" if sortable else ".table"
        said = f"{escape(runs[of])} " if runs.get(of) else ""
        signs = f' better="{better}"' if better else ""
        lines = (
            f'::: {{{classes} role="region" tabindex="0" aria-label="{label}"{signs}}}',
            markdown_table(header, rows),
            "",
            f": **{label}.** {escape(_sentence(caption))} {said}{origin} {{#{identifier(name)}}}",
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
        "page_break": page_break,
    }


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."
