"""The report's page in a real browser: opened from disk, with the network blocked."""

import csv

import fake_run
import pytest

from report import build, collect, published
from utils import places

STUDIES = ("mnist-cae", "cifar10-cae")
WIDTHS = (360, 768, 1440, 1920)
STUDY, BOARD = "supplement-mnist-cae.html", "supplement-beyond-mnist.html"
PAGES = ("report.html", "supplement.html", STUDY, BOARD)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The supplement of a made-up run with two leaderboards, whose names are hostile ones."""
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


def numbers(texts):
    return [float(text.replace(",", "")) for text in texts]


def saved(page, act):
    with page.expect_download() as waiting:
        act()
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(open_page, name, width):
    page = open_page(name, viewport={"width": width, "height": 900})
    assert page.title()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1440)])
def test_nobody_is_shut_out(open_page, name, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(name, color_scheme=scheme, viewport={"width": width, "height": 900})
    found = [
        (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in Axe().run(page).response["violations"]
    ]
    assert found == []


def test_the_first_stop_leads_past_the_contents(open_page):
    page = open_page(STUDY)
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the text" and skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.locator("main :focus").count() == 1


def test_the_contents_say_where_the_reader_is(open_page):
    page = open_page(STUDY, viewport={"width": 1440, "height": 900})
    now = page.locator("nav a[aria-current=location]")
    for name in ("clusters-mnist-cae", "autoencoder-mnist-cae"):
        page.locator(f"#{name}").evaluate("heading => heading.scrollIntoView()")
        now.and_(page.locator(f"[href='#{name}']")).wait_for()
        assert now.count() == 1


def test_pages_lead_to_each_other(open_page):
    page = open_page()
    assert page.locator("nav.pages [aria-current]").inner_text() == "Supplement"
    page.locator("nav.pages").get_by_role("link", name="MNIST (Das)").click()
    assert page.url.endswith(STUDY)
    page.locator("nav.pages").get_by_role("link", name="Article").click()
    assert page.url.endswith("report.html")


def test_names_are_text(open_page):
    page = open_page(STUDY)
    assert fake_run.HOSTILE in page.locator("body").inner_text()
    assert page.locator("main script, main b:has-text('x')").count() == 0


def test_headings_sort_their_table_from_the_better_end_by_mouse_and_keyboard(open_page):
    table = open_page(BOARD).locator("#tbl-all-beyond-mnist")
    heads = [text.split()[0] for text in table.locator("thead th").all_inner_texts()]
    for name, is_falling in (("ARI", True), ("Dav.-B.", False), ("Seconds", False)):
        heading = table.locator("thead th").nth(heads.index(name))
        heading.locator("button").click()
        values = numbers(column(table, 1 + heads.index(name)))
        assert values == sorted(values, reverse=is_falling) and len(set(values)) > 2
        assert heading.get_attribute("aria-sort") == ("ascending", "descending")[is_falling]
        heading.locator("button").press("Enter")
        assert numbers(column(table, 1 + heads.index(name))) == values[::-1]
        assert heading.get_attribute("aria-sort") == ("descending", "ascending")[is_falling]


def test_numbers_and_words_are_sorted_and_missing_ones_come_last(open_page):
    page = open_page(BOARD)

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
    page = open_page(BOARD)
    table = page.locator("#tbl-all-beyond-mnist")
    before = column(table, 1)
    field = page.locator(".table:has(#tbl-all-beyond-mnist) input[type=search]")
    field.fill("hdbscan UMAP")
    kept = column(table, 1)
    assert kept == [text for text in before if "HDBSCAN" in text and "UMAP" in text]
    assert 0 < len(kept) < len(before)
    left = page.locator(".table:has(#tbl-all-beyond-mnist) output")
    assert left.inner_text() == f"{len(kept)} of {len(before)} rows"
    field.fill("gmm")  # as files and commands have it
    assert column(table, 1) == [text for text in before if "Gaussian mixture" in text] != []
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


def test_figures_of_a_page_that_is_one_file_are_saved_with_their_numbers(open_page):
    page = open_page("report.html")
    figure = page.locator("#fig-all-scores")
    name, content = saved(page, figure.get_by_role("button", name="as SVG").click)
    assert name == "fig-all-scores.svg" and b"<svg" in content
    name, content = saved(page, figure.get_by_role("button", name="as PNG").click)
    assert name == "fig-all-scores.png" and content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20], "big") > 1000
    name, content = saved(page, figure.get_by_role("button", name="as CSV").click)
    assert name == "fig-all-scores.csv" and content.decode("utf-8-sig").count("\n") > 2
    without = page.locator("#fig-pipeline")
    assert without.get_by_role("button", name="as CSV").count() == 0


def test_figures_beside_the_page_are_loaded_when_they_are_seen(open_page):
    page = open_page(STUDY, viewport={"width": 1440, "height": 900})
    last = page.locator("main figure[id] img").last
    loaded = "image => image.complete && image.naturalWidth > 0"
    assert not last.evaluate(loaded)
    room = last.bounding_box()
    last.scroll_into_view_if_needed()
    last.evaluate("image => image.decode()")
    assert last.evaluate(loaded)
    assert last.bounding_box()["height"] == pytest.approx(room["height"], abs=1)


def test_the_files_of_a_figure_are_a_link_away(open_page):
    page = open_page(STUDY)
    figure = page.locator("#fig-mnist-cae-tsne_label")
    name, content = saved(page, figure.get_by_role("link", name="CSV").click)
    assert name == "mnist-cae-tsne_label.csv"
    assert content.decode() == fake_run.NUMBERS["class"]
    figure.get_by_role("link", name="SVG").click()
    assert page.url.endswith("figures/mnist-cae-tsne_label.svg")
    assert page.evaluate("document.documentElement.tagName") == "svg"


def test_without_scripts_the_page_is_whole(open_page):
    page = open_page(BOARD, java_script_enabled=False)
    assert page.locator("#tbl-all-beyond-mnist tbody tr").count() > 10
    assert page.locator("button, .filter").count() == 0
    assert page.locator("figure .downloads a").count() > 1


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


def test_a_reference_shows_its_figure_or_the_beginning_of_its_table(open_page):
    page = open_page("report.html", viewport={"width": 1440, "height": 900})
    card = page.get_by_role("tooltip")
    link = page.locator('main p a[href^="#fig-"]').first
    link.focus()
    figure = page.locator(link.get_attribute("href"))
    assert card.locator("img").get_attribute("src") == figure.locator("img").get_attribute("src")
    assert card.inner_text().startswith(link.inner_text())
    # The card of the figure may lie on the link to the table.
    page.keyboard.press("Escape")
    link = page.locator('main p a[href^="#tbl-"]').first
    link.hover()
    table = page.locator(link.get_attribute("href"))
    assert card.locator("td").first.inner_text() == table.locator("td").first.inner_text()
    assert card.locator("button, a.downloads, [id]").count() == 0
    assert card.inner_text().startswith(link.inner_text())
    page.keyboard.press("Escape")
    assert card.is_hidden()


def test_a_wide_table_keeps_its_first_column_in_view(open_page):
    page = open_page(BOARD, viewport={"width": 768, "height": 900})
    box = page.locator(".table:has(#tbl-all-beyond-mnist)")
    first = box.locator("tbody td").first
    before = first.bounding_box()["x"]
    box.evaluate("box => box.scrollBy(200, 0)")
    page.locator(".table.scrolled").wait_for()
    assert first.bounding_box()["x"] == before
    assert box.locator("tbody tr").first.locator("td").nth(1).bounding_box()["x"] < before + 240


def test_a_wide_page_has_room_for_its_tables_beside_the_text(open_page):
    page = open_page(BOARD, viewport={"width": 1920, "height": 900})
    assert page.locator("#tbl-all-beyond-mnist").bounding_box()["width"] > 800
    assert page.locator("main > p").first.bounding_box()["width"] < 700
    hidden = page.evaluate(
        "[...document.querySelectorAll('main .table')]"
        ".filter(box => box.scrollWidth > box.clientWidth).map(box => box.ariaLabel)"
    )
    assert hidden == []


def test_a_figure_leads_to_the_cell_that_drew_it(open_page):
    page = open_page(STUDY)
    page.locator("#fig-mnist-cae-samples").get_by_role("link", name="cell 1").click()
    cell = page.locator(":target")
    assert "total = sum(range(5))" in cell.inner_text()
    assert cell.evaluate("element => element.getBoundingClientRect().top") < 900
    shown = page.locator(".parameters")
    assert fake_run.HOSTILE in shown.inner_text() and "/some/where" not in shown.inner_text()
