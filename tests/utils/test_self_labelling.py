import numpy as np
import pytest

from utils.clustering import self_labelling
from utils.clustering.self_labelling import refine, sure_images


def test_an_image_is_sure_if_all_its_neighbours_share_its_cluster():
    assignment = np.array([0, 0, 0, 1, 1, -1, -1])
    neighbours = np.array([[1, 2], [0, 2], [1, 3], [4, 4], [3, 2], [6, 6], [5, 5]])
    expected = [True, True, False, True, False, False, False]
    assert sure_images(neighbours, assignment).tolist() == expected


@pytest.fixture(scope="module")
def bars():
    """Three kinds of bars, and a clustering of which one in ten is wrong, where features say so."""
    random = np.random.default_rng(0)
    kinds = np.arange(900) % 3
    images = random.integers(0, 40, (900, 16, 16), dtype=np.uint8)
    for image, kind in zip(images, kinds, strict=True):
        image[:, 2 + 5 * kind : 5 + 5 * kind] = 220
    wrong = random.random(900) < 0.1
    assignment = np.where(wrong, (kinds + 1) % 3, kinds).astype(np.int32)
    features = np.eye(3)[kinds] * 10 + random.normal(size=(900, 3))
    features[wrong] += 30 * random.normal(size=(wrong.sum(), 3))
    return images, features.astype(np.float32), assignment, kinds


def test_wrong_images_are_put_right_and_clusters_keep_their_numbers(bars, monkeypatch):
    images, features, assignment, kinds = bars
    monkeypatch.setattr(self_labelling, "N_NEIGHBORS", 3)
    seen = []
    result = refine(images, features, assignment, 0, 3, lambda e, v: seen.append((e, *v)))
    assert (assignment != kinds).mean() > 0.05
    assert (result.assignment != kinds).mean() < 0.01
    assert result.assignment.dtype == np.int32
    assert result.confidence.shape == (900,) and (result.confidence <= 1).all()
    assert seen == [(epoch, "loss", "seconds") for epoch in (1, 2, 3)]


def test_the_seed_decides(bars):
    images, features, assignment, _ = (part[:300] for part in bars)
    first, again, other = (refine(images, features, assignment, s, 1) for s in (0, 0, 1))
    assert np.array_equal(first.confidence, again.confidence)
    assert not np.array_equal(first.confidence, other.confidence)
