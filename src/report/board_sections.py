"""What the article shows of each leaderboard."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from report import new_images
from report.board_tables import read_tables
from report.label_free import numbers_found
from report.leaderboards import pareto_front
from report.markdown import MARK, duration, escape, fixed, number, p_value
from report.new_images import NewImagesView
from report.notebook_parts import FigureView, Page, own_figure, page_of
from report.resampling import IMAGE_RESAMPLES
from utils import config
from utils.clustering.numbers import RULES
from utils.config.metrics_table import METRICS
from utils.config.selection import INDICES, RULE, load_selection
from utils.config.vocabulary import describe_parts

if TYPE_CHECKING:
    import pandas as pd

    from report.collect import Results
    from report.published import Published

# Methods of a leaderboard in its section; the table at the end has all.
TOP_METHODS = 12
PUBLISHED_METHODS = 5
# Heads of the columns of the table of all methods; by each the sign of the better end, if any.
ALL_METHODS = {
    **{"Method": 0, "Labels": 0, "Seeds": 0},
    **{METRICS[key].short: METRICS[key].sign for key in ("acc", "ari", "nmi", "ami")},
    "Silh.": METRICS["silhouette"].sign,
    "Dav.-B.": METRICS["davies_bouldin"].sign,
    "Cal.-H.": METRICS["calinski_harabasz"].sign,
    **{"k": 0, "Cov.": 1, "Stab.": 1, "Seconds": -1, "MB": -1},
}


@dataclass(frozen=True)
class Target:
    """A target for the best method of a leaderboard, and the value it reached."""

    score: str
    aim: float
    value: float

    @property
    def is_reached(self) -> bool:
        """Whether the score is at least the target."""
        return self.value >= self.aim


@dataclass(frozen=True)
class BoardView:
    """One leaderboard's section: rows of its tables, and the numbers of its sentences.

    A method is a named tuple of the columns of `tables.LEADERBOARD_TABLE`.
    """

    name: str
    title: str
    n_clusters: int
    common_space: int
    internal_images: int
    n_rows: int = 0
    n_images: int = 0
    n_seeds: int = 0
    best: Any = None
    next: Any = None
    n_compared: int = 0
    n_decided: int = 0
    n_beaten: int = 0
    top_rows: list[list[object]] = field(default_factory=list)
    difference_rows: list[list[object]] = field(default_factory=list)
    ranking_rows: list[list[object]] = field(default_factory=list)
    found_rows: list[list[object]] = field(default_factory=list)
    number_rows: list[list[object]] = field(default_factory=list)
    number_errors: list[tuple[str, float]] = field(default_factory=list)
    all_rows: list[list[object]] = field(default_factory=list)
    settings_rows: list[list[object]] = field(default_factory=list)
    picks: list[Any] = field(default_factory=list)
    front: list[Any] = field(default_factory=list)
    figure: FigureView | None = None
    n_found: int = 0
    n_right_k: int = 0
    best_found: Any = None
    best_given: Any = None
    recipes: list[Any] = field(default_factory=list)
    published_rows: list[list[object]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    published_targets: list[Target] = field(default_factory=list)
    attempt_rows: list[list[object]] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    new_images: NewImagesView = field(default_factory=NewImagesView)

    @property
    def all_header(self) -> list[str]:
        """Heads of the table of all methods."""
        return list(ALL_METHODS)

    @property
    def all_better(self) -> str:
        """Of each column of that table, whether more or less is better, or neither."""
        return "".join({1: "+", -1: "-", 0: "."}[sign] for sign in ALL_METHODS.values())

    @property
    def choice(self) -> Any:
        """What the rule chose: a line of the rankings; None if it chose nothing."""
        return rule_pick(self.picks)

    @property
    def single_picks(self) -> list[Any]:
        """The lines of the single indices that at least one method has."""
        return index_picks(self.picks)

    @property
    def number_header(self) -> list[str]:
        """Heads of the table of the numbers of clusters that rules found."""
        return ["Representation", *(rule.name for rule in RULES.values())]

    @property
    def is_one_seed(self) -> bool:
        """Whether no method has more than one seed."""
        return self.n_seeds == 1


def board_view(
    board: config.Leaderboard,
    tables: dict[str, pd.DataFrame],
    out: Path,
    numbers: pd.DataFrame | None = None,
) -> BoardView:
    """Gather what the section of a leaderboard shows.

    Parameters
    ----------
    board : Leaderboard
    tables : dict of str to DataFrame
        What `board_tables.read_tables` returned.
    out : Path
        Folder of the report, in which the leaderboard's figure lies.
    numbers : DataFrame, optional
        Columns of `tables.NUMBERS_TABLE`; those of other leaderboards are left out.
    """
    name = board.leaderboard
    plain = BoardView(
        name, board.title, board.n_clusters, board.common_space, board.internal_images
    )
    own = [table[table["study"] == name] for table in tables.values()]
    rows, differences, rankings = (table.drop(columns="study") for table in own)
    if rows["ari"].isna().all():
        return plain
    rows = rows.assign(place=range(1, len(rows) + 1), n=rows["n"].astype(int))
    listed = list(rows.itertuples(index=False))
    compared = list(differences.itertuples(index=False))
    decided = [row for row in compared if row.n_seeds > 1]  # one seed decides nothing
    found = [row for row in listed if not row.k_given]
    given = [row for row in listed if row.k_given]
    on_front = rows[pareto_front(rows)].sort_values("seconds")
    return replace(
        plain,
        n_rows=len(rows),
        n_images=int(rows["n"].max()),
        n_seeds=int(rows["n_seeds"].max()),
        best=listed[0],
        next=compared[0] if compared else None,
        n_compared=len(compared),
        n_decided=len(decided),
        n_beaten=sum(differs(row) and row.difference > 0 for row in decided),
        top_rows=[_top_row(row) for row in listed[:TOP_METHODS]],
        difference_rows=[_difference_row(row) for row in compared],
        ranking_rows=[_ranking_row(row) for row in rankings.itertuples(index=False)],
        found_rows=[_found_row(row) for row in found],
        **_numbers(numbers, board),
        all_rows=[_board_row(row) for row in listed],
        settings_rows=[
            [_with_names(row), row.recipe or "–", _with_reason(row, board)] for row in listed
        ],
        picks=list(rankings.itertuples(index=False)),
        front=list(on_front.itertuples(index=False)),
        figure=_pareto_view(board, on_front, out) if len(on_front) else None,
        n_found=len(found),
        n_right_k=sum(row.k_low == row.k_high == board.n_clusters for row in found),
        best_found=found[0] if found else None,
        best_given=given[0] if given else None,
        recipes=[row for row in listed if row.recipe],
        attempt_rows=[_attempt_row(attempt) for attempt in board.attempts],
        targets=_targets(board, listed[0]),
    )


def context(
    results: Results, published: Published | None, out: Path, marked: Collection[tuple[str, str]]
) -> dict[str, Any]:
    """Gather what the sections of the leaderboards show; `out` holds the copied figures.

    `marked` are the leaderboards and representations of the published run that are of other code.
    """
    return {
        "boards": _board_views(results, published, out, marked),
        "image_resamples": IMAGE_RESAMPLES,
        "selection": load_selection(),
    }


def _board_views(
    results: Results, published: Published | None, out: Path, marked: Collection[tuple[str, str]]
) -> list[BoardView]:
    if not results.boards:
        return []
    tables = read_tables(out)
    return [
        replace(
            board_view(board, tables, out, results.numbers),
            published_rows=_published_rows(name, published, marked),
            published_targets=_published_targets(board, published),
            pages=[page_of(results, run, out) for run in results.first_runs(name)],
            new_images=new_images.view(board, results.new_images, results.reliability, out),
        )
        for name, board in results.boards.items()
    ]


def _targets(board: config.Leaderboard, best: Any) -> list[Target]:
    if board.aim is None:
        return []
    return [Target(key.upper(), aim, getattr(best, key)) for key, aim in board.aim]


def published_board(name: str, published: Published | None) -> list[Any]:
    """List the methods of a leaderboard's published run, the best first."""
    if published is None or not published.boards:
        return []
    table = published.boards["leaderboard"]
    own = table[table["study"] == name].sort_values("ari", ascending=False, kind="stable")
    return list(own.itertuples(index=False))


