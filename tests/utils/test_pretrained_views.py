"""Features of a frozen network in the mean over mirrored and cropped images."""

import numpy as np

from utils.representations import pretrained, pretrained_views, registry


def images(n=2, side=32):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_the_views_are_the_image_its_centre_and_both_mirrored():
    whole = images()
    plain, mirrored, centre, mirrored_centre = pretrained_views.views(whole)
    np.testing.assert_array_equal(plain, whole)
    np.testing.assert_array_equal(mirrored[0, 3, 0], whole[0, 3, 31])
    np.testing.assert_array_equal(centre, whole[:, 2:30, 2:30])
    np.testing.assert_array_equal(mirrored_centre, centre[:, :, ::-1])
    assert [view.shape for view in pretrained_views.views(whole[..., 0])] == [
        *[(2, 32, 32)] * 2,
        *[(2, 28, 28)] * 2,
    ]


def test_features_are_the_mean_over_views_of_length_1(monkeypatch):
    shown = []
    plain = pretrained.unit_features
    monkeypatch.setattr(
        pretrained, "unit_features", lambda *a: shown.append(plain(*a)) or shown[-1]
    )
    done = []
    found = registry.features(
        "efficientnet_lite0_views", images(), lambda *progress: done.append(progress)
    )
    assert len(shown) == 4 and found.dtype == np.float32 and found.shape == (2, 1280)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    mean = np.mean(shown, axis=0)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6)
    assert done == [(0, 2), (1, 2), (1, 2), (2, 2)]


def test_mirrored_images_have_the_same_features():
    one = images()
    found, mirrored = (
        registry.features("efficientnet_lite0_views", each) for each in (one, one[:, :, ::-1])
    )
    np.testing.assert_allclose(found, mirrored, atol=1e-5)


def test_an_entry_says_its_views():
    entry = registry.entry("efficientnet_lite2_views")
    assert entry.module == "utils.representations.pretrained_views"
    assert "260×260 pixels" in entry.settings and "mirrored" in entry.settings
