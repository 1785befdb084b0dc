"""Architectures of the studies' autoencoders, by name, and their layer tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from utils.config.layers import Layer, parse, require_mirrored, shape_after
from utils.errors import UserError

ImageShape = tuple[int, int, int]  # channels, height, width


class Autoencoder(nn.Module):
    """An encoder and a decoder whose output is logits; the sigmoid of them is the reconstruction.

    Parameters
    ----------
    encoder : Module
        Maps images ``(N, C, H, W)`` in [0, 1] to latents ``(N, …)``.
    decoder : Module
        Maps latents to logits ``(N, C, H, W)``. The final sigmoid is left to the loss, where it is
        numerically safe, and to `reconstruct`.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction's logits, float ``(N, C, H, W)``."""
        return self.decoder(self.encoder(images))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return flat latents, float ``(N, D)``; a feature map is flattened channel by channel."""
        return self.encoder(images).flatten(1)

    def reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        """Return reconstructions in [0, 1], float ``(N, C, H, W)``."""
        return torch.sigmoid(self(images))


class LinearAutoencoder(Autoencoder):
    """An autoencoder whose decoder gives the reconstruction itself, without a sigmoid."""

    def reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        """Return reconstructions, cut to [0, 1], float ``(N, C, H, W)``."""
        return self(images).clamp(0, 1)


class Blocks(nn.Sequential):
    """Layers in a row; batch norm, ReLU and max-pooling after each other are run at once.

    That is on the CPU and in training; everything else is as in `Sequential`.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Run the layers in their order."""
        layers = list(self)
        while layers:
            if _can_be_fused(layers, features):
                from utils.representations.cpu_kernels import norm_relu_pool

                norm, _, _, *layers = layers
                features = norm_relu_pool(features, norm)
            else:
                layer, *layers = layers
                features = layer(features)
        return features


def _can_be_fused(layers: Sequence[nn.Module], features: torch.Tensor) -> bool:
    kinds = [type(layer) for layer in layers[:3]]
    return (
        kinds == [nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]
        and layers[0].training
        and layers[0].momentum is not None
        and layers[2].kernel_size == 2
        and features.device.type == "cpu"
        and features.dtype in (torch.bfloat16, torch.float32)
        and features.is_contiguous(memory_format=torch.channels_last)
        and not any(side % 2 for side in features.shape[2:])
    )


def conv_batchnorm(
    shape: ImageShape, channels: Sequence[int], decoder_norm: bool = False
) -> Autoencoder:
    """Blocks of convolution, batch norm, ReLU and max-pooling, mirrored by strided deconvolutions.

    The architecture that study ``mnist-cae`` describes (Das 2025, section II-B). The paper leaves
    open whether the decoder has batch norm too; `decoder_norm` adds it before each ReLU.
    """
    steps = [shape[0], *channels]
    _require_divisible(shape, 2 ** len(channels))
    encoder: list[nn.Module] = []
    for before, after in pairwise(steps):
        encoder += [
            nn.Conv2d(before, after, 3, padding=1),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    *hidden, output = pairwise(steps[::-1])
    decoder: list[nn.Module] = []
    for before, after in hidden:
        norm = [nn.BatchNorm2d(after)] if decoder_norm else []
        decoder += [_doubling(before, after), *norm, nn.ReLU()]
    return Autoencoder(Blocks(*encoder), nn.Sequential(*decoder, _doubling(*output)))


def dense(shape: ImageShape, widths: Sequence[int]) -> Autoencoder:
    """Fully connected layers with ReLU between them and none on the latent.

    The architecture of study ``fashion-ae`` (Rahman, sections 4 and 5): `widths` 128, 64, 32.
    """
    widths = [math.prod(shape), *widths]
    return Autoencoder(
        nn.Sequential(nn.Flatten(), *_dense_layers(widths)),
        nn.Sequential(*_dense_layers(widths[::-1]), nn.Unflatten(1, shape)),
    )


def conv_dense(shape: ImageShape, channels: int, widths: Sequence[int]) -> Autoencoder:
    """One convolution, then fully connected layers down to a ReLU latent, and back without it.

    The architecture of study ``mnist-conv-ae`` (Schlachter's notebook): 16 channels, `widths` 784,
    392, 196 and the latent's size. The decoder mirrors the dense layers without the first.
    Initialised as Keras does.
    """
    flat = channels * shape[1] * shape[2]
    return _keras_initialised(
        Autoencoder(
            nn.Sequential(
                nn.Conv2d(shape[0], channels, 3, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                *_dense_layers([flat, *widths]),
                nn.ReLU(),
            ),
            nn.Sequential(
                *_dense_layers([*widths[:0:-1], math.prod(shape)]), nn.Unflatten(1, shape)
            ),
        )
    )


def conv_dropout(shape: ImageShape, channels: Sequence[int], dropout: float) -> Autoencoder:
    """Convolutions with pooling and dropout, mirrored with upsampling.

    The architecture of study ``cifar10-cae`` (Prioty, section 3, and her notebook): `channels` 32,
    64, 128 with pooling after each, then 256 for the latent. Initialised as Keras does.
    """
    *pooled, latent = channels
    _require_divisible(shape, 2 ** len(pooled))
    encoder: list[nn.Module] = []
    for before, after in pairwise([shape[0], *pooled]):
        encoder += [*_conv_relu(before, after), nn.MaxPool2d(2), nn.Dropout(dropout)]
    encoder += _conv_relu(pooled[-1], latent)
    decoder: list[nn.Module] = []
    for before, after in pairwise([latent, *pooled[::-1]]):
        decoder += [*_conv_relu(before, after), nn.Upsample(scale_factor=2), nn.Dropout(dropout)]
    # The last upsampling is followed by the output layer at once, without dropout.
    decoder[-1] = nn.Conv2d(pooled[0], shape[0], 3, padding=1)
    return _keras_initialised(Autoencoder(nn.Sequential(*encoder), nn.Sequential(*decoder)))


def listed_layers(
    shape: ImageShape,
    encoder: Sequence[str],
    decoder: Sequence[str],
    output: str = "sigmoid",
    initial: str = "pytorch",
) -> Autoencoder:
    """Layers in the order in which a study's file lists them; see `utils.config.layers`.

    Parameters
    ----------
    shape : tuple of int
        Channels, height and width of an image.
    encoder, decoder : sequence of str
        Such as ``flatten``, ``dense 500``, ``relu``. A row of as many numbers as an image has is
        made an image at the end of the decoder.
    output : {"sigmoid", "linear"}
        What makes pixels of the decoder's output.
    initial : {"pytorch", "keras"}
        Whose initial weights the layers have.

    Raises
    ------
    UserError
        If a layer is unknown or does not fit the one before it, or the decoder makes no image.
    """
    code = shape_after(encoder, shape)
    require_mirrored(decoder, code, shape)
    to_image = [] if len(shape_after(decoder, code)) == 3 else [nn.Unflatten(1, shape)]
    kind = LinearAutoencoder if output == "linear" else Autoencoder
    model = kind(
        Blocks(*_made(encoder, shape)),
        nn.Sequential(*_made(decoder, code), *to_image),
    )
    return _keras_initialised(model) if initial == "keras" else model


def _made(texts: Sequence[str], shape: tuple[int, ...]) -> list[nn.Module]:
    made = []
    for text in texts:
        made.append(_layer(parse(text), shape))
        shape = shape_after([text], shape)
    return made


def _layer(layer: Layer, shape: tuple[int, ...]) -> nn.Module:
    """Make a layer for an input of that shape, without the batch."""
    numbers = layer.numbers
    if layer.kind == "dense":
        return nn.Linear(shape[0], numbers[0])
    if layer.kind == "conv":
        return nn.Conv2d(shape[0], numbers[0], 3, padding=1)
    if layer.kind == "deconv":
        return _doubling(shape[0], numbers[0])
    if layer.kind == "batch_norm":
        return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
    if layer.kind == "unflatten":
        return nn.Unflatten(1, numbers)
    if layer.kind == "dropout":
        return nn.Dropout(numbers[0])
    plain = {
        "flatten": nn.Flatten(),
        "relu": nn.ReLU(),
        "max_pool": nn.MaxPool2d(2),
        "upsample": nn.Upsample(scale_factor=2),
    }
    return plain[layer.kind]


def _dense_layers(widths: Sequence[int]) -> list[nn.Module]:
    """Linear layers from width to width, with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]


