"""What a notebook records of starts of k-means and of trainings."""

import numpy as np
import pandas as pd
import pytest

from utils import metrics
from utils.runs.record import Record
from utils.runs.sweeps import Start
from utils.store import tables
from utils.store.files import read_json

LABELS = np.arange(12) % 3
NAMES = ("pixels", "raw", "kmeans")


@pytest.fixture
def record(tmp_path):
    return Record(
        **{"notebook": "07_mine", "topic": "made-up", "dataset": "digits", "profile": "paper"},
        **{"seed": 4, "folder": tmp_path, "labels": LABELS, "class_names": ("a", "b", "c")},
    )


def starts_of(*seeds):
    """Make up a clustering for each seed; none equals another or the labels."""
    made = []
    for seed in seeds:
        assignment = np.random.default_rng(seed).integers(0, 3, len(LABELS))
        made.append(Start(seed, assignment, metrics.external(assignment, LABELS)))
    return made


def test_starts_are_recorded_beside_the_run_and_not_as_runs(record, tmp_path):
    made = starts_of(0, 1, 2)
    shown = record.starts(*NAMES, made)
    assert shown["kmeans_seed"].tolist() == [0, 1, 2]
    assert shown["ari"].tolist() == [start.scores["ari"] for start in made]
    record.finish()
    assert read_json(tmp_path / "manifest.json")["files"] == ["starts.parquet"]
    table = tables.STARTS_TABLE.read(tmp_path / "starts.parquet")
    assert set(table["seed"]) == {4} and set(table["n"]) == {len(LABELS)}
    found = table.pivot(index="kmeans_seed", columns="metric", values="value")
    for seed, _, scores in made:
        assert found.loc[seed].to_dict() == scores


def test_starts_that_are_runs_are_clusterings_with_their_own_seeds(record, tmp_path):
    made = starts_of(0, 1, 2)
    record.score(*NAMES, LABELS, {"ari": 1.0})
    record.starts(*NAMES, made, are_runs=True)
    record.finish()
    scores = tables.METRICS_TABLE.read(tmp_path / "metrics.csv")
    aris = scores[scores["metric"] == "ari"].set_index("seed")["value"].to_dict()
    assert aris == {4: 1.0} | {start.kmeans_seed: start.scores["ari"] for start in made}
    assigned = tables.ASSIGNMENTS_TABLE.read(tmp_path / "assignments.parquet")
    for seed, rows in assigned.groupby("seed"):
        expected = LABELS if seed == 4 else made[seed].assignment
        np.testing.assert_array_equal(rows.sort_values("index")["cluster"], expected)
    counts = tables.CONFUSION_TABLE.read(tmp_path / "confusion.parquet")
    assert counts.groupby("seed")["images"].sum().to_dict() == dict.fromkeys((0, 1, 2, 4), 12)


def test_the_start_of_the_runs_own_seed_replaces_its_clustering(record, tmp_path):
    record.score(*NAMES, LABELS, {"ari": 1.0})
    (start,) = starts_of(4)
    record.starts(*NAMES, [start], are_runs=True)
    record.finish()
    scores = tables.METRICS_TABLE.read(tmp_path / "metrics.csv")
    assert scores.loc[scores["metric"] == "ari", "value"].tolist() == [start.scores["ari"]]


def test_losses_of_each_network_are_recorded_and_without_validation_have_none(record, tmp_path):
    history = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25], "seconds": [2.0, 1.0]})
    record.losses("autoencoder", history)
    record.losses("autoencoder-small", history.assign(validation_loss=[0.75, 0.5]))
    record.losses("autoencoder-small", history.assign(validation_loss=[0.875, 0.625]))
    record.finish()
    table = tables.LOSSES_TABLE.read(tmp_path / "losses.parquet")
    assert table["network"].tolist() == ["autoencoder"] * 2 + ["autoencoder-small"] * 2
    assert table["validation_loss"].isna().tolist() == [True, True, False, False]
    assert table["validation_loss"].tolist()[2:] == [0.875, 0.625]
    assert table["epoch"].tolist() == [1, 2, 1, 2]
