"""Users' files: a folder given as --out, as --export or as input stays as it is, byte for byte."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from commands import last_resort, main
from commands.export import export
from commands.picture_request import request_of
from utils import places
from utils.errors import UserError
from utils.places import ROOT
from utils.store import ownership
from utils.store.files import write_json

HIDDEN = (".backup-2023-december", ".photos-1999-holidays", ".building-1-abcd1234")
PLAIN = (
    *("report.pdf", "run.json", "metrics.csv", "assignments.csv", "assigned.csv"),
    *("figures/pictures.png", "notebooks/x.html", "cluster-000/a.png", ".files", ".complete"),
    *(".notes-2019-freezing.txt", f".thing-{10**20}-abcd1234.json"),
)


def fill(folder):
    """Write files of a user, named as a report's or a temporary file's, and old."""
    for name in (*PLAIN, *(f"{name}/inside.txt" for name in HIDDEN)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine: {name}")
        os.utime(path, (0, 0))
    for name in HIDDEN:
        os.utime(folder / name, (0, 0))
    (folder / "link").symlink_to("report.pdf")
    return folder


def hashed(folder):
    """Name everything in a folder: paths, kinds, targets of links and bytes of files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        said = str(path.readlink()) if kind == "link" else ""
        digest.update(f"{path.relative_to(folder)} {kind} {said} ".encode())
        if kind == "file":
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def place(tmp_path, monkeypatch, elsewhere):
    """A folder of pictures, some folders of the user, a report and an export of other pictures."""
    elsewhere(runs=tmp_path / "runs")
    (tmp_path / "runs").mkdir()
    for number, folder in enumerate(("A/holiday", "B/holiday", "X/figures")):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(tmp_path / folder / "a.png")
    fill(tmp_path / "mine")
    (tmp_path / "o").mkdir()
    (tmp_path / "o/assignments.csv").write_text("path,label\na.png,x\n")
    (tmp_path / "o/model.safetensors").write_text("a model")
    (tmp_path / "file").write_text("mine")
    holiday = tmp_path / "A/holiday"
    with ownership.replaced_together(
        tmp_path / "report-a", ownership.report_on_pictures(holiday)
    ) as folder:
        for name in ("report.html", "assignments.csv", "model.safetensors"):
            (folder / name).write_text("a.png")
    with ownership.replaced_together(
        tmp_path / "quick", ownership.report_of_profile("quick")
    ) as folder:
        (folder / "report.html").write_text("numbers of hours")
    export(holiday, {"a.png": "cluster-000"}, tmp_path / "export-a", copy=True)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "strewn").mkdir()
    ownership.write_manifest(tmp_path / "strewn", ownership.report_of_profile("quick"), {})
    (tmp_path / "strewn/metrics.csv").mkdir()
    return tmp_path


