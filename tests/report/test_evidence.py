"""The evidence of a run: agreement between seeds, maps, origins, and the tables that hold them."""

import dataclasses
import json
import shutil
from pathlib import Path

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import agreement, collect, evidence_tables, joining, origins_of, published
from report.evidence_tables import (
    AGREEMENT_TABLE,
    DIMENSIONS_TABLE,
    EVIDENCE,
    MAPS_TABLE,
    ORIGINS_TABLE,
)
from utils import metrics, places
from utils.errors import UserError
from utils.store import files
from utils.store.tables import (
    CONFUSION_TABLE,
    LABEL_FREE_TABLE,
    LOSSES_TABLE,
    NEW_IMAGES_TABLE,
    NUMBERS_TABLE,
    RELIABILITY_TABLE,
    STARTS_TABLE,
)

STUDIES = ("mnist-cae", "cifar10-cae")


@pytest.fixture(scope="module", autouse=True)
def made_up(tmp_path_factory):
    """A run of made-up studies, and the configuration that has them."""
    folder = tmp_path_factory.mktemp("made-up")
    with places.elsewhere(config=fake_run.write_config(folder / "config")):
        yield fake_run.write_run(folder / "runs")


@pytest.fixture
def runs(made_up, tmp_path):
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(made_up, tmp_path / "runs"))


def collected(runs):
    for manifest in runs.glob("*/*/*/*/manifest.json"):
        files.write_checksums(manifest.parent)
    return collect.collect("quick", STUDIES, (0, 1), runs)


def manifest_of(runs, notebook, seed=0):
    return fake_run.notebook_folder(runs, "quick", "mnist-cae", seed, notebook) / "manifest.json"


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- agreement between seeds -------------------------------------------------------------------


def assignments_of(clusters, **changes):
    """The assignments of one clustering; `clusters` maps a seed to the cluster of each image."""
    key = {"study": "a", "representation": "code", "space": "raw", "clusterer": "kmeans"} | changes
    parts = [
        pd.DataFrame({**key, "seed": seed, "index": range(len(of)), "cluster": of, "n": len(of)})
        for seed, of in clusters.items()
    ]
    return pd.concat(parts, ignore_index=True)


three_seeds = st.integers(1, 20).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(-1, 3), min_size=n, max_size=n)] * 3)
)


@given(three_seeds)
def test_agreement_adds_up_to_the_sizes_of_the_clusters(clusters):
    clusters = dict(enumerate(clusters))
    # The order of the rows means nothing.
    rows = assignments_of(clusters).sample(frac=1, random_state=0)
    table = agreement.between_seeds(rows, ["a"])
    seeds = list(table.groupby(["seed", "other_seed"]).groups)
    assert seeds == [(0, 1), (0, 2), (1, 2)]
    for (seed, other), part in table.groupby(["seed", "other_seed"]):
        for which, column in ((seed, "cluster"), (other, "other_cluster")):
            sizes = pd.Series(clusters[which]).value_counts().to_dict()
            assert part.groupby(column)["images"].sum().to_dict() == sizes
        assert not part.duplicated(["cluster", "other_cluster"]).any()
        counts = part.pivot(index="cluster", columns="other_cluster", values="images").fillna(0)
        both = {seed: np.array(clusters[seed]), other: np.array(clusters[other])}
        expected = metrics.stability(both)
        assert metrics.adjusted_rand(counts.to_numpy()) == pytest.approx(expected)


def test_agreement_compares_the_same_clustering_of_the_same_images_only():
    rows = pd.concat(
        [
            assignments_of({0: [0, 0, 1], 4: [1, 1, 1]}),
            assignments_of({1: [0, 1]}),  # of fewer images
            assignments_of({1: [0, 1, 1]}, space="pca"),
            assignments_of({0: [0], 1: [0]}, study="leaderboard"),
        ]
    )
    table = agreement.between_seeds(rows, ["a"])
    assert list(table.columns) == list(AGREEMENT_TABLE.columns)
    columns = ["seed", "other_seed", "n", "cluster", "other_cluster", "images"]
    found = sorted(map(tuple, table[columns].to_numpy().tolist()))
    assert found == [(0, 4, 3, 0, 1, 2), (0, 4, 3, 1, 1, 1)]


# --- maps --------------------------------------------------------------------------------------


def test_maps_have_class_and_cluster_of_each_point_of_the_first_seed(runs):
    table = collected(runs).evidence[MAPS_TABLE.file]
    assert list(table.columns) == list(MAPS_TABLE.columns)
    assert table.to_dict("split")["data"] == [
        ["mnist-cae", 0, "tsne", 1, 2, "zéro", "7"],
        ["mnist-cae", 0, "tsne", 3, 4, "<b>", "0"],
    ]


