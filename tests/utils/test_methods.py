"""Methods are read from their names, and written as they were read."""

import pytest

from utils.config.load import leaderboard_names, load_leaderboard
from utils.config.methods import FROZEN, Method, Space, mistakes
from utils.errors import UserError


@pytest.mark.parametrize("board", leaderboard_names())
def test_every_method_of_the_leaderboards_is_written_as_it_was_read(board):
    for row in load_leaderboard(board).rows:
        assert row.parsed.names == (row.representation, row.space, row.method)
        assert Method.from_table(*row.parsed.names) == row.parsed


def test_the_parts_of_a_method():
    method = Method.parse("hog+vae", "umap10x5", "gmm+self_label", "chosen")
    assert method == Method(("hog", "vae"), Space("umap", 10, 5), "gmm", "self_label", True)
    assert str(method) == "hog+vae / umap10x5 / gmm+self_label_k_chosen"
    assert method.in_words == (
        "HOG + variational autoencoder",
        "UMAP 10 × 5 layouts",
        "Gaussian mixture + self-labelling, k chosen",
    )
    assert Method.from_table("autoencoder", "pca50", "dbscan").in_words == (
        "autoencoder", "PCA 50", "DBSCAN"
    )  # fmt: skip


def test_a_space_says_its_neighbours_layouts_and_components_before():
    space = Space.parse("pca100-umap10n30x5")
    assert space == Space("umap", 10, 5, 30, 100)
    assert str(space) == "pca100-umap10n30x5"
    assert space.in_words == "PCA 100 → UMAP 10 (30 neighbours) × 5 layouts"
    assert Space.parse("umap50n30") == Space("umap", 50, n_neighbors=30)
    assert Space.parse("pca50") == Space("pca", 50)


@pytest.mark.parametrize(
    "name", ["pca5-pca2", "pca5n3", "umap5n1", "umap5x2n3", "pca0-umap5", "-umap5"]
)
def test_parts_of_a_space_stand_in_their_order_and_belong_to_umap(name):
    with pytest.raises(UserError, match="unknown space"):
        Space.parse(name)


@pytest.mark.parametrize(
    ("names", "in_words", "trained", "labels"),
    [
        (
            ("efficientnet_lite0+efficientnet_lite2", "raw", "turtle"),
            ("EfficientNet-Lite0 + EfficientNet-Lite2", "raw", "TURTLE"),
            *(False, "ImageNet"),
        ),
        (("hog", "pca50", "temi"), ("HOG", "PCA 50", "TEMI"), False, None),
        (
            ("efficientnet_lite0_views", "umap10", "kmeans+linear_head"),
            ("EfficientNet-Lite0, averaged over views", "UMAP 10", "k-means + linear head"),
            *(False, "ImageNet"),
        ),
        (("hog", "raw", "evoc"), ("HOG", "raw", "EVoC"), False, None),
        (("hog", "raw", "plscan"), ("HOG", "raw", "PLSCAN"), False, None),
    ],
)
def test_heads_and_layers_of_clusters(names, in_words, trained, labels):
    method = Method.parse(*names)
    assert method.names == names and method.in_words == in_words
    assert (method.is_trained_here, method.weights_trained_with) == (trained, labels)


def test_turtle_needs_the_features_of_each_view_and_k():
    found = dict(mistakes("hog", "pca5", "turtle", "chosen", ["hog"]))
    assert found == {
        "space": "turtle needs the features of each view: the space 'raw', not pca5",
        "k": "turtle cannot choose k: allowed is 'given'",
    }


@pytest.mark.parametrize(
    "name", ["tsne2", "pca", "umap0", "pca-3", "pca2x3", "umap2x0", "umap2x1", "raw2", "", "raw\n"]
)
def test_only_known_spaces_are_allowed(name):
    with pytest.raises(UserError, match=r"allowed are raw, pca<d>, umap<d>, umap<d>x<layouts>, "):
        Space.parse(name)


@pytest.mark.parametrize(
    ("names", "trained", "labels"),
    [
        (("pixels+hog", "raw", "kmeans"), False, None),
        (("hog+efficientnet_lite1", "raw", "kmeans"), False, "ImageNet"),
        (("mnist-cae", "raw", "kmeans"), True, None),
        (("pixels+vae", "raw", "kmeans"), True, None),
        (("pixels", "raw", "n2d"), True, None),
        (("efficientnet_lite0", "raw", "gmm+self_label"), True, "ImageNet"),
    ],
)
def test_what_has_to_be_trained_for_a_method(names, trained, labels):
    method = Method.parse(*names)
    assert (method.is_trained_here, method.weights_trained_with) == (trained, labels)


def test_every_mistake_is_told_with_its_part():
    found = dict(mistakes("hog+sift", "pca", "dec+label", "chosen", ["hog", *FROZEN]))
    assert list(found) == ["representation", "space", "clusterer", "k"]
    assert "'sift': allowed are hog, efficientnet_lite0," in found["representation"]
    assert "'label': allowed are self_label, linear_head" in found["clusterer"]
    assert found["k"] == "dec cannot choose k: allowed is 'given'"
    with pytest.raises(UserError, match="dec needs pixels in the space 'raw' \\(found pca5\\)"):
        Method.parse("pixels", "pca5", "dec")
