"""Of which code, on which processor and when each score was computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from report.evidence_tables import ORIGINS_TABLE
from report.markdown import duration
from utils.store.tables import COSTS_TABLE, METRICS_TABLE

if TYPE_CHECKING:
    from report.manifests import NotebookRun

OF_NETWORK = ("code", "commit", "processor", "computed")
NOT_RECORDED = "not recorded"
HEADER = ("Study", "Precision", "Clustered on", "Networks trained on", "Training", "Notebooks")


def of_runs(runs: Iterable[NotebookRun]) -> pd.DataFrame:
    """Name the origin of the scores of each representation and seed.

    Returns
    -------
    DataFrame
        Columns of `ORIGINS_TABLE`. The first is that of the clustering and its scores; that of the
        network is empty where none is trained. ``seconds`` are those of the whole notebook,
        ``network_seconds`` those of the training. Where nothing is trained one notebook scores
        several seeds. ``settings`` is the fingerprint of what the study's file says, see
        `utils.config.settings`; empty for a leaderboard. ``precision`` is empty for a leaderboard
        of earlier code.
    """
    rows = [row for run in runs if not run.manifest.failed for row in _rows_of(run)]
    return pd.DataFrame(rows, columns=list(ORIGINS_TABLE.columns))


def _rows_of(run: NotebookRun) -> list[dict[str, Any]]:
    path = run.file(METRICS_TABLE.file)
    if path is None:
        return []
    scored = METRICS_TABLE.read(path)[["representation", "seed"]].drop_duplicates()
    manifest = run.manifest
    is_board = run.file(COSTS_TABLE.file) is not None
    otherwise = str(manifest.facts.get("precision", "")) if is_board else "float32"
    return [
        {
            "study": run.study,
            "seed": int(seed),
            "notebook": run.notebook,
            "representation": name,
            "precision": manifest.networks.get(name, {}).get("precision", otherwise),
            "code": manifest.made_from.get("numbers", ""),
            # A network that stands in for another has that one's, which are those of the pixels.
            "settings": manifest.settings.get(name, manifest.settings.get("pixels", "")),
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
        for name, seed in scored.itertuples(index=False)
    ]


def rows_by_study(origins: pd.DataFrame) -> list[list[object]]:
    """Write the origins of each study or leaderboard in a row, and their sums in a last one.

    Returns
    -------
    list of list
        A cell for each title of `HEADER`. Each notebook that scored and each network counts once.
    """
    if origins.empty:
        return []
    ran = origins.drop_duplicates(["study", "notebook", "computed", "seconds"])
    trained = _networks(origins)
    rows = [
        [
            study,
            ", ".join(sorted({text or NOT_RECORDED for text in own["precision"]})),
            _places(own, ""),
            _places(trained[trained["study"] == study], "network_") or "–",
            _total(trained.loc[trained["study"] == study, "network_seconds"]),
            _total(ran.loc[ran["study"] == study, "seconds"]),
        ]
        for study, own in origins.groupby("study", sort=False)
    ]
    total = ["all", "", "", "", _total(trained["network_seconds"]), _total(ran["seconds"])]
    return [*rows, total] if len(rows) > 1 else rows


def networks_elsewhere(origins: pd.DataFrame, seeds: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Name where the networks of studies were trained, if they were clustered somewhere else.

    Parameters
    ----------
    origins : DataFrame
        Columns of `ORIGINS_TABLE`.
    seeds : mapping of str to sequence of int
        The seeds of each study that count.

    Returns
    -------
    dict of str to str
        Processors by study.
    """
    counts = [row.seed in seeds.get(row.study, ()) for row in origins.itertuples()]
    networks = _networks(origins.loc[counts])  # without rows, a list would name columns
    moved = networks[networks["network_processor"] != networks["processor"]]
    return {
        str(study): ", ".join(dict.fromkeys(own["network_processor"].map(_or_unknown)))
        for study, own in moved.groupby("study", sort=False)
    }


def _networks(origins: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each network; several notebooks may have clustered it."""
    return origins[origins["network_computed"] != ""].drop_duplicates(
        ["study", "seed", "representation"]
    )


def _places(origins: pd.DataFrame, prefix: str) -> str:
    """List processors, each with its commits."""
    commits: dict[str, dict[str, None]] = {}
    for row in origins.to_dict("records"):
        of_processor = commits.setdefault(_or_unknown(row[f"{prefix}processor"]), {})
        of_processor[row[f"{prefix}commit"][:7] or "no commit"] = None
    return "; ".join(f"{name}: {', '.join(of)}" for name, of in commits.items())


def _or_unknown(text: str) -> str:
    return text or NOT_RECORDED


def _total(seconds: pd.Series) -> str:
    return duration(seconds.sum()) if len(seconds) else "–"
