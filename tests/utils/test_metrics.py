from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import silhouette_score

from utils import metrics

EXTERNAL = {"ari", "nmi", "ami", "homogeneity", "completeness", "v_measure", "purity", "acc"}
INTERNAL = {"silhouette", "davies_bouldin", "calinski_harabasz"}


few_fixed_examples = settings(max_examples=25, deadline=None, derandomize=True)


def lists_of(values, **sizes):
    return st.lists(values, **sizes).map(np.array)


pairs = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        lists_of(st.integers(0, 4), min_size=n, max_size=n),
        lists_of(st.integers(-1, 4), min_size=n, max_size=n),
    )
)


def external(assignment, labels):
    scores = metrics.score(assignment, labels, np.zeros((len(labels), 1)))
    return {name: scores[name] for name in EXTERNAL}


# --- cases worked out by hand --------------------------------------------------------------------

# Cluster 0 holds two points of class 0; cluster 1 holds one of class 0 and three of class 1.
LABELS = np.array([0, 0, 0, 1, 1, 1])
ASSIGNMENT = np.array([0, 0, 1, 1, 1, 1])


def test_contingency():
    table = metrics.contingency(LABELS, ASSIGNMENT)
    np.testing.assert_array_equal(table.counts, [[2, 0], [1, 3]])
    np.testing.assert_array_equal(table.clusters, [0, 1])
    np.testing.assert_array_equal(table.classes, [0, 1])
    np.testing.assert_array_equal(table.majority, [0, 1])


def test_contingency_lists_only_what_has_points():
    table = metrics.contingency(np.array([7, 7, 2], dtype=np.uint8), np.array([5, -1, 5]))
    np.testing.assert_array_equal(table.clusters, [-1, 5])
    np.testing.assert_array_equal(table.classes, [2, 7])
    np.testing.assert_array_equal(table.counts, [[0, 1], [1, 1]])


def test_purity_and_acc():
    # The majorities are 2 of 2 and 3 of 4, and they are different classes.
    scores = external(ASSIGNMENT, LABELS)
    assert scores["purity"] == pytest.approx(5 / 6)
    assert scores["acc"] == pytest.approx(5 / 6)


def test_acc_pairs_one_to_one_where_purity_does_not():
    # Counts [[3, 2], [4, 1]]: both majorities are class 0, so purity is 7/10;
    # one to one, 3 + 1 = 4 is less than 2 + 4 = 6.
    labels = np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 1])
    assignment = np.array([0] * 5 + [1] * 5)
    scores = external(assignment, labels)
    assert scores["purity"] == pytest.approx(0.7)
    assert scores["acc"] == pytest.approx(0.6)
    assert metrics.hungarian_match(labels, assignment) == {0: 1, 1: 0}


def test_acc_with_more_clusters_than_classes():
    # Cluster 1 has no class left: its point counts as wrong, though it is pure.
    labels, assignment = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 2])
    scores = external(assignment, labels)
    assert scores["purity"] == 1
    assert scores["acc"] == pytest.approx(4 / 5)
    assert metrics.hungarian_match(labels, assignment) == {0: 0, 2: 1}


def test_ari():
    # Pairs of points together: in the cells 1 + 3 = 4, in clusters 1 + 6 = 7, in classes 3 + 3 = 6,
    # of 15 in all. Expected 7 * 6 / 15 = 2.8, at most (7 + 6) / 2 = 6.5.
    assert external(ASSIGNMENT, LABELS)["ari"] == pytest.approx((4 - 2.8) / (6.5 - 2.8))