def best_first(name: str, published: Published | None, out: Path, is_published: bool) -> list[Any]:
    """List the methods of a leaderboard, of the published run or of this one, the best first."""
    if is_published:
        return published_board(name, published)
    board = read_tables(out)["leaderboard"]
    return list(board[board["study"] == name].itertuples(index=False))


def _published_targets(board: config.Leaderboard, published: Published | None) -> list[Target]:
    """Compare the best method of a leaderboard's published run with the targets."""
    rows = published_board(board.leaderboard, published)
    return _targets(board, rows[0]) if rows else []


def _published_rows(
    name: str, published: Published | None, marked: Collection[tuple[str, str]] = ()
) -> list[list[object]]:
    """List the best and the named methods of a leaderboard's published run, and mark scores."""
    rows = published_board(name, published)
    shown = [row for place, row in enumerate(rows) if place < PUBLISHED_METHODS or row.recipe]
    marks = [MARK if (name, row.representation) in marked else "" for row in shown]
    return [
        [method_name(row), row.labels, number(row.n), row.n_seeds]
        + [score_and_interval(row, score) + mark for score in ("acc", "ari")]
        + [fixed(row.stability, 3), _seconds(row)]
        for row, mark in zip(shown, marks, strict=True)
    ]


def _with_reason(row: Any, board: config.Leaderboard) -> str:
    """Join the settings of a method and, where the leaderboard's file gives it, its purpose."""
    key = (row.representation, row.space, row.clusterer)
    reasons = [r.why for r in board.rows if (r.representation, r.space, r.method) == key and r.why]
    return "; ".join([row.settings, *(f"purpose: {reason}" for reason in reasons)])


