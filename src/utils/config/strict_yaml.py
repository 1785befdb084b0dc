"""A strict reader of YAML 1.2, used for every YAML file of this project.

A file is one document of mappings, lists and plain values. Plain values are read by the core
schema of YAML 1.2: ``true`` and ``false`` are the only truth values, and ``yes``, ``1:30`` and
``2024-01-01`` are text. Refused are tags, duplicate keys, keys that are not text, and numbers with
a leading zero: ``010`` is 8 in YAML 1.1 and 10 in YAML 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import Resolver
from yaml.scanner import Scanner

Way = tuple[str | int, ...]  # keys and positions in lists that lead to a part of the content
MOST_LEVELS = 50

_PLAIN: tuple[tuple[str, Callable[[str], Any]], ...] = (
    (r"~|null|Null|NULL|", lambda _: None),
    (r"true|True|TRUE", lambda _: True),
    (r"false|False|FALSE", lambda _: False),
    (r"[-+]?[0-9]+", int),
    (r"0o[0-7]+", lambda text: int(text[2:], 8)),
    (r"0x[0-9a-fA-F]+", lambda text: int(text[2:], 16)),
    (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
    (r"[-+]?\.(inf|Inf|INF)", lambda text: float(text.replace(".", ""))),
    (r"\.(nan|NaN|NAN)", lambda _: float("nan")),
)


class Malformed(ValueError):
    """What is wrong in a text: a line of words, which begins with the line where it stands."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(f"line {line}: {' '.join(words.split())}")


@dataclass(frozen=True)
class Document:
    """What a text says, and where in the text each part of it stands.

    Attributes
    ----------
    content : dict, list, str, int, float, bool or None
    """

    content: Any
    _root: yaml.Node | None

    def line(self, way: Iterable[str | int]) -> int:
        """Return the line, from 1, of a part of the content.

        Parameters
        ----------
        way : iterable of str and int
            Keys and positions that lead to the part. A step that leads nowhere is left out, so that
            a missing part is looked for where it would belong.
        """
        node, line = self._root, 0
        for step in way:
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == step:
                        node, line = value, key.start_mark.line
                        break
            elif (
                isinstance(node, yaml.SequenceNode)
                and isinstance(step, int)
                and step < len(node.value)
            ):
                node = node.value[step]
                line = node.start_mark.line
        return line + 1


def parse(data: bytes) -> Document:
    """Read a YAML text.

    Parameters
    ----------
    data : bytes
        UTF-8, with or without a byte-order mark; lines end in LF or CRLF.

    Raises
    ------
    Malformed
        If it is no YAML, or YAML that is not allowed here.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(data[: error.start].count(b"\n") + 1, "not UTF-8 text") from None
    try:
        root = _Composer(text).get_single_node()
        return Document(None if root is None else _Builder().value(root, ()), root)
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise Malformed(line, f"not valid YAML: control character {error.character:#x}") from None
    except yaml.MarkedYAMLError as error:
        raise _explained(error, text) from None


def _explained(error: yaml.MarkedYAMLError, text: str) -> Malformed:
    mark = error.problem_mark or error.context_mark
    line = text.splitlines()[mark.line : mark.line + 1]
    if line and "\t" in line[0][: len(line[0]) - len(line[0].lstrip())]:
        return Malformed(
            mark.line + 1, "not valid YAML: the line is indented with a tab: use spaces"
        )
    if line and line[0][mark.column : mark.column + 1] == "\t":
        column = mark.column + 1
        words = f"not valid YAML: a tab stands in column {column}: use spaces, or quotation marks"
        return Malformed(mark.line + 1, words)
    context = f" ({error.context})" if error.context else ""
    return Malformed(mark.line + 1, f"not valid YAML: {error.problem}{context}")


class _Composer(Reader, Scanner, Parser, Composer, Resolver):
    """PyYAML's reader up to nodes, which says nothing of what a plain value means."""

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        Resolver.__init__(self)
        self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """Make a node of what comes next, unless it has a tag or lies too deep."""
        event = self.peek_event()
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise Malformed(line, f"tag '{event.tag}' is not allowed: leave it out")
        if self._level == MOST_LEVELS:
            raise Malformed(line, f"more than {MOST_LEVELS} lists or mappings inside each other")
        self._level += 1
        node = super().compose_node(parent, index)
        self._level -= 1
        return node


class _Builder:
    """Makes values of nodes; an alias stands for the same value as its anchor."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._begun: set[int] = set()

    def value(self, node: yaml.Node, way: Way) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, way)
        if id(node) not in self._done:
            if id(node) in self._begun:
                raise _malformed(node, f"{_named(way)} contains itself")
            self._begun.add(id(node))
            make = self._mapping if isinstance(node, yaml.MappingNode) else self._list
            self._done[id(node)] = make(node, way)
        return self._done[id(node)]

    def _list(self, node: yaml.SequenceNode, way: Way) -> list:
        return [self.value(item, (*way, place)) for place, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, way: Way) -> dict[str, Any]:
        made: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            is_scalar = isinstance(key_node, yaml.ScalarNode)
            key = _scalar(key_node, way) if is_scalar else None
            if not isinstance(key, str):
                shown = key_node.value if is_scalar else "[…]"
                raise _malformed(key_node, f"'{shown}' cannot be a key: put a word in its place")
            if key in made:
                first = f"first in line {lines[key]}"
                raise _malformed(key_node, f"{_named((*way, key))} is given twice, {first}")
            made[key] = self.value(value_node, (*way, key))
            lines[key] = key_node.start_mark.line + 1
        return made


def _scalar(node: yaml.ScalarNode, way: Way) -> Any:
    text = node.value
    if node.style is not None:  # in quotes, or a block of text
        return text
    if re.fullmatch(r"[-+]?0[0-9]+", text):
        number = int(text)
        raise _malformed(
            node,
            f"{_named(way)}: {text} begins with 0, which YAML 1.1 reads as an octal number: "
            f"write {number}, or '{text}' in quotes for text",
        )
    for pattern, convert in _PLAIN:
        if re.fullmatch(pattern, text):
            try:
                return convert(text)
            except ValueError:  # Python's limit, thousands of digits
                raise _malformed(node, f"{_named(way)}: a number of {len(text)} digits") from None
    return text


def _named(way: Way) -> str:
    return f"key '{'.'.join(map(str, way))}'" if way else "the file"


def _malformed(node: yaml.Node, words: str) -> Malformed:
    return Malformed(node.start_mark.line + 1, words)
