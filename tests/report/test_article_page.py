"""The article's page in a real browser: the switch of its lead figure."""

import dataclasses

import fake_run
import pytest

from report import article, collect, published
from report.evidence import write_results
from report.pages import Document, write_all
from utils import places

STUDIES = ("mnist-cae", "cifar10-cae")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of a made-up full run, before which nothing was published."""
    folder = tmp_path_factory.mktemp("article")
    report = folder / "report"
    (report / "figures").mkdir(parents=True)
    load = published.load
    with (
        pytest.MonkeyPatch.context() as patch,
        places.elsewhere(config=fake_run.write_config(folder / "config")),
    ):
        patch.setattr(
            published, "load", lambda path: None if path == places.published() else load(path)
        )
        runs = fake_run.write_run(folder / "runs")
        reduced = collect.collect("quick", STUDIES, [0, 1], runs)
        profile = reduced.profile.model_copy(update={"reduced": False, "profile": "paper"})
        data = {name: {**of, "substituted": False} for name, of in reduced.data.items()}
        full = dataclasses.replace(reduced, profile=profile, data=data)
        text = article.article(full, write_results(full, report), report)
        write_all([Document("report", text)], report, [])
    return (report / "report.html").as_uri()


def shown(page):
    return [
        image.get_attribute("src") for image in page.locator("#fig-all-scores img:visible").all()
    ]


def test_a_switch_shows_the_scores_of_one_study_by_keyboard(open_page):
    page = open_page()
    radios = page.locator("#fig-all-scores fieldset input[type=radio]")
    labels = page.locator("#fig-all-scores fieldset label").all_inner_texts()
    assert [label.strip() for label in labels] == ["all studies", "MNIST (Das)"]
    (whole,) = shown(page)
    radios.first.focus()
    page.keyboard.press("ArrowRight")
    (part,) = shown(page)
    assert part != whole
    page.keyboard.press("ArrowLeft")
    assert shown(page) == [whole]


def test_images_have_their_size_and_the_page_needs_no_other_file(open_page):
    page = open_page()
    images = page.locator("main figure > img.drawing, main figure > img.picture").filter(
        visible=True
    )
    assert images.count() > 3
    for image in images.all():
        assert image.get_attribute("src").startswith("data:image/")
        assert int(image.get_attribute("width")) > 0 and int(image.get_attribute("height")) > 0
    lazy = [image.get_attribute("loading") == "lazy" for image in images.all()]
    assert not lazy[0] and all(lazy[1:])


@pytest.mark.parametrize("width", [360, 768, 1440, 1920])
def test_nothing_is_wider_than_the_page(open_page, width):
    page = open_page(viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
