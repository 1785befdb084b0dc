"""Mistakes in what a file names, or asks for, are found when a run is asked for."""

import ast
import inspect
import re
import subprocess
import sys

import numpy as np
import pytest

from report import published
from utils import clustering, config, places
from utils.clustering import joint
from utils.config import checks, methods, sizes, vocabulary
from utils.data import datasets
from utils.errors import UserError
from utils.places import ROOT
from utils.representations import autoencoders, encoders, registry

PAPERS = ("mnist-cae", "fashion-ae", "mnist-conv-ae", "cifar10-cae")
BOARD = "beyond-mnist"


@pytest.fixture
def folder(tmp_path, monkeypatch, elsewhere):
    """A copy of the configuration."""
    for path in places.config().rglob("*.yaml"):
        copy = tmp_path / path.relative_to(places.config())
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    elsewhere(config=tmp_path)
    return tmp_path


@pytest.fixture
def complaint(folder):
    """Replace a text in a file, ask for its run, and return what is said, and the line."""

    def check(name, old, new, kind="studies", profile="quick"):
        path = folder / kind / f"{name}.yaml"
        text = path.read_text("utf-8")
        assert old in text, old
        path.write_text(text.replace(old, new, 1), "utf-8")
        with pytest.raises(UserError) as caught:
            topic = config.load_topic(BOARD if kind == "profiles" else name)
            checks.require_sound([topic], config.load_profile(profile))
        message = str(caught.value)
        assert "\n" not in message
        assert re.match(rf"{re.escape(str(path))}: line [0-9]+: ", message)
        return message

    return check


@pytest.mark.parametrize("profile", config.profile_names())
@pytest.mark.parametrize("name", [*config.study_names(), *config.leaderboard_names()])
def test_every_study_and_leaderboard_is_sound(name, profile):
    checks.require_sound([config.load_topic(name)], config.load_profile(profile))


