"""Show that two checkouts compute the same numbers: ``same_numbers.py OLD NEW [--restamp]``.

OLD and NEW are checkouts with the runs of one profile (``./run_all.sh --profile quick``), made on
the same machine. Scores, assignments, starts and losses of every notebook must be equal to the last
bit; only times may differ. What is in one of them only, such as a new study, is named.

``--restamp`` then writes into NEW's ``reports/published/origins.csv``, where a number's stamp is
that of OLD's code, the stamp of NEW's, and where no settings of a study are recorded those of its
file at the number's commit. Leaderboards keep their stamps. It refuses if a number differs, or if a
study whose stamps would change was not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from report.evidence_tables import ORIGINS_TABLE  # noqa: E402
from utils.config.schema import Study  # noqa: E402
from utils.store import tables  # noqa: E402
from utils.store.origins import settings_fingerprints  # noqa: E402

COMPARED = (
    tables.METRICS_TABLE,
    tables.ASSIGNMENTS_TABLE,
    tables.STARTS_TABLE,
    tables.LOSSES_TABLE,
)
TIMES = ("seconds",)
TRAINING = "utils.representations.training"
# Run in a checkout with its own code: the fingerprints of its notebooks and of the training.
STAMPS = """
import json, sys
from pathlib import Path
sys.path.insert(0, "src")
from utils.store.fingerprints import numbers_fingerprint, source_fingerprint
scripts = sorted(Path("notebooks").glob("*.py"))
stamps = {path.stem: numbers_fingerprint(path) for path in scripts}
print(json.dumps(stamps | {"training": source_fingerprint("utils.representations.training")}))
"""


def differences(old: Path, new: Path) -> tuple[list[str], list[str]]:
    """Compare the tables of two folders of runs.

    Parameters
    ----------
    old, new : Path
        Folders of one profile, ``runs/quick``.

    Returns
    -------
    found, alone : list of str
        What differs; and the tables that only one of the two has.
    """
    names = {table.file: table for table in COMPARED}
    there = {
        root: {path.relative_to(root) for name in names for path in root.rglob(name)}
        for root in (old, new)
    }
    alone = [f"only in {root}: {path}" for root in (old, new) for path in _only(there, root)]
    found = []
    for path in sorted(there[old] & there[new]):
        schema = names[path.name]
        if words := _difference(schema.read(old / path), schema.read(new / path)):
            found.append(f"{path}: {words}")
    return found, alone


def _only(there: dict[Path, set[Path]], root: Path) -> list[Path]:
    others = set().union(*(paths for other, paths in there.items() if other != root))
    return sorted(there[root] - others)


def _difference(old: pd.DataFrame, new: pd.DataFrame) -> str | None:
    if len(old) != len(new):
        return f"{len(old)} and {len(new)} rows"
    for column in old.columns.difference(TIMES, sort=False):
        left, right = old[column].to_numpy(), new[column].to_numpy()
        is_real = left.dtype.kind == "f"
        same = (left == right) | (np.isnan(left) & np.isnan(right)) if is_real else left == right
        if not same.all():
            return f"{int((~same).sum())} values of {column!r} differ"
    return None


def stamps_of(checkout: Path) -> dict[str, str]:
    """Return the fingerprints of a checkout's notebooks, by name, and of its training."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    ran = subprocess.run(
        [sys.executable, "-c", STAMPS],
        cwd=checkout,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(ran.stdout)


def settings_at(checkout: Path, study: str, commit: str) -> dict[str, str]:
    """Return the fingerprints of a study's settings at a commit; none if it had no such file."""
    ran = subprocess.run(
        ["git", "-C", checkout, "show", f"{commit}:config/studies/{study}.yaml"],
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        return {}
    return settings_fingerprints(Study.model_validate(yaml.safe_load(ran.stdout)))


def restamped(
    origins: pd.DataFrame,
    old: dict[str, str],
    new: dict[str, str],
    settings: dict[tuple[str, str], dict[str, str]],
) -> pd.DataFrame:
    """Return the origins with the stamps of new code that computes the same numbers.

    Parameters
    ----------
    origins : DataFrame
        Columns of `ORIGINS_TABLE`.
    old, new : dict of str to str
        As from `stamps_of`, of code that computes the same numbers.
    settings : dict of (str, str) to dict
        As from `settings_at`, by study and commit. Rows of other studies stay as they are.
    """

    def row_of(row: pd.Series) -> pd.Series:
        known: dict[str, Any] | None = settings.get((row["study"], row["commit"]))
        if known is None:
            return row
        changed = row.copy()
        if row["code"] and row["code"] == old.get(row["notebook"]):
            changed["code"] = new[row["notebook"]]
        if row["network_code"] and row["network_code"] == old["training"]:
            changed["network_code"] = new["training"]
        if not row["settings"]:
            # A network that stood in for another one has that one's, which are those of the pixels.
            changed["settings"] = known.get(row["representation"], known.get("pixels", ""))
        return changed

    return origins.apply(row_of, axis=1)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="checkout with the earlier code and its runs")
    parser.add_argument("new", type=Path, help="checkout with the later code and its runs")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--restamp", action="store_true", help="write NEW's origins.csv")
    options = parser.parse_args()
    old, new = options.old.resolve(), options.new.resolve()
    runs = [checkout / "runs" / options.profile for checkout in (old, new)]
    for folder in runs:
        if not folder.is_dir():
            sys.exit(f"{folder}: missing: run ./run_all.sh --profile {options.profile} there")
    found, alone = differences(*runs)
    print("\n".join([*alone, *found]) or "every table is in both")
    if found:
        sys.exit(f"{len(found)} tables differ")
    print("all tables that both have are equal")
    if options.restamp:
        path = new / "reports" / "published" / ORIGINS_TABLE.file
        origins = ORIGINS_TABLE.read(path)
        compared = {place.name for place in runs[0].iterdir()} & {
            place.name for place in runs[1].iterdir()
        }
        files = {file.stem for file in (new / "config" / "studies").glob("*.yaml")}
        if missing := (set(origins["study"]) & files) - compared:
            sys.exit(f"not compared: {', '.join(sorted(missing))}: run them in both checkouts")
        places = origins.loc[origins["study"].isin(files), ["study", "commit"]].drop_duplicates()
        known = {
            (study, commit): settings_at(new, study, commit)
            for study, commit in places.itertuples(index=False)
        }
        ORIGINS_TABLE.write(restamped(origins, stamps_of(old), stamps_of(new), known), path)
        print(f"{path}: stamped anew")


if __name__ == "__main__":
    main()
