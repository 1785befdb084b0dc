"""What notebook 5 calls: one leaderboard, one seed, from images to recorded scores and costs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from utils import clustering, metrics, pipeline, places, spaces
from utils.config.load import load_leaderboard, load_profile
from utils.config.methods import Method
from utils.config.schema import Leaderboard, Profile
from utils.data import datasets, prepared
from utils.errors import UserError
from utils.runs import study as study_module
from utils.runs.progress import print_epochs, print_tenths
from utils.runs.record import Record
from utils.store import tables
from utils.store.files import sha256_array
from utils.store.fingerprints import fingerprint
from utils.store.stages import Stage, load_or_measure

if TYPE_CHECKING:
    import torch

COVERED = ("acc", "ari", "nmi")
# Images in a row of a picture, and rows of confusions.
SHOWN, CONFUSED_PAIRS = 12, 8


def open_board(
    notebook: str,
    leaderboard: str,
    profile: str,
    seed: int,
    run_dir: str | Path | None = None,
) -> BoardRun:
    """Start the run of a leaderboard's notebook.

    Parameters
    ----------
    notebook : str
        Name of the notebook without its suffix.
    leaderboard, profile : str
        Names of files in ``config/leaderboards`` and ``config/profiles``.
    seed : int
        Not negative; of every network, space and clusterer that has one.
    run_dir : path, optional
        Folder of this notebook's results; without it ``runs/interactive``.

    Raises
    ------
    UserError
        If a name or a value is not allowed.
    """
    folder = places.run_folder(notebook, leaderboard, seed, run_dir)
    board, chosen_profile = load_leaderboard(leaderboard), load_profile(profile)
    description = prepared.data_of(board, chosen_profile, folder)
    data = datasets.load(description["dataset"])
    at_most = board.reduced_images if chosen_profile.reduced else None
    rows = prepared.selected_rows(data, board.images, at_most)
    record = Record(
        notebook=notebook,
        topic=board.leaderboard,
        dataset=data.name,
        profile=chosen_profile.profile,
        seed=seed,
        folder=folder,
        labels=data.labels[rows],
        class_names=data.class_names,
    )
    record.note_substitute(description)
    # As `representations.encoders`, `clustering.self_labelling` and ClustPy compute.
    record.fact("precision", "float32")
    return BoardRun(
        board=board,
        profile=chosen_profile,
        seed=seed,
        images=data.images[rows],
        labels=data.labels[rows],
        class_names=data.class_names,
        dataset=data.name,
        record=record,
    )


@dataclass(kw_only=True)
class BoardRun:
    """One leaderboard's run with one seed; see `open_board`.

    Attributes
    ----------
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
    labels : ndarray of uint8, shape (N,)
        Classes, for scores and pictures only.
    record : Record
        What the notebook records.
    """

    board: Leaderboard
    profile: Profile
    seed: int
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    dataset: str
    record: Record
    _costs: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def methods(self, recipe: str | None = None) -> list[Method]:
        """List the methods to run: those of the profile and the seed, or the one named `recipe`.

        Raises
        ------
        UserError
            If no method of the leaderboard has that name.
        """
        if recipe is None:
            return [row.parsed for row in self.board.rows_for(self.profile, self.seed)]
        named = {row.recipe: row.parsed for row in self.board.rows if row.recipe}
        if recipe not in named:
            allowed = ", ".join(named) or "none"
            raise UserError(f"unknown recipe {recipe!r}: {self.record.topic} has {allowed}")
        return [named[recipe]]

    def attempts(self) -> pd.DataFrame:
        """List what was tried once and became no method; read from the leaderboard's file."""
        return pd.DataFrame([attempt.model_dump() for attempt in self.board.attempts])

    # --- methods -------------------------------------------------------------------------------

    def cluster(self, method: Method) -> pipeline.Result:
        """Compute, or load, all stages of a method; see `pipeline.run`."""
        return pipeline.run(
            method,
            self.images[: self._images_of(method)],
            self.board.n_clusters,
            self.seed,
            max_epochs=self.profile.max_epochs,
            latents=self._latents,
            on_batch=print_tenths(),
            on_epoch=print_epochs(),
        )

    def _latents(self, study: str) -> Stage:
        """Encode the images by a study's autoencoder; its seconds include the training."""
        from utils.representations import training

        run = study_module.open_run(
            "02_train_autoencoder", study, self.profile.profile, self.seed, self._folder_of(study)
        )
        model, history = run.autoencoder()
        stage = load_or_measure(
            f"representation-{study}",
            {
                "images": sha256_array(self.images),
                "seed": self.seed,
                "model": _hash_of(model),
                "resize": run.study.images.resize,
            },
            ("utils.representations.training",),
            lambda: {"features": training.encode(model, self.images, run.study.images.resize)},
            f"the network of the study {study}, trained for {len(history)} epochs",
        )
        return replace(stage, seconds=stage.seconds + float(history["seconds"].sum()))

    def _folder_of(self, study: str) -> Path:
        """Return the folder of a study's notebook for the same seed."""
        folder = self.record.folder
        return folder.parents[2] / study / folder.parent.name / "02_train_autoencoder"

    def run(self, method: Method) -> pd.Series:
        """Run a method, score it and record it with its cost.

        External metrics are of all images, with noise as a cluster of its own; if there is noise,
        ``acc``, ``ari`` and ``nmi`` of the covered images are recorded too. Internal indices are
        measured in the leaderboard's common space, whatever space was clustered.

        Returns
        -------
        Series
            Value by metric, and ``seconds``.
        """
        print(f"method: {', '.join(method.in_words)}", flush=True)
        result = self.cluster(method)
        values = self._scores(result.assignment)
        finds_k = method.clusterer in clustering.FINDS_K
        self._costs[method.names] = {
            "study": self.record.topic,
            "seed": self.seed,
            **method.columns,
            "seconds": round(result.seconds, 3),
            "peak_memory_mb": result.peak_memory_mb,
            "k_given": not method.k_chosen and not finds_k,
            "settings": result.settings,
            "recipe": self.recipe_of(method) or "",
        }
        scored = self.record.score(*method.names, result.assignment, values)
        return pd.concat([scored, pd.Series({"seconds": result.seconds}, name=scored.name)])

    def _images_of(self, method: Method) -> int | None:
        """Return how many of the first images a method is run on; None for all."""
        return next((row.images for row in self.board.rows if row.parsed == method), None)

    def recipe_of(self, method: Method) -> str | None:
        """Return the name of a method, None if it has none."""
        return next((row.recipe for row in self.board.rows if row.parsed == method), None)

    def _scores(self, assignment: np.ndarray) -> dict[str, float]:
        covered, labels = assignment != metrics.NOISE, self.labels[: len(assignment)]
        values = metrics.external(assignment, labels)
        if covered.any() and not covered.all():
            part = metrics.external(assignment[covered], labels[covered])
            values |= {f"{name}_covered": part[name] for name in COVERED}
        n = min(len(assignment), len(self.common_space))
        return values | metrics.internal(assignment[:n], self.common_space[:n])

    @cached_property
    def common_space(self) -> np.ndarray:
        """PCA of the first images' pixels, in which all methods are compared: float32 (m, d)."""
        pixels = self.images.reshape(len(self.images), -1).astype(np.float32) / 255
        pixels = pixels[: self.board.internal_images]
        return spaces.pca(pixels, self.board.common_space)[0]

    # --- where a method fails --------------------------------------------------------------------

    def most_confused(self, assignment: np.ndarray) -> dict[str, np.ndarray]:
        """Pick images of the most frequent confusions of matched clusters and classes.

        Parameters
        ----------
        assignment : ndarray of int, shape (N,)

        Returns
        -------
        dict of str to ndarray of uint8
            Up to `SHOWN` random images by confusion, in words with its count, commonest first.
        """
        found = metrics.matched_classes(self.labels, assignment)
        wrong = pd.DataFrame({"true": self.labels, "found": found})
        wrong = wrong[(wrong["found"] >= 0) & (wrong["found"] != wrong["true"])]
        pairs = wrong.value_counts().head(CONFUSED_PAIRS)
        shown = {}
        for (true, taken_for), count in pairs.items():
            rows = wrong.index[(wrong["true"] == true) & (wrong["found"] == taken_for)].to_numpy()
            drawn = np.random.default_rng(0).permutation(rows)[:SHOWN]
            name = f"{self.class_names[true]} in {self.class_names[taken_for]} ({count:,})"
            shown[name] = self.images[np.sort(drawn)]
        return shown

    def prototypes(self, assignment: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
        """Pick the images of every cluster that lie nearest to its mean.

        Parameters
        ----------
        assignment : ndarray of int, shape (N,)
        points : ndarray of float, shape (N, d)
            The space that was clustered.

        Returns
        -------
        dict of str to ndarray of uint8
            Up to `SHOWN` images by cluster, the nearest first.
        """
        distances = np.empty(len(points))
        for cluster in np.unique(assignment):
            rows = assignment == cluster
            distances[rows] = np.linalg.norm(points[rows] - points[rows].mean(axis=0), axis=1)
        return self._first_by_cluster(assignment, distances)

    def doubtful(self, assignment: np.ndarray, confidence: np.ndarray) -> dict[str, np.ndarray]:
        """Pick the images of every cluster of which its clusterer is least sure.

        Parameters
        ----------
        assignment : ndarray of int, shape (N,)
        confidence : ndarray of float, shape (N,)

        Returns
        -------
        dict of str to ndarray of uint8
            Up to `SHOWN` images by cluster, the least sure first.
        """
        return self._first_by_cluster(assignment, confidence)

    def _first_by_cluster(self, assignment: np.ndarray, key: np.ndarray) -> dict[str, np.ndarray]:
        first = {}
        for cluster in np.setdiff1d(assignment, [metrics.NOISE]).tolist():
            rows = np.flatnonzero(assignment == cluster)
            order = rows[np.argsort(key[rows], kind="stable")]
            first[f"cluster {cluster}"] = self.images[order[:SHOWN]]
        return first

    def finish(self) -> None:
        """Write what was recorded, with the costs; the manifest comes last."""
        if self._costs:
            costs, classes = tables.COSTS_TABLE, tables.LABELS_TABLE
            costs.write(pd.DataFrame(self._costs.values()), self.record.new_file(costs.file))
            labels = pd.DataFrame({"class": self.labels})
            classes.write(labels, self.record.new_file(classes.file))
        self.record.finish()


def _hash_of(model: torch.nn.Module) -> str:
    return fingerprint({n: sha256_array(v.cpu().numpy()) for n, v in model.state_dict().items()})
