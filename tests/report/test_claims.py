import math
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import claims, claims_table
from utils import config, errors
from utils.data import datasets
from utils.store import tables as tables_module

LATENTS = config.Clustered(representation="autoencoder", space="raw", clusterer="kmeans")
PIXELS = config.Clustered(representation="pixels", space="raw", clusterer="kmeans")
FACT = config.Fact(notebook="03_latent_clustering", name="map_neighbours_same_cluster")


def confusion_rows(table, seed=0, n=100, of=LATENTS, study="mnist-cae"):
    """Rows of one clustering; `table` maps a class to its counts in cluster 0, 1, … (and −1)."""
    rows = [
        (study, seed, of.representation, of.space, of.clusterer, n, cluster, name, count)
        for name, counts in table.items()
        for cluster, count in (
            counts if isinstance(counts, dict) else dict(enumerate(counts))
        ).items()
        if count
    ]
    return pd.DataFrame(rows, columns=list(tables_module.CONFUSION_TABLE.columns))


def metric_rows(values, metric="ari", n=100, of=LATENTS, study="mnist-cae"):
    """Rows of one clustering; `values` maps a seed to a value."""
    fixed = {"profile": "paper", "study": study, "dataset": "mnist", "n": n, "metric": metric}
    fixed |= {"k_found": 10, "noise_fraction": 0.0, **of.model_dump()}
    rows = [{**fixed, "seed": seed, "value": value} for seed, value in values.items()]
    return pd.DataFrame(rows, columns=list(tables_module.METRICS_TABLE.columns))


def study_of(*rules, name="mnist-cae"):
    study = config.load_study(name)
    made = [
        config.Claim(text=f"claim {i}", source="s", reading="r", rule=rule)
        for i, rule in enumerate(rules)
    ]
    return study.model_copy(update={"claims": made})


def examine(rule, *tables, metrics=None, facts=None, reason=None):
    """Test one claim; the tables are of the seeds 0, 1, … or rows that are made already."""
    rows = [
        t if isinstance(t, pd.DataFrame) else confusion_rows(t, s) for s, t in enumerate(tables)
    ]
    (tested,) = claims.examine(
        study_of(rule),
        tables_module.METRICS_TABLE.empty() if metrics is None else metrics,
        pd.concat(rows) if rows else tables_module.CONFUSION_TABLE.empty(),
        lambda fact: (facts or {}) if fact == FACT else {},
        lambda clustered: reason,
    )
    return tested


def group(*classes, **options):
    return config.GroupRule(kind="group", of=LATENTS, classes=classes or ["a"], **options)


def overlap(*pairs, **options):
    return config.OverlapRule(kind="overlap", of=LATENTS, pairs=pairs or [("a", "b")], **options)


def split(**options):
    return config.SplitRule(kind="split", of=LATENTS, classes=["a"], **options)


def diagonal(**options):
    return config.DiagonalRule(kind="diagonal", of=LATENTS, classes=["a"], **options)


def all_found():
    return config.AllFoundRule(kind="all_found", of=LATENTS)


def better(metric="ari", than=PIXELS):
    return config.BetterRule(kind="better", of=LATENTS, than=than, metric=metric)


def fact(at_least=0.9):
    return config.FactRule(kind="fact", fact=FACT, at_least=at_least)


def means(finding):
    return [sum(m.values.values()) / len(m.values) for m in finding.measures]


# --- groups -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "recall", "precision", "outcome"),
    [
        ({"a": [8, 2], "b": [2, 8]}, 0.8, 0.8, "holds"),
        ({"a": [4, 4, 2], "b": [0, 0, 9]}, 0.4, 1.0, "does not hold"),  # torn apart
        ({"a": [9, 1], "b": [20, 0]}, 0.9, 9 / 29, "does not hold"),  # swallowed
        ({"a": [5, 5], "b": [0, 4]}, 0.5, 1.0, "does not hold"),  # a half is not more than a half
        ({"a": [6, 4], "b": [6, 1]}, 0.6, 0.5, "does not hold"),
    ],
)
def test_a_group_needs_most_of_the_class_and_to_be_most_of_the_cluster(
    table, recall, precision, outcome
):
    tested = examine(group(), table)
    (finding,) = tested.findings
    assert finding.subject == "a"
    assert means(finding) == [pytest.approx(recall), pytest.approx(precision)]
    assert tested.outcome == outcome


