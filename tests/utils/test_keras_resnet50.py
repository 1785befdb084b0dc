"""Keras's ResNet50 in torch, beside the same network written out step by step."""

import hashlib

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from utils.config.load import load_study
from utils.errors import UserError
from utils.representations import keras_resnet50, pretrained

NEWER, OLDER = keras_resnet50.LAYOUTS
EPSILON = {NEWER: 1.001e-5, OLDER: 1e-3}
BLOCKS, WIDTH = (2, 3), 4
STEM = {NEWER: ("conv1_conv", "conv1_bn"), OLDER: ("conv1", "bn_conv1")}


def names(md5, stage, block, part):
    if md5 == NEWER:
        return [f"conv{stage}_block{block}_{part}_{kind}" for kind in ("conv", "bn")]
    branch = {0: "branch1", 1: "branch2a", 2: "branch2b", 3: "branch2c"}[part]
    return [f"{kind}{stage}{'_abcdef'[block]}_{branch}" for kind in ("res", "bn")]


def layer_shapes(md5, blocks, width):
    """Shapes of the arrays of every layer, as Keras stores them."""
    kernels, inputs = [(STEM[md5], (7, 7, 3, width))], width
    for stage, n in enumerate(blocks, 2):
        inner = width * 2 ** (stage - 2)
        for block in range(1, n + 1):
            sizes = {1: (1, 1, inputs, inner), 2: (3, 3, inner, inner), 3: (1, 1, inner, 4 * inner)}
            if block == 1:
                sizes[0] = (1, 1, inputs, 4 * inner)
            kernels += [(names(md5, stage, block, part), sizes[part]) for part in sorted(sizes)]
            inputs = 4 * inner
    shapes = {}
    for (convolution, norm), kernel in kernels:
        shapes[convolution] = {"kernel": kernel, "bias": kernel[-1:]}
        shapes[norm] = {
            name: kernel[-1:] for name in ("gamma", "beta", "moving_mean", "moving_variance")
        }
    return shapes


def random_arrays(shapes):
    """Random arrays, of a size that keeps a signal through the layers."""
    rng = np.random.default_rng(0)
    arrays = {}
    for layer, own in shapes.items():
        for name, shape in own.items():
            if name == "kernel":
                value = rng.normal(0, np.prod(shape[:3]) ** -0.5, shape)
            elif name in ("gamma", "moving_variance"):
                value = rng.uniform(0.5, 1.5, shape)
            else:
                value = rng.normal(0, 0.2, shape)
            arrays[layer, name] = value.astype(np.float32)
    # Some small variances, for which the epsilons differ.
    arrays[list(shapes)[1], "moving_variance"][:2] = 1e-4
    return arrays


def write(path, shapes, arrays=None):
    """Write a file as Keras does; without arrays all values are 0."""
    with h5py.File(path, "w") as file:
        for layer, own in shapes.items():
            group = file.create_group(layer)
            listed = [f"{layer}/{name}:0" for name in own]
            group.attrs["weight_names"] = [name.encode() for name in listed]
            for place, (name, shape) in zip(listed, own.items(), strict=True):
                group.create_dataset(
                    place, shape, "float32", None if arrays is None else arrays[layer, name]
                )


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A call that writes a made-up weight file and lets it pass for Keras's of a layout."""

    def make(md5, shapes, arrays=None):
        path = tmp_path / "made.h5"
        write(path, shapes, arrays)
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        layouts = {digest: keras_resnet50.LAYOUTS[md5]}
        monkeypatch.setattr(keras_resnet50, "LAYOUTS", layouts)
        monkeypatch.setenv("RESNET50_KERAS_WEIGHTS", str(path))
        return path

    return make


def as_keras_computes(md5, arrays, pixels, blocks):
    """Features of RGB images in [0, 255], float64 ``(N, H, W, 3)``, by Keras's steps in order."""
    tensors = {key: torch.from_numpy(value).double() for key, value in arrays.items()}

    def unit(maps, layers, stride, padding):
        convolution, norm = layers
        kernel = tensors[convolution, "kernel"].permute(3, 2, 0, 1)
        maps = functional.pad(maps, (padding,) * 4)
        maps = functional.conv2d(maps, kernel, tensors[convolution, "bias"], stride)
        gamma, beta, mean, variance = (
            tensors[norm, name].view(-1, 1, 1)
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return gamma * (maps - mean) / (variance + EPSILON[md5]).sqrt() + beta

    caffe = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68])
    maps = torch.from_numpy(np.ascontiguousarray(caffe)).permute(0, 3, 1, 2)
    maps = unit(maps, STEM[md5], 2, 3).relu()
    maps = functional.max_pool2d(functional.pad(maps, (1,) * 4), 3, 2)
    for stage, n in enumerate(blocks, 2):
        for block in range(1, n + 1):
            stride = 2 if stage > 2 and block == 1 else 1
            shortcut = maps
            if block == 1:
                shortcut = unit(maps, names(md5, stage, block, 0), stride, 0)
            path = unit(maps, names(md5, stage, block, 1), stride, 0).relu()
            path = unit(path, names(md5, stage, block, 2), 1, 1).relu()
            maps = (shortcut + unit(path, names(md5, stage, block, 3), 1, 0)).relu()
    return maps.mean((2, 3)).numpy()


