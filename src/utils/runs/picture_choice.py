"""How a method is chosen for a person's own pictures: the rule of ``config/selection.yaml``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.config.methods import NAMES, Space
from utils.config.selection import INDICES, Selection, load_selection
from utils.estimator import AUTO, LEAST_LAID_OUT, LEVELS, FeatureClusterer
from utils.metrics import k_found
from utils.metrics.agreement import stability
from utils.metrics.internal import silhouette
from utils.metrics.label_free import agreement_of_halves, agreement_with_others, rule_scores
from utils.pipeline import Steps

# Seeds from that of the run on.
SEEDS = 3
UMAP = Space("umap", 10)


@dataclass(frozen=True)
class Choice:
    """A method that was chosen without labels.

    Attributes
    ----------
    clusterer : str
    clusters : int or "auto"
        The number that the clusterer is given; "auto" for levels.
    why : str
        A sentence.
    table : DataFrame
        A row per candidate: its indices, its score and whether it was chosen; empty if the
        candidates were not compared.
    """

    clusterer: str
    clusters: int | str
    why: str
    table: pd.DataFrame


def choose(features: np.ndarray, seed: int) -> Choice:
    """Choose among the candidates of the rule. No label is involved.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        Of the pictures.
    seed : int
        Not negative.

    Returns
    -------
    Choice
        Levels if there are fewer than 50 different pictures or the level in front is one group:
        then there is no number of groups at which methods could be compared.
    """
    rule = load_selection()
    front = _fitted(LEVELS, AUTO, features, seed)
    k = front.n_clusters_
    if front.n_different_ < LEAST_LAID_OUT:
        few = f"{front.n_different_} different pictures are too few to compare methods"
        return Choice(LEVELS, AUTO, f"Levels: {few}.", pd.DataFrame())
    if k < 2:
        return Choice(LEVELS, AUTO, "Levels: no groups come again.", pd.DataFrame())
    values = _values(rule, features, k, seed, front.scores_.astype(np.float32))
    is_allowed = values["k_low"].eq(k) & values["k_high"].eq(k)
    scores = rule_scores(values[list(INDICES)][is_allowed], [kind.indices for kind in rule.kinds])
    if scores.notna().any():
        chosen = scores.idxmax()
        why = f"{_name(chosen)}, with the highest mean rank of {len(scores)} methods."
    else:
        chosen, why = LEVELS, f"Levels: no method gives {k} groups with every seed."
    table = values.assign(score=scores, chosen=["yes" if c == chosen else "" for c in values.index])
    return Choice(chosen, AUTO if chosen == LEVELS else k, why, _for_people(table, rule))


def _fitted(
    clusterer: str, clusters: int | str, features: np.ndarray, seed: int
) -> FeatureClusterer:
    model = FeatureClusterer(clusters, clusterer=clusterer, random_state=seed)
    return model.fit_stored(features)


def _values(
    rule: Selection, features: np.ndarray, k: int, seed: int, components: np.ndarray
) -> pd.DataFrame:
    """Measure each candidate: a row for each, a column for each index, and the numbers found."""
    layout = Steps(seed=seed).project(UMAP, components)
    found: dict[str, dict[str, float]] = {}
    groups = {}
    for name in rule.candidates:
        asked = AUTO if name == LEVELS else k
        by_seed = {
            own: _fitted(name, asked, features, own).labels_ for own in range(seed, seed + SEEDS)
        }
        groups[name] = by_seed[seed]
        numbers = [k_found(labels) for labels in by_seed.values()]
        found[name] = {
            "k_low": min(numbers),
            "k_high": max(numbers),
            "agreement_seeds": stability(by_seed),
            "agreement_halves": agreement_of_halves(
                components,
                lambda rows, name=name, asked=asked: (
                    _fitted(name, asked, features[rows], seed).labels_
                ),
                seed,
            ),
            "silhouette_umap": silhouette(groups[name], layout),
        }
    others = agreement_with_others(groups, {name: name for name in groups})
    values = pd.DataFrame.from_dict(found, orient="index").assign(agreement_others=others)
    return values.reindex(columns=["k_low", "k_high", *INDICES])


def _for_people(table: pd.DataFrame, rule: Selection) -> pd.DataFrame:
    used = [index for kind in rule.kinds for index in kind.indices]
    words = pd.DataFrame({"method": [_name(clusterer) for clusterer in table.index]})
    lowest, highest = table["k_low"].astype(int), table["k_high"].astype(int)
    words["groups"] = [
        str(low) if low == high else f"{low}–{high}"
        for low, high in zip(lowest, highest, strict=True)
    ]
    for index in used:
        words[INDICES[index].short] = table[index].round(3).to_numpy()
    words["score"] = table["score"].round(3).to_numpy()
    words["chosen"] = table["chosen"].to_numpy()
    return words


def _name(clusterer: str) -> str:
    return "Levels" if clusterer == LEVELS else f"{NAMES[clusterer]} on UMAP"
