"""Whether networks were trained as they should be."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import calinski_harabasz_score

from report import claims_table, published, reproduction, soundness
from report.evidence_tables import DIMENSIONS_TABLE
from utils import config, places
from utils.store.tables import CONFUSION_TABLE, FACTS_TABLE, LOSSES_TABLE, METRICS_TABLE

N = 1000
SOUND, LINE = 300.0, 10_000.0  # indices of ten clusters: 0.73 and 0.99 of the variance


def metric_rows(seed=0, index=SOUND, k=10, **changes):
    """The scores of one clustering; `index` is that of Caliński and Harabasz, None without one."""
    key = {
        **{"profile": "paper", "study": "fashion-ae", "dataset": "fashion_mnist", "n": N},
        **{"seed": seed, "representation": "autoencoder", "space": "raw", "clusterer": "kmeans"},
        **{"k_found": k, "noise_fraction": 0.0},
    } | changes
    values = {"ari": 0.3, "nmi": 0.5, "purity": 0.5}
    values |= {} if index is None else {"silhouette": 0.2, "calinski_harabasz": index}
    return [{**key, "metric": metric, "value": value} for metric, value in values.items()]


def metrics(*parts):
    rows = [row for part in parts for row in part]
    return pd.DataFrame(rows, columns=list(METRICS_TABLE.columns))


@pytest.fixture
def fashion():
    return config.load_study("fashion-ae")


# --- the rule ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dimensions", "is_line"), [(1, True), (2, False), (5, False)])
def test_ten_clusters_explain_nearly_everything_on_a_line_only(dimensions, is_line):
    points = np.random.default_rng(0).normal(size=(4000, dimensions))
    fit = KMeans(10, n_init=3, random_state=0).fit(points)
    share = soundness.explained_share(calinski_harabasz_score(points, fit.labels_), 10, 4000)
    total = ((points - points.mean(axis=0)) ** 2).sum()
    assert share == pytest.approx(1 - fit.inertia_ / total, abs=1e-4)
    assert (share > soundness.MOST_EXPLAINED) == is_line


def test_a_network_whose_code_is_a_line_has_collapsed(fashion):
    table = metrics(metric_rows(0), metric_rows(1, LINE))
    (network,) = soundness.collapsed(table, [fashion])
    assert network == ("fashion-ae", 1, "autoencoder")
    assert "99 %" in soundness.collapsed(table, [fashion])[network]


@pytest.mark.parametrize(("k", "index"), [(1, None), (3, 1.0), (9, SOUND)])
def test_a_code_with_fewer_values_than_clusters_has_collapsed(k, index, fashion):
    found = soundness.collapsed(metrics(metric_rows(0, index, k)), [fashion])
    assert list(found.values()) == [f"k-means finds {k} instead of 10 clusters in its code"]


def test_only_networks_collapse_and_only_by_kmeans(fashion):
    table = metrics(
        metric_rows(0, LINE, representation="pixels"),
        metric_rows(0, LINE, representation="efficientnet_lite0"),
        metric_rows(0, None, 1, clusterer="dbscan"),
        metric_rows(0, LINE, study="another"),
    )
    assert soundness.collapsed(table, [fashion]) == {}


def test_a_network_has_collapsed_if_it_has_on_every_number_of_images(fashion):
    few = metric_rows(0, LINE, n=100)
    assert soundness.collapsed(metrics(metric_rows(0), few), [fashion]) == {}
    assert soundness.collapsed(metrics(metric_rows(0, LINE), few), [fashion])


def test_labels_have_no_say(fashion):
    table = metrics(metric_rows(0), metric_rows(1, LINE))
    shuffled = table.assign(
        value=table["value"].where(~table["metric"].isin(["ari", "nmi", "purity"]), 0.0)
    )
    assert soundness.collapsed(shuffled, [fashion]) == soundness.collapsed(table, [fashion])


# --- a collapsed network counts as failed ---------------------------------------------------------


def test_scores_of_a_collapsed_network_are_left_out_and_its_seed_is_named(fashion):
    table = metrics(
        *(metric_rows(seed) for seed in (0, 1, 2)), metric_rows(3, LINE), metric_rows(4)
    )
    table.loc[(table["seed"] == 3) & (table["metric"] == "ari"), "value"] = 0.0
    facts = FACTS_TABLE.empty()
    verdicts = reproduction.reported_vs_reproduced(table, facts, [fashion], reduced=False)
    row = verdicts[verdicts["score"] == "ARI"].iloc[0]
    assert row["mean"] == pytest.approx(0.3)
    assert row["n_networks"] == 4
    assert row["seed_values"] == "0.3000 0.3000 0.3000 failed 0.3000"
    assert row["note"].startswith("seed 3 failed: its network has collapsed, since 99 %")


def test_a_score_whose_networks_all_collapsed_has_failed(fashion):
    table = metrics(metric_rows(0, LINE), metric_rows(1, LINE))
    verdicts = reproduction.reported_vs_reproduced(
        table, FACTS_TABLE.empty(), [fashion], reduced=False
    )
    assert set(verdicts["verdict"]) == {"failed"}


def test_claims_do_not_see_a_collapsed_network(fashion, monkeypatch):
    seen = []
    monkeypatch.setattr(
        claims_table, "examine", lambda study, *tables: seen.append(tables[:2]) or []
    )
    table = metrics(metric_rows(0), metric_rows(1, LINE))
    counts = pd.concat([confusion([5, 5]), confusion([5, 5]).assign(seed=1)])
    nothing = pd.DataFrame(columns=["study", "seed", "representation"])
    claims_table.of_studies([fashion], table, counts, FACTS_TABLE.empty(), nothing, False)
    assert [set(table["seed"]) for table in seen[0]] == [{0}, {0}]


def test_no_published_network_has_collapsed():
    run = published.load(places.published())
    assert soundness.collapsed(run.metrics, run.studies) == {}
    assert len(soundness.explained_shares(run.metrics, config.study_names()))


# --- warnings ------------------------------------------------------------------------------------


def losses(*curves):
    parts = [
        pd.DataFrame(
            {
                **{"study": "cifar10-cae", "seed": seed, "network": "autoencoder"},
                "epoch": range(1, len(values) + 1),
                **{"loss": 0.1, "validation_loss": values, "seconds": 1.0},
            }
        )
        for seed, values in enumerate(curves)
    ]
    return pd.concat(parts) if parts else LOSSES_TABLE.empty()


def confusion(sizes):
    rows = [
        ("fashion-ae", 0, "autoencoder", "raw", "kmeans", sum(sizes), cluster, "0", size)
        for cluster, size in enumerate(sizes)
    ]
    return pd.DataFrame(rows, columns=list(CONFUSION_TABLE.columns))


def view(x, y, z, axes="1 2 3"):
    columns = {"x": x, "y": y, "z": z, "class": "a", "cluster": "0", "what": "image"}
    table = pd.DataFrame({"study": "mnist-conv-ae", "seed": 0, **columns, "axes": axes})
    return table[list(DIMENSIONS_TABLE.columns)]


def warnings(index=SOUND, curves=((0.2, 0.1),), sizes=(50, 50), dimensions=None):
    dimensions = view([0, 1], [0, 1], [0, 1]) if dimensions is None else dimensions
    runs = soundness.Trainings(
        metrics(metric_rows(0, index)), confusion(sizes), losses(*curves), dimensions
    )
    return soundness.warnings_of(runs, [config.load_study("fashion-ae")])


def test_sound_trainings_give_no_warning():
    assert warnings() == []
    assert warnings(curves=[(0.2, 0.1, 0.105)]) == []
    assert warnings(curves=[(np.nan, np.nan)]) == []


def test_a_run_that_left_nothing_gives_no_warning():
    empty = SimpleNamespace(**{name: table.empty() for name, table in {
        "metrics": METRICS_TABLE, "confusion": CONFUSION_TABLE,
        "losses": LOSSES_TABLE, "dimensions": DIMENSIONS_TABLE,
    }.items()})  # fmt: skip
    assert soundness.warnings_of(empty, [config.load_study("fashion-ae")]) == []


def test_a_collapsed_network_gives_a_warning():
    assert warnings(LINE) == [
        "Fashion-MNIST, seed 0: the autoencoder has collapsed: 99 % of the variance of its code "
        "lies between 10 clusters."
    ]


def test_a_rising_validation_loss_gives_one_warning_for_all_seeds():
    (rising,) = warnings(curves=[(0.2, 0.1, 0.15), (0.2, 0.1), (0.3, 0.1, 0.12)])
    assert rising == (
        "CIFAR-10: the validation loss of the autoencoder rose again in 2 of 3 trainings, at most "
        "from 0.1000 to 0.1500."
    )


def test_a_cluster_with_nearly_all_images_gives_a_warning():
    assert warnings(sizes=(90, 10)) == [
        "Fashion-MNIST, seed 0: the autoencoder has 90 % of the images in one cluster."
    ]


@pytest.mark.parametrize(
    ("dimensions", "which"),
    [
        (view([0, 0], [0, 1], [0, 1]), "dimension 1 is"),
        (view([0, 1], [0, 1], [0, 1], "1 4 5"), "dimensions 2 and 3 are"),
        (view([0, 0], [0, 0], [0, 0]), "dimensions 1, 2 and 3 are"),
    ],
)
def test_constant_dimensions_are_named(dimensions, which):
    assert warnings(dimensions=dimensions) == [
        f"MNIST (Schlachter), seed 0: {which} constant in the code."
    ]
