"""What was found, by rules: whether the autoencoder helps, and what does better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from report import board_sections, leaderboards
from report.article_figures import RANDOM, indices_of
from report.comparisons import Comparison, compare
from report.markdown import duration
from report.study_names import short_name
from report.tally import UNTRAINED, kind_of
from utils import config
from utils.config.vocabulary import NAMES, SUBSTITUTE
from utils.store.tables import STARTS_TABLE

if TYPE_CHECKING:
    import pandas as pd

    from report.published import Published


@dataclass(frozen=True)
class Beside:
    """The autoencoder of a study beside another representation, by the ARI of k-means."""

    study: str
    title: str
    comparison: Comparison

    @property
    def outcome(self) -> str:
        """Of the autoencoder: ``better``, ``worse`` or ``undecided``."""
        return self.comparison.outcome


@dataclass(frozen=True)
class BestUntrained:
    """The best method of a leaderboard that trains nothing, and the autoencoder on these images.

    `row` is of the leaderboard's table, `studies` has the mean ARI of the autoencoder of each study
    of the same dataset, by its name in figures.
    """

    leaderboard: str
    title: str
    method: str
    row: Any
    studies: dict[str, float]

    @property
    def gain(self) -> float:
        """How much higher its ARI is than that of the best network; 0 without any."""
        return float(self.row.ari - max(self.studies.values(), default=self.row.ari))


def beside_pixels(fullest: Published, studies: Iterable[config.Study]) -> list[Beside]:
    """Compare each autoencoder with raw pixels."""
    return [
        found
        for study in studies
        if (found := _beside(fullest, study, ("pixels", "raw", "kmeans"))) is not None
    ]


def beside_frozen(fullest: Published, studies: Iterable[config.Study]) -> list[Beside]:
    """Compare each autoencoder with the features of EfficientNet-Lite0 on the same images."""
    return [
        found
        for study in studies
        if (found := _beside(fullest, study, (SUBSTITUTE, "raw", "kmeans"))) is not None
    ]


def _beside(fullest: Published, study: config.Study, other: tuple[str, str, str]) -> Beside | None:
    """Compare the autoencoder with an untrained representation, on the most images of both."""
    ours = ("autoencoder", study.space.label, "kmeans")
    common = set.intersection(*(_sizes(fullest.metrics, study, place) for place in (ours, other)))
    if not common:
        return None
    starts = fullest.evidence[STARTS_TABLE.file]
    compared = compare(fullest.metrics, study, ours, other, "ari", max(common), starts)
    return None if compared is None else Beside(study.study, short_name(study.study), compared)


def _sizes(metrics: pd.DataFrame, study: config.Study, place: tuple[str, str, str]) -> set[int]:
    """List the numbers of images on which a clustering was scored."""
    own = metrics[metrics["study"] == study.study]
    for column, value in zip(("representation", "space", "clusterer"), place, strict=True):
        own = own[own[column] == value]
    return set(own["n"])


def best_untrained(fullest: Published, studies: Sequence[config.Study]) -> list[BestUntrained]:
    """Find the best method of each leaderboard that trains nothing."""
    found = []
    for board in fullest.leaderboards:
        rows = [
            row
            for row in board_sections.published_board(board.leaderboard, fullest)
            if kind_of(row.representation, row.clusterer) == UNTRAINED
        ]
        if not rows:
            continue
        same = beside_pixels(fullest, [one for one in studies if one.dataset == board.dataset])
        own = {one.title: one.comparison.our_mean for one in same}
        method = board_sections.method_name(rows[0])
        found.append(BestUntrained(board.leaderboard, board.title, method, rows[0], own))
    return found


@dataclass(frozen=True)
class IndexFinding:
    """In how many of the studies an index prefers the representation with the best ARI.

    `misled` names the studies whose best representation by both indices is a network with random
    weights, with its ARI.
    """

    silhouette: int
    davies_bouldin: int
    studies: int
    misled: dict[str, float] = field(default_factory=dict)


def indices_find(fullest: Published, studies: Sequence[config.Study]) -> IndexFinding:
    """Count the studies whose best representation by an internal index is the best by the ARI."""
    by_silhouette = by_davies_bouldin = n = 0
    misled = {}
    table = indices_of(fullest, studies)
    for study, rows in table.groupby("study") if len(table) else ():
        best = rows["ari"].idxmax()
        chosen = {rows["silhouette"].idxmax(), rows["davies_bouldin"].idxmin()}
        by_silhouette += int(rows["silhouette"].idxmax() == best)
        by_davies_bouldin += int(rows["davies_bouldin"].idxmin() == best)
        n += 1
        if set(rows.loc[list(chosen), "representation"]) == {RANDOM}:
            misled[str(study)] = float(rows.loc[chosen.pop(), "ari"])
    return IndexFinding(by_silhouette, by_davies_bouldin, n, misled)


# --- in words ------------------------------------------------------------------------------------


def sentences(
    fullest: Published, studies: Sequence[config.Study], untrained: Sequence[BestUntrained]
) -> list[str]:
    """State the findings: pixels, frozen networks and indices, and what needs no training."""
    found = [
        help_sentence(beside_pixels(fullest, studies)),
        frozen_sentence(beside_frozen(fullest, studies), indices_find(fullest, studies)),
    ]
    if untrained:
        found.append(f"{untrained_sentence(max(untrained, key=lambda best: best.gain))}.")
    return found


def help_sentence(found: Sequence[Beside]) -> str:
    """Say on which datasets the code of the autoencoder beats raw pixels."""
    better, worse, undecided = _by_outcome(found)
    parts = [
        f"the autoencoder's code beats raw pixels on {_with_scores(better)}"
        if better
        else "on no dataset does the autoencoder's code clearly beat raw pixels"
    ]
    parts += [f"it is worse on {_with_scores(worse)}"] if worse else []
    return _sentence("; ".join(parts + _open(undecided)))


def frozen_sentence(found: Sequence[Beside], indices: IndexFinding) -> str:
    """Say on which datasets frozen features beat the autoencoder, and whether indices show it."""
    worse, better, undecided = _by_outcome(found)
    network = (
        f"frozen features of {NAMES[SUBSTITUTE]} (trained with {leaderboards.IMAGENET_LABELS}'s "
        "labels)"
    )
    parts = [
        f"{network} beat the autoencoder on {_with_scores(better, turned=True)}"
        if better
        else f"{network} clearly beat the autoencoder on no dataset"
    ]
    parts += [f"they are worse on {_with_scores(worse, turned=True)}"] if worse else []
    found_of_indices = f" {_index_sentence(indices)}" if indices.studies else ""
    return f"{_sentence('; '.join(parts + _open(undecided)))}{found_of_indices}"


def one_network_sentence(found: Sequence[Beside]) -> str:
    """Name the studies that are undecided because a single network was scored; or say nothing."""
    single = [
        one.title for one in found if one.outcome == "undecided" and len(one.comparison.ours) == 1
    ]
    if not single:
        return ""
    return (
        f"Of {' and '.join(single)} one network only was scored on the images that the frozen "
        "network was given, and one run decides nothing."
    )


def _index_sentence(found: IndexFinding) -> str:
    n = found.silhouette
    if n == found.studies:
        return f"The best silhouette has the best ARI in each of {_studies(n)}."
    return (
        f"Internal indices are no guide: the best silhouette has the best ARI in "
        f"{n or 'none'} of {_studies(found.studies)}."
    )


def indices_sentence(found: IndexFinding) -> str:
    """Say whether internal indices rank representations as the ARI does."""
    counts = (found.silhouette, found.davies_bouldin)
    silhouette, davies_bouldin = (str(count or "none") for count in counts)
    verb = "rank" if min(counts) == found.studies else "do not rank"
    parts = [
        f"They {verb} representations as the ARI does: the best silhouette has the best ARI "
        f"in {silhouette} of {_studies(found.studies)}, the best Davies-Bouldin index in "
        f"{davies_bouldin}."
    ]
    parts += [
        f"On {study} both prefer a network with random weights, whose ARI is {ari:.2f}."
        for study, ari in found.misled.items()
    ]
    return " ".join(parts)


def untrained_sentence(best: BestUntrained) -> str:
    """Say what the best method without training reaches, beside the papers' networks."""
    against = " and ".join(f"{ari:.2f}" for ari in best.studies.values())
    networks = "papers' networks" if len(best.studies) > 1 else "paper's network"
    beside = f", against {against} of the {networks}" if against else ""
    return (
        f"On {best.title}, an untrained method ({best.method}) reaches ARI "
        f"{best.row.ari:.2f} in {duration(best.row.seconds)}{beside}"
    )


