"""Unusual pictures: each kind is found, ordinary pictures are not."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from utils.runs import picture_quality
from utils.runs.picture_quality import ISSUES, issues, sharpness


@pytest.fixture(scope="module")
def photographs():
    """Twelve parts of photographs, 64 pixels a side."""
    parts = []
    for name in ("astronaut", "chelsea", "coffee"):
        picture = getattr(data, name)()
        parts += [
            np.asarray(
                Image.fromarray(picture[top : top + 180, left : left + 180]).resize((64, 64))
            )
            for top in (0, 120)
            for left in (0, 220)
        ]
    return np.stack(parts)


def listed(small, issue, width=None, height=None, sharp=None):
    n = len(small)
    found = issues(
        small,
        np.full(n, 640) if width is None else width,
        np.full(n, 480) if height is None else height,
        np.full(n, 0.6) if sharp is None else sharp,
    )
    assert set(found["issue"]) <= set(ISSUES)
    return found.loc[found["issue"] == issue, "row"].tolist()


def test_ordinary_photographs_are_in_no_list(photographs):
    assert issues(photographs, np.full(12, 640), np.full(12, 480), np.full(12, 0.6)).empty


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_dark_and_light_pictures_are_found(photographs, share):
    dark = (photographs * share).astype(np.uint8)
    assert sorted(listed(np.concatenate([photographs, dark]), "dark")) == list(range(12, 24))
    assert sorted(listed(np.concatenate([photographs, 255 - dark]), "light")) == list(range(12, 24))


def test_pictures_of_one_colour_are_blank_and_nothing_else(photographs):
    colours = np.random.default_rng(0).integers(0, 256, (10, 1, 1, 3)).astype(np.uint8)
    blank = np.broadcast_to(colours, (10, 64, 64, 3))
    everything = np.concatenate([photographs, blank])
    assert sorted(listed(everything, "blank")) == list(range(12, 22))
    for issue in ("dark", "light", "low information"):
        assert listed(everything, issue) == []


def test_a_line_on_a_plain_ground_has_little_information(photographs):
    plain = np.full((1, 64, 64, 3), 200, np.uint8)
    plain[:, 30:32, 5:40] = 20
    assert listed(np.concatenate([photographs, plain]), "low information") == [12]


def test_long_and_tiny_pictures_are_odd_the_most_extreme_first(photographs):
    width, height = np.full(12, 640), np.full(12, 480)
    width[3], height[4], width[5], height[5] = 4000, 5000, 60, 60
    assert listed(photographs, "odd size", width, height) == [3, 4, 5]


def test_blurred_photographs_are_less_sharp_than_the_limit():
    limit = picture_quality.SHARPNESS_OF_BLURRED
    for name in ("astronaut", "camera", "chelsea", "coffee"):
        picture = Image.fromarray(getattr(data, name)()).convert("RGB")
        blurred = picture.filter(ImageFilter.GaussianBlur(4))
        assert sharpness(np.asarray(blurred)) < limit < sharpness(np.asarray(picture))


def test_what_cannot_be_sharp_is_not_called_blurred(photographs):
    assert np.isnan(sharpness(np.full((64, 64, 3), 7, np.uint8)))
    assert np.isnan(sharpness(np.zeros((1, 4000, 3), np.uint8)))
    sharp = np.full(12, np.nan)
    sharp[[2, 7]] = 0.2, 0.1
    assert listed(photographs, "blurred", sharp=sharp) == [7, 2]
