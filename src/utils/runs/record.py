"""What a notebook records: scores, figures, tables, facts and notes, in its run's folder."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from utils import metrics, places, spaces
from utils.config.schema import Profile
from utils.store.cache import load_or_compute
from utils.store.files import atomic_path, sha256_array, write_json
from utils.store.tables import ASSIGNMENTS, CONFUSION, CONFUSION_KEY, METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class _Recorded:
    """A clustering's rows in each table."""

    scores: list[dict]
    confusion: pd.DataFrame
    assignment: pd.DataFrame


@dataclass(kw_only=True)
class Recorder:
    """What every notebook has: images, labels, and a folder for what it records.

    Attributes
    ----------
    topic : str
        Name of the study or the leaderboard, as in the tables' column ``study``.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
        The images that are clustered.
    labels : ndarray of int, shape (N,), or None
        For scoring and for captions only: nothing that trains or clusters is given them. Without
        them nothing can be scored.
    image_names : sequence of str, length N, optional
        What the images are called.
    """

    notebook: str
    topic: str
    profile: Profile
    seed: int
    folder: Path
    images: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    dataset: str
    image_names: Sequence[str] | None = None
    _tenths_said: int = 0
    _started: float = field(default_factory=time.perf_counter)
    _began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _files: set[str] = field(default_factory=set)
    # By name, so that a cell that is run again replaces what it recorded before.
    _figures: dict[str, dict] = field(default_factory=dict)
    _tables: dict[str, dict] = field(default_factory=dict)
    _facts: dict[str, Any] = field(default_factory=dict)
    _atlas: str | None = None
    _notes: list[str] = field(default_factory=list)
    _clusterings: dict[tuple, _Recorded] = field(default_factory=dict)

    def new_file(self, name: str) -> Path:
        """Return where a file of this run goes, and have the manifest list it.

        Readers take what the manifest lists: what else lies in the folder is of an earlier run.
        """
        self._files.add(name)
        return self.folder / name

    def map_rows(self, n: int | None = None) -> np.ndarray:
        """Draw the images shown in maps: sorted positions, int64 ``(m,)``, always the same."""
        n = len(self.images) if n is None else n
        size = min(self.profile.map_points, n)
        return np.sort(np.random.default_rng(0).choice(n, size, replace=False))

    def tsne(self, name: str, features: np.ndarray) -> np.ndarray:
        """Map features ``(m, d)`` to the plane with t-SNE: float32 ``(m, 2)``."""
        stored = load_or_compute(
            f"{self.topic}-tsne-{name}-seed{self.seed}",
            {"features": sha256_array(features), "seed": self.seed},
            ("utils.spaces.projections",),
            lambda: {"map": spaces.tsne(features, self.seed)},
            places.cache(),
        )
        return stored["map"]

    def score(
        self,
        representation: str,
        space: str,
        clusterer: str,
        assignment: np.ndarray,
        features: np.ndarray,
    ) -> pd.Series:
        """Score a clustering of the first ``len(assignment)`` images and record it.

        Parameters
        ----------
        representation, space, clusterer : str
            Names as in the table of metrics.
        assignment : ndarray of int, shape (n,)
            Cluster of each image, -1 for noise.
        features : ndarray, shape (n, d)
            The space that was clustered; internal indices are measured in it.

        Returns
        -------
        Series
            Value by metric.
        """
        values = metrics.score(assignment, self.labels[: len(assignment)], features)
        return self.record(representation, space, clusterer, assignment, values)

    def record(
        self,
        representation: str,
        space: str,
        clusterer: str,
        assignment: np.ndarray,
        values: dict[str, float],
    ) -> pd.Series:
        """Record a clustering of the first ``len(assignment)`` images and its scores.

        One of the same images that was recorded under the same names before is replaced.

        Parameters
        ----------
        representation, space, clusterer : str
            Names as in the table of metrics.
        assignment : ndarray of int, shape (n,)
            Cluster of each image, -1 for noise.
        values : dict of str to float
            Value by metric.

        Returns
        -------
        Series
            Value by metric.
        """
        n = len(assignment)
        common = {
            "profile": self.profile.profile,
            "study": self.topic,
            "dataset": self.dataset,
            "n": n,
            "seed": self.seed,
            "representation": representation,
            "space": space,
            "clusterer": clusterer,
            "k_found": metrics.k_found(assignment),
            "noise_fraction": metrics.noise_fraction(assignment),
        }
        self._clusterings[representation, space, clusterer, n] = _Recorded(
            scores=[{**common, "metric": m, "value": float(v)} for m, v in values.items()],
            confusion=metrics.confusion_table(assignment, self.labels[:n], self.class_names).assign(
                **{key: common[key] for key in CONFUSION_KEY}
            ),
            assignment=pd.DataFrame(
                {
                    "study": self.topic,
                    "seed": self.seed,
                    "representation": representation,
                    "space": space,
                    "clusterer": clusterer,
                    "index": np.arange(n, dtype=np.int32),
                    "cluster": assignment.astype(np.int32),
                    "n": n,
                }
            ),
        )
        return pd.Series(values, name=f"{representation} / {space} / {clusterer}")

    def figure(self, figure: Figure, name: str, caption: str, alt: str) -> Figure:
        """Save a figure for the report (SVG, PNG, its numbers) and return it for display.

        Parameters
        ----------
        figure : Figure
        name : str
            Name of the files.
        caption : str
            Plain text that says what is shown.
        alt : str
            What a reader who cannot see the figure should know.
        """
        from utils import figures

        saved = figures.save(figure, self.folder / "figures", name)
        files = {
            kind: None if path is None else str(path.relative_to(self.folder))
            for kind, path in saved._asdict().items()
        }
        self._files.update(name for name in files.values() if name is not None)
        described = {"name": name, "caption": caption, "alt": alt, "cell": _running_cell()}
        self._figures[name] = described | files
        return figure

    def table(self, frame: pd.DataFrame, name: str, caption: str) -> pd.DataFrame:
        """Save a table as CSV for the report and return it for display."""
        csv = f"tables/{name}.csv"
        with atomic_path(self.new_file(csv)) as temporary:
            frame.to_csv(temporary, index=False)
        described = {"name": name, "caption": caption, "cell": _running_cell()}
        self._tables[name] = described | {"csv": csv}
        return frame

    def atlas(
        self, rows: np.ndarray, positions: np.ndarray, clusters: np.ndarray, margins: np.ndarray
    ) -> pd.DataFrame:
        """Save what the report's interactive map shows, and return it without the pictures.

        Parameters
        ----------
        rows : ndarray of int, shape (m,)
            The images in the map; of more than `atlas.MOST_POINTS` every second or third is taken.
        positions : ndarray of float, shape (m, 2)
        clusters : ndarray of int, shape (m,)
        margins : ndarray of float, shape (m,)
            How clearly each image is in its cluster, in [0, 1].
        """
        from utils.figures import atlas

        step = -(-len(rows) // atlas.MOST_POINTS)
        rows, positions, clusters, margins = (
            array[::step] for array in (rows, positions, clusters, margins)
        )
        labels = None if self.labels is None else self.labels[rows]
        shown = atlas.table(
            self.pictures(rows),
            positions,
            labels,
            self.class_names,
            clusters,
            margins,
            None if self.image_names is None else [self.image_names[row] for row in rows],
        )
        self._atlas = "atlas.parquet"
        with atomic_path(self.new_file(self._atlas)) as temporary:
            shown.to_parquet(temporary, index=False)
        return shown.drop(columns="image")

    def pictures(self, rows: np.ndarray) -> np.ndarray:
        """Return images, given by their rows, as they are shown to people."""
        return self.images[rows]

    def fact(self, name: str, value: Any) -> None:
        """Record a single number or word that the article's text uses."""
        self._facts[name] = value

    def note(self, text: str) -> None:
        """Record words that the report must show, and print them."""
        if text not in self._notes:
            self._notes.append(text)
            print(f"NOTE: {text}")

    def note_substitute(self, description: dict[str, Any]) -> None:
        """Say it where another data set stands in; `description` is what ``data.json`` holds."""
        if description["substituted"]:
            self.note(
                f"Substitute data: {description['dataset']} stands in for "
                f"{description['requested']}, because {description['reason']}"
            )

    def finish(self) -> None:
        """Write what was recorded; the manifest comes last, so that it vouches for the rest."""
        recorded = self._clusterings.values()
        scores = [row for clustering in recorded for row in clustering.scores]
        if recorded:
            with atomic_path(self.new_file(METRICS)) as temporary:
                pd.DataFrame(scores).to_csv(temporary, index=False)
            columns = [*CONFUSION_KEY, "class", "cluster", "count"]
            confusion = pd.concat([clustering.confusion for clustering in recorded])
            with atomic_path(self.new_file(CONFUSION)) as temporary:
                confusion[columns].to_csv(temporary, index=False)
            assignments = pd.concat([clustering.assignment for clustering in recorded])
            with atomic_path(self.new_file(ASSIGNMENTS)) as temporary:
                assignments.to_parquet(temporary, index=False)
        manifest = {
            "notebook": self.notebook,
            "study": self.topic,
            "profile": self.profile.profile,
            "seed": self.seed,
            "seconds": round(time.perf_counter() - self._started, 3),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "started": self._began.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "figures": list(self._figures.values()),
            "tables": list(self._tables.values()),
            "facts": self._facts,
            "atlas": self._atlas,
            "notes": self._notes,
            "files": sorted(self._files),
        }
        write_json(self.folder / places.MANIFEST, manifest)
        print(f"{self.notebook} recorded {len(self._figures)} figures, {len(scores)} values")

    def _say_epoch(self, epoch: int, values: dict[str, float]) -> None:
        losses = [f"{k.replace('_', ' ')} {v:.5f}" for k, v in values.items() if k != "seconds"]
        print(
            f"epoch {self._numbered(epoch)}: {', '.join(losses)}, {values['seconds']:.1f} s",
            flush=True,
        )

    def _numbered(self, epoch: int) -> str:
        return str(epoch)

    def _say_features(self, done: int, total: int) -> None:
        step = max(1, total // 10)
        if done == total or done // step > self._tenths_said:
            self._tenths_said = done // step if done < total else 0
            print(f"features {done}/{total}", flush=True)


def _running_cell() -> int | None:
    """Return the number of the notebook's cell that is running; None outside a notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    # The counter itself is a step ahead while a cell runs, in some versions of IPython.
    return None if shell is None else len(shell.history_manager.input_hist_parsed) - 1
