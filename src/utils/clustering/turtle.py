"""TURTLE: the labelling that linear classifiers of every feature space learn most easily.

Gadetsky, Jiang & Brbić (2024), "Let Go of Your Labels with Unsupervised Transfer". Each view of the
images has a linear head, and the labelling is the mean of the heads' softmaxes. Inner linear
classifiers learn it in each view by a few steps; the heads then move towards what these find easy,
while the entropy of the clusters keeps them from becoming one. No label of a person is involved.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from utils import spaces
from utils.clustering.results import Result, _without_gaps
from utils.errors import UserError
from utils.representations.training import TrainingError, freed_memory_kept, pick_device

# Steps of the heads; of no more images than a batch each is an epoch. These are the authors'
# published defaults but for the batch, theirs is of 10,000 images: ten times the time.
EPOCHS = 6000
BATCH = 1000
INNER_STEPS = 10
LEARNING_RATE = 1e-3
ENTROPY_WEIGHT = 10.0
# Of the generalisation score.
FOLDS = 10
MOST_SCORED = 10_000
RIDGE = 0.01


def settings(epochs: int) -> str:
    """Say with what TURTLE is run for so many steps."""
    return (
        f"TURTLE (Gadetsky et al. 2024) on each view's standardised features, {epochs} steps of "
        f"{BATCH:,} images, {INNER_STEPS} inner steps from a warm start, Adam {LEARNING_RATE:g}, "
        f"entropy weight {ENTROPY_WEIGHT:g}"
    )


@freed_memory_kept()
def cluster(
    views: Sequence[np.ndarray], n_clusters: int, seed: int, epochs: int = EPOCHS
) -> Result:
    """Cluster images by what linear classifiers of all their views learn most easily.

    Parameters
    ----------
    views : sequence of ndarray of float32, shape (N, D_i)
        Features of the same N images in one or more spaces; finite.
    n_clusters : int
        Number of clusters, at least 2.
    seed : int
        Of the initial weights and the batches.
    epochs : int
        Steps of the heads.

    Returns
    -------
    Result
        The likeliest cluster of each image, and its probability: the mean of the heads' softmaxes.

    Raises
    ------
    UserError
        If there is no view, their numbers of images differ, there are fewer than 2 clusters or
        fewer images than clusters, or a value is NaN or infinite.
    TrainingError
        If the loss is no longer a number.

    Notes
    -----
    Features are standardised, so that one learning rate suits every view; those of the authors'
    networks are of about that scale, and those of ours have length 1.
    """
    if n_clusters < 2:
        raise UserError(f"TURTLE needs at least 2 clusters, not {n_clusters}")
    stacks = _standardised(views, n_clusters, "TURTLE")
    torch.manual_seed(seed)
    heads = [weight_norm(linear) for linear in _linear(stacks, n_clusters)]
    inner = _linear(stacks, n_clusters)
    outer_optimizer, inner_optimizer = _adam(heads), _adam(inner)
    for _ in range(epochs):
        batch = stacks
        if len(stacks[0]) > BATCH:
            rows = torch.randperm(len(stacks[0]))[:BATCH].to(stacks[0].device)
            batch = [stack[rows] for stack in stacks]
        labels, by_view = _label(heads, batch)
        for _ in range(INNER_STEPS):
            _teach(inner, inner_optimizer, batch, labels)
        fixed = [(one.weight.detach(), one.bias.detach()) for one in inner]
        error = sum(
            functional.cross_entropy(functional.linear(view, *weights), labels)
            for view, weights in zip(batch, fixed, strict=True)
        )
        entropy = sum(torch.special.entr(found.mean(0)).sum() for found in by_view)
        loss = error - ENTROPY_WEIGHT * entropy
        outer_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        outer_optimizer.step()
    if not torch.isfinite(loss):
        raise TrainingError("TURTLE: the loss is no longer a number: check the features")
    with torch.no_grad():
        probabilities = _label(heads, stacks)[0].cpu().numpy()
    return Result(_without_gaps(probabilities.argmax(axis=1)), probabilities.max(axis=1).clip(0, 1))


def generalisation_score(views: Sequence[np.ndarray], assignment: np.ndarray, seed: int) -> float:
    """Measure how well linear classifiers learn a clustering of any method: no label is seen.

    The label-free criterion of TURTLE's authors: the cross-validated accuracy of a linear
    classifier that is taught the clusters, in the mean over the views. Theirs is a logistic
    regression; here it is a ridge regression on the clusters' indicators, whose folds share their
    sums, so that 10,000 images of 1,280 features take seconds.

    Parameters
    ----------
    views : sequence of ndarray of float32, shape (N, D_i)
        Features of the same N images in one or more spaces; finite.
    assignment : ndarray of int, shape (N,)
        Cluster of each image; noise (−1) counts as a cluster of its own.
    seed : int
        Of the ten folds, and of the 10,000 images that are drawn where there are more.

    Returns
    -------
    float
        Share of images, in [0, 1], whose cluster a classifier that did not see them names. It is 1
        for a single cluster, and falls with the number of clusters: compare it between clusterings
        of equally many.

    Raises
    ------
    UserError
        If there is no view, there are fewer images than folds, numbers of images differ, or a value
        is NaN or infinite.
    """
    if any(len(view) != len(assignment) for view in views):
        raise UserError("a generalisation score needs features and a cluster of the same images")
    random = np.random.default_rng(seed)
    rows = random.permutation(len(assignment))[:MOST_SCORED]
    stacks = _standardised([view[rows] for view in views], FOLDS, "a generalisation score")
    clusters = torch.from_numpy(np.unique(assignment[rows], return_inverse=True)[1])
    # The rows are in random order, so that the folds may be runs of them.
    return float(np.mean([_learned_share(view, clusters.to(view.device)) for view in stacks]))


def _standardised(
    views: Sequence[np.ndarray], least_images: int, purpose: str
) -> list[torch.Tensor]:
    if not views:
        raise UserError(f"{purpose} needs the features of at least one view")
    if len({len(view) for view in views}) > 1:
        raise UserError(f"{purpose}: all views must be of the same images")
    stacks = []
    for view in views:
        spaces.require_features(view, least_images, purpose)
        mean, scale = (of(axis=0, dtype=np.float64) for of in (view.mean, view.std))
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        centred = (view - mean.astype(np.float32)) / scale
        stacks.append(torch.from_numpy(centred).to(pick_device()))
    return stacks


def _linear(stacks: list[torch.Tensor], n_clusters: int) -> list[nn.Linear]:
    return [nn.Linear(stack.shape[1], n_clusters).to(stack.device) for stack in stacks]


def _adam(models: Sequence[nn.Module]) -> torch.optim.Adam:
    parameters = [weight for model in models for weight in model.parameters()]
    return torch.optim.Adam(parameters, LEARNING_RATE, fused=True)


def _label(
    heads: Sequence[nn.Module], views: list[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the labelling, and each head's part of it."""
    by_view = [head(view).softmax(dim=1) for head, view in zip(heads, views, strict=True)]
    return torch.stack(by_view).mean(dim=0), by_view


