"""The harness of the benchmarks and the table made of them; no test looks at a time."""

import importlib
import json
import re

import pytest

from commands.arguments import WrongCall
from utils.places import ROOT


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield {name: importlib.import_module(name) for name in ("measure", "run")}


def test_ratios_are_taken_round_by_round(modules):
    seconds = {"ours": [1.0, 2.0, 4.0], "theirs": [3.0, 4.0, 40.0]}
    found = modules["measure"].Result("what", seconds, {"theirs": 2.0}).as_json()
    assert found["medians"] == {"ours": 2.0, "theirs": 4.0}
    assert found["ratios"] == {"theirs": 3.0}


def test_ways_take_turns_after_a_warm_up(modules):
    calls = []

    def way(name):
        return lambda: calls.append(name) or len(calls)

    ways = {"ours": way("a"), "theirs": way("b")}
    seconds, results = modules["measure"].in_turn(ways, 2)
    assert calls == list("ab" * 3)
    assert results == {"ours": 5, "theirs": 6}
    assert [len(runs) for runs in seconds.values()] == [2, 2]
    modules["measure"].in_turn(ways, 1, lambda: calls.append("w"))
    assert calls[6:] == list("wab")


def test_every_benchmark_is_listed_and_has_been_measured(modules):
    run = modules["run"]
    # The last three train and store networks of the studies, and compare checkouts, not times.
    others = {"measure", "run", "on_gpu", "load_networks", "same_numbers", "score_n2d"}
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - others
    assert files == set(run.BENCHMARKS)
    found = run.load()
    assert set(found) <= files
    for one in found.values():
        assert {"what", "made", "hardware", "versions"} <= set(one)
        assert not re.search(r"/(work|home|root|tmp)/", json.dumps(one))


def test_the_tables_of_the_pages_are_those_of_the_results(modules):
    run = modules["run"]
    pages = (
        (run.PAGE, run.table),
        (run.SCALING, run.growth_tables),
        (run.NOTES, run.picture_tables),
    )
    for page, block in pages:
        text = page.read_text(encoding="utf-8")
        assert f"{run.BEGIN}\n\n{block(run.load())}\n\n{run.END}" in text


def test_results_are_kept_beside_others(modules, tmp_path, monkeypatch):
    run = modules["run"]
    monkeypatch.setattr(run, "FOUND", tmp_path / "results.json")
    result = modules["measure"].Result("a | b", {"ours": [1.0], "x": [2.5]}, {"x": 2.0})
    run.keep("n2d", result.as_json())
    run.keep("growth", {"what": "parts", "rows": []})
    found = run.load()
    assert list(found) == ["n2d", "growth"] and found["n2d"]["hardware"]["cores"]
    day = found["n2d"]["made"][:10]
    assert f"| a | b | 1.0 s | x | 2.5 s | 2.50 | 2.00 | {day} |" in run.table(found)


def test_the_simulated_schedule_waits_for_trainings_and_for_free_nodes(modules, monkeypatch):
    schedule = importlib.import_module("schedule")
    monkeypatch.setattr(schedule, "SEED_STUDIES", 2)
    monkeypatch.setattr(schedule, "MINUTES", {"a": {"01": 1.0, "02": 10.0, "03": 2.0, "04": 3.0}})
    assert schedule.simulate(1) == 2 * 16
    assert schedule.simulate(100) == 13
    assert schedule.simulate(2) == 16


def test_an_unknown_name_is_refused(modules):
    with pytest.raises(WrongCall, match="unknown benchmark 'nonsense': allowed are auto"):
        modules["run"].main(["nonsense"])
