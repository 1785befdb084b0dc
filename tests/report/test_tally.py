"""Counts of a whole run, from made-up tables."""

from collections import namedtuple

import pandas as pd
import pytest

from report import tally

Row = namedtuple("Row", "representation clusterer ari")


def verdicts(*rows):
    return pd.DataFrame(rows, columns=["study", "score", "n_networks", "p_holm", "verdict"])


def test_verdicts_on_scores_are_counted():
    nan = float("nan")
    table = verdicts(
        ("a", "purity", 3, 0.9, "consistent"),
        ("a", "purity", 3, nan, "too low"),  # of the authors' saved run
        ("a", "ARI", 3, 0.01, "too high"),
        ("a", "NMI", 3, 0.2, "too low"),
        ("b", "ARI", 1, nan, "uninformative"),
        ("b", "purity", 3, nan, "not decidable"),
        ("b", "purity", 3, nan, "not decidable"),
        ("b", "NMI", 5, nan, "too high"),  # by the envelope of its fillings
        ("c", "ARI", 0, nan, "not run"),
        ("c", "NMI", 0, nan, "failed"),
        ("d", "ARI", 2, nan, "not tested (reduced run)"),
        ("d", "NMI", 2, nan, "not tested (substitute data)"),
    )
    found = tally.tally_scores(table, 0.95)
    papers = {
        **{"consistent": 1, "too high": 2, "too low": 1, "uninformative": 1, "not decidable": 1},
        **{"not run": 1, "failed": 1, "not tested": 2},
    }
    assert found == tally.ScoreTally(
        scores=10,
        papers=papers,
        saved_runs={"too low": 1, "not decidable": 1},
        one_run=1,
        rejected=1,
        beyond_envelope=1,
    )
    assert list(found.papers) == list(papers)
    assert (found.judged, found.outside) == (5, 3)


def test_an_empty_table_has_nothing():
    found = tally.tally_scores(verdicts(), 0.95)
    assert found.scores == found.judged == found.rejected == 0


def test_identities_are_counted_apart():
    table = pd.DataFrame({"outcome": ["as reported", "differs", "as reported"]})
    assert tally.tally_identities(table) == {"as reported": 2, "differs": 1}


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
