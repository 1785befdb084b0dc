"""One study, one seed: its images, its protocol and its networks.

A notebook opens a run, asks it for what is costly (each network or feature is loaded if it was
computed before with exactly the same ingredients, otherwise computed), and records what it finds in
the run's `record`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from utils import places
from utils.config.load import explain, load_profile, load_study
from utils.config.schema import Profile, Study, Variant
from utils.data import datasets
from utils.data.prepared import data_of, selected_rows
from utils.errors import UserError
from utils.runs import networks, reported
from utils.runs.record import Record
from utils.runs.stored import stored
from utils.store.origins import settings_fingerprints

if TYPE_CHECKING:
    from utils.config.schema import Autoencoder as Protocol
    from utils.representations.autoencoders import Autoencoder
    from utils.representations.pretrained import Backbone


def open_run(
    notebook: str,
    study: str,
    profile: str,
    seed: int,
    run_dir: str | Path | None = None,
    **changes: Any,
) -> StudyRun:
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
    published_study = load_study(study)
    chosen_study = _changed(_reduced(published_study, chosen_profile), changes)
    seed_is_open = chosen_study.kmeans.random_state is None
    if seed_is_open:
        chosen_study = _with(chosen_study, kmeans={"random_state": seed})
    description = data_of(chosen_study, chosen_profile, folder)
    data = datasets.load(description["dataset"])
    rows = selected_rows(data, chosen_study.images, chosen_profile.max_images)
    train, validation = _training_images(data, rows, chosen_study, chosen_profile)
    record = Record(
        notebook=notebook,
        topic=chosen_study.study,
        dataset=data.name,
        profile=chosen_profile.profile,
        seed=seed,
        folder=folder,
        labels=data.labels[rows],
        class_names=data.class_names,
        settings=settings_fingerprints(published_study),
    )
    record.note_substitute(description)
    return StudyRun(
        study=chosen_study,
        profile=chosen_profile,
        seed=seed,
        images=data.images[rows],
        labels=data.labels[rows],
        class_names=data.class_names,
        training_images=train,
        validation_images=validation,
        backbone_images=changes.get("backbone_images") or chosen_profile.backbone_images,
        kmeans_seed_is_open=seed_is_open,
        record=record,
    )


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
            if name == "n_components" and study.space.n_components is None:
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
class StudyRun:
    """One notebook's run on one study and seed; see `open_run`.

    Attributes
    ----------
    study : Study
        The protocol as it is run: limited by the profile, with the seed of k-means filled in.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
        The images that are clustered, in the data set's order.
    labels : ndarray of uint8, shape (N,)
        Classes, for scores and pictures only: nothing that trains or clusters is given them.
    class_names : tuple of str
    training_images, validation_images : ndarray of uint8, validation_images may be None
        What the network is trained and validated on.
    backbone_images : int
        How many images the frozen networks are given, from the first.
    kmeans_seed_is_open : bool
        Whether the protocol leaves the seed of k-means open; it is then that of the run.
    record : Record
        What the notebook records.
    """

    study: Study
    profile: Profile
    seed: int
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    training_images: np.ndarray
    validation_images: np.ndarray | None
    backbone_images: int
    kmeans_seed_is_open: bool
    record: Record

    def __str__(self) -> str:
        scale = ", not the published scale" if self.profile.reduced else ""
        return (
            f"study {self.study.study}, profile {self.profile.profile}{scale}, seed {self.seed}: "
            f"{len(self.images):,} images, {self.images.dtype}, in {len(self.class_names)} classes"
        )

    def result(self, values: Mapping[str, float], *clustering: str) -> None:
        """Print **Result** lines: what was found, and what the paper reports for it.

        Parameters
        ----------
        values : mapping of str to float
            Value by metric, or by fact where no clustering is named.
        *clustering : str
            Representation, space and clusterer, as in the table of metrics.
        """
        values_of_paper = (
            reported.of_clustering(self.study, *clustering)
            if clustering
            else reported.of_facts(self.study, self.record.notebook)
        )
        scale = " at reduced scale" if clustering and self.profile.reduced else ""
        for line in reported.compare(values, values_of_paper):
            print(f"Result{scale}: {line}")

    # --- representations -------------------------------------------------------------------

    def pixels(self) -> np.ndarray:
        """Return the images, resized if the study says so, as float32 ``(N, D)`` in [0, 1]."""
        from utils.representations import training

        stack = training.on_device(self.images, training.pick_device())
        return training.to_pixels(stack, self.study.images.resize).flatten(1).cpu().numpy()

    @property
    def variants(self) -> list[Variant]:
        """The study's variants that this seed is to run."""
        return self.study.variants_for(self.profile, self.seed)

    def protocol(self, variant: Variant | None = None) -> Protocol:
        """Return the autoencoder's protocol, with the changes of a variant if one is given."""
        protocol = self.study.autoencoder
        return variant.changed(protocol) if variant else protocol

    def architecture(self, variant: Variant | None = None) -> Autoencoder:
        """Return the autoencoder or a variant of it with its initial weights."""
        resize = self.study.images.resize
        return networks.untrained(self.images, self.protocol(variant), self.seed, resize)

    def autoencoder(self, variant: Variant | None = None) -> tuple[Autoencoder, pd.DataFrame]:
        """Return the study's autoencoder or a variant of it, trained, and its history by epoch.

        See `networks.trained`; it is trained only where exactly this training is not stored. The
        record names where it was trained.
        """
        network = f"autoencoder-{variant.name}" if variant else "autoencoder"
        name = f"{self.study.study}-{network}-seed{self.seed}"
        trained = networks.trained(
            name,
            self.training_images,
            self.protocol(variant),
            self.seed,
            self.study.images.resize,
            self.validation_images,
            checkpoint_name=f"{name}-{self.profile.profile}",
        )
        self.record.networks[network] = trained.origin
        return trained.model, trained.history

    def backbones(self) -> list[tuple[Backbone, np.ndarray]]:
        """Return the study's frozen networks with their features of the first `backbone_images`.

        For a network whose weights cannot be had EfficientNet-Lite0 stands in, once, with a note
        for the report; the fact ``not_run_<network>`` has the reason, ``weights_<network>`` where
        the weights of a network that was run come from.

        Returns
        -------
        list of (Backbone, ndarray of float32, shape (n, D))
        """
        from utils.representations import pretrained

        found: dict[str, Backbone] = {}
        for name in self.study.backbones:
            backbone = pretrained.load_backbone(name)
            if backbone.note is not None:
                self.record.note(backbone.note)
                self.record.fact(f"not_run_{name}", backbone.note)
            found.setdefault(backbone.name, backbone)
            self.record.fact(f"weights_{backbone.name}", backbone.weights)
        images = self.images[: self.backbone_images]
        return [
            (backbone, networks.frozen_features(self.study.study, backbone, images))
            for backbone in found.values()
        ]

    # --- maps --------------------------------------------------------------------------------

    def map_rows(self, n: int | None = None) -> np.ndarray:
        """Draw the images shown in maps: sorted positions, int64 ``(m,)``, always the same.

        At most as many as the profile says are drawn, of the first `n` images or of all.
        """
        n = len(self.images) if n is None else n
        size = min(self.profile.map_points, n)
        return np.sort(np.random.default_rng(0).choice(n, size, replace=False))

    def stored(
        self,
        name: str,
        function: Callable[..., np.ndarray],
        features: np.ndarray,
        seed: int,
        **settings: Any,
    ) -> np.ndarray:
        """Return ``function(features, seed=seed, **settings)``, computed if it is not stored yet.

        Stored by `name` and the run's seed; `seed` is that of the function.
        """
        name = f"{self.study.study}-{name}-seed{self.seed}"
        return stored(name, function, features, seed=seed, **settings)