def test_the_share_of_a_rule_is_what_a_group_needs():
    table = {"a": [8, 2], "b": [0, 10]}
    assert examine(group(share=0.7), table).outcome == "holds"
    assert examine(group(share=0.8), table).outcome == "does not hold"


def test_noise_is_no_group_but_counts_in_the_size_of_the_class():
    tested = examine(group(), {"a": {0: 4, -1: 6}, "b": [0, 10]})
    assert means(tested.findings[0]) == [0.4, 1.0]
    assert tested.outcome == "does not hold"
    assert examine(group(), {"a": {0: 6, -1: 4}, "b": {1: 9, -1: 9}}).outcome == "holds"


def test_of_equally_large_parts_the_purest_is_taken():
    tested = examine(group(share=0.4), {"a": [5, 5], "b": [20, 0]})
    assert means(tested.findings[0]) == [0.5, 1.0]


def test_only_asks_that_no_other_class_is_a_group():
    alone = {"a": [9, 1, 0], "b": [1, 5, 5], "c": [0, 5, 5]}
    with_c = {"a": [9, 1, 0], "b": [1, 9, 0], "c": [0, 0, 9]}
    tested = examine(group(only=True), alone, alone)
    assert [f.subject for f in tested.findings] == ["a", "any other class (none)"]
    assert tested.outcome == "holds"
    tested = examine(group(only=True), with_c, alone)
    assert tested.findings[1].subject == "any other class (b, c)"
    assert tested.findings[1].holds == {0: False, 1: True}
    assert tested.findings[1].measures[0].values == {0: 2, 1: 0}
    assert tested.outcome == "holds in part"
    assert len(examine(group(), with_c).findings) == 1


# --- overlaps -----------------------------------------------------------------------------------


def test_overlap_is_the_share_that_two_classes_have_in_common():
    table = {"a": [6, 4, 0], "b": [12, 0, 8], "c": [0, 0, 5]}
    tested = examine(overlap(("a", "b"), ("b", "c"), ("a", "c")), table)
    assert [f.subject for f in tested.findings] == ["a and b", "b and c", "a and c"]
    assert [means(f) for f in tested.findings] == [[0.6, 1], [0.4, 2], [0.0, 3]]
    assert [f.holds[0] for f in tested.findings] == [True, False, False]
    assert tested.outcome == "holds in part"


@pytest.mark.parametrize(
    ("table", "share", "outcome"),
    [
        ({"a": [5, 5], "b": [50, 50]}, 1.0, "holds"),
        ({"a": [10, 0], "b": [0, 10]}, 0.0, "does not hold"),
        ({"a": [5, 5, 0], "b": [5, 0, 5]}, 0.5, "does not hold"),
        ({"a": {0: 4, -1: 6}, "b": {0: 4, -1: 6}}, 0.4, "does not hold"),  # noise is not shared
        ({"a": {-1: 6}, "b": {-1: 6}}, 0.0, "does not hold"),
    ],
)
def test_overlapping_needs_more_than_the_share(table, share, outcome):
    tested = examine(overlap(), table)
    assert means(tested.findings[0])[0] == share
    assert tested.outcome == outcome


def test_equal_overlaps_have_the_same_rank():
    same = [1, 1, 1]
    tested = examine(overlap(("a", "b"), ("b", "c")), {"a": same, "b": same, "c": same})
    assert [f.measures[1].values[0] for f in tested.findings] == [1, 1]


# --- classes that are spread --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "largest", "tenths", "outcome"),
    [
        ([5, 4, 1], 0.5, 3, "holds"),  # a half is not more than a half
        ([10, 9, 1], 0.5, 2, "holds"),
        ([6, 4], 0.6, 2, "does not hold"),
        ({0: 4, -1: 6}, 0.4, 1, "holds"),  # noise is no cluster
        ({-1: 6}, 0.0, 0, "holds"),
    ],
)
def test_a_class_is_split_if_no_cluster_has_more_than_the_share(counts, largest, tenths, outcome):
    tested = examine(split(), {"a": counts, "b": [1, 2, 3]})
    assert means(tested.findings[0]) == [largest, tenths]
    assert tested.outcome == outcome


