"""Labels from tables as spreadsheets and other programs write them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.data.picture_labels import finder, read_labels
from utils.errors import UserError

NAMES = ("a.jpg", "b/c d.JPG", unicodedata.normalize("NFD", "Äpfel.jpg"))
EXPECTED = {"a.jpg": "Kätzchen", "b/c d.JPG": "Hund", NAMES[2]: "Übung"}


def rows(separator=",", paths=NAMES, heading=("path", "label")):
    lines = [heading, *zip(paths, EXPECTED.values(), strict=True)]
    return "".join(separator.join(line) + "\r\n" for line in lines)


def labels_of(tmp_path, text, encoding="utf-8"):
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    return read_labels(tmp_path / "a.csv", tmp_path / "pictures", NAMES)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings(tmp_path, separator, encoding):
    read = labels_of(tmp_path, rows(separator), encoding)
    assert read.of_name == EXPECTED
    assert read.note is None and read.unmatched == ()


def test_the_code_page_of_windows_is_named(tmp_path):
    nfc = [unicodedata.normalize("NFC", name) for name in NAMES]
    read = labels_of(tmp_path, rows(";", nfc), "cp1252")
    assert read.of_name == EXPECTED
    assert read.note == "a.csv: not UTF-8, read as Windows-1252"


@pytest.mark.parametrize(
    "heading",
    [("Path ", " Label"), ("filename", "category"), ("File Name", "class"), ("image", "target")],
)
def test_other_names_of_the_columns(tmp_path, heading):
    assert labels_of(tmp_path, rows(heading=heading)).of_name == EXPECTED


def test_more_columns_and_a_line_for_spreadsheets(tmp_path):
    text = "sep=;\nid;path;x;label\n1;a.jpg;0,5;Hund\n2;b/c d.JPG;0,7\n"
    assert labels_of(tmp_path, text).of_name == {"a.jpg": "Hund"}


@pytest.mark.parametrize(
    "form",
    [
        lambda name, _: f"./{name}",
        lambda name, _: name.replace("/", "\\"),
        lambda name, _: ".\\" + name.replace("/", "\\"),
        lambda name, folder: str(folder / name),
        lambda name, _: unicodedata.normalize("NFC", name),
        lambda name, _: name.upper(),
        lambda name, _: name.rpartition("/")[2],
        lambda name, _: f" {name} ",
    ],
)
def test_paths_of_other_forms(tmp_path, form):
    paths = [form(name, tmp_path / "pictures") for name in NAMES]
    assert labels_of(tmp_path, rows(paths=paths)).of_name == EXPECTED


def test_a_form_that_fits_two_pictures_fits_none(tmp_path):
    find = finder(tmp_path, ["a/1.png", "b/1.png", "X.png", "x.png"])
    assert find("1.png") is None
    assert find("X.PNG") is None
    assert find("x.png") == "x.png"
    assert find("a/1.png") == "a/1.png"


def test_a_picture_in_another_folder_is_another_picture(tmp_path):
    find = finder(tmp_path, ["a/1.png", "2.png"])
    for path in ("b/1.png", "b/2.png", "/elsewhere/2.png", "../2.png", "C:\\a\\1.png"):
        assert find(path) is None
    assert find("1.png") == "a/1.png"


@given(st.sets(st.text("aAä\u0308/\\. ", min_size=1, max_size=5), min_size=1, max_size=6))
def test_every_picture_is_found_by_its_own_name(tmp_path_factory, names):
    find = finder(tmp_path_factory.getbasetemp(), names)
    for name in names:
        if name == name.strip():
            assert find(name) == name


def test_labels_are_one_line_without_control_characters(tmp_path):
    text = 'path,label\na.jpg,"Hund\n, ""x"""\nb/c d.JPG,Kat\0ze\n'
    assert list(labels_of(tmp_path, text).of_name.values()) == ['Hund , "x"', "Katze"]


def test_what_is_listed_twice(tmp_path):
    assert labels_of(tmp_path, "path,label\na.jpg,x\n./a.jpg,x\n").of_name == {"a.jpg": "x"}
    with pytest.raises(UserError, match="has two labels, 'x' and 'y'"):
        labels_of(tmp_path, "path,label\na.jpg,x\n./a.jpg,y\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must name a column path or file or filename and a column label"),
        ("path,label\n", "no line below its heading"),
        ("a.jpg,Hund\n", "its first line is 'a.jpg,Hund', but must name"),
        ("path,label\na.jpg,\n", "no row has both a label and a picture"),
        ("path,label\n../a.jpg,b\n", r"no row has both .* \(it names '../a.jpg'\)"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, reason):
    with pytest.raises(UserError, match=reason):
        labels_of(tmp_path, text)


def test_a_missing_or_binary_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.csv: No such file"):
        read_labels(tmp_path / "nothing.csv", tmp_path, NAMES)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary\.csv"):
        read_labels(tmp_path / "binary.csv", tmp_path, NAMES)
