"""The trial of a study: it trains on few images, and a full run's time follows from its own."""

import dataclasses

import numpy as np
import pytest

from utils import config
from utils.data import datasets
from utils.runs import trial

PAPER = config.load_profile("paper")
QUICK = config.load_profile("quick")
DENSE = config.Autoencoder(
    architecture="dense",
    options={"widths": [6, 1]},
    loss="mean_squared_error",
    optimizer={"name": "adam", "learning_rate": 0.001},
    batch_size=1000,
    epochs=7,
)


def study(**changes):
    base = config.load_study("mnist-cae").model_copy(
        update={"autoencoder": DENSE, "space": config.Space(name="raw"), "variants": []}
    )
    return base.model_copy(update=changes)


@pytest.fixture
def few(monkeypatch):
    """Sixty images in the place of MNIST."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    labels = (np.arange(60) % 10).astype(np.uint8)
    data = datasets.load("mnist5k")
    data = dataclasses.replace(data, images=images, labels=labels)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: data)


def test_a_trial_of_a_code_of_one_number_and_a_batch_above_the_images(few):
    found = trial.run_trial(study(), QUICK)
    assert (found.images, found.latent_size, found.dataset) == (60, 1, "mnist5k")
    # 784 → 6 → 1 → 6 → 784
    assert (found.weights, found.biases) == (2 * (784 * 6 + 6), 6 + 1 + 6 + 784)
    assert sum(row["parameters"] for row in found.layers) == found.weights + found.biases
    assert 0 < found.loss < 1
    assert min(found.training, found.validation) > 0
    assert found.on_code.n == found.on_pixels.n == 60


def test_the_same_trial_has_the_same_loss_whatever_the_labels(few, monkeypatch):
    before = trial.run_trial(study(), QUICK).loss
    data = datasets.load("mnist")
    shuffled = dataclasses.replace(data, labels=data.labels[::-1].copy())
    monkeypatch.setattr(datasets, "load", lambda *_, **__: shuffled)
    assert trial.run_trial(study(), QUICK).loss == before


def test_k_means_grows_with_the_points_and_scores_with_their_square():
    # The scores of n points take 1 + 2 (n / 100)² seconds.
    measured = trial.Seconds(n=100, kmeans=2.0, scores=3.0, scores_of_half=1.5)
    assert measured.of(100) == pytest.approx(2.0 + 3.0)
    assert measured.of(1000) == pytest.approx(2.0 * 10 + 1 + 2.0 * 100)


def test_scores_that_take_no_longer_for_more_points_do_not_grow():
    assert trial.Seconds(100, kmeans=0.0, scores=1.0, scores_of_half=2.0).of(10_000) == 1.0


MADE = trial.Trial(
    dataset="mnist",
    images=500,
    layers=[],
    weights=0,
    biases=0,
    latent_size=1,
    loss=0.0,
    training=1e-3,
    validation=1e-4,
    on_code=trial.Seconds(n=1000, kmeans=1.0, scores=0.0, scores_of_half=0.0),
    on_pixels=trial.Seconds(n=1000, kmeans=10.0, scores=0.0, scores_of_half=0.0),
)
LAST = config.Validation(images="last_fraction", fraction=0.1)
STOPPING = config.Validation(images="test_split", patience=3)


@pytest.mark.parametrize(
    ("changes", "validation", "expected"),
    [
        ({}, None, 70_000 * 1e-3),
        ({"images": config.Images(split="train")}, None, 60_000 * 1e-3),
        ({"images": config.Images(first=1000)}, None, 1000 * 1e-3),
        ({"images": config.Images(first=1000)}, LAST, 900 * 1e-3 + 100 * 1e-4),
        ({"images": config.Images(split="train")}, STOPPING, 60_000 * 1e-3 + 10_000 * 1e-4),
    ],
)
def test_the_time_of_training_counts_images_epochs_and_seeds(changes, validation, expected):
    protocol = DENSE.model_copy(update={"validation": validation})
    training, clustering = trial.estimate(study(autoencoder=protocol, **changes), PAPER, MADE)
    assert training.seconds == pytest.approx(expected * 7 * PAPER.seeds)
    assert ("at most" in training.how) == (validation is STOPPING)
    n = trial.images_of(study(autoencoder=protocol, **changes), PAPER)[0]
    of_code, of_pixels = PAPER.seeds * (1 + PAPER.clustering_seeds), 1 + PAPER.untrained_seeds
    assert clustering.seconds == pytest.approx((of_code * 1.0 + of_pixels * 10.0) * n / 1000)


def test_variants_are_counted_with_their_own_seeds():
    variants = config.load_study("mnist-cae").variants
    parts = {one.part: one for one in trial.estimate(study(variants=variants), PAPER, MADE)}
    n_networks = sum(variant.seeds for variant in variants)
    one = parts["training"].seconds / PAPER.seeds
    assert parts["variants"].seconds == pytest.approx(n_networks * one)


def test_a_reduced_profile_has_fewer_images_and_epochs():
    training, _ = trial.estimate(study(), QUICK, MADE)
    assert training.seconds == pytest.approx(2000 * 1e-3 * 3)
