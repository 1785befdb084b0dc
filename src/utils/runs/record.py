"""What a notebook records: scores, figures, tables, facts and notes, in its run's folder."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from utils import metrics, places
from utils.config.facts import require as require_declared
from utils.store.files import atomic_path, write_json
from utils.store.origins import origin
from utils.store.tables import (
    ASSIGNMENTS_TABLE,
    CONFUSION_TABLE,
    LOSSES_TABLE,
    METRICS_TABLE,
    STARTS_TABLE,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.runs.sweeps import Start

ATLAS = "atlas.parquet"


@dataclass(frozen=True)
class _Recorded:
    """A clustering's rows in each table."""

    scores: list[dict]
    confusion: pd.DataFrame
    assignment: pd.DataFrame


@dataclass(kw_only=True)
class Record:
    """What one notebook of one run has recorded; `finish` writes its manifest.

    A cell that is run again replaces what it recorded before under the same name.

    Attributes
    ----------
    notebook : str
        Name of the notebook without its suffix.
    topic : str
        Name of the study, the leaderboard or the collection; column ``study`` of the tables.
    dataset, profile : str
    seed : int
    folder : Path
        Everything is written below it.
    labels : ndarray of int, shape (N,), or None
        Classes of the images; without them no clustering can be scored.
    class_names : tuple of str
    facts : dict
        Single numbers and words by name.
    notes : list of str
        Words that the report must show.
    networks : dict of str to dict
        Where each trained network that was used comes from, by its name; see
        `cache.load_or_compute_with_origin`.
    settings : dict of str to str
        Fingerprint of the study's settings by representation; see `utils.config.settings`.
    """

    notebook: str
    topic: str
    dataset: str
    profile: str
    seed: int
    folder: Path
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    _figures: dict[str, dict] = field(default_factory=dict)
    _tables: dict[str, dict] = field(default_factory=dict)
    _clusterings: dict[tuple, _Recorded] = field(default_factory=dict)
    _starts: dict[tuple, pd.DataFrame] = field(default_factory=dict)
    _losses: dict[str, pd.DataFrame] = field(default_factory=dict)
    _files: set[str] = field(default_factory=set)
    _began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def new_file(self, name: str) -> Path:
        """Return where a file of this run goes, and have the manifest list it.

        Readers use only the files that the manifest lists; others in the folder are older.
        """
        self._files.add(name)
        return self.folder / name

    def score(
        self,
        representation: str,
        space: str,
        clusterer: str,
        assignment: np.ndarray,
        scores: Mapping[str, float],
        seed: int | None = None,
    ) -> pd.Series:
        """Record a clustering of the first ``len(assignment)`` images and its scores.

        Parameters
        ----------
        representation, space, clusterer : str
            Names as in the table of metrics.
        assignment : ndarray of int, shape (n,)
            Cluster of each image, −1 for noise.
        scores : mapping of str to float
            Value by metric, as from `metrics.score`.
        seed : int, optional
            Of the run of the protocol whose clustering it is; by default that of this run.

        Returns
        -------
        Series
            Value by metric.
        """
        n, seed = len(assignment), self.seed if seed is None else seed
        names = {"representation": representation, "space": space, "clusterer": clusterer}
        key = {"study": self.topic, "seed": seed, **names}
        row = {
            "profile": self.profile,
            "study": self.topic,
            "dataset": self.dataset,
            "n": n,
            "seed": seed,
            **names,
            "k_found": metrics.k_found(assignment),
            "noise_fraction": metrics.noise_fraction(assignment),
        }
        counts = metrics.confusion_table(assignment, self.labels[:n], self.class_names)
        images = {"index": np.arange(n, dtype=np.int32), "cluster": assignment.astype(np.int32)}
        self._clusterings[representation, space, clusterer, n, seed] = _Recorded(
            scores=[{**row, "metric": m, "value": float(v)} for m, v in scores.items()],
            confusion=counts.assign(n=n, **key),
            assignment=pd.DataFrame({**key, **images, "n": n}),
        )
        return pd.Series(scores, name=" / ".join(names.values()))

    def starts(
        self,
        representation: str,
        space: str,
        clusterer: str,
        starts: Sequence[Start],
        are_runs: bool = False,
    ) -> pd.DataFrame:
        """Record what k-means makes of the same points from several seeds.

        Parameters
        ----------
        representation, space, clusterer : str
            Names as in the table of metrics.
        starts : sequence of Start
            From `sweeps.kmeans_by_seed`.
        are_runs : bool
            Whether each start is a run of the protocol, with its seed: nothing is trained, and the
            protocol leaves the seed of k-means open.

        Returns
        -------
        DataFrame
            A row for each start: ``kmeans_seed``, and a column for each metric.
        """
        names = {"representation": representation, "space": space, "clusterer": clusterer}
        if are_runs:
            for start in starts:
                self.score(*names.values(), start.assignment, start.scores, start.kmeans_seed)
        rows = [
            {"kmeans_seed": start.kmeans_seed, "metric": metric, "value": float(value)}
            for start in starts
            for metric, value in start.scores.items()
        ]
        key = {"study": self.topic, "seed": self.seed, **names, "n": len(starts[0].assignment)}
        self._starts[representation, space, clusterer] = pd.DataFrame(rows).assign(**key)
        scores = [{"kmeans_seed": start.kmeans_seed, **start.scores} for start in starts]
        return pd.DataFrame(scores)

    def losses(self, network: str, history: pd.DataFrame) -> None:
        """Record the training of a network by epoch; `history` is that of `networks.trained`."""
        key = {"study": self.topic, "seed": self.seed, "network": network}
        self._losses[network] = pd.DataFrame({"validation_loss": np.nan, **history, **key})

    def figure(self, figure: Figure, name: str, caption: str | None = None) -> Figure:
        """Save a figure for the report (SVG, PNG, its numbers) and return it for display.

        Parameters
        ----------
        figure : Figure
            One of `utils.figures`, which describes itself.
        name : str
            Name of the files.
        caption : str, optional
            Plain text that says what is shown; without it the figure's own.
        """
        from utils import figures

        saved = figures.save(figure, self.folder / "figures", name)
        files = {
            kind: None if path is None else str(path.relative_to(self.folder))
            for kind, path in saved._asdict().items()
        }
        self._files.update(name for name in files.values() if name is not None)
        own = figures.description(figure)
        words = {"name": name, "caption": caption or own.caption, "alt": own.alt}
        self._figures[name] = {**words, "cell": _running_cell(), **files}
        return figure

    def table(self, frame: pd.DataFrame, name: str, caption: str) -> pd.DataFrame:
        """Save a table as CSV for the report and return it for display."""
        csv = f"tables/{name}.csv"
        with atomic_path(self.new_file(csv)) as temporary:
            frame.to_csv(temporary, index=False)
        words = {"name": name, "caption": caption, "cell": _running_cell()}
        self._tables[name] = {**words, "csv": csv}
        return frame

    def atlas(self, points: pd.DataFrame) -> pd.DataFrame:
        """Save the points of the interactive map, and return them without their pictures.

        Parameters
        ----------
        points : DataFrame
            As from `utils.figures.atlas.table`.
        """
        with atomic_path(self.new_file(ATLAS)) as temporary:
            points.to_parquet(temporary, index=False)
        return points.drop(columns="image")

    def fact(self, name: str, value: Any) -> None:
        """Record a single number or word that the article's text uses.

        Raises
        ------
        UserError
            If a notebook of this project records a fact that `config.facts` does not declare, or a
            value of another kind.
        """
        require_declared(self.notebook, name, value)
        self.facts[name] = value

    def note(self, text: str) -> None:
        """Record words that the report must show, and print them."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"NOTE: {text}")

    def note_substitute(self, description: Mapping[str, Any]) -> None:
        """Note that another data set is used; `description` is the content of ``data.json``."""
        if description["substituted"]:
            self.note(
                f"Substitute data: {description['dataset']} is used instead of "
                f"{description['requested']}, because {description['reason']}"
            )

    def finish(self) -> None:
        """Write the tables, and last the manifest, which lists everything that is complete."""
        clusterings = self._clusterings.values()
        scores = pd.DataFrame([row for each in clusterings for row in each.scores])
        if clusterings:
            confusion = pd.concat([each.confusion for each in clusterings])
            assignments = pd.concat([each.assignment for each in clusterings])
            METRICS_TABLE.write(scores, self.new_file(METRICS_TABLE.file))
            CONFUSION_TABLE.write(confusion, self.new_file(CONFUSION_TABLE.file))
            ASSIGNMENTS_TABLE.write(assignments, self.new_file(ASSIGNMENTS_TABLE.file))
        for schema, parts in ((STARTS_TABLE, self._starts), (LOSSES_TABLE, self._losses)):
            if parts:
                schema.write(schema.joined(parts.values()), self.new_file(schema.file))
        ended = datetime.now(UTC)
        manifest = {
            "notebook": self.notebook,
            "study": self.topic,
            "profile": self.profile,
            "seed": self.seed,
            "seconds": round((ended - self._began).total_seconds(), 3),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "started": self._began.isoformat(timespec="seconds"),
            "finished": ended.isoformat(timespec="seconds"),
            "figures": list(self._figures.values()),
            "tables": list(self._tables.values()),
            "facts": self.facts,
            "atlas": ATLAS if ATLAS in self._files else None,
            "notes": self.notes,
            "origin": origin(),
            "networks": self.networks,
            "settings": self.settings,
            "files": sorted(self._files),
        }
        write_json(self.folder / places.MANIFEST, manifest)
        print(f"{self.notebook} recorded {len(self._figures)} figures, {len(scores)} values")


def _running_cell() -> int | None:
    """Return the number of the notebook's cell that is running; None outside a notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    # The counter itself is a step ahead while a cell runs, in some versions of IPython.
    return None if shell is None else len(shell.history_manager.input_hist_parsed) - 1
