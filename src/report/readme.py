"""What README and `docs/published.md` show of the published run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import findings
from report.board_sections import method_name
from report.evidence_tables import ORIGINS_TABLE
from report.leaderboards import IMAGENET_LABELS
from report.markdown import MARK, fixed, interval
from report.origins_of import networks_elsewhere
from report.published import Published, seeds_by_topic
from report.stale_numbers import (
    marked_representations,
    marked_scores,
    with_marks,
    without_origin,
)
from report.verdict_rows import (
    HEADER,
    IDENTITIES_HEADER,
    LOSSES_HEADER,
    identity_rows,
    loss_rows,
    score_rows,
)
from utils import config, errors

if TYPE_CHECKING:
    import pandas as pd

# The parts of the README that are written here; each has its place between two markers.
PARTS = ("findings", "published", "origins")
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"
NOTHING_YET = "No full run is published yet."
PAGE = Path("docs") / "published.md"
PAGE_TITLE = "# The published run"
PAGE_NOTE = (
    "Everything here is written by `./run_all.sh publish` from "
    "[`reports/published/`](../reports/published). The table of scores is in the "
    "[README](../README.md#scores)."
)
ALIGNMENT = (":--", ":--", "--:", "--:", ":-:", ":--", ":--")
LOSSES_NOTE = (
    "Losses that the run saved in the authors' notebook printed, which are no scores of the paper."
)
IDENTITIES_NOTE = "What a protocol fixes is checked, not judged."
IDENTITIES_ALIGNMENT = (":--", ":--", "--:", "--:", ":--")
LEAD_FIGURE = (
    "![Forest plot: every reported score beside the runs of its protocol]"
    "(reports/published/figures/all-scores.png)\n\n"
    "*Every reported score beside our runs: shifted to their mean, and divided by the margin of "
    "interest (the grey band). The bar is the 95 % prediction interval for one more run or, where "
    "a paper leaves settings open, the envelope over plausible settings.*"
)
HEADLINE_NOTE = (
    "Reported values are as printed: the paper's and, where it is another one, that of the run "
    "saved in the authors' notebook. Ours is the mean ± standard deviation, with the number of "
    "runs; the rank is that of the reported value among our runs. Where the paper leaves a setting "
    "open and other fillings of it were run, the interval is the envelope of those of all "
    "fillings. Autoencoders are trained without labels; the weights of ResNet50 were trained with "
    f"those of {IMAGENET_LABELS}."
)
BOARD_NOTE = (
    "These are the best of many methods by their scores on these images, and settings were tried "
    "with the scores in view: the scores are optimistic. *Labels behind the weights* are those "
    "with which a network was trained before it saw these images; no method uses labels of these "
    "images but for the number of clusters, which is that of the classes."
)
UNKNOWN_NOTE = (
    "† Code, commit and processor of these numbers, or of some of their seeds, are not recorded. "
    "`./run_all.sh publish --check` lists them, and those whose code has changed since they were "
    "published."
)
BOARD_HEADER = (
    *("Images", "Method", "Name", "Labels behind the weights"),
    *("Seeds", "ACC", "ARI", "95 % interval", "Time"),
)
BOARD_ALIGNMENT = (":--", ":--", ":--", ":--", "--:", "--:", "--:", ":-:", "--:")


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


# --- the README and the page ---------------------------------------------------------------------


def readme_parts(published: Published | None) -> dict[str, str]:
    """Return each of the README's `PARTS` on the published run, also if there is none."""
    if published is None:
        return dict.fromkeys(PARTS, NOTHING_YET)
    unknown = without_origin(published)
    scores = [headline(published.verdicts, marked_scores(published, unknown)), HEADLINE_NOTE]
    return {
        "findings": lead(published) if len(published.metrics) else NOTHING_YET,
        "published": "\n\n".join([*scores, *([UNKNOWN_NOTE] if unknown else [])]),
        "origins": origins_in_short(published),
    }


def with_parts(text: str, published: Published | None) -> str:
    """Put what is known of the published run into the text of the README.

    Raises
    ------
    UserError
        As `update_readme`.
    """
    for name, part in readme_parts(published).items():
        text = update_readme(text, part, BEGIN.format(name), END.format(name))
    return text


def page(published: Published | None) -> str:
    """Return the page on the published run: counts, losses, the best methods and the origins."""
    if published is None:
        return f"{PAGE_TITLE}\n\n{NOTHING_YET}\n"
    unknown = without_origin(published)
    parts = [PAGE_TITLE, PAGE_NOTE]
    if published.boards:
        parts += ["## The best methods", BOARD_NOTE, best_rows(published)]
    if len(published.identities):
        parts += ["## Counts", IDENTITIES_NOTE, identity_table(published.identities)]
    if len(published.reported_losses):
        trained = {name for name, of in marked_representations(unknown) if of == "autoencoder"}
        parts += ["## Losses", LOSSES_NOTE, loss_table(published.reported_losses, trained)]
    if unknown:
        parts.append(UNKNOWN_NOTE)
    return "\n\n".join([*parts, "## Origin", origins(published)]) + "\n"


def lead(published: Published) -> str:
    """Return the findings as a list, and the figure of all scores."""
    untrained = findings.best_untrained(published.sound, published.studies)
    found = findings.sentences(published.sound, published.studies, untrained)
    listed = [f"{place}. {_plain(sentence)}" for place, sentence in enumerate(found, start=1)]
    return "\n".join([*listed, "", LEAD_FIGURE])


