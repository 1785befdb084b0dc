"""Words made of names and numbers."""

import numpy as np
import pytest

from utils.config import vocabulary
from utils.figures import confusions


def test_the_largest_confusion_is_the_largest_cell_of_two_names():
    counts = np.array([[900, 3, 40], [7, 800, 1234], [50, 60, 9000]])
    said = confusions.largest_confusion(counts, ["4", "9", "4"], ["4", "9", "3"])
    assert said == "the largest confusion is 9,000 images of 3 in a cluster of 4"
    assert confusions.largest_confusion(np.eye(2, dtype=int), ["a", "b"], ["a", "b"]) == (
        "no image lies in a cluster of another class"
    )
    assert confusions.largest_confusion(np.array([[5]]), ["a"], ["a"]) == (
        "no image lies in a cluster of another class"
    )


def test_parts_of_a_name():
    assert vocabulary.describe("pixels+hog", "umap10x5", "gmm+self_label") == (
        "pixels + HOG, UMAP 10 × 5 layouts, Gaussian mixture + self-labelling"
    )


@pytest.mark.parametrize(("seed", "seeds"), [(0, [0]), (0, range(5)), (3, [7, 3, 5])])
def test_the_first_seed_runs_all_notebooks_of_a_study(seed, seeds):
    assert vocabulary.study_notebooks(seed, seeds) == list(vocabulary.STUDY_NOTEBOOKS)


@pytest.mark.parametrize(("seed", "seeds"), [(1, range(5)), (7, [7, 3, 5])])
def test_further_seeds_run_only_the_notebooks_that_depend_on_a_trained_network(seed, seeds):
    assert vocabulary.study_notebooks(seed, seeds) == [
        "02_train_autoencoder",
        "03_latent_clustering",
    ]
