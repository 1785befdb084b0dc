"""What a run would make again, said in words."""

import base64
import shutil

import pytest

from commands import main, process, staleness
from commands.outputs import RESULTS
from utils import places
from utils.config.vocabulary import STUDY_NOTEBOOKS
from utils.store import files, fingerprints

SCRIPT = "from utils.config import vocabulary\nvocabulary.describe\n"
SECONDS = {name: 10.0 * number for number, name in enumerate(STUDY_NOTEBOOKS, start=1)}
TRAINING = "02_train_autoencoder"


@pytest.fixture
def root(tmp_path, monkeypatch, elsewhere):
    """A repository with a study, whose notebooks have one and the same code."""
    real = places.root()
    for name in ("studies/fashion-ae", "profiles/quick", "profiles/paper", "verdict"):
        copy(real / f"config/{name}.yaml", tmp_path / f"config/{name}.yaml")
    copy(real / "reports/template/references.bib", tmp_path / "reports/template/references.bib")
    (tmp_path / "requirements.lock").write_text("numpy==1.0")
    (tmp_path / "notebooks").mkdir()
    for name in STUDY_NOTEBOOKS:
        (tmp_path / f"notebooks/{name}.py").write_text(SCRIPT)
    monkeypatch.setattr(fingerprints, "source_files", lambda *_: [])
    elsewhere(tmp_path)
    return tmp_path


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def make(root, notebook, seed=0, **changes):
    """Leave what an executed notebook leaves."""
    place = places.topic("quick", "fashion-ae")
    if not place.data.is_file():
        files.write_json(place.data, {"n": 10})
    script = root / f"notebooks/{notebook}.py"
    needed = [
        place.notebook(seed, name) / places.MANIFEST for name in STUDY_NOTEBOOKS.get(notebook, ())
    ]
    inputs = (script, root / "config/studies/fashion-ae.yaml", root / "requirements.lock")
    names = [str(path.relative_to(root)) for path in (*inputs, place.data, *needed)]
    code = fingerprints.notebook_fingerprint(script)
    note = staleness.made_from(code, "", names, fingerprints.notebook_definitions(script))
    content = {"study": "fashion-ae", "notebook": notebook, "seconds": SECONDS[notebook]}
    folder = place.notebook(seed, notebook)
    files.write_json(folder / places.MANIFEST, {**content, "made_from": {**note, **changes}})
    (folder / "executed.ipynb").write_text("{}")
    files.write_checksums(folder)
    return folder


def make_all(root):
    for name in STUDY_NOTEBOOKS:
        make(root, name)
    out = root / "reports/quick"
    out.mkdir(exist_ok=True)
    for name in RESULTS:
        (out / name).write_text(name)
    noted = {name: files.sha256_file(out / name) for name in RESULTS}
    files.write_json(out / ".files.json", noted)
    (out / ".complete").touch()
    inputs = ["reports/template/references.bib", "requirements.lock"]
    record = {
        **{
            "input": inputs,
            "params": ["'0'", "'fashion-ae'"],
            "starttime": 100.0,
            "endtime": 130.0,
        },
        "input_checksums": {name: f"sha256:{files.sha256_file(root / name)}" for name in inputs},
    }
    name = base64.urlsafe_b64encode(b"reports/quick/.complete").decode()
    files.write_json(root / ".snakemake/metadata" / name, record)


def append(path):
    """Add an empty line to a file."""
    path.write_text(path.read_text() + "\n")


