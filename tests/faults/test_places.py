"""Unusual folders: a report goes into any folder that can be written to, and nowhere else."""

import os

import pytest

from commands import main
from commands.request import request_of
from utils.errors import UserError
from utils.store import ownership

NAMES = ("with spaces", 'it\'s "quoted"', "写真 été", "new\nline", "-dash", "$HOME `x`", "a" * 200)


def make_report(out, text):
    with ownership.replaced_together(out, "the report of profile quick") as folder:
        (folder / "report.html").write_text(text)
        (folder / "figures").mkdir()
        (folder / "figures" / "a.svg").write_text(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name(faults, tmp_path, name):
    faults.tried()
    for text in ("one", "two"):
        make_report(tmp_path / name, text)
    found = {str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*")}
    assert found == {"report.html", "figures", "figures/a.svg", ".files.json"}
    assert (tmp_path / name / "figures" / "a.svg").read_text() == "two"
    faults.survived()


def test_a_link_to_a_folder(faults, tmp_path):
    faults.tried()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make_report(tmp_path / "link", "one")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "report.html").read_text() == "one"
    faults.survived()


def test_what_else_lies_there_stays(faults, tmp_path):
    faults.tried()
    make_report(tmp_path, "one")
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "figures" / "a.svg").write_text("drawn over by hand")
    with ownership.replaced_together(tmp_path, "the report of profile quick") as folder:
        (folder / "report.html").write_text("two")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "figures" / "a.svg").read_text() == "drawn over by hand"
    faults.survived()


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '{"../precious": null}', "\x00", "null"])
def test_a_damaged_list_of_files_vouches_for_none(faults, tmp_path, content):
    faults.tried()
    (tmp_path / "precious").write_text("mine")
    make_report(tmp_path / "out", "one")
    (tmp_path / "out" / ".files.json").write_text(content)
    with pytest.raises(UserError):
        make_report(tmp_path / "out", "two")
    assert (tmp_path / "precious").read_text() == "mine"
    assert (tmp_path / "out" / "report.html").read_text() == "one"
    faults.survived()


@pytest.mark.parametrize("text", ["/proc/report", "/dev/null/report", "{file}", "with{brace", ""])
def test_a_place_that_cannot_be_is_refused(faults, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file")
    faults.tried()
    with pytest.raises(UserError):
        out = text.format(file=tmp_path / "file") if "file" in text else text
        request_of(main.parse(["--out", out]))
    faults.survived()


def test_a_folder_that_may_not_be_written_to(faults, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tmp_path.chmod(0o500)
    faults.tried()
    with pytest.raises(UserError, match="cannot write"):
        request_of(main.parse(["--out", str(tmp_path / "out")]))
    faults.survived()
