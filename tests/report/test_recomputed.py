"""Scores computed again from counts, and scores that do not follow from them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import recomputed
from utils import metrics
from utils.store import tables

KEY = {"study": "made-up", "seed": 3, "representation": "pixels", "space": "raw"}
KEY |= {"clusterer": "kmeans"}
pairs = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 4)), min_size=2, max_size=30)


def tables_of(assignment, labels, **changes):
    """Return metrics and counts as a run records them."""
    assignment, labels = np.array(assignment), np.array(labels)
    key = {**KEY, "n": len(labels), **changes}
    counts = metrics.confusion_table(assignment, labels, "abcde").assign(**key)
    common = {**key, "profile": "paper", "dataset": "mnist", "k_found": 2, "noise_fraction": 0.0}
    scores = {**metrics.external(assignment, labels), "silhouette": 0.5}
    rows = [{**common, "metric": name, "value": value} for name, value in scores.items()]
    columns = list(tables.METRICS_TABLE.columns), list(tables.CONFUSION_TABLE.columns)
    return pd.DataFrame(rows)[columns[0]], counts[columns[1]]


@given(pairs)
def test_the_counts_give_the_scores_of_the_images(pairs):
    recorded, counts = tables_of(*zip(*pairs, strict=True))
    assert recomputed.disagreements(recorded, counts) == []
    again = recomputed.external_scores(counts.sample(frac=1, random_state=0)).iloc[0]
    scores = recorded.set_index("metric")["value"].drop("silhouette")
    assert again.to_dict() == pytest.approx(scores.to_dict(), abs=1e-12)


@pytest.fixture
def two():
    """Two clusterings, of which only the seed differs."""
    made = [
        tables_of([0, 0, 1, 1, 2, -1], labels, seed=seed)
        for seed, labels in enumerate(([0, 0, 1, 1, 1, 2], [2, 1, 1, 0, 0, 1]))
    ]
    return [pd.concat(parts, ignore_index=True) for parts in zip(*made, strict=True)]


@pytest.mark.parametrize(
    "name",
    ["ari", "nmi", "ami", "homogeneity", "completeness", "v_measure", "purity", "acc"],
)
def test_a_score_that_does_not_follow_from_the_counts_is_named(two, name):
    recorded, counts = two
    assert recomputed.disagreements(recorded, counts) == []
    wrong = (recorded["metric"] == name) & (recorded["seed"] == 1)
    changed = recorded.assign(value=recorded["value"] + 2e-6 * wrong)
    (complaint,) = recomputed.disagreements(changed, counts)
    assert f"{name} is" in complaint and "made-up" in complaint
    (complaint,) = recomputed.disagreements(recorded[~wrong], counts)
    assert f"{name} is nan" in complaint


def test_an_image_more_is_found(two):
    recorded, counts = two
    counts.loc[0, "images"] += 1
    assert len(recomputed.disagreements(recorded, counts)) >= 6


def test_scores_without_counts_and_counts_without_scores_are_named(two):
    recorded, counts = two
    (complaint,) = recomputed.disagreements(recorded, counts[counts["seed"] == 0])
    assert complaint.endswith("no counts")
    (complaint,) = recomputed.disagreements(recorded[recorded["seed"] == 0], counts)
    assert complaint.endswith("no scores")
    assert recomputed.disagreements(recorded.iloc[:0], counts.iloc[:0]) == []
    assert len(recomputed.disagreements(recorded, counts.iloc[:0])) == 2