def _attempt_row(attempt: config.Attempt) -> list[object]:
    scores = map(fixed, (attempt.acc, attempt.ari))
    return [attempt.what, number(attempt.images), *scores, attempt.outcome]


def _pareto_view(board: config.Leaderboard, front: pd.DataFrame, out: Path) -> FigureView:
    stem = f"{board.leaderboard}-pareto"
    points = "; ".join(
        f"{method_name(row)}: {fixed(row.ari)} after {duration(row.seconds)}"
        for row in front.itertuples(index=False)
    )
    return own_figure(
        out,
        stem,
        caption=(
            f"{board.title}: ARI of every method against its time in seconds. The line joins "
            "the methods on the Pareto front, which are named"
        ),
        alt=f"ARI against seconds; methods on the Pareto front: {points}",
    )


def method_name(row: Any) -> str:
    """Name a method of a leaderboard in the words of the article."""
    return ", ".join(_parts_in_words(row))


def _parts_in_words(row: Any) -> tuple[str, str, str]:
    """Name the parts of a method; a study's name stands for its autoencoder."""
    representation, *others = describe_parts(row.representation, row.space, row.clusterer)
    own = set(config.study_names())
    views = [
        f"autoencoder of {view}" if view in own else view for view in representation.split(" + ")
    ]
    return (" + ".join(views), *others)


def _with_names(row: Any) -> Markup:
    """Name a method in words, with the names of its parts in files and commands to be searched."""
    names = escape(" ".join([row.representation, row.space, row.clusterer]))
    return Markup(f'[{escape(method_name(row))}]{{names="{names}"}}')


def _top_row(row: Any) -> list[object]:
    return [
        *_parts_in_words(row),
        row.labels,
        *(score_and_interval(row, score) for score in ("acc", "ari", "nmi")),
        *(_clusters_of(row), fixed(row.stability, 3), _seconds(row)),
    ]


def score_and_interval(row: Any, score: str) -> str:
    """Write the mean of a score and, if there is one, its interval over seeds and images."""
    mean, low, high = (getattr(row, f"{score}{end}") for end in ("", "_low", "_high"))
    if math.isnan(low):
        return fixed(mean, 3)
    return f"{mean:.3f} ({low:.3f}\u00a0to\u00a0{high:.3f})"


def _clusters_of(row: Any) -> str:
    return _k_range(row) + ("" if row.k_given else "*")


def _k_range(row: Any) -> str:
    return number(row.k_low) if row.k_low == row.k_high else f"{row.k_low}–{row.k_high}"


def clusters_in_words(row: Any) -> str:
    """Write how many clusters a method found: over the seeds, from least to most."""
    return f"{_k_range(row)} cluster{'' if row.k_high == 1 else 's'}"


def _seconds(row: Any) -> str:
    return "–" if math.isnan(row.seconds) else f"{row.seconds:,.{0 if row.seconds >= 100 else 1}f}"


