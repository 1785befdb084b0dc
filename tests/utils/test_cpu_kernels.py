"""Compiled optimiser and layers against PyTorch's own."""

import copy

import numba
import pytest
import torch
from torch import nn

from utils.representations import autoencoders, cpu_kernels, training
from utils.representations.cpu_kernels import FusedAdadelta


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_fused_adadelta_is_pytorchs_in_any_order_of_memory(memory_format):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(6, 5, 3, 3, generator=generator)
    ours = torch.nn.Parameter(start.clone(memory_format=memory_format))
    theirs = torch.nn.Parameter(start.clone())
    unused = torch.nn.Parameter(torch.ones(2))
    settings = {"lr": 0.7, "rho": 0.9, "eps": 1e-7}
    optimizers = [
        FusedAdadelta([ours, unused], **settings),
        torch.optim.Adadelta([theirs], **settings, foreach=False),
    ]
    for _ in range(4):
        theirs.grad = torch.randn(start.shape, generator=generator)
        ours.grad = theirs.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not torch.equal(ours, start)
    assert torch.equal(unused, torch.ones(2))
    for key in ("square_avg", "acc_delta"):
        found, expected = optimizers[0].state[ours][key], optimizers[1].state[theirs][key]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@pytest.fixture
def layers():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6)
    nn.init.normal_(norm.weight)  # of either sign
    nn.init.normal_(norm.bias)
    return norm, nn.ReLU(), nn.MaxPool2d(2)


def feature_map(height=6, width=8, dtype=torch.bfloat16):
    torch.manual_seed(1)
    features = (2 * torch.randn(9, 6, height, width) + 1).bfloat16().to(dtype)
    return features.contiguous(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(torch.bfloat16, 0.01, 1e-3), (torch.float32, 1e-5, 1e-6)]
)
def test_layers_run_at_once_are_the_same_as_one_after_the_other(layers, dtype, rtol, atol):
    features, exact = feature_map(dtype=dtype), feature_map(dtype=torch.float64)
    norm, layers = copy.deepcopy(layers[0]), [copy.deepcopy(layer).double() for layer in layers]
    expected = nn.Sequential(*layers)(exact)
    found = cpu_kernels.norm_relu_pool(features, norm)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double(), expected, rtol=rtol, atol=1e-5)
    slope = torch.randn(expected.shape).to(dtype)
    expected.backward(slope.double())
    found.backward(slope)
    torch.testing.assert_close(features.grad.double(), exact.grad, rtol=rtol, atol=atol)
    for ours, theirs in zip(norm.parameters(), layers[0].parameters(), strict=True):
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(norm.buffers(), layers[0].buffers(), strict=True):
        torch.testing.assert_close(ours.to(theirs.dtype), theirs, rtol=1e-5, atol=1e-6)


def test_layers_run_at_once_do_not_depend_on_the_threads(layers):
    found, usual = [], numba.get_num_threads()
    for number in (1, 2):
        features, norm = feature_map(), copy.deepcopy(layers[0])
        with training.threads(number):
            cpu_kernels.norm_relu_pool(features, norm).sum().backward()
        assert numba.get_num_threads() == usual
        found.append((features.grad, norm.weight.grad, norm.running_var))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_what_is_no_number_stays_none(layers, dtype):
    features = feature_map(dtype=dtype).detach()
    features[3, 2, 4, 4] = torch.nan
    assert cpu_kernels.norm_relu_pool(features, layers[0])[:, 2].isnan().all()


def test_blocks_take_the_layers_at_once_only_where_they_can(layers, monkeypatch):
    calls = []

    def spy(features, norm):
        calls.append(norm)
        return nn.functional.max_pool2d(features, 2)

    monkeypatch.setattr(cpu_kernels, "norm_relu_pool", spy)
    blocks = autoencoders.Blocks(nn.Identity(), *layers, nn.Identity())
    assert blocks(feature_map()).shape == (9, 6, 3, 4)
    assert calls == [layers[0]]
    blocks(feature_map(height=7))
    copy.deepcopy(blocks).double()(feature_map(dtype=torch.float64))
    blocks(feature_map().contiguous())
    blocks.eval()(feature_map())
    layers[0].train().momentum = None
    blocks(feature_map())
    autoencoders.Blocks(*layers[:2])(feature_map())
    assert calls == [layers[0]]
