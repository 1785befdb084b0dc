"""What the article says of the leaderboards, from the fullest evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from report.board_sections import (
    index_name,
    index_picks,
    method_name,
    published_board,
    rule_pick,
    share_lost,
)
from report.findings import BestUntrained
from report.markdown import code, duration, fixed, number
from report.new_images import METHOD
from report.published import Published
from utils.store.tables import NEW_IMAGES_TABLE

if TYPE_CHECKING:
    import pandas as pd


def best_by_board(fullest: Published) -> list[str]:
    """Say what the best method of each leaderboard reaches."""
    boards = [
        (one.title, published_board(one.leaderboard, fullest)) for one in fullest.leaderboards
    ]
    return [f"{rows[0].ari:.2f} on {title}" for title, rows in boards if rows]


def method_rows(fullest: Published, untrained: Sequence[BestUntrained]) -> list[list[object]]:
    """List the best method of each leaderboard, the best untrained one, and those with a name."""
    rows = []
    for described in fullest.leaderboards:
        board = published_board(described.leaderboard, fullest)
        plain = [one.row for one in untrained if one.leaderboard == described.leaderboard]
        named = [row for row in board if row.recipe]
        # By name: rows with missing scores, which are not equal to themselves, are not equal.
        shown = {
            (row.representation, row.space, row.clusterer): row
            for row in (*board[:1], *plain, *named)
        }
        for row in shown.values():
            rows.append(
                [
                    described.title,
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
    said = []
    for board in fullest.leaderboards:
        own = list(rankings[rankings["study"] == board.leaderboard].itertuples(index=False))
        rule = rule_pick(own)
        if rule is None:
            continue
        single = min(index_picks(own), key=lambda pick: pick.regret)
        said.append(
            f"On {board.title} it picks {method_name(rule)}, with ARI {fixed(rule.ari, 3)}, "
            f"{share_lost(rule)} below the best method. Of single indices, the "
            f"{index_name(single.index)} loses least, {share_lost(single)}."
        )
    return said


def held_out(fullest: Published) -> list[str]:
    """Say what the named methods reach on images on which no choice was made."""
    scores = fullest.evidence[NEW_IMAGES_TABLE.file]
    aris = scores[scores["metric"] == "ari"]
    said = []
    for board in fullest.leaderboards:
        own = aris[aris["study"] == board.leaderboard]
        new, fitted = (own[own["kind"] == kind] for kind in ("held_out", "fit"))
        if new.empty or fitted.empty:
            continue
        n_new = number(int(new["n"].iloc[0]))
        said.append(
            f"No choice was made on the {n_new} test images of {board.title}. "
            f"The named methods cluster them afresh with ARI {_least_to_most(new)}, against "
            f"{_least_to_most(fitted)} on the images of the leaderboard."
        )
    return said


def _least_to_most(aris: pd.DataFrame) -> str:
    """Write the range of the methods' means over the seeds."""
    means = aris.groupby(METHOD)["value"].mean()
    least, most = fixed(means.min(), 3), fixed(means.max(), 3)
    return least if least == most else f"{least} to {most}"
