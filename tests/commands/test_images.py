"""`run_all.sh images`: the request, and the whole of it on real pictures."""

import base64
import gzip
import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from commands import images, last_resort, picture_request
from commands import main as main_module
from report import manifests, pictures_article
from utils import estimator, places
from utils.data import datasets
from utils.errors import UserError
from utils.store.files import read_json


@pytest.fixture
def folder(tmp_path):
    """60 digits as files: 20 each of three classes, some of them large, turned or damaged."""
    digits = datasets.load("mnist5k", offline=True)
    root = tmp_path / "My digits"
    for digit in (0, 1, 7):
        (root / f"digit {digit}").mkdir(parents=True)
        for row in np.flatnonzero(digits.labels == digit)[:20]:
            Image.fromarray(digits.images[row]).save(root / f"digit {digit}" / f"{row}.png")
    (root / "digit 0" / "not one.jpg").write_text("<html>")
    return root


# --- the request ----------------------------------------------------------------------------------


def request_for(*arguments):
    options = main_module.parse(["images", *map(str, arguments)])
    return picture_request.request_of(options, images.plain_name(options.name))


def test_defaults(folder):
    request = request_for(folder)
    assert (request.clusters, request.clusterer, request.level) == ("auto", "levels", "auto")
    assert request.backbone == "efficientnet_lite0"
    assert request.title == "My digits" and request.study == "my-digits"
    assert request.out == places.ROOT / "reports" / "images" / "my-digits"
    request.out.rmdir()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Holiday, 2024", "holiday-2024"),
        ("été", r"ete-[0-9a-f]{8}"),
        ("写真", r"[0-9a-f]{8}"),
        ("../../etc", "etc"),
        ("a" * 100, "a" * 60),
    ],
)
def test_a_title_becomes_a_plain_name(title, name):

    assert re.fullmatch(name, images.plain_name(title))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "the following arguments are required"),
        (["{folder}", "--clusters", "0"], "--clusters '0': must be 'auto' or a whole number"),
        (["{folder}", "--clusters", "-3"], "expected one argument|must be 'auto'"),
        (["{folder}", "--clusterer", "magic"], "--clusterer 'magic': allowed are"),
        (["{folder}", "--name", "  "], "--name is empty"),
        (["{folder}", "--copy"], "give --export DIR as well"),
        (["{folder}", "--levels"], "--levels applies to --export"),
        (["{folder}", "--level", "0"], "--level '0': must be 'auto' or a whole number from 1"),
        (["{folder}", "--clusters", "3", "--level", "2"], "--level applies to groups at several"),
        (["{folder}", "--clusterer", "levels", "--clusters", "3"], "choose a level by --level N"),
        (["{folder}", "--model", "m", "--level", "2"], "--level cannot be combined with --model"),
        (
            ["{folder}", "--model", "m", "--levels", "--export", "{parent}-x"],
            "--levels cannot be combined with --model",
        ),
        (["{folder}", "--method", "best"], "--method 'best': allowed is 'auto'"),
        (["{folder}", "--method", "auto", "--clusters", "3"], "cannot be combined with --method"),
        (["{folder}", "--method", "auto", "--clusterer", "gmm"], "cannot be combined with --meth"),
        (["{folder}", "--method", "auto", "--level", "2"], "--level cannot be combined with --me"),
        (["{folder}", "--model", "m", "--method", "auto"], "--method cannot be combined with --mo"),
        (["{folder}", "--seed", "x"], "--seed 'x'"),
        (["{folder}", "--model", "m", "--clusters", "3"], "--clusters cannot be combined with"),
        (["{folder}", "--out", "{folder}/report"], "lies in the folder of the pictures"),
        (["{folder}", "--export", "{folder}"], "lies in the folder of the pictures"),
        (["{folder}", "--export", "{parent}"], r"the folder of the pictures \(.*\) lies in it"),
        (["{folder}", "--out", "{parent}"], r"the folder of the pictures \(.*\) lies in it"),
        (["{folder}/none"], "there is no such folder"),
        (["{folder}", "--what"], "unrecognized arguments: --what"),
    ],
)
def test_a_bad_request_says_what_is_wrong(folder, arguments, reason):
    filled = [text.format(folder=folder, parent=folder.parent) for text in arguments]
    with pytest.raises(UserError, match=reason):
        request_for(*filled)


