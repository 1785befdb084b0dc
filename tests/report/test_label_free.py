import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import adjusted_rand_score

from report import label_free
from utils.config.selection import INDICES, RULE, load_selection

K = 10
ROW = {"space": "raw", "clusterer": "kmeans", "n": 10}


def values_of(*rows):
    """Rows of (name, ARI, index); the index is every index, better if larger."""
    signed = {key: index.sign for key, index in INDICES.items()}
    lines = [
        {"representation": name, **ROW, "ari": ari, "coverage": 1.0, "k_low": K, "k_high": K}
        | {key: sign * value for key, sign in signed.items()}
        for name, ari, value in rows
    ]
    return pd.DataFrame(lines).sort_values("ari", ascending=False, ignore_index=True)


def ranked(values, **changes):
    found = label_free.label_free_ranking(values, load_selection(), K, resamples=200, **changes)
    return found.set_index("index")


# --- the choice ----------------------------------------------------------------------------------


def test_an_index_that_agrees_with_the_labels_and_one_that_does_not():
    values = values_of(("a", 0.9, 3.0), ("b", 0.5, 2.0), ("c", 0.1, 1.0))
    values["calinski_harabasz"] *= -1
    table = ranked(values)
    assert list(table.index) == [*INDICES, RULE]
    for index in ("silhouette", "davies_bouldin", "agreement_halves", RULE):
        assert table.loc[index, ["tau", "representation", "regret"]].tolist() == [1, "a", 0]
    other = table.loc["calinski_harabasz"]
    assert (other["tau"], other["representation"], other["ari"]) == (-1, "c", 0.1)
    assert (other["best_ari"], other["regret"]) == (0.9, pytest.approx(0.8))


def test_rows_beyond_the_limits_or_without_an_index_are_left_out_and_counted():
    values = values_of(
        ("a", 0.9, 9.0), ("b", 0.5, 2.0), ("c", 0.4, 1.0), ("d", 0.1, 5.0), ("e", 0.8, 9.0)
    )
    values = values.set_index("representation", drop=False)
    values.loc["a", "coverage"] = 0.5
    values.loc["d", "silhouette"] = np.nan
    values.loc["e", "k_high"] = 11
    table = ranked(values.reset_index(drop=True))
    silhouette = table.loc["silhouette"]
    assert silhouette[["n_rows", "n_undefined", "n_partial"]].tolist() == [2, 1, 2]
    assert (silhouette["representation"], silhouette["tau"]) == ("b", 1)
    assert silhouette["regret"] == pytest.approx(0.4)  # of the best of all rows
    assert table.loc["davies_bouldin", ["n_rows", "n_undefined"]].tolist() == [3, 0]
    nothing = ranked(values.assign(coverage=0.5).reset_index(drop=True))
    assert (nothing["n_rows"] == 0).all()
    assert nothing[["tau", "regret"]].isna().all(axis=None)


def test_equal_values_are_not_settled_by_the_labels():
    table = ranked(values_of(("z", 0.9, 1.0), ("b", 0.5, 1.0), ("c", 0.6, 1.0)))
    assert set(table["representation"]) == {"b"}
    assert table[["tau", "tau_low"]].isna().all(axis=None)


def test_the_rule_needs_every_kind_of_evidence_and_no_class():
    values = values_of(("a", 0.9, 3.0), ("b", 0.5, 2.0), ("c", 0.1, 1.0))
    values.loc[0, "silhouette_umap"] = np.nan
    table = ranked(values)
    assert (table.loc[RULE, "representation"], table.loc[RULE, "n_undefined"]) == ("b", 1)
    chosen = table["representation"].tolist()
    shuffled = ranked(values.assign(ari=values["ari"].to_numpy()[::-1]))
    assert shuffled["representation"].tolist() == chosen


scored = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12)


@given(scored)
@settings(deadline=None, max_examples=40)
def test_tau_is_that_of_scipy_within_its_interval_and_regret_is_no_gain(rows):
    values = values_of(*[(f"r{i:02}", a / 8, float(q)) for i, (a, q) in enumerate(rows)])
    line = ranked(values).loc["silhouette"]
    assert line["regret"] >= 0
    assert line["n_rows"] == len(rows)
    expected = np.nan
    if len(rows) > 1:
        expected = kendalltau(values["silhouette"], values["ari"]).statistic
    assert line["tau"] == pytest.approx(expected, nan_ok=True)
    if not math.isnan(expected):
        assert -1 <= line["tau_low"] <= line["tau_high"] <= 1


def test_the_interval_of_tau_is_that_of_resampled_methods():
    random = np.random.default_rng(0)
    one, other = random.normal(size=15), random.normal(size=15)
    found = label_free._tau(one, other, 0.9, 400)
    times = np.random.default_rng(0).multinomial(15, np.full(15, 1 / 15), size=400)
    rows = [np.repeat(np.arange(15), counts) for counts in times]
    taus = [kendalltau(one[r], other[r]).statistic for r in rows]
    assert found["tau_low"] == pytest.approx(np.nanquantile(taus, 0.05))
    assert found["tau_high"] == pytest.approx(np.nanquantile(taus, 0.95))


# --- the indices ---------------------------------------------------------------------------------


def test_indices_are_means_over_seeds_and_others_count_each_representation_once():
    labels = {"a": [0, 0, 1, 1, 2, 2], "b": [0, 0, 1, 1, 2, 2], "c": [0, 1, 0, 1, 0, 1]}
    board, indices, assignments = [], [], []
    for name, clusterer in (("a", "kmeans"), ("a", "gmm"), ("b", "kmeans"), ("c", "kmeans")):
        key = {"representation": name, "space": "raw", "clusterer": clusterer}
        board.append(key | {"n": 6, "ari": 0.5, "stability": 0.7, "silhouette": 0.1})
        for seed in (0, 1):
            own = key | {"study": "x", "seed": seed}
            value = np.nan if (name, seed) == ("c", 1) else 0.2 + seed
            indices.append(own | {"index": "silhouette_umap", "value": value})
            place = {"index": range(6), "cluster": labels[name], "n": 6}
            assignments.append(pd.DataFrame(own | place))
    board, indices = pd.DataFrame(board), pd.DataFrame(indices)
    found = label_free.index_values(board, indices, pd.concat(assignments))
    assert found["agreement_seeds"].tolist() == [0.7] * 4
    assert found["silhouette_umap"].tolist() == pytest.approx([0.7] * 3 + [np.nan], nan_ok=True)
    assert found["agreement_halves"].isna().all()
    far = adjusted_rand_score(labels["a"], labels["c"])
    assert found["agreement_others"].tolist() == pytest.approx([(1 + far) / 2] * 3 + [far])
    nothing = label_free.index_values(board, indices[:0], pd.concat(assignments))
    assert nothing["silhouette_umap"].isna().all() and len(nothing) == 4


# --- numbers of clusters -----------------------------------------------------------------------


def test_the_error_of_a_number_is_that_of_its_logarithm():
    lines = [("p", "leiden_1", 0, 20), ("p", "leiden_1", 1, 10), ("p", "levels", 0, 5)]
    frame = pd.DataFrame(lines, columns=["representation", "rule", "seed", "k"])
    found = label_free.numbers_found(frame, 10).set_index("rule")
    assert found.loc["leiden_1", ["n_seeds", "k_low", "k_high"]].tolist() == [2, 10, 20]
    assert found["error"].tolist() == pytest.approx([np.log(2) / 2, np.log(2)])
