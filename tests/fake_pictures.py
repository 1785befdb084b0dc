"""A little collection of images in three groups, to be explored."""

import numpy as np

from utils.explore import Pictures

PER_GROUP, SIDE = 30, 12


def collection() -> Pictures:
    """Make images whose bright third, with noise, says their group; groups are mixed."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(3), PER_GROUP))
    images = random.integers(0, 60, (len(labels), SIDE, SIDE)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 4] += 150
    return Pictures(
        topic="fake",
        images=images,
        labels=labels,
        class_names=("top", "middle", "bottom"),
        names=tuple(map(str, range(len(labels)))),
        unit="index",
        k=3,
        seed=0,
        features={},
        representations=("pixels", "hog"),
    )