REFUSED = (
    # Of somebody else.
    "--out {mine}",
    "--out {mine}/figures",
    "--out {file}",
    "--out {quick} --profile paper",
    "--out {reporta}",
    "--out {exporta}",
    "--out {strewn}",
    "--out {published}",
    "--out {published}/new",
    "--out {reports}",
    "--out {runs}/new",
    "--out {git}/new",
    "--out {data}/new",
    "images {A} --out {mine}",
    "images {A} --export {mine}",
    "images {A} --export {mine} --copy",
    "images {A} --export {file}",
    "images {A} --out {quick}",
    "images {A} --out {exporta}",
    "images {A} --export {reporta}",
    "images {A} --out {published}",
    "images {A} --export {published}/new",
    "images {A} --export {runs}/new",
    # Of other pictures of the same name.
    "images {B} --out {reporta}",
    "images {B} --export {exporta}",
    # What is read and what is written.
    "images {A} --out {A}/new",
    "images {A} --out {A}",
    "images {A} --out {A}/..",
    "images {A} --export {A}/new --copy",
    "images {A} --export {A}/..",
    "images {X}/figures --out {X}",
    "images {X}/figures --out {linktox}",
    "images {A} --labels {o}/assignments.csv --out {o}",
    "images {A} --labels {o}/assignments.csv --export {o}",
    "images {A} --labels {reporta}/assignments.csv --out {reporta}",
    "images {A} --model {o}/model.safetensors --out {o}",
    "images {A} --model {reporta}/model.safetensors --out {reporta}",
    "images {A} --model {o}/model.safetensors --out {reporta}",
    "images {A} --out {fresh} --export {fresh}",
    "images {A} --out {fresh} --export {fresh}/by-cluster",
    "images {A} --out {fresh}/report --export {fresh}",
)


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused_is_told_in_a_line_and_changes_nothing(faults, place, capsys, words):
    (place / "link-to-x").symlink_to(place / "X")
    named = {
        **{name: place / name for name in ("mine", "file", "quick", "strewn", "runs", "X", "o")},
        **{"A": place / "A/holiday", "B": place / "B/holiday", "fresh": place / "fresh"},
        **{"reporta": place / "report-a", "exporta": place / "export-a"},
        **{"linktox": place / "link-to-x"},
        **{"reports": ROOT / "reports", "published": ROOT / "reports" / "published"},
        **{"git": ROOT / ".git", "data": places.data_dir()},
    }
    before, published = hashed(place), hashed(ROOT / "reports" / "published")
    faults.tried()
    status = main.main([word.format(**named) for word in words.split()])
    assert status == last_resort.USAGE_ERROR
    complaint = capsys.readouterr().err
    assert complaint.startswith("run_all.sh: ") and complaint.count("\n") == 1
    assert hashed(place) == before
    assert hashed(ROOT / "reports" / "published") == published
    faults.survived()


@pytest.mark.parametrize("model", [[], ["--model", "{o}/model.safetensors"]])
def test_two_collections_of_one_name_need_another_title_or_place(
    faults, place, elsewhere, capsys, model
):
    elsewhere(place)
    kind = "-assigned" if model else ""
    default = place / "reports/images" / f"holiday{kind}"
    name = ownership.assignment_of_pictures if model else ownership.report_on_pictures
    with ownership.replaced_together(default, name(place / "A/holiday")) as folder:
        (folder / "report.html").write_text("a.png")
    before = hashed(place)
    words = ["images", str(place / "B/holiday"), *(word.format(o=place / "o") for word in model)]
    faults.tried()
    assert main.main(words) == last_resort.USAGE_ERROR
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"run_all.sh: {default}: another collection of this name ")
    assert complaint.endswith(": choose another place with --name TITLE or --out DIR\n")
    assert str(place / "A/holiday") in complaint and complaint.count("\n") == 1
    assert hashed(place) == before
    request = request_of(main.parse([*words, "--name", "Other"]), "other")
    assert request.out == place / "reports/images" / f"other{kind}"
    faults.survived()


def test_what_is_allowed_changes_nothing_else(faults, place):
    """Again into one's own report and export, in which the user has other files by now."""
    holiday, own = place / "A/holiday", ownership.report_on_pictures(place / "A/holiday")
    fill(place / "report-a/mine")
    fill(place / "export-a/cluster-000/mine")
    before = [hashed(place / name) for name in ("A", "report-a/mine", "export-a/cluster-000/mine")]
    faults.tried()
    out, target = str(place / "report-a"), str(place / "export-a")
    words = ["images", str(holiday), "--out", out, "--export", target]
    request = request_of(main.parse(words), "holiday")
    with ownership.replaced_together(request.out, request.owner) as folder:
        (folder / "report.html").write_text("b")
    for copy in (False, True):
        export(holiday, {"a.png": "cluster-001"}, request.export, copy)
    assert request.owner == own
    assert not (place / "report-a/assignments.csv").exists()
    assert not (place / "export-a/cluster-000/a.png").exists()
    after = [hashed(place / name) for name in ("A", "report-a/mine", "export-a/cluster-000/mine")]
    assert after == before
    faults.survived()


