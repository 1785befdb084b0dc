"""How far the clusterings of each two seeds agree."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import pandas as pd

from report.evidence_tables import AGREEMENT_TABLE


def between_seeds(assignments: pd.DataFrame, studies: Collection[str]) -> pd.DataFrame:
    """Count the images that a cluster of one seed and a cluster of another have in common.

    Parameters
    ----------
    assignments : DataFrame
        Columns of `tables.ASSIGNMENTS_TABLE`.
    studies : collection of str
        Studies whose clusterings are compared.

    Returns
    -------
    DataFrame
        Columns of `AGREEMENT_TABLE`, for each two seeds of a clustering of the same images.
    """
    of_studies = assignments[assignments["study"].isin(studies)]
    names = ["study", "representation", "space", "clusterer", "n"]
    parts = []
    for key, rows in of_studies.groupby(names, observed=True, sort=False):
        clusters = {
            seed: part.sort_values("index")["cluster"].to_numpy()
            for seed, part in rows.groupby("seed")
        }
        for seed, other in combinations(sorted(clusters), 2):
            pairs = pd.DataFrame({"cluster": clusters[seed], "other_cluster": clusters[other]})
            counts = pairs.value_counts(sort=False).rename("images").reset_index()
            where = dict(zip(names, map(str, key[:-1]), strict=False))
            parts.append(counts.assign(**where, n=key[-1], seed=seed, other_seed=other))
    return AGREEMENT_TABLE.joined(parts)
