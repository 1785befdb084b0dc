import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from utils import places
from utils.config import selection
from utils.errors import UserError
from utils.metrics import label_free


def blobs(n=120, spread=0.2, centres=4, seed=0):
    points, groups = make_blobs(n, centers=centres, cluster_std=spread, random_state=seed)
    return points.astype(np.float32), groups


def kmeans_of(points, k=4, seed=0):
    return lambda rows: KMeans(k, n_init=3, random_state=seed).fit_predict(points[rows])


def test_many_images_are_drawn_always_the_same():
    assert label_free.drawn(7).tolist() == list(range(7))
    rows = label_free.drawn(12_000)
    assert len(np.unique(rows)) == label_free.MOST_IMAGES and rows.max() > 11_000
    assert np.array_equal(rows, label_free.drawn(12_000))


# --- halves --------------------------------------------------------------------------------------


def test_halves_of_groups_that_stand_apart_agree_fully():
    points, _ = blobs()
    assert label_free.agreement_of_halves(points, kmeans_of(points), 0) == 1


def test_halves_agree_as_expected_by_chance_if_clusters_are_random():
    points, _ = blobs(600)
    random = np.random.default_rng(3)
    found = label_free.agreement_of_halves(points, lambda rows: random.integers(0, 4, len(rows)), 0)
    assert abs(found) < 0.05


@given(st.integers(0, 20), st.floats(0.2, 8))
@settings(deadline=None, max_examples=15)
def test_halves_do_not_depend_on_the_names_of_clusters_and_stay_in_bounds(seed, spread):
    points, _ = blobs(80, spread)
    cluster = kmeans_of(points)
    plain = label_free.agreement_of_halves(points, cluster, seed)
    renamed = label_free.agreement_of_halves(points, lambda rows: (cluster(rows) + 2) % 4, seed)
    assert -0.5 <= plain <= 1
    # the vote takes the lowest of equal clusters, which no weighted vote of distances meets
    assert renamed == pytest.approx(plain)


def test_halves_are_drawn_by_the_seed_and_cover_all_points():
    seen = []
    points, _ = blobs(41)

    def cluster(rows):
        seen.append(rows)
        return np.zeros(len(rows), int)

    assert label_free.agreement_of_halves(points, cluster, 1) == 1  # nothing to disagree about
    assert sorted(np.concatenate(seen)) == list(range(41))
    label_free.agreement_of_halves(points, cluster, 2)
    assert not np.array_equal(seen[0], seen[2])


# --- others --------------------------------------------------------------------------------------

partitions = st.lists(
    st.lists(st.integers(-1, 3), min_size=12, max_size=12), min_size=2, max_size=5
)


@given(partitions)
@settings(deadline=None)
def test_others_of_single_methods_is_the_mean_ari_with_the_rest(lists):
    clusterings = {i: np.array(one) for i, one in enumerate(lists)}
    found = label_free.agreement_with_others(clusterings, {i: i for i in clusterings})
    for i, one in clusterings.items():
        rest = [adjusted_rand_score(one, other) for j, other in clusterings.items() if j != i]
        assert found[i] == pytest.approx(np.mean(rest), abs=1e-12)


def test_a_group_has_one_vote_and_none_for_itself():
    a, b = np.repeat([0, 1], 6), np.tile([0, 1], 6)
    clusterings = {"p1": a, "p2": a, "p3": a, "q": a, "r": b}
    group = {name: name[0] for name in clusterings}
    found = label_free.agreement_with_others(clusterings, group)
    against = adjusted_rand_score(a, b)
    assert found["p1"] == pytest.approx((1 + against) / 2)
    assert found["r"] == pytest.approx(against)  # three of p count as one
    alone = label_free.agreement_with_others({"p1": a, "p2": a}, group)
    assert np.isnan(list(alone.values())).all()


# --- the rule --------------------------------------------------------------------------------

columns = st.integers(2, 8).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 5), min_size=n, max_size=n), min_size=3, max_size=3)
)


@given(columns)
@settings(deadline=None)
def test_rule_scores_are_bounded_and_look_at_the_order_only(values):
    frame = pd.DataFrame(dict(zip("abc", np.array(values, float), strict=True)))
    kinds = (("a", "b"), ("c",))
    scores = label_free.rule_scores(frame, kinds)
    if all(frame[name].nunique() > 1 for name in "abc"):
        assert scores.between(0, 1).all()
    stretched = label_free.rule_scores(frame**3 + 7, kinds)
    pd.testing.assert_series_equal(scores, stretched)
    shuffled = label_free.rule_scores(frame.iloc[::-1], kinds)
    pd.testing.assert_series_equal(scores, shuffled.sort_index())


def test_the_best_of_every_kind_has_1_and_the_worst_0():
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": [0.1, 0.2, 0.3]}, index=list("xyz"))
    scores = label_free.rule_scores(frame, (("a",), ("b",)))
    assert scores.tolist() == [0, 0.5, 1]


def test_a_missing_index_is_left_out_of_its_kind_and_a_missing_kind_makes_the_score_missing():
    frame = pd.DataFrame(
        {"a": [1.0, 2, 3], "b": [3.0, np.nan, 1], "c": [1.0, 2, np.nan]}, index=list("xyz")
    )
    scores = label_free.rule_scores(frame, (("a", "b"), ("c",)))
    assert scores["x"] == (0 + 1) / 2 / 2 + 0
    assert scores["y"] == (0.5 + 1) / 2
    assert np.isnan(scores["z"])


# --- the file ----------------------------------------------------------------------------------


def test_the_rule_names_every_index_once_and_says_why():
    rule = selection.load_selection()
    named = [index for kind in rule.kinds for index in kind.indices]
    assert {*named, *(one.index for one in rule.left_out)} == set(selection.INDICES)
    assert all(kind.why for kind in rule.kinds) and all(one.why for one in rule.left_out)


def test_a_rule_that_forgets_an_index_is_refused(tmp_path, monkeypatch):
    text = (places.config() / selection.FILE).read_text(encoding="utf-8")
    changed = text.replace("indices: [silhouette_umap]", "indices: [agreement_seeds]")
    (tmp_path / selection.FILE).write_text(changed, encoding="utf-8")
    monkeypatch.setattr(places, "config", lambda: tmp_path)
    with pytest.raises(UserError, match="must name each of"):
        selection.load_selection()
