"""One text in Markdown as several linked HTML pages.

A template marks where a part begins that is a page of its own; the PDF has all parts in one.
Numbers of sections, figures and tables are those of the whole, so that page and PDF agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from markupsafe import Markup

from report.markdown import escape, identifier
from utils.config import strict_yaml

# No value has a form feed, which `markdown.escape` takes for white space; nor a brace or a bracket
# without a backslash before it.
BREAK = "\f"
FRONT = re.compile(r"\A\s*---\n(.*?)\n---\n", re.DOTALL)
HEADING = re.compile(r"^# (.+) \{#([^ }]+)\}\n", re.MULTILINE)
SECTION = re.compile(r"^# (?!.*\{\.unnumbered\}$)", re.MULTILINE)
IDENTIFIER = re.compile(r"(?<!\\)\{#([A-Za-z0-9_.:-]+)")
LINK = re.compile(r"\]\(#([A-Za-z0-9_.:-]+)\)")
BIBLIOGRAPHY = "\n\n# Bibliography {.unnumbered}\n\n::: {#refs}\n:::\n"


class WebPage(NamedTuple):
    """What becomes ``<name>.html``.

    Attributes
    ----------
    name : str
    text : str
        In pandoc's Markdown; image files are relative to the report's folder.
    plots : dict of str to str
        JSON of each interactive map by the identifier of its place.
    matrices : dict of str to str
        JSON of the table of clusters and classes beside a map, by the identifier of its place.
    is_one_file : bool
        Whether images are embedded; otherwise they lie beside the page and are loaded when needed.
    section : int
        Number of the section of the whole that this page is; 0 for a page that begins with the
        first section.
    """

    name: str
    text: str
    plots: Mapping[str, str] = MappingProxyType({})
    matrices: Mapping[str, str] = MappingProxyType({})
    is_one_file: bool = True
    section: int = 0


class _Part(NamedTuple):
    """A page of its own within a text: its own heading, and what stands below."""

    name: str
    title: str
    identifier: str
    section: int
    text: str


def page_break(name: str = "", label: str = "") -> Markup:
    """Begin a page of its own, named in lists of pages by `label`, or go back to the first page.

    The text of a page begins with its heading of the first level.
    """
    return Markup(f"{BREAK}{identifier(name) if name else ''} {escape(label)}\n")


def whole(text: str) -> str:
    """Return the text without the marks, for a PDF."""
    return re.sub(f"{BREAK}.*\n", "", text)


def labels(text: str, first: str) -> dict[str, str]:
    """Return the labels of the pages of a text, in their order, by the names of the pages."""
    marks = re.findall(f"{BREAK}([^ \n]+) (.*)\n", text)
    return {first: "Supplement"} | {f"{first}-{name}": label for name, label in marks}


def split(
    text: str,
    first: str,
    labels: Mapping[str, str],
    plots: Mapping[str, str],
    matrices: Mapping[str, str],
) -> list[WebPage]:
    """Make the pages of a text, with links from each to all others.

    Parameters
    ----------
    text : str
        In pandoc's Markdown, with the marks of `page_break`.
    first : str
        Name of the first page, and the beginning of the names of all others.
    labels : dict of str to str
        Of all pages that each of these leads to, by their names.
    plots, matrices : dict of str to str
        Of all pages, see `WebPage`.

    Returns
    -------
    list of WebPage
        The first page has a heading and a link in the place of each other page.
    """
    front = FRONT.match(text)
    if front is None:
        raise ValueError("the text has no front matter")
    body, parts = _parts(text[front.end() :], first)
    about = strict_yaml.parse(front[1].encode()).content
    made = [WebPage(first, front[0] + body, is_one_file=False)]
    made += [
        WebPage(
            part.name,
            _front_matter(about, part) + part.text + BIBLIOGRAPHY,
            is_one_file=False,
            section=part.section,
        )
        for part in parts
    ]
    places = {name: page.name for page in made for name in IDENTIFIER.findall(page.text)}
    places |= {part.identifier: part.name for part in parts}
    return [
        page._replace(
            text=with_pages(_linked(page, places), labels, page.name),
            plots={name: plot for name, plot in plots.items() if places.get(name) == page.name},
            matrices={name: of for name, of in matrices.items() if places.get(name) == page.name},
        )
        for page in made
    ]


def with_pages(text: str, labels: Mapping[str, str], current: str) -> str:
    """Add to the front matter of a page the list of all pages, by their names and labels."""
    listed = [
        {"href": f"{name}.html", "label": label, **({"current": True} if name == current else {})}
        for name, label in labels.items()
    ]
    return FRONT.sub(
        lambda found: f"---\n{found[1]}\npages: {json.dumps(listed, ensure_ascii=False)}\n---\n",
        text,
        count=1,
    )


def _parts(body: str, first: str) -> tuple[str, list[_Part]]:
    """Return the text of the first page, and the other pages."""
    beginning, *rest = body.split(BREAK)
    kept, parts, section = [beginning], [], len(SECTION.findall(beginning))
    for chunk in rest:
        mark, _, text = chunk.partition("\n")
        name, _, _ = mark.partition(" ")
        if name:
            heading = HEADING.search(text)
            if heading is None or text[: heading.start()].strip():
                raise ValueError(f"the page {name} does not begin with a heading")
            part = _Part(
                f"{first}-{name}", heading[1], heading[2], section + 1, text[heading.end() :]
            )
            parts.append(part)
            text = _signpost(part)
        kept.append(text)
        section += len(SECTION.findall(text))
    return "".join(kept), parts


def _signpost(part: _Part) -> str:
    """Say on the first page where another one is and what it has."""
    counts = [
        f"{n} {word}{'' if n == 1 else 's'}"
        for word, kind in (("figure", "fig-"), ("table", "tbl-"))
        if (n := sum(name.startswith(kind) for name in IDENTIFIER.findall(part.text)))
    ]
    what = f", with {' and '.join(counts)}" if counts else ""
    return (
        f"\n# {part.title} {{#page-{part.identifier}}}\n\n"
        f"This section is [a page of its own]({part.name}.html){what}.\n\n"
    )


def _front_matter(about: Mapping[str, Any], part: _Part) -> str:
    """Write the front matter of a page: that of the whole, with a title of its own."""
    own = {name: value for name, value in about.items() if name != "abstract"} | {
        "title": part.title,
        "title-id": part.identifier,
        "title-number": str(part.section),
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in own.items()]
    return "\n".join(["---", *lines, "---", ""])


def _linked(page: WebPage, places: Mapping[str, str]) -> str:
    """Let each link to a place on another page lead there."""

    def link(found: re.Match[str]) -> str:
        place = places.get(found[1], page.name)
        return found[0] if place == page.name else f"]({place}.html#{found[1]})"

    return LINK.sub(link, page.text)
