"""The command line and the workflow together, in a small repository with stand-in notebooks."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from faults.processes import processes_in

from commands.lab import EXPLORING
from commands.outputs import RESULTS
from utils.config.vocabulary import LEADERBOARD_NOTEBOOK, PICTURES_NOTEBOOK, STUDY_NOTEBOOKS
from utils.places import ROOT

NOTEBOOKS = (
    "01_baseline_kmeans",
    "02_train_autoencoder",
    "03_latent_clustering",
    "04_pretrained_comparison",
)
BEYOND = "05_beyond_the_papers"
DATASETS = """
from utils.errors import UserError
class DataUnavailable(UserError): pass
"""
PREPARED = """
from pathlib import Path
from utils.data.datasets import DataUnavailable
from utils.store.files import write_json
def prepare_data(study, profile, offline, folder):
    if study.name == "two" and Path(__file__).with_name("no-data").exists():
        raise DataUnavailable("no data")
    if not (folder / "data.json").is_file():
        write_json(folder / "data.json", {"dataset": "mnist"})
    return dict(dataset="mnist", substituted=False, reason=None, source="a test", n=10)
"""
EXPERIMENT = """
from utils.data.prepared import prepare_data
def train(): return 1  # of the second notebook
def cluster(): return 2  # of the others
def rest(): return 3
"""
# Takes the place of papermill: says and leaves what a real notebook does, or fails.
RUNNER = """
import os, sys, time
from pathlib import Path
from commands.staleness import made_from
from commands.telling import tell as said, title_of
from utils.store.files import write_checksums, write_json
def tell(text): said(*text.split(" ", 1))
def main():
    values = dict(zip(sys.argv[2::2], sys.argv[3::2]))
    title = title_of(sys.argv[1], values["--study"], values["--seed"])
    tell(f"start {title}")
    if Path("make-notebooks-slow").exists():
        time.sleep(60)
    if Path(f"make-{sys.argv[1]}-fail").exists():
        tell(f"failed {title} failed in cell [3] `x = 1 / 0`: Error: no")
        return 1
    start = sys.argv.index("--inputs") + 1
    inputs = sys.argv[start:sys.argv.index("--threads")]
    note = made_from(sys.argv[start - 2], "", inputs)
    write_json(Path(values["--run-dir"], "manifest.json"), {"title": title, "made_from": note})
    Path(values["--run-dir"], "executed.ipynb").write_text(title)
    write_checksums(Path(values["--run-dir"]))
    tell(f"done {title}")
if __name__ == "__main__": sys.exit(main())
"""
REPORT = f"""
import sys
from pathlib import Path
from utils.errors import UserError
from utils.store.files import sha256_file, write_json
def build(profile, studies, seeds, runs, out):
    if Path("make-report-fail").exists(): raise UserError("no such figure")
    for name in {RESULTS!r}: Path(out, name).write_text(str(sys.argv[1:]))
    files = {{name: sha256_file(Path(out, name)) for name in {RESULTS!r}}}
    write_json(Path(out, ".files.json"), files)
