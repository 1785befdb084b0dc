"""ResNet50 as Keras builds it, with Keras's ImageNet weights, read from Keras's own file.

Neither Keras nor TensorFlow is needed: the file holds arrays, and no code in it is run. The network
(He et al. 2016, as in Keras's ``applications/resnet.py``) differs from torchvision's: a block that
halves the image does so in its first 1×1 convolution, convolutions have biases, and the batch
normalisations have an epsilon of their own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from utils.errors import UserError

if TYPE_CHECKING:
    import h5py

FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
# Keras's "caffe" preprocessing of channels in [0, 255]: blue, green, red, less these means, and no
# division. In the order red, green, blue and for inputs in [0, 1], that is a normalisation by MEAN
# and STD; `load` turns the input channels of the first convolution round instead of the image's.
MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
STD = (1 / 255,) * 3


class Layout(NamedTuple):
    """A weight file's names of a convolution and its norm, and the network that Keras made for it.

    In `parts` a block's shortcut is part 0, its convolutions are parts 1 to 3.
    """

    source: str
    stem: tuple[str, str]
    parts: tuple[str, str]
    epsilon: float

    def names(self, stage: int, block: int, part: int) -> tuple[str, str]:
        """Name the layers of a part of a block, counted from 1; stage 1 is the stem."""
        if stage == 1:
            return self.stem
        place = {
            "stage": stage,
            "block": block,
            "part": part,
            "letter": "abcdef"[block - 1],
            "branch": ("1", "2a", "2b", "2c")[part],
        }
        convolution, norm = (name.format(**place) for name in self.parts)
        return convolution, norm


# By the MD5 that Keras itself checks after its download: it publishes no SHA-256, and we know of no
# other source of one. Both files have the name FILE. The first MD5 stands in WEIGHTS_HASHES of
# ``keras/applications/resnet.py`` (also TensorFlow 2's), the second in the older
# ``keras_applications/resnet50.py``, whose norms had Keras's default epsilon (issues 8 and 74 of
# keras-team/keras-applications).
LAYOUTS = {
    "4d473c1dd8becc155b73f8504c6f6626": Layout(
        "Keras's ImageNet weights",
        ("conv1_conv", "conv1_bn"),
        ("conv{stage}_block{block}_{part}_conv", "conv{stage}_block{block}_{part}_bn"),
        1.001e-5,
    ),
    "a268eb855778b3df3c7506639542a6af": Layout(
        "older ImageNet weights of Keras",
        ("conv1", "bn_conv1"),
        ("res{stage}{letter}_branch{branch}", "bn{stage}{letter}_branch{branch}"),
        1e-3,
    ),
}


def load(
    path: Path, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64
) -> tuple[nn.Module, str]:
    """Read Keras's weight file into a torch network.

    Parameters
    ----------
    path : Path
        Keras's file without the classifier, in either layout of `LAYOUTS`. It is known by its MD5,
        because Keras publishes no SHA-256. The SHA-256 of what was read is part of the result.
    blocks : sequence of int
        Blocks of each stage.
    width : int
        Channels of the stem and of the first stage's inner convolutions.

    Returns
    -------
    network : Module
        In evaluation mode. Maps red, green and blue, normalised by `MEAN` and `STD`, float32
        ``(N, 3, H, W)``, to the means over the last map, float32 ``(N, D)``; D is 2,048.
    source : str
        What the weights are, with the SHA-256 of their file.

    Raises
    ------
    UserError
        If the file is another one, or lacks a layer, or an array has another shape.
    """
    import h5py

    content = path.read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 not in LAYOUTS:
        allowed = " or ".join(LAYOUTS)
        raise UserError(
            f"$RESNET50_KERAS_WEIGHTS: {path} is not Keras's {FILE}: its MD5 is {md5}, expected "
            f"{allowed}: download the file again, or unset the variable"
        )
    layout = LAYOUTS[md5]
    network = KerasResNet(blocks, width, layout.epsilon)
    with h5py.File(io.BytesIO(content), "r") as file, torch.no_grad():
        for place, (convolution, norm) in network.units():
            of_norm = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
            tensors = (convolution.weight, convolution.bias), of_norm
            for layer, own in zip(layout.names(*place), tensors, strict=True):
                _fill(own, file, layer, path)
        first = network.stem[0].weight
        first.copy_(first.flip(1))  # from blue, green, red
    sha256 = hashlib.sha256(content).hexdigest()
    return network.eval(), f"{layout.source} ({FILE}, SHA-256 {sha256})"


class KerasResNet(nn.Module):
    """A residual network of bottleneck blocks, without its classifier; see `load`."""

    def __init__(self, blocks: Sequence[int], width: int, epsilon: float):
        super().__init__()
        self.stem = _unit(3, width, 7, 2, epsilon)
        self.pool = nn.Sequential(nn.ReLU(), nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))
        self.stages = nn.ModuleList()
        inputs = width
        for stage, n_blocks in enumerate(blocks):
            inner, stage_blocks = width * 2**stage, nn.Sequential()
            for block in range(n_blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stage_blocks.append(_Block(inputs, inner, stride, block == 0, epsilon))
                inputs = 4 * inner
            self.stages.append(stage_blocks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(N, 3, H, W)`` to features ``(N, D)``."""
        maps = self.pool(self.stem(images))
        for stage in self.stages:
            maps = stage(maps)
        return maps.mean((2, 3))

    def units(self) -> Iterator[tuple[tuple[int, int, int], nn.Sequential]]:
        """Yield each convolution with its norm, and its stage, block and part as Keras counts."""
        yield (1, 1, 1), self.stem
        for stage, blocks in enumerate(self.stages, 2):
            for number, block in enumerate(blocks, 1):
                if isinstance(block.shortcut, nn.Sequential):
                    yield (stage, number, 0), block.shortcut
                for part, unit in enumerate(block.path[::2], 1):
                    yield (stage, number, part), unit