STUDY_MISTAKES = [
    # study, what stands there, what is put in its place, the key, what is allowed
    ("mnist-cae", "das2025", "das2052", "citation", "has no entry 'das2052': add it there, or"),
    ("mnist-cae", '"0", "1", "8"', '"0", "1", "ten"', "claims.0.rule.classes.2", "0, 1, 2, 3"),
    ("fashion-ae", "Sandal, Sn", "Sandals, Sn", "claims.0.rule.classes.1", "Coat, Sandal,"),
    ("mnist-cae", '["3", "5"]', '["3", "s"]', "claims.1.rule.pairs.1.1", "0, 1, 2, 3"),
    ("fashion-ae", "pairs: [[", "pairs: [[Shirt, Shirt], [", "claims.1.rule.pairs.0",
     "two different classes (found Shirt twice): allowed are T-shirt/top, Trouser,"),
    ("mnist-cae", "of: &latents {representation: autoencoder, space: pca50", "of: &latents "
     "{representation: autoencoder, space: pca20", "claims.0.rule.of",
     "autoencoder / pca50 / kmeans"),
    ("mnist-cae", "pixels, space: raw", "pixel, space: raw", "claims.3.rule.than", "pixels / raw"),
    ("fashion-ae", "space: raw, clusterer: kmeans}", "space: raw, clusterer: gmm}", "reported.1",
     "kmeans"),
    ("cifar10-cae", "clusters_of: {representation: autoencoder", "clusters_of: {representation: "
     "resnet50", "identities.0.clusters_of", "autoencoder / raw / dbscan"),
    ("mnist-cae", "figure: confusion_latent", "figure: confusion", "claims.0.figure", "tsne_label"),
    ("fashion-ae", "02_train_autoencoder", "02_train", "losses.0.fact.notebook", "01_baseline"),
    ("fashion-ae", "final_loss", "last_loss", "losses.0.fact.name", "final_loss, epochs_run"),
    ("fashion-ae", "n_weights", "weights", "identities.0.fact.name", "n_parameters, n_weights"),
    ("mnist-conv-ae", "name: n_parameters}", "name: n_parameters_latent-11}",
     "identities.0.fact.name", "n_parameters_latent-10"),
    ("fashion-ae", "map_neighbours_same_cluster", "dbscan_noise", "claims.2.rule.fact.name",
     "map_neighbours_same_cluster"),
    ("cifar10-cae", "weights_resnet50,", "weights_resnet,", "reported.2.settled_by.name",
     "weights_resnet50, weights_efficientnet_lite0"),
    ("cifar10-cae", "weights_resnet50,", "parameters_resnet50,", "reported.2.settled_by.name",
     "weights_resnet50"),
    ("fashion-ae", "score: NMI", "score: ARI", "reported.3.score", "are called 'ARI'"),
    ("mnist-cae", "conv_batchnorm", "conv_batch", "autoencoder.architecture", "conv_dense, conv_"),
    ("mnist-cae", "{channels: [32, 64]}", "{channel: [32]}", "options.channel", "channels"),
    ("mnist-cae", "{channels: [32, 64]}", "{}", "autoencoder.options", "conv_batchnorm takes"),
    ("mnist-cae", "{channels: [32, 64]}", "{channels: 32}", "options.channels", "a list"),
    ("mnist-cae", "{channels: [32, 64]}", "{channels: [32, 0]}", "options.channels", "from 1"),
    ("mnist-cae", "{channels: [32, 64]}", "{channels: []}", "options.channels", "at least 1 whole"),
    ("mnist-cae", "{channels: [16, 32]}", "{widths: [16]}", "variants.0.options", "channels"),
    ("mnist-conv-ae", "channels: 16", "channels: [16]", "options.channels", "a whole number"),
    ("mnist-conv-ae", "[784, 392, 196, 14]", "[14]", "options.widths", "at least 2 whole numbers"),
    ("cifar10-cae", "dropout: 0.3", "dropout: 1", "options.dropout", "from 0 to below 1"),
    ("mnist-cae", "{channels: [32, 64]}", "{channels: [9, 9, 9]}", "autoencoder.options",
     "sides must be multiples of 8: set images.resize"),
    ("mnist-cae", "n_components: 50", "n_components: 3137", "space.n_components", "at most 1568"),
    ("mnist-cae", "pca, n_components: 50", "pca", "space.n_components", "is missing"),
    ("mnist-cae", "n_clusters: 10", "n_clusters: 201", "kmeans.n_clusters", "at most 200, the few"),
    ("cifar10-cae", "min_samples: 5", "min_samples: 201", "dbscan.min_samples", "at most 200"),
    ("mnist-cae", "batch_size: 256", "batch_size: 70001", "batch_size", "at most 70000"),
    ("cifar10-cae", "batch_size: 64", "batch_size: 901", "autoencoder.batch_size", "at most 900"),
    ("cifar10-cae", "first: 1000", "first: 50001", "images.first", "at most 50000"),
    ("cifar10-cae", "first: 1000", "first: 49", "images.first", "at least 50 images"),
    ("mnist-conv-ae", "dataset: mnist", "dataset: digits", "validation.images", "last_fraction"),
    ("fashion-ae", "epochs: 20", "epochs: 0", "autoencoder.epochs", "greater than 0"),
    ("fashion-ae", "n_clusters: 10", "n_clusters: 1", "kmeans.n_clusters", "greater than 1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "key", "allowed"), STUDY_MISTAKES)
def test_a_mistake_in_a_study_is_told_with_its_place_and_what_is_allowed(
    complaint, name, old, new, key, allowed
):
    message = complaint(name, old, new)
    assert key in message
    assert allowed in message


def test_two_variants_of_one_name_are_refused(complaint):
    twice = "  - {name: latent-64, options: {widths: [8, 4]}, why: once more}\n"
    message = complaint("fashion-ae", "variants:\n", f"variants:\n{twice}")
    assert "variants.1.name" in message and "two variants are called 'latent-64'" in message


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("mnist-cae", "{name: pca,", "{name: raw,", "'name: umap' only (found 50)"),
        ("mnist-cae", "pca, n_components: 50", "pca", "is missing: 'name: pca' needs it"),
        ("cifar10-cae", "{name: raw}", "{name: raw, n_components: 99999}", "(found 99999)"),
    ],
)
def test_components_that_do_not_fit_the_space_are_one_mistake(complaint, name, old, new, words):
    message = complaint(name, old, new)
    assert "key 'space.n_components': " in message and words in message
    assert message.count("key '") == 1


ROW = "{representation: pixels, space: raw, clusterer: kmeans, quick: true}"
ROW_MISTAKES = [
    ("representation: sift, space: raw, clusterer: kmeans", "representation", "pixels, hog"),
    ("representation: pixels+sift, space: raw, clusterer: gmm", "representation", "'sift'"),
    ("representation: cifar10-cae, space: raw, clusterer: gmm", "representation", "another"),
    ("representation: pixels, space: pca, clusterer: gmm", "space", "raw, pca<d>, umap<d>"),
    ("representation: pixels, space: pca010, clusterer: gmm", "space", "raw, pca<d>"),
    ("representation: pixels, space: pca5x2, clusterer: gmm", "space", "umap<d>x<layouts>"),
    ("representation: pixels, space: umap9x1, clusterer: gmm", "space", "umap<d>x<layouts>"),
    ("representation: pixels, space: raw, clusterer: kmean", "clusterer", "kmeans, gmm, ward"),
    ("representation: pixels, space: raw, clusterer: gmm+label", "clusterer", "self_label"),
    ("representation: pixels, space: raw, clusterer: gmm+self_label+self_label", "clusterer", "st"),
    ("representation: pixels, space: raw, clusterer: dec, k: chosen", "k", "allowed is 'given'"),
    ("representation: pixels, space: pca9, clusterer: dec", "space", "needs pixels in the space"),
    ("representation: pixels, space: pca785, clusterer: gmm", "space", "at most 784, the features"),
    ("representation: mnist-conv-ae, space: pca15, clusterer: gmm", "space", "at most 14, the f"),
    ("representation: hog+vae, space: pca61, clusterer: gmm", "space", "at most 60, the features"),
    ("representation: hog, space: pca1001, clusterer: gmm, quick: true", "space",
     "'pca1001' needs at least 1001 images (found 1000, the fewest that"),
    ("representation: hog, space: pca1001, clusterer: gmm, recipe: x", "space", "1001 images"),
    ("representation: pixels, space: umap999, clusterer: gmm, quick: true", "space",
     "'umap999' needs at least 1001 images"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "key", "allowed"), ROW_MISTAKES)
