import json
import platform
import re
import shutil
from dataclasses import replace
from pathlib import Path

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from report import (
    collect,
    comparisons,
    evidence,
    evidence_tables,
    joining,
    publish,
    publish_checks,
    published,
    published_figures,
    published_tables,
)
from report import readme as readme_module
from report.claims_table import CLAIMS_TABLE
from report.reported_losses import REPORTED_LOSSES_TABLE
from report.variances import VARIANCES_TABLE
from utils import config, places
from utils.errors import UserError
from utils.store import tables as tables_module

STUDIES = ("mnist-cae", "cifar10-cae")
SOURCES = ("metrics.csv", "facts.csv", "run.json")
DERIVED = (
    *("reported_vs_reproduced.csv", "identities.csv"),
    *("reported_losses.csv", "variance_components.csv", "claims.csv"),
)
EVIDENCE = tuple(schema.file for schema in evidence_tables.EVIDENCE)
TABLES = (*SOURCES, *DERIVED, *EVIDENCE)
NO_EVIDENCE = evidence_tables.read(Path(), [])
BEGIN, END = (marker.format("published") for marker in (readme_module.BEGIN, readme_module.END))
TEXT = "# Title\n" + "".join(
    f"\n{readme_module.BEGIN.format(name)}\nold {name}\n{readme_module.END.format(name)}\n"
    for name in readme_module.PARTS
)
HOST = "workstation-7"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RECORD = {
    "made": "2025-01-01T10:00:00+00:00",
    "commit": COMMIT,
    "dirty": False,
    "profile": {"profile": "paper", "reduced": False},
    "studies": ["mnist-cae"],
    "seeds": [0, 1],
    "hardware": {"cpu": "A processor", "cores": 2, "memory_gib": 7.8, "gpu": None},
    "data": {"mnist-cae": {"substituted": False}},
}


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """The folder of a made-up full report, with one study that could not be run."""
    folder = tmp_path_factory.mktemp("made-up")
    with places.elsewhere(config=fake_run.write_config(folder / "config")):
        runs = fake_run.write_run(folder / "runs", "paper")
        data = runs / "paper/mnist-cae/data.json"
        edit(data, substituted=False, dataset="mnist")
        collected = collect.collect("paper", STUDIES, (0, 1), runs)
        evidence.write_results(collected, folder / "report")
    edit(folder / "report/run.json", commit=COMMIT, dirty=False)
    return folder


@pytest.fixture
def report(made_up, tmp_path, monkeypatch, elsewhere):
    """A copy of the report that a test may change, with the configuration of its studies."""
    elsewhere(config=made_up / "config")
    monkeypatch.setattr(platform, "node", lambda: HOST)
    return Path(shutil.copytree(made_up / "report", tmp_path / "report"))


@pytest.fixture
def place(tmp_path):
    """A folder with an earlier published run, and a README."""
    folder = tmp_path / "kept/published"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures/mnist-cae-old.png").write_bytes(b"old")
    (tmp_path / "README.md").write_text(TEXT)
    return folder, tmp_path / "README.md"


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_table(path, change):
    change(pd.read_csv(path, dtype={"note": "str"})).to_csv(path, index=False)


