"""The pipeline: images → features → points → clusters.

Each stage is stored under its own fingerprint together with what it cost. Methods that share a
stage compute it once, and each of them is charged for all of its stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from utils import clustering, spaces
from utils.clustering import joint, linear_head, numbers, self_labelling, temi, turtle
from utils.config.methods import HEADS, LINEAR_HEAD, SELF_LABEL, TURTLE, Method, Space
from utils.errors import UserError
from utils.representations import encoders, registry
from utils.store.files import sha256_array, sha256_arrays
from utils.store.stages import Stage, load_or_measure, load_or_take

if TYPE_CHECKING:
    import pandas as pd

OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Result:
    """What a method made of images.

    Attributes
    ----------
    features : ndarray of float32, shape (N, D)
    points : ndarray of float32, shape (N, d)
        The space that was clustered.
    assignment : ndarray of int32, shape (N,)
        Cluster of each image, from 0; −1 is noise.
    confidence : ndarray of float32, shape (N,), or None
        How surely each image belongs to its cluster, in [0, 1]; None if the clusterer does not say.
    stages : dict of str to Stage
        Every stage that the method needs, by name, with its cost.
    views : list of ndarray of float32, shape (N, D_i)
        The features of each view by itself.
    """

    features: np.ndarray
    points: np.ndarray
    assignment: np.ndarray
    confidence: np.ndarray | None
    stages: dict[str, Stage]
    views: list[np.ndarray]

    @property
    def seconds(self) -> float:
        """Time of all stages together."""
        return sum(stage.seconds for stage in self.stages.values())

    @property
    def peak_memory_mb(self) -> float:
        """Largest memory of any stage in MB (2^20 bytes), NaN if one is unknown."""
        return float(np.max([stage.peak_memory_mb for stage in self.stages.values()]))

    @property
    def settings(self) -> str:
        """What the stages were computed with."""
        return "; ".join(stage.settings for stage in self.stages.values())


def run(
    method: Method,
    images: np.ndarray,
    k: int,
    seed: int,
    *,
    max_epochs: int | None = None,
    latents: Callable[[str], Stage] | None = None,
    on_batch: registry.OnBatch | None = None,
    on_epoch: OnEpoch | None = None,
) -> Result:
    """Cluster images by a method. No label is involved.

    Parameters
    ----------
    method : Method
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    k : int
        Number of clusters; ignored if the method chooses or finds it.
    seed : int
        Not negative; of every network, layout and clusterer that has one.
    max_epochs : int, optional
        No network is trained for more epochs.
    latents : callable, optional
        From a name that is no representation of ours to a stage with the array ``features``: a
        study's network. Its seconds include the training.
    on_batch : callable, optional
        Called with the number of images represented and N.
    on_epoch : callable, optional
        Called with the number of an epoch from 1 and its ``loss`` and ``seconds``.

    Raises
    ------
    UserError
        If a representation is unknown, or the images or features do not suit a stage.
    TrainingError
        If the loss of a network is no longer a number.
    """
    steps = _ImageSteps(images, max_epochs, latents, on_batch, on_epoch, seed=seed)
    views = [steps.view(name) for name in method.views]
    features = steps.side_by_side(method.views, views)
    points = steps.project(method.space, features)
    clusters = steps.run_clusterer(method, views, points, k)
    if method.second_step == SELF_LABEL:
        clusters = steps.label_again(features, clusters["assignment"])
    elif method.second_step == LINEAR_HEAD:
        clusters = steps.learn_linearly(features, clusters["assignment"])
    return Result(
        features, points, clusters["assignment"], clusters.get("confidence"), steps.stages, views
    )


def untrained(name: str, images: np.ndarray, on_batch: registry.OnBatch | None = None) -> Stage:
    """Compute, or load, the features of a view that needs no training on the images.

    Parameters
    ----------
    name : str
        A key of `registry.REPRESENTATIONS`.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    on_batch : callable, optional
        As for `run`.

    Returns
    -------
    Stage
        With the array ``features``, float32 (N, D).
    """
    entry = registry.entry(name)
    return load_or_measure(
        f"representation-{name}",
        {"images": sha256_array(images)},
        (entry.module,),
        lambda: {"features": entry.compute(images, on_batch)},
        entry.settings,
    )


def untrained_of_rows(
    name: str, images: np.ndarray, rows: slice, on_batch: registry.OnBatch | None = None
) -> Stage:
    """Do what `untrained` does for ``images[rows]``, by taking these rows of all images' features.

    Such a view represents each image by itself.
    """
    return load_or_take(
        f"representation-{name}",
        {"images": sha256_array(images[rows])},
        (registry.entry(name).module,),
        untrained(name, images, on_batch),
        rows,
    )


@dataclass(kw_only=True)
class Steps:
    """The steps that start from features; each adds its stage to `stages`.

    Attributes
    ----------
    seed : int
        Not negative.
    is_stored : bool
        Whether stages are stored, and taken from the store where they are.
    stages : dict of str to Stage
        What was computed, by name, with its cost.
    """

    seed: int
    is_stored: bool = True
    stages: dict[str, Stage] = field(default_factory=dict)

    def project(self, space: Space, features: np.ndarray) -> np.ndarray:
        """Return the points of a space."""
        if space.kind == "raw":
            return features
        kind = spaces.PROJECTIONS[space.kind]
        if kind.of_neighbours:
            features = self.reduce(features, space.reduced_to)
        recipe = {"features": sha256_array(features), "space": str(space)}
        return self._stage(
            f"space-{space}",
            recipe | ({"seed": self.seed} if kind.is_seeded else {}),
            ("utils.spaces.registry",),
            lambda: {"points": spaces.project(space, features, self.seed)},
            kind.settings(space),
        )["points"]

    def reduce(self, features: np.ndarray, to: int = 0) -> np.ndarray:
        """Reduce wide features to those in which nearest neighbours are sought."""
        return self.project(spaces.reduction(features, to), features)

    def cluster(
        self, clusterer: str, points: np.ndarray, n_clusters: int | None
    ) -> dict[str, np.ndarray]:
        """Return ``assignment`` and, if the clusterer says how sure it is, ``confidence``.

        Without `n_clusters` the number is chosen, see `clustering.choose_k`.
        """
        settings = clustering.CLUSTERERS[clusterer].settings
        return self._stage(
            f"clustering-{clusterer}",
            {"points": sha256_array(points), "n_clusters": n_clusters, "seed": self.seed},
            ("utils.clustering.methods",),
            lambda: _arrays(clustering.cluster(clusterer, points, n_clusters, self.seed)),
            settings + (f", {clustering.K_RULE}" if n_clusters is None else ""),
        )

    def neighbours(self, points: np.ndarray, k: int) -> dict[str, np.ndarray]:
        """Return ``indices`` and ``distances`` of the k nearest others, see `spaces.knn_graph`."""
        return self._stage(
            f"neighbours-{k}",
            {"points": sha256_array(points), "k": k},
            ("utils.spaces.neighbours",),
            lambda: dict(zip(("indices", "distances"), spaces.knn_graph(points, k), strict=True)),
            f"{k} exact nearest neighbours",
        )

    def levels(self, neighbours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what `clustering.find_levels` finds, by the names of its fields."""
        return self._stage(
            "clustering-levels",
            {"neighbours": sha256_arrays(neighbours), "seed": self.seed},
            ("utils.clustering.levels",),
            lambda: _level_arrays(clustering.find_levels(**neighbours, seed=self.seed)),
            clustering.LEVELS_SETTINGS,
        )

    def numbers(self, components: np.ndarray) -> dict[str, numbers.Found]:
        """Return the number of clusters that each rule of `numbers.RULES` finds in components."""
        points = numbers.Points(components, self.seed)
        found = {}
        for name, rule in numbers.RULES.items():
            arrays = self._stage(
                f"number-{name}",
                {"components": sha256_array(components), "rule": name, "seed": self.seed},
                ("utils.clustering.numbers",),
                lambda find=rule.find: _found(find(points)),
                rule.name,
            )
            found[name] = numbers.Found(int(arrays["k"]), float(arrays["value"]))
        return found

    def choose_k(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Return the curve of `clustering.choose_k`, ``k`` and ``silhouette``."""
        return self._stage(
            "number-of-clusters",
            {"points": sha256_array(points), "seed": self.seed},
            ("utils.clustering.methods",),
            lambda: _curve(clustering.choose_k(points, seed=self.seed)[1]),
            clustering.K_RULE,
        )

    def _stage(
        self,
        name: str,
        recipe: dict[str, object],
        code: tuple[str, ...],
        compute: Callable[[], dict[str, np.ndarray]],
        settings: str,
    ) -> dict[str, np.ndarray]:
        if self.is_stored:
            stage = load_or_measure(name, recipe, code, compute, settings)
        else:
            stage = _timed(compute, settings)
        self.stages[name] = stage
        return stage.arrays


@dataclass
class _ImageSteps(Steps):
    """The steps of one method, from its images."""

    images: np.ndarray
    max_epochs: int | None
    latents: Callable[[str], Stage] | None
    on_batch: registry.OnBatch | None
    on_epoch: OnEpoch | None

    def side_by_side(self, names: tuple[str, ...], features: list[np.ndarray]) -> np.ndarray:
        """Return the features of one view, or of several side by side."""
        if len(features) == 1:
            return features[0]
        return self._stage(
            f"views-{'-'.join(names)}",
            {"features": [sha256_array(view) for view in features]},
            ("utils.spaces.views",),
            lambda: {"features": spaces.views(*features)},
            f"side by side, {spaces.VIEWS_SETTINGS}",
        )["features"]

    def view(self, name: str) -> np.ndarray:
        """Return the features of one view."""
        if name in encoders.ENCODERS:
            return self._learned(name)
        if name in registry.REPRESENTATIONS or self.latents is None:
            return self._untrained(name)
        stage = self.stages[f"representation-{name}"] = self.latents(name)
        return stage.arrays["features"]

    def _untrained(self, name: str) -> np.ndarray:
        stage = self.stages[f"representation-{name}"] = untrained(name, self.images, self.on_batch)
        return stage.arrays["features"]

    def _learned(self, name: str) -> np.ndarray:
        encoder = encoders.ENCODERS[name]
        epochs = self._at_most(encoder.epochs)
        return self._stage(
            f"representation-{name}",
            {"images": self._images_hash, "epochs": epochs, "seed": self.seed},
            ("utils.representations.encoders",),
            lambda: {
                "features": encoders.fit_features(
                    name, self.images, self.seed, epochs, self.on_epoch
                )
            },
            f"{encoder.settings}, {epochs} epochs",
        )["features"]

    def run_clusterer(
        self, method: Method, views: list[np.ndarray], points: np.ndarray, k: int
    ) -> dict[str, np.ndarray]:
        """Return ``assignment`` and, if the clusterer says how sure it is, ``confidence``."""
        if method.is_joint:
            return self._joint(method, points, k)
        if method.clusterer in HEADS:
            return self._heads(method.clusterer, views, points, k)
        return self.cluster(method.clusterer, points, None if method.k_chosen else k)

    def _joint(self, method: Method, pixels: np.ndarray, k: int) -> dict[str, np.ndarray]:
        name, seed = method.clusterer, self.seed
        if method.k_chosen:
            raise UserError(f"{name} cannot choose k: give the method 'k: given'")
        epochs = tuple(map(self._at_most, joint.EPOCHS))
        return self._stage(
            f"clustering-{name}",
            {"points": sha256_array(pixels), "n_clusters": k, "epochs": epochs, "seed": seed},
            ("utils.clustering.joint",),
            lambda: _arrays(joint.cluster(name, pixels, k, seed, epochs)),
            joint.settings(name, epochs),
        )

    def _heads(
        self, name: str, views: list[np.ndarray], points: np.ndarray, k: int
    ) -> dict[str, np.ndarray]:
        module, given = (turtle, views) if name == TURTLE else (temi, points)
        epochs = self._at_most(module.EPOCHS)
        seen = [sha256_array(view) for view in given] if name == TURTLE else sha256_array(given)
        return self._stage(
            f"clustering-{name}",
            {"points": seen, "n_clusters": k, "epochs": epochs, "seed": self.seed},
            (module.__name__,),
            lambda: _arrays(module.cluster(given, k, self.seed, epochs)),
            module.settings(epochs),
        )

    def learn_linearly(self, features: np.ndarray, assignment: np.ndarray) -> dict[str, np.ndarray]:
        """Have a linear classifier learn the clusters and label every image."""
        near = self.reduce(features)
        return self._stage(
            f"clustering-{LINEAR_HEAD}",
            {
                "features": sha256_array(features),
                "near": sha256_array(near),
                "assignment": sha256_array(assignment),
            },
            ("utils.clustering.linear_head",),
            lambda: _arrays(linear_head.refine(features, near, assignment)),
            linear_head.SETTINGS,
        )

    def label_again(self, features: np.ndarray, assignment: np.ndarray) -> dict[str, np.ndarray]:
        """Have a network learn the clusters and label every image."""
        features = self.reduce(features)
        epochs = self._at_most(self_labelling.EPOCHS)
        return self._stage(
            f"clustering-{SELF_LABEL}",
            {
                "images": self._images_hash,
                "features": sha256_array(features),
                "assignment": sha256_array(assignment),
                "epochs": epochs,
                "seed": self.seed,
            },
            ("utils.clustering.self_labelling",),
            lambda: _arrays(
                self_labelling.refine(
                    self.images, features, assignment, self.seed, epochs, self.on_epoch
                )
            ),
            self_labelling.settings(epochs),
        )

    def _at_most(self, epochs: int) -> int:
        """Cut a number of epochs down to what is allowed."""
        return min(epochs, self.max_epochs or epochs)

    @cached_property
    def _images_hash(self) -> str:
        return sha256_array(self.images)


def _timed(compute: Callable[[], dict[str, np.ndarray]], settings: str) -> Stage:
    started = time.perf_counter()
    arrays = compute()
    return Stage(arrays, time.perf_counter() - started, float("nan"), settings)


def _arrays(result: clustering.Result) -> dict[str, np.ndarray]:
    arrays = {"assignment": result.assignment, "confidence": result.confidence}
    return {name: array for name, array in arrays.items() if array is not None}


def _level_arrays(found: clustering.Levels) -> dict[str, np.ndarray]:
    return found._asdict() | {"front": np.array(found.front)}


def _found(number: numbers.Found) -> dict[str, np.ndarray]:
    return {"k": np.array(number.k), "value": np.array(number.value)}


def _curve(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in table.columns}