def _by_outcome(found: Sequence[Beside]) -> tuple[list[Beside], list[Beside], list[Beside]]:
    """Split comparisons into those where the autoencoder is better, worse and undecided."""
    better, worse, undecided = (
        [one for one in found if one.outcome == outcome]
        for outcome in ("better", "worse", "undecided")
    )
    return better, worse, undecided


def _open(undecided: Sequence[Beside]) -> list[str]:
    """Name the study that is undecided; with several there is more to say than their names."""
    if len(undecided) > 1:
        return [f"the other {len(undecided)} studies are undecided"]
    return [f"{one.title} is undecided" for one in undecided]


def _with_scores(found: Sequence[Beside], turned: bool = False) -> str:
    """Name studies, each with the means of both; `turned` has the other's before ours."""
    scored = []
    for one in found:
        means = [f"{mean:.2f}" for mean in (one.comparison.our_mean, one.comparison.other_mean)]
        first, second = reversed(means) if turned else means
        name, bracket, author = one.title.partition(" (")
        said = f"{author.rstrip(')')}, " if bracket else ""
        scored.append(f"{name} ({said}ARI {first} against {second})")
    *others, last = scored
    return f"{', '.join(others)} and {last}" if others else last


def _studies(n: int) -> str:
    return "1 study" if n == 1 else f"{n} studies"


def _sentence(text: str) -> str:
    """Begin with a capital, end with a full stop, and say once what is compared."""
    first, ari, rest = text.partition("ARI ")
    return f"{first[:1].upper()}{first[1:]}{ari}{rest.replace('ARI ', '')}."
