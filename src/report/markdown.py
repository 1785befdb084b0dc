"""Text of the article: any words and numbers turned into pandoc's Markdown."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from utils.config.facts import Kind
from utils.config.methods import FROZEN
from utils.config.vocabulary import NAMES

PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Of a number in a table; what it means stands below.
MARK = "\u00a0†"
# Names that a message may have and that are no words of the language, the longest first.
NETWORKS = sorted((*FROZEN, "resnet50", "resnet50_random"), key=len, reverse=True)
INTERNAL_NAME = re.compile(rf"\b({'|'.join(NETWORKS)})\b(?!\.\w)")  # not the name of a file
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]|[\ud800-\udfff]")


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
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", name):
        raise ValueError(f"not a plain name: {name!r}")
    return Markup(name)


def code(name: str) -> Markup:
    """Return a plain name, such as a hash, set as code."""
    return Markup(f"`{identifier(name)}`")


def fixed(value: float | None, digits: int = 4) -> str:
    """Format a score with a fixed number of decimals; a missing one is a dash."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def of_kind(value: Any, kind: Kind) -> str:
    """Format a value by its kind, see `utils.config.facts`; a missing number is a dash.

    A count is whole, and its mean over seeds has one decimal; a score has four decimals, or none
    from 100 on.
    """
    if kind == "text":
        return NAMES.get(value, value)
    if kind == "flag":
        return "yes" if value else "no"
    if kind == "any":
        return number(value)
    if math.isnan(value):
        return "–"
    if kind == "count":
        return f"{value:,.{0 if float(value).is_integer() or abs(value) >= 100 else 1}f}"
    if kind == "share":
        return f"{100 * value:.1f} %"
    if kind == "seconds":
        return duration(value)
    if kind == "quantity":
        return number(value)
    return f"{value:,.0f}" if abs(value) >= 100 else fixed(value)


def of_runs(mean: float, sd: float, n: int, digits: int = 4) -> str:
    """Format a mean over runs, their standard deviation and number; a dash if there is none."""
    if math.isnan(mean):
        return "–"
    spread = "" if math.isnan(sd) else f" ± {fixed(sd, digits)}"
    return f"{fixed(mean, digits)}{spread} ({n})"


def interval(low: float, high: float, kind: Kind) -> str:
    """Format both ends of an interval; a missing one is a dash."""
    if math.isnan(low):
        return "–"
    return f"{of_kind(low, kind)}\u00a0to\u00a0{of_kind(high, kind)}"


def p_value(p: float) -> str:
    """Write a p-value with three decimals, a very small one as a bound; "–" if it is missing."""
    return "< 0.001" if p < 0.001 else fixed(p, 3)


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


def in_words(message: str) -> str:
    """Name networks in a recorded message as people do; after a colon it goes on in lower case."""
    named = INTERNAL_NAME.sub(lambda found: NAMES[found[0]], message)
    return re.sub(r"(?<=[:;] )The ", "the ", named)


def each(values: dict[int, Any], kind: Kind) -> str:
    """Format one recorded fact: once if all seeds agree, otherwise the value of each seed."""
    shown = {seed: of_kind(value, kind) for seed, value in values.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{value} (seed {seed})" for seed, value in shown.items())


def duration(seconds: float) -> str:
    """Format a duration: ``0.123 s``, ``59.7 s``, ``3 min 05 s``, ``2 h 10 min``.

    An unknown duration, NaN, is a dash.
    """
    if math.isnan(seconds):
        return "–"
    short = f"{seconds:.3g}"
    if float(short) < 60:  # 59.97 is written as a minute
        return f"{short} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def words(items: Iterable[str]) -> Any:
    """Join items with commas and a last "and"; Markdown stays Markdown."""
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
        label = "?" if self._learning else self.labels[name]
        return Markup(f"[{label}](#{identifier(name)})")