def test_a_mistake_in_a_method_of_a_leaderboard_is_told_with_what_is_allowed(
    complaint, row, key, allowed
):
    message = complaint(BOARD, ROW, f"{{{row}}}", kind="leaderboards")
    assert f"key 'rows.0.{key}': " in message
    if key != "representation" or "another" not in allowed:
        assert allowed in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n_clusters: 10", "n_clusters: 1001", "key 'n_clusters': at most 1000"),
        ("n_clusters: 10", "n_clusters: 1", "key 'n_clusters': must be greater than 1"),
        ("dataset: mnist", "dataset: cifar10", "deskewed is for grey images only"),
        ("dataset: mnist", "dataset: mnist\nimages: {first: 80000}", "at most 70000"),
        ("common_space: 50", "common_space: 785", "key 'common_space': at most 784, the pixels of"),
        ("internal_images: 10000", "internal_images: 49", "key 'common_space': at most 49, the im"),
        (
            "reduced_images: 1000",
            "reduced_images: 11",
            "'umap10' needs at least 12 images (found 11",
        ),
    ],
)
def test_a_mistake_in_a_leaderboard_is_told(complaint, old, new, said):
    assert said in complaint(BOARD, old, new, kind="leaderboards")


@pytest.mark.parametrize(
    "row",
    [
        "representation: hog, space: pca1001, clusterer: gmm",  # of full runs only
        "representation: pixels, space: pca784, clusterer: gmm, quick: true",
        "representation: vae, space: umap20, clusterer: gmm, quick: true",
    ],
)
def test_a_method_that_its_images_suffice_for_is_allowed(folder, row):
    path = folder / "leaderboards" / f"{BOARD}.yaml"
    path.write_text(path.read_text("utf-8").replace(ROW, f"{{{row}}}"), "utf-8")
    checks.require_sound([config.load_topic(BOARD)], config.load_profile("quick"))


@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3), (8, 8), (30, 29)])
@pytest.mark.parametrize("view", [*methods.HANDMADE, *methods.TRAINED])
def test_the_number_of_features_is_that_of_the_representation(view, shape):
    if view.startswith("deskewed") and len(shape) > 2:
        return
    if view == "ae_conv" and shape[0] % 4:
        return
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    if view in methods.TRAINED:
        features = encoders.fit_features(view, images, seed=0, epochs=0)
    else:
        features = registry.features(view, images)
    assert sizes.n_features(view, shape, {}) == features.shape[1]


def test_the_number_of_features_of_frozen_networks_is_that_of_the_networks():
    images = np.zeros((1, 28, 28), np.uint8)
    for view in methods.FROZEN:
        assert sizes.n_features(view, (28, 28), {}) == registry.features(view, images).shape[1]


def test_a_recipe_on_two_leaderboards_is_refused_with_both_files(complaint, folder):
    message = complaint(
        "beyond-fashion", "clusterer: gmm", "clusterer: gmm, recipe: mnist-hog", kind="leaderboards"
    )
    assert re.search(r"key 'rows\.[0-9]+\.recipe': 'mnist-hog' is also a recipe of ", message)
    assert f"{folder / 'leaderboards' / BOARD}.yaml" in message


def test_a_leaderboard_is_not_refused_for_a_damaged_one_beside_it(folder):
    (folder / "leaderboards" / "beyond-fashion.yaml").write_text("leaderboard: [")
    checks.require_sound([config.load_topic(BOARD)], config.load_profile("quick"))


def test_the_studies_that_a_leaderboard_uses_are_checked_with_it(folder):
    path = folder / "studies" / "mnist-cae.yaml"
    path.write_text(path.read_text("utf-8").replace("das2025", "nobody"), "utf-8")
    with pytest.raises(UserError, match=r"mnist-cae\.yaml: line 3: key 'citation'"):
        checks.require_sound([config.load_topic(BOARD)], config.load_profile("quick"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_images: 2000", "max_images: 49"),
        ("map_points: 1000", "map_points: 10"),
        ("backbone_images: 200", "backbone_images: 10"),
    ],
)
def test_a_profile_of_too_few_images_is_refused(complaint, old, new):
    assert "images are needed (found " in complaint("quick", old, new, kind="profiles")


