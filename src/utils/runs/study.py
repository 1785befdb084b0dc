"""One study, one seed, from data to recorded results.

A notebook opens a run, asks it for representations (each loaded if it was computed before with
exactly the same ingredients, otherwise computed), scores clusterings and records figures, tables
and facts. `Run.finish` writes everything that the report reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from utils import clustering, metrics, places, spaces
from utils.config import vocabulary
from utils.config.load import explain, load_profile, load_study, training_threads
from utils.config.schema import Profile, Study, Variant
from utils.data import datasets
from utils.data.prepared import data_of
from utils.errors import UserError
from utils.runs.record import Recorder
from utils.store.cache import load_or_compute, with_prefix
from utils.store.files import sha256_array

if TYPE_CHECKING:
    from utils.clustering.results import Clustering
    from utils.config.schema import Autoencoder as Protocol
    from utils.representations.autoencoders import Autoencoder
    from utils.representations.pretrained import Backbone

# Those whose spread over seeds of k-means is measured.
SPREAD_METRICS = vocabulary.SPREAD_METRICS


def open_run(
    notebook: str,
    study: str,
    profile: str,
    seed: int,
    run_dir: str | Path | None = None,
    **changes: Any,
) -> Run:
    """Start the run of a notebook.

    Parameters
    ----------
    notebook : str
        Name of the notebook without its suffix.
    study, profile : str
        Names of files in ``config/studies`` and ``config/profiles``.
    seed : int
        Not negative; seed of the network and, unless the study fixes one, of k-means.
    run_dir : path, optional
        Folder of this notebook's results, three levels below the profile's folder. Without it the
        run is an interactive one and writes below ``runs/interactive``.
    **changes
        Values of the parameters cell that replace the study's own, where they are not None:
        ``epochs``, ``n_components``, ``n_clusters``, ``backbone``, ``backbone_images``.

    Raises
    ------
    UserError
        If a name or a value is not allowed.
    """
    folder = places.run_folder(notebook, study, seed, run_dir)
    chosen_profile = load_profile(profile)
    chosen_study = _changed(_reduced(load_study(study), chosen_profile), changes)
    description = data_of(chosen_study, chosen_profile, folder)
    data = datasets.load(description["dataset"])
    rows = _selected_rows(data, chosen_study, chosen_profile)
    train, validation = _training_images(data, rows, chosen_study, chosen_profile)
    run = Run(
        notebook=notebook,
        study=chosen_study,
        topic=chosen_study.study,
        profile=chosen_profile,
        seed=seed,
        folder=folder,
        images=data.images[rows],
        training_images=train,
        validation_images=validation,
        labels=data.labels[rows],
        class_names=data.class_names,
        dataset=data.name,
        backbone_images=changes.get("backbone_images") or chosen_profile.backbone_images,
    )
    run.note_substitute(description)
    return run


def _reduced(study: Study, profile: Profile) -> Study:
    """Apply a profile's limits to a study."""
    if profile.max_epochs is None:
        return study
    epochs = min(study.autoencoder.epochs, profile.max_epochs)
    return _with(study, autoencoder={"epochs": epochs})


def _changed(study: Study, changes: dict[str, Any]) -> Study:
    sections = {
        "epochs": ("autoencoder", "epochs"),
        "n_components": ("space", "n_components"),
        "n_clusters": ("kmeans", "n_clusters"),
    }
    for name, value in changes.items():
        if value is None or name == "backbone_images":
            continue
        if name == "backbone":
            study = _with(study, backbones=[value])
        elif name in sections:
            if name == "n_components" and study.space.name != "pca":
                raise UserError(
                    f"n_components = {value!r}: study {study.study} clusters in the space "
                    f"{study.space.name!r}, which has no components: leave it None"
                )
            section, key = sections[name]
            study = _with(study, **{section: {key: value}})
        else:
            allowed = ", ".join([*sections, "backbone", "backbone_images"])
            raise UserError(f"unknown parameter {name!r}: allowed are {allowed}")
    return study


def _with(study: Study, **updates: Any) -> Study:
    """Return a copy with some values replaced, validated as if it had been read from a file."""
    content = study.model_dump()
    for key, value in updates.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise UserError(f"study {study.study}: {explain(error, Study)}") from None


def _selected_rows(data: datasets.Dataset, study: Study, profile: Profile) -> slice:
    n = data.n_train if study.images.split == "train" else len(data.images)
    limits = [n, study.images.first, profile.max_images]
    return slice(0, min(limit for limit in limits if limit is not None))


def _training_images(
    data: datasets.Dataset, rows: slice, study: Study, profile: Profile
) -> tuple[np.ndarray, np.ndarray | None]:
    """Split off the images that the network is validated on, as the protocol says."""
    images, protocol = data.images[rows], study.autoencoder.validation
    if protocol is None:
        return images, None
    if protocol.images == "test_split":
        return images, data.images[data.n_train :][: profile.max_images]
    n_held_out = max(1, round(len(images) * protocol.fraction))
    return images[:-n_held_out], images[-n_held_out:]


