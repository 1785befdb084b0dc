"""The published run: the numbers of a full run that are kept with the source code."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from report import board_tables
from utils import config, errors
from utils.store import files
from utils.store.tables import FACT_COLUMNS, METRIC_COLUMNS, VERDICT_COLUMNS

METRIC_TYPES = {
    **dict.fromkeys(("profile", "study", "dataset"), "str"),
    **dict.fromkeys(("representation", "space", "clusterer", "metric"), "str"),
    **dict.fromkeys(("n", "seed"), "int64"),
    **dict.fromkeys(("k_found", "noise_fraction", "value"), "float64"),
}
FACT_TYPES = {**dict.fromkeys(("study", "notebook", "fact", "value"), "str"), "seed": "int64"}
VERDICT_TYPES = {
    **dict.fromkeys(("study", "figure", "verdict", "seed_values", "note"), "str"),
    **dict.fromkeys(("reported", "reproduced_mean", "ci_low", "ci_high"), "float64"),
    "n_seeds": "int64",
}


class _Profile(BaseModel):
    profile: config.Name
    reduced: bool


class Hardware(BaseModel):
    """All that a published record says of the machine."""

    cpu: str
    cores: int | None
    memory_gib: float
    gpu: str | None


class _Data(BaseModel):
    substituted: bool


class _Record(BaseModel):
    """What is read of ``run.json`` here; it holds more, see `results.record`."""

    made: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None
    dirty: bool | None
    profile: _Profile
    studies: list[config.Name]
    leaderboards: list[config.Name] = []
    seeds: list[int] = Field(min_length=1)
    hardware: Hardware
    data: dict[config.Name, _Data]


@dataclass(frozen=True)
class Published:
    """The tables and the record of a run, and what is kept of earlier ones.

    Attributes
    ----------
    metrics : DataFrame
        Columns `comparisons.METRIC_COLUMNS`.
    facts : DataFrame
        Columns `comparisons.FACT_COLUMNS`; each value is a word.
    verdicts : DataFrame
        Columns `comparisons.VERDICT_COLUMNS`; `seed_values` and `note` may be empty words.
    record : dict
        What ``run.json`` holds. Once published it has ``published``, the seeds by topic that are
        this run's, and ``earlier``, the records of earlier runs of which other seeds are kept.
    boards : dict of str to DataFrame
        What `leaderboards.read_tables` returns; empty for a run without leaderboards.
    """

    metrics: pd.DataFrame
    facts: pd.DataFrame
    verdicts: pd.DataFrame
    record: dict[str, Any]
    boards: dict[str, pd.DataFrame] = field(default_factory=dict)


# --- reading -------------------------------------------------------------------------------------


def load(folder: Path) -> Published | None:
    """Read the tables and the record of a run.

    Parameters
    ----------
    folder : Path
        A published run, or the folder of a report: they have the same files.

    Returns
    -------
    Published or None
        None if there is no ``run.json``.

    Raises
    ------
    UserError
        If a file is malformed, or there is a ``run.json`` and another file is missing.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        return None
    record = _read_record(folder / "run.json")
    metrics = _read_table(folder / "metrics.csv", METRIC_COLUMNS, METRIC_TYPES)
    verdicts_path = folder / "reported_vs_reproduced.csv"
    verdicts = _read_table(verdicts_path, VERDICT_COLUMNS, VERDICT_TYPES)
    strange = sorted(set(verdicts["study"]) - set(record["studies"]))
    if strange:
        raise errors.UserError(
            f"{verdicts_path}: study {strange[0]!r} is not in run.json, which has "
            f"{', '.join(record['studies'])}: build the report again"
        )
    facts = _read_table(folder / "facts.csv", FACT_COLUMNS, FACT_TYPES)
    boards = board_tables.read_tables(folder) if record.get("leaderboards") else {}
    return Published(metrics, facts, verdicts, record, boards)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        content = files.read_json(path)
        _Record.model_validate(content)
    except ValidationError as error:
        explained = config.explain(error, _Record)
        raise errors.UserError(f"{path}: {explained}: build the report again") from None
    except ValueError as error:
        raise errors.UserError(
            f"{path}: not valid JSON ({error}): build the report again"
        ) from None
    return content


def _read_table(path: Path, columns: tuple[str, ...], types: dict[str, str]) -> pd.DataFrame:
    # An empty number is a missing one; an empty word is a word, and so is "NA".
    missing = {name: [""] for name, kind in types.items() if kind == "float64"}
    try:
        table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing)
    except FileNotFoundError:
        raise errors.UserError(f"{path}: missing: build the report again") from None
    except ValueError as error:
        raise errors.UserError(f"{path}: malformed ({error}): build the report again") from None
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise errors.UserError(f"{path}: column {absent[0]!r} is missing: build the report again")
    return table[list(columns)]


def seeds_by_topic(*tables: pd.DataFrame) -> dict[str, list[int]]:
    """List the seeds of each topic that have a row in one of the tables."""
    pairs = pd.concat([table[["study", "seed"]] for table in tables])
    return {
        str(study): sorted({int(seed) for seed in seeds})
        for study, seeds in pairs.groupby("study")["seed"]
    }
