"""Two reports beside each other: which scores moved, and what differs behind them.

A score is one metric of one method on one study's or leaderboard's images, with a value for each
seed. Report A comes first: a difference is that of B minus A.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from report.evidence_tables import ORIGINS_TABLE
from report.run_record import read_record
from report.statistics import prediction_interval, welch_interval
from utils.errors import UserError
from utils.store.files import read_state
from utils.store.tables import LEADERBOARD_TABLE, METRICS_TABLE, Table

Outcome = Literal["moved", "within the spread", "same", "not judged"]
OUTCOMES: tuple[Outcome, ...] = ("moved", "within the spread", "same", "not judged")
# What names a score in both reports; the number of images may differ.
SCORE = ("study", "representation", "space", "clusterer", "metric")
# The published tables have six significant digits.
DIGITS = 6
NOT_RECORDED = "not recorded"
_METHODS = ("study", "representation", "space", "clusterer", "settings")
# Of other tables only what is compared: reports of other versions may have other columns.
METHODS_TABLE = Table(
    LEADERBOARD_TABLE.file,
    MappingProxyType({name: LEADERBOARD_TABLE.types[name] for name in _METHODS}),
)
_OF_NETWORK = ("network_code", "network_commit", "network_processor", "network_computed")
_ORIGINS = ("study", "notebook", "precision", "code", "commit", "processor", *_OF_NETWORK)
ORIGINS = Table(
    ORIGINS_TABLE.file, MappingProxyType({name: ORIGINS_TABLE.types[name] for name in _ORIGINS})
)


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What is compared of a report.

    Attributes
    ----------
    name : str
        What it is called in texts.
    record : dict
        What ``run.json`` holds.
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    origins : DataFrame
        Columns of `ORIGINS`; without rows if the report has none.
    methods : DataFrame
        Columns of `METHODS_TABLE`; without rows if the report has no leaderboard.
    """

    name: str
    record: dict[str, Any]
    metrics: pd.DataFrame
    origins: pd.DataFrame
    methods: pd.DataFrame

    @property
    def seeds(self) -> dict[str, list[int]]:
        """The seeds of each study or leaderboard that has a score."""
        return {
            str(study): sorted({int(seed) for seed in seeds})
            for study, seeds in self.metrics.groupby("study", sort=False)["seed"]
        }


def read(folder: Path, name: str) -> Run:
    """Read what is compared of a report, or of the published run.

    Raises
    ------
    UserError
        If the folder is no report on studies, or a file or a column is missing or malformed, as in
        a report of an earlier version.
    """
    if not (folder / "run.json").is_file():
        raise UserError(
            f"{folder}: is no report (it has no run.json): name the folder of one, such as "
            "reports/quick or reports/published"
        )
    remedy = "the report is incomplete or of an earlier version; build it again with ./run_all.sh"
    record = _record(folder / "run.json", remedy)
    has_origins = ORIGINS_TABLE.file in record.get("evidence", [])
    return Run(
        name,
        record,
        _table(METRICS_TABLE, folder, remedy),
        _table(ORIGINS, folder, remedy) if has_origins else ORIGINS.empty(),
        _table(METHODS_TABLE, folder, remedy)
        if record.get("leaderboards")
        else METHODS_TABLE.empty(),
    )


def _record(path: Path, remedy: str) -> dict[str, Any]:
    content = read_state(path, "facts")
    if content is not None and "profile" not in content:
        raise UserError(f"{path.parent}: is a report on pictures, which has no scores to compare")
    return read_record(path, remedy)


def _table(schema: Table, folder: Path, remedy: str) -> pd.DataFrame:
    """Read a table, and name all columns that it lacks."""
    path = folder / schema.file
    try:
        found = pd.read_csv(path, nrows=0).columns
    except (OSError, ValueError):
        return schema.read(path, remedy)  # which says what is wrong
    absent = [name for name in schema.columns if name not in found]
    if len(absent) > 1:
        raise UserError(f"{path}: the columns {', '.join(absent)} are missing: {remedy}")
    return schema.read(path, remedy)


# --- scores --------------------------------------------------------------------------------------