# --- the whole ------------------------------------------------------------------------------------


@pytest.fixture
def main(tmp_path, monkeypatch, elsewhere):
    """The command line, with its working state in a folder of the test."""
    elsewhere(runs=tmp_path / "runs")

    def call(*arguments):
        return main_module.main(["images", *map(str, arguments)])

    return call


def tree(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_folder_is_clustered_reported_exported_and_used_again(folder, tmp_path, main, capfd):
    before = tree(folder)
    out, exported = tmp_path / "report", tmp_path / "exported"
    other = tmp_path / "Other digits"
    other.mkdir()
    for place, kind in enumerate(("digit 0", "digit 7")):
        content = sorted((folder / kind).glob("*.png"))[place].read_bytes()
        (other / f"{place}.png").write_bytes(content)
    status = main(
        *(folder, "--labels", "folders", "--clusters", 3, "--out", out, "--export", exported),
        *("--name", "Digits <b>", "--subset", 5, "--against", other),
    )
    said = capfd.readouterr()
    assert status == 0, said.err
    assert "60 pictures in 3 clusters" in said.out
    assert "61 files: 60 pictures read, 1 left out: 1 JPG that cannot be used" in said.out
    assert said.err == ""
    assert tree(folder) == before

    table = pd.read_csv(out / "assignments.csv")
    assert len(table) == 60 and table["cluster"].nunique() == 3
    assert pd.read_csv(out / "skipped.csv")["path"].tolist() == ["digit 0/not one.jpg"]
    assert pd.read_csv(out / "subset.csv")["rank"].tolist() == [1, 2, 3, 4, 5]
    assert set(pd.read_csv(out / "against.csv")["other"]) >= {"0.png", "1.png"}
    assert "2 pictures of --against found here too" in said.out
    page = (out / "report.html").read_text()
    assert "Pictures in both folders" in page and "in the order of choice" in page
    assert "Digits &lt;b&gt;" in page and "not one.jpg" in page
    links = json.loads(re.search(r'class="map-data"[^>]*>(.*?)</script>', page)[1])["links"]
    listed = json.loads(gzip.decompress(base64.b64decode(links)))
    assert [(out / unquote(link)).resolve() for link in listed] == [
        (folder / path).resolve() for path in table["path"]
    ]
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    assert read_json(out / "run.json")["facts"]["clusters"] == 3
    for row in table.itertuples():
        link = exported / f"cluster-{row.cluster:03}" / row.path
        assert link.is_symlink() and link.resolve() == (folder / row.path).resolve()

    model = out / "model.safetensors"
    copies = tmp_path / "copies"
    again = (folder, "--model", model, "--out", tmp_path / "new", "--export", copies, "--copy")
    assert main(*again) == 0
    assigned = pd.read_csv(tmp_path / "new" / "assigned.csv")
    expected = table["cluster"].where(~table["outlier"], -1)
    assert (assigned["cluster"].to_numpy() == expected.to_numpy()).mean() > 0.95
    assert not any(path.is_symlink() for path in copies.rglob("*"))
    assert tree(folder) == before

    # The same name for another folder.
    other = tmp_path / "Other"
    folder.rename(other)
    before = tree(out)
    assert main(other, "--name", "Digits <b>", "--out", out) == 2
    assert "has the report on" in capfd.readouterr().err
    assert tree(out) == before


def test_an_error_of_the_notebook_is_said_in_a_line(tmp_path, main, capfd):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "not one.jpg").write_text("<html>")
    assert main(tmp_path / "damaged", "--out", tmp_path / "report") == 1
    said = capfd.readouterr().err
    assert said.startswith(f"run_all.sh: {tmp_path / 'damaged'}: 0 of 1 files can be read")
    assert said.count("\n") == 1


