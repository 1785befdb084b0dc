"""Pictures of every kind and condition: read in one form, or left out with a reason."""

import errno
import io
import os
import re
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from utils.data import picture_files
from utils.data.picture_files import Unreadable, find, read
from utils.errors import UserError

RED, SIDE = (200, 30, 60), 32


def picture(mode="RGB", size=(60, 40)):
    return Image.new("RGB", size, RED).convert(mode)


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def huge_png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# --- what can be read -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif"])
def test_every_format_gives_the_same_colours(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    picture().save(path)
    found = read(path, SIDE)
    assert found.shape == (SIDE, SIDE, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - RED).max() <= 8


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "png"), ("1", "png"), ("P", "png"), ("RGBA", "png"), ("LA", "png"), ("CMYK", "jpg")],
)
def test_every_mode_becomes_colours(tmp_path, mode, suffix):
    picture(mode).save(tmp_path / f"a.{suffix}")
    assert read(tmp_path / f"a.{suffix}", SIDE).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_what_is_transparent_is_white(tmp_path, mode):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert(mode).save(tmp_path / "a.png")
    assert (read(tmp_path / "a.png", 8) == 255).all()


def test_sixteen_bits_are_scaled_by_a_constant(tmp_path):
    values = np.full((10, 10), 128 * 257, np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert (read(tmp_path / "a.png", 10) == 128).all()


def test_floats_are_scaled_from_least_to_largest(tmp_path):
    values = np.linspace(-3, 5, 100, dtype=np.float32).reshape(10, 10)
    values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = read(tmp_path / "a.tif", 10)
    assert found.max() == 255 and found.min() == 0


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    found = read(tmp_path / "a.png", 40)
    assert found[:, 30:].min() == 255 and found[:, :10].max() == 0


def test_the_middle_is_cut_out_of_a_long_picture(tmp_path):
    pixels = np.zeros((10, 90, 3), np.uint8)
    pixels[:, 40:50] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", 10).min() == 255


def test_of_several_frames_the_first_is_taken(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read(tmp_path / "a.gif", 8) == 10).all()


# --- what cannot ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "no picture of an allowed format"),
        (huge_png(60_000, 60_000), "more than 100,000,000 pixels"),
        (huge_png(12_000, 9_000), "12,000 × 9,000 pixels"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "damaged|no picture|truncated"),
    ],
    ids=["empty", "page", "bomb", "large", "header"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_file_that_is_no_picture_has_its_reason(tmp_path, content, reason):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        read(tmp_path / "a.png", SIDE)


def test_a_format_that_nobody_asked_for_is_not_tried(tmp_path):
    picture().save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(Unreadable, match="no picture of an allowed format"):
        read(tmp_path / "a.png", SIDE)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(Unreadable, match="Permission denied"):
        read(tmp_path / "a.png", SIDE)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["jpeg", "png", "webp", "tiff", "bmp", "gif"]),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=5),
)
def test_a_damaged_file_gives_a_picture_or_a_reason(tmp_path, suffix, cut, flips):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, format=suffix)
    content = bytearray(buffer.getvalue())
    for place, value in flips:
        content[int(place * len(content))] = value
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content[: int(cut * len(content))])
    (found,) = picture_files.read_many([path], SIDE, threads=1)
    if isinstance(found, Unreadable):
        assert str(found)
    else:
        assert found.shape == (SIDE, SIDE, 3)


def test_reading_many_keeps_the_order(tmp_path):
    for value in range(5):
        Image.new("L", (4, 4), value * 10).save(tmp_path / f"{value}.png")
    (tmp_path / "2.png").write_text("no")
    found = picture_files.read_many([tmp_path / f"{i}.png" for i in range(5)], 4, threads=3)
    assert isinstance(found[2], Unreadable)
    assert [int(found[i][0, 0, 0]) for i in (0, 1, 3, 4)] == [0, 10, 30, 40]


# --- how much memory it takes --------------------------------------------------------------------


def all_at_once(picture):
    """Scale values as it was first done: all of them in float64."""
    finite = np.nan_to_num(np.asarray(picture, dtype=np.float64), posinf=0, neginf=0)
    low, high = finite.min(), finite.max()
    if low >= 0 and 1 < high <= 65_535:
        return np.round(finite * (255 / 65_535)).astype(np.uint8)
    return np.round((finite - low) * (255 / ((high - low) or 1))).astype(np.uint8)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_strips_give_the_same_values_as_the_whole(monkeypatch, kind):
    values = np.random.default_rng(0).integers(0, 60_000, (37, 11)).astype(kind)
    if kind == np.float32:
        values[:3, :3] = [[np.nan, np.inf, -np.inf], [-5e9, 3, 0], [1, 2, 3]]
    made = Image.fromarray(values)
    for n_pixels in (1, 60, 10**6):
        monkeypatch.setattr(picture_files, "STRIP_PIXELS", n_pixels)
        np.testing.assert_array_equal(picture_files._eight_bits(made), all_at_once(made))


