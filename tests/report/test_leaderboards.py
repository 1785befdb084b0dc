import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from report import board_tables, leaderboards, resampling, significance
from utils import config, errors
from utils.metrics import agreement as agreement_module
from utils.store.tables import (
    ASSIGNMENTS_TABLE,
    COSTS_TABLE,
    LABEL_FREE_TABLE,
    METRICS_TABLE,
)

NAME = "beyond-test"


def labels_of(n, classes=4):
    return np.arange(n) % classes


def clustering(labels, wrong, seed, classes=4):
    """A clustering that gives the share `wrong` of the images a random cluster."""
    random = np.random.default_rng(seed)
    moved = random.random(len(labels)) < wrong
    return np.where(moved, random.integers(0, classes, len(labels)), labels)


def frames(rows, n=60):
    """Metrics, costs and assignments of rows: name to a dict of scores, clusterings and costs.

    ``clusters`` maps seeds to clusterings; further entries are metrics (a value, or one a seed) and
    costs.
    """
    metrics, costs, assignments = [], [], []
    for name, row in rows.items():
        key = {"study": NAME, "representation": name, "space": "raw", "clusterer": "kmeans"}
        for position, (seed, clusters) in enumerate(row["clusters"].items()):
            scores = {"ari": adjusted_rand_score(labels_of(len(clusters)), clusters)}
            scores |= row.get("metrics", {})
            for metric, value in scores.items():
                value = value[position] if isinstance(value, list) else value
                line = key | {"profile": "quick", "dataset": "digits", "n": len(clusters)}
                line |= {"seed": seed, "k_found": len(set(clusters) - {-1})}
                line |= {"noise_fraction": float(np.mean(clusters == -1))}
                metrics.append(line | {"metric": metric, "value": value})
            cost = {"seconds": 1.0 + position, "peak_memory_mb": 100.0 + position, "k_given": True}
            cost |= {"settings": "defaults", "recipe": ""} | row.get("costs", {})
            costs.append(key | {"seed": seed} | cost)
            index = {"index": np.arange(len(clusters)), "cluster": clusters, "n": len(clusters)}
            assignments.append(pd.DataFrame(key | {"seed": seed} | index))
    return (
        pd.DataFrame(metrics, columns=list(METRICS_TABLE.columns)),
        pd.DataFrame(costs, columns=list(COSTS_TABLE.columns)),
        pd.concat(assignments)[list(ASSIGNMENTS_TABLE.columns)],
    )


def two_rows(good, bad, seeds=(0, 1, 2), n=200):
    labels = labels_of(n)
    rows = {
        name: {"clusters": {s: clustering(labels, wrong, 10 * s + i) for s in seeds}}
        for i, (name, wrong) in enumerate((("good", good), ("bad", bad)))
    }
    return labels, frames(rows)


def board_of(*rows):
    """A board of (name, ari, seconds, index); the index is every internal index, sign corrected."""
    lines = [
        {
            **{"representation": name, "space": "raw", "clusterer": "kmeans", "n": 10},
            **{"ari": ari, "seconds": seconds, "coverage": 1.0},
            **{"silhouette": index, "davies_bouldin": -index, "calinski_harabasz": index},
        }
        for name, ari, seconds, index in rows
    ]
    return pd.DataFrame(lines).sort_values("ari", ascending=False, ignore_index=True)


# --- the adjusted Rand index -------------------------------------------------------------------

partitions = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-1, 5), min_size=n, max_size=n),
        st.lists(st.integers(0, 5), min_size=n, max_size=n),
    )
)


@given(partitions)
@settings(deadline=None)
def test_adjusted_rand_is_that_of_scikit_learn(pair):
    clusters, classes = map(np.array, pair)
    counts = np.zeros((7, 6), dtype=int)
    np.add.at(counts, (clusters + 1, classes), 1)
    expected = adjusted_rand_score(classes, clusters)
    # also with empty rows and columns, and for many tables at once
    many = agreement_module.adjusted_rand(np.stack([counts, counts[::-1]]))
    assert many == pytest.approx([expected, expected], abs=1e-12)


# --- the board ---------------------------------------------------------------------------------