@pytest.mark.parametrize("md5", [NEWER, OLDER])
def test_features_and_preprocessing_are_keras_s(made, md5):
    shapes = layer_shapes(md5, BLOCKS, WIDTH)
    arrays = random_arrays(shapes)
    network, _ = keras_resnet50.load(made(md5, shapes, arrays), BLOCKS, WIDTH)
    assert not network.training
    pixels = np.random.default_rng(1).integers(0, 256, (2, 45, 38, 3)).astype(float)
    expected = as_keras_computes(md5, arrays, pixels, BLOCKS)
    inputs = torch.from_numpy(pixels / 255).permute(0, 3, 1, 2)
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(3, 1, 1)
        for values in (keras_resnet50.MEAN, keras_resnet50.STD)
    )
    with torch.inference_mode():
        found = network.double()((inputs - mean) / std).numpy()
    assert found.shape == (2, WIDTH * 2 ** (len(BLOCKS) + 1))
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * expected.std())


def test_arrays_are_taken_in_the_order_that_the_file_lists(made):
    """As Keras takes them: the names of the arrays were others in Keras 1."""
    shapes = layer_shapes(OLDER, (1,), WIDTH)
    arrays = random_arrays(shapes)
    path = made(OLDER, shapes, arrays)
    network, _ = keras_resnet50.load(path, (1,), WIDTH)
    np.testing.assert_array_equal(
        network.stem[1].running_var, arrays["bn_conv1", "moving_variance"]
    )


def test_the_variable_makes_it_the_backbone(made):
    path = made(NEWER, layer_shapes(NEWER, (3, 4, 6, 3), 64))
    backbone = pretrained.load_backbone("resnet50", offline=True)
    assert backbone.name == backbone.requested == "resnet50"
    assert backbone.note is None
    # As Keras counts them: 23,587,712, of which 53,120 are means and variances.
    assert backbone.n_parameters == 23_587_712 - 53_120
    # The key of stored features has this text, so those of other weights are never taken for these.
    assert hashlib.sha256(path.read_bytes()).hexdigest() in backbone.weights
    assert pretrained.features(backbone, np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 2048)


def test_only_the_weights_that_today_s_keras_loads_settle_what_the_study_leaves_open(made):
    settled = [one.settled_by for one in load_study("cifar10-cae").reported if one.open]
    assert len(settled) == 2
    for md5, is_settled in ((NEWER, True), (OLDER, False)):
        source = keras_resnet50.LAYOUTS[md5].source
        assert all(source.startswith(one.begins) == is_settled for one in settled)


def test_another_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "other.h5"
    path.write_bytes(b"other")
    monkeypatch.setenv("RESNET50_KERAS_WEIGHTS", str(path))
    with pytest.raises(UserError, match=r"other\.h5 is not Keras's .* its MD5 is .* expected 4d47"):
        pretrained.load_backbone("resnet50")


def test_a_missing_file_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_KERAS_WEIGHTS", str(tmp_path / "none.h5"))
    with pytest.raises(UserError, match=r"\$RESNET50_KERAS_WEIGHTS: there is no file"):
        pretrained.load_backbone("resnet50")


@pytest.mark.parametrize("layer", ["conv1_conv", "conv2_block1_0_bn", "conv3_block3_3_conv"])
def test_a_missing_layer_is_named(made, layer):
    shapes = layer_shapes(NEWER, BLOCKS, WIDTH)
    del shapes[layer]
    path = made(NEWER, shapes)
    with pytest.raises(UserError, match=rf"made\.h5: layer {layer} has arrays of shapes \[\]"):
        keras_resnet50.load(path, BLOCKS, WIDTH)


@pytest.mark.parametrize(
    ("layer", "array", "shape"),
    [
        ("conv1_conv", "kernel", (3, 3, 3, WIDTH)),
        ("conv1_conv", "kernel", (WIDTH,)),
        ("conv2_block2_2_bn", "gamma", (1,)),
        ("conv2_block2_2_bn", "moving_variance", None),
    ],
)
def test_an_array_of_another_shape_is_named(made, layer, array, shape):
    shapes = layer_shapes(NEWER, BLOCKS, WIDTH)
    shapes[layer][array] = shape
    if shape is None:
        del shapes[layer][array]
    path = made(NEWER, shapes)
    with pytest.raises(UserError, match=f"layer {layer} has arrays of shapes .* expected"):
        keras_resnet50.load(path, BLOCKS, WIDTH)
