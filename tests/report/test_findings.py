"""What the article says was found."""

from types import SimpleNamespace

import pandas as pd
import pytest

from report import article_figures, findings
from report.comparisons import Comparison
from report.evidence_tables import MAPS_TABLE
from utils import config
from utils.config.vocabulary import SUBSTITUTE
from utils.store.tables import CONFUSION_TABLE, METRICS_TABLE, STARTS_TABLE

N = 100


def metric_rows(study, representation, space, values, metric="ari", n=N):
    return [
        {
            "profile": "paper",
            "study": study,
            "dataset": "d",
            "n": n,
            "seed": seed,
            "representation": representation,
            "space": space,
            "clusterer": "kmeans",
            "k_found": 10,
            "noise_fraction": 0.0,
            "metric": metric,
            "value": value,
        }
        for seed, value in enumerate(values)
    ]


def start_rows(study, representation, values):
    return [
        {
            "study": study,
            "seed": 0,
            "representation": representation,
            "space": "raw",
            "clusterer": "kmeans",
            "n": N,
            "kmeans_seed": start,
            "metric": "ari",
            "value": value,
        }
        for start, value in enumerate(values)
    ]


def fullest(metrics, starts=()):
    evidence = {
        STARTS_TABLE.file: pd.DataFrame(list(starts), columns=list(STARTS_TABLE.columns)),
        MAPS_TABLE.file: MAPS_TABLE.empty(),
        CONFUSION_TABLE.file: CONFUSION_TABLE.empty(),
    }
    table = pd.DataFrame(metrics, columns=list(METRICS_TABLE.columns))
    return SimpleNamespace(metrics=table, evidence=evidence, boards={}, record={})


@pytest.fixture
def fashion():
    return config.load_study("fashion-ae")


@pytest.mark.parametrize(
    ("code", "pixels", "outcome"),
    [
        ([0.30, 0.31, 0.29], [0.36, 0.37, 0.35], "worse"),
        ([0.46, 0.47, 0.45], [0.36, 0.37, 0.35], "better"),
        ([0.30, 0.45, 0.35], [0.36, 0.40, 0.33], "undecided"),
    ],
)
def test_pixels_of_a_protocol_with_one_run_are_compared_by_their_starts(
    fashion, code, pixels, outcome
):
    metrics = metric_rows("fashion-ae", "autoencoder", "raw", code)
    metrics += metric_rows("fashion-ae", "pixels", "raw", [0.36])
    found = findings.beside_pixels(
        fullest(metrics, start_rows("fashion-ae", "pixels", pixels)), [fashion]
    )
    assert [one.outcome for one in found] == [outcome]
    assert found[0].comparison.other == tuple(pixels)


def test_without_starts_one_run_decides_nothing(fashion):
    metrics = metric_rows("fashion-ae", "autoencoder", "raw", [0.30, 0.31, 0.29])
    metrics += metric_rows("fashion-ae", "pixels", "raw", [0.9])
    assert findings.beside_pixels(fullest(metrics), [fashion])[0].outcome == "undecided"


def test_representations_are_compared_on_the_same_images(fashion):
    metrics = metric_rows("fashion-ae", "autoencoder", "raw", [0.3, 0.31], n=1000)
    metrics += metric_rows("fashion-ae", "autoencoder", "raw", [0.5], n=N)
    metrics += metric_rows("fashion-ae", SUBSTITUTE, "raw", [0.6], n=N)
    (found,) = findings.beside_frozen(fullest(metrics), [fashion])
    assert found.comparison.ours == (0.5,)
    assert found.comparison.other_mean - found.comparison.our_mean == pytest.approx(0.1)
    assert findings.beside_pixels(fullest(metrics), [fashion]) == []


def test_an_index_that_prefers_another_representation_is_counted_as_wrong(fashion):
    values = {
        "pixels": (0.3, 0.1, 2.0),
        "autoencoder": (0.2, 0.3, 1.0),
        SUBSTITUTE: (0.5, 0.2, 3.0),
    }
    metrics = [
        row
        for name, scores in values.items()
        for metric, value in zip(("ari", "silhouette", "davies_bouldin"), scores, strict=True)
        for row in metric_rows("fashion-ae", name, "raw", [value], metric)
    ]
    found = findings.indices_find(fullest(metrics), [fashion])
    assert found == findings.IndexFinding(silhouette=0, davies_bouldin=0, studies=1)
    table = article_figures.indices_of(fullest(metrics), [fashion])
    assert list(table["representation"]) == ["pixels", "autoencoder", "frozen network"]


def test_clusters_are_sorted_by_their_majority_class(fashion):
    counts = pd.DataFrame(
        [
            ("fashion-ae", 0, "pixels", "raw", "kmeans", N, 0, "b", 30),
            ("fashion-ae", 0, "pixels", "raw", "kmeans", N, 0, "a", 5),
            ("fashion-ae", 0, "pixels", "raw", "kmeans", N, 1, "a", 40),
            ("fashion-ae", 0, "pixels", "raw", "kmeans", N, 2, "b", 25),
            ("fashion-ae", 1, "pixels", "raw", "kmeans", N, 0, "a", N),
        ],
        columns=list(CONFUSION_TABLE.columns),
    )
    table = article_figures.sorted_counts(counts, fashion, "pixels", "raw")
    assert list(table.index) == ["a", "b", "b"]
    assert table.to_numpy().tolist() == [[40, 0], [5, 30], [0, 25]]


