"""Claims of a paper, tested against a run's numbers seed by seed, and put into words by rules.

Every sentence is made of the numbers that were tested, so that the text cannot contradict them.
Noise, cluster −1, is never a group, a majority or a shared cluster; it counts in a class's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from report import comparisons
from utils import config, errors
from utils.config.facts import declared
from utils.config.metrics_table import METRICS
from utils.config.vocabulary import describe
from utils.metrics import NOISE

TWO_SCALES = "the index is measured in two different spaces and does not rank the representations"
ReasonFor = Callable[[config.Clustered], str | None]


class _Missing(Exception):
    """Why a claim cannot be tested, in words."""


@dataclass(frozen=True)
class Measure:
    """A tested number: `values` maps a seed to it."""

    name: str
    values: dict[int, float]


@dataclass(frozen=True)
class Finding:
    """One thing that a claim is about: a class, a pair of them, all of them, two clusterings.

    Attributes
    ----------
    subject : str
    measures : tuple of Measure
        The tested numbers.
    holds : dict of int to bool
        Seed to whether the rule holds for this subject.
    words : str
        What its sentence says, as a template: ``{0}`` is the mean of the first measure, ``{over}``
        the number of seeds, ``{tally}`` in how many of them the rule holds.
    undecided : bool
        Whether the runs cannot tell if the rule holds; `holds` is then empty.
    """

    subject: str
    measures: tuple[Measure, ...]
    holds: dict[int, bool]
    words: str
    undecided: bool = False

    @property
    def sentence(self) -> str:
        """The finding in words; every score and count in it is the mean of a measure."""
        # Zero is added because a mean of −0.0001 would else be written as −0.000.
        means = [round(float(np.mean([*m.values.values()])), 3) + 0.0 for m in self.measures]
        said = self.words.format(*means, over=self._over(), tally=self._tally())
        return f"{self.subject[:1].upper()}{self.subject[1:]}: {said}."

    def _over(self) -> str:
        numbers = list(dict.fromkeys(len(measure.values) for measure in self.measures))
        if numbers == [1]:
            return "on one seed"
        mean = "mean" if len(self.measures) == 1 else "means"
        return f"{mean} over {' and '.join(map(str, numbers))} seeds"

    def _tally(self) -> str:
        held, n = sum(self.holds.values()), len(self.holds)
        if n == 1:
            return "the rule holds" if held else "the rule does not hold"
        return f"the rule holds in {held} of {n} seeds"


@dataclass(frozen=True)
class TestedClaim:
    """A claim and what the run's numbers say of it.

    `reason` says why it could not be tested; `findings` is then empty.
    """

    __test__ = False  # no test of pytest's

    claim: config.Claim
    findings: tuple[Finding, ...]
    reason: str | None

    @property
    def outcome(self) -> str:
        """``holds``, ``holds in part``, ``does not hold``, ``undecided`` or ``not tested``."""
        if any(finding.undecided for finding in self.findings):
            return "undecided"
        held = [held for finding in self.findings for held in finding.holds.values()]
        if not held:
            return "not tested"
        if all(held):
            return "holds"
        return "holds in part" if any(held) else "does not hold"

    @property
    def sentences(self) -> list[str]:
        """The findings and the outcome in words, as plain text."""
        if self.outcome == "not tested":
            return [f"The claim is not tested: {self.reason}."]
        verb = "is " if self.outcome == "undecided" else ""
        return [*(f.sentence for f in self.findings), f"The claim {verb}{self.outcome}."]


class _Counts(NamedTuple):
    """How many images of each class one seed's clusters have.

    `names` are the classes, sorted; `clusters` is int64 of shape (C, K), without noise and without
    empty clusters; `sizes`, int64 of shape (C,), are the sizes of the classes, noise included.
    """

    names: list[str]
    clusters: np.ndarray
    sizes: np.ndarray


def examine(
    study: config.Study,
    metrics: pd.DataFrame,
    confusion: pd.DataFrame,
    fact_values: Callable[[config.Fact], dict[int, float]],
    reason_for: ReasonFor,
    starts: pd.DataFrame | None = None,
) -> list[TestedClaim]:
    """Test every claim of a study against a run's numbers.

    Parameters
    ----------
    study : Study
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    confusion : DataFrame
        Columns of `tables.CONFUSION_TABLE`; cluster −1 is noise, and a pair
        without images has no row. Of each clustering the rows with its largest n count.
    fact_values : callable
        Gives seed to value of a recorded number; empty if none was recorded.
    reason_for : callable
        Says why a clustering is missing; None if it is not known.
    starts : DataFrame, optional
        As for `comparisons.values_to_compare`.

    Returns
    -------
    list of TestedClaim
        One for each claim, in their order. A claim whose numbers are missing is not tested.

    Raises
    ------
    UserError
        If a rule names a class that this study's images do not have.
    """
    rows = confusion[confusion["study"] == study.study]
    tested = []
    for claim in study.claims:
        rule = claim.rule
        _check_names(study, claim, rows)
        try:
            if isinstance(rule, config.FactRule):
                findings = _fact(rule, fact_values(rule.fact))
            elif isinstance(rule, config.BetterRule):
                findings = _better(rule, study, metrics, reason_for, starts)
            else:
                findings = _on_counts(rule, _counts(rule, rows, reason_for))
        except _Missing as missing:
            reason = " ".join(str(missing).split()).rstrip(".")
            tested.append(TestedClaim(claim, (), reason))
        else:
            tested.append(TestedClaim(claim, tuple(findings), None))
    return tested


def _named(rule: config.Rule) -> list[str]:
    """List the classes that a rule names."""
    if isinstance(rule, config.OverlapRule):
        return [name for pair in rule.pairs for name in pair]
    return getattr(rule, "classes", [])


def _check_names(study: config.Study, claim: config.Claim, rows: pd.DataFrame) -> None:
    allowed = sorted(rows["class"].unique())
    for name in _named(claim.rule):
        if allowed and name not in allowed:
            raise errors.UserError(
                f"{study.study}: claim {claim.text!r}: unknown class {name!r}: allowed are "
                f"{', '.join(allowed)}: correct the rule in the study's file"
            )


def _place(clustered: config.Clustered) -> tuple[str, str, str]:
    return clustered.representation, clustered.space, clustered.clusterer


def _describe(clustered: config.Clustered) -> str:
    return describe(*_place(clustered))


def _counts(
    rule: config.Rule,
    rows: pd.DataFrame,
    reason_for: ReasonFor,
) -> dict[int, _Counts]:
    """Count for each seed the classes in the clusters of the rule's clustering."""
    of = rule.of
    rows = rows[(rows[["representation", "space", "clusterer"]] == [*_place(of)]).all(axis=1)]
    if rows.empty:
        raise _Missing(reason_for(of) or f"this run has no such clustering ({_describe(of)})")
    rows = rows[rows["n"] == rows["n"].max()]
    names = sorted(rows["class"].unique())
    counts = {int(seed): _counts_of(names, part) for seed, part in rows.groupby("seed")}
    for seed, found in counts.items():
        for name in _named(rule):
            if name not in names or not found.sizes[names.index(name)]:
                raise _Missing(
                    f"the images of {_describe(of)} with seed {seed} have none of class {name}"
                )
    return counts


