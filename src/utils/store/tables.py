"""The tables that runs and reports leave: one schema, one reader and one writer for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from utils.errors import UserError
from utils.store.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd

RUN_AGAIN = "run the notebook again"
BUILD_AGAIN = "build the report again"
_KINDS = {
    "str": "text",
    "int32": "whole numbers",
    "int64": "whole numbers",
    "float64": "numbers",
    "bool": "True or False",
}


@dataclass(frozen=True)
class Table:
    """The schema of a table, which its name's ending says is CSV or Parquet.

    Attributes
    ----------
    file : str
        Name of the file.
    types : mapping of str to str
        Type of each column, in the order in which they are written. Only a ``float64`` may be
        missing (an empty cell). An empty text is a text, and so is "NA".
    added : tuple of str
        Columns of text that tables of earlier code do not have; they are read as empty texts.
    """

    file: str
    types: Mapping[str, str]
    added: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(self.types)

    @property
    def is_parquet(self) -> bool:
        """Whether the file is Parquet; if not, it is CSV."""
        return self.file.endswith(".parquet")

    def empty(self) -> pd.DataFrame:
        """Return the table without rows."""
        import pandas as pd

        return pd.DataFrame(columns=list(self.columns))

    def joined(self, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
        """Return the rows of all `frames` as one table; those without rows have no say in types."""
        import pandas as pd

        filled = [frame[list(self.columns)] for frame in frames if len(frame)]
        return pd.concat(filled, ignore_index=True) if filled else self.empty()

    def read(self, path: Path, remedy: str = RUN_AGAIN) -> pd.DataFrame:
        """Read a file of this schema; columns that the schema does not name are left out.

        Parameters
        ----------
        path : Path
        remedy : str
            What to do if the file cannot be used; ends the message of the error.

        Raises
        ------
        UserError
            If the file is missing or malformed, lacks a column, or has a value of another type.
        """
        try:
            frame = self._read_parquet(path) if self.is_parquet else self._read_csv(path)
        except FileNotFoundError:
            raise UserError(f"{path}: missing: {remedy}") from None
        except (OSError, ValueError) as error:
            reason = self._mistyped(path) or f"malformed ({' '.join(str(error).split())})"
            raise UserError(f"{path}: {reason}: {remedy}") from None
        frame = frame.assign(**{one: "" for one in self.added if one not in frame.columns})
        absent = [column for column in self.columns if column not in frame.columns]
        if absent:
            raise UserError(f"{path}: column {absent[0]!r} is missing: {remedy}")
        return frame[list(self.columns)]

    def write(self, frame: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
        """Write the columns of the schema in their order, atomically.

        Raises
        ------
        KeyError
            If `frame` lacks a column.
        """
        ordered = frame[list(self.columns)]
        with atomic_path(path) as temporary:
            if self.is_parquet:
                ordered.to_parquet(temporary, index=False, compression="zstd")
            else:
                ordered.to_csv(temporary, index=False, float_format=float_format)

    def _read_csv(self, path: Path) -> pd.DataFrame:
        import pandas as pd

        numbers = [name for name, kind in self.types.items() if kind == "float64"]
        return pd.read_csv(
            path,
            dtype=dict(self.types),
            keep_default_na=False,
            na_values={name: [""] for name in numbers},
        )

    def _read_parquet(self, path: Path) -> pd.DataFrame:
        import pandas as pd

        frame = pd.read_parquet(path)
        return frame.astype({name: kind for name, kind in self.types.items() if name in frame})

    def _mistyped(self, path: Path) -> str | None:
        """Name the first column with a value of another type; None if the file itself is broken."""
        import pandas as pd

        try:
            if self.is_parquet:
                frame = pd.read_parquet(path)
            else:
                frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError):
            return None
        for column, kind in self.types.items():
            if column in frame and not _all_are(frame[column], kind):
                return f"column {column!r} must have {_KINDS[kind]} only"
        return None


def _all_are(values: pd.Series, kind: str) -> bool:
    """Return whether all values of a column can be read as `kind`."""
    if kind == "bool":
        return values.astype(str).str.lower().isin(["true", "false"]).all()
    try:
        (values[values.astype(str) != ""] if kind == "float64" else values).astype(kind)
    except (TypeError, ValueError):
        return False
    return True


def _table(file: str, *groups: tuple[str, str]) -> Table:
    """Make a table of groups of columns: each a type and the names that have it."""
    types = {name: kind for kind, names in groups for name in names.split()}
    return Table(file, MappingProxyType(types))


# Tables of a notebook that scored something.
METRICS_TABLE = _table(
    "metrics.csv",
    ("str", "profile study dataset"),
    ("int64", "n seed"),
    ("str", "representation space clusterer"),
    ("int64", "k_found"),
    ("float64", "noise_fraction"),
    ("str", "metric"),
    ("float64", "value"),
)
ASSIGNMENTS_TABLE = _table(
    "assignments.parquet",
    ("str", "study"),
    ("int32", "seed"),
    ("str", "representation space clusterer"),
    ("int32", "index cluster n"),
)
# From these counts every external score can be computed again; cluster −1 is noise.
CONFUSION_TABLE = _table(
    "confusion.parquet",
    ("str", "study"),
    ("int32", "seed"),
    ("str", "representation space clusterer"),
    ("int32", "n cluster"),
    ("str", "class"),
    ("int32", "images"),
)
# The same points clustered by k-means from several seeds; a row for each score of each.
STARTS_TABLE = _table(
    "starts.parquet",
    ("str", "study"),
    ("int32", "seed"),
    ("str", "representation space clusterer"),
    ("int32", "n kmeans_seed"),
    ("str", "metric"),
    ("float64", "value"),
)
# The training of each network of a seed; a variant has its own name.
LOSSES_TABLE = _table(
    "losses.parquet",
    ("str", "study"),
    ("int32", "seed"),
    ("str", "network"),
    ("int32", "epoch"),
    ("float64", "loss validation_loss seconds"),
)
FACTS_TABLE = _table(
    "facts.csv", ("str", "study"), ("int64", "seed"), ("str", "notebook fact value")
)
# Tables of a leaderboard's notebook: what each method cost, and the classes of the images.
COSTS_TABLE = _table(
    "costs.csv",
    ("str", "study"),
    ("int64", "seed"),
    ("str", "representation space clusterer"),
    ("float64", "seconds peak_memory_mb"),
    ("bool", "k_given"),
    ("str", "settings recipe"),
)
LABELS_TABLE = _table("labels.parquet", ("int64", "class"))
# Indices that need no label, of each method of a leaderboard and of each seed; see
# `runs.label_free`. An index that a method lacks is missing.
LABEL_FREE_TABLE = _table(
    "label_free.csv",
    ("str", "study"),
    ("int64", "seed"),
    ("str", "representation space clusterer index"),
    ("float64", "value"),
)
# Numbers of clusters that rules find without labels; the value is what the rule saw at that number.
NUMBERS_TABLE = _table(
    "numbers.csv",
    ("str", "study"),
    ("int64", "seed"),
    ("str", "representation rule"),
    ("int64", "k"),
    ("float64", "value"),
)
# Scores on images on which no choice was made (`kind` "held_out"), or that a fitted method did not
# see ("assigned"; beside them "fit", those of the images it was fitted on); see `runs.new_images`.
NEW_IMAGES_TABLE = _table(
    "new_images.csv",
    ("str", "study"),
    ("int64", "seed"),
    ("str", "representation space clusterer kind"),
    ("int64", "n_fit n"),
    ("str", "metric"),
    ("float64", "value"),
)
# Of each bin of confidence: its number of images, their mean confidence, and their accuracy.
RELIABILITY_TABLE = _table(
    "reliability.csv",
    ("str", "study"),
    ("int64", "seed"),
    ("str", "representation space clusterer kind"),
    ("int64", "bin n"),
    ("float64", "confidence accuracy"),
)
VERDICTS_TABLE = _table(
    "reported_vs_reproduced.csv",
    # The printed value is a word: 0.60 is not 0.6.
    ("str", "study score source reported"),
    ("float64", "mean sd"),
    ("int64", "n_networks"),
    ("float64", "prediction_low prediction_high"),
    ("str", "rank"),
    ("float64", "p_holm smallest_deviation"),
    ("str", "verdict seed_values note"),
)
IDENTITIES_TABLE = _table("identities.csv", ("str", "study what source reported ours outcome note"))
# The leaderboards of a report.
LEADERBOARD_TABLE = _table(
    "leaderboard.csv",
    ("str", "study representation space clusterer"),
    # The data set with whose labels the weights of a frozen network were trained, or "none".
    ("str", "labels"),
    ("int64", "n n_seeds"),
    ("float64", "ari ari_low ari_high acc acc_low acc_high"),
    ("float64", "nmi nmi_low nmi_high ami ami_low ami_high"),
    ("float64", "silhouette davies_bouldin calinski_harabasz"),
    ("float64", "acc_covered ari_covered nmi_covered coverage"),
    ("int64", "k_low k_high"),
    ("bool", "k_given"),
    ("float64", "stability seconds peak_memory_mb"),
    ("str", "settings recipe"),
)
SIGNIFICANCE_TABLE = _table(
    "leaderboard_significance.csv",
    ("str", "study representation space clusterer"),
    ("int64", "n n_seeds"),
    ("float64", "best_ari ari difference ci_low ci_high"),
    ("bool", "excludes_zero"),
    ("float64", "p p_holm"),
)
RANKINGS_TABLE = _table(
    "leaderboard_rankings.csv",
    ("str", "study index"),
    ("float64", "tau tau_low tau_high"),
    ("int64", "n_rows n_undefined n_partial"),
    ("str", "representation space clusterer"),
    ("float64", "n ari best_ari regret"),  # all missing where no method has the index
)
BOARD_TABLES = {
    "leaderboard": LEADERBOARD_TABLE,
    "leaderboard_significance": SIGNIFICANCE_TABLE,
    "leaderboard_rankings": RANKINGS_TABLE,
}

# Columns that name a clustering over its seeds, and that of one seed in the confusion table.
COMBINATION = ("study", "representation", "space", "clusterer", "n")
# The fact of a notebook that ended without a result: why there is none.
FAILED = "failed"
