"""The published run: the results of a full run that are stored with the source code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from report import (
    board_tables,
    claims_table,
    evidence_tables,
    reported_losses,
    reproduction,
    soundness,
    variances,
)
from report.claims import TestedClaim
from report.run_record import read_record
from utils import config
from utils.store.tables import (
    BUILD_AGAIN,
    CONFUSION_TABLE,
    FACTS_TABLE,
    METRICS_TABLE,
    STARTS_TABLE,
)


@dataclass(frozen=True)
class Published:
    """The tables and the record of a run, and what is retained of earlier ones.

    Attributes
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    facts : DataFrame
        Columns of `tables.FACTS_TABLE`; each value is a text.
    record : dict
        What ``run.json`` holds. Once published it has ``published``, the seeds by topic that are
        this run's, and ``earlier``, the records of earlier runs of which other seeds are retained.
    evidence : dict of str to DataFrame
        What `evidence_tables.read` returns.
    boards : dict of str to DataFrame
        What `board_tables.read_tables` returns; empty for a run without leaderboards.
    """

    metrics: pd.DataFrame
    facts: pd.DataFrame
    record: dict[str, Any]
    evidence: dict[str, pd.DataFrame]
    boards: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def studies(self) -> list[config.Study]:
        """Studies of the run, less those that are in no file any more."""
        named = self.record["studies"]
        return [config.load_study(name) for name in named if name in config.study_names()]

    @property
    def leaderboards(self) -> list[config.Leaderboard]:
        """Leaderboards of the run, less those that are in no file any more."""
        named = self.record.get("leaderboards", [])
        return [
            config.load_leaderboard(name) for name in named if name in config.leaderboard_names()
        ]

    @cached_property
    def sound(self) -> Published:
        """The run without the scores, counts and starts of k-means of collapsed networks."""
        networks = soundness.collapsed(self.metrics, self.studies)
        tables = {
            schema.file: soundness.without(self.evidence[schema.file], networks)
            for schema in (CONFUSION_TABLE, STARTS_TABLE)
        }
        return replace(
            self,
            metrics=soundness.without(self.metrics, networks),
            evidence={**self.evidence, **tables},
        )

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Columns of `tables.VERDICTS_TABLE`, by the present rule and reported values."""
        return reproduction.reported_vs_reproduced(
            self.metrics, self.facts, self.studies, self._is_reduced, self._substituted
        )

    @cached_property
    def identities(self) -> pd.DataFrame:
        """Columns of `tables.IDENTITIES_TABLE`, by the present reported counts."""
        return reproduction.identities(self.metrics, self.facts, self.studies)

    @cached_property
    def reported_losses(self) -> pd.DataFrame:
        """Columns of `reported_losses.REPORTED_LOSSES_TABLE`, by the present rule."""
        return reported_losses.beside_ours(
            self.facts, self.studies, self._is_reduced, self._substituted
        )

    @cached_property
    def variances(self) -> pd.DataFrame:
        """Columns of `variances.VARIANCES_TABLE`; empty for a run of earlier code."""
        starts = self.sound.evidence[STARTS_TABLE.file]
        return variances.components(starts, config.load_verdict_rule().confidence)

    @cached_property
    def tested_claims(self) -> dict[str, list[TestedClaim]]:
        """The claims of each study whose counts of classes in clusters are published, tested."""
        confusion = self.evidence[CONFUSION_TABLE.file]
        counted = [one for one in self.studies if (confusion["study"] == one.study).any()]
        return claims_table.of_studies(
            counted,
            self.metrics,
            confusion,
            self.facts,
            self.evidence[STARTS_TABLE.file],
            self._is_reduced,
        )

    @cached_property
    def claims(self) -> pd.DataFrame:
        """Columns of `claims_table.CLAIMS_TABLE`, by the present rules."""
        return claims_table.table(self.tested_claims)

    @property
    def _is_reduced(self) -> bool:
        return self.record["profile"]["reduced"]

    @property
    def _substituted(self) -> list[str]:
        data = self.record["data"]
        return [study for study in data if data[study]["substituted"]]


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
    record = read_record(folder / "run.json")
    metrics = METRICS_TABLE.read(folder / METRICS_TABLE.file, BUILD_AGAIN)
    facts = FACTS_TABLE.read(folder / FACTS_TABLE.file, BUILD_AGAIN)
    boards = board_tables.read_tables(folder) if record.get("leaderboards") else {}
    evidence = evidence_tables.read(folder, record.get("evidence", []))
    return Published(metrics, facts, record, evidence, boards)


def seeds_by_topic(*tables: pd.DataFrame) -> dict[str, list[int]]:
    """List the seeds of each topic that have a row in one of the tables."""
    pairs = pd.concat([table[["study", "seed"]] for table in tables])
    return {
        str(study): sorted({int(seed) for seed in seeds})
        for study, seeds in pairs.groupby("study")["seed"]
    }
