"""The files of a folder: which are to be read, and what becomes of all others."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from utils.data import picture_files, picture_reading
from utils.data.picture_files import find
from utils.errors import UserError

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
    with pytest.raises(UserError, match=r"no image file in it.*: the folder cannot be listed"):
        find(tmp_path)
    refused = [tmp_path.name]
    with pytest.raises(UserError, match="cannot list the folder"):
        find(tmp_path)


def make(folder, *names, content=b"x"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_every_file_is_accounted_for(tmp_path):
    make(tmp_path, "a.jpg", "b.HEIC", "c.jpg_large", "d.avif", "e.jfif", "f.jp2")
    make(tmp_path, "1.svg", "2.svg", "3.cr2", "notes.txt", "README", "._a.jpg")
    make(tmp_path, "@eaDir/a.jpg/t.jpg")
    make(tmp_path, "#recycle/x.png", ".thumbnails/y.png", "Thumbs.db", "z/desktop.ini")
    found = find(tmp_path)
    assert found.names == ("a.jpg", "b.HEIC", "c.jpg_large", "d.avif", "e.jfif", "f.jp2")
    assert sorted(found.others) == ["1.svg", "2.svg", "3.cr2", "README", "notes.txt"]
    assert "a camera's raw data: export it" in found.others["3.cr2"]
    assert found.summary() == (
        "11 files: 6 pictures to read, 5 left out: 2 SVG, 1 CR2, 1 TXT, 1 without a suffix; "
        "6 more excluded: 2 by .*, 1 by #recycle, 1 by @eaDir, 1 by Thumbs.db, 1 by desktop.ini"
    )
    assert "10 files" not in found.summary({1: "damaged"})
    assert "5 pictures read, 6 left out: 2 SVG, 1 CR2, 1 HEIC that cannot be used" in (
        found.summary({1: "damaged"})
    )
    reasons = found.not_read()
    assert reasons["@eaDir"] == "excluded by the pattern @eaDir: 1 file"
    assert len(reasons) == 5 + 6


def test_many_kinds_are_summed_up(tmp_path):
    make(tmp_path, "a.png", *(f"b.{suffix}" for suffix in "cdefghijkl"))
    assert find(tmp_path).summary().endswith("1 H, 4 of other kinds")


def test_a_picture_is_known_by_its_beginning(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "download")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.tif")
    (tmp_path / "b.tif").rename(tmp_path / "raw.nef")
    Image.new("RGB", (4, 4)).save(tmp_path / "c.jpg")
    (tmp_path / "c.jpg").rename(tmp_path / "c.jpg!d")
    assert find(tmp_path).names == ("c.jpg!d", "download")


def test_patterns_exclude_names_and_paths_and_are_counted(tmp_path):
    make(tmp_path, "a.png", "OLD/b.png", "OLD/deep/c.png", "new/d.png", "new/e.tmp.png")
    found = find(tmp_path, exclude=("old", "new/*.tmp.*", "nothing"))
    assert found.names == ("a.png", "new/d.png")
    assert [tuple(one) for one in found.excluded] == [
        ("OLD", "old", 2),
        ("new/e.tmp.png", "new/*.tmp.*", 1),
    ]


def test_a_link_to_a_folder_is_named_and_a_pipe_is_not_opened(tmp_path):
    make(tmp_path / "pictures", "a.png")
    make(tmp_path / "elsewhere", "b.png")
    (tmp_path / "pictures/more").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pictures/pipe")
    os.mkfifo(tmp_path / "pictures/pipe.png")
    found = find(tmp_path / "pictures")
    assert found.names == ("a.png", "pipe.png") and list(found.others) == ["pipe"]
    assert "links to folders are not followed" in found.unlisted["more"]
    (reason,) = picture_reading.read_many([found.path(1)], 8, threads=1)
    assert str(reason) == "a folder, pipe or device, no file"


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "b/" * 3000 + "1.png", "a\0.png", "../1.png"])
def test_a_label_of_an_impossible_path_stops_nothing(tmp_path, name):
    make(tmp_path, "1.png")
    (tmp_path / "labels.csv").write_text(f"path,label\n1.png,one\n{name},two\n")
    found = find(tmp_path, str(tmp_path / "labels.csv"))
    assert found.names == ("1.png",) and found.labels == ("one",)
    assert found.missing == (name,)
    assert found.not_read()[name] == "has a label, but is none of the pictures"


def test_labels_are_the_first_folders(tmp_path):
    make(tmp_path, "cat/1.png", "dog/deep/2.png")
    assert find(tmp_path, "folders").labels == ("cat", "dog")
    make(tmp_path, "3.png")
    assert find(tmp_path, "folders").labels == (None, "cat", "dog")
    for name in ("cat/1.png", "dog/deep/2.png"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"no picture of .* lies in a folder of its own class"):
        find(tmp_path, "folders")


def test_pictures_without_a_label_are_found_too(tmp_path):
    make(tmp_path, "1.png", "2.png", "x/3.png")
    (tmp_path / "a.csv").write_text("path,label\nx/3.png,cat\n2.png,\n")
    found = find(tmp_path, str(tmp_path / "a.csv"))
    assert found.names == ("1.png", "2.png", "x/3.png")
    assert found.labels == (None, None, "cat")


def test_an_empty_or_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no image file"):
        find(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        find(tmp_path / "no")


def test_any_name_can_be_printed():
    assert picture_files.printable("caf\udce9.png") == "caf\\xe9.png"
    assert picture_files.printable("写真.png") == "写真.png"
    assert picture_files.printable("gpj.\u202ea\u200b.png") == "gpj.\\u202ea\\u200b.png"
    assert picture_files.printable("red\x1b[31m\r\n\x85.png") == "red\\x1b[31m\\x0d\\x0a\\u0085.png"


@given(
    st.lists(st.text("\\x0859euad2\x85\udc85\udce9é\r\u202e", max_size=6), min_size=2, max_size=2)
)
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
