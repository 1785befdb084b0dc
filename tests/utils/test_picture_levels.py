"""What a person is told of the groups of their pictures."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from utils.errors import UserError
from utils.estimator import FeatureClusterer
from utils.runs import picture_levels


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, elsewhere):
    elsewhere(runs=tmp_path)


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(200, 20, centers=4, cluster_std=0.5, random_state=0)[0]


def copies(n_different, n):
    return np.random.default_rng(0).normal(size=(n_different, 8))[np.arange(n) % n_different]


def said_of(features, *given, **options):
    return " ".join(picture_levels.remarks(FeatureClusterer(*given, **options).fit(features)))


def test_the_levels_are_summed_up():
    centres = np.repeat(np.random.default_rng(0).normal(0, 40, (3, 20)), 3, axis=0)
    centres += np.random.default_rng(1).normal(0, 3, centres.shape)
    points, _ = make_blobs([60] * 9, centers=centres, cluster_std=1.2, random_state=0)
    model = FeatureClusterer().fit(points)
    assert model.levels_.shape[1] > 1
    table = picture_levels.level_table(model)
    assert len(table) == len(picture_levels.level_names(model)) == model.levels_.shape[1]
    assert table["groups"].is_monotonic_increasing
    assert table["level"].str.contains("in front").sum() == 1
    assert (table["smallest"] <= table["median"]).all()
    agreement = picture_levels.agreement_table(model)
    assert len(agreement) and agreement.iloc[-1, 1] >= 0.85


def test_one_number_of_clusters_has_no_columns_of_levels(blobs):
    model = FeatureClusterer(4).fit(blobs)
    assert picture_levels.level_names(model) == []
    assert picture_levels.level_table(model)["groups"].tolist() == [4]
    assert picture_levels.agreement_table(model).empty


@pytest.mark.parametrize(
    ("features", "given", "sentence"),
    [
        (copies(1, 200), (), "All 200 pictures are equal"),
        (copies(1, 200), (2,), "All 200 pictures are equal"),
        (copies(3, 60), (), "Only 3 of 60 pictures differ.*each with its copies is a group"),
        (copies(3, 60), (10,), "10 clusters were asked for, but only 3 pictures differ"),
        (copies(5, 5), (), "^5 pictures are too few to look for groups: all are one group"),
        (np.random.default_rng(0).normal(size=(200, 10)), (), "one group of all is in front"),
    ],
)
def test_what_limits_the_groups_is_said(features, given, sentence):
    import re

    assert re.search(sentence, said_of(features, *given))


def test_the_end_of_a_range_is_said(blobs):
    two = make_blobs(200, 20, centers=2, cluster_std=0.5, random_state=0)[0]
    assert "2 is the smallest number that was tried" in said_of(two, clusterer="kmeans")
    assert "number that was tried" not in said_of(blobs, clusterer="kmeans")
    assert "the finest that the rule considers" in said_of(blobs)
    assert "the finest that the rule considers" not in said_of(blobs, level=1)


def test_a_clusterer_that_finds_nothing_says_what_to_do():
    points = np.random.default_rng(0).normal(size=(40, 10))
    with pytest.raises(UserError, match=r"hdbscan found no dense group among 40 pictures.*--clust"):
        picture_levels.fitted(FeatureClusterer(clusterer="hdbscan"), points)


def test_more_clusters_than_pictures_are_refused():
    with pytest.raises(UserError, match="5 clusters of 3 pictures: ask for 3 at most"):
        picture_levels.fitted(FeatureClusterer(5), np.eye(3))


def test_copies_do_not_make_all_others_outliers():
    features = np.random.default_rng(0).normal(size=(300, 8))
    features[:200] = features[0]
    assert len(picture_levels.outliers(FeatureClusterer().fit(features))) < 10


def test_outliers_are_listed_from_the_farthest(blobs):
    far = np.random.default_rng(0).normal(0, 5, (3, 20))
    model = FeatureClusterer().fit(np.vstack([blobs, far]))
    found = picture_levels.outliers(model)
    assert set(found[:3]) == {200, 201, 202}
    assert (np.diff(model.outlier_scores_[found]) <= 0).all()
