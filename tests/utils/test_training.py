import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import torch

from utils.config.schema import Autoencoder
from utils.errors import UserError
from utils.places import ROOT
from utils.representations import training


def protocol(**changes):
    content = {
        "architecture": "conv_batchnorm",
        "options": {"channels": [4, 8]},
        "loss": "binary_cross_entropy",
        "optimizer": {"name": "adam", "learning_rate": 1e-2},
        "batch_size": 16,
        "epochs": 3,
    }
    return Autoencoder.model_validate(content | changes)


@pytest.fixture(scope="module")
def images():
    # Bars at random places: simple enough to be learnt in a few steps.
    generator = np.random.default_rng(0)
    images = np.zeros((72, 28, 28), np.uint8)
    for image, column in zip(images, generator.integers(2, 25, len(images)), strict=True):
        image[4:24, column : column + 3] = 255
    return images


def weights(run):
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "adam", "learning_rate": 1e-2},
        {"name": "adadelta", "learning_rate": 1.0, "rho": 0.95},
    ],
    ids=["adam", "adadelta"],
)
def test_loss_falls(images, loss, optimizer):
    run = training.train(images, protocol(loss=loss, optimizer=optimizer, epochs=6), seed=0)
    losses = run.history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert len(losses) == len(run.history["seconds"]) == 6
    assert not run.model.training


def test_the_same_seed_gives_the_same_model_and_another_does_not(images):
    first, second, other = (training.train(images, protocol(), seed=s) for s in (1, 1, 2))
    assert first.history["loss"] == second.history["loss"]
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


def test_the_loss_is_the_mean_over_images_also_with_a_short_last_batch(images, monkeypatch):
    """72 images in batches of 50: the second batch has 22 and counts less."""
    values = iter([1.0, 2.0])

    def fake_loss(model, pixels, protocol):
        return next(values) + 0 * next(model.parameters()).sum()

    monkeypatch.setattr(training, "reconstruction_loss", fake_loss)
    run = training.train(images, protocol(batch_size=50, epochs=1), seed=0)
    assert run.history["loss"] == [pytest.approx((50 * 1 + 22 * 2) / 72)]


def test_the_precision_is_the_protocols_and_not_the_processors(images, monkeypatch):
    exact = training.train(images, protocol(epochs=1), seed=0).history["loss"]
    monkeypatch.setattr(training, "has_bfloat16", lambda device: True)
    assert training.train(images, protocol(epochs=1), seed=0).history["loss"] == exact
    rounded = training.train(images, protocol(epochs=1, precision="bfloat16"), seed=0)
    assert rounded.history["loss"] != exact
    assert rounded.history["loss"] == pytest.approx(exact, rel=0.02)


class Interrupted(Exception):
    pass


def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(images, tmp_path):
    undisturbed = training.train(images, protocol(epochs=4), seed=3)
    checkpoint = tmp_path / "checkpoint.safetensors"

    def stop_after_two(epoch, _values):
        if epoch == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        training.train(images, protocol(epochs=4), 3, None, None, checkpoint, stop_after_two)
    epochs = []
    resumed = training.train(
        images, protocol(epochs=4), 3, None, None, checkpoint, lambda e, _: epochs.append(e)
    )
    assert epochs == [3, 4]
    assert resumed.history["loss"] == undisturbed.history["loss"]
    assert same(weights(resumed), weights(undisturbed))


