"""The tables and the record of a published run, without anything private of the machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from report import derived_tables, evidence_tables
from report.leaderboards import SCORES
from report.published import Published, load
from report.run_record import Hardware
from utils import places
from utils.store import files
from utils.store.tables import (
    BOARD_TABLES,
    FACTS_TABLE,
    METRICS_TABLE,
)


def write_tables(run: Published, new: Path) -> None:
    """Write what is published of a run into the folder `new`."""
    metrics = run.metrics
    of_boards = metrics["study"].isin(run.record.get("leaderboards", []))
    # Of a leaderboard each seed's scores; the means of all else are in its own table.
    metrics = metrics[~of_boards | metrics["metric"].isin(SCORES)]
    METRICS_TABLE.write(metrics, new / METRICS_TABLE.file, float_format="%.6g")
    for name, table in run.boards.items():
        schema = BOARD_TABLES[name]
        schema.write(table, new / schema.file, float_format="%.6g")
    facts = run.facts.assign(value=run.facts["value"].map(without_paths))
    FACTS_TABLE.write(facts, new / FACTS_TABLE.file)
    evidence_tables.write(run.evidence, new)
    files.write_json(new / "run.json", public_record(run.record))
    write_verdicts(new)


def write_verdicts(folder: Path) -> None:
    """Write the tables that follow from the other ones of a published run."""
    derived_tables.write(load(folder), folder, float_format="%.6g")


def public_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return a run's record with no more of the machine than processor, cores, memory and GPU."""
    hardware = {name: record["hardware"][name] for name in Hardware.model_fields}
    return without_paths({**record, "hardware": hardware})


def without_paths(content: Any) -> Any:
    """Shorten each absolute path in the texts of `content`, of JSON types, to its last part."""
    if isinstance(content, dict):
        return {key: without_paths(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_paths(value) for value in content]
    if not isinstance(content, str):
        return content
    # A name in it may have a space, which the pattern cannot know.
    text = content.replace(f"{places.root()}/", "").replace(f"{places.data_dir()}/", "data/")
    return ABSOLUTE_PATH.sub(r"…/\1", text)


# The slash of "pixels/raw", of an address, of "</b>" and of "a / b" begins no path.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~…)<-])/(?:[^\s/'\"()<>|]+/)*([\w.-]*\w)/?")
