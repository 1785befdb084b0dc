"""What notebook 6 calls: a person's own pictures, from files to clusters and what to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from utils import estimator, spaces
from utils.config.methods import Space
from utils.data.picture_files import Found
from utils.estimator import FeatureClusterer
from utils.figures import SHEET_COLUMNS, Named
from utils.pipeline import Steps
from utils.runs import near_duplicates, picture_levels, picture_quality, picture_subset
from utils.runs.picture_choice import Choice, choose
from utils.runs.picture_collection import Collection
from utils.runs.picture_features import (
    SHOWN_SIDE,
    Collected,
)
from utils.runs.record import Record
from utils.store.files import atomic_path, write_json

SKIPPED, ASSIGNMENTS, MODEL, DUPLICATES, OUTLIERS, QUALITY, SUBSET, AGAINST = (
    "skipped.csv",
    "assignments.csv",
    "model.safetensors",
    "duplicates.csv",
    "outliers.csv",
    "quality.csv",
    "subset.csv",
    "against.csv",
)
PROFILE = "images"
MAP_POINTS = 5000
MOST_SHEETS = 60
MOST_COPIES = 6  # groups of copies that are shown
SHOWN_OF_SUBSET, SHOWN_PAIRS = 3 * SHEET_COLUMNS, 2 * SHEET_COLUMNS
NEAREST, MISLABEL_SHARE = 10, 0.8
MOST_LINES = 50  # of a table in the report; the CSV files have all


@dataclass(kw_only=True)
class OwnImages:
    """A collection of pictures.

    Attributes
    ----------
    record : Record
        What the notebook records.
    seed : int
    labels : ndarray of int, shape (N,), or None
        For scores and pictures only; -1 for a picture without one.
    class_names : tuple of str
    found : Found
        Every file that was found.
    skipped : DataFrame
        Columns ``path`` and ``reason``: the other files.
    features : ndarray of float32, shape (N, D)
        Of the frozen network.
    collected : Collected
        What was computed of the files that are pictures; `features` and `labels` have one row for
        each.
    with_metadata : bool
        Whether tables have sizes, dates and cameras.
    least_similarity : float
        From it on a picture is a near copy, see `near_duplicates.find`.
    subset_size : int or None
        How many pictures to choose for labelling.
    other : Collection or None
        Pictures of another folder, which may be here too.
    method : str or None
        "auto" if the clusterer and its number are chosen, see `choice`.
    """

    record: Record
    seed: int
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    found: Found
    skipped: pd.DataFrame
    features: np.ndarray
    collected: Collected
    with_metadata: bool
    backbone: dict[str, str]
    clusters: int | str
    clusterer: str
    level: int | str = estimator.AUTO
    least_similarity: float = near_duplicates.LEAST_SIMILARITY
    subset_size: int | None = None
    other: Collection | None = None
    method: str | None = None

    @cached_property
    def collection(self) -> Collection:
        """The pictures' files."""
        return Collection(self.found, self.collected, self.record)

    @property
    def usable(self) -> np.ndarray:
        """The files that are pictures, as rows of `found`: int ``(N,)``."""
        return self.collected.usable

    @property
    def images(self) -> np.ndarray:
        """Small copies of the middle of each picture: uint8 ``(N, 32, 32, 3)``."""
        return self.collected.thumbs

    @property
    def image_names(self) -> list[str]:
        """The pictures' names, as a person reads them."""
        return self.collection.names

    @cached_property
    def choice(self) -> Choice | None:
        """The method that the rule chose without labels; None if it was not asked to."""
        return choose(self.features, self.seed) if self.method == estimator.AUTO else None

    @cached_property
    def model(self) -> FeatureClusterer:
        """The fitted estimator, by the pipeline's stages; what limits its groups is noted."""
        asked = self.choice or self
        model = FeatureClusterer(
            asked.clusters, clusterer=asked.clusterer, level=self.level, random_state=self.seed
        )
        fitted = picture_levels.fitted(model, self.features)
        for remark in picture_levels.remarks(fitted):
            self.record.note(remark)
        return fitted

    @cached_property
    def _components(self) -> np.ndarray:
        """The principal components, float32 ``(N, p)``: enough digits to compare pictures."""
        return self.model.scores_.astype(np.float32)

    @cached_property
    def nearest(self) -> np.ndarray:
        """Up to ten nearest others of each picture by its components, the nearest first."""
        return spaces.knn_graph(self._components, min(NEAREST, len(self._components) - 1))[0]

    @cached_property
    def positions(self) -> np.ndarray:
        """Places on a plane, float32 ``(N, 2)``: UMAP, or two components of few pictures."""
        scores = self._components
        if not self.is_laid_out:
            plane = np.zeros((len(scores), 2), np.float32)
            plane[:, : min(2, scores.shape[1])] = scores[:, :2]
            return plane
        return Steps(seed=self.seed).project(Space("umap", 2), scores)

    @cached_property
    def distances(self) -> np.ndarray:
        """Distance of each picture to its cluster's prototype, float ``(N,)``; 0 for that itself.

        In the principal components. The prototype is the picture nearest to the cluster's mean.
        Noise has no prototype and NaN.
        """
        scores, labels = self.model.scores_, self.model.labels_
        distances = np.full(len(scores), np.nan)
        for cluster in range(self.model.n_clusters_):
            rows = np.flatnonzero(labels == cluster)
            off_mean = np.linalg.norm(scores[rows] - scores[rows].mean(axis=0), axis=1)
            prototype = scores[rows[off_mean.argmin()]]
            distances[rows] = np.linalg.norm(scores[rows] - prototype, axis=1)
        return distances

    @property
    def odd_files(self) -> pd.DataFrame:
        """Pictures that are used although something is odd: columns ``path`` and ``note``."""
        return self.collected.notes(self.found)

    @property
    def labelled(self) -> np.ndarray:
        """The rows of the pictures that have a label, int ``(m,)``."""
        return np.flatnonzero(self.labels >= 0)

    @property
    def is_laid_out(self) -> bool:
        """Whether UMAP lays out the map; few pictures are shown by two components."""
        return len(self.usable) >= estimator.LEAST_LAID_OUT

    @property
    def space(self) -> str:
        """What was clustered: UMAP's layout, or the principal components."""
        by_levels = self.model.clusterer_ == estimator.LEVELS
        return "umap" if self.is_laid_out and not by_levels else "pca"

    def map_rows(self) -> np.ndarray:
        """Draw the pictures shown in the map: sorted positions, int64 ``(m,)``, always the same."""
        n = len(self.images)
        return np.sort(np.random.default_rng(0).choice(n, min(MAP_POINTS, n), replace=False))

    def some_pictures(self) -> dict[str, np.ndarray]:
        """Draw up to three rows of pictures at random, always the same."""
        n = min(3 * SHEET_COLUMNS, len(self.usable))
        drawn = np.sort(np.random.default_rng(0).choice(len(self.usable), n, replace=False))
        parts = [drawn[start : start + SHEET_COLUMNS] for start in range(0, n, SHEET_COLUMNS)]
        return {" " * number: self.pictures(part) for number, part in enumerate(parts)}

    def assignments(self) -> pd.DataFrame:
        """List each picture with its clusters, confidence, outlier score and place."""
        model = self.model
        levels = dict(zip(picture_levels.level_names(model), model.levels_.T, strict=False))
        table = pd.DataFrame(
            {
                "path": self.image_names,
                "cluster": model.labels_,
                **levels,
                "confidence": model.probabilities_.round(4),
                "outlier_score": model.outlier_scores_.round(4),
                "outlier": model.outlier_scores_ > model.far_threshold_,
                "duplicate": self._copy_kinds(),
                "x": self.positions[:, 0].round(3),
                "y": self.positions[:, 1].round(3),
            }
        )
        if self.with_metadata:
            table = table.join(self.collected.details())
        if self.labels is not None:
            table["label"] = [self.class_names[code] if code >= 0 else "" for code in self.labels]
        return table

    def _copy_kinds(self) -> np.ndarray:
        """Say of each picture whether it has copies, and of which kind: str ``(N,)``."""
        kinds = np.full(len(self.images), "no", dtype=object)
        kinds[self.duplicates["row"]] = self.duplicates["kind"]
        return kinds

    def cluster_table(self) -> pd.DataFrame:
        """Sum up each cluster: size, share, mean confidence, prototype and commonest class."""
        table = self.assignments()
        rows = []
        for cluster, part in table.groupby("cluster"):
            row = {
                "cluster": "noise" if cluster < 0 else str(cluster),
                "images": len(part),
                "share": round(len(part) / len(table), 4),
                "mean confidence": round(float(part["confidence"].mean()), 3),
            }
            if cluster >= 0:
                row["prototype"] = part.loc[part.index[self.distances[part.index].argmin()], "path"]
            if self.labels is not None:
                counts = part.loc[part["label"] != "", "label"].value_counts()
                if len(counts):
                    share = counts.iloc[0] / counts.sum()
                    row["commonest class"] = f"{counts.index[0]} ({share:.0%})"
            rows.append(row)
        return pd.DataFrame(rows).fillna("")

    def pictures(self, rows: Sequence[int], side: int = SHOWN_SIDE) -> np.ndarray:
        """Read some pictures again, larger; see `Collection.pictures`."""
        return self.collection.pictures(rows, side)

    def sheet(self, cluster: int) -> dict[str, Named]:
        """Pick pictures of a cluster, from its prototype out to its least clear ones.

        Returns
        -------
        dict of str to Named
            The nearest to the prototype, some at even steps between, and those of the least
            confidence, the least clear first.
        """
        rows = np.flatnonzero(self.model.labels_ == cluster)
        order = rows[np.argsort(self.distances[rows], kind="stable")]
        if len(order) <= SHEET_COLUMNS:
            return {"all": self.named(order)}
        near, rest = order[:SHEET_COLUMNS], order[SHEET_COLUMNS:]
        unclear = self.least_clear(rest)
        between = rest[~np.isin(rest, unclear)]
        parts = {"prototypes": near}
        if len(between):
            steps = np.linspace(0, len(between) - 1, min(SHEET_COLUMNS, len(between)))
            parts["between"] = between[steps.astype(int)]
        parts["least clear"] = unclear
        return {name: self.named(part) for name, part in parts.items()}

    def least_clear(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return up to a row of pictures of the least confidence, of some or all, int ``(m,)``."""
        rows = np.arange(len(self.images)) if rows is None else rows
        order = np.argsort(self.model.probabilities_[rows], kind="stable")
        return rows[order[:SHEET_COLUMNS]]

    def outliers(self) -> pd.DataFrame:
        """List the pictures far from all others, the farthest first.

        Returns
        -------
        DataFrame
            Columns ``path``, ``outlier_score``, ``cluster`` and ``row``; those above the upper
            fence of all scores.
        """
        rows = picture_levels.outliers(self.model)
        return pd.DataFrame(
            {
                "path": [self.image_names[row] for row in rows],
                "outlier_score": self.model.outlier_scores_[rows].round(4),
                "cluster": self.model.labels_[rows],
                "row": rows,
            }
        )

    def named(self, rows: Sequence[int]) -> Named:
        """Read some pictures again, with their names, for a contact sheet."""
        return self.collection.named(rows)

    def sheets(self) -> Iterator[tuple[int, dict[str, Named]]]:
        """Yield each cluster with its `sheet`; of very many clusters the largest."""
        sizes = np.bincount(self.model.labels_[self.model.labels_ >= 0])
        largest = np.argsort(-sizes, kind="stable")[:MOST_SHEETS]
        if len(sizes) > len(largest):
            self.record.note(
                f"Contact sheets of the {MOST_SHEETS} largest of {len(sizes)} clusters."
            )
        for cluster in np.sort(largest).tolist():
            yield cluster, self.sheet(cluster)

    @cached_property
    def duplicates(self) -> pd.DataFrame:
        """Groups of copies, each with a picture to keep; see `near_duplicates.find`."""
        read = self.collection.whole_pictures
        return near_duplicates.find(self.features, self.collected, read, self.least_similarity)

    def copies_sheet(self) -> dict[str, Named]:
        """Pick the largest groups of copies, a row for each, the picture to keep first."""
        groups = near_duplicates.sheet(self.duplicates, MOST_COPIES, SHEET_COLUMNS)
        return {name: self.named(rows) for name, rows in groups.items()}

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Pictures of the other folder that are here too; see `near_duplicates.against`."""
        other = self.other
        return near_duplicates.against(
            self.features,
            self.collected,
            self.collection.whole_pictures,
            other.collected.features,
            other.collected,
            other.whole_pictures,
            self.least_similarity,
        )

    def pairs_table(self) -> pd.DataFrame:
        """List the pairs: columns ``path`` (here), ``other``, ``kind`` and ``similarity``."""
        paths = [self.image_names[row] for row in self.pairs["row"]]
        others = [self.other.names[row] for row in self.pairs["other_row"]]
        table = self.pairs.assign(path=paths, other=others)
        return table[["path", "other", "kind", "similarity"]]

    def pairs_sheet(self) -> dict[str, Named]:
        """Pick the first pairs, each picture above that of the other folder."""
        parts = {}
        for start in range(0, min(len(self.pairs), SHOWN_PAIRS), SHEET_COLUMNS):
            shown = self.pairs[start : start + SHEET_COLUMNS]
            parts[f"from {start + 1}: here"] = self.named(shown["row"])
            parts[f"from {start + 1}: there"] = self.other.named(shown["other_row"])
        return parts

    @cached_property
    def subset(self) -> np.ndarray:
        """Rows of pictures that stand for all; see `picture_subset.diverse`."""
        return picture_subset.diverse(self._components, self.subset_size)

    def subset_sheet(self) -> dict[str, Named]:
        """Pick the first pictures of the subset."""
        return {"first": self.named(self.subset[:SHOWN_OF_SUBSET])}

    def subset_table(self) -> pd.DataFrame:
        """List the subset in the order of choice: columns ``path`` and ``rank``, from 1."""
        paths = [self.image_names[row] for row in self.subset]
        return pd.DataFrame({"path": paths, "rank": np.arange(1, len(paths) + 1)})

    @cached_property
    def unusual(self) -> pd.DataFrame:
        """Pictures that are dark, blank, blurred and so on; see `picture_quality.issues`."""
        sizes = self.collected.width, self.collected.height
        return picture_quality.issues(self.collected.small, *sizes, self.collected.sharpness)

    def unusual_sheet(self) -> dict[str, Named]:
        """Pick the most extreme pictures of each kind, a row for each."""
        kinds = self.unusual.groupby("issue", sort=False)["row"]
        return {issue: self.named(rows.head(SHEET_COLUMNS)) for issue, rows in kinds}

    def unusual_table(self) -> pd.DataFrame:
        """List the unusual pictures: columns ``path``, ``issue`` and ``value``."""
        paths = [self.image_names[row] for row in self.unusual["row"]]
        return self.unusual.assign(path=paths)[["path", "issue", "value"]]

    def doubtful_pictures(self, doubtful: pd.DataFrame) -> dict[str, np.ndarray]:
        """Read the clearest of the likely mislabelled pictures, a row for each pair of labels."""
        pairs = doubtful.groupby(["label", "looks like"], sort=False)["row"]
        return {
            f"{label}, looks like {seen}": self.pictures(rows.head(SHEET_COLUMNS))
            for (label, seen), rows in list(pairs)[:SHEET_COLUMNS]
        }

    def likely_mislabelled(self) -> pd.DataFrame:
        """List pictures whose label neither their neighbours nor their cluster share.

        Returns
        -------
        DataFrame
            Columns ``path``, ``label``, ``looks like`` and ``share``: at least 8 of the ten nearest
            pictures have that one other label, and it is the commonest of the cluster. The clearest
            first.
        """
        columns = ["path", "label", "looks like", "share", "row"]
        others = self.nearest
        n_classes = len(self.class_names)
        # The last column is for pictures without a label; they vote for none.
        votes = np.zeros((len(others), n_classes + 1))
        np.add.at(
            votes, (np.arange(len(others))[:, None], self.labels[others]), 1 / others.shape[1]
        )
        votes = votes[:, :n_classes]
        of_cluster = np.full(len(others), -1)
        for cluster in np.unique(self.model.labels_):
            given = self.labels[(self.model.labels_ == cluster) & (self.labels >= 0)]
            if len(given):
                of_cluster[self.model.labels_ == cluster] = np.bincount(given).argmax()
        seen = votes.argmax(axis=1)
        share = votes.max(axis=1)
        is_wrong = (self.labels >= 0) & (seen != self.labels)
        doubtful = (share >= MISLABEL_SHARE) & is_wrong & (seen == of_cluster)
        rows = np.flatnonzero(doubtful)
        rows = rows[np.argsort(-share[rows], kind="stable")]
        content = [
            (
                self.image_names[row],
                self.class_names[self.labels[row]],
                self.class_names[seen[row]],
                round(float(share[row]), 2),
                int(row),
            )
            for row in rows
        ]
        return pd.DataFrame(content, columns=columns)

    def write_outputs(self) -> None:
        """Write what other programs can use: assignments, duplicates, left-out files, the model."""
        tables = {
            ASSIGNMENTS: self.assignments(),
            OUTLIERS: self.outliers().drop(columns="row"),
            DUPLICATES: near_duplicates.table(self.duplicates, self.image_names),
            QUALITY: self.unusual_table(),
            SKIPPED: self.skipped,
        }
        if self.subset_size is not None:
            tables[SUBSET] = self.subset_table()
        if self.other is not None:
            tables[AGAINST] = self.pairs_table()
        for name, table in tables.items():
            with atomic_path(self.record.new_file(name)) as temporary:
                table.to_csv(temporary, index=False)
        estimator.save(self.model, self.record.new_file(MODEL), self.backbone)
        write_json(
            self.record.new_file("counts.json"),
            {
                "found": len(self.found.names),
                "skipped": len(self.skipped),
                "files": self.found.summary(self.collected.reasons),
            },
        )


def first_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for people: its first lines, and a last one that says how many there are."""
    if len(table) <= MOST_LINES:
        return table
    last = dict.fromkeys(table.columns, "")
    last[table.columns[0]] = f"… {len(table) - MOST_LINES:,} more"
    return pd.concat([table.head(MOST_LINES).astype(object), pd.DataFrame([last])])
