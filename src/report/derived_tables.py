"""The tables that follow from the others of a run: verdicts, identities, claims and the like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from report.claims_table import CLAIMS_TABLE
from report.reported_losses import REPORTED_LOSSES_TABLE
from report.variances import VARIANCES_TABLE
from utils.store.tables import IDENTITIES_TABLE, VERDICTS_TABLE

if TYPE_CHECKING:
    from report.collect import Results
    from report.published import Published

DERIVED = (
    VERDICTS_TABLE,
    IDENTITIES_TABLE,
    REPORTED_LOSSES_TABLE,
    VARIANCES_TABLE,
    CLAIMS_TABLE,
)


def write(run: Results | Published, folder: Path, float_format: str | None = None) -> None:
    """Write the derived tables of a run, or of a published one, into a folder."""
    tables = (run.verdicts, run.identities, run.reported_losses, run.variances, run.claims)
    for schema, table in zip(DERIVED, tables, strict=True):
        schema.write(table, folder / schema.file, float_format=float_format)
