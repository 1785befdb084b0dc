"""The tables of a study's scores: mean over the seeds and standard deviation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from report.comparisons import summary
from report.markdown import number
from report.notebook_parts import EXTERNAL, INTERNAL
from utils.config.vocabulary import describe
from utils.store.tables import COMBINATION

if TYPE_CHECKING:
    import pandas as pd


def score_rows(metrics: pd.DataFrame, study: str) -> tuple[list, list]:
    """Return the rows of the table of external scores and of the table of all others."""
    external, internal = [], []
    rows = summary(metrics[metrics["study"] == study])
    for key, group in rows.groupby(list(COMBINATION), sort=False):
        _, representation, space, clusterer, n = key
        by_metric = {row.metric: row for row in group.itertuples()}
        name, images = describe(representation, space, clusterer), number(int(n))
        seeds = number(int(group["n_seeds"].max()))
        external.append([name, images, seeds, *_cells(by_metric, EXTERNAL)])
        internal.append([name, images, _clusters_found(group), *_cells(by_metric, INTERNAL)])
    return external, internal


def _clusters_found(group: pd.DataFrame) -> str:
    low, high = int(group["k_low"].min()), int(group["k_high"].max())
    found = number(low) if low == high else f"{low}–{high}"
    noise = group["noise"].max()
    return f"{found} ({100 * noise:.1f} % noise)" if noise > 0 else found


def _cells(by_metric: dict[str, Any], names: dict[str, str]) -> list[str]:
    return [_mean_and_sd(by_metric[key]) if key in by_metric else "–" for key in names]


def _mean_and_sd(row: Any) -> str:
    digits = 1 if abs(row.mean) >= 100 else 3
    spread = "" if math.isnan(row.sd) else f" ± {row.sd:.{digits}f}"
    return f"{row.mean:.{digits}f}{spread}"
