"""The networks that a GPU trains together are those that `training.train` trains one by one."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.representations import training

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import on_gpu


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (80, 28, 28), dtype=np.uint8)


def conv_ae(**changes):
    network = {"study": "mnist-conv-ae", "options": {"channels": 2, "widths": [12, 8, 6, 4]}}
    protocol = on_gpu.protocol_of(network)
    return protocol.model_copy(update={"batch_size": 20, "epochs": 4, **changes})


def train_all(images, protocol, seeds):
    cpu = torch.device("cpu")
    return on_gpu.train_together(images[:60], images[60:], protocol, seeds, cpu)


def test_each_network_is_the_one_that_is_trained_alone(images):
    protocol = conv_ae()
    ended = train_all(images, protocol, [3, 5])
    for seed in (3, 5):
        weights, history = ended[seed]
        alone = training.train(images[:60], protocol, seed, validation=images[60:])
        for name in ("loss", "validation_loss"):
            assert history[name] == pytest.approx(alone.history[name], rel=1e-4)
        latents = on_gpu.encode_and_show(protocol, weights, images)["latents"]
        assert latents == pytest.approx(training.encode(alone.model, images), rel=1e-2, abs=1e-3)


def test_a_network_stops_by_its_own_patience_while_the_others_go_on(images, monkeypatch):
    """Validation losses are made up: seed 0 is best in epoch 1, seed 1 in epoch 3 of 6."""
    made_up = {0: [1, 2, 3, 4, 5, 6], 1: [3, 2, 1, 2, 3, 4]}
    epochs = iter(range(6))

    def losses(networks, _stack):
        epoch = next(epochs)
        return np.array([made_up[seed][epoch] for seed in networks.seeds], dtype=float)

    monkeypatch.setattr(on_gpu.Stack, "validation_losses", losses)
    validation = conv_ae().validation.model_copy(update={"patience": 2})
    ended = train_all(images, conv_ae(epochs=6, validation=validation), [0, 1])
    assert [len(ended[seed][1]["loss"]) for seed in (0, 1)] == [3, 5]


def test_the_rule_of_adadelta_is_that_of_torch():
    torch.manual_seed(0)
    ours = torch.randn(7, 3)
    theirs = torch.nn.Parameter(ours.clone())
    optimizer = torch.optim.Adadelta([theirs], lr=0.7, rho=0.95, eps=1e-7)
    square, update = torch.zeros_like(ours), torch.zeros_like(ours)
    for _ in range(5):
        gradient = torch.randn(7, 3)
        theirs.grad = gradient.clone()
        optimizer.step()
        on_gpu.adadelta(ours, gradient, square, update, 0.7, 0.95, 1e-7)
    assert torch.allclose(ours, theirs, rtol=1e-6)


def test_every_network_of_the_list_can_be_built():
    for study in ("mnist-conv-ae", "mnist-cae"):
        for network in on_gpu.read_networks(study):
            protocol = on_gpu.protocol_of(network)
            model = on_gpu.autoencoders.build(
                protocol.architecture, (1, 28, 28), protocol.options, seed=0
            )
            assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 1, 28, 28)


def test_networks_of_mnist_cae_come_back_as_they_were_trained(tmp_path, images, monkeypatch):
    np.savez_compressed(tmp_path / "images.npz", images=images)
    network = {**on_gpu.read_networks("mnist-cae")[1], "name": "small"}
    short = on_gpu.protocol_of(network).model_copy(update={"epochs": 1, "batch_size": 40})
    monkeypatch.setattr(on_gpu, "protocol_of", lambda _network: short)
    key, history, state = on_gpu.train_cae(tmp_path / "images.npz", network, 1, float("inf"))
    with training.threads(1):
        alone = training.train(images, short, seed=1)
    assert key == "small.seed-1"
    assert history["loss"] == alone.history["loss"]
    for name, value in alone.model.state_dict().items():
        assert np.array_equal(state[name], value), name
    assert on_gpu.train_cae(tmp_path / "images.npz", network, 1, 0.0) == (key, {}, None)
