"""The files of a leaderboard's tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from report.leaderboards import (
    BOARD_COLUMNS,
    RANKING_COLUMNS,
    label_free_ranking,
    leaderboard,
    pareto_front,
)
from report.significance import SIGNIFICANCE_COLUMNS, significance
from utils import config, errors
from utils.store import files

if TYPE_CHECKING:
    pass
# Files that `write_tables` leaves, with the columns that each table has after the leaderboard's
# name.
TABLES = {
    "leaderboard": BOARD_COLUMNS,
    "leaderboard_significance": SIGNIFICANCE_COLUMNS,
    "leaderboard_rankings": RANKING_COLUMNS,
}
# How columns of these files are read; all others are numbers that may be missing.
TYPES = {
    **dict.fromkeys(("study", "representation", "space", "clusterer"), "str"),
    **dict.fromkeys(("settings", "recipe", "index"), "str"),
    **dict.fromkeys(("n_seeds", "k_low", "k_high", "n_rows", "n_undefined", "n_partial"), "int64"),
    **dict.fromkeys(("k_given", "excludes_zero"), "bool"),
}


# --- files -------------------------------------------------------------------------------------


def write_tables(
    boards: Mapping[str, config.Leaderboard],
    metrics: pd.DataFrame,
    costs: pd.DataFrame,
    assignments: pd.DataFrame,
    labels: Mapping[str, np.ndarray],
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
    rule : VerdictRule
        Confidence of all intervals, and resamples of those over seeds; those over seeds and images
        have `IMAGE_RESAMPLES`.
    out : Path
        Folder that gets the files of `TABLES` and ``figures/<leaderboard>-pareto``, each
        atomically.
    """
    from utils import figures

    made: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for name, described in boards.items():
        own = [frame[frame["study"] == name] for frame in (metrics, costs, assignments)]
        board = leaderboard(*own, rule.confidence, rule.resamples)
        if board.empty:
            continue
        tables = (
            board,
            significance(own[2], labels[name], board, confidence=rule.confidence),
            label_free_ranking(board),
        )
        for parts, table in zip(made.values(), tables, strict=True):
            parts.append(table.assign(study=name))
        figure = figures.pareto(board, pareto_front(board), described.title)
        figures.save(figure, Path(out) / "figures", f"{name}-pareto")
    for name, columns in TABLES.items():
        table = pd.concat([pd.DataFrame(columns=["study", *columns]), *made[name]])
        with files.atomic_path(Path(out) / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)


def read_tables(out: Path) -> dict[str, pd.DataFrame]:
    """Read what `write_tables` has written.

    Returns
    -------
    dict of str to DataFrame
        By the names of `TABLES`, each with the column ``study`` before its own.

    Raises
    ------
    UserError
        If a file is missing or malformed.
    """
    read = {}
    for name, columns in TABLES.items():
        path = Path(out) / f"{name}.csv"
        types = {key: TYPES.get(key, "float64") for key in ("study", *columns)}
        # An empty number is a missing one; an empty word is a word, and so is "NA".
        missing = {key: [""] for key, kind in types.items() if kind == "float64"}
        try:
            table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing)
            read[name] = table[list(types)]
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise errors.UserError(f"{path}: {reason}: build the report again") from None
    return read
