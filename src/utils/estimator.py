"""The line behind `run_all.sh images` as an estimator of scikit-learn's kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from utils import clustering, spaces
from utils.clustering import voting
from utils.clustering.numbers import LEAST_LAID_OUT
from utils.config.methods import Space
from utils.errors import UserError
from utils.pipeline import Steps
from utils.store.files import atomic_path, sha256_arrays

AUTO, LEVELS = "auto", "levels"
# What finds the groups of a given number, if nothing else is asked for.
OF_A_NUMBER = "gmm"
# Fewer different points have no groups to find.
LEAST_DIFFERENT = 10
# The distance to this nearest other says how far off a point lies; of few points to a nearer one.
FAR_NEIGHBOR = 50
# So many interquartile ranges above the third quartile a point is an outlier (Tukey 1977).
FENCE = 1.5
_ARRAYS = (
    "mean_",
    "components_",
    "scores_",
    "residuals_",
    "layout_",
    "levels_",
    "resolutions_",
    "agreements_",
    "front_",
    "labels_",
    "probabilities_",
    "outlier_scores_",
    "far_threshold_",
    "k_candidates_",
    "k_silhouettes_",
)
_FORMAT, _EARLIER_FORMATS = "feature-clusterer-2", ("feature-clusterer-1",)
MOST_BYTES = 2**32  # a model is about 1 kB a picture


class FeatureClusterer(TransformerMixin, ClusterMixin, BaseEstimator):
    """Cluster features, by default at several levels.

    Each point is scaled to length 1 and projected to principal components. There either groups at
    several levels are found (`clustering.find_levels`), or UMAP lays the points out and a clusterer
    of `clustering.CLUSTERERS` finds the clusters.

    Parameters
    ----------
    n_clusters : int or "auto"
        Number of clusters k. With ``"auto"`` there are levels or, for a `clusterer` that needs a
        number, it is that of the highest silhouette of k-means on the layout among 2 to 20
        (`clustering.choose_k`). No label is involved.
    n_components : int
        Principal components to keep; fewer where there are fewer features or points.
    layout_components : int
        Dimensions of the UMAP layout.
    n_neighbors : int
        Neighbours of a new point that place it.
    clusterer : str
        ``"levels"``, or one of `clustering.CLUSTERERS`; ``"auto"`` is ``"levels"``, or ``"gmm"``
        if there is a number. ``"hdbscan"`` and the others that find k themselves do not look at
        `n_clusters`.
    level : int or "auto"
        Level in front, from 1, the coarsest; ``"auto"`` is that of the rule of `find_levels`.
    random_state : int
        Seed of all that is drawn at random.

    Attributes
    ----------
    labels_ : ndarray of int32, shape (N,)
        Cluster of each point, from 0; -1 is noise. Of levels, those of the one in front.
    levels_ : ndarray of int32, shape (N, L)
        Cluster of each point at each level, coarse to fine; a single level if only one number of
        clusters was found.
    resolutions_ : ndarray of float64, shape (L,)
        Resolution of each level, see `clustering.Levels`; empty without levels.
    agreements_ : ndarray of float64, shape (c,)
        What the rule for the level in front measured, see `clustering.Levels`; else empty.
    front_ : int
        Position of the level in front.
    probabilities_ : ndarray of float32, shape (N,)
        Confidence, by a point's nearest different points in the components; see
        `clustering.confidence`.
    outlier_scores_ : ndarray of float32, shape (N,)
        Cosine distance to the 50th nearest different point, of fewer than 400 to that of an eighth
        of them; the part outside the components is added as if it were independent.
    far_threshold_ : float
        Outlier score above which a point is an outlier, and a new one belongs to nothing: the upper
        fence of the scores of different points.
    n_clusters_ : int
    n_different_ : int
        Different points.
    layout_ : ndarray of float64, shape (N, d)
        What was clustered: the principal components or the UMAP layout.
    scores_ : ndarray of float64, shape (N, p)
        The principal components.
    residuals_ : ndarray of float64, shape (N,)
        Squared distance of each point to the plane of the components.
    components_, mean_ : ndarray of float64, shapes (p, D) and (D,)
        Directions of the components, and what is taken off the features before.
    k_candidates_ : ndarray of int, shape (c,)
    k_silhouettes_ : ndarray of float, shape (c,)
        The curve by which k was chosen; empty if it was not.
    stages_ : dict of str to Stage
        What was computed and what it cost; empty of a model that was read from a file.
    n_features_in_ : int

    Notes
    -----
    Points that are equal are in one cluster. Of fewer than 10 different points no groups are
    sought: each is a cluster if every one has copies, otherwise all are one.

    A new point is placed by its nearest points among those of `fit`, weighted by the inverse of
    their distances: `transform` is the mean of their positions, `predict` their vote.
    """

    def __init__(
        self,
        n_clusters: int | str = AUTO,
        n_components: int = 50,
        layout_components: int = 10,
        n_neighbors: int = 10,
        clusterer: str = AUTO,
        level: int | str = AUTO,
        random_state: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_components = n_components
        self.layout_components = layout_components
        self.n_neighbors = n_neighbors
        self.clusterer = clusterer
        self.level = level
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: object = None) -> FeatureClusterer:
        """Find the clusters of features.

        Parameters
        ----------
        X : array of float, shape (N, D)
            One row a point; N at least 2.
        y : ignored

        Raises
        ------
        ValueError
            If a parameter or a value is invalid, or there are fewer points than clusters.
        """
        return self._fit(X, Steps(seed=self.random_state, is_stored=False))

    def fit_stored(self, X: np.ndarray) -> FeatureClusterer:
        """Do what `fit` does; each stage is stored, or taken from the store."""
        return self._fit(X, Steps(seed=self.random_state))

    def _fit(self, X: np.ndarray, steps: Steps) -> FeatureClusterer:
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        try:
            self._require_parameters(len(X))
            self._find(spaces.unit_rows(X), steps)
        except UserError as error:
            raise ValueError(str(error)) from None
        self.stages_ = steps.stages
        return self

    def _find(self, unit: np.ndarray, steps: Steps) -> None:
        same = spaces.equal_rows(unit)
        _, first = np.unique(same, return_index=True)
        self.n_different_ = len(first)
        points = self._project(unit, steps)
        self.layout_ = self.scores_
        self.resolutions_, self.agreements_ = np.empty(0), np.empty(0)
        self.k_candidates_, self.k_silhouettes_ = np.empty(0, int), np.empty(0)
        near = None
        if self.n_different_ > 1:
            near = steps.neighbours(points[first], min(FAR_NEIGHBOR, self.n_different_ - 1))
        found, front = self._cluster(points, same, near, steps)
        self.levels_ = np.ascontiguousarray(found, dtype=np.int32)
        self._put_in_front(front)
        self._judge(same, first, near)

    def _project(self, unit: np.ndarray, steps: Steps) -> np.ndarray:
        """Find the components, and return the points in them, float32 ``(N, p)``."""
        n_components = min(self.n_components, unit.shape[1], len(unit) - 1)
        self.mean_ = unit.mean(axis=0, dtype=np.float64)
        if self.n_different_ == 1:
            points = np.zeros((len(unit), n_components), np.float32)
        else:
            points = steps.project(Space("pca", n_components), unit)
        self.components_ = spaces.directions(points, unit, self.mean_)
        self.scores_, self.residuals_ = self._place(unit)
        return points

    def _cluster(
        self,
        points: np.ndarray,
        same: np.ndarray,
        near: dict[str, np.ndarray] | None,
        steps: Steps,
    ) -> tuple[np.ndarray, int]:
        """Return the cluster of each point at each level ``(N, L)``, and the level in front."""
        if self.n_different_ == 1:
            return np.zeros((len(points), 1)), 0
        if self.clusterer_ != LEVELS:
            return self._at_one_level(points, same, steps)[:, None], 0
        if self.n_different_ < LEAST_DIFFERENT:
            has_copies = np.bincount(same).min() > 1
            return (same if has_copies else np.zeros(len(points)))[:, None], 0
        found = steps.levels(near)
        self.resolutions_, self.agreements_ = found["resolutions"], found["agreements"]
        return found["assignments"][same], int(found["front"])

    def _at_one_level(self, points: np.ndarray, same: np.ndarray, steps: Steps) -> np.ndarray:
        """Lay the points out by UMAP and return what the clusterer finds there."""
        layout = points
        if len(points) >= LEAST_LAID_OUT:
            n_dimensions = min(self.layout_components, LEAST_LAID_OUT // 2)
            layout = steps.project(Space("umap", n_dimensions), points)
            self.layout_ = layout.astype(np.float64)
        k = 0 if self.clusterer_ in clustering.FINDS_K else self._number(layout, steps)
        if k == 1:
            return np.zeros(len(points), int)
        if k >= self.n_different_:
            return same
        found = clustering.Result(steps.cluster(self.clusterer_, layout, k or None)["assignment"])
        return clustering.with_equal_points_together(found, same).assignment

    def _number(self, layout: np.ndarray, steps: Steps) -> int:
        if self.n_clusters != AUTO:
            return int(self.n_clusters)
        if len(layout) < 3:
            return 1
        curve = steps.choose_k(layout)
        self.k_candidates_, self.k_silhouettes_ = curve["k"], curve["silhouette"]
        return int(curve["k"][curve["silhouette"].argmax()])

    def _put_in_front(self, front: int) -> None:
        n_levels = self.levels_.shape[1]
        if self.level != AUTO and self.level > n_levels:
            asked = f"level {self.level} of {n_levels}"
            raise UserError(f"{asked}: ask for 1, the coarsest, to {n_levels}")
        self.front_ = front if self.level == AUTO else int(self.level) - 1
        self.labels_ = np.ascontiguousarray(self.levels_[:, self.front_])
        self.n_clusters_ = int(self.labels_.max()) + 1

    def _judge(
        self, same: np.ndarray, first: np.ndarray, near: dict[str, np.ndarray] | None
    ) -> None:
        """Say how surely each point belongs to its cluster, and how far off it lies."""
        if near is None:
            self.probabilities_ = np.ones(len(same), np.float32)
            self.outlier_scores_ = np.zeros(len(same), np.float32)
            self.far_threshold_ = 0.0
            return
        confidence = clustering.confidence(self.labels_[first], near["indices"])
        self.probabilities_ = confidence[same]
        rank = clustering.few_neighbors(self.n_different_, FAR_NEIGHBOR)
        squares = near["distances"][:, :rank][:, -1].astype(np.float64) ** 2
        far = self._far(squares, self.residuals_[first]).astype(np.float32)
        self.outlier_scores_ = far[same]
        first_quartile, third_quartile = np.quantile(far, (0.25, 0.75))
        self.far_threshold_ = float(third_quartile + FENCE * (third_quartile - first_quartile))

    def _far(self, squares: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """Return cosine distances from squared distances in the components and beside them.

        Of points of length 1 the cosine distance is half the squared distance.
        """
        return (squares + residuals + self.residuals_.mean()) / 2

    @property
    def clusterer_(self) -> str:
        """What finds the clusters."""
        if self.clusterer != AUTO:
            return self.clusterer
        return LEVELS if self.n_clusters == AUTO else OF_A_NUMBER

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Place points in the layout: float64, shape (M, d)."""
        placed = self._place_valid(X)[0]
        rows, weights = voting.weighted_neighbours(self.scores_, placed, self.n_neighbors)
        return np.einsum("mk,mkd->md", weights, self.layout_[rows])

    def fit_transform(self, X: np.ndarray, y: object = None) -> np.ndarray:
        """Find the clusters, and place the same points as `transform` does."""
        return self.fit(X).transform(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the cluster of each point, int32 ``(M,)``; -1 is noise."""
        return self.vote(X)[0]

    def vote(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cluster of each point, and the share of the vote that it got, in [0, 1]."""
        scores, _ = self._place_valid(X)
        return voting.vote(self.scores_, self.labels_, scores, self.n_neighbors)

    def score_outliers(self, X: np.ndarray) -> np.ndarray:
        """Return how far new points lie from those of `fit`, float32 ``(M,)``.

        As `outlier_scores_`, but copies count; above `far_threshold_` a point belongs to nothing.
        """
        scores, residuals = self._place_valid(X)
        k = clustering.few_neighbors(self.n_different_, FAR_NEIGHBOR)
        squares = voting.distances_to(self.scores_, scores, k)[0][:, -1] ** 2
        return self._far(squares, residuals).astype(np.float32)

    def _require_parameters(self, n_points: int) -> None:
        k = self.n_clusters
        if k != AUTO and not _is_whole(k):
            raise UserError(f"n_clusters must be 'auto' or a whole number from 1, not {k!r}")
        if self.level != AUTO and not _is_whole(self.level):
            raise UserError(f"level must be 'auto' or a whole number from 1, not {self.level!r}")
        allowed = (AUTO, LEVELS, *clustering.CLUSTERERS)
        if self.clusterer not in allowed:
            raise UserError(
                f"unknown clusterer {self.clusterer!r}: allowed are {', '.join(allowed)}"
            )
        finds_k = self.clusterer_ == LEVELS or self.clusterer_ in clustering.FINDS_K
        if k != AUTO and k > n_points and not finds_k:
            raise UserError(f"{k} clusters of {n_points} points: ask for {n_points} at most")
        for name in ("n_components", "layout_components", "n_neighbors"):
            if not _is_whole(getattr(self, name)):
                value = getattr(self, name)
                raise UserError(f"{name} must be a whole number from 1, not {value!r}")

    def _place_valid(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        dtypes = [np.float64, np.float32]
        return self._place(spaces.unit_rows(validate_data(self, X, dtype=dtypes, reset=False)))

    def _place(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the components of points, and their squared distances to the components' plane."""
        scores = np.empty((len(unit), len(self.components_)))
        residuals = np.empty(len(unit))
        for rows in spaces.blocks(len(unit)):
            centred = unit[rows].astype(np.float64) - self.mean_
            scores[rows] = centred @ self.components_.T
            beside = (centred**2).sum(axis=1) - (scores[rows] ** 2).sum(axis=1)
            residuals[rows] = np.maximum(beside, 0)
        return scores, residuals


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1


def arrays_of(model: FeatureClusterer) -> dict[str, np.ndarray]:
    """Return what `fit` found, as arrays from which `from_arrays` makes the estimator again."""
    check_is_fitted(model)
    return {name: np.ascontiguousarray(getattr(model, name)) for name in _ARRAYS}


def from_arrays(parameters: dict[str, object], arrays: dict[str, np.ndarray]) -> FeatureClusterer:
    """Make a fitted estimator from its parameters and what `arrays_of` returned."""
    model = FeatureClusterer(**parameters)
    for name in _ARRAYS:
        setattr(model, name, arrays[name])
    model.front_ = int(arrays["front_"].item())
    model.far_threshold_ = float(arrays["far_threshold_"].item())
    model.n_clusters_ = int(model.labels_.max()) + 1
    model.n_different_ = len(np.unique(model.scores_, axis=0))
    model.n_features_in_ = len(model.mean_)
    model.stages_ = {}
    return model


def save(model: FeatureClusterer, path: Path, about: dict[str, str] | None = None) -> None:
    """Write a fitted estimator as a safetensors file, which cannot hold code.

    Parameters
    ----------
    model : FeatureClusterer
    path : Path
    about : dict of str to str, optional
        What else belongs to it, such as the network behind the features.
    """
    from safetensors.numpy import save_file

    arrays = arrays_of(model)
    content = {
        "parameters": model.get_params(),
        "about": about or {},
        "sha256": sha256_arrays(arrays),
    }
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, {"format": _FORMAT, "content": json.dumps(content)})


def load(path: Path) -> tuple[FeatureClusterer, dict[str, str]]:
    """Read what `save` wrote: the fitted estimator, and what was said about it.

    Raises
    ------
    UserError
        If the file is missing, is no such model, was changed or damaged, or what it holds does not
        belong together.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file: give the model.safetensors of a report")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"{path}: {size:,} bytes, no model of this program has that many")
    try:
        with safe_open(path, "numpy") as file:
            head = file.metadata() or {}
            if head.get("format") in _EARLIER_FORMATS:
                raise UserError(
                    f"{path}: by an earlier version of this program, which found no levels: make "
                    "it again with ./run_all.sh images"
                )
            content = json.loads(head["content"]) if head.get("format") == _FORMAT else None
            if content is None or set(file.keys()) != set(_ARRAYS):
                raise UserError(
                    f"{path}: not a model of this program: give a report's model.safetensors"
                )
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged, or no model ({error}): make it again") from None
    if not isinstance(content, dict) or content.get("sha256") != sha256_arrays(arrays):
        raise UserError(f"{path}: its content was changed or damaged: make it again")
    try:
        return _checked(content, arrays)
    except (UserError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{path}: cannot be used ({error}): make it again") from None


def _checked(
    content: dict[str, object], arrays: dict[str, np.ndarray]
) -> tuple[FeatureClusterer, dict[str, str]]:
    """Make the estimator that a file describes if its parts belong together."""
    parameters, about = content.get("parameters"), content.get("about")
    if not isinstance(parameters, dict) or not isinstance(about, dict):
        raise UserError("it lacks its parameters")
    if not all(isinstance(value, str) for value in about.values()):
        raise UserError("what is said about it is no text")
    model = from_arrays(parameters, arrays)
    n, p = len(model.scores_), len(model.components_)
    shapes = {
        "scores_": (n, p),
        "components_": (p, len(model.mean_)),
        "mean_": (len(model.mean_),),
        "layout_": (n, model.layout_.shape[-1]),
        "levels_": (n, model.levels_.shape[-1]),
        **dict.fromkeys(("residuals_", "labels_", "probabilities_", "outlier_scores_"), (n,)),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or 0 in shape:
            raise UserError(f"{name} has the shape {arrays[name].shape}, which does not fit")
    # Of levels, NaN is what was not measured, and infinity the finest resolution.
    for name in sorted(set(_ARRAYS) - {"agreements_", "resolutions_"}):
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"{name} has values that are not finite numbers")
    labels = model.labels_
    if labels.dtype.kind != "i" or labels.min() < -1 or labels.max() >= n:
        raise UserError(f"labels_ are not whole numbers from -1 to {n - 1}")
    is_level = 0 <= model.front_ < model.levels_.shape[1]
    if not is_level or not np.array_equal(model.levels_[:, model.front_], labels):
        raise UserError("labels_ are not those of the level in front")
    model._require_parameters(n)
    return model, about