@dataclass(kw_only=True)
class Run(Recorder):
    """One notebook's run on one study and seed; see `open_run`.

    Attributes
    ----------
    study : Study
        Its images are `images`, in its order; these are clustered.
    training_images, validation_images : ndarray of uint8, validation_images may be None
        What the network is trained and validated on.
    backbone_images : int
        How many images the frozen networks are given, from the first.
    """

    study: Study
    training_images: np.ndarray
    validation_images: np.ndarray | None
    backbone_images: int

    # --- representations -------------------------------------------------------------------

    def pixels(self) -> np.ndarray:
        """Return the images, resized if the study says so, as float32 ``(N, D)`` in [0, 1]."""
        from utils.representations import training

        stack = training.on_device(self.images, training.pick_device())
        return training.to_pixels(stack, self.study.images.resize).flatten(1).cpu().numpy()

    @property
    def variants(self) -> list[Variant]:
        """The study's variants that this seed is to run; the profile limits them to few seeds."""
        return self.study.variants if self.seed < self.profile.variant_seeds else []

    def protocol(self, variant: Variant | None = None) -> Protocol:
        """Return the autoencoder's protocol, with the options of a variant if one is given."""
        protocol = self.study.autoencoder
        return protocol.model_copy(update={"options": variant.options}) if variant else protocol

    def architecture(self, variant: Variant | None = None) -> Autoencoder:
        """Return the autoencoder or a variant of it with its initial weights."""
        from utils.representations import autoencoders, training

        protocol = self.protocol(variant)
        shape = training.image_shape(self.images, self.study.images.resize)
        return autoencoders.build(protocol.architecture, shape, protocol.options, self.seed)

    def autoencoder(self, variant: Variant | None = None) -> tuple[Autoencoder, pd.DataFrame]:
        """Return the study's autoencoder or a variant of it, trained, and its history by epoch.

        Returns
        -------
        model : Autoencoder
            In evaluation mode.
        history : DataFrame
            Columns ``epoch`` (from 1), ``loss``, ``seconds`` and, where the protocol has validation
            images, ``validation_loss``.
        """
        import torch

        from utils.representations import training

        protocol, resize = self.protocol(variant), self.study.images.resize
        device = training.pick_device()
        recipe = {
            "protocol": protocol.model_dump(mode="json"),
            "images": sha256_array(self.training_images),
            "validation": None
            if self.validation_images is None
            else sha256_array(self.validation_images),
            "seed": self.seed,
            "resize": resize,
            "device": device.type,
        }
        network = f"autoencoder-{variant.name}" if variant else "autoencoder"
        name = f"{self.study.study}-{network}-seed{self.seed}"
        checkpoint = places.cache() / f"{name}-{self.profile.profile}.checkpoint.safetensors"

        def compute() -> dict[str, np.ndarray]:
            with training.threads(training_threads()):
                done = training.train(
                    self.training_images,
                    protocol,
                    self.seed,
                    resize,
                    self.validation_images,
                    checkpoint,
                    self._say_epoch,
                )
            state = {f"model.{k}": v.cpu().numpy() for k, v in done.model.state_dict().items()}
            history = {f"history.{k}": np.array(v) for k, v in done.history.items()}
            return {k: np.ascontiguousarray(v) for k, v in (state | history).items()}

        stored = load_or_compute(
            name, recipe, ("utils.representations.training",), compute, places.cache()
        )
        checkpoint.unlink(missing_ok=True)
        model = self.architecture(variant)
        weights = with_prefix(stored, "model.")
        model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        history = pd.DataFrame(with_prefix(stored, "history."))
        history.insert(0, "epoch", np.arange(1, len(history) + 1))
        return model.eval().to(device), history

    def latents(self, n: int | None = None, variant: Variant | None = None) -> np.ndarray:
        """Encode the first `n` images, or all: float32 ``(n, D)``."""
        from utils.representations import training

        model, _ = self.autoencoder(variant)
        return training.encode(model, self.images[:n], self.study.images.resize)

    def backbones(self) -> list[tuple[Backbone, np.ndarray]]:
        """Return the study's frozen networks with their features of the first `backbone_images`.

        For a network whose weights cannot be had EfficientNet-Lite0 stands in, once, with a note
        for the report; the fact ``not_run_<network>`` has the reason.

        Returns
        -------
        list of (Backbone, ndarray of float32, shape (n, D))
        """
        from utils.representations import pretrained

        found: dict[str, Backbone] = {}
        for name in self.study.backbones:
            backbone = pretrained.load_backbone(name)
            if backbone.note is not None:
                self.note(backbone.note)
                self.fact(f"not_run_{name}", backbone.note)
            found.setdefault(backbone.name, backbone)
        return [(backbone, self._features(backbone)) for backbone in found.values()]

    def _features(self, backbone: Backbone) -> np.ndarray:
        from utils.representations import pretrained, training

        images = self.images[: self.backbone_images]
        device = training.pick_device()
        recipe = {
            "backbone": [backbone.name, backbone.weights],
            "images": sha256_array(images),
            "device": device.type,
            "bfloat16": training.has_bfloat16(device),
        }
        stored = load_or_compute(
            f"{self.study.study}-{backbone.name.replace(':', '-')}",
            recipe,
            ("utils.representations.pretrained",),
            lambda: {"features": pretrained.features(backbone, images, self._say_features)},
            places.cache(),
        )
        return stored["features"]

    # --- spaces and clusterings --------------------------------------------------------------

    def to_study_space(self, features: np.ndarray) -> tuple[np.ndarray, float]:
        """Project features into the space in which the study clusters.

        Returns
        -------
        projected : ndarray of float32, shape (N, d)
        explained : float
            Share of the variance that is kept, in [0, 1].
        """
        if self.study.space.name == "raw":
            return features, 1.0
        projected, ratio = spaces.pca(features, self.study.space.n_components)
        return projected, float(ratio.sum())

    def kmeans(self, features: np.ndarray, seed: int | None = None) -> Clustering:
        """Cluster features ``(N, d)`` with k-means as the study sets it; labels are not used.

        Its seed is the one given, else the one that the study fixes, else the run's.
        """
        settings = self.study.kmeans
        fixed = self.seed if settings.random_state is None else settings.random_state
        chosen = fixed if seed is None else seed
        return clustering.kmeans(features, settings.n_clusters, settings.n_init, chosen)

    def kmeans_by_seed(self, features: np.ndarray) -> pd.DataFrame:
        """Cluster the same features with k-means from other seeds, all else as the study sets it.

        Parameters
        ----------
        features : ndarray of float32, shape (N, d)

        Returns
        -------
        DataFrame
            A row per seed of k-means, as many as the profile says: ``kmeans_seed``, then ``ari``,
            ``nmi``, ``purity`` and ``acc``. Their spread is that of the clustering alone, as the
            features stay the same.
        """
        rows = []
        for seed in range(self.profile.clustering_seeds):
            assignment = self.kmeans(features, seed).assignment
            values = metrics.external(assignment, self.labels)
            rows.append({"kmeans_seed": seed} | {name: values[name] for name in SPREAD_METRICS})
        return pd.DataFrame(rows)

    def dbscan(self, features: np.ndarray, eps: float) -> np.ndarray:
        """Cluster with DBSCAN of radius `eps` and the study's `min_samples`: int32 ``(N,)``."""
        return clustering.dbscan(features, eps, self.study.dbscan.min_samples)

    def dbscan_by_eps(self, features: np.ndarray, radii: np.ndarray) -> pd.DataFrame:
        """Cluster with DBSCAN at each radius and score it, noise counted in both ways.

        Parameters
        ----------
        features : ndarray of float32, shape (N, D)
        radii : ndarray of float, shape (m,)
            Values of eps; `min_samples` is the study's.

        Returns
        -------
        DataFrame
            A row per radius: ``eps``, ``k_found``, ``noise_fraction``, ``ari`` (noise as a cluster
            of its own), ``ari_covered`` and ``silhouette_covered`` (noise left out; NaN where
            undefined).
        """
        rows = []
        for eps in radii:
            assignment = self.dbscan(features, eps)
            covered = assignment != metrics.NOISE
            whole = metrics.score(assignment, self.labels, features)
            part = {}
            if covered.any():
                part = metrics.score(assignment[covered], self.labels[covered], features[covered])
            rows.append(
                {
                    "eps": eps,
                    "k_found": metrics.k_found(assignment),
                    "noise_fraction": metrics.noise_fraction(assignment),
                    "ari": whole["ari"],
                    "ari_covered": part.get("ari", np.nan),
                    "silhouette_covered": part.get("silhouette", np.nan),
                }
            )
        return pd.DataFrame(rows)

    def internal_by_space(
        self, assignments: dict[str, np.ndarray], features: dict[str, np.ndarray]
    ) -> pd.DataFrame:
        """Measure the internal indices of every clustering in every space.

        Parameters
        ----------
        assignments : dict of str to ndarray of int, shape (n,)
            Clusterings of the same images, by name.
        features : dict of str to ndarray of float32, shape (n, D)
            Spaces, by name; a dimension of their own each.

        Returns
        -------
        DataFrame
            A row per pair: ``clusters_of``, ``measured_in``, ``silhouette``, ``davies_bouldin`` and
            ``calinski_harabasz``. Rows of one ``measured_in`` can be compared, others cannot.
        """
        rows = [
            {"clusters_of": clustered, "measured_in": space} | metrics.internal(assignment, points)
            for space, points in features.items()
            for clustered, assignment in assignments.items()
        ]
        return pd.DataFrame(rows)

    # --- progress ----------------------------------------------------------------------------

    def _numbered(self, epoch: int) -> str:
        return f"{epoch}/{self.study.autoencoder.epochs}"
