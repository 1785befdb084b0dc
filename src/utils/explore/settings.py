"""What a setting makes of images: clusters, a map, scores; and two settings side by side.

Labels score a clustering and name its images. Nothing is chosen by them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from utils import clustering, metrics, places
from utils.config.methods import CLUSTERERS as EVERY_CLUSTERER
from utils.config.methods import Space
from utils.errors import UserError
from utils.explore.pictures import COMPONENTS, NETWORK, Pictures
from utils.metrics.label_free import agreement
from utils.pipeline import Steps, untrained
from utils.spaces.projections import NEIGHBORS
from utils.store.files import atomic_path

# The clusters and the map that a run left, as they are.
RECORDED = "recorded"
SPACES = ("raw", "pca10", "pca50", "umap2", "umap10")
CLUSTERERS = tuple(EVERY_CLUSTERER)
MAPS = ("components", "umap")
LEAST_K, MOST_K = 2, 40
NEIGHBOURS = NEIGHBORS
FEWEST_NEIGHBOURS, MOST_NEIGHBOURS = 5, 50
EXTERNAL, INTERNAL = ("ari", "nmi", "acc"), ("silhouette", "davies_bouldin")
# Estimates for 1,000 small images on two cores, on the high side. They decide only whether to ask
# before computing.
SECONDS = {
    "hog": 2, "deskewed_hog": 2, "efficientnet_lite0": 12, "efficientnet_lite1": 20,
    "efficientnet_lite2": 30, "umap": 4, "spectral": 2, "som": 2, "gmm": 1,
}  # fmt: skip
SLOW = 10


@dataclass(frozen=True)
class Setting:
    """Everything that decides a clustering.

    Attributes
    ----------
    representation : str
        One of the pictures' `representations`, or `RECORDED`.
    space : str
        As `Space.parse` reads it; components that the images do not have are left out.
    clusterer : str
        One of `CLUSTERERS`.
    k : int
        Number of clusters; not looked at by clusterers that find it.
    neighbours : int
        Of UMAP, the point itself counted.
    seed : int
        Not negative.
    """

    representation: str = "pixels"
    space: str = "pca50"
    clusterer: str = "kmeans"
    k: int = 10
    neighbours: int = NEIGHBOURS
    seed: int = 0

    def __str__(self) -> str:
        if self.representation == RECORDED:
            return RECORDED
        is_umap = self.space.startswith("umap")
        neighbours = f", {self.neighbours} neighbours" if is_umap else ""
        k = "" if self.clusterer in clustering.FINDS_K else f", k {self.k}"
        names = f"{self.representation} / {self.space} / {self.clusterer}"
        return f"{names}{k}{neighbours}, seed {self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What a setting makes of images.

    Attributes
    ----------
    setting : Setting
    points : ndarray of float32, shape (N, d), or None
        What was clustered; None of recorded clusters.
    assignment : ndarray of int32, shape (N,)
        Cluster of each image; −1 is noise.
    scores : dict of str to float
        `EXTERNAL`, of images with a label and for scoring only; `INTERNAL`, in the clustered space,
        so that only settings of one space can be compared by them. Undefined ones are left out.
    """

    setting: Setting
    points: np.ndarray | None
    assignment: np.ndarray
    scores: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Two settings on the same images.

    Attributes
    ----------
    a, b : Outcome
    ari : float
        Adjusted Rand index between their clusters, without labels; 1 if they are the same.
    moved : ndarray of bool, shape (N,)
        Images whose cluster in `b` is not the one paired with their cluster in `a`.
    """

    a: Outcome
    b: Outcome
    ari: float
    moved: np.ndarray


def start(pictures: Pictures) -> Setting:
    """Return the setting to begin with: the recorded one, or what takes seconds."""
    first = RECORDED if pictures.recorded is not None else simplest(pictures)
    return Setting(first, k=pictures.k, seed=pictures.seed)


def simplest(pictures: Pictures) -> str:
    """Name the representation that takes no time: pixels, or the components that a run left."""
    return COMPONENTS if COMPONENTS in pictures.representations else "pixels"


def expected_seconds(pictures: Pictures, setting: Setting, map_kind: str = RECORDED) -> float:
    """Estimate how long a setting takes where nothing of it is stored, on two cores."""
    if setting.representation == RECORDED:
        return 0.0
    parts = [setting.clusterer]
    if (setting.representation, setting.seed) not in pictures.known:
        parts.append(setting.representation)
    parts += ["umap"] * (setting.space.startswith("umap") + (map_kind == "umap"))
    of_size = sum(SECONDS.get(part, 0) for part in parts) * len(pictures) / 1000
    return of_size + pictures.training_seconds * (NETWORK in parts)


def run(pictures: Pictures, setting: Setting) -> Outcome:
    """Cluster images by a setting; each stage is stored, or taken from the store.

    Raises
    ------
    UserError
        If a name or a number is not allowed, or the images do not suit it.
    """
    if setting.representation == RECORDED:
        if pictures.recorded is None:
            raise UserError(f"no run of {pictures.topic} left clusters: choose a representation")
        assignment, points = pictures.recorded.assignment, None
    else:
        _require(pictures, setting)
        points = _points(pictures, setting)
        steps = Steps(seed=setting.seed)
        assignment = steps.cluster(setting.clusterer, points, setting.k)["assignment"]
    return Outcome(setting, points, assignment, _scores(pictures, points, assignment))


def _require(pictures: Pictures, setting: Setting) -> None:
    if setting.representation not in pictures.representations:
        allowed = ", ".join(pictures.representations)
        raise UserError(f"unknown representation {setting.representation!r}: allowed are {allowed}")
    if setting.clusterer not in CLUSTERERS:
        allowed = ", ".join(CLUSTERERS)
        raise UserError(f"unknown clusterer {setting.clusterer!r}: allowed are {allowed}")
    if not 1 <= setting.k <= len(pictures):
        raise UserError(f"k = {setting.k}: allowed are 1 to {len(pictures)}")
    if not 2 <= setting.neighbours < len(pictures):
        raise UserError(f"{setting.neighbours} neighbours: allowed are 2 to {len(pictures) - 1}")


def _features(pictures: Pictures, setting: Setting) -> np.ndarray:
    """Return features: those of this session, of the run, or of the store of the pipeline."""
    name, seed = setting.representation, setting.seed
    if (name, seed) not in pictures.known:
        if name in pictures.features:
            features = pictures.features[name](seed)
        else:
            features = untrained(name, pictures.images).arrays["features"]
        pictures.known[name, seed] = features
    return pictures.known[name, seed]


def _points(pictures: Pictures, setting: Setting) -> np.ndarray:
    features, space = _features(pictures, setting), Space.parse(setting.space)
    if space.kind == "umap":
        space = replace(space, n_neighbors=setting.neighbours)
    if space.kind == "pca":
        space = Space("pca", min(space.n_components, *features.shape))
    return Steps(seed=setting.seed).project(space, features)


def _scores(
    pictures: Pictures, points: np.ndarray | None, assignment: np.ndarray
) -> dict[str, float]:
    scores = {} if points is None else metrics.internal(assignment, points)
    if pictures.labels is not None and (has_label := pictures.labels >= 0).any():
        scores |= metrics.external(assignment[has_label], pictures.labels[has_label])
    return {name: scores[name] for name in (*EXTERNAL, *INTERNAL) if name in scores}


def score_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """List the scores of settings, a row for each.

    Returns
    -------
    DataFrame
        Columns ``clusters``; ``ari``, ``nmi`` and ``acc`` with "(scoring only)"; and the internal
        indices; NaN where one is undefined.
    """
    rows = {
        str(one.setting): {
            "clusters": metrics.k_found(one.assignment),
            **{f"{name} (scoring only)": one.scores.get(name, np.nan) for name in EXTERNAL},
            **{name: one.scores.get(name, np.nan) for name in INTERNAL},
        }
        for one in outcomes
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("setting")


def map_of(pictures: Pictures, outcome: Outcome, kind: str) -> np.ndarray:
    """Place images on a plane, float32 ``(N, 2)``.

    Parameters
    ----------
    pictures : Pictures
    outcome : Outcome
    kind : str
        ``recorded``, the run's map; or, of the setting's points, ``components``, the two of largest
        variance, or ``umap``. Recorded clusters have the recorded map only.

    Raises
    ------
    UserError
        If it is none of these, or no run left a map.
    """
    if kind == RECORDED or outcome.points is None:
        if pictures.recorded is None:
            raise UserError(f"no run of {pictures.topic} left a map: choose {' or '.join(MAPS)}")
        return pictures.recorded.xy
    points = outcome.points
    if kind == "umap":
        plane = Space("umap", 2, n_neighbors=outcome.setting.neighbours)
        own = Steps(seed=outcome.setting.seed)
        return points if points.shape[1] == 2 else own.project(plane, points)
    if kind != "components":
        raise UserError(f"unknown map {kind!r}: allowed are {RECORDED}, {', '.join(MAPS)}")
    plane = Steps(seed=0).project(Space("pca", min(2, *points.shape)), points)
    return plane if plane.shape[1] == 2 else np.hstack([plane, np.zeros_like(plane)])


def compare(pictures: Pictures, a: Setting, b: Setting) -> Comparison:
    """Run two settings on the same images and measure their agreement, without labels.

    The index is that of Hubert & Arabie (1985), "Comparing partitions"; noise is a cluster.
    """
    one, other = run(pictures, a), run(pictures, b)
    paired = metrics.matched_classes(one.assignment, other.assignment)
    ari = agreement(one.assignment, other.assignment)
    return Comparison(one, other, ari, paired != one.assignment)


def save_selection(
    pictures: Pictures, outcome: Outcome, rows: Sequence[int], name: str, folder: Path | None = None
) -> Path:
    """Write chosen images to a CSV file; the pictures themselves are not touched.

    Parameters
    ----------
    pictures : Pictures
    outcome : Outcome
    rows : sequence of int
        The images, as positions among the pictures.
    name : str
        Small letters, digits, - and _; column ``selection``, and name of the file.
    folder : path, optional
        By default ``runs/interactive/<topic>/selections``.

    Returns
    -------
    Path
        Columns ``selection``, ``index`` or ``path``, ``cluster``, ``setting`` and, where there are
        labels, ``class``.

    Raises
    ------
    UserError
        If nothing is chosen, the name is not plain, or a selection of that name is there already.
    """
    if not re.fullmatch(places.PLAIN_NAME, name):
        raise UserError(f"{name!r} is no plain name: use small letters, digits, - and _")
    if not len(rows):
        raise UserError("nothing is chosen: draw a lasso, or choose a cell of the matrix")
    folder = folder or places.runs() / "interactive" / pictures.topic / "selections"
    path = folder / f"{name}.csv"
    if path.exists():
        raise UserError(f"{path}: there already: choose another name")
    rows = sorted(int(row) for row in rows)
    table = pd.DataFrame(
        {
            "selection": name,
            pictures.unit: [pictures.names[row] for row in rows],
            "cluster": outcome.assignment[rows],
            "setting": str(outcome.setting),
        }
    )
    if pictures.labels is not None:
        table["class"] = [pictures.class_of(row) for row in rows]
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return path