@torch.no_grad()
def _teach(
    inner: list[nn.Linear],
    optimizer: torch.optim.Optimizer,
    views: list[torch.Tensor],
    labels: torch.Tensor,
) -> None:
    """Move the inner classifiers one step along the gradient of their mean cross-entropy."""
    for classifier, view in zip(inner, views, strict=True):
        excess = (classifier(view).softmax(dim=1) - labels) / len(view)
        classifier.weight.grad, classifier.bias.grad = excess.T @ view, excess.sum(dim=0)
    optimizer.step()


def _learned_share(features: torch.Tensor, clusters: torch.Tensor) -> float:
    """Return the cross-validated accuracy of ridge regression on the clusters' indicators."""
    with_one = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    targets = functional.one_hot(clusters).to(features.dtype)
    parts = list(
        zip(*(rows.tensor_split(FOLDS) for rows in (with_one, targets, clusters)), strict=True)
    )
    squares = torch.stack([part.T @ part for part, _, _ in parts])
    products = torch.stack([part.T @ target for part, target, _ in parts])
    penalty = RIDGE * len(features) * torch.eye(with_one.shape[1], device=features.device)
    n_right = 0
    for i, (part, _, own) in enumerate(parts):
        factor = torch.linalg.cholesky(squares.sum(0) - squares[i] + penalty)
        weights = torch.cholesky_solve(products.sum(0) - products[i], factor)
        n_right += int(((part @ weights).argmax(dim=1) == own).sum())
    return n_right / len(features)