def _difference_row(row: Any) -> list[object]:
    interval = "–" if math.isnan(row.ci_low) else f"{fixed(row.ci_low)} to {fixed(row.ci_high)}"
    scores = [fixed(value) for value in (row.best_ari, row.ari, row.difference)]
    tested = {0: "not tested", 1: "one seed"}.get(row.n_seeds) or p_value(row.p_holm)
    return [method_name(row), number(row.n_seeds), *scores, interval, tested]


def differs(row: Any) -> bool:
    """Return whether a compared method differs from the best one, all comparisons considered."""
    return row.p_holm < 1 - config.load_verdict_rule().confidence


def _ranking_row(row: Any) -> list[object]:
    counts = [number(n) for n in (row.n_rows, row.n_partial, row.n_undefined)]
    picked = method_name(row) if row.n_rows else "–"
    lost = [fixed(value) for value in (row.ari, row.best_ari, row.regret)]
    share = "–" if math.isnan(row.regret) else share_lost(row)
    interval = (
        "–" if math.isnan(row.tau_low) else f"{fixed(row.tau_low, 2)} to {fixed(row.tau_high, 2)}"
    )
    name = capitalised(index_name(row.index))
    return [name, fixed(row.tau, 3), interval, *counts, picked, *lost, share]


def rule_pick(picks: Sequence[Any]) -> Any:
    """Return what the rule chose, of lines of the rankings; None if it chose nothing."""
    return next((pick for pick in picks if pick.index == RULE and pick.n_rows), None)


def index_picks(picks: Sequence[Any]) -> list[Any]:
    """List what single indices chose, of lines of the rankings."""
    return [pick for pick in picks if pick.index != RULE and pick.n_rows]


def share_lost(pick: Any) -> str:
    """Write the regret of a choice as a share of the best ARI."""
    return f"{100 * pick.regret / pick.best_ari:.1f} %"


def index_name(key: str) -> str:
    """Name an index that needs no label, or the rule, in running text."""
    return "rule" if key == RULE else INDICES[key].name


def capitalised(text: str) -> str:
    """Return a text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _numbers(numbers: pd.DataFrame | None, board: config.Leaderboard) -> dict[str, Any]:
    """Write the numbers of clusters that rules found, and the mean error of each rule."""
    if numbers is None or numbers.empty or board.leaderboard not in set(numbers["study"]):
        return {}
    own = numbers[numbers["study"] == board.leaderboard]
    found = numbers_found(own, board.n_clusters)
    rows = []
    for representation, part in found.groupby("representation", sort=False):
        by_rule = {row.rule: row for row in part.itertuples(index=False)}
        cells = [_k_range(by_rule[rule]) if rule in by_rule else "–" for rule in RULES]
        rows.append([_representation_in_words(representation), *cells])
    errors = found.groupby("rule")["error"].mean()
    rows.append(["Mean error of ln k", *(fixed(errors.get(rule, math.nan), 2) for rule in RULES)])
    ordered = sorted((errors[rule], rule) for rule in RULES if rule in errors)
    return {
        "number_rows": rows,
        "number_errors": [(RULES[rule].name, float(error)) for error, rule in ordered],
    }


def _representation_in_words(representation: str) -> str:
    return describe_parts(representation, "raw", "kmeans")[0]


def _found_row(row: Any) -> list[object]:
    covered = f"{100 * row.coverage:.1f} %"
    # Without noise the covered points are all points.
    ari_covered = row.ari if row.coverage == 1 else row.ari_covered
    return [method_name(row), _k_range(row), covered, fixed(row.ari), fixed(ari_covered)]


def _board_row(row: Any) -> list[object]:
    scores = (row.acc, row.ari, row.nmi, row.ami, row.silhouette, row.davies_bouldin)
    chosen = fixed(row.calinski_harabasz, 0)
    memory = "–" if math.isnan(row.peak_memory_mb) else number(round(row.peak_memory_mb))
    return [
        *(_with_names(row), row.labels, number(row.n_seeds)),
        *(fixed(value, 3) for value in scores),
        *(chosen, _clusters_of(row), fixed(row.coverage, 2), fixed(row.stability, 2)),
        *(_seconds(row), memory),
    ]


FILTERS = {
    "differs": differs,
    "p_value": p_value,
    "method_name": method_name,
    "index_name": index_name,
    "share_lost": share_lost,
    "clusters": clusters_in_words,
}
