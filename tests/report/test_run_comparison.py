import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from report import run_comparison as comparison
from report.evidence_tables import ORIGINS_TABLE
from utils.errors import UserError
from utils.store.files import write_json
from utils.store.tables import LEADERBOARD_TABLE, METRICS_TABLE

RECORD = {
    "made": "2025-01-01T10:00:00+00:00",
    "commit": "0123456" + "0" * 33,
    "dirty": False,
    "profile": {"profile": "quick", "reduced": True, "description": "small", "max_epochs": 3},
    "studies": ["fashion-ae"],
    "seeds": [0, 1],
    "versions": {"numpy": "2.4.6", "torch": "2.15.0"},
    "hardware": {"cpu": "A processor", "cores": 2, "memory_gib": 7.8, "gpu": None},
    "data": {
        "fashion-ae": {
            **{"dataset": "fashion_mnist", "substituted": False, "n": 100},
            **{"images_sha256": "a" * 64, "labels_sha256": "b" * 64},
        }
    },
    "settings": {"fashion-ae": {"autoencoder": {"epochs": 50, "options": {"widths": [2]}}}},
    "evidence": [ORIGINS_TABLE.file],
}


def scores(values, **changes):
    """Scores of one method: the value of each metric by seed."""
    row = {
        **{"profile": "quick", "study": "fashion-ae", "dataset": "fashion_mnist", "n": 100},
        **{"representation": "autoencoder", "space": "raw", "clusterer": "kmeans"},
        **{"k_found": 10, "noise_fraction": 0.0},
    }
    rows = [
        {**row, "metric": metric, "seed": seed, "value": value}
        for metric, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]
    return pd.DataFrame(rows).assign(**changes)


def origins(**changes):
    row = {
        **{"study": "fashion-ae", "seed": 0, "representation": "autoencoder"},
        **{"precision": "float32", "notebook": "03_latent_clustering", "code": "a" * 64},
        **{"commit": "1" * 40, "processor": "A processor", "seconds": 60.0},
        **{"computed": "2025-01-01T10:00:00+00:00", "network_code": "b" * 64},
        **{"network_commit": "2" * 40, "network_processor": "A processor"},
        **{"network_computed": "2025-01-01T09:00:00+00:00", "network_seconds": 30.0},
    }
    return pd.DataFrame([{**row, **changes}])


def run(metrics, of=None, methods=None, **record):
    return comparison.Run(
        "a report",
        {**RECORD, **record},
        metrics,
        origins() if of is None else of,
        comparison.METHODS_TABLE.empty() if methods is None else methods,
    )


# --- two means -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ([0.50, 0.52, 0.48], [0.51, 0.49, 0.53], "within the spread"),
        ([0.50, 0.52, 0.48], [0.70, 0.72, 0.68], "moved"),
        ([0.50, 0.52, 0.48], [0.53], "within the spread"),
        ([0.90], [0.50, 0.52, 0.48], "moved"),
        ([0.50], [0.60], "not judged"),
        ([0.50, 0.50], [0.50, 0.50], "within the spread"),
        ([0.50, 0.50], [0.51, 0.51], "moved"),
        ([0.50, 0.50], [0.51], "moved"),
    ],
)
def test_means_are_compared_with_the_spread_over_seeds(a, b, outcome):
    there, back = comparison.judge(a, b), comparison.judge(b, a)
    assert (there.outcome, back.outcome) == (outcome, outcome)
    assert there.difference == pytest.approx(np.mean(b) - np.mean(a))
    assert back.difference == pytest.approx(-there.difference)


def test_several_seeds_in_both_have_the_interval_of_welch():
    a, b = [0.50, 0.52, 0.48, 0.55], [0.61, 0.58, 0.66]
    judged = comparison.judge(a, b, 0.9)
    expected = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.9)
    assert (judged.low, judged.high) == pytest.approx(tuple(expected))
    pooled = ((3 * np.var(a, ddof=1) + 2 * np.var(b, ddof=1)) / 5) ** 0.5
    assert judged.sd == pytest.approx(pooled)


def test_one_seed_is_compared_with_the_prediction_interval_of_the_others():
    several, one = [0.50, 0.52, 0.48, 0.55], 0.60
    judged = comparison.judge(several, [one])
    half = stats.t.ppf(0.975, 3) * np.std(several, ddof=1) * (1 + 1 / 4) ** 0.5
    difference = one - np.mean(several)
    assert (judged.low, judged.high) == pytest.approx((difference - half, difference + half))
    assert judged.sd == pytest.approx(np.std(several, ddof=1))


def test_two_single_values_show_no_spread():
    judged = comparison.judge([0.5], [0.6])
    assert math.isnan(judged.sd) and math.isnan(judged.low) and math.isnan(judged.high)


