"""What a notebook found, in a line, beside what the paper reports for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from utils.config.schema import Reported


def of_clustering(
    reported: Sequence[Reported], representation: str, space: str, clusterer: str
) -> dict[str, Reported]:
    """Pick a study's reported values of one clustering, by metric."""
    named = (representation, space, clusterer)
    return {r.metric: r for r in reported if (r.representation, r.space, r.clusterer) == named}


def of_facts(reported: Sequence[Reported], notebook: str) -> dict[str, Reported]:
    """Pick a study's reported values of what a notebook records as facts, by fact."""
    return {r.fact.name: r for r in reported if r.fact and r.fact.notebook == notebook}


def compare(values: Mapping[str, float], reported: Mapping[str, Reported]) -> list[str]:
    """Write found values beside the reported ones.

    Parameters
    ----------
    values : mapping of str to float
        What was found, by metric or fact.
    reported : mapping of str to Reported
        What the paper reports, by the same names.

    Returns
    -------
    list of str
        A line for each value that the paper reports too, for example
        ``purity 0.5095; reported 0.5541 (section 7.1)``; if it reports none, a line for the first.
    """
    lines = [
        f"{reported[name].figure} {_number(value)}; reported {_number(reported[name].value)} "
        f"({reported[name].source})"
        for name, value in values.items()
        if name in reported
    ]
    name, value = next(iter(values.items()))
    label = name.upper() if len(name) == 3 else name.replace("_", " ")  # ARI and NMI
    return lines or [f"{label} {_number(value)}; not reported"]


def _number(value: float) -> str:
    """Write a whole number as it is, and any other with four decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}"
