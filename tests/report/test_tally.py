"""Counts of a whole run, from made-up tables."""

from collections import namedtuple

import pandas as pd
import pytest

from report import tally
from utils import config

Row = namedtuple("Row", "representation clusterer ari")


def study(name, **tolerances):
    reported = [
        config.Reported.model_construct(figure=figure, tolerance=tolerance)
        for figure, tolerance in tolerances.items()
    ]
    return config.Study.model_construct(study=name, reported=reported)


def verdicts(*rows):
    columns = ("study", "figure", "reported", "reproduced_mean", "ci_low", "ci_high")
    return pd.DataFrame(rows, columns=[*columns, "n_seeds", "verdict"])


def test_verdicts_are_counted():
    nan = float("nan")
    table = verdicts(
        ("a", "inside", 0.5, 0.5, 0.4, 0.6, 3, "reproduced"),
        ("a", "near", 0.7, 0.5, 0.4, 0.6, 3, "reproduced"),
        ("a", "one seed", 0.52, 0.5, nan, nan, 1, "reproduced"),
        ("a", "weights", 12, 12, 12, 12, 3, "reproduced"),
        ("a", "biases", 5, 6, 6, 6, 3, "above"),
        ("b", "low", 0.9, 0.5, 0.4, 0.6, 3, "below"),
        ("b", "missing", 0.9, nan, nan, nan, 0, "not run"),
        ("b", "broken", 0.9, nan, nan, nan, 0, "failed"),
    )
    studies = [study("a", weights=0, biases=0, near=0.1), study("b", missing=0)]
    found = tally.tally_values(table, studies)
    assert found == tally.ValueTally(
        **{"reported": 8, "reproduced": 4, "above": 1, "below": 1, "without": 2},
        **{"by_tolerance": 2, "counts": 2, "exact_counts": 1, "one_seed": 1},
    )
    assert found.judged == 6


def test_an_empty_table_has_nothing():
    found = tally.tally_values(verdicts(), [])
    assert found.reported == found.judged == found.without == 0


@pytest.mark.parametrize(
    ("representation", "clusterer", "kind"),
    [
        ("pixels", "kmeans", tally.UNTRAINED),
        ("deskewed+deskewed_hog", "gmm", tally.UNTRAINED),
        ("deskewed+deskewed_hog", "gmm+self_label", tally.TRAINED),
        ("pixels", "dec", tally.TRAINED),
        ("ae_dense", "kmeans", tally.TRAINED),
        ("mnist-cae", "gmm", tally.TRAINED),
        ("efficientnet_lite0", "kmeans_k_chosen", tally.FROZEN_NETWORK),
        ("hog+efficientnet_lite2", "gmm", tally.FROZEN_NETWORK),
        ("efficientnet_lite0+contrastive", "gmm", tally.TRAINED),
    ],
)
def test_what_a_row_needs(representation, clusterer, kind):
    assert tally.kind_of(representation, clusterer) == kind


def test_the_best_row_of_each_kind_comes_in_order():
    rows = [
        Row("pixels", "kmeans", 0.3),
        Row("hog", "gmm", 0.5),
        Row("efficientnet_lite0", "gmm", 0.4),
        Row("vae", "gmm", float("nan")),
    ]
    found = tally.best_of_each_kind(rows)
    assert [(one.kind, one.row) for one in found] == [
        (tally.UNTRAINED, rows[1]),
        (tally.FROZEN_NETWORK, rows[2]),
    ]
    assert tally.best_of_each_kind([]) == []