# --- the diagonal and the classes found ---------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "share", "outcome"),
    [
        ({"a": [4, 3, 3], "b": [1, 2, 9]}, 0.7, "holds"),
        ({"a": [2, 3, 5], "b": [1, 9, 9]}, 0.2, "does not hold"),
        ({"a": [5, 5], "b": [1, 9]}, 0.5, "does not hold"),
        ({"a": {0: 4, -1: 6}, "b": [1]}, 0.4, "does not hold"),
        ({"a": {-1: 6}, "b": {-1: 6}}, 0.0, "does not hold"),
        ({"a": [8, 2], "b": [8, 1]}, 1.0, "holds"),  # of equals the first
    ],
)
def test_the_diagonal_is_where_the_class_is_the_majority(table, share, outcome):
    tested = examine(diagonal(), table)
    assert means(tested.findings[0]) == [share]
    assert tested.outcome == outcome


def test_all_classes_are_found_if_each_is_some_majority():
    tested = examine(all_found(), {"a": [9, 1, 0], "b": [1, 9, 5]})
    assert tested.findings[0].subject == "all classes"
    assert means(tested.findings[0]) == [2, 2]
    assert tested.outcome == "holds"


def test_the_classes_that_are_not_found_are_named():
    no_c = {"a": [9, 1], "b": [1, 9], "c": [2, 2]}
    no_b = {"a": [9, 1], "b": [1, 1], "c": [2, 2]}
    tested = examine(all_found(), no_c, no_b)
    assert tested.findings[0].subject == "all classes (missing in a seed: b, c)"
    assert "b, c" in tested.sentences[0]
    assert "2 of 3 are the majority" in tested.sentences[0]
    assert tested.outcome == "does not hold"


def test_a_class_that_is_the_majority_of_the_noise_only_is_not_found():
    tested = examine(all_found(), {"a": [9], "b": {-1: 9}})
    assert tested.findings[0].measures[0].values == {0: 1}
    assert "b" in tested.findings[0].subject
    assert examine(all_found(), {"a": {-1: 9}, "b": {-1: 9}}).outcome == "does not hold"


# --- comparisons --------------------------------------------------------------------------------


def compared(ours, other, metric="ari", of_n=100, than_n=100):
    rows = [metric_rows(ours, metric, of_n), metric_rows(other, metric, than_n, PIXELS)]
    return examine(better(metric), metrics=pd.concat(rows))


@pytest.mark.parametrize(
    ("ours", "other", "metric", "outcome", "said"),
    [
        ({0: 0.58, 1: 0.60}, {0: 0.38, 1: 0.40}, "ari", "holds", "the first is better"),
        ({0: 0.38, 1: 0.40}, {0: 0.58, 1: 0.60}, "ari", "does not hold", "the first is worse"),
        ({0: 0.3, 1: 0.5}, {0: 0.4, 1: 0.4}, "ari", "undecided", "undecided"),
        ({0: 0.5, 1: 0.6}, {0: 0.3, 1: 0.4}, "ari", "undecided", "undecided"),
        ({0: 3.0, 1: 3.1}, {0: 4.0, 1: 4.1}, "davies_bouldin", "holds", "is better"),
        ({0: 5.0, 1: 5.1}, {0: 4.0, 1: 4.1}, "davies_bouldin", "does not hold", "is worse"),
    ],
)
def test_better_needs_an_interval_that_excludes_0(ours, other, metric, outcome, said):
    tested = compared(ours, other, metric)
    assert tested.outcome == outcome
    assert said in tested.sentences[0]
    assert "unknown" not in tested.sentences[0]
    decided = set() if outcome == "undecided" else {outcome == "holds"}
    assert set(tested.findings[0].holds.values()) == decided
    assert [m.values for m in tested.findings[0].measures] == [ours, other]


runs = st.dictionaries(st.integers(0, 5), st.floats(0, 1), min_size=1, max_size=5)