"""


# What the command line needs of the report.
REPORT_PARTS = ("report/__init__", "report/notebook_format", "report/markdown")


def make_repository(root):
    """Copy the real command line and workflow; replace what gets data, runs and reports."""
    source = root / "src"
    for name in ("commands", "utils/config", "utils/store"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src" / name, source / name, ignore=skipped)
    for name in ("data", "runs"):
        (source / "utils" / name).mkdir()
    (source / "report").mkdir()
    kept = ("errors", "places", "__init__", "data/__init__", "runs/__init__")
    for name in (*(f"utils/{one}" for one in kept), *REPORT_PARTS):
        shutil.copy(ROOT / f"src/{name}.py", source / f"{name}.py")
    warm_start = source / "commands" / "warm_start.py"
    text = warm_start.read_text("utf-8")
    libraries = text[text.index("LIBRARIES = (") :].partition("\n)\n")[0]
    warm_start.write_text(text.replace(libraries, 'LIBRARIES = (\n"json",'))
    (source / "utils/data/datasets.py").write_text(DATASETS)
    (source / "utils/data/prepared.py").write_text(PREPARED)
    (source / "utils/runs/study.py").write_text(EXPERIMENT)
    (source / "commands/notebook.py").write_text(RUNNER)
    (source / "report/build.py").write_text(REPORT)
    shutil.copytree(ROOT / "workflow", root / "workflow")
    shutil.copytree(ROOT / "config/profiles", root / "config/profiles")
    for name in ("verdict.yaml", "selection.yaml"):
        shutil.copy(ROOT / "config" / name, root / "config")
    quick = root / "config/profiles/quick.yaml"
    quick.write_text(re.sub(r"(?m)^seeds: \d+$", "seeds: 2", quick.read_text("utf-8")), "utf-8")
    (root / "config/studies").mkdir()
    study = (ROOT / "config/studies/mnist-cae.yaml").read_text("utf-8")
    for name in ("one", "two"):
        text = study.replace("study: mnist-cae", f"study: {name}")
        if name == "two":
            text = text.replace("dataset: mnist", "dataset: fashion_mnist")
            text = text.partition("\nclaims:\n")[0]  # they name digits
        (root / f"config/studies/{name}.yaml").write_text(text, "utf-8")
    (root / "config/leaderboards").mkdir()
    board = (ROOT / "config/leaderboards/beyond-mnist.yaml").read_text("utf-8")
    board = board.replace("leaderboard: beyond-mnist", "leaderboard: board")
    ours = "  - {representation: one, space: raw, clusterer: kmeans, quick: true}\n"
    board = board.replace("\nrows:\n", f"\nrows:\n{ours}")
    # Lines of studies that are not here.
    board = re.sub(r"(?m)^  - \{representation: mnist-.*\n", "", board)
    (root / "config/leaderboards/board.yaml").write_text(board, "utf-8")
    (root / "notebooks").mkdir()
    for name in (*NOTEBOOKS, BEYOND):
        used = "train" if name == "02_train_autoencoder" else "cluster"
        script = f"from utils.runs import study\nstudy.{used}()\n"
        (root / f"notebooks/{name}.py").write_text(script)
    (root / "reports/template").mkdir(parents=True)
    shutil.copy(ROOT / "reports/template/references.bib", root / "reports/template")
    (root / "reports/template/article.md").write_text("text")
    (root / "requirements.lock").write_text("numpy==1.0")
    shutil.copy(ROOT / "CITATION.cff", root)


def start(root, *arguments):
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "commands", *arguments],
        cwd=root.parent,
        # Unbuffered, so that a line that is printed in two pieces would be torn apart.
        env=os.environ | {"PYTHONPATH": str(root / "src"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def run(root, *arguments):
    """Run the command line; return exit status, lines of output and lines of errors."""
    with start(root, *arguments) as process:
        output, errors = process.communicate(timeout=120)
    return process.returncode, output.splitlines(), errors.splitlines()


def planned_jobs(root, *arguments):
    """Count the jobs that a run would have, by rule and study."""
    status, lines, errors = run(root, *arguments, "--", "--dry-run")
    assert (status, errors) == (0, [])
    rules = [
        line.split()[-1].rstrip(":") for line in lines if line.startswith(("rule ", "localrule "))
    ]
    studies = [line.split("study=")[1].split(",")[0] for line in lines if "study=" in line]
    return Counter(rules), Counter(studies)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A repository in which one seed of two studies was run, and what the run printed."""
    root = tmp_path_factory.mktemp("workflow") / "a repository"
    make_repository(root)
    status, lines, errors = run(root, "--seeds", "1", "--cores", "2")
    assert (status, errors) == (0, [])
    return root, lines


@pytest.fixture
def repository(finished, tmp_path):
    """A copy of the finished repository."""
    root = tmp_path / "moved repository"
    shutil.copytree(finished[0], root)
    return root


def test_a_network_is_trained_with_the_same_threads_in_every_notebook(finished):
    words = ("--cores", "4", "--", "--dry-run", "--printshellcmds", "--forceall")
    status, lines, errors = run(finished[0], *words)
    assert (status, errors) == (0, [])
    commands = [line.split(" 2> ")[0] for line in lines if "run notebook" in line]
    # Of a reduced profile also beside another notebook.
    assert all(command.endswith("--threads 2 --training-threads 4") for command in commands)
    # Of two seeds, of which the second trains: two studies and a leaderboard.
    assert len(commands) == 2 * (4 + 2) + 2


