"""The article: made of the fullest evidence, and what a reduced run adds to it."""

import dataclasses
import re
from collections import Counter
from types import SimpleNamespace

import fake_run
import pandas as pd
import pytest
from markupsafe import Markup

from report import article, collect, published, soundness, study_names, tally, templates
from report.evidence import write_results
from report.notebook_parts import FigureView
from report.pages import Document, write_all
from utils import places

STUDIES = ("mnist-cae", "cifar10-cae")
LOAD = published.load


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    """A made-up reduced run, the folder of its report, and its record."""
    folder = tmp_path_factory.mktemp("made-up")
    with places.elsewhere(config=fake_run.write_config(folder / "config")):
        runs = fake_run.write_run(folder / "runs")
        results = collect.collect("quick", STUDIES, [0, 1], runs)
        yield results, *written(results, folder / "reduced")


@pytest.fixture(scope="module")
def full(reduced, tmp_path_factory):
    """The same numbers as those of a full run."""
    results = reduced[0]
    profile = results.profile.model_copy(update={"reduced": False, "profile": "paper"})
    data = {name: {**of, "substituted": False} for name, of in results.data.items()}
    results = dataclasses.replace(results, profile=profile, data=data)
    return results, *written(results, tmp_path_factory.mktemp("full") / "report")


def written(results, folder):
    (folder / "figures").mkdir(parents=True)
    return write_results(results, folder), folder


@pytest.fixture
def nothing_published(monkeypatch):
    monkeypatch.setattr(
        published, "load", lambda folder: None if folder == places.published() else LOAD(folder)
    )


@pytest.fixture
def published_is(monkeypatch):
    def set_to(folder):
        chosen = {places.published(): folder}
        monkeypatch.setattr(published, "load", lambda path: LOAD(chosen.get(path, path)))

    return set_to


def text_of(run):
    results, record, folder = run
    return article.article(results, record, folder).replace("\\", "")


def test_a_full_run_is_its_own_evidence(full, nothing_published):
    text = text_of(full)
    assert "Full-scale run of" in text
    assert "This run {#this-run" not in text
    for study in full[0].studies.values():
        for reported in study.reported:
            assert reported.value in text
        for claim in study.claims:
            assert (claim.text in text) != claim.substitute
    assert "fig-all-scores" in text and "fig-mnist-cae-panels" in text


def test_a_reduced_run_has_the_numbers_of_the_published_one(reduced, full, published_is):
    published_is(full[2])
    text = text_of(reduced)
    assert "which checks the software only" in text
    shown = text.partition("# This run {#this-run")[2]
    assert "test nothing" in shown
    means = full[0].verdicts.drop_duplicates(["study", "score"])["mean"]
    assert all(f"{mean:.4f}" in shown for mean in means.dropna())
    verdicts = set(full[0].verdicts["verdict"])
    assert verdicts & {"consistent", "too high", "too low", "uninformative"}
    assert all(verdict in text for verdict in verdicts)


def with_a_line_as_code(results):
    """The same numbers, but nearly all variance of seed 1's code lies between the clusters."""
    metrics = results.metrics.copy()
    of_code = (metrics["representation"] == "autoencoder") & (metrics["seed"] == 1)
    metrics.loc[of_code & (metrics["metric"] == "calinski_harabasz"), "value"] = 1e6
    return dataclasses.replace(results, metrics=metrics)


def test_the_text_says_which_networks_failed(full, nothing_published, tmp_path):
    text = text_of(full)
    assert soundness.RULE in text.replace("\u00a0", " ")
    assert re.search(r"None of the \d networks has failed", text)
    results = with_a_line_as_code(full[0])
    text = text_of((results, *written(results, tmp_path / "report")))
    assert re.search(r"1 of the \d networks has failed", text)
    assert "MNIST (Das), seed 1: the autoencoder has collapsed" in text
    row = results.verdicts.set_index(["study", "score"]).loc[("mnist-cae", "ARI")]
    assert row["n_networks"] == 1 and "seed 1 failed" in row["note"]


