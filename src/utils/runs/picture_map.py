"""What the interactive map shows of a person's own pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

import pandas as pd

from utils.figures import atlas

if TYPE_CHECKING:
    from utils.runs.pictures import OwnImages


def map_table(run: OwnImages) -> pd.DataFrame:
    """Gather all pictures for the map, each with its place, its small copy and what is known of it.

    Returns
    -------
    DataFrame
        A row for each picture, with the columns of its assignments, the clusters first, ``path``
        as ``name``; ``file``, as from `address`; ``nearest``, the rows of up to ten others by their
        components; ``aspect``, width by height; ``cell`` and ``image``, see `atlas.with_images`.
    """
    known = run.assignments().rename(columns={"path": "name"})
    if "taken" in known:
        known["taken"] = pd.to_datetime(known["taken"].replace("", None), errors="coerce")
    groups = ["cluster", *(name for name in known.columns if name.startswith("level"))]
    table = known[groups].join(known.drop(columns=groups))
    table["file"] = [address(run.found.path(row)) for row in run.usable]
    table["nearest"] = list(run.nearest)
    table["aspect"] = run.collected.width / run.collected.height
    table[["x", "y"]] = run.positions
    return atlas.with_images(table, run.collected.small)


def address(path: Path) -> str:
    """Write an absolute path as a part of an address; a name that is no UTF-8 as its bytes."""
    return quote_from_bytes(os.fsencode(path.absolute()))
