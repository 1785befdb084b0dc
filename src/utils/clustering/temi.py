"""TEMI: heads that agree on the clusters of neighbouring images.

Adaloglou, Michels, Kalisch & Kollmann (2023), "Exploring the Limits of Deep Image Clustering using
Pretrained Models". Each head is a small network from frozen features to clusters, taught by a
slowly moving copy of itself: an image and one of its nearest neighbours shall have high pointwise
mutual information, and pairs count as much as all teachers together put them into one cluster. No
label is involved.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from utils import spaces
from utils.clustering.results import Result, _without_gaps
from utils.errors import UserError
from utils.representations.training import TrainingError, freed_memory_kept, pick_device

# The authors' published settings, but for two that two cores cannot afford: 4 heads instead of 16,
# and `MOST_STEPS`. Their 100 epochs of 50,000 images are 4,900 steps; here training ends after
# about as many as 10,000 images have in 100 epochs.
EPOCHS = 100
MOST_STEPS = 1000
N_HEADS = 4
N_NEIGHBORS = 50
HIDDEN, BOTTLENECK = 512, 256
BATCH = 1024
LEARNING_RATE = 1e-4 * BATCH / 256
WARM_UP_EPOCHS = 20
WEIGHT_DECAY = 1e-4
TEMPERATURE = 0.1
BETA = 0.6
TEACHER_MOMENTUM = 0.996
SHARES_MOMENTUM = 0.9
INITIAL_SCALE = 0.02


def settings(epochs: int) -> str:
    """Say with what TEMI is run for so many epochs."""
    return (
        f"TEMI (Adaloglou et al. 2023), the best of {N_HEADS} heads {HIDDEN}-{BOTTLENECK}-k on "
        f"{N_NEIGHBORS} neighbours by the cosine, β = {BETA:g}, {epochs} epochs or {MOST_STEPS:,} "
        f"steps of {BATCH:,} pairs, AdamW {LEARNING_RATE:g}"
    )


@freed_memory_kept()
def cluster(features: np.ndarray, n_clusters: int, seed: int, epochs: int = EPOCHS) -> Result:
    """Cluster images by heads that agree on the clusters of neighbours.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        One row an image; finite.
    n_clusters : int
        Number of clusters, at least 2.
    seed : int
        Of the initial weights, the order of the images and the neighbours drawn.
    epochs : int
        Rounds through the images, unless `MOST_STEPS` end before.

    Returns
    -------
    Result
        The likeliest cluster of each image and its probability, by the teacher of the head with the
        lowest loss in the last epoch.

    Raises
    ------
    UserError
        If there are fewer than 2 clusters or than 51 images, or a value is NaN or infinite.
    TrainingError
        If the loss is no longer a number.
    """
    if n_clusters < 2:
        raise UserError(f"TEMI needs at least 2 clusters, not {n_clusters}")
    spaces.require_features(features, N_NEIGHBORS + 1, "TEMI")
    device = pick_device()
    neighbours, _ = spaces.knn_graph(spaces.unit_rows(features), N_NEIGHBORS)
    stack = torch.from_numpy(features).to(device)
    near = torch.from_numpy(neighbours).to(device)
    random = torch.Generator().manual_seed(seed)
    student = _heads(features.shape[1], n_clusters, random, device)
    teacher = [weight.detach().clone() for weight in student]
    first, first_bias, second, second_bias, *last = student
    decayed = {"params": [first, second, *last], "weight_decay": WEIGHT_DECAY}
    biases = {"params": [first_bias, second_bias], "weight_decay": 0}
    optimizer = torch.optim.AdamW([decayed, biases], LEARNING_RATE)
    batch = min(BATCH, len(features))
    n_batches = len(features) // batch
    n_steps = min(epochs * n_batches, max(MOST_STEPS, n_batches))
    shares = torch.full((N_HEADS, 1, n_clusters), 1 / n_clusters, device=device)
    losses = []
    for step in range(n_steps):
        if step % n_batches == 0:
            order = torch.randperm(len(features), generator=random).to(device)
        # As the authors do: the rate rises over the first fifth, and the last layer waits an epoch.
        warm = min(1.0, step / (WARM_UP_EPOCHS / EPOCHS * n_steps))
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm
        rows = order[step % n_batches * batch :][:batch]
        drawn = torch.randint(N_NEIGHBORS, (batch,), generator=random).to(device)
        pair = torch.cat([stack[rows], stack[near[rows, drawn]]])
        with torch.no_grad():
            taught = _probabilities(teacher, pair)
            shares.lerp_(taught.mean(dim=1, keepdim=True), 1 - SHARES_MOMENTUM)
            weight = (taught[:, :batch] * taught[:, batch:]).sum(dim=2).mean(dim=0)
        learned = _probabilities(student, pair)
        by_head = _loss(learned[:, :batch], taught[:, batch:], shares, weight)
        by_head = (by_head + _loss(learned[:, batch:], taught[:, :batch], shares, weight)) / 2
        optimizer.zero_grad(set_to_none=True)
        by_head.mean().backward()
        if step < n_batches:
            for weight_of_last in last:
                weight_of_last.grad = None
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(teacher, student, strict=True):
                slow.lerp_(fast, 1 - TEACHER_MOMENTUM)
        losses = [*losses, by_head.detach()][-n_batches:]
    means = torch.stack(losses).mean(dim=0)
    if not torch.isfinite(means).all():
        raise TrainingError("TEMI: the loss is no longer a number: check the features")
    best = [weight[means.argmin()][None] for weight in teacher]
    with torch.no_grad():
        parts = [_probabilities(best, part)[0] for part in stack.split(10 * BATCH)]
    probabilities = torch.cat(parts).cpu().numpy()
    return Result(_without_gaps(probabilities.argmax(axis=1)), probabilities.max(axis=1).clip(0, 1))


def _heads(
    n_features: int, n_clusters: int, random: torch.Generator, device: torch.device
) -> list[torch.Tensor]:
    """Return the initial weights of all heads: of two layers, and of the last, normalised one."""
    bound = 1 / BOTTLENECK**0.5

    def drawn(*shape: int) -> torch.Tensor:
        start = torch.empty(N_HEADS, *shape)
        return torch.nn.init.trunc_normal_(start, std=INITIAL_SCALE, generator=random)

    weights = [
        drawn(n_features, HIDDEN),
        torch.zeros(N_HEADS, 1, HIDDEN),
        drawn(HIDDEN, BOTTLENECK),
        torch.zeros(N_HEADS, 1, BOTTLENECK),
        torch.empty(N_HEADS, BOTTLENECK, n_clusters).uniform_(-bound, bound, generator=random),
        torch.ones(N_HEADS, 1, n_clusters),
    ]
    return [weight.to(device).requires_grad_() for weight in weights]


def _probabilities(weights: list[torch.Tensor], features: torch.Tensor) -> torch.Tensor:
    """Return each head's probabilities of the clusters, shape (heads, N, k)."""
    first, first_bias, second, second_bias, last, lengths = weights
    inputs = features.expand(len(first), -1, -1)
    hidden = functional.gelu(torch.baddbmm(first_bias, inputs, first))
    bottleneck = functional.normalize(torch.baddbmm(second_bias, hidden, second), dim=2)
    logits = torch.bmm(bottleneck, functional.normalize(last, dim=1) * lengths)
    return (logits / TEMPERATURE).softmax(dim=2)


def _loss(
    learned: torch.Tensor, taught: torch.Tensor, shares: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Return each head's negative pointwise mutual information, weighted, in the mean of pairs."""
    information = ((learned * taught) ** BETA / shares).sum(dim=2).log()
    return -(weight * information).mean(dim=1)
