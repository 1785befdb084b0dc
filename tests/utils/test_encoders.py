"""Networks trained without labels: their losses by hand, and features that depend on the seed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from utils.errors import UserError
from utils.representations import encoders
from utils.representations.encoders import ENCODERS, divergence, fit_features, nt_xent
from utils.representations.training import TrainingError

WIDTHS = {"ae_dense": 10, "ae_conv": 64 * 4 * 4, "ae_denoising": 10, "vae": 10, "contrastive": 512}


def bars(n=96, side=16):
    """Images of an upright or a lying bar at three places each: six classes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 30, (n, side, side), dtype=np.uint8)
    classes = np.arange(n) % 6
    for image, which in zip(images, classes, strict=True):
        at = 2 + 5 * (which % 3)
        if which < 3:
            image[:, at : at + 2] = 255
        else:
            image[at : at + 2] = 255
    return images, classes


@pytest.mark.parametrize("name", ENCODERS)
def test_features_are_finite_and_follow_the_seed(name):
    images, _ = bars()
    first, again, other = (fit_features(name, images, seed, epochs=1) for seed in (0, 0, 1))
    assert first.dtype == np.float32 and first.shape == (96, WIDTHS[name])
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_loss_falls(name):
    images, _ = bars(512)
    seen = []
    fit_features(name, images, 0, epochs=6, on_epoch=lambda epoch, v: seen.append((epoch, v)))
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1][1]["loss"] < seen[0][1]["loss"]
    assert all(values["seconds"] > 0 for _, values in seen)


@pytest.mark.parametrize("name", ENCODERS)
def test_colour_images_are_encoded_too(name):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    assert len(fit_features(name, images, 0, epochs=1)) == 40


def test_a_dense_autoencoder_separates_bars():
    images, classes = bars(600)
    features = fit_features("ae_dense", images, 0, epochs=30)
    found = KMeans(6, n_init=10, random_state=0).fit_predict(features)
    assert adjusted_rand_score(classes, found) > 0.8


def test_no_epochs_leave_the_network_as_drawn():
    images, seen = bars()[0], []
    untrained = fit_features("vae", images, 0, epochs=0, on_epoch=lambda *epoch: seen.append(epoch))
    assert seen == [] and np.isfinite(untrained).all()
    assert not np.array_equal(untrained, fit_features("vae", images, 0, epochs=1))


def test_images_that_do_not_fit_are_refused():
    images = np.zeros((4, 9, 6), dtype=np.uint8)
    with pytest.raises(UserError, match=r"9×6 pixels are too small for .* at least 8"):
        fit_features("contrastive", images, 0)
    with pytest.raises(UserError, match=r"9×6 pixels do not fit.* multiples of 4"):
        fit_features("ae_conv", images, 0)


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match=r"'simclr': allowed are ae_dense, .*contrastive"):
        fit_features("simclr", bars()[0], 0)


def test_a_loss_that_is_no_number_stops(monkeypatch):
    monkeypatch.setattr(encoders, "LEARNING_RATE", math.inf)
    with pytest.raises(TrainingError, match="vae: the loss is no longer a number in epoch 2"):
        fit_features("vae", bars(256)[0], 0, epochs=2)


def test_denoising_hides_pixels_from_the_network_only():
    seen = []

    def model(pixels):
        seen.append(pixels)
        return torch.zeros_like(pixels)

    pixels = torch.ones(50, 1, 8, 8)
    loss = encoders._denoising(model, pixels, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(math.log(2))
    assert float((seen[0] == 0).float().mean()) == pytest.approx(encoders.MASKED, abs=0.03)
    assert (pixels == 1).all()


# --- the parts of the losses -------------------------------------------------------------------


def test_divergence_is_that_of_the_closed_form():
    mean, log_variance = torch.tensor([[1.0, -2.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0, 0]])
    expected = 0.5 * (1 + 1 - 1 - 0) + 0.5 * (4 + math.e - 1 - 1)
    np.testing.assert_allclose(divergence(mean, log_variance), [expected, 0.0], rtol=1e-6)
    gaussians = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(0.0, 1.0)
    theirs = torch.distributions.kl_divergence(gaussians, standard).sum(dim=1)
    torch.testing.assert_close(divergence(mean, log_variance), theirs)


def test_nt_xent_by_hand():
    views = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0], [0.0, 1.0]])
    # Each view's partner has cosine 1, the two others 0.
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert float(nt_xent(views, 0.5)) == pytest.approx(expected, rel=1e-5)
    swapped = views[[0, 1, 3, 2]]
    assert float(nt_xent(swapped, 0.5)) == pytest.approx(expected + 2, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(0, 1000), st.floats(0.5, 4.0))
def test_nt_xent_does_not_know_length_or_which_view_is_first(n, seed, scale):
    views = torch.randn(2 * n, 5, generator=torch.Generator().manual_seed(seed))
    loss = nt_xent(views, 0.5)
    assert float(loss) > 0
    torch.testing.assert_close(nt_xent(views * scale, 0.5), loss, rtol=1e-4, atol=1e-5)
    swapped = torch.cat([views[n:], views[:n]])
    torch.testing.assert_close(nt_xent(swapped, 0.5), loss, rtol=1e-4, atol=1e-5)
