"""The pipeline behind `run_all.sh images` as an estimator of scikit-learn's kind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from utils import clustering, spaces
from utils.errors import UserError
from utils.store.files import atomic_path, sha256_arrays

AUTO = "auto"
# Fewer points have no neighbourhoods to lay out: they are clustered as they are projected.
LEAST_LAID_OUT = 50
_ARRAYS = (
    "mean_",
    "components_",
    "scores_",
    "layout_",
    "labels_",
    "probabilities_",
    "k_candidates_",
    "k_silhouettes_",
)
_FORMAT = "feature-clusterer-1"
# Numbers in the largest table of votes or neighbours that is made at once: 512 MB.
_BLOCK = 2**26
# A model is about 1 kB a picture.
MOST_BYTES = 2**32


class FeatureClusterer(TransformerMixin, ClusterMixin, BaseEstimator):
    """Cluster features: principal components, UMAP, and a clusterer on the layout.

    Parameters
    ----------
    n_clusters : int or "auto"
        Number of clusters k. ``"auto"`` takes that of the highest silhouette of k-means on the
        layout among 2 to 20 (`clusterers.choose_k`); no label is involved.
    n_components : int
        Principal components to keep; fewer where there are fewer features or points.
    layout_components : int
        Dimensions of the UMAP layout.
    n_neighbors : int
        Neighbours of a point that its layout, and the placing of a new point, look at.
    clusterer : str
        One of `clusterers.CLUSTERERS`. ``"hdbscan"`` and the others that find k themselves do not
        look at `n_clusters`.
    random_state : int
        Seed of all that is drawn at random.

    Attributes
    ----------
    labels_ : ndarray of int32, shape (N,)
        Cluster of each point, from 0; -1 is noise.
    probabilities_ : ndarray of float32, shape (N,)
        How surely each point belongs to its cluster, in [0, 1]: the clusterer's own word or, where
        it has none, the share of its nearest points that are in the same cluster.
    n_clusters_ : int
    layout_ : ndarray of float64, shape (N, d)
        What was clustered: the UMAP layout; below 50 points the principal components.
    scores_ : ndarray of float64, shape (N, p)
        The principal components.
    components_, mean_ : ndarray of float64, shapes (p, D) and (D,)
        Directions of the components, and what is taken off the features before.
    k_candidates_ : ndarray of int, shape (c,)
    k_silhouettes_ : ndarray of float, shape (c,)
        The curve by which k was chosen; empty if it was not.
    n_features_in_ : int

    Notes
    -----
    Points that are equal are in one cluster: that of most of them.

    A new point is placed by its nearest points among those of `fit`, weighted by the inverse of
    their distances: `transform` is the mean of their positions, `predict` their vote.
    """

    def __init__(
        self,
        n_clusters: int | str = AUTO,
        n_components: int = 50,
        layout_components: int = 10,
        n_neighbors: int = 10,
        clusterer: str = "gmm",
        random_state: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_components = n_components
        self.layout_components = layout_components
        self.n_neighbors = n_neighbors
        self.clusterer = clusterer
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
            If a parameter or a value is not as it must be, or there are fewer points than clusters.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        try:
            self._fit(X)
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    def _fit(self, X: np.ndarray) -> None:
        self._require_parameters(len(X))
        self.k_candidates_, self.k_silhouettes_ = np.empty(0, int), np.empty(0)
        self._project(X)
        all_alike = np.ptp(self.scores_, axis=0).max() == 0
        self.layout_ = self.scores_ if all_alike else self._lay_out(self.scores_)
        layout = self.layout_.astype(np.float32)
        k = 1 if all_alike else self._choose_k(layout)
        if all_alike or (k == 1 and self.clusterer not in clustering.FINDS_K):
            result = clustering.Result(np.zeros(len(X), np.int32), np.ones(len(X), np.float32))
        else:
            result = clustering.cluster(self.clusterer, layout, k, self.random_state)
            result = clustering.with_equal_points_together(result, equal_rows(X))
        self.labels_ = result.assignment
        self.n_clusters_ = int(self.labels_.max()) + 1
        self.probabilities_ = self._agreement() if result.confidence is None else result.confidence

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Place points in the layout: float64, shape (M, d)."""
        rows, weights = self._nearest(self._scores_of(X))
        return np.einsum("mk,mkd->md", weights, self.layout_[rows])

    def fit_transform(self, X: np.ndarray, y: object = None) -> np.ndarray:
        """Find the clusters, and place the same points as `transform` does."""
        return self.fit(X).transform(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the cluster of each point, int32 ``(M,)``; -1 is noise."""
        return self.vote(X)[0]

    def vote(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cluster of each point, and the share of the vote that it got, in [0, 1]."""
        scores = self._scores_of(X)
        width = max(self.n_clusters_ + 1, min(self.n_neighbors, len(self.scores_)))
        height = max(1, _BLOCK // width)
        parts = [
            self._vote(scores[start : start + height]) for start in range(0, len(scores), height)
        ]
        clusters, shares = zip(*parts, strict=True)
        return np.concatenate(clusters), np.concatenate(shares)

    def _vote(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, weights = self._nearest(scores)
        votes = np.zeros((len(rows), self.n_clusters_ + 1))
        np.add.at(votes, (np.arange(len(rows))[:, None], self.labels_[rows] + 1), weights)
        return votes.argmax(axis=1).astype(np.int32) - 1, votes.max(axis=1).astype(np.float32)

    def _require_parameters(self, n_points: int) -> None:
        k = self.n_clusters
        if k != AUTO and (not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1):
            raise UserError(f"n_clusters must be 'auto' or a whole number from 1, not {k!r}")
        finds_k = self.clusterer in clustering.FINDS_K
        if k != AUTO and k > n_points and not finds_k:
            raise UserError(f"{k} clusters of {n_points} points: ask for {n_points} at most")
        if self.clusterer not in clustering.CLUSTERERS:
            allowed = ", ".join(clustering.CLUSTERERS)
            raise UserError(f"unknown clusterer {self.clusterer!r}: allowed are {allowed}")
        for name in ("n_components", "layout_components", "n_neighbors"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise UserError(f"{name} must be a whole number from 1, not {value!r}")

    def _project(self, X: np.ndarray) -> None:
        from threadpoolctl import threadpool_limits

        n_points, n_features = X.shape
        n_components = min(self.n_components, n_features, n_points - 1)
        if not np.ptp(X, axis=0).any():
            self.mean_ = X[0].astype(np.float64)
            self.components_ = np.eye(n_components, n_features)
        else:
            with threadpool_limits(limits=1, user_api="openmp"):
                model = spaces.exact_pca(n_components, X.shape).fit(X)
            self.mean_ = model.mean_.astype(np.float64)
            # In one order of memory, so that a model that was read from a file has the same bits.
            self.components_ = np.ascontiguousarray(model.components_, dtype=np.float64)
        self.scores_ = self._scores_of_valid(X)

    def _scores_of(self, X: np.ndarray) -> np.ndarray:
        check_is_fitted(self)
        dtypes = [np.float64, np.float32]
        return self._scores_of_valid(validate_data(self, X, dtype=dtypes, reset=False))

    def _scores_of_valid(self, X: np.ndarray, block: int = 4096) -> np.ndarray:
        # In blocks: a copy of all features in float64 would be large.
        scores = np.empty((len(X), len(self.components_)))
        for start in range(0, len(X), block):
            rows = slice(start, start + block)
            scores[rows] = (X[rows].astype(np.float64) - self.mean_) @ self.components_.T
        return scores

    def _lay_out(self, scores: np.ndarray) -> np.ndarray:
        if len(scores) < LEAST_LAID_OUT:
            return scores
        n_neighbors = max(2, min(self.n_neighbors, len(scores) - 1))
        layout = spaces.umap(
            scores.astype(np.float32),
            min(self.layout_components, LEAST_LAID_OUT // 2),
            n_neighbors,
            self.random_state,
        )
        return layout.astype(np.float64)

    def _choose_k(self, layout: np.ndarray) -> int:
        if self.n_clusters != AUTO:
            return int(self.n_clusters)
        if len(layout) < 3 or self.clusterer in clustering.FINDS_K:
            return 1
        k, curve = clustering.choose_k(layout, seed=self.random_state)
        self.k_candidates_ = curve["k"].to_numpy()
        self.k_silhouettes_ = curve["silhouette"].to_numpy()
        return k

    def _agreement(self) -> np.ndarray:
        """Say of each point which share of its nearest others is in the same cluster."""
        k = min(self.n_neighbors, len(self.layout_) - 1)
        rows, _ = spaces.knn_graph(self.layout_.astype(np.float32), k)
        agree = (self.labels_[rows] == self.labels_[:, None]).mean(axis=1)
        return np.where(self.labels_ < 0, 0, agree).astype(np.float32)

    def _nearest(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest points of `fit`, and their weights, which sum to 1."""
        from sklearn.neighbors import NearestNeighbors
        from threadpoolctl import threadpool_limits

        k = min(self.n_neighbors, len(self.scores_))
        with threadpool_limits(limits=1, user_api="blas"):
            distances, rows = NearestNeighbors(n_neighbors=k).fit(self.scores_).kneighbors(scores)
        # A point of `fit` is at a distance of 0 to itself, but for rounding.
        scale = np.linalg.norm(self.scores_, axis=1).max() or 1
        weights = 1 / np.maximum(distances, 1e-7 * scale)
        return rows, weights / weights.sum(axis=1, keepdims=True)


def equal_rows(X: np.ndarray) -> np.ndarray:
    """Give each row of an array a number from 0, equal rows the same one: int ``(N,)``."""
    numbers: dict[bytes, int] = {}
    # Adding 0 makes one zero of the two.
    digests = (hashlib.blake2b((row + 0).tobytes(), digest_size=16).digest() for row in X)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests])


def arrays_of(model: FeatureClusterer) -> dict[str, np.ndarray]:
    """Return what `fit` found, as arrays from which `from_arrays` makes the estimator again."""
    check_is_fitted(model)
    return {name: np.ascontiguousarray(getattr(model, name)) for name in _ARRAYS}


def from_arrays(parameters: dict[str, object], arrays: dict[str, np.ndarray]) -> FeatureClusterer:
    """Make a fitted estimator from its parameters and what `arrays_of` returned."""
    model = FeatureClusterer(**parameters)
    for name in _ARRAYS:
        setattr(model, name, arrays[name])
    model.n_clusters_ = int(model.labels_.max()) + 1
    model.n_features_in_ = len(model.mean_)
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
        "labels_": (n,),
        "probabilities_": (n,),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or 0 in shape:
            raise UserError(f"{name} has the shape {arrays[name].shape}, which does not fit")
    for name in ("scores_", "components_", "mean_", "layout_"):
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"{name} has values that are not finite numbers")
    labels = model.labels_
    if labels.dtype.kind != "i" or labels.min() < -1 or labels.max() >= n:
        raise UserError(f"labels_ are not whole numbers from -1 to {n - 1}")
    model._require_parameters(n)
    return model, about