def test_information_metrics():
    # Cells 2 of 6 (cluster of 2, class of 3), 1 (4, 3) and 3 (4, 3).
    mutual = 2 / 6 * log(6 * 2 / (2 * 3)) + 1 / 6 * log(6 * 1 / (4 * 3)) + 3 / 6 * log(6 * 3 / 12)
    of_classes = log(2)
    of_clusters = -(1 / 3 * log(1 / 3) + 2 / 3 * log(2 / 3))
    mean = (of_classes + of_clusters) / 2
    # By chance the cluster of 2 holds 0, 1 or 2 of a class of 3 with 3, 9 and 3 chances in 15, and
    # the cluster of 4 the rest. The terms with 1 of 2 and 2 of 4 are log(1) = 0; two classes.
    chance = 2 * (
        3 / 15 * 2 / 6 * log(6 * 2 / (2 * 3))
        + 3 / 15 * 3 / 6 * log(6 * 3 / (4 * 3))
        + 3 / 15 * 1 / 6 * log(6 * 1 / (4 * 3))
    )
    scores = external(ASSIGNMENT, LABELS)
    assert scores["homogeneity"] == pytest.approx(mutual / of_classes)
    assert scores["completeness"] == pytest.approx(mutual / of_clusters)
    assert scores["nmi"] == pytest.approx(mutual / mean)
    assert scores["v_measure"] == pytest.approx(mutual / mean)
    assert scores["ami"] == pytest.approx((mutual - chance) / (mean - chance))


def test_internal_indices():
    features, assignment = np.array([[0.0], [1], [5], [7]]), np.array([0, 0, 1, 1])
    scores = metrics.score(assignment, None, features)
    assert set(scores) == INTERNAL
    # Mean distances to the own and the other cluster: 1 and 6, 1 and 5, 2 and 4.5, 2 and 6.5.
    expected = (5 / 6 + 4 / 5 + 2.5 / 4.5 + 4.5 / 6.5) / 4
    assert scores["silhouette"] == pytest.approx(expected, abs=1e-6)
    # Centres 0.5 and 6, mean distances to them 0.5 and 1.
    assert scores["davies_bouldin"] == pytest.approx((0.5 + 1) / 5.5)
    # Between: 2 * 2.75² * 2 = 30.25 with 1 degree of freedom; within: 0.5 + 2 = 2.5 with 2.
    assert scores["calinski_harabasz"] == pytest.approx(30.25 / (2.5 / 2))


def test_noise_is_a_cluster_to_labels_and_absent_from_internal_indices():
    features = np.array([[0.0], [1], [5], [7], [100], [-50]])
    assignment = np.array([0, 0, 1, 1, -1, -1])
    labels = np.array([0, 0, 1, 1, 0, 1])
    scores = metrics.score(assignment, labels, features)
    assert scores["purity"] == pytest.approx(5 / 6)
    assert scores["acc"] == pytest.approx(4 / 6)
    covered = metrics.score(assignment[:4], None, features[:4])
    assert {name: scores[name] for name in INTERNAL} == covered
    assert metrics.noise_fraction(assignment) == pytest.approx(2 / 6)
    assert metrics.k_found(assignment) == 2


def test_noise_that_holds_everything():
    assignment = np.full(5, -1, dtype=np.int32)
    assert set(metrics.score(assignment, np.arange(5) % 2, np.eye(5))) == EXTERNAL
    assert metrics.k_found(assignment) == 0
    assert metrics.noise_fraction(assignment) == 1


@pytest.mark.parametrize("assignment", [[0, 0, 0], [0, 1, 2], [0, -1, 1]])
def test_internal_indices_are_absent_where_they_are_undefined(assignment):
    features = np.array([[0.0], [1], [5]])
    assert metrics.score(np.array(assignment), None, features) == {}


@pytest.mark.parametrize("n", [0, 2, 4])
def test_lengths_that_differ_are_refused(n):
    with pytest.raises(ValueError, match="a cluster for every point"):
        metrics.score(np.zeros(n, dtype=int), None, np.zeros((n and 3, 1)))
    with pytest.raises(ValueError, match="a cluster for every point"):
        metrics.contingency(np.zeros(n and 3, dtype=int), np.zeros(n, dtype=int))