def test_a_reduced_run_says_whether_the_software_check_passed(reduced, nothing_published, tmp_path):
    shown = text_of(reduced).partition("# This run {#this-run")[2]
    # The made-up run could not run one study; a view of its code leaves out the third dimension.
    assert "**Software check not passed, 1 warning.**" in shown
    assert "dimension 3 is constant" in shown
    assert "CIFAR-10 was not run" in shown
    results = dataclasses.replace(with_a_line_as_code(reduced[0]), not_run={}, gaps=())
    text = text_of((results, *written(results, tmp_path / "report")))
    shown = text.partition("# This run {#this-run")[2]
    assert "**Software check passed, 2 warnings.**" in shown
    assert "the autoencoder has collapsed" in shown
    assert re.search(r"\[0.\d{4}\]\{\.aside\}", shown)


def test_a_page_may_show_the_scores_of_one_study_and_those_of_a_reduced_run(
    reduced, full, published_is
):
    published_is(full[2])
    words = re.compile(r'data-words="(.+?)"')
    # Of the other study nothing could be run.
    assert words.findall(text_of(full)) == ["MNIST (Das)"]
    assert words.findall(text_of(reduced)) == ["MNIST (Das)", "with this reduced run"]
    drawn = reduced[2] / "figures" / "all-scores-reduced.csv"
    table = pd.read_csv(drawn)
    assert len(table) and table["reduced"].notna().all()


def test_a_reduced_run_without_a_published_one_tests_nothing(reduced, nothing_published):
    text = text_of(reduced)
    assert "not tested" in text
    assert not re.search(r"\d is too high|\d are consistent", text)


def test_the_article_becomes_a_page_and_a_pdf_that_lead_to_the_supplement(full, nothing_published):
    results, record, folder = full
    document = Document("report", article.article(results, record, folder))
    write_all([document], folder, [])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert 'href="supplement.html"' in page
    assert 'href="supplement-mnist-cae.html"' in page
    assert page.count("<figure") == len(list((folder / "figures").glob("*-panels.png"))) + len(
        {"all-scores", "pipeline", "slopes", "indices"}
        & {path.stem for path in (folder / "figures").glob("*.svg")}
    )
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert not list(folder.glob("*.md"))


def test_the_same_numbers_give_the_same_article(full, nothing_published):
    assert text_of(full) == text_of(full)


def view(name):
    return FigureView(f"fig-{name}", name, "caption", "words", f"figures/{name}.svg", Markup(""))


def test_the_abstract_of_the_published_run_has_at_most_150_words():
    with places.elsewhere(config=places.root() / "config"):
        run = LOAD(places.published())
        studies = [one for one in run.studies if one.study in set(run.metrics["study"])]
        names = ("all-scores", "pipeline", "slopes", "indices")
        text = templates.render(
            "article.md.j2",
            {
                **article.context(run, studies),
                **{"profile": SimpleNamespace(reduced=False), "record": run.record, "check": None},
                **{"figures": {name: view(name) for name in names}, "leads": []},
                **{"run_studies": [], "run_boards": []},
            },
        )
    abstract = re.search(r"abstract: \|\n(.+?)\nprovenance:", text, re.DOTALL)[1]
    words = re.sub(r"^ *\d\. ", "", abstract.replace("\\", ""), flags=re.MULTILINE).split()
    assert 100 < len([word for word in words if word != "+"]) <= 150


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (
            ["consistent"] * 3 + ["too high", "too low", "not run", "uninformative"],
            "3 are consistent with our runs, 1 too high, 1 too low, 2 undecided or not run",
        ),
        (["consistent"], "1 is consistent with our runs"),
        (["too high"], "none is consistent with our runs, 1 too high"),
        (["not tested", "not run"], "none could be judged"),
    ],
)
def test_the_verdicts_of_the_abstract_are_all_scores(verdicts, words):
    papers = Counter(verdicts)
    found = tally.ScoreTally(len(verdicts), papers, Counter(), 0, 0, 0)
    assert article.verdicts_in_short(found) == words


def test_a_reason_has_the_name_of_the_network_and_no_message_of_the_machine():
    reason = "The weights of resnet50 are not available (Name or service not known); another is"
    untested = SimpleNamespace(reason=reason)
    assert article.reason_of(untested) == "The weights of ResNet50 are not available; another is"


def test_every_study_has_a_short_name():
    from utils import config

    for name in config.study_names():
        assert study_names.short_name(name) != name
