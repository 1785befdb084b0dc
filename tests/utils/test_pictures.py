"""A person's own pictures: features in chunks, what is shown, and what is written."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from utils import estimator, figures
from utils.data import picture_files, picture_reading
from utils.errors import UserError
from utils.representations.pretrained import Backbone
from utils.runs import near_duplicates, picture_features, picture_folder, picture_levels
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
        "utils.representations.own_backbones.load_own_backbone", lambda *_, **__: network
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


def opened(folder, tmp_path, labels="folders", clusters="auto", **reading):
    return picture_folder.open_folder(
        folder, labels, "colours", clusters, "auto", "test", 0, tmp_path / "run", **reading
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
    assert len(run.images) == 91 and len(run.labelled) == len(names)
    assert [path[:6] for path in run.skipped["path"]] == ["xxxxxx", "a\\x00.", "red/ba"]
    found = picture_files.find(folder)
    found.unlisted["locked"] = "the folder cannot be listed: Permission denied"
    monkeypatch.setattr(picture_files, "find", lambda *_: found)
    run = opened(folder, tmp_path, labels=None)
    assert run.skipped["path"].tolist() == ["locked", "red/bad.png"]
    assert "left out: locked: the folder cannot be listed: Permission denied" in run.record.notes
    assert (
        "92 files: 91 pictures read, 1 left out: 1 PNG that cannot be used; "
        "folders not looked into: 1"
    ) in run.record.notes


def test_pictures_without_a_label_are_clustered_and_not_scored(folder, tmp_path, mean_colours):
    lines = [f"{name}/{number:02}.png,{name}" for name in COLOURS for number in range(10)]
    lines[0] = "red/00.png,blue"
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    run = opened(folder, tmp_path, labels=str(tmp_path / "labels.csv"))
    assert run.model.n_clusters_ == 3 and len(run.labelled) == 30
    assert (run.labels[run.labelled] >= 0).all() and (run.labels < 0).sum() == 61
    assert run.record.labels.shape == (30,)
    table = run.assignments()
    assert (table["label"] == "").sum() == 61
    assert run.cluster_table()["commonest class"].str.contains("%").all()
    # Of the ten nearest at least eight would need a label.
    assert len(run.likely_mislabelled()) == 0
    without = opened(folder, tmp_path, labels=None)
    np.testing.assert_array_equal(run.model.labels_, without.model.labels_)


def test_a_file_that_is_gone_is_shown_by_its_copy(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path)
    before = run.pictures([0, 1])
    (folder / "blue/00.png").unlink()
    after = run.pictures([0, 1])
    assert np.abs(after[0].astype(int).mean((0, 1)) - before[0].mean((0, 1))).max() < 3
    np.testing.assert_array_equal(after[1], before[1])
    run.pictures([0])
    assert sum("only its small copy can be shown now" in note for note in run.record.notes) == 1


def test_a_file_that_disappears_during_the_run_is_left_out(folder, tmp_path, mean_colours):
    found = picture_files.find(folder)
    (folder / "blue/00.png").unlink()
    collected = picture_features.collect(found, None)
    assert len(collected.usable) == 90
    assert "removed or renamed in the meantime" in collected.reasons[0]


def test_a_lower_limit_of_size_holds_for_pictures_that_a_run_before_stored(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    Image.new("RGB", (40, 40), "blue").save(own / "small.png")
    Image.new("RGB", (1200, 1200), "blue").save(own / "large.png")
    # Decoded at a quarter of its sides.
    Image.new("RGB", (1200, 1200), "blue").save(own / "reduced.jpg")
    found = picture_files.find(own)
    for most_pixels, left_out in ((10**8, []), (10**6, ["large.png"]), (10**8, [])):
        collected = picture_features.collect(found, None, most_pixels)
        assert [found.names[row] for row in collected.reasons] == left_out
        assert len(collected.usable) == 3 - len(left_out)


def test_sizes_dates_and_cameras(folder, tmp_path, mean_colours):
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "EOS R5", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 18:20:00"
    Image.new("RGB", (60, 40), "blue").save(folder / "blue/exif.jpg", exif=exif)
    table = opened(folder, tmp_path).assignments().set_index("path")
    row = table.loc["blue/exif.jpg"]
    assert (row["width"], row["height"]) == (40, 60)
    assert (row["taken"], row["camera"]) == ("2024-05-31 18:20:00", "EOS R5")
    assert row["bytes"] == (folder / "blue/exif.jpg").stat().st_size
    assert table.loc["blue/00.png", "taken"] == ""
    run = opened(folder, tmp_path, with_metadata=False)
    columns = {"width", "height", "bytes", "taken", "camera"}
    assert columns.isdisjoint(run.assignments().columns)
    assert "EOS" not in str(run.collected.facts) and not run.collected.metadata.any()


def test_odd_files_are_used_with_a_note(folder, tmp_path, mean_colours):
    Image.new("RGB", (40, 40), "blue").save(folder / "blue/a.jpg", format="AVIF")
    whole = (folder / "red/copy.jpg").read_bytes()
    (folder / "red/cut.jpg").write_bytes(whole[:-20])
    odd = opened(folder, tmp_path).odd_files
    assert odd["path"].tolist() == ["blue/a.jpg", "red/cut.jpg"]
    assert odd["note"][0] == "AVIF, although its name says JPEG"
    assert odd["note"][1].startswith("its end is missing")


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
    monkeypatch.setattr(picture_features, "CHUNK", 16)
    whole = picture_features._computed
    done = []

    def stop_at_third(new, network):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(new))
        return whole(new, network)

    monkeypatch.setattr(picture_features, "_computed", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        opened(folder, tmp_path)
    assert done == [16, 16]
    monkeypatch.setattr(picture_features, "_computed", whole)
    mean_colours.clear()
    resumed = opened(folder, tmp_path)
    assert mean_colours == [16, 16, 16, 16]  # the last eleven in a whole batch
    monkeypatch.setattr(picture_features, "CHUNK", 1000)
    np.testing.assert_array_equal(resumed.features, opened(folder, tmp_path).features)


def test_one_new_file_computes_one(folder, tmp_path, mean_colours, monkeypatch):
    before = opened(folder, tmp_path)
    mean_colours.clear()
    read = []
    decode = picture_reading.decode
    monkeypatch.setattr(
        picture_reading, "decode", lambda *given: read.append(given) or decode(*given)
    )
    Image.new("RGB", (40, 40), "white").save(folder / "aaa.png")
    run = opened(folder, tmp_path)
    assert run.image_names[0] == "aaa.png" and (run.features[0] == 255).all()
    np.testing.assert_array_equal(run.features[1:], before.features)
    assert mean_colours == [16]  # a batch with one picture in it
    assert len(read) == 2  # and the one that is none


def test_content_counts_and_neither_names_nor_times(folder, tmp_path, mean_colours, monkeypatch):
    before = opened(folder, tmp_path)
    mean_colours.clear()
    moved = tmp_path / "moved"
    folder.rename(moved)
    os.utime(moved / "blue/00.png", (0, 0))
    (moved / "blue/copy.png").write_bytes((moved / "red/00.png").read_bytes())
    run = opened(moved, tmp_path)
    assert mean_colours == []
    names = run.image_names
    np.testing.assert_array_equal(
        run.features[names.index("blue/copy.png")], run.features[names.index("red/00.png")]
    )
    assert len(run.features) == len(before.features) + 1
    # From now on not even the bytes are read.
    monkeypatch.setattr(picture_reading, "content_of", lambda path: pytest.fail(str(path)))
    (moved / "red/bad.png").unlink()
    opened(moved, tmp_path)


def test_a_damaged_store_is_computed_again(folder, tmp_path, mean_colours):
    before = opened(folder, tmp_path)
    (shard,) = (tmp_path / "cache").glob("pictures-*/*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 255
    shard.write_bytes(content)
    mean_colours.clear()
    after = opened(folder, tmp_path)
    assert sum(mean_colours) == 96
    np.testing.assert_array_equal(before.features, after.features)


def test_what_is_collected_besides_features(folder, tmp_path, mean_colours):
    Image.new("RGB", (300, 100), "red").save(folder / "red/wide.png")
    (folder / "red/wide-copy.png").write_bytes((folder / "red/wide.png").read_bytes())
    Image.new("RGB", (300, 100), "red").save(folder / "red/wide.bmp")
    run = opened(folder, tmp_path)
    found = run.collected
    assert found.small.shape == (94, 64, 64, 3) and isinstance(found.small, np.memmap)
    copy, bmp, png = (
        run.image_names.index(f"red/wide{end}") for end in ("-copy.png", ".bmp", ".png")
    )
    assert (found.small[[copy, bmp, png]] == (255, 0, 0)).all()
    assert (found.width[png], found.height[png]) == (300, 100)
    assert (found.file_digest[png] == found.file_digest[copy]).all()
    assert (found.file_digest[png] != found.file_digest[bmp]).any()
    assert (found.pixel_digest[[copy, bmp]] == found.pixel_digest[png]).all()
    assert len(np.unique(found.pixel_digest, axis=0)) == 92


def test_features_of_a_file_instead_of_a_network(folder, tmp_path, mean_colours):
    random = np.random.default_rng(0)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*.png"))]
    names = [name for name in names if name not in ("red/bad.png", "red/05.png")]
    values = random.normal(size=(len(names) + 1, 8)).astype(np.float32)
    kinds = [list(COLOURS).index(name.split("/")[0]) for name in names]
    values[np.arange(len(names)), kinds] += 20
    values[3, 4] = np.nan
    np.savez(tmp_path / "own.npz", paths=[*names, "gone.png"], features=values)
    run = opened(folder, tmp_path, own_features=str(tmp_path / "own.npz"))
    assert mean_colours == []
    assert run.features.shape == (88, 8)
    np.testing.assert_array_equal(run.features[0], values[0])
    assert run.backbone["backbone"] == "own features"
    reasons = run.skipped.set_index("path")["reason"]
    assert reasons["red/05.png"] == "no row in the file of --features"
    assert reasons["blue/03.png"] == "its features are not finite numbers"
    assert any("without a picture: 1 (gone.png" in note for note in run.record.notes)
    assert run.model.n_clusters_ == 3


def test_a_changed_file_is_read_again(folder, tmp_path, mean_colours):
    before = opened(folder, tmp_path).features
    Image.new("RGB", (40, 40), "white").save(folder / "blue/00.png")
    after = opened(folder, tmp_path).features
    assert (after[0] == 255).all() and (before[0] != 255).any()
    np.testing.assert_array_equal(before[1:], after[1:])


def test_copies_are_listed(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path)
    found = near_duplicates.table(run.duplicates, run.image_names)
    assert {"red/00.png", "red/copy.jpg"} <= set(found["path"])
    listed = run.assignments().set_index("path")["duplicate"]
    assert listed["red/copy.jpg"] == "near"


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
        shown = sum(len(part.names) for part in rows.values())
        assert shown == min(size, 3 * figures.SHEET_COLUMNS)
        assert all(len(part.images) == len(part.names) for part in rows.values())
        assert list(rows) == ["prototypes", "between", "least clear"]
        inside = run.distances[run.model.labels_ == cluster]
        assert inside.min() == 0 and (inside == 0).sum() == 1


def test_what_other_programs_can_use_is_written(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path)
    run.write_outputs()
    table = pd.read_csv(tmp_path / "run/assignments.csv")
    assert list(table.columns) == [
        *("path", "cluster"),
        *picture_levels.level_names(run.model),
        *("confidence", "outlier_score", "outlier", "duplicate", "x", "y"),
        *("width", "height", "bytes", "taken", "camera", "label"),
    ]
    assert len(table) == 91
    model, about = estimator.load(tmp_path / "run/model.safetensors")
    assert about["backbone"] == "colours"
    np.testing.assert_array_equal(model.predict(run.features), run.model.labels_)
    counts = json.loads((tmp_path / "run/counts.json").read_text())
    assert (counts["found"], counts["skipped"]) == (92, 1)
    assert counts["files"].startswith("92 files: 91 pictures read, 1 left out")


def test_pictures_of_another_folder_that_are_here_too_are_listed(folder, tmp_path, mean_colours):
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    (other / "same.png").write_bytes((folder / "green/03.png").read_bytes())
    with Image.open(folder / "blue/07.png") as picture:
        picture.save(other / "deep/pixels.bmp")
        picture.save(other / "compressed.jpg", quality=95)
    Image.linear_gradient("L").save(other / "new.png")
    (other / "bad.png").write_text("no picture")
    run = opened(folder, tmp_path, against=str(other))
    run.write_outputs()
    table = pd.read_csv(tmp_path / "run/against.csv").sort_values("other")
    assert table.drop(columns="similarity").to_numpy().tolist() == [
        ["blue/07.png", "compressed.jpg", "near"],
        ["blue/07.png", "deep/pixels.bmp", "same pixels"],
        ["green/03.png", "same.png", "same bytes"],
    ]
    assert (table["similarity"][table["kind"] != "near"] == 1).all()
    shown = run.pairs_sheet()
    assert list(shown) == ["from 1: here", "from 1: there"]
    here, there = shown.values()
    assert np.abs(here.images.astype(int) - there.images).mean() < 5
    (note,) = [note for note in run.record.notes if note.startswith("--against")]
    assert "4 pictures read, 1 left out" in note and "bad.png: no picture" in note
    assert not (tmp_path / "run/subset.csv").exists()


def test_another_folder_is_computed_once(folder, tmp_path, mean_colours):
    (tmp_path / "other").mkdir()
    Image.linear_gradient("L").save(tmp_path / "other/new.png")
    first = opened(folder, tmp_path, against=str(tmp_path / "other"))
    assert first.pairs.empty and list(first.pairs_table()) == [
        *("path", "other", "kind", "similarity")
    ]
    mean_colours.clear()
    again = opened(folder, tmp_path, against=str(tmp_path / "other"))
    assert not mean_colours
    np.testing.assert_array_equal(again.other.collected.features, first.other.collected.features)


def test_another_folder_without_a_readable_picture_is_refused(folder, tmp_path, mean_colours):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/bad.png").write_text("no picture")
    with pytest.raises(UserError, match=r"--against .*other: no file in it can be read; bad\.png"):
        opened(folder, tmp_path, against=str(tmp_path / "other"))
    with pytest.raises(UserError, match="--against cannot be combined with --features"):
        opened(folder, tmp_path, against=str(tmp_path / "other"), own_features="own.npz")


def test_a_subset_stands_for_all(folder, tmp_path, mean_colours):
    run = opened(folder, tmp_path, subset=9)
    run.write_outputs()
    table = pd.read_csv(tmp_path / "run/subset.csv")
    assert table["rank"].tolist() == list(range(1, 10))
    assert table["path"].is_unique and set(table["path"]) < set(run.image_names)
    assert {path.split("/")[0] for path in table["path"][:3]} == set(COLOURS)
    shown = run.subset_sheet()["first"]
    assert shown.names == table["path"].tolist()
    fewer = opened(folder, tmp_path, subset=4)
    np.testing.assert_array_equal(fewer.subset, run.subset[:4])
    with pytest.raises(UserError, match="--subset 92: only 91 pictures can be read"):
        opened(folder, tmp_path, subset=92)


def test_near_copies_are_those_from_a_similarity_on(folder, tmp_path, mean_colours):
    found = opened(folder, tmp_path).duplicates
    assert found["kind"].tolist() == ["near", "near"]
    above = float(found["similarity"].min()) + 0.0001
    assert opened(folder, tmp_path, least_similarity=above).duplicates.empty


def test_names_of_any_bytes_are_kept_apart(folder, tmp_path, mean_colours):
    content = (folder / "red/00.png").read_bytes()
    names = (b"caf\xe9.png", '写真\n"1" <b>.png'.encode(), b"a,b;'.png")
    for name in names:
        (folder / "red" / os.fsdecode(name)).write_bytes(content)
    run = opened(folder, tmp_path)
    run.write_outputs()
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
    assert run.positions.shape == (2, 2) and run.duplicates.empty
    assert [len(rows["all"].names) for _, rows in run.sheets()] == [1, 1]


def test_long_tables_end_with_how_many_more():
    table = pd.DataFrame({"a": range(60), "b": range(60)})
    shown = own_images.first_lines(table)
    assert len(shown) == 51 and shown.iloc[-1, 0] == "… 10 more"
    assert own_images.first_lines(table.head(50)).equals(table.head(50))


def test_the_example_is_a_folder_for_each_class(tmp_path, monkeypatch, elsewhere):
    elsewhere(runs=tmp_path)
    found = picture_files.find(picture_folder.example_folder(), "folders")
    assert len(found.names) == 200 and len(set(found.labels)) == 5
