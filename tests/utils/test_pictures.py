"""A person's own pictures: features in chunks, what is shown, and what is written."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from utils import estimator
from utils.data import picture_files
from utils.errors import UserError
from utils.representations.pretrained import Backbone
from utils.runs import picture_features
from utils.runs import pictures as own_images

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch, elsewhere):
    elsewhere(runs=tmp_path)


@pytest.fixture
def mean_colours(monkeypatch):
    """A network whose features are the mean colour and the brightness of four quarters."""
    calls = []

    def features(_backbone, images, on_batch=None):
        calls.append(len(images))
        quarters = images.reshape(len(images), 2, 16, 2, 16, 3).mean(axis=(2, 4)).reshape(-1, 12)
        return quarters.astype(np.float32)

    network = Backbone("colours", "colours", None, 32, (0,), (1,), "bilinear", 0, "none")
    monkeypatch.setattr("utils.representations.pretrained.features", features)
    monkeypatch.setattr(
        "utils.representations.pretrained.load_backbone", lambda name, offline=False: network
    )
    return calls


@pytest.fixture
def folder(tmp_path):
    """30 noisy pictures of each of three colours, a copy of one, and a file that is none."""
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(30):
            grain = random.normal(0, 25, (40, 50, 1))  # grey, which a JPEG keeps
            pixels = np.clip(grain + colour, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number:02}.png")
    with Image.open(tmp_path / "pictures/red/00.png") as first:
        first.save(tmp_path / "pictures/red/copy.jpg", quality=95)
    (tmp_path / "pictures/red/bad.png").write_text("no picture")
    return tmp_path / "pictures"


def opened(folder, tmp_path, labels="folders", clusters="auto"):
    return own_images.open_folder(
        folder, labels, "colours", clusters, "gmm", "test", 0, tmp_path / "run"
    )


def test_groups_are_found_and_nothing_unreadable_stops_it(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path)
    assert len(run.images) == len(run.features) == len(run.labels) == 91
    assert run.skipped["path"].tolist() == ["red/bad.png"]
    assert run.class_names == ("blue", "green", "red")
    assert run.model.n_clusters_ == 3
    table = run.assignments()
    assert (table.groupby("label")["cluster"].nunique() == 1).all()
    assert run.positions.shape == (91, 2)


def test_what_cannot_be_listed_or_named_is_skipped(folder, tmp_path, mean_colours, monkeypatch):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("red/0*.png"))
    lines = "".join(f"{name},red\n" for name in [*names, "x" * 300 + ".png", "a\0.png"])
    (tmp_path / "labels.csv").write_text("path,label\n" + lines)
    run = opened(folder, tmp_path, labels=str(tmp_path / "labels.csv"))
    assert len(run.images) == len(names)
    assert [path[:6] for path in run.skipped["path"]] == ["xxxxxx", "a\\x00."]
    found = picture_files.find(folder)
    found.unlisted["locked"] = "the folder cannot be listed: Permission denied"
    monkeypatch.setattr(picture_files, "find", lambda *_: found)
    run = opened(folder, tmp_path, labels=None)
    assert run.skipped["path"].tolist() == ["locked", "red/bad.png"]
    assert "left out: locked: the folder cannot be listed: Permission denied" in run.record.notes


def test_labels_change_nothing_that_is_found(folder, tmp_path, mean_colours):
    with_labels, without = opened(folder, tmp_path), opened(folder, tmp_path, labels=None)
    assert without.labels is None and "label" not in without.assignments()
    np.testing.assert_array_equal(with_labels.model.labels_, without.model.labels_)


def test_a_second_run_computes_nothing_again(folder, tmp_path, mean_colours):
    first = opened(folder, tmp_path)
    n_calls = len(mean_colours)
    again = opened(folder, tmp_path)
    assert len(mean_colours) == n_calls
    np.testing.assert_array_equal(first.features, again.features)


def test_a_stopped_run_goes_on_after_its_last_chunk(folder, tmp_path, mean_colours, monkeypatch):
    monkeypatch.setattr(picture_features, "CHUNK", 20)
    whole = picture_features._compute_chunk
    done = []

    def stop_at_third(found, rows, network):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(rows)
        return whole(found, rows, network)

    monkeypatch.setattr(picture_features, "_compute_chunk", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        opened(folder, tmp_path)
    monkeypatch.setattr(picture_features, "_compute_chunk", whole)
    mean_colours.clear()
    resumed = opened(folder, tmp_path)
    assert len(mean_colours) == 3  # of five chunks
    monkeypatch.setattr(picture_features, "CHUNK", 1000)
    np.testing.assert_array_equal(resumed.features, opened(folder, tmp_path).features)


def test_a_changed_file_is_read_again(folder, tmp_path, mean_colours):
    before = opened(folder, tmp_path).features
    Image.new("RGB", (40, 40), "white").save(folder / "blue/00.png")
    after = opened(folder, tmp_path).features
    assert (after[0] == 255).all() and (before[0] != 255).any()
    np.testing.assert_array_equal(before[1:], after[1:])


def test_copies_are_listed(folder, tmp_path, mean_colours):
    found = opened(folder, tmp_path).near_duplicates()
    assert (found["path"][0], found["other"][0]) == ("red/00.png", "red/copy.jpg")
    assert found["difference"].max() <= own_images.DUPLICATE_DIFFERENCE
    assert found["difference"].is_monotonic_increasing


def test_identical_pictures_are_in_one_cluster(folder, tmp_path, mean_colours, monkeypatch):
    """Although the network's last bits depend on the batch."""
    from utils.representations import pretrained

    whole, random = pretrained.features, np.random.default_rng(1)
    monkeypatch.setattr(
        pretrained,
        "features",
        lambda *given: whole(*given) + random.normal(0, 1e-4, (len(given[1]), 1)).astype("float32"),
    )
    monkeypatch.setattr(picture_features, "CHUNK", 20)
    for number in range(6):
        for name in ("blue", "red"):
            path = folder / "green" / f"{name}-again-{number}.png"
            path.write_bytes((folder / name / "05.png").read_bytes())
    run = opened(folder, tmp_path, clusters=12)
    for name in ("blue", "red"):
        same = [n for n, path in enumerate(run.image_names) if f"{name}-again" in path]
        same.append(run.image_names.index(f"{name}/05.png"))
        assert len(np.unique(run.features[same], axis=0)) == 1
        assert len(set(run.model.labels_[same])) == 1
        assert len(set(run.model.probabilities_[same].round(5))) == 1
    assert set(run.model.labels_) == set(range(run.model.n_clusters_))


