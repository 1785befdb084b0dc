"""Which published numbers are not known to be of today's code."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from report.evidence_tables import ORIGINS_TABLE
from report.markdown import MARK
from utils import places
from utils.store.fingerprints import numbers_fingerprint, source_fingerprint
from utils.store.origins import settings_fingerprints

if TYPE_CHECKING:
    import pandas as pd

    from report.published import Published
    from report.verdict_rows import ScoreRow

NO_ORIGIN = "no origin recorded"
TRAINING = "utils.representations.training"
NOTE = (
    "† Of the published run, with at least one seed whose code was another one than that of the "
    "day on which this report was built, or is not recorded. `./run_all.sh publish --check` lists "
    "these numbers and what differs."
)


class Scored(NamedTuple):
    """What was clustered and scored: a representation, with one seed of a study or leaderboard."""

    study: str
    seed: int
    representation: str


# Why the scores are not known to be of today's code.
Reasons = Mapping[Scored, tuple[str, ...]]


def without_origin(published: Published) -> Reasons:
    """List the published scores whose code, processor and time are not recorded.

    It depends on the published run alone, so that the README, which shows it, stays as it is.
    """
    recorded = {_scored(row) for row in _recorded(published).itertuples()}
    return {each: (NO_ORIGIN,) for each in _all_scored(published) if each not in recorded}


def of_other_code(published: Published) -> Reasons:
    """List the published scores whose code is another one than today's, or is not recorded.

    The code of each notebook that scored, and of the training of its network, is compared by
    fingerprint, see `utils.store.fingerprints`; so are the study's settings.
    """
    code_of_notebook = cache(_code_of_notebook)  # anew for each call
    settings = {study.study: settings_fingerprints(study) for study in published.studies}
    training = source_fingerprint(TRAINING)
    found: dict[Scored, dict[str, None]] = defaultdict(dict)  # in the order of the rows, each once
    for row in _recorded(published).itertuples():
        if reason := _change_of_notebook(row, code_of_notebook(row.notebook)):
            found[_scored(row)][reason] = None
        if reason := _change_of_settings(row, settings.get(row.study)):
            found[_scored(row)][reason] = None
        if reason := _change_of_training(row, training):
            found[_scored(row)][reason] = None
    unknown = without_origin(published)
    return {
        each: unknown.get(each) or tuple(found[each])
        for each in _all_scored(published)
        if each in unknown or each in found
    }


def lines(published: Published, reasons: Reasons) -> list[str]:
    """Write the scores in lines: study, seeds and representations, and why they are listed."""
    seeds: dict[tuple[str, tuple[str, ...]], dict[str, list[int]]] = {}
    for each, why in reasons.items():
        by_name = seeds.setdefault((each.study, why), defaultdict(list))
        by_name[each.representation].append(each.seed)
    n_scored = Counter(each.study for each in _all_scored(published))
    written = []
    for (study, why), by_name in seeds.items():
        if sum(map(len, by_name.values())) == n_scored[study]:
            groups = [(tuple(sorted(set().union(*by_name.values()))), "all representations")]
        else:
            alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
            for name, its_seeds in by_name.items():
                alike[tuple(sorted(its_seeds))].append(name)
            groups = [(its_seeds, ", ".join(names)) for its_seeds, names in alike.items()]
        written += [
            f"{study}, {_seeds_in_words(group)}, {names}: {'; '.join(why)}"
            for group, names in groups
        ]
    return written


def _seeds_in_words(seeds: Collection[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


# --- marks in tables -----------------------------------------------------------------------------


def marked_representations(reasons: Reasons) -> set[tuple[str, str]]:
    """Return each study or leaderboard and representation of which a seed is listed."""
    return {(each.study, each.representation) for each in reasons}


def marked_scores(published: Published, reasons: Reasons) -> set[tuple[str, str]]:
    """Return each study and name of a reported score whose mean has a seed that is listed."""
    marked = marked_representations(reasons)
    return {
        (study.study, reported.score)
        for study in published.studies
        for reported in study.reported
        if (study.study, reported.representation) in marked
    }


def with_marks(rows: Iterable[ScoreRow], marked: Collection[tuple[str, str]]) -> list[ScoreRow]:
    """Put a mark after our value of each study and score that is `marked`."""
    return [
        replace(row, ours=row.ours + MARK) if (row.study, row.score) in marked else row
        for row in rows
    ]


def has_mark(rows: Iterable[Iterable[object]]) -> bool:
    """Tell whether a cell of a table is marked."""
    return any(str(cell).endswith(MARK) for row in rows for cell in row)


# --- the comparison ------------------------------------------------------------------------------


def _all_scored(published: Published) -> list[Scored]:
    """List what the published run has scores of, by study and in the order of the table."""
    of = published.metrics[list(Scored._fields)].drop_duplicates()
    each = [_scored(row) for row in of.itertuples()]
    return sorted(each, key=lambda scored: (scored.study, scored.seed))


def _scored(row: Any) -> Scored:
    return Scored(str(row.study), int(row.seed), str(row.representation))


def _recorded(published: Published) -> pd.DataFrame:
    """Return the origins that name code, processor and time; those of earlier code do not."""
    table = published.evidence[ORIGINS_TABLE.file]
    return table[(table[["code", "processor", "computed"]] != "").all(axis=1)]


def _change_of_notebook(row: Any, today: str | None) -> str | None:
    name = f"notebook {row.notebook.partition('_')[0]}"
    if today is None:
        return f"{name} exists no longer"
    return None if row.code == today else f"code of {name} {_since(row.commit, row.computed)}"


def _change_of_settings(row: Any, today: Mapping[str, str] | None) -> str | None:
    """Compare what the study's file said; of a leaderboard (`today` is None) it is not recorded."""
    if today is None:
        return None
    if not row.settings:
        return "no settings of the study recorded"
    # A network that stood in for another one is in no file, and has the settings of any such.
    wanted = today.get(row.representation, today["pixels"])
    return None if row.settings == wanted else f"settings {_since(row.commit, row.computed)}"


def _change_of_training(row: Any, today: str) -> str | None:
    if not row.network_computed:
        return None  # nothing was trained
    if not row.network_code:
        return "no code of the training recorded"
    if row.network_code == today:
        return None
    return f"training code {_since(row.network_commit, row.network_computed)}"


def _since(commit: str, computed: str) -> str:
    return f"since commit {commit[:7]}" if commit else f"since {computed[:10]}, of no commit"


def _code_of_notebook(name: str) -> str | None:
    """Return the fingerprint of what computes a notebook's numbers today; None without it."""
    script = places.root() / "notebooks" / f"{name}.py"
    return numbers_fingerprint(script) if script.is_file() else None