def test_what_a_picture_takes_is_told_by_its_header(tmp_path):
    picture(size=(1200, 900)).save(tmp_path / "a.png")
    picture(size=(1200, 900)).save(tmp_path / "a.jpg")
    picture(size=(1200, 900)).save(tmp_path / "b.jpg", progressive=True)

    def needed(name):
        with Image.open(tmp_path / name) as opened:
            return picture_files._memory_needed(opened, 224)

    assert needed("a.png") == 1200 * 900 * picture_files.BYTES_PER_PIXEL
    assert needed("a.jpg") == 600 * 450 * picture_files.BYTES_PER_PIXEL  # half of each side
    assert needed("b.jpg") == needed("a.jpg") + 1200 * 900 * 6


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    """Of small ones together at most the budget; one that is larger than it has it for itself."""
    at_once, most = [], []
    whole = picture_files._rgb

    def observe(made):
        at_once.append(made.width)
        most.append(list(at_once))
        time.sleep(0.02)  # so that the others would come in between
        at_once.remove(made.width)
        return whole(made)

    monkeypatch.setattr(picture_files, "_rgb", observe)
    three_small = 3 * 20 * 20 * picture_files.BYTES_PER_PIXEL + 1000
    monkeypatch.setattr(picture_files, "_BUDGET", picture_files._Budget(three_small))
    for number in range(8):
        picture(size=(20, 20)).save(tmp_path / f"small-{number}.png")
    for number in range(3):
        picture(size=(90, 90)).save(tmp_path / f"large-{number}.png")
    paths = sorted(tmp_path.iterdir(), key=lambda path: path.name[-5])
    found = picture_files.read_many(paths, SIDE, threads=8)
    assert all(isinstance(one, np.ndarray) for one in found)
    assert max(len(together) for together in most) <= 3
    assert all(together == [90] for together in most if 90 in together)


def test_the_budget_is_given_back_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "_BUDGET", picture_files._Budget(1))
    buffer = io.BytesIO()
    picture(size=(300, 300)).save(buffer, format="PNG")
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path in paths:
        path.write_bytes(buffer.getvalue()[:-40])
    found = picture_files.read_many(paths, SIDE, threads=2)
    assert all(isinstance(one, Unreadable) for one in found)


# --- the folder -----------------------------------------------------------------------------------


def test_files_are_found_in_every_folder_in_a_fixed_order(tmp_path):
    for name in ("b/2.JPG", "a/x/1.png", "c.webp", ".hidden.png", ".git/3.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert find(tmp_path).names == ("a/x/1.png", "b/2.JPG", "c.webp")
    assert find(tmp_path).path(1) == tmp_path / "b/2.JPG"


def test_a_folder_that_cannot_be_listed_is_left_out_and_named(tmp_path, monkeypatch):
    for name in ("a/1.png", "locked/2.png", "z/3.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name in refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refused = ["locked"]
    for labels in (None, "folders"):
        found = find(tmp_path, labels)
        assert found.names == ("a/1.png", "z/3.png")
        assert found.unlisted == {"locked": "the folder cannot be listed: Permission denied"}
    refused = ["a", "locked", "z"]
    with pytest.raises(
        UserError, match=r"no image file in it.*locked: the folder cannot be listed"
    ):
        find(tmp_path)
    refused = [tmp_path.name]
    with pytest.raises(UserError, match="cannot list the folder"):
        find(tmp_path)


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "b/" * 3000 + "1.png", "a\0.png"])
def test_a_label_of_an_impossible_path_stops_nothing(tmp_path, name):
    picture().save(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text(f"path,label\n1.png,one\n{name},two\n")
    found = find(tmp_path, str(tmp_path / "labels.csv"))
    good, bad = picture_files.read_many([found.path(0), found.path(1)], SIDE, threads=1)
    assert isinstance(good, np.ndarray)
    assert re.search("File name too long|a null character in its name", str(bad))


def test_labels_are_the_first_folders(tmp_path):
    for name in ("cat/1.png", "dog/deep/2.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    assert find(tmp_path, "folders").labels == ("cat", "dog")
    (tmp_path / "3.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"3\.png and 0 other files lie in no class folder"):
        find(tmp_path, "folders")


def test_labels_from_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("path,label\nx/1.png,cat\n2.png,dog\n", encoding="utf-8-sig")
    found = find(tmp_path, str(tmp_path / "a.csv"))
    assert found.names == ("x/1.png", "2.png") and found.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,label\n", "no line below"),
        ("file,label\na.png,b\n", "line 2: needs a path and a label"),
        ("path,label\na.png,\n", "line 2: needs a path and a label"),
        ("path,label\n../a.png,b\n", "is not a path inside"),
        ("path,label\n/etc/a.png,b\n", "is not a path inside"),
        ("path,label\na.png,b\na.png,c\n", "listed twice"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, reason):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=reason):
        find(tmp_path, str(tmp_path / "a.csv"))


@pytest.mark.parametrize("labels", ["nothing.csv", "binary.csv"])
def test_a_table_that_cannot_be_read_is_named(tmp_path, labels):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=labels):
        find(tmp_path, str(tmp_path / labels))


def test_an_empty_or_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no image file"):
        find(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        find(tmp_path / "no")


def test_any_name_can_be_printed():
    assert picture_files.printable("caf\udce9.png") == "caf\\xe9.png"
    assert picture_files.printable("写真.png") == "写真.png"
    assert picture_files.printable("red\x1b[31m\r\n\x85.png") == "red\\x1b[31m\\x0d\\x0a\\u0085.png"


@given(st.lists(st.text("\\x0859euad\x85\udc85\udce9é\r", max_size=6), min_size=2, max_size=2))
def test_two_names_never_print_alike(names):
    one, other = map(picture_files.printable, names)
    assert (one == other) == (names[0] == names[1])


def test_a_folder_and_a_table_may_lie_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").touch()
    (tmp_path / "labels.csv").write_text("path,label\na.png,one\n")
    assert picture_files.find("~/pictures").names == ("a.png",)
    assert picture_files.find("~/pictures", "~/labels.csv").labels == ("one",)