def _counts_of(names: list[str], rows: pd.DataFrame) -> _Counts:
    table = rows.pivot_table(index="class", columns="cluster", values="images", aggfunc="sum")
    table = table.reindex(names).fillna(0).astype("int64")
    clusters = table.drop(columns=NOISE, errors="ignore")
    return _Counts(names, clusters.to_numpy(), table.to_numpy().sum(axis=1))


def _on_counts(rule: config.Rule, counts: dict[int, _Counts]) -> Iterable[Finding]:
    """Test a rule on classes in clusters."""
    if isinstance(rule, config.AllFoundRule):
        yield _all_found(counts)
        return
    test = _TESTS[rule.kind]
    is_of_pairs = isinstance(rule, config.OverlapRule)
    for classes in rule.pairs if is_of_pairs else [(name,) for name in rule.classes]:
        values = {seed: test.measure(found, *classes) for seed, found in counts.items()}
        holds = {seed: test.holds(value, rule.share) for seed, value in values.items()}
        yield _finding(" and ".join(classes), test.words, test.names, values, holds)
    if isinstance(rule, config.GroupRule) and rule.only:
        yield _other_groups(rule, counts)


def _finding(
    subject: str,
    words: str,
    names: tuple[str, ...],
    values: dict[int, tuple[float, ...]],
    holds: dict[int, bool],
) -> Finding:
    """Make a finding of the values that each seed has for the measures called `names`."""
    measures = tuple(
        Measure(name, {seed: float(of_seed[place]) for seed, of_seed in values.items()})
        for place, name in enumerate(names)
    )
    tested = {seed: bool(held) for seed, held in holds.items()}
    return Finding(subject, measures, tested, f"{words} ({{over}}); {{tally}}")


