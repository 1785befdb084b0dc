"""What a person without labels would choose on a leaderboard, and what that costs.

The indices and the rule see no class. The ARI comes in only to say how good the choice was.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from report.leaderboards import ROW
from utils.config.selection import INDICES, RULE, Selection
from utils.metrics.label_free import agreement_with_others, drawn, rule_scores
from utils.store.tables import RANKINGS_TABLE

# Without the leaderboard's name.
RANKING_COLUMNS = RANKINGS_TABLE.columns[1:]
NUMBER_COLUMNS = ("representation", "rule", "n_seeds", "k_low", "k_high", "error")
RESAMPLES = 10_000


# --- the indices -------------------------------------------------------------------------------


def index_values(
    board: pd.DataFrame, label_free: pd.DataFrame, assignments: pd.DataFrame
) -> pd.DataFrame:
    """Gather the label-free indices of a leaderboard's rows over the seeds.

    Parameters
    ----------
    board : DataFrame
        What `leaderboards.leaderboard` returned.
    label_free : DataFrame
        Columns of `tables.LABEL_FREE_TABLE`, of this leaderboard; rows of methods that the board
        does not have are ignored.
    assignments : DataFrame
        Columns of `tables.ASSIGNMENTS_TABLE`, of this leaderboard.

    Returns
    -------
    DataFrame
        `board` with a column for each index of `selection.INDICES`: means over the seeds, missing
        where a seed lacks the index. Agreement with others is among the methods with the same seed
        and the same images, at most 5,000 of them; every other representation has one vote.
    """
    names = list(ROW[:3])
    measured = (
        label_free.groupby([*names, "index"])["value"]
        .agg(lambda values: values.mean(skipna=False))
        .unstack("index")
        if len(label_free)
        else pd.DataFrame(index=pd.MultiIndex.from_arrays([[], [], []], names=names))
    )
    rows = board.rename(columns={"stability": "agreement_seeds"})
    rows = rows.assign(stability=board["stability"])
    rows = rows.merge(measured, how="left", left_on=names, right_index=True)
    others = _agreement_with_others(assignments)
    rows["agreement_others"] = [
        others.get(tuple(row), np.nan) for row in rows[list(ROW)].itertuples(index=False)
    ]
    return rows.reindex(columns=list(dict.fromkeys([*board.columns, *INDICES])))


def _agreement_with_others(assignments: pd.DataFrame) -> dict[tuple, float]:
    """Map each row of a leaderboard to its mean agreement with other representations."""
    by_seed: dict[tuple, list[float]] = {}
    for (n, _), part in assignments.groupby(["n", "seed"], observed=True):
        rows = drawn(int(n))
        clusterings = {
            tuple(key): own.sort_values("index")["cluster"].to_numpy()[rows]
            for key, own in part.groupby(list(ROW[:3]), observed=True)
        }
        found = agreement_with_others(clusterings, {key: key[0] for key in clusterings})
        for key, value in found.items():
            by_seed.setdefault((*key, int(n)), []).append(value)
    return {key: float(np.mean(values)) for key, values in by_seed.items()}


# --- the choice --------------------------------------------------------------------------------


def label_free_ranking(
    values: pd.DataFrame,
    rule: Selection,
    n_clusters: int,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Compare the order in which each index, and the rule, put the methods with that by ARI.

    Parameters
    ----------
    values : DataFrame
        What `index_values` returned.
    rule : Selection
    n_clusters : int
        The number of clusters that was given.
    confidence : float
        Of the interval of tau, in (0, 1).
    resamples : int
        Of the methods, for that interval.

    Returns
    -------
    DataFrame
        Columns `RANKING_COLUMNS`, a line per index of `selection.INDICES`, and one for the rule.
        ``tau`` in [−1, 1] is Kendall's tau-b between the two orders, 1 for the same order, also of
        an index of which less is better; missing for fewer than two methods or a constant index.
        ``tau_low`` and ``tau_high`` are its bootstrap interval over the methods. It is taken over
        ``n_rows`` methods: ``n_partial`` are beyond the rule's limits (noise, or another number of
        clusters), and of the others ``n_undefined`` have no such index or no ARI. The method with
        the best value is the one that would be chosen; it comes with its ARI, the ARI of the best
        of all methods, and what is lost, ``regret``. Of equal values the first by name is chosen.

    References
    ----------
    Kendall (1945), "The treatment of ties in ranking problems".
    """
    # By name, so that equal values are not settled by the ARI, by which the board is sorted.
    values = values.sort_values(list(ROW)).reset_index(drop=True)
    is_allowed = _within_limits(values, rule, n_clusters)
    allowed = values[is_allowed].copy()
    signs = {key: index.sign for key, index in INDICES.items()}
    kinds = [kind.indices for kind in rule.kinds]
    better = allowed[list(signs)].astype(float) * pd.Series(signs)
    better[RULE] = rule_scores(better, kinds)
    lines = []
    for index in (*INDICES, RULE):
        usable = better[index].notna() & allowed["ari"].notna()
        rows, scores = allowed[usable], better.loc[usable, index]
        line = {
            "index": index,
            **dict.fromkeys(("tau", "tau_low", "tau_high"), np.nan),
            "n_rows": len(rows),
            "n_undefined": int((~usable).sum()),
            "n_partial": int((~is_allowed).sum()),
        }
        if len(rows) > 1:
            line |= _tau(scores.to_numpy(), rows["ari"].to_numpy(), confidence, resamples)
        if len(rows):
            picked = rows.loc[scores.idxmax()]
            best = values["ari"].max()
            line |= {key: picked[key] for key in (*ROW, "ari")}
            line |= {"best_ari": best, "regret": best - picked["ari"]}
        lines.append(line)
    return pd.DataFrame(lines, columns=list(RANKING_COLUMNS))