def test_labels_that_are_not_there_are_told_at_once(folder, tmp_path, main, capfd):
    labels = tmp_path / "labels.csv"
    status = main(folder, "--labels", labels, "--out", tmp_path / "report")
    assert status == last_resort.USAGE_ERROR
    assert capfd.readouterr().err.startswith(f"run_all.sh: --labels {labels}: ")
    assert not (tmp_path / "report").exists()


def test_a_damaged_model_is_refused(folder, tmp_path, main, capfd):
    (tmp_path / "m.safetensors").write_bytes(os.urandom(100))
    status = main(folder, "--model", tmp_path / "m.safetensors", "--out", tmp_path / "new")
    assert status == 1 and "damaged" in capfd.readouterr().err
    assert not list(Path(tmp_path / "new").iterdir())


SCORES = (
    "profile,study,dataset,n,seed,representation,space,clusterer,k_found,noise_fraction,metric,value\n"
    "images,x,x,9,0,a,raw,kmeans,3,0.0,ari,1\n"
)


def test_the_scores_of_an_earlier_run_with_labels_are_not_taken(tmp_path):
    manifest = manifests.Manifest(
        **{"notebook": "06_your_images", "study": "x", "profile": "images", "seed": 0},
        **{"seconds": 1, "started": "now", "finished": "now", "files": []},
    )
    (tmp_path / "metrics.csv").write_text(SCORES)
    run = manifests.NotebookRun("x", 0, manifest.notebook, tmp_path, manifest)
    assert pictures_article._scores(run) == {}
    listed = manifest.model_copy(update={"files": ["metrics.csv"]})
    run = manifests.NotebookRun("x", 0, manifest.notebook, tmp_path, listed)
    assert pictures_article._scores(run) == {"ari": 1}


def test_a_model_on_features_by_other_weights_is_refused(folder, tmp_path, main, capfd):
    """Of Keras's ResNet50, say, where torchvision's would be used, which has as many features."""
    clusterer = estimator.FeatureClusterer(2)
    points = np.random.default_rng(0).normal(size=(20, 1280)).astype(np.float32)
    model = tmp_path / "model.safetensors"
    about = {"backbone": "efficientnet_lite0", "weights": "Keras's ImageNet weights (a.h5)"}
    estimator.save(clusterer.fit(points), model, about)
    assert main(folder, "--model", model, "--out", tmp_path / "new") == 1
    assert "by Keras's ImageNet weights, but here its weights are package" in capfd.readouterr().err


def test_a_new_picture_may_belong_to_nothing(folder, tmp_path, main, capfd):
    random = np.random.default_rng(0)
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.png"))
    centres = 5 * random.normal(size=(2, 30))
    kinds = np.arange(len(paths)) % 2
    points = (centres[kinds] + random.normal(size=(len(paths), 30))).astype(np.float32)
    model = tmp_path / "model.safetensors"
    estimator.save(estimator.FeatureClusterer(2).fit(points), model, {"backbone": "own features"})
    points[:3] = 5 * random.normal(size=(3, 30))
    np.savez(tmp_path / "own.npz", paths=paths, features=points)
    out = tmp_path / "new"
    given = ("--model", model, "--features", tmp_path / "own.npz", "--out", out)
    assert main(folder, *given) == 0
    table = pd.read_csv(out / "assigned.csv").set_index("path").loc[paths]
    assert (table["cluster"].iloc[:3] == -1).all() and (table["confidence"].iloc[:3] == 0).all()
    assert (table["cluster"].iloc[3:] >= 0).mean() > 0.9
    assert "pictures in none: noise, or farther from the model's pictures" in capfd.readouterr().out
