"""The table of clusters and classes beside a map is the printed one."""

import json
from types import SimpleNamespace

import fake_run
import numpy as np
import pytest

from report import collect, matrices
from utils import figures, metrics, places
from utils.figures import style

CLASSES = ("T-shirt", "bag", "ankle boot", "coat")


@pytest.mark.parametrize("n_clusters", [3, 4, 6])
def test_rows_columns_and_counts_are_those_of_the_printed_table(n_clusters):
    random = np.random.default_rng(n_clusters)
    labels = random.integers(0, 4, 500)
    assignment = (labels + random.integers(0, 3, 500)) % n_clusters
    found = matrices.matched(metrics.confusion_table(assignment, labels, CLASSES))
    drawn = figures.matched_confusion(labels, assignment, CLASSES, "made up")
    printed = getattr(drawn, style.NUMBERS)
    assert found["classes"] == printed.columns[1:].tolist()
    assert found["counts"] == printed.iloc[:, 1:].to_numpy().tolist()
    assert [name or "unmatched" for name in found["matched"]] == printed.iloc[:, 0].tolist()
    for name, counts in zip(found["clusters"], found["counts"], strict=True):
        assert sum(counts) == (assignment == int(name.removeprefix("c"))).sum()


def test_a_study_with_a_map_has_the_counts_of_all_images_of_the_map_s_own_seed(tmp_path):
    with places.elsewhere(config=fake_run.write_config(tmp_path / "config")):
        runs = fake_run.write_run(tmp_path / "runs")
        results = collect.collect("quick", ("mnist-cae", "cifar10-cae"), [0, 1], runs)
        tables = matrices.of_studies(results)
        assert list(tables) == ["atlas-mnist-cae"]  # the other was not run
        table = json.loads(tables["atlas-mnist-cae"])
        assert table["figure"] == "fig-mnist-cae-confusion_latent"
        counts = np.array(table["counts"])
        assert counts.shape == (10, 10) and counts.sum() == 5000
        other = results.confusion.assign(seed=results.confusion["seed"] + 7)
        results = SimpleNamespace(
            studies=results.studies, confusion=other, first_runs=results.first_runs
        )
        assert matrices.of_studies(results) == {}
