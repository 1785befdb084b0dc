"""What the article says of the leaderboards, from the fullest evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from report.board_sections import index_name, method_name, published_board
from report.findings import BestUntrained
from report.markdown import code, duration, fixed, number
from report.published import Published
from utils import config
from utils.config.selection import RULE
from utils.store.tables import NEW_IMAGES_TABLE

if TYPE_CHECKING:
    import pandas as pd


def best_by_board(fullest: Published) -> list[str]:
    """Say what the best method of each leaderboard reaches."""
    boards = [(title, published_board(name, fullest)[:1]) for name, title in _boards(fullest)]
    return [f"{rows[0].ari:.2f} on {title}" for title, rows in boards if rows]


def method_rows(fullest: Published, untrained: Sequence[BestUntrained]) -> list[list[object]]:
    """List the best method of each leaderboard, the best untrained one, and those with a name."""
    rows = []
    for name, title in _boards(fullest):
        board = published_board(name, fullest)
        plain = [one.row for one in untrained if one.leaderboard == name]
        named = [row for row in board if row.recipe]
        # By name: rows with missing scores, which are not equal to themselves, are not equal.
        shown = {
            (row.representation, row.space, row.clusterer): row
            for row in (*board[:1], *plain, *named)
        }
        for row in shown.values():
            rows.append(
                [
                    title,
                    method_name(row),
                    row.labels,
                    fixed(row.acc, 3),
                    fixed(row.ari, 3),
                    duration(row.seconds),
                    code(row.recipe) if row.recipe else "–",
                ]
            )
    return rows


def picks(fullest: Published) -> list[str]:
    """Say of each leaderboard what the rule without labels picks, and what that loses.

    Leaderboards whose published run has no such rule are left out.
    """
    rankings = fullest.boards.get("leaderboard_rankings")
    if rankings is None:
        return []
    measured = rankings[rankings["n_rows"] > 0]
    said = []
    for name, title in _boards(fullest):
        own = measured[measured["study"] == name]
        by_rule = own[own["index"] == RULE]
        if by_rule.empty:
            continue
        rule = next(by_rule.itertuples(index=False))
        indices = own[own["index"] != RULE].sort_values("regret", kind="stable")
        single = next(indices.itertuples(index=False))
        said.append(
            f"On {title} it picks {method_name(rule)}, with ARI {fixed(rule.ari, 3)}, "
            f"{_share_lost(rule)} below the best method. Of single indices, the "
            f"{index_name(single.index)} loses least, {_share_lost(single)}."
        )
    return said


def _share_lost(pick: Any) -> str:
    return f"{100 * pick.regret / pick.best_ari:.1f} %"


def held_out(fullest: Published) -> list[str]:
    """Say what the named methods reach on images on which no choice was made."""
    scores = fullest.evidence[NEW_IMAGES_TABLE.file]
    aris = scores[scores["metric"] == "ari"]
    said = []
    for name, title in _boards(fullest):
        own = aris[aris["study"] == name]
        new, fitted = (own[own["kind"] == kind] for kind in ("held_out", "fit"))
        if new.empty or fitted.empty:
            continue
        said.append(
            f"No choice was made on the {number(int(new['n'].iloc[0]))} test images of {title}. "
            f"The named methods cluster them afresh with ARI {_least_to_most(new)}, against "
            f"{_least_to_most(fitted)} on the images of the leaderboard."
        )
    return said


def _least_to_most(aris: pd.DataFrame) -> str:
    """Write the range of the methods' means over the seeds."""
    means = aris.groupby(["representation", "space", "clusterer"])["value"].mean()
    least, most = fixed(means.min(), 3), fixed(means.max(), 3)
    return least if least == most else f"{least} to {most}"


def _boards(fullest: Published) -> Iterator[tuple[str, str]]:
    """Yield name and title of each leaderboard of the run that is still in a file."""
    for name in fullest.record.get("leaderboards", []):
        if name in config.leaderboard_names():
            yield name, config.load_leaderboard(name).title
