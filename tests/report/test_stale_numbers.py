from types import SimpleNamespace

import fake_run
import pandas as pd
import pytest

from report import board_sections, collect, origins_of, published, run_tables
from report import readme as readme_module
from report import stale_numbers as stale
from report.evidence_tables import EVIDENCE, ORIGINS_TABLE
from utils import config, places
from utils.store import origins, tables

TODAY, TRAINING = "a" * 64, "b" * 64
OLD = {"code": "c" * 64, "commit": "abc1234" + "0" * 33}
OLD_NETWORK = {"network_code": "d" * 64, "network_commit": "def5678" + "0" * 33}
RECORD = {
    "made": "2025-01-01T10:00:00+00:00",
    "commit": "0123456" + "0" * 33,
    "dirty": False,
    "profile": {"profile": "paper", "reduced": False},
    "studies": ["fashion-ae"],
    "seeds": [0, 1],
    "hardware": {"cpu": "A processor", "cores": 2, "memory_gib": 7.8, "gpu": None},
    "data": {"fashion-ae": {"substituted": False}},
    "published": {"fashion-ae": [0, 1]},
}


@pytest.fixture
def today(monkeypatch):
    """Today's code, whatever it really is; notebook 99 does not exist."""
    monkeypatch.setattr(stale, "numbers_fingerprint", lambda script: TODAY)
    monkeypatch.setattr(stale, "source_fingerprint", lambda *_: TRAINING)


def scores(*scored, **changes):
    row = {
        **{"profile": "paper", "study": "fashion-ae", "dataset": "fashion_mnist", "n": 60_000},
        **{"space": "raw", "clusterer": "kmeans", "k_found": 10, "noise_fraction": 0.0},
    }
    rows = [
        {**row, "seed": seed, "representation": name, "metric": metric, "value": 0.3 + seed / 100}
        for name, seed in scored
        for metric in ("ari", "nmi", "purity", "silhouette")
    ]
    return pd.DataFrame(rows).assign(**changes)


def origin(name, seed, **changes):
    network = name.startswith("autoencoder")
    settings = origins.settings_fingerprints(config.load_study("fashion-ae"))
    row = {
        **{"study": "fashion-ae", "seed": seed, "representation": name, "precision": "float32"},
        **{"notebook": "03_latent_clustering", "code": TODAY, "commit": "1" * 40},
        **{"processor": "A processor", "computed": "2025-01-01T10:00:00+00:00", "seconds": 60.0},
        "settings": settings.get(name, settings["pixels"]),
        "network_code": TRAINING if network else "",
        "network_commit": "2" * 40 if network else "",
        "network_processor": "A processor" if network else "",
        "network_computed": "2025-01-01T09:00:00+00:00" if network else "",
        "network_seconds": 30.0 if network else float("nan"),
    }
    return {**row, **changes}


def run_of(metrics, *rows, **record):
    origins = pd.DataFrame(rows, columns=list(ORIGINS_TABLE.columns))
    evidence = {schema.file: schema.empty() for schema in EVIDENCE}
    return published.Published(
        metrics,
        tables.FACTS_TABLE.empty(),
        {**RECORD, **record},
        {**evidence, ORIGINS_TABLE.file: origins},
    )


BOTH = [("autoencoder", 0), ("autoencoder", 1)]


# --- the comparison ----------------------------------------------------------------------------


@pytest.mark.usefixtures("today")
def test_nothing_is_listed_of_a_run_of_todays_code():
    run = run_of(scores(*BOTH, ("pixels", 0)), *(origin(*each) for each in [*BOTH, ("pixels", 0)]))
    assert stale.of_other_code(run) == {}
    assert stale.lines(run, {}) == []


@pytest.mark.usefixtures("today")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (OLD, "code of notebook 03 since commit abc1234"),
        ({**OLD, "commit": ""}, "code of notebook 03 since 2025-01-01, of no commit"),
        (OLD_NETWORK, "training code since commit def5678"),
        (
            OLD | OLD_NETWORK,
            "code of notebook 03 since commit abc1234; training code since commit def5678",
        ),
        ({"network_code": ""}, "no code of the training recorded"),
        ({"notebook": "99_gone"}, "notebook 99 exists no longer"),
        ({"code": ""}, "no origin recorded"),
        ({"processor": ""}, "no origin recorded"),
    ],
)
def test_what_differs_is_said(changes, said):
    run = run_of(scores(*BOTH), origin("autoencoder", 0), origin("autoencoder", 1, **changes))
    found = stale.of_other_code(run)
    assert stale.lines(run, found) == [f"fashion-ae, seed 1, autoencoder: {said}"]


