"""Exploring: what settings make of images, their agreement, and what is saved of a choice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_pictures import collection

from utils import explore, places
from utils.errors import UserError
from utils.explore.pictures import small_copies
from utils.figures import atlas


@pytest.fixture(scope="module")
def pictures():
    return collection()


@pytest.fixture
def setting(pictures):
    return replace(explore.start(pictures), space="pca10", k=3)


def test_without_a_run_it_begins_with_pixels_and_kmeans(pictures):
    first = explore.start(pictures)
    assert (first.representation, first.space, first.clusterer) == ("pixels", "pca50", "kmeans")
    assert explore.expected_seconds(pictures, first) < 1


def test_a_setting_finds_the_three_groups_and_scores_them(pictures, setting):
    found = explore.run(pictures, setting)
    assert found.scores["ari"] == found.scores["acc"] == 1
    assert found.scores["silhouette"] > 0.5
    assert found.points.shape == (len(pictures), 10)


def test_labels_change_scores_only(pictures, setting):
    mixed = replace(pictures, labels=pictures.labels[::-1].copy(), known={})
    without = replace(pictures, labels=None, known={})
    expected = explore.run(pictures, setting)
    for other in (mixed, without):
        found = explore.run(other, setting)
        assert np.array_equal(found.assignment, expected.assignment)
    assert set(found.scores) == set(explore.INTERNAL)


def test_images_without_a_label_are_clustered_and_not_scored(pictures, setting):
    labels = pictures.labels.copy()
    labels[::2] = -1
    found = explore.run(replace(pictures, labels=labels), setting)
    assert len(found.assignment) == len(pictures)
    assert found.scores["ari"] == 1


def test_two_settings_agree_as_far_as_their_clusters_do(pictures, setting):
    same = explore.compare(pictures, setting, replace(setting, space="raw"))
    assert same.ari == 1 and not same.moved.any()
    finer = explore.compare(pictures, setting, replace(setting, k=6))
    assert 0 < finer.ari < 1
    assert 0 < finer.moved.sum() < len(pictures)


def test_neighbours_reach_the_layout(pictures, setting):
    few, many = (
        explore.run(pictures, replace(setting, space="umap2", neighbours=n)) for n in (5, 30)
    )
    assert few.points.shape == many.points.shape == (len(pictures), 2)
    assert not np.array_equal(few.points, many.points)


def test_recorded_clusters_are_shown_as_they_are(pictures):
    n = len(pictures)
    xy = np.zeros((n, 2), np.float32)
    recorded = explore.Recorded(xy, np.arange(n, dtype=np.int32) % 4, "a run")
    having = replace(pictures, recorded=recorded)
    found = explore.run(having, explore.start(having))
    assert found.assignment is recorded.assignment
    assert explore.map_of(having, found, "recorded") is xy
    assert set(found.scores) == set(explore.EXTERNAL)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"representation": "magic"}, "allowed are pixels"),
        ({"k": 0}, "allowed are 1 to"),
        ({"k": 10_000}, "allowed are 1 to"),
        ({"neighbours": 1}, "allowed are 2 to"),
        ({"clusterer": "magic"}, "allowed are kmeans"),
        ({"space": "magic"}, "allowed are raw"),
        ({"representation": explore.RECORDED}, "choose a representation"),
    ],
)
def test_what_is_not_allowed_is_said(pictures, setting, change, words):
    with pytest.raises(UserError, match=words):
        explore.run(pictures, replace(setting, **change))


def test_what_may_take_long_is_known_before(pictures, setting):
    slow = replace(setting, representation="autoencoder")
    having = replace(
        pictures, representations=("autoencoder", "pixels"), known={}, training_seconds=60
    )
    assert explore.expected_seconds(having, slow) > 10
    having.known["autoencoder", setting.seed] = np.zeros((len(pictures), 2), np.float32)
    assert explore.expected_seconds(having, slow) < 1


@pytest.mark.parametrize("kind", explore.MAPS)
def test_a_map_is_a_plane(pictures, setting, kind):
    found = explore.run(pictures, setting)
    assert explore.map_of(pictures, found, kind).shape == (len(pictures), 2)
    with pytest.raises(UserError, match="no run"):
        explore.map_of(pictures, found, explore.RECORDED)


def test_external_scores_are_labelled_as_scoring_only(pictures, setting):
    table = explore.score_table([explore.run(pictures, setting)])
    assert [name for name in table if "scoring only" in name] == [
        "ari (scoring only)",
        "nmi (scoring only)",
        "acc (scoring only)",
    ]


def test_a_choice_is_saved_once_and_pictures_stay(pictures, setting, tmp_path):
    before = pictures.images.copy()
    found = explore.run(pictures, setting)
    path = explore.save_selection(pictures, found, [5, 3], "odd-ones", tmp_path)
    table = pd.read_csv(path, dtype={"class": str})
    assert table.columns.tolist() == ["selection", "index", "cluster", "setting", "class"]
    assert table["index"].tolist() == [3, 5]
    assert table["class"].tolist() == [pictures.class_of(3), pictures.class_of(5)]
    assert np.array_equal(pictures.images, before)
    with pytest.raises(UserError, match="choose another name"):
        explore.save_selection(pictures, found, [5, 3], "odd-ones", tmp_path)


@pytest.mark.parametrize(
    ("rows", "name", "words"), [([1], "../up", "plain name"), ([], "none", "nothing is chosen")]
)
def test_a_choice_needs_images_and_a_plain_name(pictures, setting, tmp_path, rows, name, words):
    with pytest.raises(UserError, match=words):
        explore.save_selection(pictures, explore.run(pictures, setting), rows, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_small_copies_come_back_from_their_sheets(pictures):
    order = np.argsort(pictures.labels, kind="stable")
    cells = np.argsort(order)
    found = small_copies(cells, atlas.sheets(pictures.images, order))
    assert found.shape == (*pictures.images.shape, 3)
    assert np.abs(found.mean(axis=3) - pictures.images).mean() < 12  # the sheets are lossy


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"assignments\.csv"):
        explore.open_folder(tmp_path)


def test_an_unknown_study_is_refused():
    with pytest.raises(UserError, match="allowed"):
        explore.open_study("magic")


@pytest.mark.slow
def test_a_run_of_own_images_opens_with_its_paths_and_labels(tmp_path):
    from utils import runs

    run = runs.open_pictures(
        None, "folders", "efficientnet_lite0", "auto", "auto", "example", 0, tmp_path
    )
    from utils.runs.picture_map import map_table

    run.record.atlas(map_table(run))
    run.write_outputs()
    pictures = explore.open_folder(tmp_path)
    assert list(pictures.names) == run.image_names and pictures.unit == "path"
    assert np.array_equal(pictures.recorded.assignment, run.model.labels_)
    found = explore.run(pictures, replace(explore.start(pictures), representation="components"))
    assert found.scores["ari"] > 0.5


def test_the_published_map_is_of_the_images_that_are_shown(monkeypatch):
    """Where MNIST is at hand: its classes prove the draw, and a wrong class rejects the map."""
    from utils.explore import pictures as module

    try:
        opened = explore.open_study("mnist-cae")
    except UserError as error:
        pytest.skip(str(error))
    if opened.recorded is None:
        pytest.skip(opened.notes[0])
    assert "published run" in opened.recorded.what and len(opened) == 2000
    read = pd.read_parquet

    def with_another_class(path, **options):
        table = read(path, **options)
        return table.assign(**{"class": table["class"].iloc[::-1].to_numpy()})

    monkeypatch.setattr(module.pd, "read_parquet", with_another_class)
    assert explore.open_study("mnist-cae").recorded is None


def test_nothing_is_written_into_the_real_runs(pictures, setting):
    path = explore.save_selection(pictures, explore.run(pictures, setting), [1], "one")
    assert path.is_relative_to(places.runs()) and not path.is_relative_to(places.ROOT)