def _within_limits(values: pd.DataFrame, rule: Selection, n_clusters: int) -> pd.Series:
    is_allowed = values["coverage"] >= 1 - rule.limits.noise
    if rule.limits.k == "given":
        is_allowed &= (values["k_low"] == n_clusters) & (values["k_high"] == n_clusters)
    return is_allowed


def _tau(one: np.ndarray, other: np.ndarray, confidence: float, resamples: int) -> dict[str, float]:
    """Return Kendall's tau-b of two columns and its percentile interval over the rows.

    A resample is the number of times that each row is drawn. Two copies of a row are a tie in both
    columns and count for nothing, so that tau-b is a ratio of quadratic forms in these numbers.
    """
    signs = [np.sign(values[:, None] - values) for values in (one, other)]
    n = len(one)
    drawn_rows = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples)
    times = np.vstack([np.ones(n), drawn_rows])
    agree, untied, untied_other = (
        np.einsum("rn,rn->r", times @ pairs, times)
        for pairs in (signs[0] * signs[1], np.abs(signs[0]), np.abs(signs[1]))
    )
    untied_pairs = np.sqrt(untied * untied_other)
    with np.errstate(invalid="ignore"):
        taus = np.where(untied_pairs > 0, agree / untied_pairs, np.nan)
    if np.isnan(taus[0]):
        return {}
    ends = np.nanquantile(taus[1:], ((1 - confidence) / 2, (1 + confidence) / 2))
    return {"tau": float(taus[0]), "tau_low": float(ends[0]), "tau_high": float(ends[1])}


# --- numbers of clusters -----------------------------------------------------------------------


def numbers_found(numbers: pd.DataFrame, n_classes: int) -> pd.DataFrame:
    """Gather the numbers of clusters that rules found, over the seeds.

    Parameters
    ----------
    numbers : DataFrame
        Columns of `tables.NUMBERS_TABLE`, of one leaderboard.
    n_classes : int

    Returns
    -------
    DataFrame
        Columns `NUMBER_COLUMNS`, a line per representation and rule: the least and the largest k,
        and ``error``, the mean over the seeds of |ln(k / classes)|, 0 for the number of classes.
    """
    logs = np.log(numbers["k"].clip(lower=1).astype(float) / n_classes).abs()
    found = (
        numbers.assign(error=logs)
        .groupby(["representation", "rule"], sort=False, observed=True)
        .agg(
            n_seeds=("seed", "nunique"),
            k_low=("k", "min"),
            k_high=("k", "max"),
            error=("error", "mean"),
        )
    )
    return found.reset_index()[list(NUMBER_COLUMNS)]