def test_a_full_training_has_all_cores_for_itself(repository):
    quick = repository / "config/profiles/quick.yaml"
    quick.write_text(quick.read_text("utf-8").replace("reduced: true", "reduced: false"), "utf-8")
    words = ("--cores", "4", "--", "--dry-run", "--printshellcmds", "--forceall")
    _, lines, _ = run(repository, *words)
    trainings = [line for line in lines if "run notebook 02_train_autoencoder" in line]
    assert trainings
    assert all("--threads 4 2>" in line for line in trainings)


def test_a_run_shows_progress_durations_and_the_report(finished):
    root, lines = finished
    titles = [f"{name} · {study} · seed 0" for study in ("one", "two") for name in NOTEBOOKS]
    titles.append(f"{BEYOND} · board · seed 0")
    begun = [line for line in lines if line.startswith("[")]
    assert [line.split("]")[0] for line in begun] == [f"[{k}/10" for k in range(1, 11)]
    assert {line.split("] ")[1] for line in begun} == {f"{t} …" for t in [*titles, "report"]}
    assert begun[-1] == "[10/10] report …"
    assert len([line for line in lines if ": done in " in line]) == 10
    # The last lines: a duration for each part, their sum, and where the report is.
    assert [line.split("  ")[1] for line in lines[-13:-2]] == [*titles, "report", "total"]
    assert lines[-2:] == [
        "report: a repository/reports/quick/report.html",
        "        a repository/reports/quick/report.pdf",
    ]
    assert all((root / "reports/quick" / name).exists() for name in RESULTS)


def test_notebooks_wait_for_those_they_need(finished):
    _, lines = finished
    position = {line.split(" …")[0].split("] ")[-1]: k for k, line in enumerate(lines)}
    for study in ("one", "two"):
        trained = lines.index(
            next(line for line in lines if f"02_train_autoencoder · {study} · seed 0: done" in line)
        )
        for name in NOTEBOOKS[2:]:
            assert position[f"{name} · {study} · seed 0"] > trained


def test_a_moved_and_unchanged_repository_is_up_to_date(repository):
    status, lines, errors = run(repository, "--seeds", "1")
    assert (status, errors) == (0, [])
    assert "everything is up to date: nothing to run" in lines
    assert lines[-2] == "report: moved repository/reports/quick/report.html"
    assert not [line for line in lines if line.startswith("[")]


def test_a_changed_study_repeats_only_that_study(repository):
    with (repository / "config/studies/two.yaml").open("a") as file:
        file.write("# changed\n")
    rules, studies = planned_jobs(repository, "--seeds", "1")
    assert rules == {**dict.fromkeys(NOTEBOOKS, 1), "report": 1, "all": 1}
    assert studies == {"two": 4}


def test_a_changed_notebook_repeats_it_and_what_needs_it(repository):
    with (repository / "notebooks/02_train_autoencoder.py").open("a") as file:
        file.write("\n# changed\n")
    rules, _ = planned_jobs(repository, "--seeds", "1")
    assert rules == {**dict.fromkeys(NOTEBOOKS[1:], 2), BEYOND: 1, "report": 1, "all": 1}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("src/utils/runs/study.py", "return 3", "return 4", {}),
        ("src/utils/runs/study.py", "# of the others", "# other words", {}),
        (
            "src/utils/runs/study.py",
            "return 2",
            "return 4",
            {NOTEBOOKS[0]: 2, NOTEBOOKS[2]: 2, NOTEBOOKS[3]: 2, BEYOND: 1, "report": 1, "all": 1},
        ),
        (
            "src/utils/runs/study.py",
            "return 1",
            "return 4",
            {**dict.fromkeys(NOTEBOOKS[1:], 2), BEYOND: 1, "report": 1, "all": 1},
        ),
        ("reports/template/article.md", "text", "words", {"report": 1, "all": 1}),
        ("src/report/build.py", "no such figure", "no figure", {"report": 1, "all": 1}),
        (
            "requirements.lock",
            "1.0",
            "2.0",
            {**dict.fromkeys(NOTEBOOKS, 2), BEYOND: 1, "report": 1, "all": 1},
        ),
        (
            "runs/quick/one/data.json",
            "mnist",
            "other",
            {**dict.fromkeys(NOTEBOOKS, 1), BEYOND: 1, "report": 1, "all": 1},
        ),
    ],
)
def test_a_change_repeats_what_depends_on_it_and_nothing_else(repository, file, old, new, expected):
    path = repository / file
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    rules, _ = planned_jobs(repository, "--seeds", "1")
    assert rules == expected


