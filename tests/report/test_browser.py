"""The report's page in a real browser: opened from disk, with the network blocked."""

import csv

import fake_run
import pytest

from report import build, collect, published
from utils import places

STUDIES = ("mnist-cae", "cifar10-cae")
WIDTHS = (360, 768, 1440)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of a made-up run with two leaderboards, whose names are hostile ones."""
    folder = tmp_path_factory.mktemp("page")
    with (
        pytest.MonkeyPatch.context() as patch,
        places.elsewhere(config=fake_run.write_config(folder / "config")),
    ):
        runs = fake_run.write_run(folder / "runs")
        made_up = fake_run.with_leaderboards(collect.collect("quick", STUDIES, [0, 1], runs))
        patch.setattr(collect, "collect", lambda *_: made_up)
        patch.setattr(published, "load", fake_run.without_evidence)
        build.build("quick", STUDIES, [0, 1], runs, folder / "report")
    return (folder / "report" / "supplement.html").as_uri()


def column(table, number):
    cells = table.locator(f"tbody tr:visible td:nth-child({number})")
    return [text.strip() for text in cells.all_inner_texts()]


def saved(page, act):
    with page.expect_download() as waiting:
        act()
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(open_page, width):
    page = open_page(viewport={"width": width, "height": 900})
    assert page.title()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(open_page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(open_page(color_scheme=scheme, viewport={"width": 1440, "height": 900}))
    serious = [
        (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_names_are_text(open_page):
    page = open_page()
    assert fake_run.HOSTILE in page.locator("body").inner_text()
    assert page.locator("main script, main b:has-text('x')").count() == 0


def test_headings_sort_their_table_by_mouse_and_keyboard(open_page):
    table = open_page().locator("#tbl-all-beyond-mnist")
    heading = table.locator("thead th", has_text="ARI").first
    number = 1 + table.locator("thead th").all_inner_texts().index(heading.inner_text())
    heading.locator("button").click()
    rising = [float(text) for text in column(table, number)]
    assert rising == sorted(rising) and len(set(rising)) > 2
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    assert [float(text) for text in column(table, number)] == sorted(rising, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"


def test_numbers_and_words_are_sorted_and_missing_ones_come_last(open_page):
    page = open_page()

    def order(texts, falling):
        return page.evaluate(
            """([texts, falling]) => {
                const rows = texts.map((text) => ({cells: [{textContent: text}]}));
                return sorted(rows, 0, falling).map((row) => row.cells[0].textContent);
            }""",
            [texts, falling],
        )

    numbers = ["9.5", "–", "1,200", "-3 (-4 to -2)", "10–12"]
    assert order(numbers, False) == ["-3 (-4 to -2)", "9.5", "10–12", "1,200", "–"]
    assert order(numbers, True) == ["1,200", "10–12", "9.5", "-3 (-4 to -2)", "–"]
    assert order(["PCA 50", "–", "raw", "PCA 9"], False) == ["PCA 9", "PCA 50", "raw", "–"]


def test_a_field_filters_the_rows(open_page):
    page = open_page()
    table = page.locator("#tbl-all-beyond-mnist")
    before = column(table, 1)
    field = page.locator(".table:has(#tbl-all-beyond-mnist) input[type=search]")
    field.fill("hdbscan UMAP")
    kept = column(table, 1)
    assert kept == [text for text in before if "HDBSCAN" in text and "UMAP" in text]
    assert 0 < len(kept) < len(before)
    left = page.locator(".table:has(#tbl-all-beyond-mnist) output")
    assert left.inner_text() == f"{len(kept)} of {len(before)} rows"
    field.fill("")
    assert column(table, 1) == before and left.inner_text() == ""


def test_a_table_is_saved_as_it_stands(open_page):
    page = open_page()
    table = page.locator("#tbl-overview")
    name, content = saved(page, table.get_by_role("button", name="as CSV").click)
    assert name == "tbl-overview.csv"
    rows = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    assert rows[0] == [text.strip() for text in table.locator("thead th").all_inner_texts()]
    assert [row[1] for row in rows[1:]] == column(table, 2)


def test_figures_are_saved_as_drawing_and_as_picture(open_page):
    page = open_page()
    figure = page.locator("#fig-beyond-mnist-pareto")
    name, content = saved(page, figure.get_by_role("button", name="as SVG").click)
    assert name == "fig-beyond-mnist-pareto.svg" and b"<svg" in content
    name, content = saved(page, figure.get_by_role("button", name="as PNG").click)
    assert name == "fig-beyond-mnist-pareto.png" and content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20], "big") > 1000


def test_without_scripts_the_page_is_whole(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("#tbl-all-beyond-mnist tbody tr").count() > 10
    assert page.locator(".downloads, .filter").count() == 0


def test_the_numbers_of_a_figure_are_saved(open_page):
    page = open_page()
    figure = page.locator("#fig-mnist-cae-tsne_label")
    name, content = saved(page, figure.get_by_role("button", name="as CSV").click)
    assert name == "fig-mnist-cae-tsne_label.csv"
    assert content.decode("utf-8-sig") == fake_run.NUMBERS["class"]
    without = page.locator("#fig-mnist-cae-samples")
    assert without.get_by_role("button", name="as CSV").count() == 0


def test_a_citation_shows_its_entry_under_mouse_and_keyboard(open_page):
    page = open_page(viewport={"width": 360, "height": 700})
    link = page.locator("main a[role=doc-biblioref]").first
    entry = page.locator(link.get_attribute("href")).inner_text()
    card = page.get_by_role("tooltip")
    assert card.is_hidden()
    link.hover()
    assert card.inner_text() == entry
    box = card.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    card.hover()
    page.wait_for_timeout(400)
    assert card.is_visible()
    page.mouse.move(1, 1)
    card.wait_for(state="hidden")
    link.focus()
    assert card.is_visible() and link.get_attribute("aria-describedby") == "citation"
    page.keyboard.press("Escape")
    assert card.is_hidden()


def test_a_figure_leads_to_the_cell_that_drew_it(open_page):
    page = open_page()
    page.locator("#fig-mnist-cae-samples").get_by_role("link", name="cell 1").click()
    cell = page.locator(":target")
    assert "total = sum(range(5))" in cell.inner_text()
    assert cell.evaluate("element => element.getBoundingClientRect().top") < 900
    shown = page.locator(".parameters")
    assert fake_run.HOSTILE in shown.inner_text() and "/some/where" not in shown.inner_text()
