"""Words made of names and numbers."""

import numpy as np

from utils.config import vocabulary
from utils.figures import clusters


def test_the_largest_confusion_is_the_largest_cell_of_two_names():
    counts = np.array([[900, 3, 40], [7, 800, 1234], [50, 60, 9000]])
    said = clusters.largest_confusion(counts, ["4", "9", "4"], ["4", "9", "3"])
    assert said == "the largest confusion is 9,000 images of 3 in a cluster of 4"
    assert clusters.largest_confusion(np.eye(2, dtype=int), ["a", "b"], ["a", "b"]) == (
        "no image lies in a cluster of another class"
    )
    assert clusters.largest_confusion(np.array([[5]]), ["a"], ["a"]) == (
        "no image lies in a cluster of another class"
    )


def test_parts_of_a_name():
    assert vocabulary.describe("pixels+hog", "umap10x5", "gmm+self_label") == (
        "pixels + HOG, UMAP 10 × 5 layouts, Gaussian mixture + self-labelling"
    )
