"""A study tried on a few images: its network, and how long a full run of it will take."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from utils import clustering, metrics, spaces
from utils.config.load import is_offline
from utils.config.schema import Profile, Study
from utils.config.vocabulary import DATASETS
from utils.data import datasets
from utils.data.prepared import prepare_data, selected_rows

TRAINED_IMAGES = 500
CLUSTERED_IMAGES = 3000
# The first epoch also compiles and allocates; the fastest one is what an epoch costs.
TIMED_EPOCHS = 3


class Seconds(NamedTuple):
    """What a clustering of `n` points takes: k-means, its scores, and those of half the points."""

    n: int
    kmeans: float
    scores: float
    scores_of_half: float

    def of(self, n: int) -> float:
        """Estimate it for `n` points: k-means grows with n, the exact silhouette with n².

        What the scores of half the points take beyond a quarter does not grow.
        """
        growing = max(0.0, (self.scores - self.scores_of_half) / 0.75)
        return self.kmeans * n / self.n + self.scores - growing + growing * (n / self.n) ** 2


@dataclass(frozen=True)
class Trial:
    """What the trial of a study found.

    Attributes
    ----------
    dataset : str
        The one that was used; not the study's if that cannot be had.
    images : int
        How many the network was trained on.
    layers : list of dict
        As from `autoencoders.layer_table`.
    weights, biases : int
        Trainable parameters.
    latent_size : int
    loss : float
        Mean over the first epoch.
    training : float
        Seconds for each image and epoch.
    validation : float
        Seconds for each image on which the loss is only measured.
    on_code, on_pixels : Seconds
        Of a clustering of the code, and of one of the pixels.
    """

    dataset: str
    images: int
    layers: list[dict[str, Any]]
    weights: int
    biases: int
    latent_size: int
    loss: float
    training: float
    validation: float
    on_code: Seconds
    on_pixels: Seconds


class Estimate(NamedTuple):
    """A part of a full run, its seconds, and how they were estimated."""

    part: str
    seconds: float
    how: str


def run_trial(study: Study, profile: Profile) -> Trial:
    """Train a study's network for a few epochs on its first images, and cluster some of them.

    Labels are used for the scores that are timed; nothing is stored.

    Parameters
    ----------
    study : Study
    profile : Profile
        Says whether other data may stand in.

    Raises
    ------
    UserError
        If the network does not fit the images, its loss is not finite, or there are no data.
    """
    from utils.representations import training
    from utils.representations.autoencoders import count_parameters, layer_table

    with tempfile.TemporaryDirectory() as folder:
        described = prepare_data(study, profile, is_offline(), Path(folder))
    data = datasets.load(described["dataset"])
    rows = selected_rows(data, study.images, CLUSTERED_IMAGES)
    images, labels, resize = data.images[rows], data.labels[rows], study.images.resize

    few = images[:TRAINED_IMAGES]
    protocol = study.autoencoder.model_copy(update={"epochs": TIMED_EPOCHS, "validation": None})
    run = training.train(few, protocol, seed=0, resize=resize)
    layers = layer_table(run.model, training.image_shape(images, resize))
    counts = count_parameters(run.model)

    code = training.encode(run.model, images, resize)
    stack = training.on_device(images, training.pick_device())
    pixels = training.to_pixels(stack, resize).flatten(1).cpu().numpy()
    points = code
    if study.space.name == "pca":
        points, _ = spaces.pca(code, n_components=study.space.n_components)
    return Trial(
        dataset=data.name,
        images=len(few),
        layers=layers,
        weights=counts["weights"],
        biases=counts["biases"],
        latent_size=code.shape[1],
        loss=run.history["loss"][0],
        training=min(run.history["seconds"]) / len(few),
        validation=_seconds(lambda: training.reconstruct(run.model, few, resize)) / len(few),
        on_code=_timed(points, labels, study),
        on_pixels=_timed(pixels, labels, study),
    )


def _timed(points: np.ndarray, labels: np.ndarray, study: Study) -> Seconds:
    started = time.perf_counter()
    found = clustering.kmeans(points, study.kmeans.n_clusters, study.kmeans.n_init, seed=0)
    return Seconds(
        n=len(points),
        kmeans=time.perf_counter() - started,
        scores=_seconds(lambda: metrics.score(found.assignment, labels, points)),
        scores_of_half=_seconds(
            lambda: metrics.score(found.assignment[::2], labels[::2], points[::2])
        ),
    )


def _seconds(function: Callable[[], object]) -> float:
    """Return the seconds of the faster of two calls: the first may compile something."""
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return min(taken)


def estimate(study: Study, profile: Profile, trial: Trial) -> list[Estimate]:
    """Estimate how long a run takes on this machine, part by part.

    Parameters
    ----------
    study : Study
    profile : Profile
        Of the run; its seeds are counted.
    trial : Trial
        Of this study.

    Returns
    -------
    list of Estimate
        Frozen networks, UMAP, mixtures, DBSCAN, maps and figures are in none of them.
    """
    epochs = min(study.autoencoder.epochs, profile.max_epochs or study.autoencoder.epochs)
    n, n_held_out = images_of(study, profile)
    held_out_too = study.autoencoder.validation is not None
    n_trained = n - n_held_out if _is_last_fraction(study) else n
    networks = profile.seeds
    variants = sum(len(study.variants_for(profile, seed)) for seed in range(profile.seeds))

    one = epochs * (trial.training * n_trained + trial.validation * n_held_out)
    at_most = ", at most: training may stop early" if _may_stop(study) else ""
    with_validation = f" and {1000 * trial.validation:.3g} ms × {n_held_out:,} held out"
    words = (
        f"{1000 * trial.training:.3g} ms per image and epoch × {n_trained:,} images"
        f"{with_validation if held_out_too else ''}, × {epochs} epochs × {networks} seeds{at_most}"
    )
    parts = [Estimate("training", one * networks, words)]
    if variants:
        words = f"{variants} networks, each as the study's own"
        parts.append(Estimate("variants", one * variants, words))
    of_code = networks * (1 + profile.clustering_seeds) + variants
    of_pixels = 1 + profile.untrained_seeds
    seconds = of_code * trial.on_code.of(n) + of_pixels * trial.on_pixels.of(n)
    words = (
        f"{of_code} times k-means and scores on the code, {of_pixels} times on the pixels, from "
        f"{trial.on_code.n:,} images: k-means × n, scores × n²"
    )
    return [*parts, Estimate("clustering", seconds, words)]


def images_of(study: Study, profile: Profile) -> tuple[int, int]:
    """Count the images that a study clusters, and those on which its loss is only measured."""
    data = DATASETS[study.dataset]
    limits = [data.n_train if study.images.split == "train" else data.shape[0]]
    limits += [limit for limit in (study.images.first, profile.max_images) if limit is not None]
    n, validation = min(limits), study.autoencoder.validation
    if validation is None:
        return n, 0
    if validation.images == "last_fraction":
        return n, max(1, round(n * validation.fraction))
    n_test = data.shape[0] - data.n_train
    return n, min(n_test, profile.max_images or n_test)


def _is_last_fraction(study: Study) -> bool:
    validation = study.autoencoder.validation
    return validation is not None and validation.images == "last_fraction"


def _may_stop(study: Study) -> bool:
    validation = study.autoencoder.validation
    return validation is not None and validation.patience is not None