def test_a_line_of_the_board_gathers_its_seeds():
    labels = labels_of(60)
    clusters = {s: clustering(labels, 0.3, s) for s in range(3)}
    noisy = {s: np.where(np.arange(60) < 6 * s, -1, labels) for s in range(3)}
    rows = {
        "plain": {
            "clusters": clusters,
            "metrics": {"acc": [0.5, 0.7, 0.6], "silhouette": [0.1, 0.2, 0.3]},
            "costs": {"recipe": "N2D"},
        },
        "noise": {
            "clusters": noisy,
            "metrics": {"silhouette": [0.1, np.nan, 0.3], "ari_covered": 1.0},
            "costs": {"k_given": False, "settings": "eps by the knee"},
        },
    }
    board = leaderboards.leaderboard(*frames(rows), labels, resamples=500)
    assert tuple(board.columns) == leaderboards.BOARD_COLUMNS
    board = board.set_index("representation")
    plain, noise = board.loc["plain"], board.loc["noise"]
    values = [adjusted_rand_score(labels, c) for c in clusters.values()]
    assert plain["ari"] == pytest.approx(np.mean(values))
    # Of seeds and images it is wider than the range of the seeds.
    assert plain["ari_low"] < min(values) < max(values) < plain["ari_high"]
    assert plain["acc_low"] < plain["acc_high"] and plain["labels"] == "none"
    assert (plain["acc"], plain["n_seeds"], plain["n"]) == (pytest.approx(0.6), 3, 60)
    assert plain["silhouette"] == pytest.approx(0.2)
    assert (plain["seconds"], plain["peak_memory_mb"]) == (2.0, 102.0)
    assert (plain["k_given"], plain["recipe"], plain["settings"]) == (True, "N2D", "defaults")
    pairs = [(0, 1), (0, 2), (1, 2)]
    agreement = [adjusted_rand_score(clusters[a], clusters[b]) for a, b in pairs]
    assert plain["stability"] == pytest.approx(np.mean(agreement))
    assert (plain["coverage"], noise["coverage"]) == (1.0, pytest.approx(0.9))
    assert (noise["k_given"], noise["ari_covered"]) == (False, 1.0)
    assert np.isnan(noise["silhouette"])  # one seed has none
    assert np.isnan(plain["ari_covered"])


def test_one_seed_has_no_interval_and_no_stability():
    labels, made = two_rows(0.1, 0.5, seeds=(4,))
    board = leaderboards.leaderboard(*made, labels)
    assert board["representation"].tolist() == ["good", "bad"]
    assert board[["ari_low", "ari_high", "stability"]].isna().all(axis=None)
    assert board["ari"].notna().all()