def status(capsys, *arguments):
    """Return the lines of the answer, without the last, which is always the same."""
    staleness.code_of.cache_clear()
    staleness._digest_of.cache_clear()
    assert main.main(["status", *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    *lines, last = printed.out.splitlines()
    assert "publish --check" in last
    return lines


def reasons(lines, title):
    """Return what stands below a title, and how long it took."""
    start = next(k for k, line in enumerate(lines) if line.startswith(f"{title} ("))
    below = []
    for line in lines[start + 1 :]:
        if not line.startswith("    "):
            break
        below.append(line.strip())
    return below, lines[start].partition("(")[2].removesuffix(")")


def of(notebook):
    return f"{notebook} · fashion-ae · seed 0"


def test_before_the_first_run_everything_is_to_be_made(root, capsys):
    lines = status(capsys)
    assert lines[0] == "profile quick: 4 of 4 notebooks to be made; the report is to be made"
    assert reasons(lines, of(TRAINING)) == (["it was not run yet"], "time unknown")
    assert "it was not made yet" in reasons(lines, "report")[0]
    assert "by earlier runs" not in lines[-1]


def test_after_a_run_everything_is_up_to_date(root, capsys):
    make_all(root)
    assert status(capsys) == [
        "profile quick: 0 of 4 notebooks to be made; the report is up to date"
    ]


def test_nothing_is_written_or_started(root, capsys):
    make_all(root)
    (root / "requirements.lock").write_text("numpy==2.0")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    status(capsys)
    status(capsys, "--out", str(root / "nowhere"), "--profile", "paper")
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("requirements.lock", "the versions of libraries have changed: requirements.lock"),
        (
            "config/studies/fashion-ae.yaml",
            "its settings have changed: config/studies/fashion-ae.yaml",
        ),
        (
            "runs/quick/fashion-ae/data.json",
            "its data have changed: runs/quick/fashion-ae/data.json",
        ),
    ],
)
def test_a_changed_input_is_named(root, capsys, file, said):
    make_all(root)
    append(root / file)
    lines = status(capsys)
    assert lines[0].startswith("profile quick: 4 of 4")
    assert reasons(lines, of("01_baseline_kmeans")) == ([said], "took 10 s")
    assert said in reasons(lines, of("03_latent_clustering"))[0]


def test_a_changed_script_repeats_it_and_what_needs_it(root, capsys):
    make_all(root)
    append(root / f"notebooks/{TRAINING}.py")
    lines = status(capsys)
    assert lines[0].startswith("profile quick: 3 of 4")
    said = f"the notebook's script has changed: notebooks/{TRAINING}.py"
    assert reasons(lines, of(TRAINING)) == ([said], "took 20 s")
    needed = f"it needs {of(TRAINING)}, which is made again"
    assert reasons(lines, of("03_latent_clustering"))[0] == [needed]
    assert reasons(lines, "report") == (["notebooks are made again"], "took 30 s")
    assert lines[-1].startswith("by earlier runs 2 min 00 s, one after another")


def test_what_has_changed_in_the_code_is_named(root, capsys):
    make_all(root)
    definitions = fingerprints.notebook_definitions(root / "notebooks/01_baseline_kmeans.py")
    describe = "utils.config.vocabulary.describe"
    earlier = {**definitions, describe: "another", "utils.gone.was_here": "something"}
    make(root, "01_baseline_kmeans", code="another", definitions=earlier)
    make(root, "04_pretrained_comparison", code="another", definitions={})
    lines = status(capsys)
    assert lines[0].startswith("profile quick: 2 of 4")
    said = f"code has changed: {describe}, utils.gone.was_here"
    assert reasons(lines, of("01_baseline_kmeans"))[0] == [said]
    said = "code has changed: which part was not recorded"
    assert reasons(lines, of("04_pretrained_comparison"))[0] == [said]


def test_many_changes_are_counted(root, capsys):
    make_all(root)
    make(root, "01_baseline_kmeans", code="another", definitions={f"a.{k}": "x" for k in range(9)})
    (said,), _ = reasons(status(capsys), of("01_baseline_kmeans"))
    assert said.startswith("code has changed: a.0, a.1, a.2, a.3 and ") and said.endswith(" more")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("executed.ipynb", "other", "its results are not as it left them: executed.ipynb"),
        ("checksums.json", "{", "its results are not as it left them: checksums.json"),
        ("manifest.json", None, "it was not run yet"),
    ],
)
def test_a_damaged_result_is_named(root, capsys, file, content, said):
    make_all(root)
    path = places.topic("quick", "fashion-ae").notebook(0, "01_baseline_kmeans") / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert reasons(status(capsys), of("01_baseline_kmeans"))[0] == [said]


