"""Of which code, on which processor and when each score was computed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from report.evidence_tables import ORIGINS_TABLE
from utils.store.tables import METRICS_TABLE

if TYPE_CHECKING:
    from report.collect import NotebookRun

OF_NETWORK = ("code", "commit", "processor", "computed")


def of_runs(runs: Iterable[NotebookRun]) -> pd.DataFrame:
    """Name the origin of the scores of each representation and seed.

    Returns
    -------
    DataFrame
        Columns of `ORIGINS_TABLE`. The first is that of the clustering and its scores; that of the
        network is empty where none is trained. ``seconds`` are those of the whole notebook,
        ``network_seconds`` those of the training.
    """
    rows = [row for run in runs if not run.manifest.failed for row in _rows_of(run)]
    return pd.DataFrame(rows, columns=list(ORIGINS_TABLE.columns))


def _rows_of(run: NotebookRun) -> list[dict[str, Any]]:
    path = run.file(METRICS_TABLE.file)
    scored = [] if path is None else METRICS_TABLE.read(path)["representation"].unique()
    manifest = run.manifest
    return [
        {
            "study": run.study,
            "seed": run.seed,
            "notebook": run.notebook,
            "representation": name,
            "precision": manifest.networks.get(name, {}).get("precision", "float32"),
            "code": manifest.made_from.get("code", ""),
            "commit": manifest.origin.get("commit") or "",
            "processor": manifest.origin.get("processor", ""),
            "computed": manifest.origin.get("computed", ""),
            "seconds": manifest.seconds,
            **{
                f"network_{key}": manifest.networks.get(name, {}).get(key) or ""
                for key in OF_NETWORK
            },
            "network_seconds": manifest.networks.get(name, {}).get("seconds", float("nan")),
        }
        for name in scored
    ]