@pytest.mark.parametrize("name", ["report.html", "figures/a.svg", "figures", "report.html/inside"])
def test_a_file_that_came_meanwhile_stops_the_report_and_stays(faults, tmp_path, name):
    out, owner = tmp_path / "out", ownership.report_of_profile("quick")
    faults.tried()
    with (
        pytest.raises(UserError, match="is not of this report"),
        ownership.replaced_together(out, owner) as folder,
    ):
        (folder / "figures").mkdir()
        for new in ("report.html", "figures/a.svg"):
            (folder / new).write_text("new")
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    assert [path for path in out.rglob("*") if path.is_file() and path != out / ".files.json"] == [
        out / name
    ]
    assert (out / name).read_text() == "mine"
    faults.survived()


def test_a_link_in_a_report_leads_to_no_loss(faults, tmp_path):
    out, owner = tmp_path / "out", ownership.report_of_profile("quick")
    with ownership.replaced_together(out, owner) as folder:
        (folder / "figures").mkdir()
        (folder / "figures/a.svg").write_text("a")
    (out / "figures").rename(tmp_path / "elsewhere")
    (out / "figures").symlink_to(tmp_path / "elsewhere")
    faults.tried()
    with ownership.replaced_together(out, owner) as folder:
        (folder / "report.html").write_text("new")
    assert (tmp_path / "elsewhere/a.svg").read_text() == "a"
    faults.survived()


def test_a_stopped_first_report_leaves_a_folder_that_the_next_one_takes(faults, tmp_path):
    out, owner = tmp_path / "out", ownership.report_on_pictures(tmp_path)
    faults.tried()
    with pytest.raises(KeyboardInterrupt), ownership.replaced_together(out, owner):
        raise KeyboardInterrupt
    with ownership.replaced_together(out, owner) as folder:
        (folder / "report.html").write_text("new")
    assert (out / "report.html").read_text() == "new"
    faults.survived()


@pytest.mark.parametrize(
    ("files", "record", "taken", "refused"),
    [
        ({"metrics.csv": None}, {"profile": {"profile": "quick"}}, "quick", "paper"),
        ({"metrics.csv": None}, {}, "paper", None),
        ({"model.safetensors": None}, {"facts": {}}, None, "quick"),
    ],
)
def test_a_report_of_an_earlier_version_is_known(faults, tmp_path, files, record, taken, refused):
    write_json(tmp_path / ".files.json", files)
    write_json(tmp_path / "run.json", record)
    owners = {
        name: ownership.report_of_profile(name) if name else ownership.report_on_pictures("/a")
        for name in ("quick", "paper", None)
    }
    faults.tried()
    assert ownership.require_own(tmp_path, owners[taken], "--out") == files
    with pytest.raises(UserError, match="has the report o"):
        ownership.require_own(tmp_path, owners[refused], "--out")
    faults.survived()


def test_a_folder_without_pictures_is_told_before_anything_heavy_is_loaded(faults, tmp_path):
    code = """
    import sys
    from commands import main
    status = main.main(["images", sys.argv[1], "--out", sys.argv[2]])
    heavy = {"torch", "sklearn", "pandas", "numba", "papermill", "matplotlib"} & set(sys.modules)
    print(status, sorted(heavy))
    """
    import textwrap

    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(code), tmp_path / "empty", tmp_path / "out"]
    faults.tried()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "2 []\n", done.stderr
    assert "no image file in it" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
    faults.survived()


def test_the_manifest_holds_names_of_any_bytes(faults, tmp_path):
    faults.tried()
    ownership.write_manifest(tmp_path, "me", {"caf\udce9.png": ["a\udce9"]})
    assert ownership.read_manifest(tmp_path) == ownership.Manifest(
        "me", {"caf\udce9.png": ["a\udce9"]}
    )
    assert json.loads((tmp_path / ".files.json").read_text("ascii"))
    faults.survived()
