"""Images to explore: a sample of a study's, or a person's own from the run of notebook 6."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils import estimator, places
from utils.config.methods import FROZEN, HANDMADE
from utils.errors import UserError
from utils.figures.atlas import CELLS_PER_ROW
from utils.runs import study as study_module
from utils.runs.record import ATLAS

if TYPE_CHECKING:
    from utils.runs.study import StudyRun

NETWORK, COMPONENTS = "autoencoder", "components"
MAP_NOTEBOOK, NETWORK_NOTEBOOK = "03_latent_clustering", "02_train_autoencoder"
# The published run's map of the latents, and the profile that it is of.
PUBLISHED_MAP, PUBLISHED_PROFILE = "tsne", "paper"
ASSIGNMENTS, MODEL = "assignments.csv", "model.safetensors"
MOST_PICTURES = 5000
# Of 1,000 images, rounded up; it decides only whether to ask before a training.
SECONDS_OF_EPOCH = 1.0


@dataclass(frozen=True)
class Recorded:
    """A map with its clusters that a run left.

    Attributes
    ----------
    xy : ndarray of float32, shape (N, 2)
    assignment : ndarray of int32, shape (N,)
        Cluster of each image; −1 is noise.
    what : str
        Whose map it is, in words.
    """

    xy: np.ndarray
    assignment: np.ndarray
    what: str


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Images with what is known of them.

    Attributes
    ----------
    topic : str
        Name of the study or of the collection.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
        To look at; of a person's own pictures small copies.
    labels : ndarray of int, shape (N,), or None
        Classes, for scoring and showing only; −1 for an image without one.
    class_names : tuple of str
    names : tuple of str
        Position in the dataset, or path in the folder.
    unit : str
        What the names are: ``index`` or ``path``.
    k : int
        Number of clusters to begin with.
    seed : int
        Seed to begin with.
    features : dict of str to callable
        Representations that the run has, each from a seed to its features.
    representations : tuple of str
        Every one that a setting may name.
    training_seconds : float
        About how long the run's network trains on two cores if it is not stored.
    recorded : Recorded or None
    notes : tuple of str
        Where this comes from, in sentences.
    """

    topic: str
    images: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    unit: str
    k: int
    seed: int
    features: dict[str, Callable[[int], np.ndarray]]
    representations: tuple[str, ...]
    training_seconds: float = 0.0
    recorded: Recorded | None = None
    notes: tuple[str, ...] = ()
    # Features of this session by representation and seed.
    known: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def class_of(self, row: int) -> str:
        """Name the class of an image; empty if it has none."""
        if self.labels is None or self.labels[row] < 0:
            return ""
        return self.class_names[self.labels[row]]


def open_study(study: str, profile: str = "quick", seed: int = 0) -> Pictures:
    """Open a sample of a study's images.

    Parameters
    ----------
    study, profile : str
        Names of files in ``config/studies`` and ``config/profiles``. The network is that of this
        profile; it is taken from the store where it was trained, else trained when asked for.
    seed : int
        Not negative.

    Returns
    -------
    Pictures
        With the map of a run of `profile`, or else the published one, or else none: the first of
        these that is there and whose classes are those of the images.

    Raises
    ------
    UserError
        If a name or a value is not allowed, or the images cannot be had.
    """
    folder = places.topic(profile, study).notebook(seed, NETWORK_NOTEBOOK)
    has_run = (folder / places.MANIFEST).is_file()
    run = study_module.open_run(NETWORK_NOTEBOOK, study, profile, seed, folder if has_run else None)
    notes = list(run.record.notes)
    found = _of_run(run, profile) or _of_published(run, notes)
    if found is None:
        rows, images, labels, recorded = run.map_rows(), run.images, run.labels, None
        notes.append(
            f"There is no run of {study} with profile {profile} and seed {seed}, and no published "
            "map of these images: all is computed here, from the pixels on."
        )
    else:
        rows, images, labels, recorded = found
        notes.append(f"The first map is that of {recorded.what}.")
    images, resize = images[rows], run.study.images.resize

    def encoded(seed: int) -> np.ndarray:
        from utils.representations import training

        own = (
            run
            if seed == run.seed
            else study_module.open_run(NETWORK_NOTEBOOK, study, profile, seed)
        )
        return training.encode(own.autoencoder()[0], images, resize)

    return Pictures(
        topic=study,
        images=images,
        labels=labels[rows].astype(int),
        class_names=run.class_names,
        names=tuple(map(str, rows)),
        unit="index",
        k=run.study.kmeans.n_clusters,
        seed=seed,
        features={NETWORK: encoded},
        representations=(NETWORK, *_for(images)),
        training_seconds=SECONDS_OF_EPOCH
        * run.study.autoencoder.epochs
        * len(run.training_images)
        / 1000,
        recorded=recorded,
        notes=tuple(notes),
    )


def _for(images: np.ndarray) -> tuple[str, ...]:
    """List the representations without training that suit images: slant is one of grey strokes."""
    handmade = [name for name in HANDMADE if images.ndim == 3 or "deskewed" not in name]
    return (*handmade, *FROZEN)


_Found = tuple[np.ndarray, np.ndarray, np.ndarray, Recorded]


def _of_run(run: StudyRun, profile: str) -> _Found | None:
    """Find the map of a run of this profile: rows, all images, all labels and the map."""
    folder = places.topic(profile, run.study.study).notebook(run.seed, MAP_NOTEBOOK)
    if not all((folder / name).is_file() for name in (places.MANIFEST, ATLAS)):
        return None
    table = pd.read_parquet(folder / ATLAS, columns=["x", "y", "class", "cluster"])
    rows = run.map_rows()
    if not _is_of(table, run.labels[rows], run.class_names):
        return None
    recorded = _recorded(table, f"the run of profile {profile}, seed {run.seed} (latents, k-means)")
    return rows, run.images, run.labels, recorded


