"""The networks that a GPU trains beside each other are those that `training.train` trains alone."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from utils import config
from utils.errors import UserError
from utils.representations import autoencoders, training
from utils.runs.study import StudyRun

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import load_networks
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


def test_networks_of_one_batched_product_are_those_that_adam_trains_alone(images):
    """N2D: linear latents and outputs, squared errors, Keras's epsilon; a short last batch."""
    rows = torch.from_numpy(images.reshape(len(images), -1)[:50, :40].copy())
    widths, seeds, epochs, batch = (12, 8, 3), (0, 1), 3, 20
    stack = on_gpu.Stack(rows, widths, seeds, epochs, batch)
    on_gpu.train_together({"stack": stack})
    pixels = rows.float() / 255
    for index, seed in enumerate(seeds):
        model = on_gpu.n2d_network(40, widths, seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
        for epoch in range(1, epochs + 1):
            total = 0.0
            for part in training.epoch_order(len(rows), seed, epoch).split(batch):
                optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(model(pixels[part]).flatten(1), pixels[part])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(part)
            assert stack.history["loss"][epoch - 1][index] == pytest.approx(total / 50, rel=1e-5)
        found = stack.states("n2d")[f"n2d.seed-{seed}"]
        expected = model.state_dict()
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert found[key] == pytest.approx(value.numpy(), abs=1e-6), key


def test_a_stack_is_written_now_and_then_before_its_end(images, monkeypatch):
    monkeypatch.setattr(on_gpu, "N2D_WRITTEN_EVERY", 2)
    rows = torch.from_numpy(images.reshape(len(images), -1)[:20, :10].copy())
    epochs = []
    stack = on_gpu.Stack(
        rows, (4, 2), (0,), 4, 10, lambda stack: epochs.append(len(stack.history["loss"]))
    )
    on_gpu.train_together({"stack": stack})
    assert epochs == [2]
    assert len(stack.history["loss"]) == 4


def test_what_comes_back_is_what_was_trained(tmp_path, stack):
    results = on_gpu.Results(tmp_path)
    trained = {
        f"{network['study']}.small.seed-1": on_gpu.Network(
            small(network, epochs=1), 1, stack, stack
        )
        for network in (CAE, CONV_AE)
    }
    trained["n2d"] = on_gpu.Stack(stack.flatten(1)[:40, :9], (4, 2), (0, 1), 2, 20)
    on_gpu.train_together(trained, results.add)
    for name, network in trained.items():
        for part, state in network.states(name).items():
            with np.load(tmp_path / f"{part}.npz") as written:
                assert set(written) == set(state)
                for key, value in state.items():
                    assert np.array_equal(written[key], value), key
    record = json.loads((tmp_path / "networks.json").read_text())["networks"]
    assert set(record) == {*trained, "n2d.seed-0", "n2d.seed-1"} - {"n2d"}
    assert len(record["mnist-conv-ae.small.seed-1"]["validation_loss"]) == 1
    for seed in (0, 1):
        history = load_networks.history_of(record[f"n2d.seed-{seed}"], seed)
        assert history["loss"] == [losses[seed] for losses in trained["n2d"].history["loss"]]
    assert load_networks.history_of(record["mnist-cae.small.seed-1"], 1) == (
        trained["mnist-cae.small.seed-1"].history
    )


@pytest.mark.parametrize(
    ("study", "seed", "variant", "name"),
    [
        ("mnist-conv-ae", 4, None, "mnist-conv-ae.latent-14.seed-4"),
        ("mnist-conv-ae", 2, "latent-10", "mnist-conv-ae.latent-10.seed-2"),
        ("mnist-conv-ae", 3, "latent-10", None),
        ("mnist-cae", 0, None, "mnist-cae.autoencoder.seed-0"),
        ("mnist-cae", 1, "decoder-norm", "mnist-cae.decoder-norm.seed-1"),
        ("fashion-ae", 0, None, None),
    ],
)
def test_a_network_belongs_to_the_protocol_by_which_it_was_trained(study, seed, variant, name):
    chosen = config.load_study(study)
    variants = {one.name: one for one in chosen.variants}
    protocol = variants[variant].changed(chosen.autoencoder) if variant else chosen.autoencoder
    assert load_networks.trained_as(study, protocol, seed) == name


@pytest.mark.parametrize(
    ("protocol", "losses", "complete"),
    [
        (small(CAE), {"loss": [1.0] * 4}, True),
        (small(CAE), {"loss": [1.0] * 3}, False),
        (small(CONV_AE, epochs=300), {"loss": [1.0] * 16, "validation_loss": [1, *[2] * 15]}, True),
        (
            small(CONV_AE, epochs=300),
            {"loss": [1.0] * 15, "validation_loss": [1, *[2] * 14]},
            False,
        ),
    ],
)
def test_a_network_that_was_cut_off_is_refused(protocol, losses, complete):
    expected = nullcontext() if complete else pytest.raises(UserError, match="name was cut off")
    with expected:
        load_networks.require_complete("name", losses, protocol)


def test_a_network_that_is_loaded_is_the_one_that_a_notebook_finds(
    tmp_path, elsewhere, images, stack, monkeypatch
):
    """As in mnist-conv-ae, whose recipe has the validation images too."""
    trained = on_gpu.Network(small(CONV_AE, epochs=1), 1, stack[:70], stack[70:])
    on_gpu.train_together({"one": trained})
    elsewhere(runs=tmp_path)
    study = config.load_study("mnist-conv-ae").model_copy(update={"autoencoder": trained.protocol})
    run = StudyRun(
        study=study,
        profile=config.load_profile("paper"),
        seed=1,
        images=images[:70],
        labels=np.zeros(70, dtype=np.uint8),
        class_names=("0",),
        training_images=images[:70],
        validation_images=images[70:],
        backbone_images=0,
        kmeans_seed_is_open=True,
        record=SimpleNamespace(networks={}),
    )
    where = {"processor": "a GPU"}
    state = trained.states("one")["one"]
    load_networks.store(run, "autoencoder", trained.protocol, state, trained.history, where)
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained again"))
    model, history = run.autoencoder()
    for key, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), state[key])
    assert list(history["validation_loss"]) == trained.history["validation_loss"]
    assert run.record.networks["autoencoder"]["processor"] == "a GPU"


@pytest.mark.parametrize("seed", [0, 3])
def test_the_file_of_n2d_describes_the_network_that_a_gpu_trains(seed):
    protocol = config.load_study("n2d").autoencoder
    described = autoencoders.build(protocol.architecture, (1, 28, 28), protocol.options, seed)
    trained = on_gpu.n2d_network(784, on_gpu.N2D_WIDTHS, seed)
    assert list(described.state_dict()) == list(trained.state_dict())
    for name, weight in trained.state_dict().items():
        assert torch.equal(described.state_dict()[name], weight)
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(described(images).flatten(1), trained(images).flatten(1))
    assert (protocol.batch_size, protocol.optimizer.epsilon) == (on_gpu.N2D_BATCH, 1e-7)
    assert load_networks.trained_as("n2d", protocol, seed) == f"n2d.seed-{seed}"
