"""The files of a leaderboard's tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from report.label_free import index_values, label_free_ranking
from report.leaderboards import leaderboard, pareto_front
from report.significance import significance
from utils import config, figures
from utils.config.selection import load_selection
from utils.store.tables import BOARD_TABLES, BUILD_AGAIN

# --- files -------------------------------------------------------------------------------------


def write_tables(
    boards: Mapping[str, config.Leaderboard],
    metrics: pd.DataFrame,
    costs: pd.DataFrame,
    assignments: pd.DataFrame,
    labels: Mapping[str, np.ndarray],
    label_free: pd.DataFrame,
    rule: config.VerdictRule,
    out: Path,
) -> None:
    """Write the tables of all leaderboards, and of each the figure of quality against time.

    Parameters
    ----------
    boards : mapping of str to Leaderboard
        By name, in the order of the tables; one without a row in `metrics` is left out.
    metrics, costs, assignments : DataFrame
        As for `leaderboard`; rows of other studies are ignored.
    labels : mapping of str to ndarray of int, shape (N,)
        Class of each image, by leaderboard.
    label_free : DataFrame
        Columns of `tables.LABEL_FREE_TABLE`.
    rule : VerdictRule
        Confidence of all intervals.
    out : Path
        Folder that gets the files of `BOARD_TABLES` and ``figures/<leaderboard>-pareto``, each
        atomically.
    """
    made: dict[str, list[pd.DataFrame]] = {name: [] for name in BOARD_TABLES}
    for name, described in boards.items():
        own = [frame[frame["study"] == name] for frame in (metrics, costs, assignments)]
        if own[0].empty:
            continue
        board = leaderboard(*own, labels[name], rule.confidence)
        tables = (
            board,
            significance(own[2], labels[name], board, confidence=rule.confidence),
            label_free_ranking(
                index_values(board, label_free[label_free["study"] == name], own[2]),
                load_selection(),
                described.n_clusters,
                rule.confidence,
            ),
        )
        for parts, table in zip(made.values(), tables, strict=True):
            parts.append(table.assign(study=name))
        figure = figures.pareto(board, pareto_front(board), described.title)
        figures.save(figure, Path(out) / "figures", f"{name}-pareto")
    for name, schema in BOARD_TABLES.items():
        table = pd.concat([schema.empty(), *made[name]])
        schema.write(table, Path(out) / schema.file)


def read_tables(out: Path) -> dict[str, pd.DataFrame]:
    """Read what `write_tables` has written.

    Returns
    -------
    dict of str to DataFrame
        By the names of `BOARD_TABLES`.

    Raises
    ------
    UserError
        If a file is missing or malformed.
    """
    return {
        name: schema.read(Path(out) / schema.file, BUILD_AGAIN)
        for name, schema in BOARD_TABLES.items()
    }