@given(runs, runs, st.sampled_from(["ari", "davies_bouldin"]))
def test_words_and_outcome_of_a_comparison_agree(ours, other, metric):
    tested = compared(ours, other, metric)
    sentence, last = tested.sentences
    assert (
        last
        == {
            "holds": "The claim holds.",
            "does not hold": "The claim does not hold.",
            "undecided": "The claim is undecided.",
        }[tested.outcome]
    )
    said = re.search(r"; (the first is (better|worse)|which is better is undecided) \(", sentence)
    assert said[2] == {"holds": "better", "does not hold": "worse"}.get(tested.outcome)
    if min(len(ours), len(other)) == 1:
        assert tested.outcome == "undecided"
        assert "a single run" in sentence
        return
    difference, low, high = map(
        float,
        re.search(r"difference (\S+), 95 % interval (\S+) to ([^;)]+)\)", sentence).groups(),
    )
    assert low <= difference <= high
    better = difference > 0 if metric == "ari" else difference < 0
    if tested.outcome == "undecided":
        assert low <= 0 <= high
    else:
        assert low >= 0 or high <= 0
        assert difference == 0 or better == (tested.outcome == "holds")


@pytest.mark.parametrize(
    ("other", "over", "side"),
    [
        ({0: 0.3}, "on one seed", "both sides have a single run"),
        ({0: 0.3, 1: 0.4}, "means over 1 and 2 seeds", "one side has a single run"),
    ],
)
def test_with_a_single_run_on_a_side_nothing_is_decided(other, over, side):
    tested = compared({0: 0.5}, other)
    assert tested.outcome == "undecided"
    assert over in tested.sentences[0]
    assert f"{side}, so that the spread is unknown" in tested.sentences[0]


def test_the_largest_number_of_images_that_both_have_counts():
    rows = [
        metric_rows({0: 0.9, 1: 0.9}, n=1000),
        metric_rows({0: 0.2, 1: 0.21}, n=500),
        metric_rows({0: 0.8, 1: 0.8}, n=50),
        *[metric_rows({0: 0.5, 1: 0.51}, n=n, of=PIXELS) for n in (500, 50)],
        metric_rows({0: 0.9, 1: 0.9}, n=5000, study="other"),
    ]
    tested = examine(better(), metrics=pd.concat(rows))
    assert tested.findings[0].measures[0].values == {0: 0.2, 1: 0.21}
    assert tested.outcome == "does not hold"


def test_different_numbers_of_images_are_not_compared():
    tested = compared({0: 0.5}, {0: 0.3}, of_n=100, than_n=50)
    assert tested.outcome == "not tested"
    assert "equally many images" in tested.reason


def test_a_side_without_a_value_is_named_with_its_reason():
    rows = metric_rows({0: 0.5, 1: math.nan})
    tested = examine(better(), metrics=rows)
    assert (tested.outcome, tested.findings) == ("not tested", ())
    assert "pixels" in tested.reason
    assert "autoencoder" not in tested.reason
    tested = examine(better(), metrics=rows, reason="the weights\ncould not be had (offline).")
    assert tested.sentences == ["The claim is not tested: the weights could not be had (offline)."]
    assert examine(better(), reason="diverged").reason == "diverged"
    both = examine(better()).reason
    assert "autoencoder" in both
    assert "pixels" in both


def test_a_value_that_is_no_number_is_no_value():
    tested = compared({0: 0.5, 1: math.nan}, {0: math.inf})
    assert tested.outcome == "not tested"


@pytest.mark.parametrize("metric", ["silhouette", "davies_bouldin", "calinski_harabasz"])
def test_an_index_in_two_spaces_does_not_rank_and_the_sentence_says_so(metric):
    said = compared({0: 0.5, 1: 0.6}, {0: 0.3, 1: 0.4}, metric).sentences[0]
    assert claims.TWO_SCALES in said


def test_an_index_in_one_space_and_an_agreement_with_labels_are_one_scale():
    said = compared({0: 0.5, 1: 0.6}, {0: 0.3, 1: 0.4}, "ari").sentences[0]
    assert claims.TWO_SCALES not in said
    dbscan = LATENTS.model_copy(update={"clusterer": "dbscan"})
    rows = [metric_rows({0: 0.5}, "silhouette"), metric_rows({0: 0.3}, "silhouette", of=dbscan)]
    tested = examine(better("silhouette", dbscan), metrics=pd.concat(rows))
    assert claims.TWO_SCALES not in tested.sentences[0]
    pca = LATENTS.model_copy(update={"space": "pca50"})
    rows[1] = metric_rows({0: 0.3}, "silhouette", of=pca)
    tested = examine(better("silhouette", pca), metrics=pd.concat(rows))
    assert claims.TWO_SCALES in tested.sentences[0]