def headline(verdicts: pd.DataFrame, marked: Collection[tuple[str, str]] = ()) -> str:
    """Return a table of verdicts as a Markdown table; the studies and scores `marked` get a †."""
    shown: set[str] = set()
    rows = []
    for row in with_marks(score_rows(verdicts), marked):
        study = f"`{row.study}`" if row.study in shown else _with_title(row.study)
        rows.append([study, *map(_plain, row.cells[1:])])
        shown.add(row.study)
    return _table([HEADER, ALIGNMENT, *rows])


def identity_table(identities: pd.DataFrame) -> str:
    """Return a table of identities as a Markdown table."""
    rows = [[f"`{study}`", *map(_plain, rest)] for study, *rest in identity_rows(identities)]
    return _table([IDENTITIES_HEADER, IDENTITIES_ALIGNMENT, *rows])


def loss_table(losses: pd.DataFrame, marked: Collection[str] = ()) -> str:
    """Return a table of reported losses as a Markdown table; those of studies `marked` get a †."""
    rows = []
    for study, what, reported, ours, *rest in loss_rows(losses):
        mark = MARK if study in marked and ours != "–" else ""
        rows.append([f"`{study}`", *map(_plain, (what, reported, ours + mark, *rest))])
    return _table([LOSSES_HEADER, ALIGNMENT, *rows])


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def best_rows(published: Published) -> str:
    """Return the best and the named methods of each leaderboard as a Markdown table.

    Scores whose origin is not recorded have a mark.
    """
    unknown = marked_representations(without_origin(published))
    shown = [BOARD_HEADER, BOARD_ALIGNMENT]
    for name, rows in published.boards["leaderboard"].groupby("study", sort=False):
        best = rows["ari"] == rows["ari"].max()
        for row in rows[best | (rows["recipe"] != "")].itertuples():
            mark = MARK if (row.study, row.representation) in unknown else ""
            shown.append(
                (
                    f"`{name}`, {row.n:,.0f}",
                    _plain(method_name(row)),
                    f"`{row.recipe}`" if row.recipe else "",
                    row.labels,
                    str(row.n_seeds),
                    _plain(fixed(row.acc) + mark),
                    _plain(fixed(row.ari) + mark),
                    _plain(interval(row.ari_low, row.ari_high, "score")),
                    f"{row.seconds:,.0f} s",
                )
            )
    return _table(shown)


def origins_in_short(published: Published) -> str:
    """Return a sentence that says when and where the published runs were made."""
    parts = [published.record, *published.record.get("earlier", [])]
    days = sorted({part["made"][:10] for part in parts})
    when = f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
    where = _distinct(_plain(part["hardware"]["gpu"] or part["hardware"]["cpu"]) for part in parts)
    table = published.evidence[ORIGINS_TABLE.file]
    elsewhere = {
        study: place
        for part in parts
        for study, place in networks_elsewhere(table, part.get("published", {})).items()
    }
    trained = [
        f"; the networks of `{study}` were trained on {_plain(place)}"
        for study, place in elsewhere.items()
    ]
    runs = "one run" if len(parts) == 1 else f"{len(parts)} runs"
    return f"The numbers are those of {runs}, made {when} on {where}{''.join(trained)}."


def _distinct(names: Iterable[str]) -> str:
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} and {last}" if first else last


def origins(published: Published) -> str:
    """Return a Markdown list of the runs that the numbers are from, newest first, and a sentence.

    The sentence names the networks trained in bfloat16; it is left out if there are none.
    """
    record, facts = published.record, published.facts
    table = published.evidence[ORIGINS_TABLE.file]
    parts = (record, *record.get("earlier", []))
    runs = "\n".join(
        f"- {_run_line(part, networks_elsewhere(table, part.get('published', {})))}"
        for part in parts
    )
    rounded = facts[(facts["fact"] == "precision") & (facts["value"] == "bfloat16")]
    if rounded.empty:
        return runs
    said = "These networks of the studies were trained in bfloat16, all others in float32"
    return f"{runs}\n\n{said}: seeds {_named_seeds(seeds_by_topic(rounded))}."


def _named_seeds(seeds: dict[str, list[int]]) -> str:
    return "; ".join(f"`{topic}` {', '.join(map(str, of))}" for topic, of in seeds.items())


def _run_line(record: dict[str, Any], elsewhere: dict[str, str]) -> str:
    """Describe a run; `elsewhere` says where networks were trained that it only loaded."""
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
        *(f"networks of `{study}` on {_plain(where)}" for study, where in elsewhere.items()),
    ]
    seeds = _named_seeds(record.get("published", {}))
    return f"{', '.join(parts)}{'; seeds: ' if seeds else ''}{seeds}."


def _with_title(study: str) -> str:
    """Name a study in full; one that is in no file any more has no title."""
    if study not in config.study_names():
        return f"`{study}`"
    return f"`{study}`: {_plain(config.load_study(study).title.removeprefix('A '))}"


def _plain(text: str) -> str:
    """Write any text so that Markdown shows it as it is, on one line and in one cell."""
    return re.sub(r"([\\`*_\[\]<>|&$~])", r"\\\1", " ".join(text.split()))


def update_readme(text: str, table: str, begin: str, end: str) -> str:
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
