"""The report on a person's own pictures: links to the files, from the map and contact sheets."""

import os
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote_to_bytes

import pandas as pd
import pytest

from report import own_pictures, pictures_article, templates
from utils.config import facts
from utils.runs.picture_map import address


def test_links_lead_from_the_report_to_the_files(tmp_path):
    out = tmp_path / "a report"
    names = ["photos/a b #1?.png", "photos/<b>&.png", os.fsdecode(b"photos/caf\xe9 (1).png")]
    files = [tmp_path / name for name in names]
    points = pd.DataFrame({"x": 0.0, "file": [address(file) for file in files]})
    linked = own_pictures._linked(points, out)
    assert "file" not in linked
    for link, file in zip(linked["link"], files, strict=True):
        assert set(link).isdisjoint(" ()<>\"'&?#[]*\\") and link.startswith("../photos/")
        assert os.path.normpath(os.fsencode(out) + b"/" + unquote_to_bytes(link)) == os.fsencode(
            file
        )


def test_names_on_a_contact_sheet_are_links_and_other_tables_are_none(tmp_path):
    sheet = pd.DataFrame({"part": ["far", "near", "near"], "name": ["NA", "b", "c"]})
    sheet.to_csv(tmp_path / "sheet.csv", index=False)
    sheet.rename(columns={"part": "class"}).to_csv(tmp_path / "other.csv", index=False)
    run = SimpleNamespace(folder=Path(tmp_path))
    links = {"NA": "../NA", "b": "../b", "c": "../c"}
    found = pictures_article._named(run, "outliers", "sheet.csv", links)
    assert found == [("far", [("NA", "../NA")]), ("near", [("b", "../b"), ("c", "../c")])]
    assert pictures_article._named(run, "confusion", "other.csv", links) == []
    assert pictures_article._named(run, "pictures", None, links) == []


def test_a_picture_of_another_folder_is_no_link_to_one_of_the_same_name(tmp_path):
    pd.DataFrame({"part": ["there"], "name": ["a.png"]}).to_csv(tmp_path / "s.csv", index=False)
    run = SimpleNamespace(folder=Path(tmp_path))
    assert pictures_article._named(run, "against", "s.csv", {"a.png": "../a.png"}) == []


@pytest.mark.parametrize("asked", [True, False])
def test_sections_on_a_subset_and_another_folder_are_there_if_asked_for(asked):
    found = {fact.name: None for fact in facts.of_notebook("06_your_images")}
    found |= {"files found": 200, "files left out": 0, "pictures": 200, "clusters": 3}
    if asked:
        # None of them is here too.
        found |= {"pictures of the other folder": 1, "of them here too": 0, "pictures to label": 9}
    hardware = {"cpu": "a CPU", "cores": 2, "gpu": None}
    record = {"made": "2026-01-01", "commit": "c" * 40, "dirty": False, "seed": 0}
    context = {
        **dict.fromkeys(("title", "clusterer", "study", "backbone", "weights"), "x"),
        **dict.fromkeys(("finds_k", "by_levels", "laid_out"), False),
        **dict.fromkeys(("notes", "sheets", "provenance_rows"), ()),
        **{name: {} for name in ("figures", "tables", "named", "scores")},
        "record": record | {"hardware": hardware},
        "facts": found,
    }
    text = templates.render("images.md.j2", context)
    for part in ("# Another folder", "None of them is here too.", "# Pictures to label"):
        assert (part in text) == asked
    for file in ("`subset.csv` (path", "`against.csv` (path"):
        assert (file in text) == asked
