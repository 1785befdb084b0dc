import base64
import dataclasses
import hashlib
import json
import math
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import fake_run
import pandas as pd
import pytest
import typst
from jinja2 import UndefinedError
from markupsafe import Markup

from commands import report
from report import (
    board_sections,
    build,
    collect,
    evidence,
    evidence_tables,
    label_free,
    leaderboards,
    markdown,
    notebook_parts,
    pages,
    provenance,
    published,
    significance,
    stale_numbers,
    study_tables,
)
from report import pandoc as pandoc_module
from report import supplement as supplement_module
from report.templates import environment
from report.web_pages import WebPage
from utils import config, errors, places
from utils.config import facts
from utils.config.selection import load_selection
from utils.store import files
from utils.store.tables import BOARD_TABLES, CONFUSION_TABLE

STUDIES = ("mnist-cae", "cifar10-cae")
FURTHER = "05_variants"
VOID = {"meta", "link", "img", "br", "hr", "col", "input"}
NO_EVIDENCE = evidence_tables.read(Path(), [])
# What a kept run says of itself.
KEPT = {
    "made": "2025-02-03T04",
    "commit": "abcdef123456",
    "dirty": False,
    "profile": {"profile": "paper", "reduced": False},
    "studies": ["mnist-cae"],
    "data": {"mnist-cae": {"substituted": False}},
    "hardware": {"cpu": "A processor", "cores": 2, "gpu": None},
    "earlier": [],
}


class Page(HTMLParser):
    """What pages have: tags with attributes, text, and whether every tag is closed in order."""

    def __init__(self, *paths):
        super().__init__()
        self.source = "".join(path.read_text(encoding="utf-8") for path in paths)
        self.tags, self.parts, self._open = [], [], []
        self.feed(self.source)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "script"):
            self.parts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.parts).split())

    @property
    def scripts(self):
        return re.findall("<script>(.*?)</script>", self.source, re.DOTALL)

    @property
    def markup(self):
        return re.sub("(<script[^>]*>).*?</script>", r"\1</script>", self.source, flags=re.DOTALL)

    def values(self, attribute):
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(scope="module", autouse=True)
def made_up(tmp_path_factory):
    """A run with a notebook that the article does not know, and the configuration for it."""
    folder = tmp_path_factory.mktemp("made-up")
    with places.elsewhere(config=fake_run.write_config(folder / "config")):
        runs = fake_run.write_run(folder / "runs")
        add_further_notebook(runs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(published, "load", fake_run.without_evidence)
            yield runs


def add_further_notebook(runs):
    known = fake_run.notebook_folder(runs, "quick", "mnist-cae", 0, "01_baseline_kmeans")
    further = Path(shutil.copytree(known, known.with_name(FURTHER)))
    (further / "tables").mkdir()
    (further / "tables" / "wide.csv").write_text(
        "what," + ",".join(f"c{i}" for i in range(12)) + "\nours" + ",0.123456789" * 12 + "\n"
    )
    manifest = json.loads((further / "manifest.json").read_text())
    manifest |= {
        "notebook": FURTHER,
        "facts": {"odd": fake_run.HOSTILE},
        "tables": [{"name": "wide", "caption": fake_run.HOSTILE, "csv": "tables/wide.csv"}],
        "notes": ["run it with --offline ... or -? nothing"],
    }
    (further / "manifest.json").write_text(json.dumps(manifest))
    files.write_checksums(further)


@pytest.fixture(scope="module")
def out(made_up):
    folder = made_up.parent / "reports" / "quick"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "of-an-earlier-report.svg").write_text("old")
    (folder / "figures" / "of-the-user.svg").write_text("precious")
    digest = files.sha256_file(folder / "figures" / "of-an-earlier-report.svg")
    names = ("figures/of-an-earlier-report.svg", "figures/of-the-user.svg", "../precious")
    (folder / ".files.json").write_text(json.dumps(dict.fromkeys(names, digest)))
    arguments = ("--profile", "quick", "--studies", ",".join(STUDIES), "--seeds", "0,1")
    assert report.main([*arguments, "--runs", str(made_up), "--out", str(folder)]) == 0
    return folder


def supplement_pages(folder):
    """The pages of the supplement, the first one first."""
    return [folder / "supplement.html", *sorted(folder.glob("supplement-*.html"))]


@pytest.fixture(scope="module")
def page(out):
    """All pages of the supplement as one."""
    return Page(*supplement_pages(out))


@pytest.fixture(scope="module")
def collected(made_up):
    return collect.collect("quick", STUDIES, [0, 1], made_up)


def article(collected, out, **changes):
    """The Markdown, without its backslashes, of the report in `out` had the results been others."""
    changed = dataclasses.replace(collected, **changes)
    return supplement_module.supplement(changed, provenance.record(changed), out).replace("\\", "")


# --- the folder --------------------------------------------------------------------------------


def test_report_has_every_part_and_nothing_of_an_earlier_one(out):
    assert {path.name for path in out.iterdir()} == {
        *("report.html", "report.pdf", "supplement.html", "supplement.pdf"),
        *("supplement-mnist-cae.html", "supplement-cifar10-cae.html"),
        *("metrics.csv", "assignments.parquet"),
        *("reported_vs_reproduced.csv", "identities.csv", "reported_losses.csv"),
        *("variance_components.csv", "claims.csv", "facts.csv", "run.json"),
        *("confusion.parquet", "starts.parquet", "losses.parquet", "agreement.parquet"),
        *("maps.parquet", "dimensions.parquet", "origins.csv", "ro-crate-metadata.json"),
        *("new_images.csv", "reliability.csv", "label_free.csv", "numbers.csv"),
        *("figures", "notebooks", ".files.json"),
    }
    assert not (out / "figures" / "of-an-earlier-report.svg").exists()
    assert (out / "figures" / "of-the-user.svg").read_text() == "precious"
    assert list(out.parent.iterdir()) == [out]
    assert len(list((out / "notebooks").iterdir())) == 5