def _group(counts: _Counts, name: str) -> tuple[float, float]:
    """Return the share of a class in its largest cluster, and its share of that cluster.

    Of several largest clusters that with the fewest images counts.
    """
    place = counts.names.index(name)
    row = counts.clusters[place]
    most = row.max(initial=0)
    if most == 0:
        return 0.0, 0.0
    return most / counts.sizes[place], most / counts.clusters.sum(axis=0)[row == most].min()


def _other_groups(rule: config.GroupRule, counts: dict[int, _Counts]) -> Finding:
    groups = {
        seed: {n for n in found.names if min(_group(found, n)) > rule.share} - set(rule.classes)
        for seed, found in counts.items()
    }
    return _finding(
        f"any other class ({', '.join(sorted(set().union(*groups.values()))) or 'none'})",
        "{0:g} of the other classes in such a group",
        ("other classes that are groups",),
        {seed: (len(names),) for seed, names in groups.items()},
        {seed: not names for seed, names in groups.items()},
    )


def _overlap_and_rank(counts: _Counts, first: str, second: str) -> tuple[float, float]:
    own = _overlap(counts, counts.names.index(first), counts.names.index(second))
    pairs = combinations(range(len(counts.names)), 2)
    return own, 1 + sum(_overlap(counts, *pair) > own for pair in pairs)


def _overlap(counts: _Counts, first: int, second: int) -> float:
    # Whole numbers until the last division, so that equal overlaps are equal numbers.
    sizes = counts.sizes[first], counts.sizes[second]
    common = np.minimum(counts.clusters[first] * sizes[1], counts.clusters[second] * sizes[0])
    return common.sum() / max(sizes[0] * sizes[1], 1)


def _largest_and_tenths(counts: _Counts, name: str) -> tuple[float, float]:
    place = counts.names.index(name)
    row, size = counts.clusters[place], counts.sizes[place]
    return row.max(initial=0) / size, np.count_nonzero(10 * row >= size)


def _diagonal(counts: _Counts, name: str) -> tuple[float]:
    place = counts.names.index(name)
    own = counts.clusters[place, _majorities(counts) == place]
    return (own.sum() / counts.sizes[place],)


def _majorities(counts: _Counts) -> np.ndarray:
    """Return the place of each cluster's majority class; of equals the first in `names`."""
    return counts.clusters.argmax(axis=0)


def _all_found(counts: dict[int, _Counts]) -> Finding:
    found = {seed: {c.names[p] for p in _majorities(c)} for seed, c in counts.items()}
    names = next(iter(counts.values())).names
    missing = ", ".join(n for n in names if any(n not in of_seed for of_seed in found.values()))
    return _finding(
        f"all classes (missing in a seed: {missing})" if missing else "all classes",
        "{0:g} of {1:g} are the majority of some cluster",
        ("classes that are the majority of a cluster", "classes"),
        {seed: (len(of_seed), len(names)) for seed, of_seed in found.items()},
        {seed: len(of_seed) == len(names) for seed, of_seed in found.items()},
    )


class _Test(NamedTuple):
    """What is measured of one class or pair, and when the rule holds for the values and a share."""

    measure: Callable[..., tuple[float, ...]]
    holds: Callable[[tuple[float, ...], float], bool]
    names: tuple[str, ...]
    words: str


