"""``run_all.sh compare``: which scores differ between two reports, and what differs behind them."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from commands.arguments import PROGRAM, WrongCall, place, refusing
from commands.telling import shown
from utils import places

if TYPE_CHECKING:
    from report.comparison_page import Comparison

HELP = "compare the scores of two reports, and list what differs behind them"
# More lines of scores are only on the page.
MOST_LINES = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} compare A B [--html FILE]"
    for name in ("a", "b"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help="a report: NAME for reports/NAME (a profile, or published), or its folder",
        )
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write the page to a new file (default: runs/comparisons/A-B.html)",
    )


def check(options: argparse.Namespace) -> None:
    """Find both folders and the place of the page."""
    options.names = options.a, options.b
    options.a, options.b = (_folder(text) for text in options.names)
    if options.html is None:
        a, b = (re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-") for name in options.names)
        options.html = places.runs() / "comparisons" / f"{a}-{b}.html"
        return
    options.html = place("--html", options.html)
    if options.html.exists():
        raise WrongCall(f"--html {options.html}: exists already; name a new file")
    if not options.html.parent.is_dir():
        raise WrongCall(f"--html {options.html}: its folder does not exist; make it first")


def _folder(text: str) -> Path:
    """Return the folder of a report that is named by its name or its path.

    Raises
    ------
    WrongCall
        If there is none.
    """
    reports = places.root() / "reports"
    by_name = reports / text
    if re.fullmatch(places.PLAIN_NAME, text) and (by_name / "run.json").is_file():
        return by_name
    folder = place("report", text)
    if folder.is_dir():
        return folder
    known = ", ".join(sorted(path.parent.name for path in reports.glob("*/run.json"))) or "none"
    raise WrongCall(
        f"report {text!r}: there is no such folder; reports by name are {known} (in {reports})"
    )


def act(options: argparse.Namespace) -> int:
    """Print the comparison and write its page; return the exit status.

    Raises
    ------
    WrongCall
        If a folder is no report, or the report is incomplete or of an earlier version.
    """
    from report import comparison_page, run_comparison
    from utils.config.load import load_verdict_rule

    with refusing():
        runs = [
            run_comparison.read(folder, name)
            for folder, name in zip((options.a, options.b), options.names, strict=True)
        ]
    compared = comparison_page.Comparison(*runs, load_verdict_rule().confidence)
    print(*_lines(compared), sep="\n")
    comparison_page.write(compared, options.html)
    print(f"\nthe page, with all scores: {shown(options.html)}")
    return 0


def _lines(compared: Comparison) -> list[str]:
    from report.comparison_page import MOVES_HEADER, in_lines

    lines = [*compared.described, *compared.notices, "", *compared.summary]
    if compared.moves:
        lines += ["", "Largest moves of the adjusted Rand index"]
        lines += in_lines(MOVES_HEADER, compared.moves)
    if moved := compared.moved:
        lines += ["", "Scores that moved", *in_lines(compared.header, moved[:MOST_LINES])]
    if len(moved) > MOST_LINES:
        lines.append(f"… and {len(moved) - MOST_LINES:,} more, which the page lists")
    if compared.differing:
        lines += ["", "What differs, or is not recorded"]
        lines += in_lines(("Kind", "What", "A", "B"), compared.differing)
    if compared.alike:
        lines += ["", f"The same in both: {', '.join(compared.alike)}"]
    return lines