def test_failing_build_leaves_the_earlier_report(out, made_up, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}

    def fail(*arguments):
        raise errors.UserError("no page")

    monkeypatch.setattr(pages, "write_html", fail)
    with pytest.raises(errors.UserError, match="no page"):
        build.build("quick", STUDIES, [0], made_up, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert list(out.parent.iterdir()) == [out]


def test_missing_results_end_in_one_line_and_a_failure(made_up, tmp_path, capsys):
    arguments = ["--profile", "quick", "--studies", "none-such", "--seeds", "0"]
    assert report.main([*arguments, "--runs", str(made_up), "--out", str(tmp_path / "o")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    with pytest.raises(SystemExit):
        report.main([*arguments[:-1], "first", "--runs", "r", "--out", "o"])


def test_importing_the_module_is_quick():
    heavy = ["jinja2", "nbconvert", "typst", "sklearn", "torch", "pypandoc"]
    script = f"import sys, report.build; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_report_is_built_without_pytorch():
    modules = "board_sections, build, leaderboards, pages, published, evidence, sections, tally"
    script = f"import sys; from report import {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


# --- the page ----------------------------------------------------------------------------------


def test_pages_need_no_network(page, out):
    assert not [tag for tag, _ in page.tags if tag in ("iframe", "object", "link")]
    sources = [value for value in page.values("src") if not value.startswith("data:")]
    assert sources and all((out / source).is_file() for source in sources)
    assert "@import" not in page.markup
    assert not re.search(r"url\((?!['\"]?data:)", page.markup)
    policies = [value for value in page.values("content") if "default-src" in value]
    assert len(policies) == len(supplement_pages(out))
    allowed = "default-src 'none'; img-src data: 'self' file:;"
    assert all(value.startswith(allowed) for value in policies)


def test_the_article_is_one_file(out):
    article_page = Page(out / "report.html")
    assert all(value.startswith("data:") for value in article_page.values("src"))
    assert "img-src data:; style-src" in article_page.source


def test_every_link_of_the_pages_leads_somewhere(out):
    """Each page leads to places of its own, to those of other pages, and to every page."""
    paths = [out / "report.html", *supplement_pages(out)]
    names = {path.name: set(Page(path).values("id")) for path in paths}
    for path in paths:
        found = Page(path)
        assert len(found.values("id")) == len(names[path.name])
        links = [value for value in found.values("href") if not value.startswith("https://")]
        assert set(names) <= set(links)
        for link in links:
            file, _, place = link.partition("#")
            if place:
                known = names.get(file or path.name)
                assert place in (known or set(Page(out / file).values("id"))), (path, link)
            else:
                assert (out / file).is_file()


def test_every_figure_is_in_one_page_with_number_and_words(page, out):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    n = len(list((out / "figures").glob("mnist-cae-*.svg")))
    assert len(images) == n > 15
    assert all(image["alt"] and image["loading"] == "lazy" for image in images)
    assert all(int(image["width"]) > 100 < int(image["height"]) for image in images)
    assert all(f"Figure {number}." in page.text for number in range(1, n + 1))
    assert f"Figure {n + 1}" not in page.text
    assert "Figure ?" not in page.text


def test_numbers_of_the_table_stand_in_the_text(page, out):
    table = pd.read_csv(out / "reported_vs_reproduced.csv", dtype={"reported": str})
    for row in table[table["n_networks"] > 0].itertuples():
        assert row.reported in page.text
        for value in (row.mean, row.sd, row.prediction_low, row.prediction_high):
            assert f"{value:.4f}" in page.text
    assert "ARI: runs 0.4100, 0.4200" in page.text  # each run's own value
    assert "0.375 ± 0.010" in page.text  # the baseline, over seeds of k-means
    assert "parameters of the network 56,321" in page.text
    assert "loss after the last epoch 0.07123 (seed 0), 0.08123 (seed 1)" in page.text


def test_every_claim_has_its_reading_and_its_outcome(page, collected, out):
    assert "“the digits 0 and 1 form distinct groups”" in page.text
    assert "Tested as: more than half of the digit lies in one cluster" in page.text
    assert "The claim is not tested: a reduced run tests no claim." in page.text
    assert "A reduced run tests no claim." in page.text
    assert "The claim holds." not in page.text
    assert "**" not in page.text
    # In the made-up run the classes are the clusters.
    text = full(collected, out)
    assert "0: 1.000 of the class lies in one cluster, of which it is 1.000" in text
    assert "The claim holds." in text
    mixed = collected.confusion.assign(cluster=collected.confusion["cluster"] // 2)
    assert "The claim does not hold." in full(collected, out, confusion=mixed)
    nothing = collected.confusion.iloc[:0]
    text = full(collected, out, confusion=nothing)
    assert "The claim is not tested: this run has no such clustering" in text


def test_spread_of_networks_and_of_kmeans_stand_apart(page):
    assert "Standard deviations of the scores of k-means on the code" in page.text
    # The means of two networks differ by 0.01, three starts on each by 0.01 from one to the next.
    of_networks = (0.01**2 / 2 - 0.01**2 / 3) ** 0.5
    row = (
        rf"ARI {of_networks:.4f} 0\.0000 to \S+ 0\.0100 0\.0060 to 0\.0287 14\.3 % \S+ % to \S+ % 2"
    )
    assert re.search(row, page.text)


def test_a_variant_stands_beside_the_study(collected, out):
    variant = config.Variant(name="small", options={"channels": [4, 8]}, why="to try")
    study = collected.studies["mnist-cae"].model_copy(update={"variants": [variant]})
    rows = collected.metrics[collected.metrics["representation"] == "autoencoder"]
    more = rows.assign(representation="autoencoder-small", value=rows["value"] + 0.1)
    changed = {
        "studies": {**collected.studies, "mnist-cae": study},
        "metrics": pd.concat([collected.metrics, more[more["seed"] == 0]]),
    }
    assert "| small | ARI | 0.4296 | 0.4150 | 0.5100 | 1 |" in article(collected, out, **changed)
    assert "under the variants" not in article(collected, out)


@pytest.mark.parametrize(
    ("silhouettes", "said"),
    [
        ((0.9, 0.1), "own space ranks 1 as the labels do, the Davies-Bouldin index 1."),
        ((0.1, 0.9), "own space ranks 0 as the labels do, the Davies-Bouldin index 1."),
    ],
)
def test_the_conclusion_on_internal_indices_follows_the_numbers(collected, out, silhouettes, said):
    """By labels the frozen network is the better one, by Davies-Bouldin too."""
    values = {
        "efficientnet_lite0": (0.5, silhouettes[0], 1.0),
        "autoencoder": (0.4, silhouettes[1], 2.0),
    }
    rows = collected.metrics[collected.metrics["n"] == 500].copy()
    for name, triple in values.items():
        for metric, value in zip(("ari", "silhouette", "davies_bouldin"), triple, strict=True):
            own = (rows["representation"] == name) & (rows["metric"] == metric)
            rows.loc[own, "value"] = value
    others = collected.metrics[collected.metrics["n"] != 500]
    text = article(collected, out, metrics=pd.concat([others, rows]))
    assert said in text
    assert f"| EfficientNet-Lite0 | 0.5000 | {silhouettes[0]:.4f} | 1.0000 |" in text


def test_the_published_run_is_shown_beside_this_one_and_told_apart(collected, out, monkeypatch):
    monkeypatch.setattr(published, "load", lambda _: None)
    assert "No run is published yet" in article(collected, out)
    record = {**KEPT, "earlier": [{**KEPT, "made": "2025-01-02T03"}]}
    higher = shifted(collected.metrics, "autoencoder", 0.01)
    run = published.Published(higher, collected.facts, record, NO_EVIDENCE)
    monkeypatch.setattr(published, "load", lambda _: run)
    text = article(collected, out)
    assert "The two are different runs" in text
    rest = "commit `abcdef1`, profile `paper`, A processor, 2 cores, no GPU."
    assert f"\n\n- Run of 2025-02-03, {rest}\n- Run of 2025-01-02, {rest}\n" in text
    # No origin is recorded.
    ours = "0.4250 ± 0.0071 (2)\u00a0†"
    theirs = f"| mnist-cae | ARI | 0.4296 | {ours} | 0.3150\u00a0to\u00a00.5350 |"
    assert f"{theirs} 2nd of 3 | consistent | 0.4150 ± 0.0071 (2) |" in text
    assert text.count(stale_numbers.NOTE) == 1
    monkeypatch.setattr(stale_numbers, "of_other_code", lambda _: {})
    assert "†" not in article(collected, out)


def test_first_page_says_what_the_run_is_not(page):
    first = page.text[: page.text.index("Contents")]
    assert "Reduced run." in first
    assert "at most 5,000 images; at most 8 epochs" in first
    assert "Substitute data." in first
    assert "the full set could not be had <offline>" in first
    assert fake_run.REASON in first
    assert "mnist-cae: seed 1: notebook 05_variants did not finish; left out of all means" in first


def test_hostile_text_of_a_run_comes_out_as_text(page):
    # a caption, an alternative text, a note, a fact, the caption of a table
    assert page.text.count(fake_run.HOSTILE) == 4
    assert f"What {fake_run.HOSTILE_FILE} shows" in page.text
    words = f"alternative text of {fake_run.HOSTILE_FILE} {fake_run.HOSTILE}"
    assert words in page.values("alt")
    assert "--offline ... or -? nothing" in page.text


def test_citations_lead_into_the_bibliography(page):
    assert "(Hinton and Salakhutdinov 2006)" in page.text
    assert "#ref-das2025" in page.values("href")
    assert "Deep Autoencoder-Based Feature Learning" in page.text
    assert "@das2025" not in page.text.replace(fake_run.HOSTILE, "")


def test_provenance_names_data_machine_and_command(page, out):
    record = json.loads((out / "run.json").read_text())
    data = record["data"]["mnist-cae"]
    for value in (data["images_sha256"], data["labels_sha256"], record["hardware"]["cpu"]):
        assert " ".join(value.split()) in page.text
    assert f"numpy {record['versions']['numpy']}" in page.text
    assert "./run_all.sh --profile quick" in page.text
    assert "2 min 22 s" in page.text


def test_notebook_pages_need_no_network_and_no_script(out):
    for path in (out / "notebooks").iterdir():
        notebook = Page(path)
        assert "default-src 'none'" in notebook.values("content")[0]
        assert not [tag for tag, _ in notebook.tags if tag in ("script", "link", "iframe")]
        assert not notebook.values("src")
        assert "print('a < b <script>1</script>')" in notebook.text
        assert ("math", True) in [(tag, "display" in a) for tag, a in notebook.tags]
        assert "../report.html" in notebook.values("href")


def test_every_caption_of_a_table_says_of_which_run_it_is(board_page):
    captions = re.findall(r"<caption>(.*?)</caption>", board_page.source, re.DOTALL)
    without = [
        text for text in captions if not re.search("[Tt]his run|at full scale|At full", text)
    ]
    assert len(captions) > 20
    assert all("leaves open or contradicts" in text for text in without)  # it has no numbers


# --- leaderboards ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_boards(collected):
    return fake_run.with_leaderboards(collected)


@pytest.fixture(scope="module")
def board_out(made_up, with_boards):
    folder = made_up.parent / "reports" / "boards"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect, "collect", lambda *_: with_boards)
        build.build("quick", STUDIES, [0, 1], made_up, folder)
    return folder


@pytest.fixture(scope="module")
def board_page(board_out):
    return Page(*supplement_pages(board_out))


def test_report_with_leaderboards_has_their_tables_and_figures(board_out, board_page):
    for name in BOARD_TABLES:
        assert (board_out / f"{name}.csv").is_file()
    board = pd.read_csv(board_out / "leaderboard.csv")
    assert board.groupby("study").size().tolist() == [19, 19]
    for row in board.itertuples():
        assert f"{row.ari:.3f}" in board_page.text
    best = "The best method by mean ARI is autoencoder, UMAP 10, Gaussian mixture"
    assert board_page.text.count(best) == 2
    assert board_page.text.count(fake_run.HOSTILE) == 4 + len(board) + 2  # an attempt for each
    sections = ("beyond-mnist", "beyond-one", "leaderboards", "all-beyond-mnist")
    assert set(sections) <= set(board_page.values("id"))
    assert {f"fig-{name}-pareto" for name in sections[:2]} <= set(board_page.values("id"))
    own = set(Page(board_out / "supplement-beyond-mnist.html").values("id"))
    assert {"beyond-mnist", "fig-beyond-mnist-pareto", "tbl-all-beyond-mnist"} <= own
    assert (board_out / "supplement.pdf").read_bytes().startswith(b"%PDF-")


def test_only_the_scripts_of_the_pages_are_allowed(board_out, board_page):
    with_map = Page(board_out / "supplement-mnist-cae.html")
    without, article_page = (Page(board_out / f"{name}.html") for name in ("supplement", "report"))
    assert len(with_map.scripts) > len(without.scripts) == len(article_page.scripts) == 1
    for one in (with_map, without, article_page):
        digests = [
            base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            for script in one.scripts
        ]
        allowed = one.values("content")[0]
        assert allowed.startswith("default-src 'none'; ")
        assert allowed.endswith("; script-src " + " ".join(f"'sha256-{d}'" for d in digests))
    data = [a for tag, a in with_map.tags if tag == "script" and a]
    assert {a["type"] for a in data} == {"application/json"}
    assert all(a["data-place"] in with_map.values("id") for a in data)
    data = [a for tag, a in article_page.tags if tag == "script" and a]
    assert {a["type"] for a in data} == {"text/csv"}
    tables = [a for tag, a in board_page.tags if "sortable" in (a.get("class") or "")]
    assert len(tables) == 4
    assert not any(attribute.startswith("on") for _, a in board_page.tags for attribute in a)


def test_a_run_without_leaderboards_has_no_section(page):
    assert "eaderboard" not in page.text


def board_section(tmp_path, rows, differences=(), reduced=True, numbers=None):
    """The text of a leaderboard's section, without backslashes.

    `rows` are (representation, ARI, silhouette, seconds) and what else differs; `differences` are
    (representation, seeds, difference, low, high) to the best row.
    """
    key = {"study": "beyond-made-up", "space": "raw", "clusterer": "kmeans", "n": 100}
    lines = []
    for representation, ari, silhouette, seconds, *others in rows:
        line = dict.fromkeys(leaderboards.BOARD_COLUMNS, 0.5) | key
        line |= {"representation": representation, "ari": ari, "seconds": seconds}
        line |= {"silhouette": silhouette, "davies_bouldin": -silhouette, "coverage": 1.0}
        line |= {"calinski_harabasz": silhouette, "n_seeds": 2, "k_low": 10, "k_high": 10}
        line |= {"k_given": True, "settings": "defaults", "recipe": "", "labels": "none"}
        lines.append(line | (others[0] if others else {}))
    board = pd.DataFrame(lines)
    # without an index of its own, every kind of evidence is the silhouette of the pixels
    evidence = [index for kind in load_selection().kinds for index in kind.indices]
    board = board.assign(**{index: board["silhouette"] for index in evidence})
    tested = [
        key
        | {"representation": name, "n_seeds": seeds, "best_ari": 0.9, "ari": 0.9 - difference}
        | {"difference": difference, "ci_low": low, "ci_high": high}
        | {"excludes_zero": low > 0 or high < 0}
        | dict.fromkeys(("p", "p_holm"), 0.012 if low > 0 or high < 0 else 0.4)
        for name, seeds, difference, low, high in differences
    ]
    columns = ["study", *significance.SIGNIFICANCE_COLUMNS]
    tables = {
        "leaderboard": board,
        "leaderboard_significance": pd.DataFrame(tested, columns=columns),
        "leaderboard_rankings": label_free.label_free_ranking(
            board.assign(generalisation=math.nan), load_selection(), 10
        ).assign(study=key["study"]),
    }
    (tmp_path / "figures").mkdir(exist_ok=True)
    (tmp_path / "figures" / "beyond-made-up-pareto.svg").write_text("<svg/>")
    described = fake_run._leaderboard("beyond-made-up", "Made up")
    view = board_sections.board_view(described, tables, tmp_path, numbers)
    numbering = markdown.Numbering()
    made = environment(numbering)
    made.filters |= board_sections.FILTERS
    template = made.from_string(
        '{% import "leaderboards.md.j2" as leaderboards with context %}'
        "{{ leaderboards.introduction(rule, 2000) }}{{ leaderboards.one_board(boards[0]) }}"
    )
    context = {"boards": [view], "rule": config.load_verdict_rule(), "selection": load_selection()}
    context["profile"] = SimpleNamespace(reduced=reduced)
    template.render(context)
    numbering.start_second_pass()
    return " ".join(template.render(context).replace("\\", "").split())


TWO = (("a", 0.9, 2.0, 5.0), ("b", 0.8, 1.0, 1.0))


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (("b", 2, 0.1, 0.05, 0.15), "It is better than the next method, b, raw, k-means"),
        (
            ("b", 2, 0.1, -0.05, 0.25),
            "It cannot be distinguished from the next method, b, raw",
        ),
        (("b", 2, -0.1, -0.2, -0.05), "the next method, b, raw, k-means, is better"),
        (("b", 1, 0.1, 0.05, 0.15), "One seed does not decide which of the two is better."),
        (("b", 0, math.nan, math.nan, math.nan), "shares no seed with it"),
    ],
)
def test_whether_the_best_method_is_better_follows_the_interval(tmp_path, difference, said):
    text = board_section(tmp_path, TWO, [difference])
    assert "The best method by mean ARI is **a, raw, k-means**: ARI 0.9000" in text
    assert said in text
    assert ("One seed does not decide" in text) == (difference[1] == 1)
    assert ("It is better" in text) == (difference[1] > 1 and difference[3] > 0)
    assert ("cannot be distinguished" in text) == (difference[3] < 0 < difference[4])


@pytest.mark.parametrize(("lows", "said"), [((1, 1), "all"), ((-1, 1), "1"), ((-1, -1), "none")])
def test_how_many_methods_the_best_one_beats(tmp_path, lows, said):
    tested = [(name, 2, 2.0, low, 3.0) for name, low in zip("bc", lows, strict=True)]
    text = board_section(tmp_path, (*TWO, ("c", 0.7, 0.5, 9.0)), tested)
    found = "Of the 2 methods that follow it and share several seeds with it, the best method is "
    assert f"{found}better than {said} (" in text
    assert "were not tested" not in text
    assert "minus that of each of the next 2 on as many images" in text


def test_methods_that_were_not_compared_are_counted_and_one_seed_decides_nothing(tmp_path):
    rows = (*TWO, ("c", 0.7, 0.5, 9.0), ("d", 0.6, 0.5, 9.0), ("e", 0.5, 0.5, 9.0))
    tested = [("b", 2, 2.0, 1, 3.0), ("c", 2, 2.0, 1, 3.0), ("d", 1, 2.0, 1, 3.0)]
    text = board_section(tmp_path, rows, tested)
    assert "Of the 2 methods that follow it and share several seeds with it, the best" in text
    assert "is better than all (" in text
    assert "The other 1 method has a lower mean and was not tested." in text
    assert "| one seed |" in text


def test_a_leaderboard_of_one_method_and_one_without_scores(tmp_path):
    text = board_section(tmp_path, TWO[:1])
    assert "No other method ran on the same number of images" in text
    assert "One method is both the fastest and the best: a, raw, k-means, with 5 s." in text
    text = board_section(tmp_path, [("a", math.nan, math.nan, 1.0)])
    assert "No method of this leaderboard has a score in this run." in text
    assert "Table 1" not in text


def test_the_cost_of_the_best_method_is_compared_with_the_fastest(tmp_path):
    text = board_section(tmp_path, (*TWO, ("c", 0.7, 0.0, 600.0)))
    assert (
        "2 of 3 methods are on the Pareto front: no other method is both as fast and as good."
        in text
    )
    assert "The fastest of them is b, raw, k-means, with an ARI of 0.8000 after 1 s" in text
    assert "the best of them, a, raw, k-means, takes 5 s, 5 times as long" in text


@pytest.mark.parametrize(
    ("silhouettes", "said"),
    [
        ((2.0, 1.0), "The rule selects the best method, a, raw, k-means ("),
        (
            (1.0, 2.0),
            "The rule selects b, raw, k-means, with an ARI of 0.8000 instead of 0.9000: 11.1 % of "
            "the best ARI are lost",
        ),
    ],
)
def test_what_the_rule_chooses_without_labels(tmp_path, silhouettes, said):
    rows = [(*row[:2], value, row[3]) for row, value in zip(TWO, silhouettes, strict=True)]
    text = board_section(tmp_path, rows)
    assert said in text
    assert "No single index loses less." in text
    is_right = silhouettes[0] > silhouettes[1]
    assert ("does not correlate with that by ARI" in text) != is_right
    assert "can only" not in text


def test_single_indices_that_lose_less_than_the_rule_are_named(tmp_path):
    rows = [(*row[:2], value, row[3]) for row, value in zip(TWO, (1.0, 2.0), strict=True)]
    rows[0] = (*rows[0], {"calinski_harabasz": 9.0})
    text = board_section(tmp_path, rows)
    assert "1 of 7 single indices loses less here: Caliński-Harabasz index of the pixels" in text


def test_a_rule_without_evidence_selects_nothing(tmp_path):
    rows = [(*row, {"silhouette": math.nan}) for row in TWO]
    text = board_section(tmp_path, rows)
    assert "The rule selects no method" in text
    assert "The silhouette of the pixels is defined for no method." in text


def test_numbers_of_clusters_that_rules_find_are_shown_with_their_error(tmp_path):
    key = {"study": "beyond-made-up", "representation": "pixels", "value": 0.5}
    found = [("leiden_0.5", 0, 5), ("leiden_0.5", 1, 20), ("levels", 0, 10), ("levels", 1, 10)]
    numbers = [key | dict(zip(("rule", "seed", "k"), one, strict=True)) for one in found]
    text = board_section(tmp_path, TWO, numbers=pd.DataFrame(numbers))
    assert "the closest to 10 is the level in front, with an error of ln k of 0.00" in text
    assert "the farthest is Leiden, resolution 0.5, with 0.69" in text
    assert "| pixels | 5–20 | – | 10 |" in text
    assert "Numbers of clusters that rules find" not in board_section(tmp_path, TWO)


@pytest.mark.parametrize(
    ("ari", "k", "said"),
    [
        (
            0.85,
            (9, 11),
            "has 0.9000, which is 0.0500 more.",
        ),
        (0.95, (10, 10), "No method that was given the number has a higher mean"),
    ],
)
def test_what_is_found_without_k(tmp_path, ari, k, said):
    own = {"k_given": False, "k_low": k[0], "k_high": k[1], "coverage": 0.75, "ari_covered": 0.97}
    rows = sorted((*TWO, ("found", ari, 0.5, 2.0, own)), key=lambda row: -row[1])
    text = board_section(tmp_path, rows)
    shown, did = ("10", "found") if k[0] == k[1] else ("9–11", "did not find")
    assert f"One method was not given the number of clusters, and it {did} 10 with every" in text
    assert f"This method, found, raw, k-means, found {shown} clusters" in text
    assert said in text
    assert f"| found, raw, k-means | {shown} | 75.0 % | {ari:.4f} | 0.9700 |" in text
    assert f"| {shown}* |" in text
    assert "Every method was given the number" not in text
    worse = ("worse", 0.1, 0.4, 9.0, own | {"k_low": 9, "k_high": 9})
    text = board_section(tmp_path, [*rows, worse])
    counted = 1 if did == "found" else "none"
    assert f"2 methods were not given the number of clusters; {counted} of them found 10" in text
    assert "The best of them, found, raw, k-means" in text
    assert "Every method was given the number of classes" in board_section(tmp_path, TWO)


def test_the_name_of_a_study_stands_for_its_autoencoder():
    name = config.study_names()[0]
    row = SimpleNamespace(representation=f"{name}+hog", space="pca50", clusterer="kmeans")
    shown = board_sections.method_name(row)
    assert shown == f"autoencoder of {name} + HOG, PCA 50, k-means"


def test_recipes_are_named_with_their_place(tmp_path):
    text = board_section(tmp_path, (TWO[0], (*TWO[1], {"recipe": "n2d"})))
    assert "`n2d` is b, raw, k-means (rank 2, ARI 0.8000)." in text
    assert "Rows that have a name" not in board_section(tmp_path, TWO)


def test_the_section_has_the_best_methods_and_the_end_all_of_them(tmp_path):
    rows = [(f"r{i:02}", 0.9 - i / 100, 0.5, 1.0) for i in range(15)]
    text = board_section(tmp_path, rows)
    section, end = text.split("## All methods")
    assert "| r11 | raw | k-means | none | 0.500 (0.500 to 0.500) | 0.790 (" in section
    assert "| r12 |" not in section
    named = '| [r{0:02}, raw, k-means]{{names="r{0:02} raw kmeans"}} | none | 2 |'
    assert all(named.format(i) in end for i in range(15))
    assert ' better="...++++' in end and "Dav.-B. | Cal.-H." in end


def test_attempts_and_purposes_are_listed_at_the_end(tmp_path):
    end = board_section(tmp_path, TWO).split("## All methods")[1]
    assert "| 1,234 | – | 0.4321 | worse |" in end
    board = fake_run._leaderboard("beyond-made-up", "Made up")
    row = board.rows[0].model_copy(update={"why": "to see"})
    shown = SimpleNamespace(**row.model_dump(), settings="defaults")
    assert board_sections._with_reason(shown, board) == "defaults"
    board = board.model_copy(update={"rows": [row]})
    assert board_sections._with_reason(shown, board) == "defaults; purpose: to see"


@pytest.mark.parametrize(
    ("aim", "said"),
    [
        ({"acc": 0.5, "ari": 0.9}, "the ACC, 0.5000, reaches it and the ARI, 0.9000, reaches it."),
        (
            {"acc": 0.4, "ari": 0.95},
            "the ACC, 0.5000, reaches it and the ARI, 0.9000, falls short by 0.0500. Further",
        ),
        (
            {"acc": 0.75, "ari": 0.9},
            "the ACC, 0.5000, falls short by 0.2500 and the ARI, 0.9000, reaches it. Further",
        ),
    ],
)
def test_targets_are_reached_or_missed(tmp_path, monkeypatch, aim, said):
    plain = fake_run._leaderboard("beyond-made-up", "Made up")
    aimed = plain.model_copy(update={"aim": config.Aim(**aim)})
    monkeypatch.setattr(fake_run, "_leaderboard", lambda *_: aimed)
    assert said in board_section(tmp_path, TWO, reduced=False)
    assert "aimed" not in board_section(tmp_path, TWO, reduced=True)
    monkeypatch.setattr(fake_run, "_leaderboard", lambda *_: plain)
    assert "aimed" not in board_section(tmp_path, TWO, reduced=False)


def test_the_target_is_compared_with_the_published_run_too():
    line = dict.fromkeys(leaderboards.BOARD_COLUMNS, 0.5) | {"study": "beyond-made-up"}
    table = pd.DataFrame([line | {"ari": 0.3}, line | {"ari": 0.8, "acc": 0.6}])
    kept = published.Published(*[pd.DataFrame()] * 2, {}, {}, {"leaderboard": table})
    board = fake_run._leaderboard("beyond-made-up", "Made up")
    board = board.model_copy(update={"aim": config.Aim(acc=0.7, ari=0.8)})
    targets = board_sections._published_targets(board, kept)
    assert [(target.value, target.is_reached) for target in targets] == [(0.6, False), (0.8, True)]
    assert board_sections._published_targets(board, None) == []


def test_the_published_run_shows_its_best_rows_and_the_named_ones():
    line = dict.fromkeys(leaderboards.BOARD_COLUMNS, 0.5) | {"study": "beyond-mnist"}
    line |= {"space": "raw", "clusterer": "kmeans", "n": 70_000.0, "n_seeds": 5, "seconds": 90.0}
    line |= {"labels": "none"}
    lines = [line | {"representation": f"r{i}", "recipe": "named" * (i == 7)} for i in range(9)]
    table = pd.DataFrame([*lines, line | {"study": "other", "representation": "no"}])
    kept = published.Published(*[pd.DataFrame()] * 2, {}, {}, {"leaderboard": table})
    shown = board_sections._published_rows("beyond-mnist", kept)
    assert [row[0][:2] for row in shown] == ["r0", "r1", "r2", "r3", "r4", "r7"]
    assert shown[0][1:4] == ["none", "70,000", 5]
    assert board_sections._published_rows("beyond-fashion", kept) == []
    assert board_sections._published_rows("beyond-mnist", None) == []


# --- the PDF -----------------------------------------------------------------------------------


def test_pdf_is_one_and_has_title_and_author(out):
    content = (out / "supplement.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"autoencoder-clustering-report" in content
    # every page is an object of this type, and one is the root of all pages
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", content)) > 8


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")
def test_hostile_text_comes_out_as_text_in_the_pdf(out):
    done = subprocess.run(
        ["pdftotext", "-raw", out / "supplement.pdf", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    text = "".join(done.stdout.split())
    for words in (fake_run.HOSTILE, fake_run.REASON, "--offline ... or -? nothing", "Figure 16."):
        assert "".join(words.split()) in text


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")
@pytest.mark.parametrize("name", ["report", "supplement"])
def test_no_page_ends_with_a_heading_or_with_the_caption_of_a_table(out, name):
    done = subprocess.run(
        ["pdftotext", "-layout", out / f"{name}.pdf", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    for page_text in done.stdout.split("\f")[:-1]:
        lines = [line.strip() for line in page_text.splitlines() if line.strip()]
        shown = [line for line in lines if not re.fullmatch(r"\d+( / \d+)?", line)]
        last = shown[-1] if shown else ""
        is_heading = re.match(r"\d+(\.\d+)* [A-Z“]", last) and " . . " not in last
        assert not is_heading and not re.match(r"Table \d+\. ", last), last


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")
def test_no_page_of_the_pdf_ends_with_a_heading(out):
    done = subprocess.run(
        ["pdftotext", "-layout", out / "supplement.pdf", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    pages_of_pdf = [page.split("\n") for page in done.stdout.split("\f")[2:]]  # after the contents
    last = [[line.strip() for line in lines if line.strip()][-2:] for lines in pages_of_pdf]
    numbered = [lines[0] for lines in last if len(lines) == 2]
    assert len(numbered) > 5
    assert [line for line in numbered if re.match(r"\d+(\.\d+)* [A-Z]", line)] == []
    assert [line for line in numbered if re.match(r"Table \d+\.", line)] == []


# --- judgements --------------------------------------------------------------------------------


def shifted(metrics, representation, by, n=5000):
    rows = (metrics["representation"] == representation) & (metrics["metric"] == "ari")
    rows &= metrics["n"] == n
    return metrics.assign(value=metrics["value"].where(~rows, metrics["value"] + by))


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (0.0, "better"),
        (-0.2, "worse"),
        (-0.045, "undecided"),
    ],
)
def test_autoencoder_against_pixels_in_every_direction(collected, out, by, said):
    text = article(collected, out, metrics=shifted(collected.metrics, "autoencoder", by))
    assert outcome_beside(text, "pixels | 5,000").split(",")[0] == said


def outcome_beside(text, other):
    """Return how the code does beside another representation, by the table of comparisons."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {other} |")]
    return line.split("|")[study_tables.BESIDE_HEADER.index("The code is") + 1].strip()


def full(collected, out, **changes):
    """The article of the made-up run had it been a full one, on the right data."""
    data = {name: {**one, "substituted": False} for name, one in collected.data.items()}
    whole = collected.profile.model_copy(update={"reduced": False})
    return article(collected, out, profile=whole, data=data, **changes)


def certainty(text):
    return text[text.index("## Certainty") : text.index("## What was easy")]


def abstract(text):
    return text[text.index("**Question.**") : text.index("provenance:")]


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (0.0, "Of 4 reported scores, 1 is consistent; 1 is too low; 2 are not run."),
        (0.5, "Of 4 reported scores, 2 are too low; 2 are not run."),
        (-0.3, "Of 4 reported scores, 1 is too high; 1 is too low; 2 are not run."),
    ],
)
def test_the_abstract_counts_the_verdicts(collected, out, by, said):
    """The made-up silhouette, 0.3, is the same in every run: its interval is a point."""
    metrics = shifted(collected.metrics, "autoencoder", by)
    silhouette = metrics["metric"] == "silhouette"
    metrics["value"] = metrics["value"].where(~silhouette, 0.3)
    text = full(collected, out, metrics=metrics)
    found = " ".join(abstract(text).split())
    assert said in found
    assert "This run is reduced" not in found
    beyond = sum(int(n) for n in re.findall(r"(\d) (?:is|are) too", said))
    assert f"Singly, {beyond} value" in certainty(text)
    # Text and table agree.
    row = r"^\| (?:mnist|cifar10)-cae \| [^|]+ \| [\d.]+ \|.* \| ([a-z ]+) \|$"
    table = re.findall(row, text, re.MULTILINE)
    counted = Counter(table)
    for n, verdict in re.findall(r"(\d) (?:is|are) ([a-z ]+)[;.]", said):
        assert counted[verdict] == int(n)


def test_the_discussion_says_what_rests_on_a_single_run(collected, out, made_up):
    assert "single run, so that" not in certainty(full(collected, out))
    one = collect.collect("quick", STUDIES, [0], made_up)
    text = " ".join(certainty(full(one, out)).split())
    assert "2 of the 2 verdicts are uninformative" in text
    assert "2 of the 2 verdicts rest on a single run, so that the spread is unknown" in text


def test_the_authors_saved_runs_are_counted_apart(collected, out):
    study = collected.studies["mnist-cae"]
    saved = config.ReportedValue(value="0.90", source="a notebook")
    reported = [study.reported[0].model_copy(update={"saved": saved}), study.reported[1]]
    studies = {
        **collected.studies,
        "mnist-cae": study.model_copy(update={"reported": reported}),
    }
    text = full(collected, out, studies=studies)
    found = " ".join(abstract(text).split())
    assert "Of 4 reported scores, 1 is consistent;" in found
    assert "Of 1 other value in the authors’ saved runs, 1 is too high." in found
    assert "| mnist-cae | ARI | 0.4296; 0.90 | 0.4150 ± 0.0071 (2) |" in text
    assert re.search(r"\| ARI \| a notebook \| 0\.90 \| .* \| too high \|", text)


def test_a_reduced_run_leaves_the_verdict_to_the_published_one(collected, out, monkeypatch):
    monkeypatch.setattr(published, "load", lambda _: None)
    text = article(collected, out)
    assert "no run is published yet" in abstract(text)
    assert "This run gives no verdict" in certainty(text)
    assert "Counts that a protocol fixes" not in text
    run = published.Published(collected.metrics, collected.facts, KEPT, NO_EVIDENCE)
    monkeypatch.setattr(published, "load", lambda _: run)
    text = article(collected, out)
    found = " ".join(abstract(text).split())
    assert "This run is reduced and does not test the reported values." in found
    assert "In the published run, of 2 reported scores, 1 is consistent; 1 is too high." in found
    assert "In the published run, by the adjusted Rand index" in found
    assert "and ours in the published run." in text
    assert "| mnist-cae | parameters | 56,321 | 56,321 | as reported |" in text
    # What this run finds of the claims is no result.
    assert "The 1 claim that the papers make in words is not tested by a reduced run." in found
    assert "holds" not in found


@pytest.mark.parametrize(
    ("merged", "outcome", "counted"),
    [
        (1, "holds", "1 holds, none hold in part and none do not."),
        (2, "does not hold", "none hold, none hold in part and 1 does not."),
    ],
)
def test_a_reduced_run_shows_the_claims_of_the_published_one(
    collected, out, monkeypatch, merged, outcome, counted
):
    """The published run has `merged` classes in each cluster, this one another number."""
    ours, theirs = (
        collected.confusion.assign(cluster=collected.confusion["cluster"] // size)
        for size in (3 - merged, merged)
    )
    evidence = {**NO_EVIDENCE, CONFUSION_TABLE.file: theirs}
    run = published.Published(collected.metrics, collected.facts, KEPT, evidence)
    monkeypatch.setattr(published, "load", lambda _: run)
    text = article(collected, out, confusion=ours)
    found = " ".join(abstract(text).split())
    assert f"In the published run, of 1 claim that the papers make in words, {counted}" in found
    assert f"](#claim-mnist-cae-1) | Section III.B | {outcome} |" in text
    assert f"**The claim {outcome}.**" in text
    assert "and the outcome in the published run." in text
    assert "outcomes and numbers are those of the published run" in text
    assert "not tested" not in found
    (row,) = run.claims.itertuples()
    assert (row.outcome, row.sentences.endswith(f"The claim {outcome}.")) == (outcome, True)
    (own,) = dataclasses.replace(collected, confusion=ours).claims.itertuples()
    assert (own.outcome, own.sentences) == (
        "not tested",
        "The claim is not tested: a reduced run tests no claim.",
    )


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (0.0, "higher than on raw pixels in 1 of 1 study and lower in none"),
        (-0.2, "higher than on raw pixels in none of 1 study and lower in 1"),
        (-0.045, "lower in none; in 1 it is undecided"),
    ],
)
def test_the_abstract_counts_where_the_autoencoder_helps(collected, out, by, said):
    metrics = shifted(collected.metrics, "autoencoder", by)
    assert said in " ".join(abstract(full(collected, out, metrics=metrics)).split())


def test_the_abstract_counts_the_claims(collected, out):
    text = " ".join(abstract(full(collected, out)).split())
    assert "Of 1 claim that the papers make in words, 1 holds, none hold in part" in text
    mixed = collected.confusion.assign(cluster=collected.confusion["cluster"] // 2)
    text = " ".join(abstract(full(collected, out, confusion=mixed)).split())
    assert "none hold, none hold in part and 1 does not." in text
    nothing = collected.confusion.iloc[:0]
    text = " ".join(abstract(full(collected, out, confusion=nothing)).split())
    assert "none do not; 1 could not be tested." in text


BETTER = {
    "kind": "better",
    "of": {"representation": "autoencoder", "space": "pca50", "clusterer": "kmeans"},
    "than": {"representation": "pixels", "space": "raw", "clusterer": "kmeans"},
    "metric": "ari",
}


@pytest.mark.parametrize(
    ("by", "outcome", "counted"),
    [
        (0.2, "holds", "1 holds, none hold in part and none do not."),
        (-0.2, "does not hold", "none hold, none hold in part and 1 does not."),
        (-0.045, "undecided", "none hold, none hold in part and none do not; 1 is undecided."),
    ],
)
@pytest.mark.parametrize("substitute", [False, True])
def test_text_and_table_agree_on_a_comparison(collected, out, by, outcome, counted, substitute):
    claim = config.Claim(text="t", source="s", reading="r", rule=BETTER, substitute=substitute)
    study = collected.studies["mnist-cae"].model_copy(update={"claims": [claim]})
    studies = {**collected.studies, "mnist-cae": study}
    studies["cifar10-cae"] = studies["cifar10-cae"].model_copy(update={"claims": []})
    metrics = shifted(collected.metrics, "autoencoder", by)
    text = full(collected, out, metrics=metrics, studies=studies)
    found = " ".join(abstract(text).split())
    assert f"[“t”](#claim-mnist-cae-1) | s | {outcome} |" in text
    verb = "is " if outcome == "undecided" else ""
    assert f"**The claim {verb}{outcome}.**" in text
    said = {"holds": "better", "does not hold": "worse", "undecided": "undecided"}
    assert outcome_beside(text, "pixels | 5,000").split(",")[0] == said[outcome]
    if substitute:
        assert "that the papers make in words" not in found
        assert "## Statements about a substitute {#substitutes-mnist-cae}" in text
        assert text.index("{#tbl-substitutes}") < text.index("# Data {#data}")
        assert "{#tbl-claims}" not in text
    else:
        assert f"Of 1 claim that the papers make in words, {counted}" in found
        assert "Statements about a substitute" not in text


def test_every_claim_is_listed_and_leads_to_its_test_and_its_figure(page, collected, out):
    assert "supplement-mnist-cae.html#claim-mnist-cae-1" in page.values("href")
    assert "claim-mnist-cae-1" in page.values("id")
    row = "[“the digits 0 and 1 form distinct groups”](#claim-mnist-cae-1) | Section III.B | holds"
    assert f"| {row} |" in full(collected, out)
    shown = re.search(
        r"more than half of the digit lies in one cluster \(Figure (\d+)\)", page.text
    )
    drawn = [a["id"] for tag, a in page.tags if tag == "figure" and "id" in a]
    assert drawn[int(shown[1]) - 1] == "fig-mnist-cae-confusion_latent"


def test_the_discussion_follows_the_run(collected, out, made_up):
    text = " ".join(article(collected, out).split())
    assert "The data were not easy to get: 1 of 1 study used a substitute." in text
    assert "2 points had to be decided: 2 for `mnist-cae`" in text
    assert "The longest notebook" not in text  # of a reduced run, of which none is published
    differ = "the networks differ more than the starts of k-means in"
    assert f"{differ} none of 1 study and less in none; in 1 it is undecided" in text
    noise = collected.starts["kmeans_seed"] * 1e-4
    steady = collected.starts.assign(value=0.4 + 0.1 * collected.starts["seed"] + noise)
    text = " ".join(full(collected, out, starts=steady).split())
    assert f"{differ} 1 of 1 study and less in none." in text
    assert "their SHA-256 confirms that they are the published ones" in text
    assert "longest notebook, 02_train_autoencoder of `mnist-cae`, took 2 min 22 s for one" in text
    assert "This run compared no other methods." in text


def test_the_longest_notebook_of_a_reduced_run_is_that_of_the_published_one(
    collected, out, monkeypatch
):
    notebooks = [
        {"study": "mnist-cae", "notebook": "02_train_autoencoder", "seconds": 60.0},
        {"study": "another", "notebook": "02_train_autoencoder", "seconds": 9_000.0},
    ]
    earlier = {"notebooks": [{"study": "mnist-cae", "notebook": "01_baseline", "seconds": 900.0}]}
    record = {**KEPT, "notebooks": notebooks, "earlier": [{**KEPT, **earlier}]}
    run = published.Published(collected.metrics, collected.facts, record, NO_EVIDENCE)
    monkeypatch.setattr(published, "load", lambda _: run)
    text = article(collected, out)
    said = (
        "Of the published run, the longest notebook, 01_baseline of `mnist-cae`, took 15 min 00 s"
    )
    assert said in text


def test_the_limitations_name_studies_that_were_trained_in_bfloat16(collected, out):
    said, exact = "Layers were trained in bfloat16", []
    assert said in full(collected, out)
    for run in collected.notebooks:
        facts = dict(run.manifest.facts)
        if "precision" in facts:
            facts["precision"] = "float32"
        manifest = run.manifest.model_copy(update={"facts": facts})
        exact.append(dataclasses.replace(run, manifest=manifest))
    assert said not in full(collected, out, notebooks=exact)


def test_one_seed_gives_no_spread_but_that_of_kmeans_where_nothing_is_trained(made_up, out):
    text = article(collect.collect("quick", STUDIES, [0], made_up), out)
    line = next(line for line in text.splitlines() if line.startswith("| pixels | 5,000 |"))
    assert "| a single run | undecided |" in line
    assert "The seed is 0." in text
    assert " ± 0" not in text[: text.index("The published run, at full scale")]
    lines = text[text.index("# Data {#data}") :].splitlines()
    untrained = ("| pixels, raw", "| EfficientNet-Lite0, raw")
    spread = [line for line in lines if " ± 0" in line]
    assert len(spread) == 4
    assert all(line.startswith(untrained) for line in spread)


def test_contradiction_of_labels_and_silhouette_is_said_only_where_there_is_one(collected, out):
    other = "EfficientNet-Lite0 | 500"
    # With a single network it is undecided which is better.
    assert outcome_beside(article(collected, out), other) == "undecided"
    rows = collected.metrics
    one = rows[(rows["representation"] == "autoencoder") & (rows["n"] == 500)]
    second = one.assign(seed=1, value=one["value"] + 0.001)
    collected = dataclasses.replace(collected, metrics=pd.concat([rows, second]))
    said = outcome_beside(article(collected, out), other)
    assert said in ("better, but by the silhouette worse", "worse, but by the silhouette better")
    lowered = shifted(collected.metrics, "efficientnet_lite0", -0.3, n=500)
    assert outcome_beside(article(collected, out, metrics=lowered), other) == "better"


def sentences_of(text):
    """List the sentences of running text, without numbers: no captions, tables and lists."""
    stripped = [line.strip().removeprefix("**") for line in text.splitlines()]
    lines = [line for line in stripped if line[:1].isalpha()]
    found = re.split(r"(?<=[.:!?]) +(?=[A-Z*])", " ".join(lines))
    return [re.sub(r"\[[^]]*\]\(#[^)]*\)|[\d,.]+", "N", one) for one in found]


@pytest.fixture
def twins(collected, tmp_path):
    """Two studies of the same numbers and figures, and the Markdown of their supplement."""
    first, second = "mnist-cae", "cifar10-cae"
    study = collected.studies[first]
    tables = {
        name: pd.concat([table, table.assign(study=second)])
        for name in ("metrics", "confusion", "starts")
        if len(table := getattr(collected, name))
    }
    results = dataclasses.replace(
        collected,
        studies={first: study, second: study.model_copy(update={"study": second, "claims": []})},
        data=dict.fromkeys((first, second), collected.data[first]),
        not_run={},
        notebooks=[
            *collected.notebooks,
            *(dataclasses.replace(run, study=second) for run in collected.notebooks),
        ],
        **tables,
    )
    (tmp_path / "figures").mkdir()
    record = evidence.write_results(results, tmp_path)
    return results, supplement_module.supplement(results, record, tmp_path).replace("\\", "")


def test_no_sentence_stands_twice_with_other_names(twins):
    """What is true of all studies stands once, what differs in tables."""
    _, text = twins
    summary = sentences_of(twins[0].studies["mnist-cae"].summary)
    counts = Counter(one for one in sentences_of(text) if len(one) > 40 and one not in summary)
    assert [one for one, count in counts.items() if count > 1] == []


def test_a_figure_that_two_studies_share_is_shown_once(twins):
    results, text = twins
    shown = re.findall(r"\(figures/mnist-cae-(\S+?)\.\w+\)", text)
    again = re.findall(r"\(figures/cifar10-cae-(\S+?)\.\w+\)", text)
    drawn = {figure.name for run in results.notebooks for figure in run.manifest.figures}
    assert len(shown) >= len(drawn) > 0
    assert not drawn & set(again)
    assert "*The same as for another study:* [" in text


@pytest.mark.parametrize(
    ("by", "verdict", "said"),
    [
        (0.0, "consistent", "Of 4 reported scores, 1 is consistent; 1 is too high; 2 are not run."),
        (0.3, "too low", "Of 4 reported scores, 1 is too high; 1 is too low; 2 are not run."),
        (-0.2, "too high", "Of 4 reported scores, 2 are too high; 2 are not run."),
    ],
)
def test_verdicts_of_a_full_run_on_the_right_data(collected, out, by, verdict, said):
    text = article(
        collected,
        out,
        profile=config.load_profile("paper"),
        data={"mnist-cae": {**collected.data["mnist-cae"], "substituted": False}},
        metrics=shifted(collected.metrics, "autoencoder", by),
    )
    assert said in " ".join(text.split())
    assert re.search(rf"\| ARI \| Table I \| 0\.4296 \| .* \| 0\.2 \| {verdict} \|", text)
    assert "Reduced run." not in text
    assert "Substitute data." not in text
    assert "of 2 counts that the protocols fix, 1 is as reported; 1 was not run" in text


def test_a_study_whose_training_alone_finished_has_no_scores(made_up, tmp_path):
    runs = Path(shutil.copytree(made_up, tmp_path / "runs"))
    for manifest in runs.glob("quick/*/*/*/manifest.json"):
        if manifest.parent.name != "02_train_autoencoder":
            manifest.unlink()
    part = collect.collect("quick", STUDIES, [0, 1], runs)
    evidence.write_results(part, tmp_path / "out")
    text = article(part, tmp_path / "out")
    assert "| parameters of the network | 56,321 |" in text
    assert "The baseline left no results." in text
    assert "| mnist-cae | ARI | 0.4296 | – | – | – | not run |" in text


def test_an_article_without_any_result_says_so(tmp_path):
    for study in STUDIES:
        folder = tmp_path / "quick" / study
        folder.mkdir(parents=True)
        (folder / "not_run.json").write_text('{"reason": "no data"}')
    text = article(collect.collect("quick", STUDIES, [0], tmp_path), tmp_path)
    assert text.count("was **not run**: no data") == 2
    assert "No study was run" in text


# --- small parts -------------------------------------------------------------------------------


def texts():
    generator = random.Random(0)
    letters = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + "aB1 \n\té–"
    made = ["".join(generator.choices(letters, k=generator.randint(1, 24))) for _ in range(400)]
    made += [
        "= head",
        "- item",
        "1. one",
        "(@x) y",
        "| a | b |",
        "---",
        "    code",
        "~~~",
        "[^1]: n",
    ]
    made += ["// c", "/* c */", "#let x = 1", "<label>", "\\u{61}", "http://a.b//c", "&amp;", "+ a"]
    return [text for text in made if text.strip()]


@pytest.mark.parametrize("output", ["html5", "typst-smart"])
def test_escaped_text_is_the_same_text_in_both_outputs(output):
    import pypandoc

    def pandoc(source, *arguments):
        command = [pypandoc.get_pandoc_path(), "--wrap=none", *arguments]
        return subprocess.run(
            command, input=source, capture_output=True, text=True, check=True
        ).stdout

    def alike(text):  # pandoc's reader of Typst turns quotation marks
        return re.sub("[‘’“”\"']", "'", " ".join(text.split()))

    lua_filter = f"--lua-filter={places.template() / 'typst.lua'}"
    made = pandoc(
        "\n\n".join(markdown.escape(text) for text in texts()),
        f"--from={pandoc_module.MARKDOWN}",
        f"--to={output}",
        *([lua_filter] if output != "html5" else []),
    )
    read = pandoc(made, f"--from={output.removesuffix('5')}", "--to=json")
    blocks = json.loads(read)["blocks"]
    assert [block["t"] for block in blocks] == ["Para"] * len(texts())
    for block, text in zip(blocks, texts(), strict=True):
        plain = pandoc_text(block["c"])
        assert alike(plain) == alike(text)


def pandoc_text(inlines):
    """The text of inlines; any markup among them is an error."""
    parts = {"Space": " ", "SoftBreak": " "}
    found = []
    for inline in inlines:
        if inline["t"] == "Quoted":
            found.append("'" + pandoc_text(inline["c"][1]) + "'")
        else:
            found.append(inline["c"] if inline["t"] == "Str" else parts[inline["t"]])
    return "".join(found)


def test_markdown_is_not_escaped_twice_and_control_characters_go():
    assert markdown.escape(Markup("*a*")) == "*a*"
    assert markdown.escape("a\x00\x1b\ud800 \n b") == "a b"


def test_an_unknown_citation_is_an_error(tmp_path):
    (tmp_path / "a.md").write_text("[@nobody1900]")
    with pytest.raises(errors.UserError, match="nobody1900"):
        pandoc_module.run_pandoc(tmp_path / "a.md", tmp_path / "a.html", "--metadata=title=a")


def test_a_plain_name_is_checked():
    assert markdown.identifier("mnist-cae") == "mnist-cae"
    with pytest.raises(ValueError, match="not a plain name"):
        markdown.identifier("a b")


def test_numbering_knows_later_figures_and_refuses_unknown_ones():
    numbering = markdown.Numbering()
    assert "?" in numbering.ref("fig-b")
    numbering.define("Figure", "fig-a")
    numbering.define("Figure", "fig-b")
    numbering.define("Table", "tbl-a")
    numbering.start_second_pass()
    assert numbering.ref("fig-b") == "[Figure 2](#fig-b)"
    assert numbering.define("Figure", "fig-a") == "Figure 1"
    with pytest.raises(ValueError, match="twice"):
        numbering.define("Figure", "fig-a")
    with pytest.raises(KeyError):
        numbering.ref("fig-c")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(5000, "5,000"), (0.07123456, "0.07123"), (12345.6, "12,346"), ("cpu", "cpu"), (True, "True")],
)
def test_number(value, shown):
    assert markdown.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.1234, "0.123 s"),
        (59.4, "59.4 s"),
        (59.7, "59.7 s"),
        (59.97, "1 min 00 s"),
        (60, "1 min 00 s"),
        (142, "2 min 22 s"),
        (3599.6, "1 h 00 min"),
        (7384, "2 h 03 min"),
        (math.nan, "–"),
    ],
)
def test_duration(seconds, shown):
    assert markdown.duration(seconds) == shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "not tested: The weights of resnet50 are missing; The rest",
            "not tested: the weights of ResNet50 are missing; the rest",
        ),
        ("resnet50_random, efficientnet_lite2", "ResNet50 with random weights, EfficientNet-Lite2"),
        ("The file resnet50.pth of my_resnet50", "The file resnet50.pth of my_resnet50"),
        ("seed 1 failed: ValueError", "seed 1 failed: ValueError"),
    ],
)
def test_a_message_names_networks_in_words(message, shown):
    assert markdown.in_words(message) == shown


def test_each_names_the_seeds_only_where_they_differ():
    assert markdown.each({0: 8, 1: 8}, "count") == "8"
    assert markdown.each({0: 8, 1: 9}, "count") == "8 (seed 0), 9 (seed 1)"


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (2, "count", "2"),
        (2.0, "count", "2"),
        (9.6, "count", "9.6"),
        (776_579.0, "count", "776,579"),
        (1.0, "score", "1.0000"),
        (0.41234567, "score", "0.4123"),
        (-0.02, "score", "-0.0200"),
        (1234.5, "score", "1,234"),
        (math.nan, "score", "–"),
        (math.nan, "count", "–"),
        (0.8765, "share", "87.6 %"),
        (0.0214651, "quantity", "0.02147"),
        (142, "seconds", "2 min 22 s"),
        ("resnet50", "text", "ResNet50"),
        ("28×28", "text", "28×28"),
        (True, "flag", "yes"),
    ],
)
def test_a_value_is_written_by_its_kind(value, kind, shown):
    assert markdown.of_kind(value, kind) == shown


def test_a_misspelt_fact_in_the_template_is_an_error(collected, out):
    run = next(run for run in collected.notebooks if run.notebook == "01_baseline_kmeans")
    page = notebook_parts.page_of(collected, run, out)
    template = environment(markdown.Numbering()).from_string
    assert page.facts["n_images"].shown == "5,000"
    unrecorded = "{% if page.facts.classes_found_pixels %}found{% endif %}"
    assert template(unrecorded).render(page=page) == ""
    with pytest.raises(UndefinedError, match="n_imagez"):
        template("{% if page.facts.n_imagez %}images{% endif %}").render(page=page)


def test_every_fact_of_the_templates_is_declared():
    used = {}
    for path in places.template().glob("*.j2"):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"""facts\.(\w+)|facts\[["']([^"']+)["']\]""", text)
        used[path.name] = {one or other for one, other in named}
    names = {fact.name for fact in facts.FACTS}
    assert used["supplement.md.j2"] and used["images.md.j2"]
    assert {path: found - names for path, found in used.items() if found - names} == {}


def test_markdown_table_sets_numbers_to_the_right():
    lines = markdown.markdown_table(["a", "b"], [["x|y", "0.5"], ["z", "–"]]).splitlines()
    assert lines[1] == "| :-- | --: |"
    assert lines[2] == r"| x\|y | 0\.5 |"


def test_the_drawing_is_embedded_unless_it_is_large_and_the_picture_is_smaller(tmp_path):
    figures = tmp_path / "figures"
    figures.mkdir()
    small, large = "x", "x" * (notebook_parts.LARGEST_SVG + 1)
    for name, svg, png in (("a", large, small), ("b", small, large), ("c", large, large + "x")):
        (figures / f"{name}.svg").write_text(svg)
        (figures / f"{name}.png").write_text(png)
    (figures / "d.png").write_text(large)
    chosen = [notebook_parts._embedded_file(tmp_path, name) for name in "abcd"]
    assert chosen == ["figures/a.png", "figures/b.svg", "figures/c.svg", "figures/d.png"]
    with pytest.raises(errors.UserError, match="neither"):
        notebook_parts._embedded_file(tmp_path, "e")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -9 $$", "it was stopped by SIGKILL; too little memory is a common cause"),
        ("echo no such font >&2; exit 3", "no such font"),
        ("exit 4", "exit status 4"),
    ],
)
def test_a_pandoc_that_fails_has_a_reason(tmp_path, monkeypatch, script, said):
    (tmp_path / "pandoc").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "pandoc").chmod(0o755)
    monkeypatch.setattr("pypandoc.get_pandoc_path", lambda: str(tmp_path / "pandoc"))
    (tmp_path / "a.md").write_text("words")
    with pytest.raises(errors.UserError, match=f"pandoc could not make a.html: {said}"):
        pandoc_module.run_pandoc(tmp_path / "a.md", tmp_path / "a.html")
    with pytest.raises(errors.UserError, match=f"pandoc could not make a notebook's page: {said}"):
        pandoc_module.markdown_to_html("words")


def test_a_checkout_of_any_name_has_its_templates(tmp_path, elsewhere):
    """Pandoc decodes the paths of files that it fetches as if they were URLs."""
    root = tmp_path / "100%20 {a}%41 'b\"c"
    shutil.copytree(places.template(), root / "reports" / "template")
    elsewhere(root)
    source = tmp_path / "a.md"
    source.write_text("---\ntitle: a title\nlang: en\n---\n# A section\n\nWords [@das2025].\n")
    pages.write_html(WebPage("a", source.read_text()), tmp_path)
    assert "style.css" not in (tmp_path / "a.html").read_text()  # it is in the page
    pages.write_pdf(source, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_a_pdf_with_which_typst_fails_has_no_floats_and_keeps_its_tags(tmp_path, monkeypatch):
    """Typst's fault depends on where pages break (typst/typst#8487), so it is made up here."""
    made = typst.compile
    asked = []

    def fails_with_floats(source, **settings):
        asked.append(settings.get("sys_inputs"))
        if asked == [None]:
            raise typst.TypstError("internal error: parent group (at typst-pdf-0.15.1/src/tags)")
        return made(source, **settings)

    monkeypatch.setattr(typst, "compile", fails_with_floats)
    source = tmp_path / "a.md"
    source.write_text("---\ntitle: a title\nlang: en\n---\n# A section\n\nWords.\n")
    pages.write_pdf(source, tmp_path / "a.pdf")
    assert asked == [None, {"floats": "none"}]
    assert b"/StructTreeRoot" in (tmp_path / "a.pdf").read_bytes()
