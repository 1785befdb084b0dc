"""Networks that learn to represent images without labels, each small enough for two cores.

Besides the autoencoders of the studies: the dense one that most of the field starts from, and what
the studies name as not tried, from denoising to contrastive learning. All of them share one loop;
they differ in the network and in what its loss compares. All compute in float32.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from utils.errors import UserError
from utils.representations import autoencoders, distortions, training

Shape = autoencoders.ImageShape
Loss = Callable[[nn.Module, torch.Tensor, torch.Generator], torch.Tensor]

BATCH = 256
LEARNING_RATE = 1e-3
LATENT = 10
DENSE_WIDTHS = (500, 500, 2000, LATENT)
CONV_CHANNELS = (32, 64)
VARIATIONAL_WIDTHS = (500, 500)
MASKED = 0.3
CONTRASTIVE_CHANNELS = (32, 64, 128)
PROJECTION = 64
TEMPERATURE = 0.5


@dataclass(frozen=True)
class Encoder:
    """How one of the networks is made and trained.

    Attributes
    ----------
    build : callable
        Makes the network for images of a shape; it has ``encode``.
    loss : callable
        Mean loss of a batch: of the network, pixels ``(N, C, H, W)`` in [0, 1], and the generator
        of what is random about it.
    epochs : int
        Default number of epochs.
    settings : str
        The network and the values it is trained with, but for the epochs, and their source.
    """

    build: Callable[[Shape], nn.Module]
    loss: Loss
    epochs: int
    settings: str


@training.freed_memory_kept()
@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
def fit_features(
    name: str,
    images: np.ndarray,
    seed: int,
    epochs: int | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> np.ndarray:
    """Train a network on images and represent them by it; no label is seen.

    Parameters
    ----------
    name : str
        A key of `ENCODERS`.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    seed : int
        Of the initial weights, the order of the images and all that is random in the loss.
    epochs : int, optional
        Rounds through the images; without it the network's own number. After 0 the network is as
        it was drawn.
    on_epoch : callable, optional
        Called with the epoch's number from 1 and its ``loss`` and ``seconds``.

    Returns
    -------
    ndarray of float32, shape (N, D)

    Raises
    ------
    UserError
        If the name is unknown or the images do not fit the network.
    TrainingError
        If the loss is no longer a number.
    """
    if name not in ENCODERS:
        raise UserError(f"unknown encoder {name!r}: allowed are {', '.join(ENCODERS)}")
    encoder = ENCODERS[name]
    device = training.pick_device()
    torch.manual_seed(seed)
    model = encoder.build(training.image_shape(images))
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    generator = torch.Generator().manual_seed(seed)
    stack = training.on_device(images, device)
    model.train()
    for epoch in range(1, (encoder.epochs if epochs is None else epochs) + 1):
        started = time.perf_counter()
        loss = _train_epoch(name, model, encoder.loss, optimizer, stack, generator, epoch)
        if on_epoch is not None:
            on_epoch(epoch, {"loss": loss, "seconds": time.perf_counter() - started})
    return training.encode(model.eval(), images)


def _train_epoch(
    name: str,
    model: nn.Module,
    loss_of: Loss,
    optimizer: torch.optim.Optimizer,
    stack: torch.Tensor,
    generator: torch.Generator,
    epoch: int,
) -> float:
    device = stack.device
    losses = []
    for rows in torch.randperm(len(stack), generator=generator).split(BATCH):
        pixels = training.to_pixels(stack[rows.to(device)])
        loss = loss_of(model, pixels, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    mean = float(torch.stack(losses).double().mean())
    if not math.isfinite(mean):
        raise training.TrainingError(
            f"{name}: the loss is no longer a number in epoch {epoch}: check the images"
        )
    return mean


# --- autoencoders --------------------------------------------------------------------------------


def _reconstruction(
    model: nn.Module, pixels: torch.Tensor, _generator: torch.Generator
) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(model(pixels).float(), pixels)


def _denoising(model: nn.Module, pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Compare with the whole images what is made of images without a part of their pixels.

    Masking noise, Vincent, Larochelle, Lajoie, Bengio & Manzagol (2010), section 3.3.
    """
    kept = (torch.rand(pixels.shape, generator=generator) >= MASKED).to(pixels.device)
    return functional.binary_cross_entropy_with_logits(model(pixels * kept).float(), pixels)


class Variational(nn.Module):
    """A variational autoencoder (Kingma & Welling 2014) of dense layers.

    Parameters
    ----------
    shape : tuple of int
        Channels, height and width of an image.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        ends = autoencoders.dense(shape, [*VARIATIONAL_WIDTHS, LATENT])
        self.encoder, self.decoder = ends.encoder, ends.decoder
        # The last layer gives means and logarithms of variances side by side.
        self.encoder[-1] = nn.Linear(VARIATIONAL_WIDTHS[-1], 2 * LATENT)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return the means, float ``(N, D)``."""
        return self.encoder(images).chunk(2, dim=1)[0]