@pytest.mark.parametrize("name", ["executed.ipynb", "manifest.json", "checksums.json"])
@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_a_damaged_file_has_its_notebook_run_again(repository, name, damage):
    path = repository / f"runs/quick/one/seed-0/01_baseline_kmeans/{name}"
    if damage == "removed":
        path.unlink()
    else:
        path.write_text(path.read_text() + "x")
    status, lines, errors = run(repository, "--seeds", "1")
    assert (status, errors) == (0, [])
    assert [line for line in lines if line.startswith("[")] == [
        "[1/2] 01_baseline_kmeans · one · seed 0 …",
        "[2/2] report …",
    ]
    assert "everything is up to date: nothing to run" in run(repository, "--seeds", "1")[1]


def test_a_lost_memory_of_snakemake_hides_no_change(repository):
    """It has older inputs than results, so that their times tell nothing."""
    shutil.rmtree(repository / ".snakemake")
    script = repository / "src/utils/runs/study.py"
    script.write_text(script.read_text().replace("return 2", "return 4"))
    study = repository / "config/studies/two.yaml"
    study.write_text(study.read_text("utf-8").replace("epochs: 50", "epochs: 49"), "utf-8")
    for path in (script, study):
        os.utime(path, (10**9, 10**9))
    rules, _ = planned_jobs(repository, "--seeds", "1")
    others = {NOTEBOOKS[0]: 2, NOTEBOOKS[2]: 2, NOTEBOOKS[3]: 2, BEYOND: 1}
    assert rules == {**others, NOTEBOOKS[1]: 1, "report": 1, "all": 1}


def test_unreadable_notes_of_snakemake_are_cured(repository):
    notes = [path for path in (repository / ".snakemake/metadata").rglob("*") if path.is_file()]
    for path in notes:
        path.write_bytes(os.urandom(200))
    status, lines, errors = run(repository, "--seeds", "1")
    assert (status, errors) == (0, [])
    # What the manifests note shows that the notebooks are up to date.
    assert [line for line in lines if line.startswith("[")] == ["[1/1] report …"]
    assert "everything is up to date: nothing to run" in run(repository, "--seeds", "1")[1]


@pytest.mark.parametrize("name", ["with {braces}", "100%20 a%41", "{params.x}"])
def test_a_checkout_of_any_name(finished, tmp_path, name):
    shutil.copytree(finished[0], tmp_path / name)
    (tmp_path / name / "notebooks/01_baseline_kmeans.py").write_text("# changed")
    status, lines, errors = run(tmp_path / name, "--seeds", "1", "--studies", "one")
    assert (status, errors) == (0, [])
    assert any("01_baseline_kmeans · one · seed 0: done" in line for line in lines)


def test_a_part_of_the_workflow_makes_no_report(repository):
    (repository / "notebooks/01_baseline_kmeans.py").write_text("# changed")
    words = ("--seeds", "1", "--studies", "one", "--", "--until", "01_baseline_kmeans")
    status, lines, errors = run(repository, *words)
    assert (status, errors) == (0, [])
    assert not [line for line in lines if "up to date" in line]
    assert lines[-1] == "the report was not made: the arguments after -- left it out"