def test_a_wrong_label_is_noticed(folder, tmp_path, mean_colours):
    (folder / "blue/05.png").rename(folder / "red/wrong.png")
    run = opened(folder, tmp_path)
    found = run.likely_mislabelled()
    assert found[["path", "label", "looks like"]].to_numpy().tolist() == [
        ["red/wrong.png", "red", "blue"]
    ]
    assert run.doubtful_pictures(found)["red, looks like blue"].shape == (1, 128, 128, 3)


def test_a_sheet_goes_from_the_prototype_out(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path)
    for cluster, rows in run.sheets():
        size = (run.model.labels_ == cluster).sum()
        assert sum(map(len, rows.values())) == size
        assert list(rows) == ["prototypes", "between", "outliers"]
        inside = run.distances[run.model.labels_ == cluster]
        assert inside.min() == 0 and (inside == 0).sum() == 1


def test_a_file_that_vanished_meanwhile_is_named(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path)
    (folder / "blue/00.png").unlink()
    with pytest.raises(UserError, match=r"00\.png: was readable before"):
        run.pictures([0])


def test_what_other_programs_can_use_is_written(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path)
    run.write_outputs(run.near_duplicates())
    table = pd.read_csv(tmp_path / "run/assignments.csv")
    assert list(table.columns) == [
        *("path", "cluster", "confidence", "distance_to_prototype", "x", "y", "label")
    ]
    assert len(table) == 91
    model, about = estimator.load(tmp_path / "run/model.safetensors")
    assert about["backbone"] == "colours"
    np.testing.assert_array_equal(model.predict(run.features), run.model.labels_)
    counts = json.loads((tmp_path / "run/counts.json").read_text())
    assert counts == {"found": 92, "skipped": 1}


def test_names_of_any_bytes_are_kept_apart(folder, tmp_path, mean_colours):
    content = (folder / "red/00.png").read_bytes()
    names = (b"caf\xe9.png", '写真\n"1" <b>.png'.encode(), b"a,b;'.png")
    for name in names:
        (folder / "red" / os.fsdecode(name)).write_bytes(content)
    run = opened(folder, tmp_path)
    run.write_outputs(run.near_duplicates())
    paths = set(pd.read_csv(tmp_path / "run/assignments.csv")["path"])
    assert {"red/caf\\xe9.png", 'red/写真\\x0a"1" <b>.png', "red/a,b;'.png"} <= paths


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_pictures_say_why(tmp_path, mean_colours, n):
    (tmp_path / "few").mkdir()
    (tmp_path / "few/bad.png").write_text("x")
    for number in range(n):
        Image.new("RGB", (9, 9)).save(tmp_path / f"few/{number}.png")
    with pytest.raises(UserError, match=rf"{n} of {n + 1} files can be read.*bad\.png: no picture"):
        opened(tmp_path / "few", tmp_path, labels=None)


def test_two_pictures_are_enough(tmp_path, mean_colours):
    (tmp_path / "two").mkdir()
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"two/{number}.png")
    run = opened(tmp_path / "two", tmp_path, labels=None, clusters=2)
    assert sorted(run.model.labels_) == [0, 1]
    assert run.positions.shape == (2, 2) and run.near_duplicates().empty
    assert [len(rows["all"]) for _, rows in run.sheets()] == [1, 1]


def test_long_tables_end_with_how_many_more():
    table = pd.DataFrame({"a": range(60), "b": range(60)})
    shown = own_images.first_lines(table)
    assert len(shown) == 51 and shown.iloc[-1, 0] == "… 10 more"
    assert own_images.first_lines(table.head(50)).equals(table.head(50))


def test_the_example_is_a_folder_for_each_class(tmp_path, monkeypatch, elsewhere):
    elsewhere(runs=tmp_path)
    found = picture_files.find(own_images.example_folder(), "folders")
    assert len(found.names) == 200 and len(set(found.labels)) == 5