@pytest.mark.usefixtures("today")
def test_each_notebook_that_scored_counts():
    fourth = {"notebook": "04_pretrained_comparison", **OLD}
    run = run_of(
        scores(("autoencoder", 0)), origin("autoencoder", 0), origin("autoencoder", 0, **fourth)
    )
    (why,) = stale.of_other_code(run).values()
    assert why == ("code of notebook 04 since commit abc1234",)


@pytest.mark.usefixtures("today")
def test_lines_group_what_is_alike():
    scored = [
        (name, seed) for name in ("autoencoder", "autoencoder-x", "pixels") for seed in (0, 1)
    ]
    run = run_of(
        scores(*scored),
        *(origin(name, seed, **OLD) for name, seed in scored[:4]),
        origin("pixels", 0),
    )
    assert stale.lines(run, stale.of_other_code(run)) == [
        "fashion-ae, seeds 0, 1, autoencoder, autoencoder-x: "
        "code of notebook 03 since commit abc1234",
        "fashion-ae, seed 1, pixels: no origin recorded",
    ]
    nothing = run_of(scores(*scored))
    assert stale.lines(nothing, stale.of_other_code(nothing)) == [
        "fashion-ae, seeds 0, 1, all representations: no origin recorded"
    ]


def test_todays_code_is_that_of_the_notebooks_in_the_repository():
    script = places.ROOT / "notebooks/03_latent_clustering.py"
    code = {
        "code": stale.numbers_fingerprint(script),
        "network_code": stale.source_fingerprint(stale.TRAINING),
    }
    run = run_of(scores(("autoencoder", 0)), origin("autoencoder", 0, **code))
    assert stale.of_other_code(run) == {}


# --- marks -------------------------------------------------------------------------------------


def test_the_readme_marks_what_has_no_origin_whatever_the_code_is_today(monkeypatch):
    def refuse(*_):
        pytest.fail("the README must not depend on today's code")

    monkeypatch.setattr(stale, "numbers_fingerprint", refuse)
    monkeypatch.setattr(stale, "source_fingerprint", refuse)
    known = run_of(scores(*BOTH), *(origin(*each, **OLD) for each in BOTH))
    assert "†" not in readme_module.readme_parts(known)["published"] + readme_module.page(known)
    half = run_of(scores(*BOTH), origin("autoencoder", 0))
    block = readme_module.readme_parts(half)["published"]
    assert "| 0.3050 ± 0.0071 (2) † |" in block
    assert block.count(readme_module.UNKNOWN_NOTE) == 1
    assert block.index("Ours is the mean") < block.index(readme_module.UNKNOWN_NOTE)


def board(*representations):
    names = {"study": "beyond-mnist", "space": "raw", "clusterer": "kmeans"}
    names |= {"labels": "none", "recipe": ""}
    numbers = dict.fromkeys(tables.LEADERBOARD_TABLE.columns, 0.5)
    rows = [numbers | names | {"representation": name} for name in representations]
    return pd.DataFrame(rows)


def test_a_leaderboards_scores_are_marked_too():
    metrics = scores(("pixels", 0), ("hog", 0), study="beyond-mnist")
    run = run_of(metrics, origin("hog", 0, study="beyond-mnist"), studies=[])
    run.boards["leaderboard"] = board("pixels", "hog")
    lines = readme_module.best_rows(run).splitlines()[2:]
    assert [line.count("†") for line in lines] == [2, 0]
    marked = stale.marked_representations(stale.without_origin(run))
    shown = board_sections._published_rows("beyond-mnist", run, marked)
    assert [sum("†" in str(cell) for cell in row) for row in shown] == [2, 0]
    assert stale.has_mark(shown) and not stale.has_mark(shown[1:])