def test_files_dated_in_the_future_are_named_and_stop_nothing(repository):
    """Their order stays, so that what was up to date still is."""
    three_years = 10**17  # nanoseconds
    folders = ("config", "notebooks", "src", "reports", "runs")
    files = [path for name in folders for path in (repository / name).rglob("*") if path.is_file()]
    for path in files:
        ahead = path.stat().st_mtime_ns + three_years
        os.utime(path, ns=(ahead, ahead))
    status, lines, errors = run(repository, "--seeds", "1")
    assert (status, errors) == (0, [])
    assert [line for line in lines if "dated in the future" in line]
    assert "everything is up to date: nothing to run" in lines
    compared = [path for path in files if path.name in ("one.yaml", "manifest.json", ".complete")]
    assert max(path.stat().st_mtime for path in compared) <= time.time()
    # One that has changed is seen as changed.
    study = repository / "config/studies/one.yaml"
    study.write_text(study.read_text("utf-8") + "# changed", "utf-8")
    os.utime(study, ns=(ahead, ahead))
    status, lines, errors = run(repository, "--seeds", "1", "--studies", "one")
    assert (status, errors) == (0, [])
    (said,) = [line for line in lines if "dated in the future" in line]
    assert said.startswith("moved repository/config/studies/one.yaml: dated in the future")
    assert [line for line in lines if line.startswith("[5/5] report")]


def test_personal_settings_do_not_reach_the_workflow(repository, tmp_path, monkeypatch):
    """Those of Snakemake, of git and of Python, and files in the folder of the command."""
    for name in ("snakemake", "yaml"):
        (repository.parent / f"{name}.py").write_text("raise SystemExit('shadowed')")
        (repository / f"{name}.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/config.yaml").write_text("no-such-option: 1")
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(tmp_path / "profile"))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    # The stand-in for papermill leaves what it sees.
    runner = repository / "src/commands/notebook.py"
    seen = "Path('seen.txt').write_text(str(sorted(os.environ)))\ndef tell("
    runner.write_text(runner.read_text().replace("def tell(", seen, 1))
    (repository / "notebooks/01_baseline_kmeans.py").write_text("# changed")
    status, _, errors = run(repository, "--seeds", "1", "--studies", "one")
    assert (status, errors) == (0, [])
    seen = (repository / "seen.txt").read_text()
    assert "GIT_DIR" not in seen and "SNAKEMAKE_PROFILE" not in seen


def test_more_seeds_add_only_theirs_and_a_study_without_data_has_no_jobs(repository, tmp_path):
    (repository / "src/utils/data/no-data").touch()
    rules, studies = planned_jobs(repository, "--seeds", "2")
    # Without a network to train only the first seed is run.
    assert rules == {NOTEBOOKS[1]: 1, NOTEBOOKS[2]: 1, BEYOND: 1, "report": 1, "all": 1}
    assert studies == {"one": 2, "board": 1}
    out = tmp_path / '1: it\'s "out" $x'
    status, lines, errors = run(repository, "--seeds", "1", "--out", str(out))
    assert (status, errors) == (0, [])
    assert "not run: two: no data" in lines
    assert "[1/1] report …" in lines
    assert "'--studies', 'one,two,board'" in (out / "run.json").read_text()


def test_a_failing_notebook_is_one_line_and_leaves_the_report(repository):
    before = (repository / "reports/quick/report.html").read_text()
    (repository / "make-02_train_autoencoder-fail").touch()
    (repository / "notebooks/02_train_autoencoder.py").write_text("# changed")
    status, lines, errors = run(repository, "--seeds", "1", "--studies", "one")
    assert status == 1
    assert len(errors) == 1
    assert errors[0].startswith(
        "run_all.sh: 02_train_autoencoder · one · seed 0 failed in cell [3] `x = 1 / 0`: "
        "Error: no; log: moved repository/runs/quick/logs/"
    )
    assert not [line for line in lines if "Traceback" in line]
    log = repository.parent / errors[0].split("log: ")[1]
    assert "Error in rule 02_train_autoencoder" in log.read_text("utf-8")
    assert (repository / "reports/quick/report.html").read_text() == before
    # What failed is run again, although nothing has changed since and there is a report.
    (repository / "make-02_train_autoencoder-fail").unlink()
    status, lines, _ = run(repository, "--seeds", "1", "--studies", "one")
    assert status == 0
    assert any("02_train_autoencoder · one · seed 0: done" in line for line in lines)


