"""The tables that runs and reports leave: their files and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

# Files of a notebook that scored something.
METRICS, CONFUSION, ASSIGNMENTS = "metrics.csv", "confusion.csv", "assignments.parquet"
# Files of a leaderboard's notebook: what each line cost, and the classes of the images.
COSTS, LABELS = "costs.csv", "labels.parquet"
CONFUSION_KEY = ("study", "seed", "representation", "space", "clusterer", "n")

METRIC_COLUMNS = (
    "profile",
    "study",
    "dataset",
    "n",
    "seed",
    "representation",
    "space",
    "clusterer",
    "k_found",
    "noise_fraction",
    "metric",
    "value",
)
ASSIGNMENT_COLUMNS = (
    "study",
    "seed",
    "representation",
    "space",
    "clusterer",
    "index",
    "cluster",
    "n",
)
VERDICT_COLUMNS = (
    "study",
    "figure",
    "reported",
    "reproduced_mean",
    "ci_low",
    "ci_high",
    "n_seeds",
    "verdict",
    "seed_values",
    "note",
)
CONFUSION_COLUMNS = (
    *("study", "seed", "representation", "space", "clusterer", "n"),
    *("class", "cluster", "count"),
)
FACT_COLUMNS = ("study", "seed", "notebook", "fact", "value")
# The fact of a notebook that ended with a result of another kind: why there is none.
FAILED = "failed"
COMBINATION = ("study", "representation", "space", "clusterer", "n")