def content_of(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def verdict_row(**changes):
    row = {
        "study": "mnist-cae",
        "score": "ARI",
        "source": "Table I",
        "reported": "0.43",
        "mean": 0.41234567,
        "sd": 0.0141421,
        "n_networks": 2,
        "prediction_low": 0.2,
        "prediction_high": 0.6,
        "rank": "3rd of 3",
        "p_holm": 0.5,
        "smallest_deviation": 0.1,
        "verdict": "consistent",
        "seed_values": "0.4000 0.4200",
        "note": "",
    }
    return {**row, **changes}


def headline(*rows):
    table = pd.DataFrame(rows, columns=list(tables_module.VERDICTS_TABLE.columns))
    return readme_module.headline(table)


def run_of(**record):
    return published.Published(
        metrics=tables_module.METRICS_TABLE.empty(),
        facts=tables_module.FACTS_TABLE.empty(),
        record={**RECORD, **record},
        evidence=NO_EVIDENCE,
    )


def cells(table):
    """The rows of a Markdown table under its heading; an escaped bar separates nothing."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


# --- loading -----------------------------------------------------------------------------------


def test_no_run_is_none(tmp_path):
    assert published.load(tmp_path) is None
    (tmp_path / "figures").mkdir()
    assert published.load(tmp_path) is None


def test_a_report_is_read_as_it_was_written(report):
    run = published.load(report)
    assert list(run.metrics.columns) == list(tables_module.METRICS_TABLE.columns)
    assert list(run.verdicts.columns) == list(tables_module.VERDICTS_TABLE.columns)
    assert run.record["seeds"] == [0, 1]
    assert len(run.metrics) == 11 * (2 + (3 + 1) + (3 + 1))
    not_run = run.verdicts[run.verdicts["verdict"] == "not run"]
    assert list(not_run["study"]) == ["cifar10-cae"] * 2
    assert not_run["mean"].isna().all()
    assert (not_run["seed_values"] == "").all()
    assert (not_run["note"] == "this run has no such value").all()


@pytest.mark.parametrize("word", ["", "NA", "None", "nan"])
def test_words_stay_words(report, word):
    edit_table(report / "facts.csv", lambda table: table.assign(value=word))
    assert set(published.load(report).facts["value"]) == {word}


def test_verdicts_follow_the_tables_and_the_present_rule(report, monkeypatch):
    for name in DERIVED:
        (report / name).unlink()
    before = published.load(report).verdicts.set_index(["study", "score"])
    assert before.loc[("mnist-cae", "ARI"), "verdict"] == "consistent"
    edit_table(report / "metrics.csv", lambda table: table.assign(value=table["value"] + 1))
    after = published.load(report).verdicts.set_index(["study", "score"])
    assert after.loc[("mnist-cae", "ARI"), "verdict"] == "too low"
    rule = config.load_verdict_rule().model_copy(update={"confidence": 0.99})
    monkeypatch.setattr(config, "load_verdict_rule", lambda: rule)
    wider = published.load(report).verdicts.set_index(["study", "score"])
    low = wider.loc[("mnist-cae", "ARI"), "prediction_low"]
    assert low < after.loc[("mnist-cae", "ARI"), "prediction_low"]
    (identity, _) = published.load(report).identities.itertuples()
    assert (identity.what, identity.outcome) == ("parameters", "as reported")


@pytest.mark.parametrize("name", ["metrics.csv", "facts.csv"])
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_text(""),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: path.write_text("study\nmnist-cae\n"),
        lambda path: path.write_text(re.sub(r",\d+(\.\d+)?", ",many", path.read_text())),
    ],
)
def test_a_damaged_table_is_named(report, name, damage):
    damage(report / name)
    with pytest.raises(UserError, match=re.escape(name)) as error:
        published.load(report)
    assert "again" in str(error.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "JSON"),
        ("[1]", "must be keys and values"),
        ("{}", "'made' is missing"),
        (json.dumps({**RECORD, "commit": "`x`"}), "'commit'"),
        (json.dumps({**RECORD, "made": "yesterday"}), "'made'"),
        (json.dumps({**RECORD, "hardware": {}}), "'hardware.cpu' is missing"),
        (json.dumps({**RECORD, "studies": ["../x"]}), "'studies.0'"),
        (json.dumps({**RECORD, "data": {"mnist-cae": {}}}), "'data.mnist-cae.substituted'"),
    ],
)
def test_a_damaged_record_is_named(report, text, complaint):
    (report / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json") as error:
        published.load(report)
    assert complaint in str(error.value)


# --- publishing --------------------------------------------------------------------------------


def test_publishing_replaces_the_folder_and_the_table(report, place):
    folder, readme = place
    publish.publish(report, folder, readme)
    figures = ("tsne_label", "tsne_cluster", "confusion_latent", "confusion_pixels")
    figures += ("reconstructions", "forest")
    assert set(content_of(folder)) == {
        *TABLES,
        "ro-crate-metadata.json",
        *(f"figures/mnist-cae-{name}.png" for name in figures),
        *(f"figures/{name}.png" for name in published_figures.LEADS),
    }
    text = readme.read_text()
    assert text == readme_module.with_parts(TEXT, published.load(folder))
    assert "old " not in text
    page = readme.parent / readme_module.PAGE
    assert page.read_text() == readme_module.page(published.load(folder))
    assert list(folder.parent.iterdir()) == [folder]


def test_the_first_run_needs_no_folder(report, place, tmp_path):
    publish.publish(report, tmp_path / "new/published", place[1])
    assert published.load(tmp_path / "new/published") is not None


def test_publishing_twice_gives_the_same_bytes(report, place):
    folder, readme = place
    publish.publish(report, folder, readme)
    first = content_of(folder), readme.read_bytes()
    publish.publish(report, folder, readme)
    assert (content_of(folder), readme.read_bytes()) == first


def test_what_is_published_can_be_published(report, place, tmp_path):
    folder, readme = place
    publish.publish(report, folder, readme)
    again = tmp_path / "again"
    publish.publish(folder, again, readme)
    assert all((again / name).read_bytes() == (folder / name).read_bytes() for name in TABLES)


def test_metrics_have_six_digits_and_verdicts_follow_them(report, place):
    edit_table(report / "metrics.csv", lambda table: table.assign(value=table["value"] / 3))
    publish.publish(report, *place)
    before, after = published.load(report), published.load(place[0])
    values = after.metrics["value"]
    np.testing.assert_allclose(values, before.metrics["value"], rtol=5e-6)
    assert (values != before.metrics["value"]).any()
    pd.testing.assert_frame_equal(
        after.metrics.drop(columns="value"), before.metrics.drop(columns="value")
    )
    pd.testing.assert_frame_equal(after.verdicts, before.verdicts, rtol=1e-3)
    assert disagreements(place[0]) == []


def test_one_seed_is_published_and_shown(report, place):
    edit(report / "run.json", seeds=[0])
    for name in ("metrics.csv", "facts.csv"):
        edit_table(report / name, lambda table: table[table["seed"] == 0])
    publish.publish(report, *place)
    text = place[1].read_text()
    rows = [row for row in cells(text) if len(row) == len(readme_module.HEADER)]
    assert [row[3] for row in rows] == ["0.4100 (1)", "0.0400 (1)", "–", "–"]
    assert [row[6] for row in rows] == ["uninformative"] * 2 + ["not run"] * 2


def break_reduced(report):
    profile = json.loads((report / "run.json").read_text())["profile"]
    edit(report / "run.json", profile={**profile, "reduced": True})


def break_data(report):
    data = json.loads((report / "run.json").read_text())["data"]
    data["mnist-cae"]["substituted"] = True
    edit(report / "run.json", data=data)


def break_commit(report):
    edit(report / "run.json", dirty=True)


def break_picture(report):
    (report / "figures/mnist-cae-confusion_latent.png").write_bytes(b"no picture")


def cut_picture(report):
    path = report / "figures/mnist-cae-confusion_latent.png"
    path.write_bytes(path.read_bytes()[:2000])


def name_host(facts):
    return facts.assign(value=facts["value"].where(facts["fact"] != "precision", HOST))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (break_reduced, "'paper' is reduced"),
        (break_data, "mnist-cae used substitute data"),
        (break_commit, "uncommitted changes: commit them"),
        (break_picture, "confusion_latent.png: not a picture"),
        (cut_picture, "confusion_latent.png: not a picture"),
        *(
            (lambda report, name=name: (report / name).unlink(), f"{re.escape(name)}: missing")
            for name in ("metrics.csv", "facts.csv")
        ),
        (lambda report: edit(report / "run.json", gaps=[f"on {HOST}: slow"]), f"'{HOST}'"),
        (
            lambda report: edit_table(report / "facts.csv", name_host),
            f"facts.csv.*'{HOST}'",
        ),
    ],
)
def test_a_refused_report_changes_nothing(report, place, damage, complaint):
    damage(report)
    refuse(report, place, complaint)


def refuse(report, place, complaint, error=UserError):
    folder, readme = place
    before = content_of(folder.parent), readme.read_bytes()
    with pytest.raises(error, match=complaint) as refused:
        publish.publish(report, folder, readme)
    assert "\n" not in str(refused.value)
    assert (content_of(folder.parent), readme.read_bytes()) == before


@pytest.mark.parametrize("text", ["no markers", TEXT + END])
def test_a_readme_without_a_place_for_the_table_changes_nothing(report, place, text):
    place[1].write_text(text)
    refuse(report, place, "README")


def test_a_missing_readme_changes_nothing(report, place):
    folder, readme = place
    before = content_of(folder)
    readme.unlink()
    with pytest.raises(UserError, match=r"README\.md: missing"):
        publish.publish(report, folder, readme)
    assert content_of(folder) == before
    assert not readme.exists()


@pytest.mark.parametrize("name", ["notes.txt", "figures/holiday.png", ".hidden", "empty/x"])
def test_a_folder_with_a_file_of_somebody_is_not_replaced(report, place, name):
    (place[0] / name).parent.mkdir(exist_ok=True)
    (place[0] / name).write_text("mine")
    with pytest.raises(UserError, match="does not belong to a published run"):
        publish.publish(report, *place)
    assert (place[0] / name).read_text() == "mine"
    assert (place[0] / "figures/mnist-cae-old.png").exists()


def test_too_large_figures_change_nothing(report, place, monkeypatch):
    monkeypatch.setattr(published_figures, "LARGEST_FIGURES", 1000)
    refuse(report, place, "allowed are 1,000")


@pytest.mark.parametrize("fails_at", ["kept/published", "new"])
def test_a_folder_that_cannot_be_moved_changes_nothing(report, place, monkeypatch, fails_at):
    rename = Path.rename

    def fail(path, target):
        if str(path).endswith(fails_at):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    refuse(report, place, "No space", OSError)


def test_a_readme_that_cannot_be_written_changes_nothing(report, place, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish.files, "atomic_path", fail)
    refuse(report, place, "No space", OSError)


def test_a_picture_that_the_readme_shows_is_not_taken_away(report, place):
    folder, readme = place
    linked = TEXT + "\n![old](kept/published/figures/{}.png) ![other](elsewhere/x.png)\n"
    readme.write_text(linked.format("mnist-cae-old"))
    refuse(report, place, "shows kept/published/figures/mnist-cae-old.png")
    readme.write_text(linked.format("mnist-cae-tsne_label"))
    page = readme.parent / "docs/gallery.md"
    page.parent.mkdir()
    page.write_text("![old](../kept/published/figures/mnist-cae-old.png)")
    refuse(report, place, r"gallery.md: shows ../kept/published/figures/mnist-cae-old.png")
    page.unlink()
    publish.publish(report, folder, readme)
    assert (folder / "figures/mnist-cae-tsne_label.png").is_file()


# --- a run in parts ----------------------------------------------------------------------------


def test_the_plot_of_reported_scores_has_the_seeds_that_are_kept_too(report, place):
    publish.publish(report, *place)
    forest = place[0] / "figures/mnist-cae-forest.png"
    both = forest.read_bytes()
    for name in ("metrics.csv", "facts.csv"):
        table = pd.read_csv(report / name)
        table[table["seed"] == 1].to_csv(report / name, index=False)
    edit(report / "run.json", seeds=[1])
    publish.publish(report, *place)
    assert published.load(place[0]).record["earlier"][0]["published"] == {"mnist-cae": [0]}
    assert forest.read_bytes() == both
    shutil.rmtree(place[0])
    publish.publish(report, *place)
    assert forest.read_bytes() != both


def part(seeds, aris, made, study="mnist-cae", **record):
    """Make a run of one study with an adjusted Rand index for each seed."""
    common = {
        "profile": "paper", "study": study, "dataset": "mnist", "n": 70_000,
        "representation": "autoencoder", "space": "pca50", "clusterer": "kmeans",
        "k_found": 10.0, "noise_fraction": 0.0, "metric": "ari",
    }  # fmt: skip
    rows = [{**common, "seed": s, "value": a} for s, a in zip(seeds, aris, strict=True)]
    facts = [(study, seed, "02_train_autoencoder", "made", made) for seed in seeds]
    run = run_of(made=made, studies=[study], data={study: {"substituted": False}}, **record)
    return published.Published(
        metrics=pd.DataFrame(rows)[list(tables_module.METRICS_TABLE.columns)],
        facts=pd.DataFrame(facts, columns=[*tables_module.FACTS_TABLE.columns]),
        record=run.record,
        evidence=NO_EVIDENCE,
    )


@pytest.fixture
def parts(report):
    first = joining.joined(part([0, 1], [0.1, 0.2], "2025-01-01T"), None)
    return first, part([1, 2], [0.5, 0.6], "2025-02-02T")


def test_a_later_run_counts_and_earlier_seeds_are_kept(parts):
    first, second = parts
    both = joining.joined(second, first)
    place = ("autoencoder", "pca50", "kmeans")
    values = comparisons.seed_values(both.metrics, "mnist-cae", *place, "ari")
    assert values == {0: 0.1, 1: 0.5, 2: 0.6}
    assert dict(zip(both.facts["seed"], both.facts["value"], strict=True)) == {
        0: "2025-01-01T", 1: "2025-02-02T", 2: "2025-02-02T",
    }  # fmt: skip
    row = both.verdicts.set_index("score").loc["ARI"]
    assert (row.n_networks, row["mean"]) == (3, pytest.approx(0.4))
    assert both.record["published"] == {"mnist-cae": [1, 2]}
    (earlier,) = both.record["earlier"]
    assert (earlier["made"], earlier["published"]) == ("2025-01-01T", {"mnist-cae": [0]})
    newer, older = readme_module.origins(both).splitlines()
    assert newer.endswith("seeds: `mnist-cae` 1, 2.")
    assert older.endswith("seeds: `mnist-cae` 0.")


def test_other_studies_are_kept_and_replaced_runs_forgotten(parts):
    other = part([0], [0.3], "2025-03-03T", study="cifar10-cae")
    three = joining.joined(other, joining.joined(parts[1], parts[0]))
    assert [old["made"] for old in three.record["earlier"]] == ["2025-02-02T", "2025-01-01T"]
    assert three.record["studies"] == ["cifar10-cae", "mnist-cae"]
    again = joining.joined(part([0, 1, 2], [0.7] * 3, "2025-04-04T"), three)
    assert [old["made"] for old in again.record["earlier"]] == ["2025-03-03T"]
    assert again.verdicts.set_index(["study", "score"]).loc[("mnist-cae", "ARI")].n_networks == 3


def test_a_run_that_has_every_seed_stands_alone(parts):
    whole = joining.joined(part([0, 1], [0.8, 0.9], "2025-05-05T"), parts[0])
    assert whole.record["earlier"] == []
    assert set(whole.metrics["value"]) == {0.8, 0.9}


def board_part(name, aris, made, recipe=""):
    """Make a run of one leaderboard that has one row."""
    run = part(range(len(aris)), aris, made, study=name)
    line = {
        "study": name, "representation": "pixels+hog", "space": "umap10", "clusterer": "gmm",
        "n": 70_000, "n_seeds": len(aris), "ari": sum(aris) / len(aris), "ari_low": min(aris),
        "ari_high": max(aris), "acc": 0.5, "seconds": 61.2, "recipe": recipe,
        "k_low": 10, "k_high": 10, "k_given": True, "settings": "",
        "labels": "none",
    }  # fmt: skip
    tables = {
        table: pd.DataFrame([line] if table == "leaderboard" else []).reindex(
            columns=list(schema.columns)
        )
        for table, schema in tables_module.BOARD_TABLES.items()
    }
    record = {**run.record, "studies": [], "leaderboards": [name]}
    return published.Published(run.metrics, run.facts.iloc[:0], record, NO_EVIDENCE, tables)


def test_a_leaderboard_is_replaced_as_a_whole_and_others_are_kept(parts):
    first = board_part("beyond-mnist", [0.7, 0.8, 0.9], "2025-06-06T")
    second = board_part("beyond-fashion", [0.5], "2025-07-07T")
    both = joining.joined(second, joining.joined(first, parts[0]))
    assert both.record["studies"] == ["mnist-cae"]
    assert both.record["leaderboards"] == ["beyond-fashion", "beyond-mnist"]
    assert both.boards["leaderboard"].set_index("study")["ari"].to_dict() == {
        "beyond-fashion": 0.5,
        "beyond-mnist": pytest.approx(0.8),
    }
    again = joining.joined(board_part("beyond-mnist", [0.2], "2025-08-08T"), both)
    assert again.boards["leaderboard"].set_index("study")["ari"].to_dict() == {
        "beyond-mnist": 0.2,
        "beyond-fashion": 0.5,
    }
    assert comparisons.seed_values(
        again.metrics, "beyond-mnist", "autoencoder", "pca50", "kmeans", "ari"
    ) == {0: 0.2}
    assert "beyond-mnist" not in {n for old in again.record["earlier"] for n in old["published"]}
    assert again.verdicts.set_index("score").loc["ARI"].n_networks == 2


def test_the_readme_shows_the_best_and_the_named_methods():
    run = board_part("beyond-mnist", [0.7, 0.8], "2025-06-06T", recipe="mnist-some")
    rows = run.boards["leaderboard"]
    worse = [rows.assign(ari=0.3, recipe=""), rows.assign(ari=0.2, recipe="mnist-other")]
    run.boards["leaderboard"] = pd.concat([rows, *worse])
    best, named = cells(readme_module.best_rows(run))
    assert best == [
        "`beyond-mnist`, 70,000", "pixels + HOG, UMAP 10, Gaussian mixture", "`mnist-some`", "none",
        "2", "0.5000", "0.7500", "0.7000 to 0.8000", "61 s",
    ]  # fmt: skip
    assert named[2] == "`mnist-other`"


def test_a_leaderboard_is_published_and_read(tmp_path):
    run = board_part("beyond-mnist", [0.7, 0.8], "2025-06-06T", recipe="mnist-some")
    run.metrics.loc[len(run.metrics)] = {**run.metrics.iloc[0], "metric": "silhouette"}
    folder = tmp_path / "boards"
    folder.mkdir()
    published_tables.write_tables(run, folder)
    again = published.load(folder)
    assert set(again.metrics["metric"]) == {"ari"}
    pd.testing.assert_frame_equal(
        again.boards["leaderboard"][["study", "ari", "recipe"]],
        run.boards["leaderboard"][["study", "ari", "recipe"]],
        check_dtype=False,
    )


# --- nothing of the machine --------------------------------------------------------------------


def test_the_record_says_little_of_the_machine(report, place):
    edit(report / "run.json", gaps=["cell 3 of /home/someone/run/executed.ipynb failed"])
    before = json.loads((report / "run.json").read_text())
    publish.publish(report, *place)
    after = json.loads((place[0] / "run.json").read_text())
    assert set(after.pop("hardware")) == {"cpu", "cores", "memory_gib", "gpu"}
    assert after["gaps"] == ["cell 3 of …/executed.ipynb failed"]
    assert after.pop("published") == {"mnist-cae": [0, 1]}
    assert after.pop("earlier") == []
    assert set(after) == set(before) - {"hardware"}
    assert all(after[key] == before[key] for key in set(after) - {"gaps"})


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("there is no file /mnt/disk-2/weights.pth", "there is no file …/weights.pth"),
        ("'/a/b c/d'", "'…/b c/d'"),
        ("see (/tmp/x), then go", "see (…/x), then go"),
        ("/tmp/folder/", "…/folder"),
        ("/single", "…/single"),
        ("pixels/raw and T-shirt/top", "pixels/raw and T-shirt/top"),
        ("3 / 4", "3 / 4"),
        ("https://example.org/a/b.gz: no answer", "https://example.org/a/b.gz: no answer"),
        (f"{places.ROOT}/runs/paper/x", "runs/paper/x"),
    ],
)
def test_absolute_paths_become_names(text, kept):
    assert published_tables.without_paths({"a": [text, 1, None]}) == {"a": [kept, 1, None]}
    assert published_tables.without_paths(kept) == kept


def test_a_path_in_a_note_becomes_a_name(report, place):
    reason = {
        **{"study": "cifar10-cae", "seed": 0, "notebook": "02_train_autoencoder"},
        **{"fact": "not_run_autoencoder", "value": "no file /mnt/x/weights.pth"},
    }
    edit_table(report / "facts.csv", lambda table: pd.concat([table, pd.DataFrame([reason])]))
    publish.publish(report, *place)
    notes = published.load(place[0]).verdicts["note"]
    assert set(notes) == {"", "no file …/weights.pth"}


# --- pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "smaller"),
    [((1800, 601), (900, 300)), ((901, 2), (900, 2)), ((900, 5), (900, 5)), ((10, 990), (10, 990))],
)
def test_pictures_are_at_most_900_pixels_wide(tmp_path, size, smaller):
    Image.new("RGBA", size, "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(published_figures.small_png(tmp_path / "a.png"))
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == smaller
        assert picture.convert("RGB").getpixel((5, 1)) == (255, 0, 0)


def test_what_can_be_seen_through_becomes_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(published_figures.small_png(tmp_path / "a.png"))
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_many_colours_become_a_palette(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    small = published_figures.small_png(tmp_path / "a.png")
    assert len(small) < (tmp_path / "a.png").stat().st_size / 2
    (tmp_path / "b.png").write_bytes(small)
    with Image.open(tmp_path / "b.png") as picture:
        assert len(picture.convert("RGB").getcolors()) <= published_figures.COLOURS


# --- the table ---------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_reported_score(report):
    run = published.load(report)
    rows = cells(readme_module.headline(run.verdicts))
    assert [row[1] for row in rows] == list(run.verdicts["score"])
    assert all(len(row) == len(readme_module.HEADER) for row in rows)
    assert rows[0] == [
        "`mnist-cae`: convolutional autoencoder on MNIST",
        "ARI",
        "0.4296",
        "0.4150 ± 0.0071 (2)",
        "0.3050 to 0.5250",
        "3rd of 3",
        "consistent",
    ]
    assert rows[1][0] == "`mnist-cae`"
    assert rows[2][0] == "`cifar10-cae`: convolutional autoencoder on CIFAR-10"
    assert rows[3][2:] == ["0.1108", "–", "–", "–", "not run"]


def test_two_sources_of_a_score_share_a_row():
    saved = verdict_row(source="a notebook", reported="0.90", rank="3rd of 3", verdict="too high")
    (row,) = cells(headline(verdict_row(), saved))
    assert row[2:] == [
        *("0.43; 0.90", "0.4123 ± 0.0141 (2)", "0.2000 to 0.6000", "3rd of 3"),
        "consistent; too high",
    ]
    (row,) = cells(headline(verdict_row(), saved | {"verdict": "consistent"}))
    assert row[6] == "consistent"


@pytest.mark.parametrize("printed", ["0.43", "0.430", "0.4300", "3.9020", "-0.02", "1"])
def test_a_reported_value_is_shown_as_printed(printed):
    assert cells(headline(verdict_row(reported=printed)))[0][2] == printed


def test_counts_stand_in_a_table_of_their_own():
    rows = [
        ("mnist-cae", "weights", "s", "335000", "776579 776580", "differs", "why"),
        ("mnist-cae", "biases", "s", "7", "7", "as reported", "why"),
        ("mnist-cae", "layers", "s", "7", "", "not run", ""),
    ]
    table = pd.DataFrame(rows, columns=list(tables_module.IDENTITIES_TABLE.columns))
    assert cells(readme_module.identity_table(table)) == [
        ["`mnist-cae`", "weights", "335,000", "776,579, 776,580", "differs: why"],
        ["`mnist-cae`", "biases", "7", "7", "as reported"],
        ["`mnist-cae`", "layers", "7", "–", "not run"],
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Run of 2025-01-01, commit `0123456`, profile `paper`, A processor, 2 cores, no GPU."),
        ({"published": {"a": [0, 1], "b": [2]}}, "no GPU; seeds: `a` 0, 1; `b` 2."),
        ({"dirty": True}, "commit `0123456` with uncommitted changes,"),
        ({"commit": None, "dirty": None}, ", no commit,"),
        ({"hardware": {**RECORD["hardware"], "gpu": "A|B 80"}}, "2 cores, GPU A\\|B 80."),
        ({"hardware": {**RECORD["hardware"], "cores": None}}, "cores not known"),
    ],
)
def test_the_list_below_says_what_was_run_where(changes, said):
    assert said in readme_module.origins(run_of(**changes))


def test_below_the_list_stand_the_networks_that_were_trained_in_bfloat16():
    trained = [
        ("a", 2, "bfloat16"),
        ("a", 0, "bfloat16"),
        ("b", 1, "bfloat16"),
        ("b", 0, "float32"),
    ]
    where = ("02_train_autoencoder", "precision")
    facts = [(study, seed, *where, precision) for study, seed, precision in trained]
    run = run_of()
    assert "bfloat16" not in readme_module.origins(run)
    rounded = replace(run, facts=pd.DataFrame(facts, columns=[*tables_module.FACTS_TABLE.columns]))
    assert readme_module.origins(rounded).endswith("all others in float32: seeds `a` 0, 2; `b` 1.")


def test_a_study_that_is_in_no_file_any_more_is_named_and_has_no_verdicts():
    assert cells(headline(verdict_row(study="gone")))[0][0] == "`gone`"
    assert run_of(studies=["gone"]).verdicts.empty


@given(st.text(), st.text())
def test_no_text_breaks_the_table_or_its_markers(score, verdict):
    table = headline(verdict_row(score=score + fake_run.HOSTILE, verdict=verdict + END))
    assert len(table.split("\n")) == 3
    assert [len(row) for row in cells(table)] == [len(readme_module.HEADER)]
    once = readme_module.update_readme(TEXT, table, BEGIN, END)
    assert readme_module.update_readme(once, table, BEGIN, END) == once


@given(st.text(), st.text(), st.text())
def test_only_what_is_between_the_markers_changes(before, between, after):
    text = before + BEGIN + between + END + after
    if any(text.count(marker) != 1 for marker in (BEGIN, END)):
        return
    expected = f"{before}{BEGIN}\n\na table\n\n{END}{after}"
    assert readme_module.update_readme(text, "a table", BEGIN, END) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        BEGIN,
        END,
        END + BEGIN,
        TEXT + BEGIN,
        TEXT + END,
    ],
)
def test_missing_double_and_swapped_markers_are_errors(text):
    with pytest.raises(UserError, match=r"published: (begin|end)") as error:
        readme_module.update_readme(text, "a table", BEGIN, END)
    assert "\n" not in str(error.value)


def test_without_a_run_readme_and_page_say_so():
    nothing = "No full run is published yet."
    assert set(readme_module.readme_parts(None).values()) == {nothing}
    assert readme_module.with_parts(TEXT, None).count(nothing) == len(readme_module.PARTS)
    assert nothing in readme_module.page(None)


def test_scores_stand_in_the_readme_and_the_origins_on_the_page():
    run = run_of()
    scores = readme_module.readme_parts(run)["published"].split("\n\n")
    assert scores[:2] == [readme_module.headline(run.verdicts), readme_module.HEADLINE_NOTE]
    assert readme_module.page(run).endswith(f"## Origin\n\n{readme_module.origins(run)}\n")
    assert readme_module.headline(run.verdicts) not in readme_module.page(run)


def test_the_readme_says_in_short_when_and_where_the_runs_were_made():
    assert readme_module.origins_in_short(run_of()) == (
        "The numbers are those of one run, made on 2025-01-01 on A processor."
    )
    other = {**RECORD, "made": "2024-12-31T", "hardware": {**RECORD["hardware"], "cpu": "B|2"}}
    assert readme_module.origins_in_short(run_of(earlier=[other, RECORD])) == (
        "The numbers are those of 3 runs, made from 2024-12-31 to 2025-01-01 on A processor and "
        "B\\|2."
    )


# --- what is in the repository -----------------------------------------------------------------


def disagreements(folder):
    """Scores and counts whose stored row is not the one that follows from the other tables."""
    run, wrong = published.load(folder), []
    for schema, computed, keys in (
        (tables_module.VERDICTS_TABLE, run.verdicts, ["study", "score", "source"]),
        (tables_module.IDENTITIES_TABLE, run.identities, ["study", "what"]),
        (REPORTED_LOSSES_TABLE, run.reported_losses, ["study", "what"]),
        (VARIANCES_TABLE, run.variances, [*tables_module.COMBINATION, "metric"]),
        (CLAIMS_TABLE, run.claims, ["study", "claim"]),
    ):
        stored = schema.read(folder / schema.file, "again").set_index(keys)
        computed = computed.set_index(keys)
        assert list(stored.index) == list(computed.index)
        for column in computed:
            one, other = stored[column], computed[column]
            if one.dtype.kind == "f":
                same = np.isclose(one, other, rtol=1e-5, atol=1e-9, equal_nan=True)
            else:
                same = one == other
            wrong += [(*key[:2], column) for key in computed.index[~np.asarray(same)]]
    return wrong


def test_a_verdict_that_does_not_follow_from_the_metrics_is_found(report, place):
    publish.publish(report, *place)
    assert disagreements(place[0]) == []
    edit_table(place[0] / "metrics.csv", lambda table: table.assign(value=table["value"] + 1))
    wrong = disagreements(place[0])
    assert ("mnist-cae", "ARI", "mean") in wrong
    assert ("mnist-cae", "ARI", "verdict") in wrong


@pytest.fixture
def committed():
    run = published.load(places.published())
    if run is None:
        pytest.skip("no full run is published yet")
    return run


def test_readme_and_page_are_those_of_the_published_run():
    run = published.load(places.published())
    text = places.readme().read_text(encoding="utf-8")
    assert readme_module.with_parts(text, run) == text
    page = places.ROOT / readme_module.PAGE
    assert page.read_text(encoding="utf-8") == readme_module.page(run)


def test_the_published_folder_is_small():
    assert sum(map(len, content_of(places.published()).values())) < 5_000_000


def test_the_published_run_is_a_full_one_with_the_data_of_its_protocols(committed):
    assert not committed.record["profile"]["reduced"]
    assert not any(data["substituted"] for data in committed.record["data"].values())


@pytest.mark.usefixtures("committed")
def test_the_published_verdicts_agree_with_the_published_metrics():
    assert disagreements(places.published()) == []


def test_the_published_run_names_no_machine(committed):
    text = (places.published() / "run.json").read_text(encoding="utf-8")
    assert published_tables.without_paths(committed.record) == committed.record
    assert str(places.ROOT) not in text
    assert "system" not in committed.record["hardware"]
    publish_checks.require_no_host_name(places.published())
    notes = list(committed.verdicts["note"])
    assert published_tables.without_paths(notes) == notes


def test_the_published_files_are_those_that_publishing_writes(committed):
    topics = [*committed.record["studies"], *committed.record["leaderboards"]]
    names = {
        f"figures/{topic}-{name}.png" for topic in topics for name in published_figures.FIGURES
    }
    names |= {f"figures/{name}.png" for name in published_figures.LEADS}
    tables = {*SOURCES, *DERIVED, *committed.record.get("evidence", [])}
    tables |= {f"{name}.csv" for name in tables_module.BOARD_TABLES}
    written = set(content_of(places.published()))
    assert tables <= written <= {*tables, *EVIDENCE, *names, "ro-crate-metadata.json"}
