import numpy as np
import pytest

from utils.config import methods
from utils.config.load import leaderboard_names, load_leaderboard, study_names
from utils.data import datasets
from utils.errors import UserError
from utils.representations import handmade, pretrained, registry
from utils.representations.encoders import ENCODERS


@pytest.fixture(scope="module")
def digits():
    return datasets.load("mnist5k").images[:40]


def test_pixels_are_scaled_to_one(digits):
    pixels = registry.features("pixels", digits)
    assert pixels.dtype == np.float32 and pixels.shape == (40, 784)
    assert np.array_equal(pixels[3].reshape(28, 28) * 255, digits[3])


@pytest.mark.parametrize("kind", ["pixels", "hog"])
def test_deskewed_ones_are_those_of_the_deskewed_images(digits, kind):
    name = "deskewed" if kind == "pixels" else "deskewed_hog"
    expected = registry.features(kind, handmade.deskew(digits))
    assert np.array_equal(registry.features(name, digits), expected)


def test_frozen_features_have_length_one(digits):
    found = registry.features("efficientnet_lite0", digits[:4])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_an_unknown_one_is_refused_with_those_allowed(digits):
    with pytest.raises(UserError, match=r"'sift': allowed are pixels, hog, .*efficientnet_lite2"):
        registry.features("sift", digits)


@pytest.mark.parametrize("board", leaderboard_names())
def test_every_method_of_the_leaderboards_has_known_representations(board):
    known = {*registry.REPRESENTATIONS, *study_names(), *ENCODERS}
    for row in load_leaderboard(board).rows:
        assert set(row.parsed.views) <= known


def test_the_names_are_those_of_the_vocabulary():
    assert list(registry.REPRESENTATIONS) == [*methods.HANDMADE, *methods.FROZEN]


@pytest.mark.parametrize("name", list(pretrained.LITE))
def test_the_side_that_is_recorded_is_the_one_that_the_network_was_made_for(name):
    from timm.data import resolve_model_data_config

    side = resolve_model_data_config(pretrained.lite_network(name))["input_size"][-1]
    assert f"{side}×{side} pixels" in registry.entry(name).settings
    assert pretrained.load_backbone(name).side == side
