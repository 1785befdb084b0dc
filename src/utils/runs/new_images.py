"""What notebook 5 calls for images that a method did not see: held-out ones and new ones.

*Held-out* images were never used for a choice; a method clusters them afresh. *Assigned* images are
new to a fitted method: each gets the cluster that its nearest fitted images vote for, in the
principal components of the method's representation. Labels are for scoring only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from utils import metrics, pipeline
from utils.clustering.voting import VOTERS, vote
from utils.config.methods import Method
from utils.config.new_images import NewImages, load_new_images
from utils.data import datasets, prepared
from utils.errors import UserError
from utils.metrics.calibration import expected_calibration_error, reliability
from utils.representations.registry import REPRESENTATIONS
from utils.runs.leaderboard import BoardRun
from utils.runs.progress import print_epochs, print_tenths
from utils.spaces.placing import place_beside
from utils.store.tables import NEW_IMAGES_TABLE, RELIABILITY_TABLE

HELD_OUT, ASSIGNED, FIT = "held_out", "assigned", "fit"
SCORES = ("acc", "ari", "nmi")


def open_new_images(run: BoardRun) -> NewImagesRun:
    """Find the test images of a leaderboard's data set, which its methods did not see.

    A reduced profile has as many of them as the leaderboard has images, and one method only.
    """
    board = run.board
    described = load_new_images(board.leaderboard)
    data = datasets.load(run.dataset)
    if described is None:
        described = NewImages(leaderboard=board.leaderboard, fit=board.images)
    at_most = board.reduced_images if run.profile.reduced else None
    n = len(data.images)
    return NewImagesRun(
        run=run,
        described=described,
        data=data,
        fit_rows=prepared.selected_rows(data, described.fit, at_most),
        new_rows=slice(data.n_train, min(n, data.n_train + (at_most or n))),
    )


@dataclass(kw_only=True)
class NewImagesRun:
    """The images that the methods of a leaderboard did not see; see `open_new_images`.

    Attributes
    ----------
    run : BoardRun
    described : NewImages
        What ``config/new_images.yaml`` says of the leaderboard.
    data : Dataset
    fit_rows, new_rows : slice
        Images of the data set to fit on, and to assign or to cluster afresh.
    """

    run: BoardRun
    described: NewImages
    data: datasets.Dataset
    fit_rows: slice
    new_rows: slice
    _scores: list[dict] = field(default_factory=list)
    _reliability: list[pd.DataFrame] = field(default_factory=list)

    def methods(self) -> list[Method]:
        """List the named methods; of a reduced profile one, the last if none is named."""
        board, profile = self.run.board, self.run.profile
        rows = board.rows_for(profile, self.run.seed)
        named = [row.parsed for row in rows if row.recipe]
        if not profile.reduced:
            return named
        return named[:1] or [row.parsed for row in rows[-1:]]

    def in_words(self) -> str:
        """Say how many images there are of each kind."""
        fitted, new = _size(self.fit_rows), _size(self.new_rows)
        held_out = _size(self.new_rows) if self.is_held_out else 0
        return f"fitted on {fitted:,} images, {new:,} assigned; {held_out:,} held out"

    # --- clustered afresh ----------------------------------------------------------------------

    @property
    def is_held_out(self) -> bool:
        """Whether there are images that no choice was made on."""
        return self.described.held_out and _size(self.new_rows) > 0

    def held_out(self, method: Method) -> pd.Series | None:
        """Cluster the held-out images by a method, score and record it; None if there are none."""
        if not self.is_held_out:
            return None
        result = self._cluster(method, self.new_rows)
        n = _size(self.new_rows)
        values = self._external(result.assignment, self.new_rows)
        return self._record(method, HELD_OUT, n, n, values)

    def _cluster(self, method: Method, rows: slice) -> pipeline.Result:
        print(f"method: {', '.join(method.in_words)}; {_size(rows):,} images", flush=True)
        return pipeline.run(
            method,
            self.data.images[rows],
            self.run.board.n_clusters,
            self.run.seed,
            max_epochs=self.run.profile.max_epochs,
            on_batch=print_tenths(),
            on_epoch=print_epochs(),
        )

    # --- assigned ------------------------------------------------------------------------------

    def reason_not_to_assign(self, method: Method) -> str | None:
        """Say why a method assigns no new images; None if it does."""
        if _size(self.new_rows) == 0:
            return f"{self.data.name} has no images besides those that the methods are fitted on"
        recipe = self.run.recipe_of(method)
        return self.described.not_assigned.get(recipe) if recipe else None

    def assign(self, method: Method) -> pd.Series | None:
        """Fit a method, let it assign new images, score and record it.

        The confidence of an assignment is its share of the vote. An image is right if its cluster
        is matched with its class; the match is that of the fitted images, by the Hungarian method.

        Returns
        -------
        Series or None
            ``acc``, ``ari`` and ``nmi`` of the new images, ``acc_of_fit_match`` (share of them that
            are right), ``confidence`` (mean) and ``ece``; None if there is a
            `reason_not_to_assign`.

        Raises
        ------
        UserError
            If a view of the method must be trained on the images.
        """
        if reason := self.reason_not_to_assign(method):
            print(f"{' / '.join(method.names)} assigns no new images: {reason}")
            return None
        self._require_untrained(method)
        views = [self._view(name) for name in method.views]
        fitted = self._cluster(method, self.fit_rows).assignment
        points, new_points = place_beside(*map(list, zip(*views, strict=True)))
        assignment, shares = vote(points, fitted, new_points, VOTERS)
        n_fit, n = len(fitted), len(assignment)
        self._record(method, FIT, n_fit, n_fit, self._external(fitted, self.fit_rows))
        match = metrics.hungarian_match(self.data.labels[self.fit_rows], fitted)
        classes = np.array([match.get(cluster, -1) for cluster in assignment.tolist()])
        is_right = classes == self.data.labels[self.new_rows]
        table = reliability(shares, is_right)
        self._reliability.append(table.assign(**self._key(method, ASSIGNED)))
        values = self._external(assignment, self.new_rows) | {
            "acc_of_fit_match": float(is_right.mean()),
            "confidence": float(shares.mean(dtype=np.float64)),
            "ece": expected_calibration_error(table),
        }
        return self._record(method, ASSIGNED, n_fit, n, values)

    def _require_untrained(self, method: Method) -> None:
        trained = [view for view in method.views if view not in REPRESENTATIONS]
        if trained:
            recipe = self.run.recipe_of(method) or " / ".join(method.names)
            raise UserError(
                f"{recipe}: the view {trained[0]!r} is trained on the images, and new ones cannot "
                "be placed in it: give the reason under 'not_assigned' in config/new_images.yaml"
            )

    def _view(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a view of the images to fit on and of the new ones.

        Where the leaderboard has both, its own features are taken.
        """
        images, n_board = self.data.images, len(self.run.images)
        on_batch = print_tenths()
        stages = [
            pipeline.untrained_of_rows(name, self.run.images, rows, on_batch)
            if rows.stop <= n_board
            else pipeline.untrained(name, images[rows], on_batch)
            for rows in (self.fit_rows, self.new_rows)
        ]
        fitted, new = (stage.arrays["features"] for stage in stages)
        return fitted, new

    # --- records -------------------------------------------------------------------------------

    def _external(self, assignment: np.ndarray, rows: slice) -> dict[str, float]:
        values = metrics.external(assignment, self.data.labels[rows])
        return {name: values[name] for name in SCORES}

    def _record(
        self, method: Method, kind: str, n_fit: int, n: int, values: Mapping[str, float]
    ) -> pd.Series:
        key = {**self._key(method, kind), "n_fit": n_fit, "n": n}
        self._scores += [{**key, "metric": name, "value": value} for name, value in values.items()]
        return pd.Series({"kind": kind, "n_fit": n_fit, "n": n, **values})

    def _key(self, method: Method, kind: str) -> dict[str, object]:
        key = {"study": self.run.record.topic, "seed": self.run.seed}
        return {**key, **method.columns, "kind": kind}

    def scores(self) -> pd.DataFrame:
        """Return what was recorded: columns of `tables.NEW_IMAGES_TABLE`."""
        return NEW_IMAGES_TABLE.joined([pd.DataFrame(self._scores)])

    def by_method(self) -> pd.DataFrame:
        """Return what was recorded as a table for people: a row for each method and kind."""
        index = ["representation", "space", "clusterer", "kind", "n_fit", "n"]
        return self.scores().pivot(index=index, columns="metric", values="value")

    def reliability(self) -> pd.DataFrame:
        """Return how confidence and accuracy go together: columns of `RELIABILITY_TABLE`."""
        return RELIABILITY_TABLE.joined(self._reliability)

    def write(self) -> None:
        """Write both tables beside those of the leaderboard's run."""
        tables = ((NEW_IMAGES_TABLE, self.scores()), (RELIABILITY_TABLE, self.reliability()))
        for schema, table in tables:
            schema.write(table, self.run.record.new_file(schema.file))


def _size(rows: slice) -> int:
    """Return how many images a slice has."""
    return max(0, rows.stop - (rows.start or 0))
