"""That a step on a GPU mixes no devices, shown where there is none.

PyTorch's fake tensors have a device, a type and a shape but no values: an operation on tensors of
two devices fails as it would on a GPU. What needs values or a driver is left out: the mean loss of
an epoch, at which each of these trainings ends, autocast, and autograd's own pass, in whose place
every weight that the loss depends on gets a gradient.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.optim.optimizer import register_optimizer_step_post_hook

from utils.clustering import self_labelling
from utils.config.load import load_study
from utils.representations import encoders, training


@pytest.fixture
def steps(monkeypatch):
    """The devices of the weights, gradients and moments of each optimiser's step, on a fake GPU."""
    found = []

    def note(optimizer, _args, _kwargs):
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        moments = [m for state in optimizer.state.values() for m in state.values() if m.ndim]
        tensors = [*weights, *(weight.grad for weight in weights), *moments]
        found.append({tensor.device.type for tensor in tensors})

    monkeypatch.setattr(training, "pick_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(training, "has_bfloat16", lambda device: False)
    monkeypatch.setattr(training, "_require_finite", lambda losses, epoch: None)
    monkeypatch.setattr(nn.Module, "to", move)
    monkeypatch.setattr(torch.Tensor, "backward", give_gradients)
    handle = register_optimizer_step_post_hook(note)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield found
    handle.remove()


def move(model, device, memory_format):
    """Do what `Module.to` does, which refuses to for fake tensors."""
    for layer in model.modules():
        for name, weight in layer.named_parameters(recurse=False):
            order = memory_format if weight.ndim == 4 else torch.preserve_format
            moved = weight.detach().to(device, memory_format=order)
            setattr(layer, name, nn.Parameter(moved))
        for name, values in layer.named_buffers(recurse=False):
            setattr(layer, name, values.to(device))
    return model


def give_gradients(loss):
    nodes, seen = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [before for before, _ in node.next_functions]
            if hasattr(node, "variable"):
                node.variable.grad = torch.zeros_like(node.variable)


def zeros(n, *shape):
    return np.zeros((n, *shape), np.uint8)


@pytest.mark.parametrize(
    ("study", "shape"),
    [
        ("mnist-cae", (28, 28)),
        ("fashion-ae", (28, 28)),
        ("mnist-conv-ae", (28, 28)),
        ("cifar10-cae", (32, 32, 3)),
    ],
)
def test_an_epoch_of_a_study_s_autoencoder_stays_on_the_gpu(steps, study, shape):
    chosen = load_study(study)
    batches = 2 * chosen.autoencoder.batch_size
    with pytest.raises(DataDependentOutputException):
        training.train(zeros(batches, *shape), chosen.autoencoder, 0, chosen.images.resize)
    assert steps == [{"cuda"}] * 2


@pytest.mark.parametrize("name", encoders.ENCODERS)
def test_an_epoch_of_an_encoder_stays_on_the_gpu(steps, name):
    with pytest.raises(DataDependentOutputException):
        encoders.fit_features(name, zeros(2 * encoders.BATCH, 28, 28), 0)
    assert steps == [{"cuda"}] * 2


def test_an_epoch_of_self_labelling_stays_on_the_gpu(steps):
    n = 2 * self_labelling.BATCH
    model = self_labelling._classifier((1, 28, 28), 10)
    with pytest.raises(DataDependentOutputException):
        self_labelling._learn(model, zeros(n, 28, 28), np.arange(n), np.zeros(n), 0, 1, None)
    assert steps == [{"cuda"}] * 2