@pytest.mark.parametrize(("a", "b"), [([], [0.5]), ([0.5], [float("nan")])])
def test_a_mean_needs_finite_values(a, b):
    with pytest.raises(ValueError, match="finite"):
        comparison.judge(a, b)


# --- scores --------------------------------------------------------------------------------------


def test_each_score_of_both_reports_is_a_row():
    a = run(scores({"ari": [0.5, 0.52], "nmi": [0.6, 0.6], "acc": [0.1, 0.1]}))
    b = run(scores({"ari": [0.8, 0.81, 0.79], "nmi": [0.6, 0.6], "purity": [0.3]}))
    table = comparison.scores(a, b).set_index("metric")
    assert list(table.index) == ["ari", "nmi"]
    row = table.loc["ari"]
    assert (row.mean_a, row.mean_b) == pytest.approx((0.51, 0.80))
    assert (row.seeds_a, row.seeds_b) == (2, 3)
    assert (row.outcome, table.loc["nmi"].outcome) == ("moved", "same")
    assert comparison.only_in(a, b) == {"fashion-ae": 1}
    assert comparison.only_in(b, b) == {}


def test_the_same_values_are_the_same_to_the_digits_that_are_published():
    full, short = [0.123456789, 0.987654321], [0.123457, 0.987654]
    assert outcome({"ari": full}, {"ari": short}) == "same"
    assert outcome({"ari": full}, {"ari": [0.123458, 0.987654]}) != "same"


def test_further_seeds_change_nothing_if_the_common_ones_are_the_same():
    assert outcome({"ari": [0.5, 0.6]}, {"ari": [0.5, 0.6, 0.9, 0.9, 0.9]}) == "same"


def outcome(a, b):
    (found,) = comparison.scores(run(scores(a)), run(scores(b)))["outcome"]
    return found


def test_the_largest_number_of_images_that_both_have_counts():
    small, large = scores({"ari": [0.5]}), scores({"ari": [0.7]}, n=1000)
    both = run(pd.concat([small, large]))
    (row,) = comparison.scores(both, run(small)).itertuples()
    assert (row.n_a, row.n_b, row.outcome) == (100, 100, "same")
    (row,) = comparison.scores(both, run(scores({"ari": [0.7]}, n=50))).itertuples()
    assert (row.n_a, row.n_b, row.outcome) == (1000, 50, "not judged")


def test_a_score_that_is_not_defined_is_no_value():
    a, b = scores({"ari": [0.5, float("nan")]}), scores({"ari": [float("nan")]})
    assert comparison.scores(run(a), run(b)).empty
    assert list(comparison.scores(run(a), run(a))["seeds_a"]) == [1]


def test_the_largest_moves_come_first_and_are_of_one_metric():
    values = {"pixels": 0.51, "autoencoder": 0.2, "resnet50": 0.5}
    before = pd.concat([scores({"ari": [0.5]}, representation=name) for name in values])
    after = pd.concat(
        [scores({"ari": [value], "acc": [0.9]}, representation=n) for n, value in values.items()]
    )
    moves = comparison.largest_moves(comparison.scores(run(before), run(after)), 5)
    assert list(moves["representation"]) == ["autoencoder", "pixels"]


# --- what differs --------------------------------------------------------------------------------


def differing(a, b):
    return [(row.kind, row.what, row.a, row.b) for row in comparison.differences(a, b)]


ONE = scores({"ari": [0.5]})


def test_nothing_differs_between_a_report_and_itself():
    found = comparison.differences(run(ONE), run(ONE))
    assert found == []
    assert comparison.alike(found) == list(comparison.KINDS)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"commit": "fedcba9" + "0" * 33, "dirty": True},
            ("code", "commit of the report", "0123456", "fedcba9, with uncommitted changes"),
        ),
        (
            {"profile": {**RECORD["profile"], "max_epochs": None, "description": "large"}},
            ("settings", "profile: max_epochs", "3", "none"),
        ),
        (
            {
                "settings": {
                    "fashion-ae": {"autoencoder": {"epochs": 9, "options": {"widths": [2]}}}
                }
            },
            ("settings", "fashion-ae: autoencoder.epochs", "50", "9"),
        ),
        ({"settings": {}}, ("settings", "fashion-ae", "recorded", "not recorded")),
        (
            {"data": {"fashion-ae": {**RECORD["data"]["fashion-ae"], "images_sha256": "c" * 64}}},
            ("data", "fashion-ae: SHA-256 of the images", "a" * 64, "c" * 64),
        ),
        (
            {"versions": {"numpy": "2.4.7", "torch": "2.15.0"}},
            ("libraries", "numpy", "2.4.6", "2.4.7"),
        ),
        (
            {"hardware": {**RECORD["hardware"], "cpu": "Another"}},
            ("processor", "of the report: cpu", "A processor", "Another"),
        ),
    ],
)
def test_what_the_records_say_is_compared(changes, expected):
    assert differing(run(ONE), run(ONE, **changes)) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"code": "c" * 64, "commit": "3" * 40},
            (
                *("code", "03_latent_clustering (fashion-ae)"),
                *("aaaaaaaa (commit 1111111)", "cccccccc (commit 3333333)"),
            ),
        ),
        (
            {"network_code": "d" * 64},
            (
                *("code", "training (fashion-ae)"),
                *("bbbbbbbb (commit 2222222)", "dddddddd (commit 2222222)"),
            ),
        ),
        (
            {"network_processor": "A GPU"},
            ("processor", "training (fashion-ae)", "A processor", "A GPU"),
        ),
        (
            {"precision": "bfloat16"},
            ("precision", "scores (fashion-ae)", "float32", "bfloat16"),
        ),
        ({"precision": ""}, ("precision", "scores (fashion-ae)", "float32", "not recorded")),
    ],
)
def test_what_the_origins_say_is_compared(changes, expected):
    assert differing(run(ONE), run(ONE, origins(**changes))) == [expected]


