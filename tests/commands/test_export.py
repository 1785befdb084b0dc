"""Pictures exported by cluster: whole or not at all, and only the export's own files replaced."""

import errno
import json
import os
import shutil

import pandas as pd
import pytest

from commands import export as exporting
from commands import picture_request
from commands.export import export
from utils.errors import UserError
from utils.store.ownership import MANIFEST, read_manifest

NAMES = ("a.jpg", "b/c.jpg", "lit\\xe9.jpg", "lit\udce9.jpg", "line\rend.jpg", "line\nend.jpg")
CLUSTERS = {name: f"cluster-{number % 2:03}" for number, name in enumerate(NAMES)}


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(NAMES):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 100)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return tmp_path / "pictures"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "exported"


def content(folder):
    """Map every visible file of a folder to its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def expected(root, clusters=CLUSTERS):
    return {f"{place}/{name}": (root / name).read_bytes() for name, place in clusters.items()}


@pytest.mark.parametrize("copy", [False, True])
def test_names_of_any_bytes_are_exported(root, target, copy):
    done = export(root, CLUSTERS, target, copy)
    assert (done.n_pictures, done.left_out, done.kept) == (len(NAMES), {}, ())
    assert content(target) == expected(root)
    for path in target.glob("cluster-*/*.jpg"):
        assert path.is_symlink() != copy
    assert sorted(os.listdir(target)) == [MANIFEST, "cluster-000", "cluster-001"]  # noqa: PTH208


@pytest.mark.parametrize("copy", [False, True])
def test_levels_are_folders_within_folders(root, target, copy):
    nested = {name: f"cluster-000/{place}" for name, place in CLUSTERS.items()}
    done = export(root, nested, target, copy)
    assert (done.n_pictures, done.left_out, done.kept) == (len(NAMES), {}, ())
    assert content(target) == expected(root, nested)
    again = export(root, CLUSTERS, target, copy)
    assert (again.n_pictures, again.kept) == (len(NAMES), ())
    assert content(target) == expected(root)


@pytest.mark.parametrize(
    ("by_levels", "folders"),
    [
        (False, ["cluster-001", "noise"]),
        (True, ["cluster-000/cluster-003", "cluster-000/cluster-012"]),
    ],
)
def test_a_folder_is_named_after_the_cluster_or_its_levels(by_levels, folders):
    table = pd.DataFrame({"path": ["a", "b"], "cluster": ["1", "-1"]})
    table["level_1"], table["level_2"] = [0, 0], [3, 12]
    assert exporting._folders(table, by_levels) == folders
    assert exporting._folders(table[["path", "cluster"]], by_levels) == ["cluster-001", "noise"]


@pytest.mark.parametrize("copy", [False, True])
def test_the_next_export_replaces_its_own_files_only(root, target, copy):
    export(root, CLUSTERS, target, not copy)
    (target / "notes.txt").write_text("mine")
    (target / "cluster-000" / "notes.txt").write_text("mine")
    moved = dict.fromkeys(NAMES, "cluster-002")
    done = export(root, moved, target, copy)
    assert done.n_pictures == len(NAMES) and not done.kept
    mine = {"notes.txt": b"mine", "cluster-000/notes.txt": b"mine"}
    assert content(target) == expected(root, moved) | mine
    assert not (target / "cluster-001").exists()  # it was empty


def test_a_changed_copy_stays(root, target):
    export(root, CLUSTERS, target, copy=True)
    path = target / "cluster-000" / "a.jpg"
    path.write_bytes(b"retouched")
    assert (
        "does not belong to this export"
        in export(root, CLUSTERS, target, copy=True).left_out["a.jpg"]
    )
    export(root, CLUSTERS | {"a.jpg": "cluster-001"}, target, copy=True)
    assert path.read_bytes() == b"retouched"
    assert (target / "cluster-001" / "a.jpg").read_bytes() == bytes(100)


def test_a_copy_whose_original_is_gone_stays(root, target):
    export(root, CLUSTERS, target, copy=True)
    (root / "a.jpg").unlink()
    rest = {name: place for name, place in CLUSTERS.items() if name != "a.jpg"}
    for _ in range(2):
        assert export(root, rest, target, copy=True).kept == ("cluster-000/a.jpg",)
    assert (target / "cluster-000" / "a.jpg").read_bytes() == bytes(100)


def test_a_picture_that_was_changed_is_copied_again(root, target):
    export(root, CLUSTERS, target, copy=True)
    (root / "a.jpg").write_bytes(b"new")
    assert export(root, CLUSTERS, target, copy=True).n_pictures == len(NAMES)
    assert content(target) == expected(root)


@pytest.mark.parametrize("copy", [False, True])
def test_a_removed_picture_stops_nothing(root, target, copy):
    (root / "a.jpg").unlink()
    done = export(root, CLUSTERS, target, copy)
    assert done.left_out == {"a.jpg": "No such file or directory"}
    assert done.n_pictures == len(NAMES) - 1


def test_a_full_disk_leaves_whole_pictures_and_the_next_export_goes_on(root, target, monkeypatch):
    copied = []

    def fill(source, path):
        if len(copied) == 3:
            path.write_bytes(b"")  # as on a full disk
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(source)
        shutil.copyfile(source, path)
        shutil.copystat(source, path)

    monkeypatch.setattr(exporting.shutil, "copy2", fill)
    with pytest.raises(UserError, match="No space left on device, after 3 of 6 pictures"):
        export(root, CLUSTERS, target, copy=True)
    found = content(target)
    assert len(found) == 3 and found.items() <= expected(root).items()
    monkeypatch.undo()
    inodes = {path: path.stat().st_ino for path in target.rglob("*.jpg")}
    assert export(root, CLUSTERS, target, copy=True).n_pictures == len(NAMES)
    assert content(target) == expected(root)
    assert inodes.items() <= {path: path.stat().st_ino for path in target.rglob("*.jpg")}.items()


def test_a_link_in_the_place_of_a_clusters_folder_leads_to_no_loss(root, target):
    export(root, CLUSTERS, target, copy=True)
    shutil.rmtree(target / "cluster-000")
    (target / "cluster-000").symlink_to(root)
    before = content(root)
    done = export(root, dict.fromkeys(NAMES, "cluster-001"), target, copy=True)
    assert done.n_pictures == len(NAMES)
    done = export(root, CLUSTERS, target, copy=True)
    assert "does not belong to this export" in done.left_out["a.jpg"]
    assert content(root) == before


def test_what_lies_there_already_is_nobodys_but_the_users(root, target):
    export(root, {}, target, copy=True)
    for name in ("a.jpg", "lit\\xe9.jpg"):
        (target / "cluster-000").mkdir(exist_ok=True)
        (target / "cluster-000" / name).write_bytes(b"mine")
    done = export(root, CLUSTERS, target, copy=True)
    assert set(done.left_out) == {"a.jpg", "lit\\xe9.jpg"}
    assert (target / "cluster-000" / "a.jpg").read_bytes() == b"mine"
    assert "cluster-000/a.jpg" not in read_manifest(target).files


@pytest.mark.parametrize("known", [None, 3, "x", [3], [["a", "b"]], [[1]], {"a": 1}])
def test_a_manifest_that_somebody_changed_vouches_for_nothing(root, target, known):
    export(root, CLUSTERS, target, copy=True)
    text = '{"owner": "%s", "files": {"cluster-000/a.jpg": %s, "../pictures/a.jpg": %s}}'
    value = json.dumps(known)
    (target / MANIFEST).write_text(text % (read_manifest(target).owner, value, value))
    before = content(target) | content(root)
    export(root, {}, target, copy=True)
    assert content(target) | content(root) == before


def test_a_file_system_without_links_is_told_before(target, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    target.mkdir()
    monkeypatch.setattr(os, "symlink", refuse)
    with pytest.raises(UserError, match=r"links cannot be made there .*; give --copy"):
        picture_request.require_links(target)