# --- facts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({0: 0.9, 1: 0.95}, "holds"),
        ({0: 0.89, 1: 0.95}, "holds in part"),
        ({0: 0.89, 1: 0.2}, "does not hold"),
    ],
)
def test_a_fact_is_at_least_so_large(values, outcome):
    tested = examine(fact(), facts=values)
    assert tested.outcome == outcome
    assert tested.findings[0].measures[0].values == values


@pytest.mark.parametrize("values", [{}, {0: math.nan}])
def test_a_fact_that_was_not_recorded_is_not_tested(values):
    tested = examine(fact(), facts=values)
    assert tested.outcome == "not tested"
    assert FACT.name in tested.sentences[0]
    assert tested.sentences[0].startswith("The claim is not tested: ")


# --- seeds, numbers of images, what is missing --------------------------------------------------

GROUPED = {"a": [9, 1], "b": [1, 9]}
MIXED = {"a": [5, 5], "b": [5, 5]}


@pytest.mark.parametrize(
    ("tables", "outcome", "said"),
    [
        ([GROUPED] * 3, "holds", "3 of 3 seeds"),
        ([GROUPED, MIXED, GROUPED], "holds in part", "2 of 3 seeds"),
        ([MIXED] * 3, "does not hold", "0 of 3 seeds"),
    ],
)
def test_a_claim_holds_if_all_of_it_holds_in_every_seed(tables, outcome, said):
    tested = examine(group("a", "b"), *tables)
    assert tested.outcome == outcome
    assert [said in sentence for sentence in tested.sentences] == [True, True, False]
    assert tested.sentences[-1] == f"The claim {outcome}."


def test_one_subject_of_two_is_a_part():
    tested = examine(group("a", "b"), {"a": [9, 1], "b": [5, 5]})
    assert [f.holds for f in tested.findings] == [{0: True}, {0: False}]
    assert tested.outcome == "holds in part"


def test_the_numbers_of_a_sentence_are_means_over_the_seeds():
    tested = examine(group(), {"a": [9, 1], "b": [1, 9]}, {"a": [6, 4], "b": [0, 10]})
    assert tested.sentences == [
        "A: 0.750 of the class lies in one cluster, of which it is 0.950 (means over 2 seeds); "
        "the rule holds in 2 of 2 seeds.",
        "The claim holds.",
    ]


@pytest.mark.parametrize(("table", "said"), [(GROUPED, "holds"), (MIXED, "does not hold")])
def test_one_seed_is_said_to_be_one(table, said):
    tested = examine(group(), table)
    assert tested.sentences[0].endswith(f"(on one seed); the rule {said}.")


def test_a_small_negative_mean_has_no_sign():
    assert (
        "Neighbours: 0.000 ("
        in claims.Finding(
            "neighbours", (claims.Measure("m", {0: -0.0001}),), {0: True}, "{0:.3f} ({over})"
        ).sentence
    )


def test_the_largest_number_of_images_of_a_clustering_counts():
    rows = pd.concat(
        [
            confusion_rows(MIXED, n=50),
            confusion_rows(GROUPED, n=100),
            confusion_rows(MIXED, n=500, of=PIXELS),
            confusion_rows(MIXED, n=500, study="other"),
        ]
    )
    assert examine(group(), rows).outcome == "holds"


def test_a_seed_with_fewer_images_is_in_no_mean():
    rows = pd.concat([confusion_rows(GROUPED, n=100), confusion_rows(MIXED, seed=1, n=50)])
    assert examine(group(), rows).findings[0].holds == {0: True}


@pytest.mark.parametrize(
    "rule", [group(), overlap(), split(), diagonal(), all_found()], ids=lambda rule: rule.kind
)
def test_a_missing_clustering_is_not_tested_and_the_reason_is_said(rule):
    elsewhere = confusion_rows(GROUPED, of=PIXELS)
    for rows in ([], [elsewhere]):
        tested = examine(rule, *rows)
        assert (tested.outcome, tested.findings) == ("not tested", ())
        assert "no such clustering (autoencoder, raw, k-means)" in tested.sentences[0]
        tested = examine(rule, *rows, reason="training diverged")
        assert tested.sentences == ["The claim is not tested: training diverged."]