def test_a_checkpoint_of_another_training_is_not_used(images, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    training.train(images, protocol(), 0, checkpoint=checkpoint)
    other = training.train(images, protocol(), 1, checkpoint=checkpoint)
    assert same(weights(other), weights(training.train(images, protocol(), 1)))


def test_a_damaged_checkpoint_is_named_and_not_used(images, tmp_path, capsys):
    checkpoint = tmp_path / "checkpoint.safetensors"
    training.train(images, protocol(), 0, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    run = training.train(images, protocol(), 0, checkpoint=checkpoint)
    assert "damaged" in capsys.readouterr().out
    assert len(run.history["loss"]) == 3


def test_a_loss_that_is_no_number_is_caught_at_its_batch(images, monkeypatch):
    losses = iter([1.0, 1.0, float("nan"), 1.0, 1.0])

    def fake_loss(model, pixels, protocol):
        return next(losses) + 0 * next(model.parameters()).sum()

    monkeypatch.setattr(training, "reconstruction_loss", fake_loss)
    with pytest.raises(training.TrainingError, match=r"nan in epoch 1, batch 3 of 5"):
        training.train(images, protocol(), seed=0)


def test_pixels_are_scaled_to_one():
    images = np.array([[[0, 51], [102, 255]]], np.uint8)
    pixels = training.to_pixels(training.on_device(images, torch.device("cpu")))
    assert pixels.shape == (1, 1, 2, 2)
    assert torch.allclose(pixels.flatten(), torch.tensor([0, 0.2, 0.4, 1.0]))


def test_resizing_is_bilinear():
    """Doubling the side: the corners keep their values, the points between are weighted 3 to 1."""
    images = np.array([[[0, 255], [0, 255]]], np.uint8)
    pixels = training.to_pixels(training.on_device(images, torch.device("cpu")), resize=4)
    assert torch.allclose(pixels[0, 0], torch.tensor([0, 0.25, 0.75, 1.0]).expand(4, 4))


def test_colour_images_are_put_channels_first():
    images = np.zeros((2, 4, 6, 3), np.uint8)
    images[..., 2] = 255
    stack = training.on_device(images, torch.device("cpu"))
    assert stack.shape == (2, 3, 4, 6)
    assert (stack[:, 2] == 255).all()
    assert training.image_shape(images) == (3, 4, 6)
    assert training.image_shape(images, resize=8) == (3, 8, 8)


def test_latents_do_not_depend_on_the_batch_they_are_computed_in(images, monkeypatch):
    model = training.train(images, protocol(epochs=1), seed=0).model
    whole = training.encode(model, images)
    monkeypatch.setattr(training, "ENCODE_BATCH", 7)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(training.encode(model, images), whole, rtol=1e-4, atol=1e-5)
    assert training.reconstruct(model, images).shape == (72, 1, 28, 28)


def test_nothing_to_encode_is_an_error(images):
    model = training.train(images, protocol(epochs=1), seed=0).model
    with pytest.raises(UserError, match="no images"):
        training.encode(model, images[:0])


def early_stopping(patience, epochs=9):
    return protocol(epochs=epochs, validation={"images": "test_split", "patience": patience})


def fake_validation(monkeypatch, losses):
    values = iter(losses)
    monkeypatch.setattr(training, "_validation_loss", lambda *_: next(values))


def test_early_stopping_waits_for_its_patience_and_keeps_the_best_weights(images, monkeypatch):
    fake_validation(monkeypatch, [3.0, 1.0, 2.0, 1.5, 1.2, 0.1])
    run = training.train(images, early_stopping(patience=3), seed=0, validation=images[:4])
    assert run.history["validation_loss"] == [3.0, 1.0, 2.0, 1.5, 1.2]
    assert same(weights(run), weights(training.train(images, protocol(epochs=2), seed=0)))


def test_early_stopping_goes_on_where_it_was_killed(images, monkeypatch, tmp_path):
    losses = [3.0, 1.0, 2.0, 1.5, 1.2]
    fake_validation(monkeypatch, losses)
    whole = training.train(images, early_stopping(patience=3), 0, validation=images[:4])

    def stop_after_three(epoch, _values):
        if epoch == 3:
            raise Interrupted

    fake_validation(monkeypatch, losses)
    arguments = (images, early_stopping(patience=3), 0, None, images[:4], tmp_path / "checkpoint")
    with pytest.raises(Interrupted):
        training.train(*arguments, stop_after_three)
    resumed = training.train(*arguments)
    assert resumed.history["validation_loss"] == whole.history["validation_loss"]
    assert same(weights(resumed), weights(whole))


def test_validation_images_are_measured_and_not_trained_on(images):
    """The loss on them is that of the final weights, and the training is as without them."""
    held_out, rest = images[:10], images[10:]
    settings = protocol(validation={"images": "test_split"})
    run = training.train(rest, settings, seed=0, validation=held_out)
    assert same(weights(run), weights(training.train(rest, protocol(), seed=0)))
    pixels = training.to_pixels(training.on_device(held_out, torch.device("cpu")))
    with torch.no_grad():
        loss = float(training.reconstruction_loss(run.model, pixels, settings))
    assert run.history["validation_loss"][-1] == pytest.approx(loss, rel=1e-5)


MEMORY = """
import resource, torch
from utils.representations import training

def faults_of_blocks():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(2**25)  # 128 MiB, at least 64 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

faults_of_blocks()
usual = faults_of_blocks(), megabytes()
with training.freed_memory_kept():
    # Now and then something small lies behind a block, and the next one has to go elsewhere.
    print(*usual, min(faults_of_blocks() for _ in range(9)), megabytes())
print(megabytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_large_block_is_mapped_once_while_freed_memory_is_kept():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    faults, memory, faults_while_kept, memory_while_kept, memory_after = map(
        float, done.stdout.split()
    )
    assert faults >= 4 * 64 and faults_while_kept < 64
    assert memory_while_kept > memory + 64 and memory_after < memory + 32