_TESTS = {
    "group": _Test(
        _group,
        lambda values, share: min(values) > share,
        ("share of the class in its largest cluster", "its share of that cluster"),
        "{0:.3f} of the class lies in one cluster, of which it is {1:.3f}",
    ),
    "overlap": _Test(
        _overlap_and_rank,
        lambda values, share: values[0] > share,
        ("overlap", "rank among all pairs of classes"),
        "they lie in the same clusters by {0:.3f}, rank {1:g} among all pairs of classes",
    ),
    "split": _Test(
        _largest_and_tenths,
        lambda values, share: values[0] <= share,
        ("share of the class in its largest cluster", "clusters with a tenth of the class"),
        "{0:.3f} of the class lies in its largest cluster; clusters with at least a tenth: {1:g}",
    ),
    "diagonal": _Test(
        _diagonal,
        lambda values, share: values[0] > share,
        ("share of the class in clusters of which it is the majority",),
        "{0:.3f} of the class lies in clusters of which it is the majority",
    ),
}


def _fact(rule: config.FactRule, values: dict[int, float]) -> list[Finding]:
    finite = {seed: (value,) for seed, value in values.items() if np.isfinite(value)}
    if not finite:
        raise _Missing(f"this run recorded no {rule.fact.name} in {rule.fact.notebook}")
    fact = declared(rule.fact.notebook, rule.fact.name)
    holds = {seed: value >= rule.at_least for seed, (value,) in finite.items()}
    words = "{0:g}" if fact.kind == "count" else "{0:.3f}"
    return [_finding(fact.label, words, (fact.label,), finite, holds)]


def _better(
    rule: config.BetterRule,
    study: config.Study,
    metrics: pd.DataFrame,
    reason_for: ReasonFor,
    starts: pd.DataFrame | None,
) -> list[Finding]:
    ours, other = _place(rule.of), _place(rule.than)
    for n in sorted(metrics["n"].unique(), reverse=True):
        compared = comparisons.compare(metrics, study, ours, other, rule.metric, n, starts)
        if compared is not None:
            break
    else:
        raise _Missing(_why_not_compared(rule, study.study, metrics, reason_for))
    name = METRICS[rule.metric].name
    words = [f"{name} {{0:.3f}} against {{1:.3f}} ({{over}})", _compared_words(compared)]
    if METRICS[rule.metric].within_one_space and ours[:2] != other[:2]:
        words.append(TWO_SCALES)
    measures = tuple(
        Measure(
            f"{name} of {describe(*place)}",
            comparisons.values_to_compare(metrics, starts, study, place, rule.metric, n),
        )
        for place in (ours, other)
    )
    # All runs are compared at once: the answer is the same for each of their seeds.
    undecided = compared.outcome == "undecided"
    seeds = sorted({seed for measure in measures for seed in measure.values})
    holds = {} if undecided else dict.fromkeys(seeds, compared.outcome == "better")
    subject = f"{_describe(rule.of)}, against {_describe(rule.than)}"
    return [Finding(subject, measures, holds, "; ".join(words), undecided)]


def _compared_words(compared: comparisons.Comparison) -> str:
    outcome = compared.outcome
    said = "which is better is undecided" if outcome == "undecided" else f"the first is {outcome}"
    return f"{said} ({compared.difference_in_words})"


def _why_not_compared(
    rule: config.BetterRule,
    study: str,
    metrics: pd.DataFrame,
    reason_for: ReasonFor,
) -> str:
    rows = metrics[np.isfinite(metrics["value"].astype(float))]
    reasons = []
    for side in (rule.of, rule.than):
        if not comparisons.seed_values(rows, study, *_place(side), rule.metric):
            none = f"this run has no such clustering with a value ({_describe(side)})"
            reasons.append(reason_for(side) or none)
    if not reasons:
        return f"{_describe(rule.of)} and {_describe(rule.than)} are not of equally many images"
    return "; ".join(dict.fromkeys(reasons))