class Judged(NamedTuple):
    """How far two means lie apart.

    Attributes
    ----------
    difference : float
        Of the means, the second minus the first.
    sd : float
        Standard deviation of one seed's value, pooled over both; NaN if each has one value.
    low, high : float
        Interval of the difference; NaN if each has one value.
    outcome : str
        ``moved`` if the interval leaves out 0, otherwise ``within the spread``; ``not judged`` if
        each has one value, which do not show a spread.
    """

    difference: float
    sd: float
    low: float
    high: float
    outcome: Outcome


def judge(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Judged:
    """Compare the values of a score in two reports with the spread over seeds.

    Parameters
    ----------
    a, b : sequence of float, at least one value each
        A value for each seed.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    Judged
        With several values in both the interval is Welch's. With one value in one of them, it says
        whether this lies in the prediction interval of the others.

    Raises
    ------
    ValueError
        If there is no value, or one is not finite.

    References
    ----------
    Welch, Biometrika 34, 1947, 28–35; Hahn, Meeker and Escobar, Statistical Intervals, 2nd edition,
    2017, chapter 4.
    """
    samples = [np.asarray(values, dtype=float) for values in (a, b)]
    if not all(len(sample) and np.isfinite(sample).all() for sample in samples):
        raise ValueError("each report needs at least one value, and finite ones only")
    difference = float(samples[1].mean() - samples[0].mean())
    freedom = len(a) + len(b) - 2
    if freedom == 0:
        return Judged(difference, *[float("nan")] * 3, "not judged")
    squares = sum(float(((sample - sample.mean()) ** 2).sum()) for sample in samples)
    welch = welch_interval(b, a, confidence)
    if welch is not None:
        low, high = welch.low, welch.high
    else:
        lower, upper = prediction_interval(max(a, b, key=len), confidence)
        low, high = difference - (upper - lower) / 2, difference + (upper - lower) / 2
    outcome: Outcome = "within the spread" if low <= 0 <= high else "moved"
    return Judged(difference, (squares / freedom) ** 0.5, low, high, outcome)


def scores(a: Run, b: Run, confidence: float = 0.95) -> pd.DataFrame:
    """Compare each score that both reports have.

    Parameters
    ----------
    a, b : Run
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        A row for each score, in the order of A: the columns of `SCORE`; ``n_a`` and ``n_b`` (number
        of images), ``mean_a`` and ``mean_b``, ``sd_a`` and ``sd_b`` (NaN for one seed), ``seeds_a``
        and ``seeds_b`` (numbers of seeds); and the fields of `Judged`. If the seeds that both have
        gave the same values to `DIGITS` significant digits, on as many images, the outcome is
        ``same``. Where a method was scored on several numbers of images, the largest that both have
        counts, or else the largest of each.
    """
    ours, theirs = _values(a.metrics), _values(b.metrics)
    rows = []
    for key in ours:
        if key not in theirs:
            continue
        shared = ours[key].keys() & theirs[key].keys()
        n_a, n_b = (max(shared or by_n) for by_n in (ours[key], theirs[key]))
        values_a, values_b = ours[key][n_a], theirs[key][n_b]
        judged = judge([*values_a.values()], [*values_b.values()], confidence)
        if n_a == n_b and _are_alike(values_a, values_b):
            judged = judged._replace(outcome="same")
        sides = {
            name: value
            for side, n, values in (("a", n_a, values_a), ("b", n_b, values_b))
            for name, value in _summary(side, n, [*values.values()]).items()
        }
        rows.append({**dict(zip(SCORE, key, strict=True)), **sides, **judged._asdict()})
    columns = [
        *SCORE,
        *(f"{name}_{side}" for side in "ab" for name in ("n", "mean", "sd", "seeds")),
    ]
    return pd.DataFrame(rows, columns=[*columns, *Judged._fields])


def _values(metrics: pd.DataFrame) -> dict[tuple, dict[int, dict[int, float]]]:
    """Return the finite values of each score by number of images and seed."""
    found: dict[tuple, dict[int, dict[int, float]]] = {}
    finite = metrics[np.isfinite(metrics["value"].astype(float))]
    for *key, n, seed, value in finite[[*SCORE, "n", "seed", "value"]].itertuples(index=False):
        found.setdefault(tuple(key), {}).setdefault(int(n), {})[int(seed)] = float(value)
    return found


def _are_alike(a: Mapping[int, float], b: Mapping[int, float]) -> bool:
    shared = a.keys() & b.keys()
    return bool(shared) and all(f"{a[s]:.{DIGITS}g}" == f"{b[s]:.{DIGITS}g}" for s in shared)


def _summary(side: str, n: int, values: Sequence[float]) -> dict[str, float]:
    return {
        f"n_{side}": n,
        f"mean_{side}": float(np.mean(values)),
        f"sd_{side}": float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
        f"seeds_{side}": len(values),
    }


def only_in(run: Run, other: Run) -> dict[str, int]:
    """Count the scores that the other report lacks, by study or leaderboard."""
    missing = _values(run.metrics).keys() - _values(other.metrics).keys()
    studies = pd.Series([key[0] for key in missing], dtype=str).value_counts()
    return {study: int(studies[study]) for study in run.seeds if study in studies}


def largest_moves(table: pd.DataFrame, count: int, metric: str = "ari") -> pd.DataFrame:
    """Return the scores of one metric that differ most, in its own unit.

    Parameters
    ----------
    table : DataFrame
        As from `scores`.
    count : int
        Largest number of rows.
    metric : str
        Only one: the metrics of a method move together, and have different units.
    """
    rows = table[(table["metric"] == metric) & ~table["outcome"].isin(["same"])]
    rows = rows[rows["difference"] != 0]
    order = rows["difference"].abs().sort_values(ascending=False, kind="stable").index
    return rows.loc[order[:count]]


# --- what differs --------------------------------------------------------------------------------


class Differing(NamedTuple):
    """A thing that differs, or is not recorded: its kind, what it is, and its value in A and B."""

    kind: str
    what: str
    a: str
    b: str


KINDS = ("code", "settings", "data", "libraries", "processor", "precision")


def differences(a: Run, b: Run) -> list[Differing]:
    """List what differs behind the scores of the studies and leaderboards that both reports have.

    Returns
    -------
    list of Differing
        In the order of `KINDS`. What a report does not record is listed, also where neither does:
        nothing shows that it is the same. Code, processor and precision are those that the origins
        of the scores record.
    """
    rows = [
        *_of_code(a, b),
        *_of_settings(a, b),
        *_of_data(a, b),
        *_of_mappings("libraries", "", a.record.get("versions", {}), b.record.get("versions", {})),
        *_of_processors(a, b),
        *_of_origins(a, b, "precision", "scores", ("precision",)),
    ]
    with_origins = [{*run.origins["study"]} for run in (a, b)]
    for kind in ("code", "processor", "precision"):
        rows += _not_recorded(kind, _in_both(a, b), *with_origins)
    return sorted(rows, key=lambda row: KINDS.index(row.kind))


def alike(found: Iterable[Differing]) -> list[str]:
    """Name the kinds of which nothing differs."""
    kinds = {row.kind for row in found}
    return [kind for kind in KINDS if kind not in kinds]


def _of_code(a: Run, b: Run) -> list[Differing]:
    notebooks = sorted({*a.origins["notebook"]} & {*b.origins["notebook"]})
    return [
        *_row("code", "commit of the report", _commit(a.record), _commit(b.record)),
        *(
            row
            for notebook in notebooks
            for row in _of_origins(a, b, "code", notebook, ("code", "commit"), notebook)
        ),
        *_of_origins(a, b, "code", "training", ("network_code", "network_commit")),
    ]


def _commit(record: Mapping[str, Any]) -> str:
    changed = ", with uncommitted changes" if record["dirty"] else ""
    return f"{record['commit'][:7]}{changed}" if record["commit"] else "none"


def _of_settings(a: Run, b: Run) -> list[Differing]:
    profiles = [
        {key: value for key, value in run.record["profile"].items() if key != "description"}
        for run in (a, b)
    ]
    rows = _of_mappings("settings", "profile", *profiles)
    for study in _in_both(a, b):
        rows += _row("settings", f"{study}: seeds", *(_listed(run.seeds[study]) for run in (a, b)))
    settings = [run.record.get("settings", {}) for run in (a, b)]
    for study in _in_both(a, b):
        if study in settings[0] and study in settings[1]:
            rows += _of_mappings("settings", study, *(_flat(one[study]) for one in settings))
    rows += _not_recorded("settings", _in_both(a, b), *settings)
    methods = [
        {" / ".join(names): text for *names, text in run.methods.itertuples(index=False)}
        for run in (a, b)
    ]
    for name in (name for name in methods[0] if name in methods[1]):
        parts = [one[name].split("; ") for one in methods]
        own, other = (
            "; ".join(part for part in these if part not in those)
            for these, those in (parts, parts[::-1])
        )
        rows += _row("settings", name, own, other)
    return rows


def _of_data(a: Run, b: Run) -> list[Differing]:
    keys = {
        "dataset": "dataset",
        "n": "number of images",
        "images_sha256": "SHA-256 of the images",
        "labels_sha256": "SHA-256 of the labels",
    }
    return [
        row
        for study in _in_both(a, b)
        for key, what in keys.items()
        for row in _row(
            "data",
            f"{study}: {what}",
            *(str(run.record["data"].get(study, {}).get(key, NOT_RECORDED)) for run in (a, b)),
        )
    ]


def _of_processors(a: Run, b: Run) -> list[Differing]:
    machines = [
        {key: value for key, value in run.record["hardware"].items() if key != "system"}
        for run in (a, b)
    ]
    return [
        *_of_mappings("processor", "of the report", *machines),
        *_of_origins(a, b, "processor", "clustering", ("processor",)),
        *_of_origins(a, b, "processor", "training", ("network_processor",)),
    ]


def _of_origins(
    a: Run, b: Run, kind: str, what: str, columns: Sequence[str], notebook: str | None = None
) -> list[Differing]:
    """Compare what the origins of the scores record; studies that are alike are one row."""
    together: dict[tuple[str, str], list[str]] = {}
    for study in _in_both(a, b):
        own, other = (_recorded(run.origins, study, columns, notebook) for run in (a, b))
        if own and other and (own.keys() != other.keys() or "" in own):
            texts = [_named(values) for values in (own, other)]
            together.setdefault((texts[0], texts[1]), []).append(study)
    return [
        Differing(kind, f"{what} ({', '.join(studies)})", *texts)
        for texts, studies in together.items()
    ]


def _recorded(
    origins: pd.DataFrame, study: str, columns: Sequence[str], notebook: str | None
) -> dict[str, set[str]]:
    """Return the values of a column, and of a second one, the commits of each."""
    own = origins[origins["study"] == study]
    if notebook is not None:
        own = own[own["notebook"] == notebook]
    first, *others = columns
    if first.startswith("network"):
        own = own[own["network_computed"] != ""]
    return {
        str(value): {commit[:7] or "none" for name in others for commit in rows[name]}
        for value, rows in own.groupby(first)
    }


def _named(values: Mapping[str, Collection[str]]) -> str:
    """Name values; those with commits are codes, which are shortened."""
    return "; ".join(
        f"{value[:8] or NOT_RECORDED} (commit {_listed(sorted(commits))})"
        if commits
        else value or NOT_RECORDED
        for value, commits in values.items()
    )


def _not_recorded(
    kind: str, studies: Iterable[str], a: Collection[str], b: Collection[str]
) -> list[Differing]:
    """List the studies of which a report records nothing, those alike together."""
    together: dict[tuple[str, str], list[str]] = {}
    for study in studies:
        texts = tuple("recorded" if study in recorded else NOT_RECORDED for recorded in (a, b))
        if NOT_RECORDED in texts:
            together.setdefault(texts, []).append(study)
    return [Differing(kind, ", ".join(names), *texts) for texts, names in together.items()]


def _of_mappings(
    kind: str, what: str, a: Mapping[str, Any], b: Mapping[str, Any]
) -> list[Differing]:
    """Compare two mappings key by key."""
    start = f"{what}: " if what else ""
    return [
        row
        for key in dict.fromkeys([*a, *b])
        for row in _row(kind, f"{start}{key}", _text(a.get(key)), _text(b.get(key)))
    ]


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Name each value in nested settings by its path, with points between its parts."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = _flat(value) if isinstance(value, Mapping) else {"": value}
        flat |= {f"{key}.{path}".rstrip("."): one for path, one in inner.items()}
    return flat


def _row(kind: str, what: str, a: str, b: str) -> list[Differing]:
    return [Differing(kind, what, a, b)] if a != b or a == NOT_RECORDED else []


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _in_both(a: Run, b: Run) -> list[str]:
    return [study for study in a.seeds if study in b.seeds]