@pytest.mark.parametrize(
    "rule", [group("z"), overlap(("a", "z")), split(), diagonal()], ids=lambda rule: rule.kind
)
def test_an_unknown_class_is_an_error_that_names_it_and_the_allowed_ones(rule):
    with pytest.raises(errors.UserError) as caught:
        examine(rule, {"b": [1, 2], "c": [3, 4], **({"a": [1]} if "z" in str(rule) else {})})
    missing = "'z'" if "z" in str(rule) else "'a'"
    for said in ("mnist-cae", "claim 0", missing, "b, c"):
        assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_of_the_study_without_images_here_is_not_tested():
    rows = pd.concat([confusion_rows({"b": [3, 4]}), confusion_rows(GROUPED, of=PIXELS)])
    tested = examine(split(), rows)
    assert tested.outcome == "not tested"
    assert "class a" in tested.reason
    rows = pd.concat([confusion_rows(GROUPED), confusion_rows({"b": [3, 4]}, seed=1)])
    assert "seed 1" in examine(split(), rows).reason


# --- all rules ----------------------------------------------------------------------------------

CLASSES = "abc"
RULES = [
    group("a", "b", only=True),
    group("c", share=0.2),
    overlap(("a", "b"), ("b", "c")),
    split(),
    diagonal(),
    all_found(),
]
# No class is without images.
counts = st.lists(st.integers(0, 6), min_size=5, max_size=5).filter(any)
tables = st.lists(st.fixed_dictionaries(dict.fromkeys(CLASSES, counts)), min_size=1, max_size=3)


def with_noise(table, order=(0, 1, 2, 3)):
    """Call the first four clusters by other numbers and the last one noise."""
    return {name: dict(zip((*order, -1), counts, strict=True)) for name, counts in table.items()}


@given(st.sampled_from(RULES), tables)
def test_words_and_outcome_agree(rule, tables):
    tested = examine(rule, *map(with_noise, tables))
    held = [held for finding in tested.findings for held in finding.holds.values()]
    expected = "holds" if all(held) else "holds in part" if any(held) else "does not hold"
    assert (tested.outcome, tested.sentences[-1]) == (expected, f"The claim {expected}.")
    for finding, sentence in zip(tested.findings, tested.sentences, strict=False):
        assert len(finding.holds) == len(tables)
        said = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", sentence)]
        assert said[: len(finding.measures)] == pytest.approx(means(finding), abs=5.1e-4)
        if len(tables) > 1:
            assert said[len(finding.measures) :] == [
                len(tables),
                sum(finding.holds.values()),
                len(tables),
            ]


@given(st.sampled_from(RULES), tables, st.permutations([0, 3, 7, 12]), st.randoms())
def test_the_numbers_of_the_clusters_and_the_order_of_rows_mean_nothing(rule, tables, order, rng):
    renamed = [with_noise(table, order) for table in tables]
    shuffled = [
        confusion_rows(t, seed).sample(frac=1, random_state=rng.randrange(2**32))
        for seed, t in enumerate(renamed)
    ]
    ours, theirs = examine(rule, *map(with_noise, tables)), examine(rule, *shuffled)
    assert ours == theirs
    assert ours.sentences == theirs.sentences


@given(st.sampled_from([group("a"), overlap(("a", "c")), split(), diagonal()]), tables)
def test_shares_lie_between_nothing_and_everything(rule, tables):
    for finding in examine(rule, *map(with_noise, tables)).findings:
        assert all(0 <= value <= 1 for value in finding.measures[0].values.values())


# --- the studies --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", config.study_names())
def test_the_claims_of_every_study_name_existing_classes_and_can_be_tested(name):
    study = config.load_study(name)
    classes = datasets._SPECS[study.dataset].class_names
    table = {c: [3 if i == j else 1 for j in range(len(classes))] for i, c in enumerate(classes)}
    clusterings = {
        side
        for claim in study.claims
        for key in ("of", "than")
        if (side := getattr(claim.rule, key, None)) is not None
    }
    confusion = [
        confusion_rows(table, seed, of=of, study=name) for of in clusterings for seed in (0, 1)
    ]
    metrics = [
        metric_rows({0: 0.4, 1: 0.5}, claim.rule.metric, of=side, study=name)
        for claim in study.claims
        if claim.rule.kind == "better"
        for side in (claim.rule.of, claim.rule.than)
    ]
    tested = claims.examine(
        study,
        pd.concat([tables_module.METRICS_TABLE.empty(), *metrics]),
        pd.concat([tables_module.CONFUSION_TABLE.empty(), *confusion]),
        lambda _fact: {0: 0.5, 1: 0.95},
        lambda _clustered: None,
    )
    assert [one.claim for one in tested] == study.claims
    assert all(one.outcome != "not tested" for one in tested)
    assert all("\n" not in sentence for one in tested for sentence in one.sentences)


