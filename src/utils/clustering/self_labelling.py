"""Self-labelling: a network learns the sure part of a clustering and then labels every image.

The last step of SCAN (Van Gansbeke, Vandenhende, Georgoulis, Proesmans & Van Gool 2020), here on
top of any clustering: images whose nearest neighbours all share their cluster are taken as examples
of it, a small convolutional network learns them under random distortions, and its answers replace
the clusters. What a distortion cannot change, a cluster may not depend on. No label is involved;
the network computes in float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from utils import clustering, spaces
from utils.representations import distortions, training
from utils.representations.autoencoders import Blocks, ImageShape

N_NEIGHBORS = 20
EPOCHS = 4
BATCH = 256
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.1
WIDTHS = (32, 64, 128)
PREDICT_BATCH = 1000


def sure_images(neighbours: np.ndarray, assignment: np.ndarray) -> np.ndarray:
    """Find the images all of whose neighbours share their cluster.

    Parameters
    ----------
    neighbours : ndarray of int, shape (N, k)
        Nearest neighbours of each image, itself not among them.
    assignment : ndarray of int, shape (N,)
        Cluster of each image; noise (−1) is never sure.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    same = (assignment[neighbours] == assignment[:, None]).all(axis=1)
    return same & (assignment >= 0)


def settings(epochs: int) -> str:
    """Say with what a clustering is learned for so many epochs."""
    return (
        "self-labelling by a small convolutional network that learns, under distortions, the "
        f"images all of whose {N_NEIGHBORS} neighbours share their cluster, for {epochs} epochs "
        "(last step of SCAN, Van Gansbeke et al. 2020)"
    )


@training.freed_memory_kept()
@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
def refine(
    images: np.ndarray,
    features: np.ndarray,
    assignment: np.ndarray,
    seed: int,
    epochs: int = EPOCHS,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> clustering.Result:
    """Replace a clustering by the answers of a network that learned its sure part.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    features : ndarray of float32, shape (N, D)
        In which nearest neighbours are sought.
    assignment : ndarray of int, shape (N,)
        The clustering to refine, −1 for noise.
    seed : int
        Of the initial weights, the order of the images and the distortions.
    epochs : int
        Rounds through the sure images.
    on_epoch : callable, optional
        Called with the epoch's number from 1 and its ``loss`` and ``seconds``.

    Returns
    -------
    Result
        Cluster of every image, numbered as in `assignment`, and the network's probability of it.

    Raises
    ------
    TrainingError
        If the loss is no longer a number.
    """
    neighbours, _ = spaces.knn_graph(features, N_NEIGHBORS)
    sure = np.flatnonzero(sure_images(neighbours, assignment))
    torch.manual_seed(seed)
    model = _classifier(training.image_shape(images), int(assignment.max()) + 1)
    _learn(model, images, sure, assignment, seed, epochs, on_epoch)
    _settle(model, images[sure[:PREDICT_BATCH]])
    probabilities = _predict(model, images)
    return clustering.Result(
        probabilities.argmax(axis=1).astype(np.int32), probabilities.max(axis=1)
    )


def _classifier(shape: ImageShape, n_clusters: int) -> nn.Module:
    layers: list[nn.Module] = []
    before = shape[0]
    for width in WIDTHS:
        for channels in (before, width):
            layers += [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        layers.append(nn.MaxPool2d(2))
        before = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(before, n_clusters)]
    return Blocks(*layers, *head).to(training.pick_device(), memory_format=torch.channels_last)


def _learn(
    model: nn.Module,
    images: np.ndarray,
    rows: np.ndarray,
    assignment: np.ndarray,
    seed: int,
    epochs: int,
    on_epoch: Callable[[int, dict[str, float]], None] | None,
) -> None:
    device = training.pick_device()
    stack = training.on_device(images[rows], device)
    targets = torch.from_numpy(assignment[rows].astype(np.int64)).to(device)
    n_batches = -(-len(rows) // BATCH)
    optimizer = torch.optim.AdamW(
        model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=epochs * n_batches + 1
    )
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        losses = []
        for part in torch.randperm(len(rows), generator=generator).split(BATCH):
            part = part.to(device)
            pixels = distortions.distort(training.to_pixels(stack[part]), generator)
            loss = functional.cross_entropy(
                _logits(model, pixels), targets[part], label_smoothing=LABEL_SMOOTHING
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
        values = torch.stack(losses).cpu()
        if not torch.isfinite(values).all():
            raise training.TrainingError(
                f"self-labelling: the loss is no longer a number in epoch {epoch}: check the images"
            )
        if on_epoch is not None:
            seconds = time.perf_counter() - started
            on_epoch(epoch, {"loss": float(values.mean()), "seconds": seconds})


@torch.no_grad()
def _settle(model: nn.Module, images: np.ndarray) -> None:
    """Take the batch norms' means and variances from the trained network.

    Their running averages lag behind the weights, and after few batches they are far off.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean of what follows
    model.train()
    _logits(model, training.to_pixels(training.on_device(images, training.pick_device())))


@torch.inference_mode()
def _predict(model: nn.Module, images: np.ndarray) -> np.ndarray:
    model.eval()
    device = training.pick_device()
    parts = []
    for start in range(0, len(images), PREDICT_BATCH):
        pixels = training.to_pixels(
            training.on_device(images[start : start + PREDICT_BATCH], device)
        )
        parts.append(functional.softmax(_logits(model, pixels), dim=1).cpu().numpy())
    return np.concatenate(parts)


def _logits(model: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return model(pixels.contiguous(memory_format=torch.channels_last))