def _doubling(before: int, after: int) -> nn.Module:
    """Return a transposed convolution that doubles height and width."""
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)


def _conv_relu(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]


def _keras_initialised(model: Autoencoder) -> Autoencoder:
    """Give layers Keras's initial weights: Glorot uniform (Glorot & Bengio 2010), zero biases."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


ARCHITECTURES: dict[str, Callable[..., Autoencoder]] = {
    "conv_batchnorm": conv_batchnorm,
    "conv_dense": conv_dense,
    "conv_dropout": conv_dropout,
    "dense": dense,
    "layers": listed_layers,
}


def build(architecture: str, shape: ImageShape, options: dict[str, Any], seed: int) -> Autoencoder:
    """Make a freshly initialised autoencoder.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`.
    shape : tuple of int
        Channels, height and width of an image.
    options : dict
        Keyword arguments of the architecture.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    UserError
        If the architecture is unknown or does not fit the options or the images.
    """
    if architecture not in ARCHITECTURES:
        allowed = ", ".join(ARCHITECTURES)
        raise UserError(f"unknown architecture {architecture!r}: allowed are {allowed}")
    torch.manual_seed(seed)
    try:
        return ARCHITECTURES[architecture](shape, **options)
    except TypeError as error:
        raise UserError(f"architecture {architecture!r} cannot take {options}: {error}") from None


def count_parameters(model: Autoencoder) -> dict[str, int]:
    """Count the trainable parameters: ``weights`` and ``biases``."""
    counts = {"weights": 0, "biases": 0}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            counts["biases" if name.endswith("bias") else "weights"] += parameter.numel()
    return counts


def layer_table(model: Autoencoder, shape: ImageShape) -> list[dict[str, Any]]:
    """List the layers with their output shapes and trainable parameters.

    Parameters
    ----------
    model : Autoencoder
        The model; it is left as it was.
    shape : tuple of int
        Channels, height and width of an image.

    Returns
    -------
    list of dict
        A row per layer in the order of execution: ``layer`` (name and kernel), ``output_shape``
        (tuple without the batch), ``parameters`` (int) and ``part`` ("encoder" or "decoder").
    """
    rows: list[dict[str, Any]] = []
    hooks = [
        layer.register_forward_hook(_recorder(rows, part))
        for part in ("encoder", "decoder")
        for layer in getattr(model, part).modules()
        if not list(layer.children())
    ]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, *shape))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return rows


def _recorder(rows: list[dict[str, Any]], part: str) -> Callable:
    def record(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        rows.append(
            {
                "part": part,
                "layer": _layer_name(layer),
                "output_shape": tuple(output.shape[1:]),
                "parameters": sum(p.numel() for p in layer.parameters() if p.requires_grad),
            }
        )

    return record


def _layer_name(layer: nn.Module) -> str:
    name = type(layer).__name__
    kernel = getattr(layer, "kernel_size", None)
    if kernel is None:
        return name
    side = kernel[0] if isinstance(kernel, tuple) else kernel
    return f"{name} {side}×{side}"


def _require_divisible(shape: ImageShape, factor: int) -> None:
    if shape[1] % factor or shape[2] % factor:
        raise UserError(
            f"images of {shape[1]}×{shape[2]} pixels do not fit this architecture: "
            f"their sides must be multiples of {factor}; set images.resize in the study's file"
        )