def test_the_same_code_at_another_commit_is_the_same_code():
    assert differing(run(ONE), run(ONE, origins(commit="9" * 40, network_commit="8" * 40))) == []


def test_what_neither_records_is_not_called_the_same():
    none = ORIGINS_TABLE.empty()
    found = comparison.differences(run(ONE, none), run(ONE, none))
    assert comparison.alike(found) == ["settings", "data", "libraries"]


def test_other_seeds_are_another_setting():
    assert differing(run(ONE), run(scores({"ari": [0.5, 0.5]}))) == [
        ("settings", "fashion-ae: seeds", "0", "0, 1")
    ]


def test_of_a_methods_settings_the_parts_that_differ_are_shown():
    row = {"study": "board", "representation": "pixels", "space": "raw", "clusterer": "kmeans"}
    a, b = (
        pd.DataFrame([{**row, "settings": f"no colours; {starts} starts"}]) for starts in (10, 20)
    )
    assert differing(run(ONE, methods=a), run(ONE, methods=b)) == [
        ("settings", "board / pixels / raw / kmeans", "10 starts", "20 starts")
    ]


# --- reading -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A report without leaderboards."""
    METRICS_TABLE.write(ONE, tmp_path / METRICS_TABLE.file)
    comparison.ORIGINS.write(origins(), tmp_path / ORIGINS_TABLE.file)
    write_json(tmp_path / "run.json", RECORD)
    return tmp_path


def refusal(folder):
    with pytest.raises(UserError) as refused:
        comparison.read(folder, "a report")
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)
    return str(refused.value)


def test_a_report_is_read_with_what_it_has(folder):
    found = comparison.read(folder, "a report")
    assert found.seeds == {"fashion-ae": [0]}
    assert len(found.origins) == 1 and found.methods.empty
    write_json(folder / "run.json", {k: v for k, v in RECORD.items() if k != "evidence"})
    (folder / ORIGINS_TABLE.file).unlink()
    assert comparison.read(folder, "a report of earlier code").origins.empty


def test_a_folder_without_a_report_is_refused(tmp_path):
    assert "no run.json" in refusal(tmp_path)


def test_a_report_on_pictures_is_refused(folder):
    write_json(folder / "run.json", {"made": RECORD["made"], "seed": 0, "facts": {}})
    assert "no scores to compare" in refusal(folder)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({k: v for k, v in RECORD.items() if k != "hardware"}, "'hardware'"),
        ({**RECORD, "leaderboards": ["beyond-mnist"]}, f"{LEADERBOARD_TABLE.file}: missing"),
    ],
)
def test_what_an_earlier_version_lacks_is_named(folder, record, said):
    write_json(folder / "run.json", record)
    complaint = refusal(folder)
    assert said in complaint and "build it again" in complaint


def test_all_missing_columns_are_named(folder):
    METRICS_TABLE.write(ONE, folder / METRICS_TABLE.file)
    ONE.drop(columns=["n", "k_found"]).to_csv(folder / METRICS_TABLE.file, index=False)
    assert f"{METRICS_TABLE.file}: the columns n, k_found are missing" in refusal(folder)
    ONE.drop(columns="n").to_csv(folder / METRICS_TABLE.file, index=False)
    assert "column 'n' is missing" in refusal(folder)


def test_a_file_that_is_no_table_is_refused(folder):
    (folder / METRICS_TABLE.file).write_bytes(b"\xff\xfe\x00")
    assert METRICS_TABLE.file in refusal(folder)
    (folder / METRICS_TABLE.file).unlink()
    assert f"{METRICS_TABLE.file}: missing" in refusal(folder)
    (folder / "run.json").write_text("{")
    assert "not valid JSON" in refusal(folder)
