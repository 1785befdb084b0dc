"""The README's tables of the published run."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from report.markdown import fixed, interval, of_kind
from report.published import Published, seeds_by_topic
from report.reproduction import kinds_of
from utils import config, errors
from utils.config.facts import Kind
from utils.config.vocabulary import describe

LONGEST_NOTE = 90  # letters
BEGIN, END = "<!-- published: begin -->", "<!-- published: end -->"
NOTHING_YET = "No full run is published yet."
HEADER = ("Study", "Quantity", "Reported", "Ours (mean)", "95 % interval", "Seeds", "Verdict")
ALIGNMENT = (":--", ":--", "--:", "--:", ":-:", "--:", ":--")
BOARD_HEADER = ("Images", "Method", "Name", "Seeds", "ACC", "ARI", "95 % interval", "Time")
BOARD_ALIGNMENT = (":--", ":--", ":--", "--:", "--:", "--:", ":-:", "--:")


def read_readme(readme: Path) -> str:
    """Read the README.

    Raises
    ------
    UserError
        If it is missing.
    """
    try:
        return readme.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise errors.UserError(
            f"{readme}: missing: the table of the published run belongs there"
        ) from None


# --- the README's table --------------------------------------------------------------------------


def readme_block(published: Published | None) -> str:
    """Return the README's part on the published run, also if there is none."""
    if published is None:
        return NOTHING_YET
    parts = [headline(published)]
    if published.boards:
        parts += ["The best methods on these images, beyond the papers:", best_rows(published)]
    return "\n\n".join([*parts, "Origin of these numbers:", origins(published)])


def headline(published: Published) -> str:
    """Return the reported values and ours as a Markdown table."""
    shown: set[str] = set()
    kinds = kinds_of(map(config.load_study, config.study_names()))
    rows = [HEADER, ALIGNMENT]
    for row in published.verdicts.itertuples():
        kind = kinds.get((row.study, row.figure), "score")  # of a study that is in no file any more
        rows.append(
            (
                f"`{row.study}`" if row.study in shown else _with_title(row.study),
                _plain(row.figure),
                of_kind(row.reported, kind),
                of_kind(row.reproduced_mean, kind),
                _interval(row.ci_low, row.ci_high, kind),
                str(row.n_seeds),
                _plain(row.verdict) + (f": {_shortened(row.note)}" if row.note else ""),
            )
        )
        shown.add(row.study)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def best_rows(published: Published) -> str:
    """Return the best and the named methods of each leaderboard as a Markdown table."""
    shown = [BOARD_HEADER, BOARD_ALIGNMENT]
    for name, rows in published.boards["leaderboard"].groupby("study", sort=False):
        best = rows["ari"] == rows["ari"].max()
        for row in rows[best | (rows["recipe"] != "")].itertuples():
            shown.append(
                (
                    f"`{name}`, {row.n:,.0f}",
                    _plain(describe(row.representation, row.space, row.clusterer)),
                    f"`{row.recipe}`" if row.recipe else "",
                    str(row.n_seeds),
                    fixed(row.acc),
                    fixed(row.ari),
                    _interval(row.ari_low, row.ari_high, "score"),
                    f"{row.seconds:,.0f} s",
                )
            )
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


def origins(published: Published) -> str:
    """Return a Markdown list of the runs that the numbers are from, newest first, and a sentence.

    The sentence names the networks trained in bfloat16; it is left out if there are none.
    """
    record, facts = published.record, published.facts
    runs = "\n".join(f"- {_run_line(part)}" for part in (record, *record.get("earlier", [])))
    rounded = facts[(facts["fact"] == "precision") & (facts["value"] == "bfloat16")]
    if rounded.empty:
        return runs
    said = "These networks of the studies were trained in bfloat16, all others in float32"
    return f"{runs}\n\n{said}: seeds {_named_seeds(seeds_by_topic(rounded))}."


def _named_seeds(seeds: dict[str, list[int]]) -> str:
    return "; ".join(f"`{topic}` {', '.join(map(str, of))}" for topic, of in seeds.items())


def _run_line(record: dict[str, Any]) -> str:
    commit = "no commit" if record["commit"] is None else f"commit `{record['commit'][:7]}`"
    if record["dirty"]:
        commit += " with uncommitted changes"
    hardware = record["hardware"]
    parts = [
        f"Run of {record['made'][:10]}",
        commit,
        f"profile `{record['profile']['profile']}`",
        _plain(hardware["cpu"]),
        "cores not known" if hardware["cores"] is None else f"{hardware['cores']} cores",
        f"GPU {_plain(hardware['gpu'])}" if hardware["gpu"] else "no GPU",
    ]
    seeds = _named_seeds(record.get("published", {}))
    return f"{', '.join(parts)}{'; seeds: ' if seeds else ''}{seeds}."


def _with_title(study: str) -> str:
    """Name a study in full; one that is in no file any more has no title."""
    if study not in config.study_names():
        return f"`{study}`"
    return f"`{study}`: {_plain(config.load_study(study).title.removeprefix('A '))}"


def _interval(low: float, high: float, kind: Kind) -> str:
    return interval(low, high, kind).replace("\u00a0", " ")


def _shortened(note: str) -> str:
    return _plain(textwrap.shorten(note, LONGEST_NOTE, placeholder=" …"))


def _plain(text: str) -> str:
    """Write any text so that Markdown shows it as it is, on one line and in one cell."""
    return re.sub(r"([\\`*_\[\]<>|&$~])", r"\\\1", " ".join(text.split()))


def update_readme(text: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """Put `table` between the markers `begin` and `end` of `text`.

    Raises
    ------
    UserError
        If a marker is missing, is there twice, or they are in the wrong order.
    """
    for marker in (begin, end):
        if text.count(marker) != 1:
            raise errors.UserError(
                f"README: the marker {marker} occurs {text.count(marker)} times: the table "
                f"belongs between one {begin} and one {end}"
            )
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise errors.UserError(f"README: the marker {end} comes before {begin}: swap them")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"