def test_majority_order():
    # Cluster: points of class 0, 1, 2.   0: 1 4 0   1: 5 0 0   2: 0 6 1   -1: 3 0 0   3: 0 0 2
    counts = {0: (1, 4, 0), 1: (5, 0, 0), 2: (0, 6, 1), -1: (3, 0, 0), 3: (0, 0, 2)}
    assignment = np.concatenate([np.full(sum(row), c) for c, row in counts.items()])
    labels = np.concatenate([np.repeat([0, 1, 2], row) for row in counts.values()])
    table = metrics.majority_order(labels, assignment)
    np.testing.assert_array_equal(table.clusters, [1, 2, 0, 3, -1])
    np.testing.assert_array_equal(table.majority, [0, 1, 1, 2, 0])
    np.testing.assert_array_equal(table.counts, [counts[c] for c in table.clusters])
    # One to one: 1 with class 0, 2 with class 1, 3 with class 2; the rest keep their order.
    matched = metrics.hungarian_order(labels, assignment)
    np.testing.assert_array_equal(matched.clusters, [1, 2, 3, -1, 0])
    np.testing.assert_array_equal(matched.counts, [counts[c] for c in matched.clusters])


# --- the exact silhouette ------------------------------------------------------------------------


def silhouette_case(n=600, d=8, k=7, seed=0):
    rng = np.random.default_rng(seed)
    assignment = rng.integers(0, k, n)
    centres = rng.standard_normal((k, d))
    return assignment, centres[assignment] + 0.5 * rng.standard_normal((n, d))


@pytest.mark.parametrize("block", [1, 7, 256])
def test_silhouette_equals_scikit_learns(block):
    assignment, features = silhouette_case(n=300)
    expected = silhouette_score(features, assignment)
    assert metrics.silhouette(assignment, features, block) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("offset", [0, 100, 10_000])
@pytest.mark.parametrize("spread", [1, 1e-2, 1e-3])
def test_silhouette_keeps_its_digits_far_from_the_origin_and_for_tight_clusters(offset, spread):
    assignment, features = silhouette_case()
    centres = np.random.default_rng(1).standard_normal((7, 8))[assignment]
    features = (offset + centres + spread * (features - centres)).astype(np.float32)
    expected = silhouette_score(features, assignment)
    assert metrics.silhouette(assignment, features) == pytest.approx(expected, abs=1e-5)


@pytest.mark.filterwarnings("error")
def test_silhouette_with_a_cluster_of_one_and_gaps_in_the_numbers():
    assignment, features = silhouette_case(n=50)
    assignment = assignment * 10
    assignment[3] = 999
    expected = silhouette_score(features, assignment)
    assert metrics.silhouette(assignment, features) == pytest.approx(expected, abs=1e-6)


def test_silhouette_of_equal_points_is_zero():
    assert metrics.silhouette(np.arange(8) % 2, np.ones((8, 3))) == 0


# --- properties ----------------------------------------------------------------------------------


@few_fixed_examples
@given(pairs, st.permutations(range(6)))
def test_names_of_clusters_do_not_matter(pair, names):
    labels, assignment = pair
    renamed = np.array(names)[assignment + 1]
    assert external(renamed, labels) == pytest.approx(external(assignment, labels), abs=1e-9)


@few_fixed_examples
@given(pairs)
def test_bounds(pair):
    labels, assignment = pair
    scores = external(assignment, labels)
    slack = 1e-9
    for name in EXTERNAL - {"ari", "ami"}:
        assert -slack <= scores[name] <= 1 + slack, name
    assert -0.5 - slack <= scores["ari"] <= 1 + slack
    assert scores["ami"] <= 1 + slack
    assert scores["acc"] <= scores["purity"] + slack
    largest_class = np.bincount(labels).max() / len(labels)
    assert scores["purity"] >= largest_class - slack


@few_fixed_examples
@given(lists_of(st.integers(0, 4), min_size=2, max_size=30))
def test_perfect_clusters_score_one(labels):
    scores = external((labels * 3 + 1) % 7, labels)
    assert scores == pytest.approx(dict.fromkeys(EXTERNAL, 1.0))


@few_fixed_examples
@given(pairs)
def test_exchanging_classes_and_clusters(pair):
    labels, assignment = pair
    scores, exchanged = external(assignment, labels), external(labels, assignment)
    for name in ("ari", "nmi", "ami", "v_measure", "acc"):
        assert scores[name] == pytest.approx(exchanged[name], abs=1e-9)
    assert scores["homogeneity"] == pytest.approx(exchanged["completeness"], abs=1e-9)


