"""Reported values beside ours: whether each is a plausible run of its protocol."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from report import soundness
from report.comparisons import fact_texts, fact_values, not_run_reason, run_values, seed_values
from report.envelope import Envelope, envelope
from report.statistics import (
    holm,
    judge,
    prediction_interval,
    prediction_p_value,
    rank,
    rounding,
    smallest_deviation,
)
from utils import config
from utils.config.vocabulary import NAMES, SUBSTITUTE
from utils.store.tables import FAILED, IDENTITIES_TABLE, VERDICTS_TABLE

# Verdicts that compare a reported value with the prediction interval.
JUDGED = ("consistent", "too high", "too low", "uninformative")
NOT_DECIDABLE, NOT_RUN = "not decidable", "not run"
NOT_TESTED_REDUCED = "not tested (reduced run)"
NOT_TESTED_SUBSTITUTE = "not tested (substitute data)"
AS_REPORTED, CONTRADICTED = "as reported", "the paper contradicts its own network"


@dataclass(frozen=True)
class _Setting:
    """What a run as a whole lets one say of its reported values."""

    rule: config.VerdictRule
    reduced: bool
    substituted: Collection[str]
    collapsed: Mapping[soundness.Network, str]


def reported_vs_reproduced(
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    studies: Iterable[config.Study],
    reduced: bool,
    substituted: Collection[str] = (),
) -> pd.DataFrame:
    """Set each reported value beside our runs of its protocol.

    Parameters
    ----------
    metrics : DataFrame
        Columns of `tables.METRICS_TABLE`.
    facts : DataFrame
        Columns of `tables.FACTS_TABLE`.
    studies : iterable of Study
        Studies with their reported values.
    reduced : bool
        Whether the profile is a reduced one, which tests no reported value.
    substituted : collection of str
        Names of the studies that did not get the data that their protocol asks for.

    Returns
    -------
    DataFrame
        Columns of `VERDICTS_TABLE`, a row per reported value. ``sd`` and the prediction interval
        are missing with fewer than two runs, the mean with none. ``rank`` is the place of the
        reported value among our runs. ``p_holm`` is the p-value that it is one more run, adjusted
        over all papers' judged scores by Holm's method; authors' saved runs have none.
        ``smallest_deviation`` from the mean would have been detected with the power of the rule.
        ``seed_values`` has our runs in the order of their seeds, or the word "failed". A seed whose
        network has collapsed, by `soundness.RULE`, has failed.

    Notes
    -----
    Where the paper leaves open what decides a score of the autoencoder, and other fillings were
    run, the prediction interval is their `envelope` and the value is judged by it; all other
    columns are of the default filling. No single p-value and no smallest deviation applies then.
    """
    studies = list(studies)
    collapsed = soundness.collapsed(metrics, studies)
    metrics = soundness.without(metrics, collapsed)
    setting = _Setting(config.load_verdict_rule(), reduced, substituted, collapsed)
    rows = [
        _row(metrics, facts, study, reported, source, setting)
        for study in studies
        for reported in study.reported
        for source in reported.sources
    ]
    table = pd.DataFrame(rows, columns=[*VERDICTS_TABLE.columns, "p"])
    # The first source of a score is its paper; authors' saved runs follow.
    from_paper = ~table.duplicated(["study", "score"])
    tested = table[from_paper & table["p"].notna()]
    adjusted = holm(tested["p"].to_dict())
    table["p_holm"] = table.index.map(adjusted).astype(float)
    return table[list(VERDICTS_TABLE.columns)]


def _row(
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    study: config.Study,
    reported: config.Reported,
    source: config.ReportedValue,
    setting: _Setting,
) -> dict[str, object]:
    failed = _failed_seeds(facts, study.study) | {
        seed: f"its network has collapsed, since {reason}"
        for (name, seed, network), reason in setting.collapsed.items()
        if (name, network) == (study.study, reported.representation)
    }
    by_seed = values_of(metrics, study, reported)
    values = list(by_seed.values())
    confidence, value = setting.rule.confidence, float(source.value)
    left_open = _left_open(facts, study.study, reported, by_seed)
    span = _envelope_of(metrics, study, reported, by_seed, confidence) if left_open else None
    interval = (span.low, span.high) if span else prediction_interval(values, confidence)
    low, high = interval or (np.nan, np.nan)
    verdict = (
        _verdict_on(study, reported, source, values, setting, left_open, span) if values else None
    )
    has_p_value = verdict in JUDGED and span is None
    deviation = None if span else smallest_deviation(values, confidence, setting.rule.power)
    return {
        "study": study.study,
        "score": reported.score,
        "source": source.source,
        "reported": source.value,
        **moments(values),
        "prediction_low": low,
        "prediction_high": high,
        "rank": rank(values, value, rounding(source.value)).text if values else "",
        "smallest_deviation": np.nan if deviation is None else deviation,
        "verdict": verdict or (FAILED if failed else NOT_RUN),
        "seed_values": each_seed(by_seed, failed, ".4f"),
        "note": _note_on(metrics, facts, study.study, reported, by_seed, failed, left_open, span),
        "p": prediction_p_value(values, value, rounding(source.value)) if has_p_value else None,
    }


def _verdict_on(
    study: config.Study,
    reported: config.Reported,
    source: config.ReportedValue,
    values: list[float],
    setting: _Setting,
    left_open: str | None,
    span: Envelope | None,
) -> str:
    if setting.reduced:
        return NOT_TESTED_REDUCED
    if study.study in setting.substituted:
        return NOT_TESTED_SUBSTITUTE
    value, half_rounding = float(source.value), rounding(source.value)
    if span is not None:
        return span.judge(value, half_rounding, reported.margin)
    if left_open is not None:
        return NOT_DECIDABLE
    return judge(values, value, half_rounding, reported.margin, setting.rule.confidence)


def _envelope_of(
    metrics: pd.DataFrame,
    study: config.Study,
    reported: config.Reported,
    by_seed: dict[int, float],
    confidence: float,
) -> Envelope | None:
    """Return the envelope of all listed fillings; None if there is none, or one was not run."""
    if reported.representation != "autoencoder" or not by_seed:
        return None
    others = [
        values_of(metrics, study, reported.model_copy(update={"representation": name}))
        for name in (f"autoencoder-{one.name}" for one in study.variants if one.filling)
    ]
    if not all(others):
        return None
    return envelope([[*of.values()] for of in (by_seed, *others)], confidence)


def _left_open(
    facts: pd.DataFrame, study: str, reported: config.Reported, values: dict[int, float]
) -> str | None:
    """Return what is open about a score; None if nothing is or every run has settled it."""
    if reported.settled_by is None:
        return reported.open
    recorded = fact_texts(facts, study, reported.settled_by)
    begins = reported.settled_by.begins
    is_settled = bool(values) and all(recorded.get(s, "").startswith(begins) for s in values)
    return None if is_settled else reported.open


def values_of(
    metrics: pd.DataFrame, study: config.Study, reported: config.Reported
) -> dict[int, float]:
    """Return our value of a reported score for each run of its protocol, by seed."""
    place = (reported.representation, reported.space, reported.clusterer)
    return run_values(metrics, study, *place, reported.metric)


def identities(
    metrics: pd.DataFrame, facts: pd.DataFrame, studies: Iterable[config.Study]
) -> pd.DataFrame:
    """Check the counts that protocols fix.

    Parameters
    ----------
    metrics, facts : DataFrame
        Columns of `tables.METRICS_TABLE` and `tables.FACTS_TABLE`.
    studies : iterable of Study

    Returns
    -------
    DataFrame
        Columns of `IDENTITIES_TABLE`, a row per identity. ``ours`` has each different count that
        was found, ``outcome`` is "as reported", "differs", "not run" or, where the paper says two
        things, "the paper contradicts its own network".
    """
    rows = [
        {
            "study": study.study,
            "what": identity.what,
            "source": identity.source,
            "reported": identity.value,
            "ours": " ".join(map(str, counts)),
            "outcome": _outcome(identity, counts),
            "note": identity.contradiction or "",
        }
        for study in studies
        for identity in study.identities
        for counts in [_counts_of(metrics, facts, study.study, identity)]
    ]
    return pd.DataFrame(rows, columns=list(IDENTITIES_TABLE.columns))


def _counts_of(
    metrics: pd.DataFrame, facts: pd.DataFrame, study: str, identity: config.Identity
) -> list[int]:
    if identity.fact is not None:
        values = fact_values(facts, study, identity.fact)
    else:
        of = identity.clusters_of
        values = seed_values(metrics, study, of.representation, of.space, of.clusterer, "k_found")
    return sorted({int(value) for value in values.values()})


def _outcome(identity: config.Identity, counts: list[int]) -> str:
    if not counts:
        return NOT_RUN
    if all(abs(count - int(identity.value)) <= identity.rounding for count in counts):
        return AS_REPORTED
    return CONTRADICTED if identity.contradiction else "differs"


def _failed_seeds(facts: pd.DataFrame, study: str) -> dict[int, str]:
    """Map each seed that failed to what its first failed notebook says."""
    rows = facts[(facts["study"] == study) & (facts["fact"] == FAILED)]
    rows = rows.sort_values(["seed", "notebook"]).drop_duplicates("seed")
    return {int(row.seed): str(row.value) for row in rows.itertuples()}


def moments(values: Sequence[float]) -> dict[str, float]:
    """Return number, mean and standard deviation of our runs, NaN where there are too few."""
    return {
        "mean": float(np.mean(values)) if values else np.nan,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
        "n_networks": len(values),
    }


def each_seed(values: Mapping[int, float], failed: Iterable[int], form: str) -> str:
    """Write the value of each seed in the order of the seeds, or the word "failed"."""
    shown = dict.fromkeys(failed, FAILED) | {s: f"{v:{form}}" for s, v in values.items()}
    return " ".join(shown[seed] for seed in sorted(shown))


def _note_on(
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    study: str,
    reported: config.Reported,
    values: dict[int, float],
    failed: dict[int, str],
    left_open: str | None,
    span: Envelope | None,
) -> str:
    parts = [f"seed {s} failed: {reason}" for s, reason in failed.items() if s not in values]
    parts += [left_open] if left_open else []
    parts += [span.text] if span else []
    if not values:
        reason = not_run_reason(facts, study, reported.representation)
        parts += [reason.rstrip(".")] if reason else []
        place = (SUBSTITUTE, reported.space, reported.clusterer)
        instead = seed_values(metrics, study, *place, reported.metric)
        if instead:
            mean = np.mean([*instead.values()])
            parts.append(f"{NAMES[SUBSTITUTE]} as a substitute gives {mean:.4f}")
    if not values and not parts:
        parts.append("this run has no such value")
    return "; ".join(parts)


def sensitivity(
    metrics: pd.DataFrame, study: config.Study
) -> list[tuple[str, config.Reported, dict[int, float], dict[int, float]]]:
    """Set each reported score of the autoencoder beside ours as run and under each variant.

    Returns
    -------
    list of (str, Reported, dict of int to float, dict of int to float)
        Name of the variant, the reported score, and seed to value as run and under the variant;
        only variants and scores that have values.
    """
    found = []
    for variant in study.variants:
        for reported in study.reported:
            if not reported.representation.startswith("autoencoder"):
                continue
            as_run, other = (
                values_of(metrics, study, reported.model_copy(update={"representation": name}))
                for name in ("autoencoder", f"autoencoder-{variant.name}")
            )
            if other:
                found.append((variant.name, reported, as_run, other))
    return found
