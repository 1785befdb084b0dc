"""What notebook 5 calls: one leaderboard, one seed, from images to recorded lines.

Each line is a representation, a space and a clusterer. Each of these stages is stored under its own
fingerprint together with what it cost, so that lines which share a stage compute it once, and yet
every line is charged for all of its stages.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from utils import clustering as clusterers
from utils import metrics, places, spaces
from utils.clustering import joint
from utils.config.load import load_leaderboard, load_methods, load_profile, study_names
from utils.config.schema import Leaderboard, Row
from utils.config.vocabulary import FROZEN, SELF_LABEL, THEN, VIEWS_JOINED_BY
from utils.data import datasets, prepared
from utils.errors import UserError
from utils.representations import encoders, registry
from utils.runs import study as study_module
from utils.runs.record import Recorder
from utils.store import tables
from utils.store.cache import load_or_compute, with_prefix
from utils.store.files import atomic_path, sha256_array
from utils.store.fingerprints import fingerprint

if TYPE_CHECKING:
    import torch

RAW, PCA, UMAP = "raw", "pca", "umap"
# Features above the first number are reduced to the second before neighbours are sought.
MOST_FEATURES, REDUCED_FEATURES = 200, 50
K_RULE = "k: the highest silhouette of k-means, 2 to 20"
COVERED = ("acc", "ari", "nmi")
# Images in a row of a picture, and rows of confusions.
SHOWN, CONFUSED_PAIRS = 12, 8


@dataclass(frozen=True)
class Stage:
    """A computed stage of a line.

    Attributes
    ----------
    arrays : dict of str to ndarray
    seconds : float
        What computing it took, wherever and whenever that was.
    peak_memory_mb : float
        Largest resident memory of the process meanwhile, NaN where the system does not tell.
    """

    arrays: dict[str, np.ndarray]
    seconds: float
    peak_memory_mb: float


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
    n = data.n_train if board.images.split == "train" else len(data.images)
    limits = [n, board.images.first, board.reduced_images if chosen_profile.reduced else None]
    rows = slice(0, min(limit for limit in limits if limit is not None))
    run = BoardRun(
        notebook=notebook,
        board=board,
        topic=board.leaderboard,
        profile=chosen_profile,
        seed=seed,
        folder=folder,
        images=data.images[rows],
        labels=data.labels[rows],
        class_names=data.class_names,
        dataset=data.name,
    )
    run.note_substitute(description)
    return run


@dataclass(kw_only=True)
class BoardRun(Recorder):
    """One leaderboard's run with one seed; see `open_board`."""

    board: Leaderboard
    _costs: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def rows(self, recipe: str | None = None) -> list[Row]:
        """List the lines to run: those of the profile and the seed, or the one named `recipe`.

        Raises
        ------
        UserError
            If no line of the leaderboard has that name.
        """
        if recipe is not None:
            named = {row.recipe: row for row in self.board.rows if row.recipe}
            if recipe not in named:
                raise UserError(
                    f"unknown recipe {recipe!r}: {self.topic} has {', '.join(named) or 'none'}"
                )
            return [named[recipe]]
        return self.board.rows_for(self.profile, self.seed)

    def attempts(self) -> pd.DataFrame:
        """List what was tried once and became no line; read from the leaderboard's file."""
        return pd.DataFrame([attempt.model_dump() for attempt in self.board.attempts])

    # --- stages --------------------------------------------------------------------------------

    def representation(self, name: str) -> Stage:
        """Represent the images: array ``features``, float32 ``(N, D)``.

        A name that joins others by ``+`` is of several views (`handmade.views`); a study's name is
        the latents of its autoencoder, trained as the study says, on the study's images.
        """
        if VIEWS_JOINED_BY in name:
            return self._views(name.split(VIEWS_JOINED_BY))
        if name in study_names():
            return self._latents(name)
        if name in encoders.ENCODERS:
            return self._learned(name)
        return self._stage(
            f"representation-{name}",
            {"images": self._images_hash},
            _code_behind(name),
            lambda: {"features": registry.features(name, self.images, self._say_features)},
        )

    def _views(self, names: list[str]) -> Stage:
        parts = [self.representation(name) for name in names]
        features = spaces.views(*(part.arrays["features"] for part in parts))
        return Stage(
            {"features": features},
            sum(part.seconds for part in parts),
            max(part.peak_memory_mb for part in parts),
        )

    def _learned(self, name: str) -> Stage:
        epochs = self._at_most(encoders.ENCODERS[name].epochs)
        return self._stage(
            f"representation-{name}",
            {"images": self._images_hash, "epochs": epochs, "seed": self.seed},
            ("utils.representations.encoders",),
            lambda: {
                "features": encoders.fit_features(
                    name, self.images, self.seed, epochs, self._say_epoch
                )
            },
        )

    def _at_most(self, epochs: int) -> int:
        """Cut a number of epochs down to what the profile allows."""
        return min(epochs, self.profile.max_epochs or epochs)

    def _latents(self, study: str) -> Stage:
        """Encode the images by a study's autoencoder; what its training took counts too."""
        from utils.representations import training

        run = study_module.open_run(
            "02_train_autoencoder", study, self.profile.profile, self.seed, self._folder_of(study)
        )
        model, history = run.autoencoder()
        stage = self._stage(
            f"representation-{study}",
            {"images": self._images_hash, "seed": self.seed, "model": _hash_of(model)},
            ("utils.representations.training",),
            lambda: {"features": training.encode(model, self.images, run.study.images.resize)},
        )
        seconds = stage.seconds + float(history["seconds"].sum())
        return Stage(stage.arrays, seconds, stage.peak_memory_mb)

    def _folder_of(self, study: str) -> Path:
        """Return where a study's notebook lies beside this one, for the same seed."""
        return self.folder.parents[2] / study / self.folder.parent.name / "02_train_autoencoder"

    def space(self, name: str, features: np.ndarray) -> Stage:
        """Project features into a space by name: array ``points``, float32 ``(N, d)``.

        ``raw``, ``pca<d>`` or ``umap<d>``, the last after PCA to 50 where there are more than 200
        features; ``umap<d>x<m>`` is m layouts of different seeds side by side, so that the
        clusters do not hang on one.
        """
        if name == RAW:
            return Stage({"points": features}, 0.0, 0.0)
        found = re.fullmatch(rf"({PCA}|{UMAP})([1-9][0-9]*)(?:x([1-9][0-9]*))?", name)
        if found is None or (found[1] == PCA and found[3]):
            raise UserError(
                f"unknown space {name!r}: allowed are raw, pca<d>, umap<d> and umap<d>x<layouts>"
            )
        kind, n_components, layouts = found[1], int(found[2]), int(found[3] or 1)
        return self._stage(
            f"space-{name}",
            {"features": sha256_array(features), "n_components": n_components}
            | ({"seed": self.seed} if kind == UMAP else {})
            | ({"layouts": layouts} if layouts > 1 else {}),
            ("utils.spaces.projections",)
            if layouts == 1
            else ("utils.spaces.projections", "utils.representations.handmade"),
            lambda: {"points": self._project(kind, n_components, layouts, features)},
        )

    def _project(
        self, kind: str, n_components: int, layouts: int, features: np.ndarray
    ) -> np.ndarray:
        if kind == PCA:
            return spaces.pca(features, n_components)[0]
        features = _for_neighbours(features)
        seeds = range(self.seed * layouts, (self.seed + 1) * layouts)
        found = [spaces.umap(features, n_components, seed=seed) for seed in seeds]
        return found[0] if layouts == 1 else spaces.views(*found)

    def clustering(self, clusterer: str, points: np.ndarray, n_clusters: int | None) -> Stage:
        """Cluster points: arrays ``assignment``, int32 ``(N,)``, and maybe ``confidence``."""
        if clusterer in joint.METHODS:
            return self._joint(clusterer, points, n_clusters)
        return self._stage(
            f"clustering-{clusterer}",
            {"points": sha256_array(points), "n_clusters": n_clusters, "seed": self.seed},
            ("utils.clustering.methods",),
            lambda: _as_arrays(clusterers.cluster(clusterer, points, n_clusters, self.seed)),
        )

    def _joint(self, method: str, pixels: np.ndarray, k: int | None) -> Stage:
        if k is None:
            raise UserError(f"{method} cannot choose k: give its line 'k: given'")
        pretraining, clustering = map(self._at_most, joint.EPOCHS)
        return self._stage(
            f"clustering-{method}",
            {
                "points": sha256_array(pixels),
                "n_clusters": k,
                "epochs": [pretraining, clustering],
                "seed": self.seed,
            },
            ("utils.clustering.joint",),
            lambda: _as_arrays(
                joint.cluster(method, pixels, k, self.seed, (pretraining, clustering))
            ),
        )

    def _self_labelled(self, features: np.ndarray, assignment: np.ndarray) -> Stage:
        from utils.clustering import self_labelling

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
            lambda: _as_arrays(
                self_labelling.refine(
                    self.images, features, assignment, self.seed, epochs, self._say_epoch
                )
            ),
        )

    def stages(self, row: Row) -> list[Stage]:
        """Compute, or load, all stages of a line in order; the last one has ``assignment``."""
        represented = self.representation(row.representation)
        features = represented.arrays["features"]
        projected = self.space(row.space, features)
        points = projected.arrays["points"]
        clusterer, *learned = row.clusterer.split(THEN)
        n_clusters = self.board.n_clusters if row.k == "given" else None
        stages = [represented, projected, self.clustering(clusterer, points, n_clusters)]
        if learned:
            neighbourly = _for_neighbours(features)
            stages.append(self._self_labelled(neighbourly, stages[-1].arrays["assignment"]))
        return stages

    def points(self, row: Row) -> np.ndarray:
        """Return the space that a line clusters, float32 ``(N, d)``."""
        features = self.representation(row.representation).arrays["features"]
        return self.space(row.space, features).arrays["points"]

    def _stage(
        self,
        name: str,
        recipe: dict[str, Any],
        code: tuple[str, ...],
        compute: Callable[[], dict[str, np.ndarray]],
    ) -> Stage:
        def measured() -> dict[str, np.ndarray]:
            memory = PeakMemory()
            started = time.perf_counter()
            arrays = compute()
            seconds = time.perf_counter() - started
            return {f"array.{key}": array for key, array in arrays.items()} | {
                "cost": np.array([seconds, memory.megabytes()])
            }

        # What depends on no seed is computed once for all of them.
        file = f"{self.topic}-{name}" + (f"-seed{self.seed}" if "seed" in recipe else "")
        stored = load_or_compute(file, recipe, code, measured, places.cache())
        seconds, peak = stored["cost"].tolist()
        return Stage(with_prefix(stored, "array."), seconds, peak)

    # --- lines -----------------------------------------------------------------------------------

    def run(self, row: Row) -> pd.Series:
        """Compute a line, score it and record it with what it cost.

        External metrics are of all images, with noise as a cluster of its own; where there is
        noise, ``acc``, ``ari`` and ``nmi`` of the covered images alone stand beside them. Internal
        indices are measured in the leaderboard's common space, whatever space was clustered.

        Returns
        -------
        Series
            Value by metric, and ``seconds``.
        """
        print(f"line {row.representation} / {row.space} / {row.method}", flush=True)
        stages = self.stages(row)
        assignment = stages[-1].arrays["assignment"]
        covered = assignment != metrics.NOISE
        values = metrics.external(assignment, self.labels)
        if covered.any() and not covered.all():
            part = metrics.external(assignment[covered], self.labels[covered])
            values |= {f"{name}_covered": part[name] for name in COVERED}
        common = self.common_space
        values |= metrics.internal(assignment[: len(common)], common)
        seconds = sum(stage.seconds for stage in stages)
        self._costs[row.representation, row.space, row.method] = {
            "study": self.topic,
            "seed": self.seed,
            "representation": row.representation,
            "space": row.space,
            "clusterer": row.method,
            "seconds": round(seconds, 3),
            "peak_memory_mb": max(stage.peak_memory_mb for stage in stages),
            "k_given": row.k == "given" and row.clusterer not in clusterers.FINDS_K,
            "settings": self.settings(row),
            "recipe": row.recipe or "",
        }
        scored = self.record(row.representation, row.space, row.method, assignment, values)
        return pd.concat([scored, pd.Series({"seconds": seconds}, name=scored.name)])

    def settings(self, row: Row) -> str:
        """Say what a line is run with, as ``config/methods.yaml`` does.

        Raises
        ------
        UserError
            If that file lacks a part of the line.
        """
        methods = load_methods()
        parts = [
            *((methods.representations, n) for n in row.representation.split(VIEWS_JOINED_BY)),
            *((methods.spaces, n) for n in re.findall("[a-z]+", row.space)),
            *((methods.clusterers, n) for n in row.clusterer.split(THEN)),
        ]
        for known, name in parts:
            if name not in known:
                raise UserError(f"config/methods.yaml does not say with what {name!r} is run")
        chosen = [] if row.k == "given" else [K_RULE]
        return "; ".join([*(known[name] for known, name in parts), *chosen])

    @cached_property
    def common_space(self) -> np.ndarray:
        """PCA of the first images' pixels, in which all lines are compared: float32 ``(m, d)``."""
        pixels = self.images.reshape(len(self.images), -1).astype(np.float32) / 255
        pixels = pixels[: self.board.internal_images]
        return spaces.pca(pixels, self.board.common_space)[0]

    @cached_property
    def _images_hash(self) -> str:
        return sha256_array(self.images)

    # --- where a line fails ----------------------------------------------------------------------

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
        """Write what was recorded, with the lines' costs; the manifest comes last."""
        if self._costs:
            with atomic_path(self.new_file(tables.COSTS)) as temporary:
                pd.DataFrame(self._costs.values()).to_csv(temporary, index=False)
            with atomic_path(self.new_file(tables.LABELS)) as temporary:
                pd.DataFrame({"class": self.labels}).to_parquet(temporary, index=False)
        super().finish()


