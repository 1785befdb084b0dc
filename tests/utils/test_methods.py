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
    assert method == Method(("hog", "vae"), Space("umap", 10, 5), "gmm", True, True)
    assert str(method) == "hog+vae / umap10x5 / gmm+self_label_k_chosen"
    assert method.in_words == (
        "HOG + variational autoencoder",
        "UMAP 10 × 5 layouts",
        "Gaussian mixture + self-labelling, k chosen",
    )
    assert Method.from_table("autoencoder", "pca50", "dbscan").in_words == (
        "autoencoder", "PCA 50", "DBSCAN"
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["tsne2", "pca", "umap0", "pca-3", "pca2x3", "umap2x0", "umap2x1", "raw2", "", "raw\n"]
)
def test_only_known_spaces_are_allowed(name):
    with pytest.raises(UserError, match=r"allowed are raw, pca<d>, umap<d>, umap<d>x<layouts>"):
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
    assert "'label': allowed are self_label" in found["clusterer"]
    assert found["k"] == "dec cannot choose k: allowed is 'given'"
    with pytest.raises(UserError, match="dec needs pixels in the space 'raw' \\(found pca5\\)"):
        Method.parse("pixels", "pca5", "dec")