def test_a_failing_report_leaves_the_earlier_one_and_is_made_again(repository):
    out = repository / "reports/quick"
    (out / "report.pdf").unlink()
    (repository / "make-report-fail").touch()
    status, _, errors = run(repository, "--seeds", "1")
    assert status == 1
    assert len(errors) == 1
    assert "the report failed: no such figure; log: " in errors[0]
    assert (out / "report.html").is_file()
    (repository / "make-report-fail").unlink()
    status, lines, _ = run(repository, "--seeds", "1")
    assert status == 0
    assert "[1/1] report …" in lines
    assert (out / "report.pdf").is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_after_a_stop_the_next_run_goes_on(repository, number):
    (repository / "make-notebooks-slow").touch()
    (repository / "notebooks/01_baseline_kmeans.py").write_text("# changed")
    with start(repository, "--seeds", "1", "--studies", "one") as process:
        while not process.stdout.readline().startswith("[1/"):
            assert process.poll() is None
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert process.returncode == 130
        assert errors.count("\n") == 1
        assert "stopped" in errors
    (repository / "make-notebooks-slow").unlink()
    status, lines, errors = run_when_free(repository, "--seeds", "1", "--studies", "one")
    assert (status, errors) == (0, [])
    assert any("01_baseline_kmeans · one · seed 0: done" in line for line in lines)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")
@pytest.mark.parametrize("is_parent", [False, True], ids=["snakemake", "what jobs are forked from"])
def test_a_killed_workflow_leaves_nothing_running(repository, is_parent):
    (repository / "make-notebooks-slow").touch()
    (repository / "notebooks/01_baseline_kmeans.py").write_text("# changed")
    with start(repository, "--seeds", "1", "--studies", "one") as process:
        while not process.stdout.readline().startswith("[1/"):
            assert process.poll() is None
        (workflow,) = [
            pid
            for pid, command in processes_in(repository).items()
            if "-m snakemake" in command and "warm_start serve" not in command
        ]
        parent = int(Path(f"/proc/{workflow}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent if is_parent else workflow, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and errors.startswith("run_all.sh: ")
    assert errors.count("\n") == 1 and "the workflow was killed (SIGKILL)" in errors
    assert not processes_in(repository)


def run_when_free(root, *arguments, tries=20):
    """Run as soon as what a killed run had started, which holds its lock, has ended as well."""
    for _ in range(tries):
        status, lines, errors = run(root, *arguments)
        if not (errors and "another run" in errors[0]):
            return status, lines, errors
    raise AssertionError("the killed run still holds its lock")


def test_a_leaderboard_waits_for_the_networks_that_its_lines_use(repository):
    study = repository / "config/studies/one.yaml"
    study.write_text(study.read_text("utf-8").replace("epochs: 50", "epochs: 49"), "utf-8")
    assert planned_jobs(repository, "--seeds", "1", "--studies", "one,board")[0][BEYOND] == 1
    other = repository / "config/studies/two.yaml"
    study.write_text(study.read_text("utf-8").replace("epochs: 49", "epochs: 50"), "utf-8")
    other.write_text(other.read_text("utf-8").replace("epochs: 50", "epochs: 49"), "utf-8")
    rules = planned_jobs(repository, "--seeds", "1")[0]
    assert rules["02_train_autoencoder"] == 1 and BEYOND not in rules


def test_a_leaderboard_runs_without_any_study(repository):
    board = repository / "config/leaderboards/board.yaml"
    board.write_text(board.read_text("utf-8").replace("title: MNIST", "title: other"), "utf-8")
    rules, topics = planned_jobs(repository, "--seeds", "1", "--studies", "board")
    assert rules == {"all": 1, BEYOND: 1, "report": 1} and topics == {"board": 1}


def test_snakemake_alone_runs_the_quick_profile_of_all_studies(repository):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run"],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seeds = {line.split("seed=")[1] for line in done.stdout.splitlines() if "seed=" in line}
    assert seeds == {"1"}  # seed 0 is there already, and the profile has two


def test_the_workflow_names_every_notebook():
    scripts = {script.stem for script in (ROOT / "notebooks").glob("*.py")}
    # Two are not of the workflow: one is for JupyterLab, one is run by `run_all.sh images`.
    of_no_study = {EXPLORING, PICTURES_NOTEBOOK}
    assert scripts == {*STUDY_NOTEBOOKS, LEADERBOARD_NOTEBOOK} | of_no_study
    assert (*STUDY_NOTEBOOKS, LEADERBOARD_NOTEBOOK) == (*NOTEBOOKS, BEYOND)