class PeakMemory:
    """The largest resident memory of this process since the object was made.

    Linux keeps a high-water mark that a process may reset for itself; elsewhere it is unknown.
    """

    def __init__(self) -> None:
        self._status = Path("/proc/self/status")
        if self._status.exists():
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def megabytes(self) -> float:
        """Return the peak in MB (2^20 bytes), NaN where the system does not tell."""
        if not self._status.exists():
            return float("nan")
        lines = self._status.read_text(encoding="ascii").splitlines()
        mark = next(line for line in lines if line.startswith("VmHWM:"))
        return int(mark.split()[1]) / 1024


def _as_arrays(result: clusterers.Result) -> dict[str, np.ndarray]:
    arrays = {"assignment": result.assignment, "confidence": result.confidence}
    return {name: array for name, array in arrays.items() if array is not None}


def _for_neighbours(features: np.ndarray) -> np.ndarray:
    """Reduce wide features by PCA to those in which nearest neighbours are sought."""
    if features.shape[1] <= MOST_FEATURES:
        return features
    return spaces.pca(features, min(REDUCED_FEATURES, *features.shape))[0]


def _code_behind(representation: str) -> tuple[str, ...]:
    """Name the modules that compute a representation."""
    if representation in FROZEN:
        return ("utils.representations.pretrained",)
    return ("utils.representations.handmade",)


def _hash_of(model: torch.nn.Module) -> str:
    return fingerprint({n: sha256_array(v.cpu().numpy()) for n, v in model.state_dict().items()})