class _Block(nn.Module):
    """Three convolutions beside a shortcut; the stride is in the first, as in Keras."""

    def __init__(self, inputs: int, inner: int, stride: int, projected: bool, epsilon: float):
        super().__init__()
        outputs = 4 * inner
        self.shortcut = _unit(inputs, outputs, 1, stride, epsilon) if projected else nn.Identity()
        self.path = nn.Sequential(
            _unit(inputs, inner, 1, stride, epsilon),
            nn.ReLU(),
            _unit(inner, inner, 3, 1, epsilon),
            nn.ReLU(),
            _unit(inner, outputs, 1, 1, epsilon),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.shortcut(maps) + self.path(maps))


def _unit(inputs: int, outputs: int, size: int, stride: int, epsilon: float) -> nn.Sequential:
    """Return a convolution that pads with zeros by half its size, and its norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2), nn.BatchNorm2d(outputs, epsilon)
    )


def _fill(tensors: Sequence[torch.Tensor], file: h5py.File, layer: str, path: Path) -> None:
    """Copy a layer's arrays, in the order in which Keras lists and loads them, into tensors."""
    group = file.get(layer)
    names = [] if group is None else group.attrs.get("weight_names", [])
    arrays = [group[name][()] for name in names if name in group]
    # Keras's kernels: height, width, inputs, outputs. torch's: outputs, inputs, height, width.
    targets = [tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor for tensor in tensors]
    expected, found = ([tuple(one.shape) for one in some] for some in (targets, arrays))
    if found != expected:
        raise UserError(
            f"$RESNET50_KERAS_WEIGHTS: {path}: layer {layer} has arrays of shapes {found}, "
            f"expected {expected}: give Keras's {FILE}"
        )
    for target, array in zip(targets, arrays, strict=True):
        target.copy_(torch.from_numpy(array))
