"""Two reports beside each other, from the command line."""

import re

import pandas as pd
import pytest

from commands import main
from report.evidence_tables import ORIGINS_TABLE
from utils import places
from utils.store.files import write_json
from utils.store.tables import METRICS_TABLE

RECORD = {
    "made": "2025-01-01T10:00:00+00:00",
    "commit": "0123456" + "0" * 33,
    "dirty": False,
    "profile": {"profile": "quick", "reduced": True},
    "studies": ["fashion-ae"],
    "seeds": [0, 1],
    "versions": {"numpy": "2.4.6"},
    "hardware": {"cpu": "A processor", "cores": 2, "memory_gib": 7.8, "gpu": None},
    "data": {"fashion-ae": {"substituted": False, "images_sha256": "a" * 64}},
    "settings": {"fashion-ae": {"autoencoder": {"epochs": 50}}},
    "evidence": [ORIGINS_TABLE.file],
}


@pytest.fixture
def root(tmp_path, elsewhere, monkeypatch):
    """A repository with two reports of two seeds, of which one has other ARIs and another NumPy."""
    real = places.root()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/verdict.yaml").write_text((real / "config/verdict.yaml").read_text())
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/template").symlink_to(real / "reports/template")
    report(tmp_path / "reports/quick", {"ari": [0.50, 0.52], "nmi": [0.6, 0.7]})
    other = {**RECORD, "versions": {"numpy": "2.4.7"}}
    report(tmp_path / "reports/published", {"ari": [0.80, 0.81], "nmi": [0.6, 0.7]}, other)
    elsewhere(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(folder, scores, record=RECORD):
    row = {
        **{"profile": "quick", "study": "fashion-ae", "dataset": "fashion_mnist", "n": 100},
        **{"representation": "autoencoder", "space": "raw", "clusterer": "kmeans"},
        **{"k_found": 10, "noise_fraction": 0.0},
    }
    rows = [
        {**row, "metric": metric, "seed": seed, "value": value}
        for metric, values in scores.items()
        for seed, value in enumerate(values)
    ]
    METRICS_TABLE.write(pd.DataFrame(rows), folder / METRICS_TABLE.file)
    ORIGINS_TABLE.write(ORIGINS_TABLE.empty(), folder / ORIGINS_TABLE.file)
    write_json(folder / "run.json", record)


def test_what_matters_comes_first_and_the_page_has_all_of_it(root, capsys):
    assert main.main(["compare", "quick", "published"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    text = printed.out
    order = ["2 scores are in both reports", "Largest moves", "Scores that moved", "What differs"]
    positions = [text.index(words) for words in order]
    assert positions == sorted(positions)
    assert "Moved beyond the seeds' spread: 1; within it: 0; the same: 1" in text
    assert re.search(r"fashion-ae: autoencoder / raw / kmeans +ARI +\+0\.2950 .* moved ", text)
    assert re.search(r"libraries +numpy +2\.4\.6 +2\.4\.7", text)
    assert "The same in both: settings\n" in text
    assert text.splitlines()[-1].endswith("runs/comparisons/quick-published.html")
    page = (root / "runs/comparisons/quick-published.html").read_text()
    for words in ("+0.2950", "moved", "2.4.7", "0.6500 ± 0.0707 (2)", "same"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_page_may_be_written_elsewhere_but_replaces_nothing(root, capsys):
    target = root / "my page.html"
    assert main.main(["compare", "quick", "reports/quick", "--html", str(target)]) == 0
    before = target.read_bytes()
    assert main.main(["compare", "quick", "published", "--html", str(target)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["quick"], "required: B"),
        (["quick", "nowhere"], "reports by name are published, quick"),
        (["quick", "config"], "no run.json"),
        (["quick", ""], "empty"),
        (["quick", "quick", "--html", "no/such/page.html"], "its folder does not exist"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(root, capsys, arguments, said):
    refused(capsys, arguments, said)


def refused(capsys, arguments, said):
    assert main.main(["compare", *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert said in printed.err


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "metrics.csv").unlink(), "metrics.csv: missing"),
        (lambda folder: (folder / "origins.csv").unlink(), "origins.csv: missing"),
        (
            lambda folder: (folder / "metrics.csv").write_text("study,seed\n"),
            "the columns profile,",
        ),
        (lambda folder: write_json(folder / "run.json", {"made": "2025"}), "run.json"),
    ],
)
def test_a_report_of_an_earlier_version_is_refused_in_one_line(root, capsys, damage, said):
    damage(root / "reports/quick")
    refused(capsys, ["published", "quick"], said)
    assert not (root / "runs/comparisons").exists()