def _variational(
    model: Variational, pixels: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Return the negative evidence lower bound per pixel, by one draw of the latent."""
    mean, log_variance = model.encoder(pixels).float().chunk(2, dim=1)
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    logits = model.decoder(mean + noise * (log_variance / 2).exp()).float()
    reconstruction = functional.binary_cross_entropy_with_logits(logits, pixels, reduction="sum")
    return (reconstruction + divergence(mean, log_variance).sum()) / pixels.numel()


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return the divergence of Gaussians from the standard one, one a row.

    Kingma & Welling (2014), appendix B.

    Parameters
    ----------
    mean, log_variance : Tensor, shape (N, D)

    Returns
    -------
    Tensor, shape (N,)
        Kullback-Leibler divergence in nats, at least 0.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


# --- contrastive learning ------------------------------------------------------------------------


class Contrastive(nn.Module):
    """A small convolutional network with a head that only its training uses (Chen et al. 2020).

    Parameters
    ----------
    shape : tuple of int
        Channels, height and width of an image.

    Raises
    ------
    UserError
        If a side is too short to be halved by every convolution.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        least = 2 ** len(CONTRASTIVE_CHANNELS)
        if min(shape[1:]) < least:
            raise UserError(
                f"images of {shape[1]}×{shape[2]} pixels are too small for 'contrastive': their "
                f"sides must be at least {least}; use another encoder"
            )
        layers: list[nn.Module] = []
        before = shape[0]
        for after in CONTRASTIVE_CHANNELS:
            layers += [
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            before = after
        self.encoder = autoencoders.Blocks(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        width = 4 * before
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, PROJECTION))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return features of length 1, float ``(N, D)``."""
        return functional.normalize(self.encoder(images), dim=1)


def _contrastive(
    model: Contrastive, pixels: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    views = torch.cat([distortions.distort(pixels, generator) for _ in range(2)])
    views = views.contiguous(memory_format=torch.channels_last)
    return nt_xent(model.head(model.encoder(views)).float(), TEMPERATURE)


def nt_xent(projections: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return how badly each view finds the other view of its image among all others.

    The normalised, temperature-scaled cross-entropy of SimCLR (Chen, Kornblith, Norouzi & Hinton
    2020, equation 1).

    Parameters
    ----------
    projections : Tensor, shape (2 N, D)
        First views of N images, then their second views in the same order.
    temperature : float
        Divides the cosines.

    Returns
    -------
    Tensor
        Mean over the 2 N views, a scalar of at least 0.
    """
    unit = functional.normalize(projections, dim=1)
    cosines = unit @ unit.T / temperature
    cosines.fill_diagonal_(-math.inf)
    partners = torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)
    return functional.cross_entropy(cosines, partners)


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))


def _dense_name(widths: Sequence[int]) -> str:
    return "-".join(["D", *map(str, widths)])


_ADAM = f"Adam {LEARNING_RATE:g}, batches of {BATCH}"
ENCODERS: dict[str, Encoder] = {
    "ae_dense": Encoder(
        lambda shape: autoencoders.dense(shape, DENSE_WIDTHS),
        _reconstruction,
        epochs=20,
        settings=f"dense autoencoder {_dense_name(DENSE_WIDTHS)} (Xie et al. 2016), {_ADAM}",
    ),
    "ae_conv": Encoder(
        lambda shape: autoencoders.conv_batchnorm(shape, CONV_CHANNELS),
        _reconstruction,
        epochs=10,
        settings=f"{len(CONV_CHANNELS)} blocks of convolution, batch norm and pooling "
        f"({_listed(CONV_CHANNELS)} channels), {_ADAM}",
    ),
    "ae_denoising": Encoder(
        lambda shape: autoencoders.dense(shape, DENSE_WIDTHS),
        _denoising,
        epochs=20,
        settings=f"dense autoencoder {_dense_name(DENSE_WIDTHS)}, {MASKED:.0%} of the input pixels "
        f"masked (Vincent et al. 2010), {_ADAM}",
    ),
    "vae": Encoder(
        Variational,
        _variational,
        epochs=20,
        settings=f"{_dense_name((*VARIATIONAL_WIDTHS, LATENT))} (Kingma & Welling 2014), the "
        f"means, {_ADAM}",
    ),
    "contrastive": Encoder(
        Contrastive,
        _contrastive,
        epochs=10,
        settings=f"{len(CONTRASTIVE_CHANNELS)} convolutions ({_listed(CONTRASTIVE_CHANNELS)} "
        f"channels), SimCLR's loss at temperature {TEMPERATURE:g} on two distorted views "
        f"(Chen et al. 2020), features of length 1, {_ADAM}",
    ),
}
