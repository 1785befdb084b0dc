"""The evidence: tables from which scores, claims, variances and figures can be made again.

A report has them, and a published run keeps them with the source code.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from utils.store.tables import (
    BUILD_AGAIN,
    CONFUSION_TABLE,
    LABEL_FREE_TABLE,
    LOSSES_TABLE,
    NEW_IMAGES_TABLE,
    NUMBERS_TABLE,
    RELIABILITY_TABLE,
    STARTS_TABLE,
    Table,
)

if TYPE_CHECKING:
    import pandas as pd

# How often a cluster of one seed and a cluster of another have the same image; cluster −1 is noise.
AGREEMENT_TABLE = Table(
    "agreement.parquet",
    MappingProxyType(
        {
            **dict.fromkeys(("study", "representation", "space", "clusterer"), "str"),
            **dict.fromkeys(("n", "seed", "other_seed"), "int32"),
            **dict.fromkeys(("cluster", "other_cluster", "images"), "int32"),
        }
    ),
)
# The points of the t-SNE maps of the first seed.
MAPS_TABLE = Table(
    "maps.parquet",
    MappingProxyType(
        {
            "study": "str",
            "seed": "int32",
            "map": "str",
            "x": "float64",
            "y": "float64",
            "class": "str",
            "cluster": "str",
        }
    ),
)
# The same images by three dimensions of the clustered space, and the centres of the clusters there;
# `what` is "image" or "centre", which has no class, and `axes` the numbers of the dimensions.
DIMENSIONS_TABLE = Table(
    "dimensions.parquet",
    MappingProxyType(
        {
            "study": "str",
            "seed": "int32",
            **dict.fromkeys(("x", "y", "z"), "float64"),
            **dict.fromkeys(("class", "cluster", "what", "axes"), "str"),
        }
    ),
)
# Where the scores of a representation come from: the clustering, and the network if it is trained.
ORIGINS_TABLE = Table(
    "origins.csv",
    MappingProxyType(
        {
            "study": "str",
            "seed": "int64",
            **dict.fromkeys(("notebook", "representation", "precision"), "str"),
            **dict.fromkeys(("code", "settings", "commit", "processor", "computed"), "str"),
            "seconds": "float64",
            **dict.fromkeys(
                ("network_code", "network_commit", "network_processor", "network_computed"), "str"
            ),
            "network_seconds": "float64",
        }
    ),
    added=("settings",),
)
EVIDENCE = (
    CONFUSION_TABLE,
    STARTS_TABLE,
    LOSSES_TABLE,
    AGREEMENT_TABLE,
    MAPS_TABLE,
    DIMENSIONS_TABLE,
    ORIGINS_TABLE,
    NEW_IMAGES_TABLE,
    RELIABILITY_TABLE,
    LABEL_FREE_TABLE,
    NUMBERS_TABLE,
)


def write(evidence: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write the tables of evidence, by the names of their files, into a folder."""
    for schema in EVIDENCE:
        schema.write(evidence[schema.file], folder / schema.file)


def read(folder: Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Read the tables of evidence that a record names; a run of earlier code has no others.

    Raises
    ------
    UserError
        If one that is named is missing or malformed.
    """
    named = set(names)
    return {
        schema.file: schema.read(folder / schema.file, BUILD_AGAIN)
        if schema.file in named
        else schema.empty()
        for schema in EVIDENCE
    }