def test_a_map_in_one_colouring_only_is_left_out(runs):
    path = manifest_of(runs, "03_latent_clustering")
    figures = json.loads(path.read_text())["figures"]
    edit(path, figures=[figure for figure in figures if figure["name"] != "tsne_cluster"])
    assert collected(runs).evidence[MAPS_TABLE.file].empty


def test_the_name_of_a_class_stays_a_word(runs):
    path = manifest_of(runs, "03_latent_clustering")
    (path.parent / "figures/tsne_label.csv").write_text("x,y,class\n1,2,NA\n3,4,007\n")
    assert list(collected(runs).evidence[MAPS_TABLE.file]["class"]) == ["NA", "007"]


def test_a_view_in_three_dimensions_has_its_images_and_the_centres_of_its_clusters(runs):
    table = collected(runs).evidence[DIMENSIONS_TABLE.file]
    assert list(table.columns) == list(DIMENSIONS_TABLE.columns)
    assert table.to_dict("split")["data"] == [
        ["mnist-cae", 0, 1, 2, 3, "zéro", "7", "image", "1 2 4"],
        ["mnist-cae", 0, 4, 5, 6, "<b>", "0", "image", "1 2 4"],
        ["mnist-cae", 0, 7, 8, 9, "", "0", "centre", "1 2 4"],
    ]


# --- origins -----------------------------------------------------------------------------------


def test_each_score_has_its_origin_and_that_of_its_network(runs):
    run = collected(runs)
    table = origins_of.of_runs(run.notebooks).set_index(["representation", "seed", "notebook"])
    trained, pixels = (
        table.loc[("autoencoder", 1, "03_latent_clustering")],
        table.loc[("pixels", 0, "01_baseline_kmeans")],
    )
    for row in (trained, pixels):
        assert {name: row[name] for name in ("commit", "processor", "computed", "code")} == {
            **{name: fake_run.ORIGIN[name] for name in ("commit", "processor", "computed")},
            "code": fake_run.CODE,
        }
    assert (trained["seconds"], pixels["seconds"]) == (141.5, 41.5)
    network = {name: trained[f"network_{name}"] for name in (*origins_of.OF_NETWORK, "seconds")}
    expected = {name: value for name, value in fake_run.NETWORK_ORIGIN.items() if name in network}
    assert network == expected
    assert (trained["precision"], pixels["precision"]) == ("bfloat16", "float32")
    assert all(pixels[f"network_{name}"] == "" for name in origins_of.OF_NETWORK)
    assert np.isnan(pixels["network_seconds"])


def test_every_representation_and_seed_that_was_scored_has_an_origin(runs):
    run = collected(runs)
    key = ["study", "seed", "representation"]
    origins = run.evidence[ORIGINS_TABLE.file].set_index(key).index
    assert set(origins) == set(run.metrics.set_index(key).index)


def test_a_failed_notebook_is_the_origin_of_nothing(runs):
    edit(manifest_of(runs, "03_latent_clustering", seed=1), failed="the loss became nan")
    table = origins_of.of_runs(collected(runs).notebooks)
    assert 1 not in set(table["seed"][table["representation"] == "autoencoder"])


# --- reading and joining -----------------------------------------------------------------------


def test_a_table_that_is_named_and_missing_is_an_error(runs, tmp_path):
    names = [schema.file for schema in EVIDENCE]
    evidence_tables.write(collected(runs).evidence, tmp_path)
    found = evidence_tables.read(tmp_path, names)
    assert {name: list(table.columns) for name, table in found.items()} == {
        schema.file: list(schema.columns) for schema in EVIDENCE
    }
    assert all(len(table) for table in found.values())
    for name in names:
        (tmp_path / name).rename(tmp_path / "aside")
        with pytest.raises(UserError, match=rf"{name}: missing: build the report again"):
            evidence_tables.read(tmp_path, names)
        others = evidence_tables.read(tmp_path, [other for other in names if other != name])
        assert others[name].empty
        assert list(others[name].columns) == list(found[name].columns)
        (tmp_path / "aside").rename(tmp_path / name)


def test_a_run_of_earlier_code_has_no_evidence(tmp_path):
    assert all(table.empty for table in evidence_tables.read(tmp_path, []).values())


@pytest.fixture
def parts(runs):
    """A published run and a later one, both with seeds 0 and 1, of which the later has 1 only."""
    run = collected(runs)
    record = {
        "made": "2025-01-01T", "studies": ["mnist-cae"], "seeds": [0, 1], "leaderboards": [],
        "data": {"mnist-cae": {"substituted": False}}, "profile": {"reduced": False},
        "evidence": [schema.file for schema in EVIDENCE],
    }  # fmt: skip
    first = published.Published(run.metrics, run.facts, record, run.evidence)
    first = joining.joined(first, None)
    # The later one has a notebook with networks only, whose seed is 1.
    later = dataclasses.replace(
        first,
        metrics=run.metrics[run.metrics["seed"] == 1].assign(value=0.75),
        facts=run.facts[run.facts["seed"] == 1],
        record={**record, "made": "2025-02-02T"},
        evidence={
            name: table[table["seed"] == 1].assign(**changed_column(name))
            for name, table in run.evidence.items()
        },
    )
    return first, later