def test_a_reduced_profile_may_have_fewer_images_than_a_batch(folder):
    path = folder / "studies" / "mnist-cae.yaml"
    path.write_text(path.read_text().replace("batch_size: 256", "batch_size: 70000"))
    checks.require_sound([config.load_study("mnist-cae")], config.load_profile("quick"))


# --- the tables agree with what they are of -------------------------------------------------------


def test_the_tables_of_names_are_those_of_the_code():
    assert set(vocabulary.DATASETS) == set(datasets._SPECS) == set(config.Dataset.__args__)
    assert list(clustering.CLUSTERERS) == list(methods.CLUSTERERS)
    assert list(joint.METHODS) == list(methods.JOINT)
    assert list(encoders.ENCODERS) == list(methods.TRAINED)
    assert set(vocabulary.ARCHITECTURES) == set(autoencoders.ARCHITECTURES)
    for name, build in autoencoders.ARCHITECTURES.items():
        assert list(vocabulary.ARCHITECTURES[name]) == list(inspect.signature(build).parameters)[1:]


@pytest.mark.parametrize(
    ("architecture", "options", "shape"),
    [
        ("conv_batchnorm", {"channels": [2, 3]}, (1, 8, 12)),
        ("conv_dense", {"channels": 2, "widths": [6, 5]}, (1, 4, 4)),
        ("conv_dropout", {"channels": [2, 3, 4], "dropout": 0.1}, (3, 8, 4)),
        ("dense", {"widths": [3]}, (1, 2, 2)),
    ],
)
def test_the_size_of_a_latent_is_that_of_the_network(architecture, options, shape):
    rows = autoencoders.layer_table(autoencoders.build(architecture, shape, options, 0), shape)
    latent = [row["output_shape"] for row in rows if row["part"] == "encoder"][-1]
    size = 1
    for side in latent:
        size *= side
    assert sizes.latent_size(architecture, options, shape) == size


def recorded(method):
    """List the names that notebooks 1 to 4 give to `run.record.<method>`, as patterns."""
    found = []
    for script in sorted((ROOT / "notebooks").glob("0[1-4]*.py")):
        for node in ast.walk(ast.parse(script.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"run.record.{method}":
                name = node.args[0 if method == "fact" else 1]
                parts = name.values if isinstance(name, ast.JoinedStr) else [name]
                found.append(
                    "".join(
                        re.escape(part.value) if isinstance(part, ast.Constant) else ".+"
                        for part in parts
                    )
                )
    return found


@pytest.mark.parametrize(
    ("method", "known"),
    [
        ("figure", checks.figures_of),
        ("fact", lambda study: [n for names in checks.numbers_of(study).values() for n in names]),
    ],
)
def test_the_facts_and_figures_are_those_of_the_notebooks(method, known):
    names = {name for paper in config.study_names() for name in known(config.load_study(paper))}
    patterns = recorded(method)
    words = {"image_shape", "device", "precision"}  # facts that are no numbers
    assert patterns
    for name in names:
        assert any(re.fullmatch(pattern, name) for pattern in patterns), name
    for pattern in set(patterns) - words:
        assert any(re.fullmatch(pattern, name) for name in names), pattern


@pytest.mark.parametrize("paper", PAPERS)
def test_the_published_run_has_the_clusterings_and_facts_that_are_expected(paper):
    run = published.load(places.published())
    study = config.load_study(paper)
    columns = ["representation", "space", "clusterer"]
    rows = run.metrics[run.metrics["study"] == paper]
    made = {tuple(row) for row in rows[columns].drop_duplicates().to_numpy()}
    expected = {tuple(one.model_dump().values()) for one in checks.clusterings_of(study)}
    missing = {"resnet50"}  # whose weights could not be had
    assert made <= expected
    assert {row[0] for row in expected - made} <= missing
    facts = run.facts[run.facts["study"] == paper]
    # A run of earlier code, which left no origins, has not what is recorded since.
    has_origins = (run.evidence["origins.csv"]["study"] == paper).any()
    later = set() if has_origins else {"final_validation_loss"}
    for notebook, names in checks.numbers_of(study).items():
        found = set(facts.loc[facts["notebook"] == notebook, "fact"])
        assert {n for n in set(names) - found - later if not n.endswith("resnet50")} == set()


def test_a_request_is_checked_without_the_heavy_packages(tmp_path):
    code = (
        "import sys; from commands import main, request; "
        "request.request_of(main.parse(['--out', sys.argv[1]])); "
        "print(sorted({'torch', 'numpy', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "[]"
