"""What a notebook found, in a line, beside what the paper and its authors report for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from utils.config.schema import ReportedValue, Study


class Beside(NamedTuple):
    """The name of a score or count, and its reported values: the paper's, then a saved run's."""

    name: str
    sources: list[ReportedValue]


def of_clustering(
    study: Study, representation: str, space: str, clusterer: str
) -> dict[str, Beside]:
    """Pick a study's reported values of one clustering, by metric; ``k_found`` counts clusters."""
    named = (representation, space, clusterer)
    beside = {
        reported.metric: Beside(reported.score, reported.sources)
        for reported in study.reported
        if (reported.representation, reported.space, reported.clusterer) == named
    }
    for identity in study.identities:
        of = identity.clusters_of
        if of and (of.representation, of.space, of.clusterer) == named:
            beside["k_found"] = Beside(identity.what, [identity])
    return beside


def of_facts(study: Study, notebook: str) -> dict[str, Beside]:
    """Pick a study's reported counts of what a notebook records as facts, by fact."""
    return {
        identity.fact.name: Beside(identity.what, [identity])
        for identity in study.identities
        if identity.fact and identity.fact.notebook == notebook
    }


def compare(values: Mapping[str, float], reported: Mapping[str, Beside]) -> list[str]:
    """Write found values beside the reported ones.

    Parameters
    ----------
    values : mapping of str to float
        What was found, by metric or fact.
    reported : mapping of str to Beside
        What is reported, by the same names.

    Returns
    -------
    list of str
        A line for each value that is reported too, for example ``purity 0.5095; reported 0.5541
        (section 7.1), 0.5063 (the run saved in the authors' notebook)``; if none is, a line for
        the first.
    """
    lines = [
        f"{reported[name].name} {_number(value)}; reported {_written(reported[name].sources)}"
        for name, value in values.items()
        if name in reported
    ]
    name, value = next(iter(values.items()))
    label = name.upper() if len(name) == 3 else name.replace("_", " ")  # ARI and NMI
    return lines or [f"{label} {_number(value)}; not reported"]


def _written(sources: list[ReportedValue]) -> str:
    """Write reported values as they were printed, counts with separators, with their sources."""
    return ", ".join(
        f"{source.value if '.' in source.value else _number(int(source.value))} ({source.source})"
        for source in sources
    )


def _number(value: float) -> str:
    """Write a whole number as it is, and any other with four decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}"
