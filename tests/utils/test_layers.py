"""Networks whose layers a study's file lists."""

import math

import pytest
import torch

from utils.config import layers, sizes
from utils.config.load import load_study
from utils.errors import UserError
from utils.representations import autoencoders, training

SHAPE = (1, 8, 12)
LISTS = [
    (["flatten", "dense 5"], ["dense 96"]),
    (["flatten", "dense 6", "relu", "dense 5"], ["dense 6", "relu", "dense 96"]),
    (["conv 3", "batch_norm", "relu", "max_pool"], ["deconv 1"]),
    (["conv 3", "relu", "max_pool", "dropout 0.5"], ["conv 2", "relu", "upsample", "conv 1"]),
    (["conv 2", "max_pool", "flatten", "dense 4"], ["dense 48", "unflatten 2 4 6", "deconv 1"]),
]


@pytest.mark.parametrize(("encoder", "decoder"), LISTS)
def test_listed_layers_have_the_shapes_that_are_foretold(encoder, decoder):
    options = {"encoder": encoder, "decoder": decoder}
    model = autoencoders.build("layers", SHAPE, options, seed=0)
    images = torch.rand(4, *SHAPE)
    assert model.encode(images).shape == (4, math.prod(layers.shape_after(encoder, SHAPE)))
    assert model.encode(images).shape[1] == sizes.latent_size("layers", options, SHAPE)
    assert model(images).shape == images.shape


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        (["flatten", "dense"], ["dense 96"], "write 'dense UNITS'"),
        (["flatten", "dense 0"], ["dense 96"], "whole numbers from 1"),
        (["flatten", "dense 2.5"], ["dense 96"], "whole numbers from 1"),
        (["flatten", "dropout 1"], ["dense 96"], "from 0 to below 1"),
        (
            ["flatten", "gelu"],
            ["dense 96"],
            "unknown layer 'gelu': allowed are flatten, dense UNITS",
        ),
        (["dense 5"], ["dense 96"], "it is given 1×8×12"),
        (["flatten", "conv 3"], ["dense 96"], "needs channels, height and width"),
        (["max_pool", "max_pool", "max_pool"], ["deconv 1"], "even height and width"),
        (["flatten", "dense 5"], ["dense 95"], "makes 95, but an image is 1×8×12"),
        (["flatten", "dense 5"], ["unflatten 2 2 2"], "makes 8 numbers"),
    ],
)
def test_layers_that_do_not_fit_are_told(encoder, decoder, words):
    with pytest.raises(UserError, match=r"layer|decoder") as error:
        autoencoders.build("layers", SHAPE, {"encoder": encoder, "decoder": decoder}, seed=0)
    assert words in str(error.value)


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_the_loss_compares_what_the_output_is(output):
    options = {"encoder": ["flatten", "dense 3"], "decoder": ["dense 96"], "output": output}
    model = autoencoders.build("layers", SHAPE, options, seed=0)
    protocol = load_study("n2d").autoencoder
    pixels = torch.rand(5, *SHAPE)
    made = model(pixels)
    expected = torch.sigmoid(made) if output == "sigmoid" else made
    loss = training.reconstruction_loss(model, pixels, protocol)
    assert loss.item() == pytest.approx(((expected - pixels) ** 2).mean().item(), rel=1e-6)
    assert torch.equal(model.reconstruct(pixels), expected.clamp(0, 1))


def test_initial_weights_may_be_those_of_keras():
    lists = {"encoder": ["flatten", "dense 3"], "decoder": ["dense 96"]}
    ours, keras = (
        autoencoders.build("layers", SHAPE, {**lists, "initial": name}, 0)
        for name in ("pytorch", "keras")
    )
    assert keras.encoder[1].bias.abs().max() == 0 < ours.encoder[1].bias.abs().max()
    # Glorot & Bengio 2010: uniform up to the root of 6 over the sum of inputs and outputs.
    assert 0.9 < keras.encoder[1].weight.abs().max() / math.sqrt(6 / 99) <= 1


def test_listed_dense_layers_are_those_of_the_dense_architecture():
    lists = {
        "encoder": ["flatten", "dense 6", "relu", "dense 5"],
        "decoder": ["dense 6", "relu", "dense 96"],
    }
    listed = autoencoders.build("layers", SHAPE, lists, seed=3).state_dict()
    dense = autoencoders.build("dense", SHAPE, {"widths": [6, 5]}, seed=3).state_dict()
    assert list(listed) == list(dense)
    assert all(torch.equal(listed[name], dense[name]) for name in dense)
