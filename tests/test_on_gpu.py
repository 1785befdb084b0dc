"""The networks that a GPU trains beside each other are those that `training.train` trains alone."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.representations import autoencoders, training

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import on_gpu

CAE = {"study": "mnist-cae", "options": {"channels": [2, 3]}, "learning_rate": 1e-3}
CONV_AE = {"study": "mnist-conv-ae", "options": {"channels": 2, "widths": [12, 8, 6, 4]}}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (90, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def stack(images):
    return training.on_device(images, torch.device("cpu"))


def small(network, **changes):
    return on_gpu.protocol_of(network).model_copy(update={"batch_size": 20, "epochs": 4, **changes})


def test_each_network_is_the_one_that_is_trained_alone(images, stack):
    """The last batch of an epoch has ten images."""
    cases = {
        f"{network['study']}.seed-{seed}": (network, seed)
        for network in (CAE, CONV_AE)
        for seed in (3, 5)
    }
    networks = {
        name: on_gpu.Network(
            small(network), seed, *((stack[:70], stack[70:]) if network is CONV_AE else (stack,))
        )
        for name, (network, seed) in cases.items()
    }
    ended = []
    on_gpu.train_together(networks, lambda name, _network: ended.append(name), at_once=3)
    assert sorted(ended) == sorted(cases)
    for name, (network, seed) in cases.items():
        held_out = images[70:] if network is CONV_AE else None
        alone = training.train(
            images[:70] if network is CONV_AE else images,
            small(network),
            seed,
            validation=held_out,
        )
        history = networks[name].history
        assert history.keys() == alone.history.keys()
        for key in history.keys() - {"seconds"}:
            assert history[key] == pytest.approx(alone.history[key], rel=1e-4)
        latents = training.encode(networks[name].model, images)
        assert latents == pytest.approx(training.encode(alone.model, images), rel=2e-2, abs=2e-3)


def test_a_network_stops_by_its_own_patience_and_keeps_its_best_weights(stack, monkeypatch):
    """Validation losses are made up: seed 0 is best in epoch 1, seed 1 in epoch 3 of 6."""
    made_up = {0: iter([1, 2, 3, 4, 5, 6]), 1: iter([3, 2, 1, 2, 3, 4])}
    monkeypatch.setattr(
        on_gpu.Network, "validation_loss", lambda network: next(made_up[network.seed])
    )
    usual = small(CONV_AE)
    patient = usual.validation.model_copy(update={"patience": 2})
    protocol = usual.model_copy(update={"epochs": 6, "validation": patient})
    networks = {str(seed): on_gpu.Network(protocol, seed, stack, stack) for seed in (0, 1)}
    on_gpu.train_together(networks)
    assert [len(networks[key].history["loss"]) for key in ("0", "1")] == [3, 5]
    for network in networks.values():
        for name, value in network.model.state_dict().items():
            assert torch.equal(value, network.best[name])


def test_a_network_that_is_not_complete_is_dropped(stack, capsys):
    networks = {"late": on_gpu.Network(small(CAE), 0, stack)}
    on_gpu.train_together(networks, lambda *_: pytest.fail("not complete"), until=0.0)
    assert "late: no time left after 0 epochs" in capsys.readouterr().out


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
    for network, _ in on_gpu.read_networks().values():
        protocol = on_gpu.protocol_of(network)
        model = autoencoders.build(protocol.architecture, (1, 28, 28), protocol.options, seed=0)
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 1, 28, 28)


def test_what_comes_back_is_what_was_trained(tmp_path, images, stack):
    results = on_gpu.Results(tmp_path, images)
    expected = {}
    for study, network in (("mnist-cae", CAE), ("mnist-conv-ae", CONV_AE)):
        trained = on_gpu.Network(small(network, epochs=1), 1, stack, stack)
        name = f"{study}.small.seed-1"
        on_gpu.train_together({name: trained})
        expected |= {f"{name}.{key}": v for key, v in trained.model.state_dict().items()}
        latents = training.encode(trained.model, images)
        results.add(name, trained)
    weights = {
        key: value
        for study in ("mnist-cae", "mnist-conv-ae")
        for key, value in np.load(tmp_path / f"weights-{study}.npz").items()
    }
    assert set(weights) == {
        key for key in expected if key.startswith("mnist-cae") or ".decoder." in key
    }
    for key in weights:
        assert np.array_equal(weights[key], expected[key]), key
    assert np.array_equal(
        np.load(tmp_path / "latents-0.npz")["mnist-conv-ae.small.seed-1"], latents
    )
    record = json.loads((tmp_path / "networks.json").read_text())
    assert len(record["networks"]["mnist-conv-ae.small.seed-1"]["validation_loss"]) == 1
