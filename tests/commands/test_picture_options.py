"""Options of `run_all.sh images` about which files are read, and what replaces the network."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from commands import images, picture_request
from commands import main as main_module
from commands.picture_assignment import assign
from utils import estimator, places
from utils.errors import UserError
from utils.estimator import FeatureClusterer


@pytest.fixture
def folder(tmp_path, elsewhere):
    """Twelve pictures of two colours, one of them in a folder of old ones."""
    elsewhere(runs=tmp_path / "runs")
    root = tmp_path / "pictures"
    (root / "old").mkdir(parents=True)
    for number in range(12):
        colour = (20 * number, 0, 255) if number % 2 else (255, 20 * number, 0)
        Image.new("RGB", (40, 30), colour).save(root / f"{number:02}.png")
    (root / "11.png").rename(root / "old/11.png")
    return root


@pytest.fixture
def own(tmp_path, folder):
    """A file of features, two separate groups, for all pictures."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    values = np.random.default_rng(0).normal(size=(12, 5))
    values[:, 0] += [50 * (int(name[-6:-4]) % 2) for name in names]
    np.savez(tmp_path / "own.npz", paths=names, features=values.astype(np.float32))
    return tmp_path / "own.npz"


def request_for(*arguments):
    options = main_module.parse(["images", *map(str, arguments)])
    return picture_request.request_of(options, images.plain_name(options.name))


def test_what_is_asked_for(folder, tmp_path, own):
    out = ("--out", tmp_path / "out")
    request = request_for(folder, *out)
    assert (request.subset, request.against, request.least_similarity) == (None, None, 0.9)
    assert (request.exclude, request.largest_megapixels) == ((), 100)
    assert request.with_metadata and request.features is None
    request = request_for(
        *(folder, *out, "--exclude", "OLD", "--exclude", "*.tmp", "--largest-megapixels", 300),
        *("--no-metadata", "--features", own),
    )
    assert (request.exclude, request.largest_megapixels) == (("OLD", "*.tmp"), 300)
    assert not request.with_metadata and request.features == own


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--largest-megapixels", "0"], "--largest-megapixels '0': not a whole number from 1"),
        (["--exclude", " "], "--exclude is empty"),
        (["--exclude", "*"], r"no image file in it: 0 files: .*; 12 more excluded: 12 by \*"),
        (["--features", "{parent}/gone.npz"], r"--features .*gone\.npz: No such file"),
        (["--features", "{parent}/own.npz", "--backbone", "resnet50"], "cannot be combined"),
        (["--features", "{folder}/00.png"], "must end in .npz"),
        (["--subset", "0"], "--subset '0': not a whole number from 1"),
        (["--subset", "13"], "--subset 13: there are 12 pictures"),
        (["--clusters", "13"], "--clusters 13: there are 12 pictures"),
        (["--against", "{parent}/gone"], "--against .*gone: there is no such folder"),
        (["--against", "{folder}"], r"--against .*: lies in the folder of the pictures"),
        (["--against", "{folder}/old"], r"--against .*: lies in the folder of the pictures"),
        (["--against", "{parent}"], r"the folder of the pictures \(.*\) lies in it"),
        (["--against", "{parent}/other"], "other: no image file in it: it is empty"),
        (["--against", "{parent}/other", "--out", "{parent}/other/x"], "the folder of --against"),
        (
            ["--against", "{parent}/other", "--features", "{parent}/own.npz"],
            "compared by a network",
        ),
        (["--duplicates-from", "0"], "--duplicates-from '0': must be a number above 0, and 1 at"),
        (["--duplicates-from", "1.01"], "must be a number above 0"),
        (["--duplicates-from", "nan"], "must be a number above 0"),
        (["--model", "m", "--subset", "3"], "--subset cannot be combined with --model"),
        (["--model", "m", "--against", "{parent}/other"], "--against cannot be combined with"),
        (["--model", "m", "--duplicates-from", "1"], "--duplicates-from cannot be combined with"),
    ],
)
def test_a_bad_request_says_what_is_wrong(folder, own, tmp_path, arguments, reason):
    (tmp_path / "other").mkdir()
    filled = [text.format(folder=folder, parent=tmp_path) for text in arguments]
    with pytest.raises(UserError, match=reason):
        request_for(folder, "--out", tmp_path / "out", *filled)


def test_a_subset_another_folder_and_a_similarity_are_taken(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.png").write_bytes((folder / "00.png").read_bytes())
    request = request_for(
        *(folder, "--out", tmp_path / "out", "--subset", 12),
        *("--against", tmp_path / "other", "--duplicates-from", ".95"),
    )
    assert (request.subset, request.least_similarity) == (12, 0.95)
    assert request.against == tmp_path / "other"


def test_an_empty_folder_is_told_before_large_libraries_are_imported(tmp_path):
    (tmp_path / "empty").mkdir()
    code = (
        "import sys; from commands import main\n"
        f"status = main.main(['images', {str(tmp_path / 'empty')!r}])\n"
        "assert not {'numpy', 'pandas', 'torch'} & set(sys.modules), 'slow'\n"
        "sys.exit(status)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(places.ROOT / "src"), "PATH": ""},
    )
    assert ended.returncode == 2
    assert "no image file in it: it is empty" in ended.stderr


def test_new_pictures_are_put_into_clusters_of_own_features(folder, own, tmp_path, capsys):
    known = np.load(own)
    model = FeatureClusterer(2, clusterer="kmeans").fit(known["features"])
    about = {"backbone": "own features", "weights": "own.npz"}
    estimator.save(model, tmp_path / "model.safetensors", about)
    call = (folder, "--model", tmp_path / "model.safetensors", "--out", tmp_path / "out")
    assign(request_for(*call, "--features", own, "--exclude", "old"))
    table = pd.read_csv(tmp_path / "out/assigned.csv")
    assert len(table) == 11
    assert (table["cluster"].to_numpy() == model.labels_[:11]).all()
    with pytest.raises(UserError, match=r"clusters features of a file \(own\.npz\): give those"):
        assign(request_for(*call))
    np.savez(tmp_path / "short.npz", paths=known["paths"], features=known["features"][:, :3])
    with pytest.raises(UserError, match=r"has 3 features, but .* clusters 5"):
        assign(request_for(*call, "--features", tmp_path / "short.npz"))