def beside(title, ours, other):
    compared = Comparison(tuple(ours), tuple(other))
    return findings.Beside(title.lower(), title, compared)


BETTER = beside("A", [0.5, 0.51, 0.52], [0.3, 0.31, 0.32])
WORSE = beside("B", [0.3, 0.31, 0.32], [0.5, 0.51, 0.52])
OPEN = beside("C", [0.3, 0.5, 0.4], [0.35, 0.45, 0.4])
FROZEN = "Frozen features of EfficientNet-Lite0 (trained with ImageNet-1k's labels)"
INDICES = findings.IndexFinding(silhouette=0, davies_bouldin=1, studies=3)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([BETTER], "The autoencoder's code beats raw pixels on A (ARI 0.51 against 0.31)."),
        ([WORSE], "On no dataset does the autoencoder's code clearly beat raw pixels; "
                  "it is worse on B (ARI 0.31 against 0.51)."),
        ([BETTER, WORSE, OPEN], "The autoencoder's code beats raw pixels on A (ARI 0.51 against "
                                "0.31); it is worse on B (0.31 against 0.51); C is "
                                "undecided."),
        ([OPEN, OPEN], "On no dataset does the autoencoder's code clearly beat raw pixels; "
                       "the other 2 studies are undecided."),
    ],
)  # fmt: skip
def test_the_sentence_on_pixels_says_what_the_comparisons_say(found, sentence):
    assert findings.help_sentence(found) == sentence


@pytest.mark.parametrize(
    ("found", "beginning"),
    [
        ([WORSE, OPEN], f"{FROZEN} beat the autoencoder on B (ARI 0.51 against 0.31); C is "
                        "undecided. "),
        ([BETTER, WORSE], f"{FROZEN} beat the autoencoder on B (ARI 0.51 against 0.31); they are "
                          "worse on A (0.31 against 0.51). "),
        ([OPEN], f"{FROZEN} clearly beat the autoencoder on no dataset; C is undecided. "),
    ],
)  # fmt: skip
def test_the_sentence_on_frozen_networks_says_what_the_comparisons_say(found, beginning):
    assert findings.frozen_sentence(found, INDICES) == (
        f"{beginning}Internal indices are no guide: the best silhouette has the best ARI in "
        "none of 3 studies."
    )


def test_a_study_that_one_network_leaves_open_is_named():
    single = beside("D", [0.3], [0.5, 0.51])
    assert single.outcome == "undecided"
    assert findings.one_network_sentence([BETTER, OPEN]) == ""
    assert findings.one_network_sentence([OPEN, single]) == (
        "Of D one network only was scored on the images that the frozen network was given, and one "
        "run decides nothing."
    )


def test_the_author_of_a_study_stands_with_its_scores():
    found = [beside("MNIST (Das)", [0.5, 0.51, 0.52], [0.3, 0.31, 0.32]), BETTER]
    assert findings.help_sentence(found) == (
        "The autoencoder's code beats raw pixels on MNIST (Das, ARI 0.51 against 0.31) and A "
        "(0.51 against 0.31)."
    )


def test_indices_that_agree_with_the_ari_are_said_to_do_so():
    agree = findings.IndexFinding(silhouette=3, davies_bouldin=3, studies=3)
    assert findings.frozen_sentence([OPEN], agree).endswith(
        " The best silhouette has the best ARI in each of 3 studies."
    )
    assert findings.indices_sentence(agree).startswith("They rank representations as")


def test_a_random_network_that_both_indices_prefer_is_named(fashion):
    values = {
        "pixels": (0.3, 0.1, 2.0),
        "autoencoder": (0.2, 0.2, 1.5),
        SUBSTITUTE: (0.5, 0.2, 3.0),
        "resnet50_random": (0.01, 0.3, 1.0),
    }
    metrics = [
        row
        for name, scores in values.items()
        for metric, value in zip(("ari", "silhouette", "davies_bouldin"), scores, strict=True)
        for row in metric_rows("fashion-ae", name, "raw", [value], metric)
    ]
    found = findings.indices_find(fullest(metrics), [fashion])
    assert found.misled == {"Fashion-MNIST": 0.01}
    assert findings.indices_sentence(found) == (
        "They do not rank representations as the ARI does: the best silhouette has the best ARI "
        "in none of 1 study, the best Davies-Bouldin index in none. On Fashion-MNIST both "
        "prefer a network with random weights, whose ARI is 0.01."
    )


def test_the_sentence_on_methods_without_training_names_the_papers_networks():
    row = SimpleNamespace(ari=0.945, seconds=93.0)
    best = findings.BestUntrained(
        "board", "MNIST", "pixels, UMAP 10, k-means", row, {"A": 0.39, "B": 0.44}
    )
    assert best.gain == pytest.approx(0.505)
    assert findings.untrained_sentence(best) == (
        "On MNIST, an untrained method (pixels, UMAP 10, k-means) reaches ARI 0.94 "
        "in 1 min 33 s, against 0.39 and 0.44 of the papers' networks"
    )
    one = findings.BestUntrained("board", "CIFAR-10", "HOG, raw, k-means", row, {"A": 0.07})
    assert findings.untrained_sentence(one).endswith(", against 0.07 of the paper's network")