@few_fixed_examples
@given(pairs, st.data())
def test_splitting_a_cluster_never_lowers_purity_and_homogeneity(pair, data):
    labels, assignment = pair
    moved = data.draw(hnp.arrays(bool, len(labels)))
    before, after = external(assignment, labels), external(assignment + 10 * moved, labels)
    assert after["purity"] >= before["purity"] - 1e-9
    assert after["homogeneity"] >= before["homogeneity"] - 1e-9


@few_fixed_examples
@given(pairs)
def test_the_pairs_of_the_matching_give_acc_and_the_tables_hold_all_points(pair):
    labels, assignment = pair
    match = metrics.hungarian_match(labels, assignment)
    assert len(set(match.values())) == len(match) <= 5
    right = sum(match.get(c) == label for c, label in zip(assignment, labels, strict=True))
    assert external(assignment, labels)["acc"] == pytest.approx(right / len(labels))
    for order in (metrics.contingency, metrics.majority_order, metrics.hungarian_order):
        table = order(labels, assignment)
        assert table.counts.sum() == len(labels)
        for row, cluster in zip(table.counts, table.clusters, strict=True):
            np.testing.assert_array_equal(
                row, [np.sum((assignment == cluster) & (labels == c)) for c in table.classes]
            )


@few_fixed_examples
@given(st.integers(0, 10_000), st.floats(-100, 100), st.floats(0.1, 10))
def test_internal_indices_ignore_names_place_and_scale(seed, shift, scale):
    rng = np.random.default_rng(seed)
    assignment = np.concatenate([[0, 1, 2], rng.integers(0, 3, 17)])
    features = rng.standard_normal((20, 4))
    scores = metrics.score(assignment, None, features)
    moved = metrics.score(2 - assignment, None, features * scale + shift)
    assert moved == pytest.approx(scores, rel=1e-4, abs=1e-5)
    assert -1 <= scores["silhouette"] <= 1
    assert scores["davies_bouldin"] >= 0
    assert scores["calinski_harabasz"] >= 0


# --- counts and neighbours -----------------------------------------------------------------------


def test_the_confusion_table_lists_pairs_that_have_points():
    table = metrics.confusion_table(
        np.array([0, 0, 1, -1]), np.array([0, 0, 0, 1]), ("a", "b", "c")
    )
    assert table.to_dict("records") == [
        {"class": "a", "cluster": 0, "images": 2},
        {"class": "a", "cluster": 1, "images": 1},
        {"class": "b", "cluster": -1, "images": 1},
    ]


@few_fixed_examples
@given(pairs)
def test_the_confusion_table_counts_every_point_once(pair):
    labels, assignment = pair
    table = metrics.confusion_table(assignment, labels, "abcde")
    assert table["images"].sum() == len(labels)
    assert (table["images"] > 0).all()
    assert not table.duplicated(["class", "cluster"]).any()


def test_neighbours_agree_where_groups_are_apart_and_do_not_where_they_alternate():
    line = np.array([[0.0], [1.1], [2.3], [100.0], [101.1], [102.3]])
    apart, alternating = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 0, 1])
    assert metrics.neighbour_agreement(line, apart, k=2) == 1
    # Nearest first: 1.1, 0, 1.1 and the same again, of another group each; the second one is not.
    assert metrics.neighbour_agreement(line, alternating, k=1) == 0
    with pytest.raises(ValueError, match="n_samples"):
        metrics.neighbour_agreement(line, apart, k=6)
    with pytest.raises(ValueError, match="need a cluster"):
        metrics.neighbour_agreement(line, apart[:5], k=2)


def test_a_cluster_without_a_class_has_none():
    labels, assignment = np.array([0, 0, 1, 1, 1]), np.array([7, 7, 3, 3, 5])
    assert metrics.matched_classes(labels, assignment).tolist() == [0, 0, 1, 1, -1]
