"""Folders of reports: what may be written where, and whether a report is complete."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from utils import places
from utils.store.files import sha256_file
from utils.store.ownership import (
    read_manifest,
    require_apart,
    require_free,
    require_own,
    require_writable,
)

# What the report writes. If one is missing, the report is made again.
RESULTS = (
    "report.html",
    "report.pdf",
    "supplement.html",
    "supplement.pdf",
    "metrics.csv",
    "assignments.parquet",
    "reported_vs_reproduced.csv",
    "identities.csv",
    "reported_losses.csv",
    "variance_components.csv",
    "claims.csv",
    "confusion.parquet",
    "starts.parquet",
    "losses.parquet",
    "agreement.parquet",
    "maps.parquet",
    "dimensions.parquet",
    "origins.csv",
    "new_images.csv",
    "reliability.csv",
    "label_free.csv",
    "numbers.csv",
    "facts.csv",
    "run.json",
    "figures",
    "notebooks",
)


def prepare_out(out: Path, owner: str, names: Collection[str] = ()) -> None:
    """Check that a report may be written to a folder, and make the folder if it is missing.

    Parameters
    ----------
    out : Path
    owner : str
        Owner of the report, as its manifest names it.
    names : collection of str
        Files that every such report has.

    Raises
    ------
    UserError
        If it may not; nothing was changed.
    """
    require_apart({"--out": out}, reserved_places())
    earlier = require_own(out, owner, "--out")
    require_free(out, {*names, *earlier}, earlier)
    require_writable(out, "--out")


def reserved_places() -> dict[str, Path]:
    """Return the folders to which no report and no export goes, by their names in messages."""
    return {
        "the published numbers, which 'publish' alone writes": places.published(),
        "the article's template": places.template(),
        "the working state": places.runs(),
        "the datasets": places.data_dir(),
        "the repository's history": places.root() / ".git",
    }


def is_complete(out: Path) -> bool:
    """Tell whether a report has all its files, unchanged."""
    manifest = read_manifest(out)
    noted = manifest.files if manifest else {}
    return (
        bool(noted)
        and all((out / name).exists() for name in RESULTS)
        and all(
            (out / name).is_file() and sha256_file(out / name) == digest
            for name, digest in noted.items()
        )
    )
