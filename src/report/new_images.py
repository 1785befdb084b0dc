"""What the article shows of images that a leaderboard's methods did not see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from report.leaderboards import labels_behind
from report.markdown import fixed, number
from report.notebook_parts import FigureView, own_figure
from utils import config, figures
from utils.config.vocabulary import describe

METHOD = ["representation", "space", "clusterer"]
SCORES = ("acc", "ari", "nmi")
KINDS = {
    "held_out": "clustered afresh, held out",
    "fit": "fitted",
    "assigned": "assigned, not seen",
}
HEADER = ["Method", "Labels", "Images", "Fitted on", "Number", "Seeds", "ACC", "ARI", "NMI", "ECE"]


@dataclass(frozen=True)
class NewImagesView:
    """Scores of one leaderboard on images that its methods did not see, and their calibration."""

    header: list[str] = field(default_factory=lambda: list(HEADER))
    rows: list[list[object]] = field(default_factory=list)
    figure: FigureView | None = None
    is_held_out: bool = False


def draw(boards: Mapping[str, config.Leaderboard], reliability: pd.DataFrame, out: Path) -> None:
    """Draw the calibration of each leaderboard's methods, all seeds together.

    Parameters
    ----------
    boards : mapping of str to Leaderboard
    reliability : DataFrame
        Columns of `tables.RELIABILITY_TABLE`; a leaderboard without rows gets no figure.
    out : Path
        Folder that gets ``figures/<leaderboard>-reliability``.
    """
    for name, board in boards.items():
        own = reliability[reliability["study"] == name]
        if len(own):
            title = f"{board.title}: images that the methods did not see"
            figures.save(figures.reliability(own, title), out / "figures", f"{name}-reliability")


def view(
    board: config.Leaderboard, scores: pd.DataFrame, reliability: pd.DataFrame, out: Path
) -> NewImagesView:
    """Gather what the section of a leaderboard shows of images that its methods did not see.

    Parameters
    ----------
    board : Leaderboard
    scores, reliability : DataFrame
        Columns of `tables.NEW_IMAGES_TABLE` and `RELIABILITY_TABLE`; rows of other leaderboards are
        left out.
    out : Path
        Folder of the report, to which `draw` has written.
    """
    name = board.leaderboard
    own = scores[scores["study"] == name]
    bins = reliability[reliability["study"] == name]
    return NewImagesView(
        rows=_rows(own),
        figure=_figure(board, bins, out) if len(bins) else None,
        is_held_out=bool((own["kind"] == "held_out").any()),
    )


def _rows(scores: pd.DataFrame) -> list[list[object]]:
    """List the mean scores over the seeds, a row for each method and kind of images."""
    found = []
    for method, of_method in scores.groupby(METHOD, sort=False):
        for kind, words in KINDS.items():
            own = of_method[of_method["kind"] == kind]
            if own.empty:
                continue
            by_metric = dict(iter(own.groupby("metric")["value"]))
            found.append(
                [
                    describe(*method),
                    labels_behind(*method),
                    words,
                    number(int(own["n_fit"].iloc[0])),
                    number(int(own["n"].iloc[0])),
                    number(own["seed"].nunique()),
                    *(_mean(by_metric[score]) for score in SCORES),
                    fixed(by_metric["ece"].mean(), 3) if "ece" in by_metric else "–",
                ]
            )
    return found


def _mean(values: Iterable[float]) -> str:
    """Write the mean of a score over seeds, and the standard deviation if there are several."""
    series = pd.Series(values, dtype=float)
    spread = f" ± {series.std():.3f}" if len(series) > 1 else ""
    return f"{series.mean():.3f}{spread}"


def _figure(board: config.Leaderboard, reliability: pd.DataFrame, out: Path) -> FigureView:
    drawn = figures.description(figures.reliability(reliability, board.title))
    return own_figure(
        out,
        f"{board.leaderboard}-reliability",
        caption=f"{board.title}: {drawn.caption[0].lower()}{drawn.caption[1:]}".rstrip("."),
        alt=drawn.alt.rstrip("."),
    )