# --- the table ----------------------------------------------------------------------------------

OUTCOMES = ("holds", "holds in part", "does not hold", "undecided", "not tested")


def all_claims(counts, ours, than, facts, reduced=False):
    """Test a claim of each kind, and a statement on a substitute that comes first in the file."""
    study = study_of(better(), group(), fact())
    first = config.Claim(text="other", source="s", reading="r", rule=better(), substitute=True)
    study = study.model_copy(update={"claims": [first, *study.claims]})
    confusion = [confusion_rows(table, seed) for seed, table in enumerate(counts)]
    rows = [("mnist-cae", seed, FACT.notebook, FACT.name, str(v)) for seed, v in facts.items()]
    tested = claims_table.of_studies(
        [study],
        pd.concat([metric_rows(ours), metric_rows(than, of=PIXELS)]),
        pd.concat(confusion) if confusion else tables_module.CONFUSION_TABLE.empty(),
        pd.DataFrame(rows, columns=list(tables_module.FACTS_TABLE.columns)),
        tables_module.STARTS_TABLE.empty(),
        reduced,
    )
    return tested, claims_table.table(tested)


LOW, HIGH = {0: 0.3, 1: 0.31}, {0: 0.5, 1: 0.51}


@pytest.mark.parametrize(
    ("counts", "ours", "than", "facts", "outcomes"),
    [
        ([GROUPED] * 2, HIGH, LOW, {0: 0.9, 1: 0.95}, ["holds"] * 3),
        (
            [GROUPED, MIXED],
            {0: 0.1, 1: 0.9},
            LOW,
            {0: 0.9, 1: 0.2},
            ["undecided", "holds in part", "holds in part"],
        ),
        ([MIXED] * 2, LOW, HIGH, {0: 0.2, 1: 0.1}, ["does not hold"] * 3),
        ([], {}, HIGH, {}, ["not tested"] * 3),
    ],
)
def test_the_table_and_the_sentences_cannot_contradict_each_other(
    counts, ours, than, facts, outcomes
):
    tested, table = all_claims(counts, ours, than, facts)
    assert list(table.columns) == list(claims_table.CLAIMS_TABLE.columns)
    # What is about a substitute comes last.
    assert list(table["outcome"]) == [*outcomes, outcomes[0]]
    assert list(table["substitute"]) == [False, False, False, True]
    for row, one in zip(table.itertuples(), tested["mnist-cae"], strict=True):
        assert (row.claim, row.source, row.outcome) == (one.claim.text, "s", one.outcome)
        assert row.sentences == " ".join(one.sentences)
        verb = "is " if row.outcome in ("undecided", "not tested") else ""
        assert f"The claim {verb}{row.outcome}" in row.sentences
        others = [word for word in OUTCOMES if not row.outcome.startswith(word)]
        assert not any(re.search(rf"The claim (is )?{word}\b", row.sentences) for word in others)


def test_a_reduced_run_tests_no_claim_whatever_it_found():
    tested, table = all_claims([GROUPED] * 2, HIGH, LOW, {0: 0.9, 1: 0.95}, reduced=True)
    assert list(table["outcome"]) == ["not tested"] * 4
    assert set(table["sentences"]) == {"The claim is not tested: a reduced run tests no claim."}
    assert all(one.findings == () for one in tested["mnist-cae"])


def test_the_table_comes_back_as_it_was_written(tmp_path):
    _, table = all_claims([GROUPED] * 2, HIGH, LOW, {0: 0.9, 1: 0.95})
    path = tmp_path / claims_table.CLAIMS_TABLE.file
    claims_table.CLAIMS_TABLE.write(table, path)
    pd.testing.assert_frame_equal(claims_table.CLAIMS_TABLE.read(path), table, check_dtype=False)