def test_why_a_notebook_has_no_results(root, capsys):
    place = places.topic("quick", "fashion-ae")
    failed = {"notebook": TRAINING, "cell": 3, "source": "x", "error": "ValueError: no"}
    files.write_json(place.notebook(0, TRAINING) / "error.json", failed)
    files.write_json(place.not_run, {"reason": "every source failed"})
    lines = status(capsys)
    assert reasons(lines, of(TRAINING))[0] == ["it failed: ValueError: no"]
    said = "its data were not available: every source failed"
    assert reasons(lines, of("01_baseline_kmeans"))[0] == [said]


def test_a_manifest_of_an_earlier_version(root, capsys):
    make_all(root)
    folder = places.topic("quick", "fashion-ae").notebook(0, "01_baseline_kmeans")
    files.write_json(folder / places.MANIFEST, {"seconds": 5.0})
    files.write_checksums(folder)
    expected = (["nothing records what it was made from"], "took 5 s")
    assert reasons(status(capsys), of("01_baseline_kmeans")) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "reports/quick/metrics.csv").write_text("x"), "a file of it"),
        (lambda root: (root / "reports/quick/.complete").unlink(), "it was not made yet"),
        (lambda root: shutil.rmtree(root / ".snakemake"), "nothing records"),
        (
            lambda root: append(root / "reports/template/references.bib"),
            "changed: reports/template/references.bib",
        ),
        (
            lambda root: (root / "reports/template/a.md").write_text("x"),
            "new: reports/template/a.md",
        ),
    ],
)
def test_why_the_report_alone_is_made_again(root, capsys, change, said):
    make_all(root)
    change(root)
    lines = status(capsys)
    assert lines[0] == "profile quick: 0 of 4 notebooks to be made; the report is to be made"
    (first, *_), _ = reasons(lines, "report")
    assert first.startswith(said)


def test_a_further_seed_takes_as_long_as_the_others(root, capsys):
    make_all(root)
    lines = status(capsys, "--seeds", "2")
    assert lines[0].startswith("profile quick: 2 of 6")
    expected = (["it was not run yet"], "took 30 s")
    assert reasons(lines, "03_latent_clustering · fashion-ae · seed 1") == expected
    assert "it has other studies or seeds" in reasons(lines, "report")[0]


def test_times_are_also_those_of_reports_of_the_same_profile(root, capsys):
    run = {"study": "fashion-ae", "notebook": TRAINING}
    record = {"profile": {"profile": "quick"}, "notebooks": [{**run, "seconds": 50.0}]}
    files.write_json(
        root / "reports/published/run.json", {**record, "profile": {"profile": "paper"}}
    )
    assert reasons(status(capsys), of(TRAINING))[1] == "time unknown"
    record["earlier"] = [{"notebooks": [{**run, "seconds": 70.0}]}]
    files.write_json(root / "reports/quick/run.json", record)
    lines = status(capsys)
    assert reasons(lines, of(TRAINING))[1] == "took 1 min 00 s"
    assert lines[-1].startswith("by earlier runs 1 min 00 s for 1 of 5, one after another")


def test_a_run_in_progress_is_said(root, capsys):
    (root / "runs").mkdir()
    with process.only_run():
        lines = status(capsys)
    assert lines[0].startswith("a run is in progress (process ")
    assert not status(capsys)[0].startswith("a run")


def test_a_malformed_study_is_one_line(root, capsys):
    (root / "config/studies/fashion-ae.yaml").write_text("study: [")
    assert main.main(["status"]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "fashion-ae.yaml" in printed.err
