"""What notebook 5 calls for a choice without labels: indices of methods, numbers of clusters.

Nothing here looks at a class of an image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from utils import clustering, pipeline, spaces
from utils.clustering import numbers
from utils.clustering.turtle import generalisation_score
from utils.config.methods import FROZEN, HANDMADE, JOINED_BY, Method, Space
from utils.metrics import NOISE, k_found
from utils.metrics.internal import silhouette
from utils.metrics.label_free import agreement_of_halves, drawn
from utils.runs.leaderboard import BoardRun
from utils.store.tables import LABEL_FREE_TABLE, NUMBERS_TABLE

UMAP = Space("umap", 10)
MOST_COMPONENTS = 50


def open_label_free(run: BoardRun) -> LabelFreeRun:
    """Start what a leaderboard's notebook computes without labels."""
    return LabelFreeRun(run)


@dataclass
class LabelFreeRun:
    """Indices and numbers of clusters of a leaderboard, for one seed; see `open_label_free`."""

    run: BoardRun
    _indices: dict[Method, dict[str, float]] = field(default_factory=dict)
    _numbers: dict[tuple[str, str], numbers.Found] = field(default_factory=dict)

    # --- indices -------------------------------------------------------------------------------

    def indices(self, method: Method) -> pd.Series:
        """Compute the label-free indices of a method for this seed, and record them.

        Those that compare clusterings of several seeds or methods follow from the assignments.

        Returns
        -------
        Series
            ``silhouette_umap``: the silhouette of the images that are no noise in the UMAP layout
            of the features that were clustered, 10 neighbours and 10 dimensions (Lowe et al. 2024,
            "An Empirical Study into Clustering of Unseen Datasets with Self-Supervised Encoders").
            Of a method that trains its own network on pixels these are the pixels.
            ``generalisation``: see `turtle.generalisation_score`, on each view of the method
            reduced to at most 50 components. ``agreement_halves``: see `agreement_of_halves`; the
            features are those of all images, the space and the clusters those of each half.
            Missing where an index is undefined, and ``agreement_halves`` for methods that find the
            number of clusters or would have to be trained again.
        """
        print(f"indices: {', '.join(method.in_words)}", flush=True)
        result = self.run.cluster(method)
        steps = pipeline.Steps(seed=self.run.seed)
        rows = drawn(len(result.assignment))  # a method may be of the first images only
        assignment = result.assignment[rows]
        found = {
            "silhouette_umap": _silhouette(steps, result.features, rows, assignment),
            "generalisation": generalisation_score(
                [steps.reduce(view)[rows] for view in result.views], assignment, self.run.seed
            ),
            "agreement_halves": np.nan,
        }
        if can_be_halved(method):
            features = result.features[rows]
            found["agreement_halves"] = agreement_of_halves(
                steps.reduce(features),
                lambda half: clusters_of(method, steps, features[half], self.run.board.n_clusters),
                self.run.seed,
            )
        self._indices[method] = found
        return pd.Series(found, name=" / ".join(method.names))

    # --- numbers of clusters -------------------------------------------------------------------

    def representations(self) -> dict[str, Method]:
        """List the representations without a network trained here; a method for each.

        A reduced profile has the first one only.
        """
        untrained = {*HANDMADE, *FROZEN}
        first: dict[str, Method] = {}
        for method in self.run.methods():
            if set(method.views) <= untrained and not method.is_joint:
                first.setdefault(JOINED_BY.join(method.views), method)
        return dict(list(first.items())[:1]) if self.run.profile.reduced else first

    def numbers(self, representation: str, method: Method) -> pd.Series:
        """Find the number of clusters by every rule of `numbers.RULES`, and record it.

        Parameters
        ----------
        representation : str
        method : Method
            One with this representation.

        Returns
        -------
        Series of int
            By rule; of many images those that `drawn` draws.
        """
        print(f"numbers of clusters: {representation}", flush=True)
        features = self.run.cluster(method).features
        features = features[drawn(len(features))]
        found = pipeline.Steps(seed=self.run.seed).numbers(reduced_to_components(features))
        for rule, number in found.items():
            self._numbers[representation, rule] = number
        return pd.Series({rule: one.k for rule, one in found.items()}, name=representation)

    def write(self) -> None:
        """Write what was recorded into the run's folder."""
        key = {"study": self.run.record.topic, "seed": self.run.seed}
        indices = [
            key | method.columns | {"index": index, "value": value}
            for method, values in self._indices.items()
            for index, value in values.items()
        ]
        counts = [
            key | {"representation": representation, "rule": rule, **found._asdict()}
            for (representation, rule), found in self._numbers.items()
        ]
        for schema, lines in ((LABEL_FREE_TABLE, indices), (NUMBERS_TABLE, counts)):
            if lines:
                schema.write(pd.DataFrame(lines), self.run.record.new_file(schema.file))


def _silhouette(
    steps: pipeline.Steps, features: np.ndarray, rows: np.ndarray, assignment: np.ndarray
) -> float:
    """Return the silhouette of rows that are no noise in the UMAP layout of all; NaN if none."""
    covered = assignment != NOISE
    if not 2 <= k_found(assignment[covered]) < covered.sum():
        return np.nan
    layout = steps.project(UMAP, features)[rows]
    return silhouette(assignment[covered], layout[covered])


def can_be_halved(method: Method) -> bool:
    """Tell whether a method clusters half of the points without being trained for minutes."""
    is_quick = method.clusterer in clustering.CLUSTERERS and method.second_step is None
    return is_quick and method.clusterer not in clustering.FINDS_K


def clusters_of(method: Method, steps: pipeline.Steps, features: np.ndarray, k: int) -> np.ndarray:
    """Return the clusters that a method's space and clusterer make of features, int ``(n,)``."""
    points = steps.project(method.space, features)
    chosen = None if method.k_chosen else k
    return steps.cluster(method.clusterer, points, chosen)["assignment"]


def reduced_to_components(features: np.ndarray) -> np.ndarray:
    """Return the first principal components of features, at most `MOST_COMPONENTS`."""
    return spaces.pca(features, min(MOST_COMPONENTS, features.shape[1], len(features) - 1))[0]