@pytest.mark.usefixtures("today")
def test_the_article_marks_what_is_not_of_the_code_that_built_it():
    run = run_of(scores(*BOTH), origin("autoencoder", 0), origin("autoencoder", 1, **OLD))
    marked = stale.marked_scores(run, stale.of_other_code(run))
    assert marked == {("fashion-ae", r.score) for r in config.load_study("fashion-ae").reported}
    rows = run_tables.beside_published(run.verdicts, run, marked)
    assert {row[3] for row in rows} == {"0.3050 ± 0.0071 (2)\u00a0†"}
    assert not any("†" in str(row[-1]) for row in rows)
    assert not stale.has_mark(run_tables.beside_published(run.verdicts, run, set()))


# --- where the numbers come from ---------------------------------------------------------------


def test_the_origins_of_each_study_stand_in_a_row_with_their_sums():
    elsewhere = {"network_processor": "NVIDIA H200", "network_commit": "feedbee" + "0" * 33}
    fourth = {"notebook": "04_pretrained_comparison", "seconds": 7.0}
    rows = [
        origin("autoencoder", 0, **elsewhere),
        origin("autoencoder", 0, **elsewhere, **fourth),
        origin("autoencoder", 1, computed="2025-01-02T10:00:00+00:00", precision="bfloat16"),
        *(origin("pixels", seed, notebook="01_baseline_kmeans", seconds=5.0) for seed in range(9)),
        origin("hog", 0, study="beyond-mnist", precision="", seconds=100.0, commit=""),
    ]
    table = pd.DataFrame(rows, columns=list(ORIGINS_TABLE.columns))
    assert origins_of.rows_by_study(table) == [
        [
            "fashion-ae", "bfloat16, float32", "A processor: 1111111",
            "NVIDIA H200: feedbee; A processor: 2222222", "1 min 00 s", "2 min 12 s",
        ],
        ["beyond-mnist", "not recorded", "A processor: no commit", "–", "–", "1 min 40 s"],
        ["all", "", "", "", "1 min 00 s", "3 min 52 s"],
    ]  # fmt: skip
    assert origins_of.rows_by_study(table.iloc[:0]) == []
    assert len(origins_of.rows_by_study(table.iloc[-1:])) == 1
    assert len(origins_of.HEADER) == 6


def test_the_readme_names_where_networks_were_trained_that_were_clustered_elsewhere():
    moved = origin("autoencoder", 0, network_processor="NVIDIA H200 *")
    run = run_of(scores(*BOTH), moved, origin("autoencoder", 1))
    said = "no GPU, networks of `fashion-ae` on NVIDIA H200 \\*; seeds: `fashion-ae` 0, 1."
    assert readme_module.origins(run).endswith(said)
    own = run_of(scores(*BOTH), moved, origin("autoencoder", 1), published={"fashion-ae": [1]})
    assert readme_module.origins(own).endswith("no GPU; seeds: `fashion-ae` 1.")


@pytest.fixture
def made_up(tmp_path, elsewhere):
    elsewhere(config=fake_run.write_config(tmp_path / "config"))
    return fake_run.write_run(tmp_path / "runs")


def test_each_seed_that_a_notebook_scored_has_an_origin(made_up):
    results = collect.collect("quick", ("mnist-cae",), (0, 1), made_up)
    scored = results.metrics[["study", "seed", "representation"]].drop_duplicates()
    origins = results.evidence[ORIGINS_TABLE.file]
    assert set(map(tuple, scored.to_numpy())) == {
        (row.study, row.seed, row.representation) for row in origins.itertuples()
    }
    assert not origins.duplicated(["study", "seed", "notebook", "representation"]).any()


def test_the_precision_of_a_leaderboard_is_the_recorded_one(tmp_path):
    folder = tmp_path / "05_beyond_the_papers"
    folder.mkdir()
    tables.METRICS_TABLE.write(scores(("contrastive", 0)), folder / tables.METRICS_TABLE.file)
    manifest = SimpleNamespace(
        failed=None, networks={}, made_from={}, origin={}, seconds=1.0, settings={}
    )
    study, board = (
        (tables.METRICS_TABLE.file,),
        (tables.METRICS_TABLE.file, tables.COSTS_TABLE.file),
    )
    for names, facts, precision in (
        (study, {}, "float32"),
        (board, {}, ""),
        (board, {"precision": "float32"}, "float32"),
    ):
        manifest.files, manifest.facts = names, facts
        run = collect.NotebookRun("beyond-mnist", 0, folder.name, folder, manifest)
        assert list(origins_of.of_runs([run])["precision"]) == [precision]
