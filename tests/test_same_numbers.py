"""The comparison of two checkouts, and the stamps that follow from it."""

import sys
from pathlib import Path

import pandas as pd

from report.evidence_tables import ORIGINS_TABLE
from utils.store import tables

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import same_numbers

OLD = {"03_latent_clustering": "a" * 64, "training": "b" * 64}
NEW = {"03_latent_clustering": "c" * 64, "training": "d" * 64}
SETTINGS = {("one", "1" * 40): {"autoencoder": "e" * 64, "pixels": "f" * 64}}


def losses(folder, last=0.5, seconds=1.0):
    frame = pd.DataFrame(
        {
            **{"study": "one", "seed": 0, "network": "autoencoder", "epoch": [1, 2]},
            **{"loss": [1.0, last], "validation_loss": float("nan"), "seconds": seconds},
        }
    )
    folder.mkdir(parents=True)
    tables.LOSSES_TABLE.write(frame, folder / tables.LOSSES_TABLE.file)


def test_only_times_may_differ(tmp_path):
    losses(tmp_path / "old" / "one")
    losses(tmp_path / "new" / "one", seconds=2.0)
    losses(tmp_path / "new" / "two")
    found, alone = same_numbers.differences(tmp_path / "old", tmp_path / "new")
    assert found == []
    assert [line.split()[-1] for line in alone] == ["two/losses.parquet"]


def test_the_last_bit_counts(tmp_path):
    losses(tmp_path / "old" / "one")
    losses(tmp_path / "new" / "one", last=0.5 + 2**-53)
    found, _ = same_numbers.differences(tmp_path / "old", tmp_path / "new")
    assert found == ["one/losses.parquet: 1 values of 'loss' differ"]


def origin(**changes):
    row = dict.fromkeys(ORIGINS_TABLE.columns, "") | {"seed": 0, "seconds": 1.0}
    row |= {"study": "one", "notebook": "03_latent_clustering", "representation": "autoencoder"}
    row |= {"network_seconds": 1.0, "commit": "1" * 40, "code": "a" * 64, "network_code": "b" * 64}
    return row | changes


def test_only_stamps_of_the_earlier_code_are_renewed():
    rows = [
        origin(),
        origin(code="9" * 64, network_code="", representation="pixels"),
        origin(study="a board"),
        origin(settings="8" * 64, representation="other"),
    ]
    found = same_numbers.restamped(pd.DataFrame(rows), OLD, NEW, SETTINGS)
    assert list(found["code"]) == ["c" * 64, "9" * 64, "a" * 64, "c" * 64]
    assert list(found["network_code"]) == ["d" * 64, "", "b" * 64, "d" * 64]
    assert list(found["settings"]) == ["e" * 64, "f" * 64, "", "8" * 64]