CHANGED = {
    CONFUSION_TABLE.file: ("images", 99),
    STARTS_TABLE.file: ("value", 99.0),
    LOSSES_TABLE.file: ("loss", 99.0),
    AGREEMENT_TABLE.file: ("images", 99),
    MAPS_TABLE.file: ("x", 99.0),
    DIMENSIONS_TABLE.file: ("x", 99.0),
    ORIGINS_TABLE.file: ("seconds", 99.0),
    NEW_IMAGES_TABLE.file: ("value", 99.0),
    RELIABILITY_TABLE.file: ("accuracy", 99.0),
    LABEL_FREE_TABLE.file: ("value", 99.0),
    NUMBERS_TABLE.file: ("value", 99.0),
}


def changed_column(name):
    column, value = CHANGED[name]
    return {column: value}


@pytest.mark.parametrize("schema", EVIDENCE, ids=lambda schema: schema.file)
def test_joining_keeps_the_evidence_of_the_seeds_that_are_kept(parts, schema):
    first, later = parts
    both = joining.joined(later, first)
    assert both.record["published"] == {"mnist-cae": [1]}
    assert both.record["evidence"] == [one.file for one in EVIDENCE]
    table, (column, value) = both.evidence[schema.file], CHANGED[schema.file]
    assert list(table.columns) == list(schema.columns)
    old, new = first.evidence[schema.file], later.evidence[schema.file]
    of_the_later = table[column] == value
    assert of_the_later.sum() == len(new)
    assert (table.loc[of_the_later, "seed"] == 1).all()
    kept = table[~of_the_later].reset_index(drop=True)
    expected = old[old["seed"] == 0]
    if "other_seed" in expected:  # seed 1 is of another run now
        expected = expected[expected["other_seed"] == 0]
    expected = expected.reset_index(drop=True)
    assert len(expected) or schema is AGREEMENT_TABLE
    pd.testing.assert_frame_equal(kept, expected, check_dtype=False)


def test_seeds_of_kmeans_that_both_parts_have_count_once(parts):
    """A later run of seed 0 alone has the same seeds of k-means on pixels as the earlier one."""
    first, _ = parts
    later = dataclasses.replace(
        first,
        facts=first.facts[first.facts["seed"] == 0],
        metrics=first.metrics[
            (first.metrics["seed"] == 0) | (first.metrics["representation"] == "pixels")
        ].assign(value=0.75),
        evidence={
            **first.evidence,
            CONFUSION_TABLE.file: first.evidence[CONFUSION_TABLE.file]
            .query("seed == 0 or representation == 'pixels'")
            .assign(images=7),
        },
    )
    both = joining.joined(later, first)
    pixels = both.metrics[both.metrics["representation"] == "pixels"]
    assert set(pixels["seed"]) == set(range(fake_run.UNTRAINED_SEEDS))
    assert set(pixels["value"]) == {0.75}
    clustering = ["study", "representation", "space", "clusterer", "n", "seed"]
    assert not both.metrics.duplicated([*clustering, "metric"]).any()
    counts = both.evidence[CONFUSION_TABLE.file]
    assert not counts.duplicated([*clustering, "class", "cluster"]).any()
    assert set(counts.loc[counts["representation"] == "pixels", "images"]) == {7}
    networks = both.metrics[both.metrics["representation"] == "autoencoder"]
    assert set(networks["seed"]) == {0, 1}


def test_joining_with_a_run_of_earlier_code_keeps_what_there_is(parts):
    first, later = parts
    record = {name: value for name, value in first.record.items() if name != "evidence"}
    older = dataclasses.replace(first, record=record, evidence=evidence_tables.read(Path(), []))
    both = joining.joined(later, older)
    for name, table in both.evidence.items():
        assert len(table) == len(later.evidence[name])


def test_a_study_that_is_not_run_again_keeps_its_seeds_of_kmeans(parts):
    first, later = parts
    other = dataclasses.replace(
        later,
        metrics=later.metrics.assign(study="cifar10-cae"),
        facts=later.facts.assign(study="cifar10-cae"),
        record={**later.record, "studies": ["cifar10-cae"]},
        evidence={
            name: table.assign(study="cifar10-cae") for name, table in later.evidence.items()
        },
    )
    own = joining.joined(other, first).metrics.query("study == 'mnist-cae'")
    expected = first.metrics.query("study == 'mnist-cae'")
    assert len(own) == len(expected) > 0
    pixels = own[own["representation"] == "pixels"]
    assert set(pixels["seed"]) == set(range(fake_run.UNTRAINED_SEEDS))
