import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from utils.errors import UserError
from utils.representations import handmade
from utils.spaces import views


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def histograms(image):
    """HOG of one image as (block row, block column, cell row, cell column, orientation)."""
    features = handmade.hog(image[None])[0]
    height, width = (side // 4 - 1 for side in image.shape[:2])
    return features.reshape(height, width, 2, 2, 8)


@pytest.mark.parametrize(
    ("shape", "n_features"),
    [((3, 28, 28), 1152), ((3, 32, 32, 3), 1568), ((2, 8, 8), 32), ((2, 11, 17), 32 * 1 * 3)],
)
def test_hog_has_a_histogram_per_cell_and_block(shape, n_features):
    features = handmade.hog(noise(shape))
    assert features.shape == (shape[0], n_features)
    assert features.dtype == np.float32
    assert features.min() >= 0
    assert features.max() <= 1


def test_hog_tells_the_direction_of_edges():
    ramp = np.tile(np.arange(0, 240, 15, dtype=np.uint8), (16, 1))  # gradient along the columns
    across, down = histograms(ramp), histograms(ramp.T)
    assert across.sum(axis=(0, 1, 2, 3)).argmax() == 0
    assert down.sum(axis=(0, 1, 2, 3)).argmax() == 4  # 90 degrees: bin 4 of 8 in 180
    # all of a cell's gradient has one direction, so the others hold nothing
    np.testing.assert_allclose(across[1, 1, ..., 1:], 0, atol=1e-6)


@given(arrays(np.uint8, (12, 12), elements=st.integers(0, 127)), st.integers(0, 128))
def test_hog_does_not_see_brightness(image, more):
    np.testing.assert_array_equal(
        handmade.hog(image[None]), handmade.hog((image + np.uint8(more))[None])
    )


@given(arrays(np.uint8, (9, 13)))
def test_hog_of_grey_in_three_channels_is_that_of_grey(image):
    colour = np.repeat(image[None, ..., None], 3, axis=3)
    np.testing.assert_allclose(handmade.hog(colour), handmade.hog(image[None]), atol=1e-6)


@given(st.integers(0, 255), st.sampled_from([(2, 16, 16), (2, 16, 16, 3)]))
def test_hog_of_constant_images_is_zero(value, shape):
    np.testing.assert_array_equal(handmade.hog(np.full(shape, value, np.uint8)), 0)


def test_hog_looks_at_each_image_alone_and_reports_progress():
    images = noise((handmade.BATCH + 2, 8, 8))
    calls = []
    features = handmade.hog(images, lambda done, total: calls.append((done, total)))
    n = len(images)
    assert calls == [(handmade.BATCH, n), (n, n)]
    np.testing.assert_array_equal(features[-3:], handmade.hog(images[-3:]))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (noise((2, 7, 8)), "at least 8 × 8 pixels, found 7 × 8"),
        (noise((0, 8, 8)), "at least 1 image"),
        (noise((8, 8)), r"shape \(8, 8\)"),
        (noise((2, 8, 8, 4)), r"shape \(2, 8, 8, 4\)"),
        (noise((2, 8, 8)).astype(np.float32), "found float32"),
    ],
)
def test_hog_refuses(images, words):
    with pytest.raises(UserError, match=words):
        handmade.hog(images)


def view(n, d, scale, seed):
    return (scale * (np.random.default_rng(seed).standard_normal((n, d)) + 5)).astype(np.float32)


def test_views_stand_side_by_side_with_the_same_weight():
    large, small = view(100, 80, 1000, 0), view(100, 7, 0.001, 1)
    both = views(large, small)
    assert both.shape == (100, 57)
    assert both.dtype == np.float32
    for part in (both[:, :50], both[:, 50:]):
        assert np.square(part).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(both[:, 50:], views(small))


def test_a_small_view_keeps_its_distances_but_for_the_scale():
    small = view(60, 7, 3, 2)
    ratio = np.linalg.norm(small[0] - small[1:], axis=1) / np.linalg.norm(
        views(small)[0] - views(small)[1:], axis=1
    )
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "at least one representation"),
        ([view(60, 4, 1, 0), view(61, 4, 1, 0)], r"same images, found \[60, 61\]"),
        ([view(60, 4, 1, 0), np.ones((60, 4), np.float32)], "all 60 points are equal"),
        ([view(49, 80, 1, 0)], "PCA to 50 needs at least 50 points, found 49"),
    ],
)
def test_views_refuses(parts, words):
    with pytest.raises(UserError, match=words):
        views(*parts)


def test_a_slanted_bar_is_set_upright_and_an_upright_one_stays():
    upright, slanted = np.zeros((2, 29, 29), np.uint8)
    for row in range(4, 25):
        upright[row, 13:16] = 255
        slanted[row, 13 + (14 - row) // 2 : 16 + (14 - row) // 2] = 255
    found = handmade.deskew(np.stack([upright, slanted]))
    assert np.abs(found[0].astype(int) - upright).max() <= 1

    def slant(image):
        rows, columns = np.nonzero(image > 100)
        return np.polyfit(rows, columns, 1)[0]

    assert abs(slant(slanted)) > 0.4
    assert abs(slant(found[1])) < 0.05


def test_deskewing_leaves_an_empty_image_empty_and_refuses_colour():
    assert not handmade.deskew(np.zeros((2, 28, 28), np.uint8)).any()
    with pytest.raises(UserError, match="needs grey images"):
        handmade.deskew(np.zeros((2, 28, 28, 3), np.uint8))