def _of_published(run: StudyRun, notes: list[str]) -> _Found | None:
    """Find the published map; its images are drawn from the whole dataset as the run drew them."""
    path = places.published() / "maps.parquet"
    if not path.is_file() or run.record.dataset != run.study.dataset:
        return None
    table = pd.read_parquet(path)
    table = table[(table["study"] == run.study.study) & (table["map"] == PUBLISHED_MAP)]
    if table.empty:
        return None
    of_seed = run.seed if (table["seed"] == run.seed).any() else table["seed"].min()
    table = table[table["seed"] == of_seed]
    whole = study_module.open_run(NETWORK_NOTEBOOK, run.study.study, PUBLISHED_PROFILE, run.seed)
    rows = whole.map_rows()
    if not _is_of(table, whole.labels[rows], whole.class_names):
        # Its classes prove that these are its images; another draw has others.
        notes.append("The published map is of other images than are drawn here, and is not used.")
        return None
    recorded = _recorded(
        table,
        f"the published run, seed {of_seed}: {len(rows):,} of {len(whole.images):,} images, t-SNE "
        "of the network's latents, k-means",
    )
    return rows, whole.images, whole.labels, recorded


def _is_of(table: pd.DataFrame, labels: np.ndarray, class_names: tuple[str, ...]) -> bool:
    """Say whether a map's classes are those of the images, one by one."""
    own = [class_names[label] for label in labels]
    return table["class"].astype(str).tolist() == own


def _recorded(table: pd.DataFrame, what: str) -> Recorded:
    clusters = table["cluster"].astype(str).str.removeprefix("c").replace("noise", "-1")
    xy = table[["x", "y"]].to_numpy(np.float32)
    return Recorded(xy, clusters.astype(np.int32).to_numpy(), what)


def open_folder(folder: str | Path) -> Pictures:
    """Open the pictures of a run of notebook 6, which ``./run_all.sh images`` leaves.

    The pictures themselves are not read: the run keeps a small copy of each.

    Parameters
    ----------
    folder : path
        With ``assignments.csv``, ``atlas.parquet`` and ``model.safetensors``, or a folder above
        exactly one such.

    Returns
    -------
    Pictures
        At most `MOST_PICTURES` of them, drawn at random, always the same.

    Raises
    ------
    UserError
        If there is no such run, or several, or its files do not belong together.
    """
    folder = _run_of(Path(folder))
    assignments = pd.read_csv(folder / ASSIGNMENTS, keep_default_na=False)
    atlas = pd.read_parquet(folder / ATLAS, columns=["cell", "image"])
    model, about = estimator.load(folder / MODEL)
    if not len(assignments) == len(atlas) == len(model.scores_):
        raise UserError(f"{folder}: its files are of several runs: run the images again")
    n = len(assignments)
    drawn = np.random.default_rng(0).choice(n, min(MOST_PICTURES, n), replace=False)
    rows = np.sort(drawn)
    shown = assignments.iloc[rows]
    scores = model.scores_[rows].astype(np.float32)
    labels, class_names = _labels_of(shown)
    xy = shown[["x", "y"]].to_numpy(np.float32)
    recorded = Recorded(xy, shown["cluster"].to_numpy(np.int32), f"the run in {folder.name}")
    return Pictures(
        topic="pictures",
        images=small_copies(atlas["cell"].to_numpy(), atlas["image"].dropna().tolist())[rows],
        labels=labels,
        class_names=class_names,
        names=tuple(shown["path"]),
        unit="path",
        k=max(2, model.n_clusters_),
        seed=int(model.random_state),
        features={COMPONENTS: lambda _seed: scores},
        representations=(COMPONENTS,),
        recorded=recorded,
        notes=(
            f"{len(rows):,} of {n:,} pictures; components of {about['backbone']}. Pictures are "
            "never changed.",
        ),
    )


def _run_of(folder: Path) -> Path:
    needed = (ASSIGNMENTS, ATLAS, MODEL)
    inside = [path.parent for path in sorted(folder.glob(f"**/{ASSIGNMENTS}"))]
    found = [one for one in inside if all((one / name).is_file() for name in needed)]
    if len(found) != 1:
        listed = ", ".join(map(str, found)) or "none"
        raise UserError(
            f"{folder}: needs exactly one run with {', '.join(needed)} (found {listed}): give the "
            "run's own folder below runs/images, which ./run_all.sh images DIR makes"
        )
    return found[0]


def _labels_of(table: pd.DataFrame) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if "label" not in table:
        return None, ()
    class_names = tuple(sorted(set(table["label"].astype(str)) - {""}))
    codes = pd.Categorical(table["label"].astype(str), categories=class_names).codes
    return codes.astype(int), class_names


def small_copies(cells: np.ndarray, sheets: list[bytes]) -> np.ndarray:
    """Cut the small copies out of the sheets of `figures.atlas.sheets`: uint8 ``(N, H, W, 3)``.

    Parameters
    ----------
    cells : ndarray of int, shape (N,)
        Where each image is, counted through all sheets.
    sheets : list of bytes
        WebP files.
    """
    from PIL import Image

    decoded = [np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB")) for sheet in sheets]
    height, width = (side // CELLS_PER_ROW for side in decoded[0].shape[:2])
    parts = [
        sheet.reshape(CELLS_PER_ROW, height, CELLS_PER_ROW, width, 3).swapaxes(1, 2)
        for sheet in decoded
    ]
    return np.concatenate([part.reshape(-1, height, width, 3) for part in parts])[cells]