def test_the_range_of_clusters_found_and_runs_of_other_sizes_stay_apart():
    labels = labels_of(60)
    rows = {"good": {"clusters": {0: labels, 1: labels // 2}}}
    small = frames({"good": {"clusters": {0: labels[:40]}}})
    joined = [pd.concat(both) for both in zip(frames(rows), small, strict=True)]
    board = leaderboards.leaderboard(*joined, labels).set_index("n")
    assert tuple(board.loc[60, ["k_low", "k_high"]]) == (2, 4)
    assert tuple(board.loc[40, ["k_low", "k_high", "n_seeds"]]) == (4, 4, 1)


def test_a_row_without_costs_and_two_leaderboards_at_once_are_errors():
    labels, (metrics, costs, assignments) = two_rows(0.1, 0.5)
    some = costs[costs["representation"] == "good"]
    with pytest.raises(errors.UserError, match="beyond-test: bad/raw/kmeans has scores and no"):
        leaderboards.leaderboard(metrics, some, assignments, labels)
    other = pd.concat([metrics, metrics.assign(study="other")])
    with pytest.raises(ValueError, match="more than one"):
        leaderboards.leaderboard(other, costs, assignments, labels)


def test_no_rows_make_an_empty_board():
    _, made = two_rows(0.1, 0.5)
    empty = [frame.iloc[:0] for frame in made]
    board = leaderboards.leaderboard(*empty, labels_of(4))
    assert board.empty
    assert tuple(board.columns) == leaderboards.BOARD_COLUMNS
    assert significance.significance(empty[2], labels_of(4), board).empty


@given(st.lists(st.permutations(range(30)), min_size=2, max_size=4))
@settings(deadline=None, max_examples=25)
def test_stability_does_not_depend_on_names_of_clusters(orders):
    clusters = np.array([np.array(order) % 3 for order in orders])
    renamed = [(row + shift) % 3 for shift, row in enumerate(clusters)]
    value = agreement_module.stability(dict(enumerate(clusters)))
    assert value == pytest.approx(agreement_module.stability(dict(enumerate(renamed))))
    assert agreement_module.stability(dict.fromkeys(range(3), clusters[0])) == 1


# --- differences -------------------------------------------------------------------------------


def compared(labels, made, **options):
    board = leaderboards.leaderboard(*made, labels)
    return significance.significance(made[2], labels, board, **options).iloc[0]


def test_a_large_difference_is_told_apart_and_chance_is_not():
    clear = compared(*two_rows(0.1, 0.6))
    assert clear["representation"] == "bad"
    assert clear["difference"] == pytest.approx(clear["best_ari"] - clear["ari"])
    assert 0 < clear["ci_low"] < clear["difference"] < clear["ci_high"]
    assert clear["excludes_zero"]
    chance = compared(*two_rows(0.4, 0.4))
    assert chance["ci_low"] < 0 < chance["ci_high"]
    assert not chance["excludes_zero"]
    assert clear["p"] < 0.01 < 0.05 < chance["p"] <= 1


def test_a_row_compared_with_its_own_clusters_under_other_names_differs_by_nothing():
    labels = labels_of(100)
    first = {s: clustering(labels, 0.4, s) for s in range(2)}
    second = {s: (clusters + 1) % 4 for s, clusters in first.items()}
    made = frames({"a": {"clusters": first}, "b": {"clusters": second}})
    row = compared(labels, made)
    assert row["ci_low"] == row["ci_high"] == row["difference"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_counting_groups_is_the_same_as_drawing_images(seeds):
    labels, made = two_rows(0.3, 0.5, seeds, n=120)
    row = compared(labels, made, resamples=4000)
    clusters = {
        (name, seed): part.sort_values("index")["cluster"].to_numpy()
        for (name, seed), part in made[2].groupby(["representation", "seed"])
    }
    random = np.random.default_rng(7)

    def ari(name, seed, images):
        cells = 4 * clusters[name, seed][images] + labels[images]
        return agreement_module.adjusted_rand(np.bincount(cells, minlength=16).reshape(4, 4))

    drawn = []
    for _ in range(2000):
        images = random.integers(0, 120, 120)
        chosen = random.choice(seeds, len(seeds))
        drawn.append(np.mean([ari("good", s, images) - ari("bad", s, images) for s in chosen]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    width = high - low
    assert row["ci_low"] == pytest.approx(low, abs=0.08 * width)
    assert row["ci_high"] == pytest.approx(high, abs=0.08 * width)


def test_the_images_are_drawn_once_for_all_seeds():
    """Seeds that agree add nothing, so that three of them give the interval of one."""
    labels = labels_of(150)
    good, bad = clustering(labels, 0.3, 0), clustering(labels, 0.5, 1)
    widths = []
    for seeds in (1, 3):
        clusters = [dict.fromkeys(range(seeds), row) for row in (good, bad)]
        made = frames({"good": {"clusters": clusters[0]}, "bad": {"clusters": clusters[1]}})
        row = compared(labels, made, resamples=4000)
        widths.append(row["ci_high"] - row["ci_low"])
    assert widths[1] == pytest.approx(widths[0], rel=0.08)


def test_blocks_of_resamples_are_all_counted_and_a_seed_fixes_them(monkeypatch):
    labels, made = two_rows(0.3, 0.5, n=80)
    whole = compared(labels, made, resamples=300)
    assert compared(labels, made, resamples=300).equals(whole)
    assert compared(labels, made, resamples=300, seed=1)["ci_low"] != whole["ci_low"]
    monkeypatch.setattr(resampling, "LARGEST_BLOCK", 1000)
    blocks = compared(labels, made, resamples=3000)
    assert blocks["ci_low"] == pytest.approx(whole["ci_low"], abs=0.05)


def test_p_values_are_adjusted_for_the_number_of_comparisons():
    labels = labels_of(120)
    rows = {
        name: {"clusters": {s: clustering(labels, wrong, 9 * s + i) for s in range(3)}}
        for i, (name, wrong) in enumerate((("best", 0.3), ("near", 0.36), ("far", 0.42)))
    }
    made = frames(rows)
    board = leaderboards.leaderboard(*made, labels)
    table = significance.significance(made[2], labels, board, resamples=500)
    smaller, larger = sorted(table["p"])
    adjusted = dict(zip(table["p"], table["p_holm"], strict=True))
    assert adjusted[smaller] == pytest.approx(min(1, 2 * smaller))
    assert adjusted[larger] == pytest.approx(max(larger, min(1, 2 * smaller)))
    assert 0 < smaller < larger < 1


def test_a_frozen_networks_labels_are_named():
    assert leaderboards.labels_behind("hog+efficientnet_lite0", "umap10", "gmm") == "ImageNet-1k"
    assert leaderboards.labels_behind("hog", "umap10", "gmm+self_label") == "none"


def test_only_shared_seeds_and_rows_on_as_many_images_are_compared():
    labels = labels_of(80)
    rows = {
        "best": {"clusters": {s: clustering(labels, 0.1, s) for s in (0, 1, 2)}},
        "part": {"clusters": {s: clustering(labels, 0.3, s) for s in (2, 3)}},
        "apart": {"clusters": {7: clustering(labels, 0.5, 7)}},
        "small": {"clusters": {0: clustering(labels, 0.2, 0)[:40]}},
    }
    made = frames(rows)
    board = leaderboards.leaderboard(*made, labels)
    table = significance.significance(made[2], labels, board, resamples=100)
    table = table.set_index("representation")
    assert list(table.index) == ["part", "apart"]
    assert table["n_seeds"].tolist() == [1, 0]
    assert table.loc["part", "best_ari"] == pytest.approx(
        adjusted_rand_score(labels, rows["best"]["clusters"][2])
    )
    assert np.isnan(table.loc["apart", "difference"])
    assert not table.loc["apart", "excludes_zero"]
    assert table[["p", "p_holm"]].isna().all(axis=None)  # one seed decides nothing
    assert len(significance.significance(made[2], labels, board, top=2, resamples=10)) <= 1


# --- quality against time ----------------------------------------------------------------------

scored_rows = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=12
)


@given(scored_rows)
@settings(deadline=None)
def test_the_front_is_what_nothing_dominates_and_dominates_the_rest(rows):
    board = board_of(*[(f"r{i}", a / 8, s, 0.0) for i, (a, s, _) in enumerate(rows)])
    front = leaderboards.pareto_front(board)
    points = list(zip(board["seconds"], board["ari"], strict=True))

    def dominates(one, other):
        return one[0] <= other[0] and one[1] >= other[1] and one != other

    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert front.tolist() == expected
    assert front[board["ari"].idxmax()] or (board["ari"] == board["ari"].max()).sum() > 1


def test_a_row_without_time_or_score_is_not_on_the_front():
    board = board_of(("a", 0.5, np.nan, 0), ("b", 0.4, 2.0, 0), ("c", np.nan, 1.0, 0))
    front = leaderboards.pareto_front(board)
    assert board.loc[front, "representation"].tolist() == ["b"]


# --- files -------------------------------------------------------------------------------------


def described(name):
    row = config.Row(representation="good", space="raw", clusterer="kmeans")
    return config.Leaderboard(
        **{"leaderboard": name, "title": f"Board {name}", "dataset": "digits", "rows": [row]},
        **{"reduced_images": 100, "n_clusters": 4, "common_space": 50, "internal_images": 100},
    )


def test_what_is_written_is_read_again_by_leaderboard(tmp_path):
    labels, (metrics, costs, assignments) = two_rows(0.1, 0.5)
    costs["settings"] = 'of the "authors", NA'
    other = "beyond-other"
    several = [pd.concat([f, f.assign(study=other)]) for f in (metrics, costs, assignments)]
    boards = {name: described(name) for name in (other, NAME, "beyond-nothing")}
    rule = config.VerdictRule(confidence=0.9, power=0.8, statement="")
    nothing = LABEL_FREE_TABLE.empty()
    both = {NAME: labels, other: labels}
    board_tables.write_tables(boards, *several, both, nothing, rule, tmp_path)
    assert {path.name for path in tmp_path.rglob("*.*")} == {
        *("leaderboard.csv", "leaderboard_significance.csv", "leaderboard_rankings.csv"),
        *(f"{name}-pareto.{kind}" for name in (NAME, other) for kind in ("svg", "png", "csv")),
    }
    read = board_tables.read_tables(tmp_path)
    assert [*read["leaderboard"]["study"]] == [other, other, NAME, NAME]
    board = leaderboards.leaderboard(metrics, costs, assignments, labels, 0.9)
    again = read["leaderboard"].query("study == @NAME").reset_index(drop=True)
    pd.testing.assert_frame_equal(again.drop(columns="study"), board, check_dtype=False)
    assert set(again["settings"]) == {'of the "authors", NA'}
    assert set(again["recipe"]) == {""}
    assert read["leaderboard_significance"]["excludes_zero"].tolist() == [True, True]
    measured = read["leaderboard_rankings"].dropna(subset="tau")
    assert set(measured["index"]) == {"agreement_seeds"}  # the others need more than assignments


def test_a_malformed_table_is_named(tmp_path):
    with pytest.raises(errors.UserError, match=r"leaderboard\.csv.*build the report again"):
        board_tables.read_tables(tmp_path)
    (tmp_path / "leaderboard.csv").write_text("study\nx\n")
    with pytest.raises(errors.UserError, match=r"leaderboard\.csv.*build the report again"):
        board_tables.read_tables(tmp_path)
