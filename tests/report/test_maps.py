"""The interactive map: its data, and the map itself in a real browser, opened from disk."""

import base64
import csv
import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from report import maps, pages
from report.web_pages import WebPage
from utils.figures import atlas

HOSTILE = 'a</script><img src=x onerror=alert(1)>"é.png'
TEXT = """---
title: Maps
subtitle: made up
provenance: none
---

# A map {#map}

::: {#atlas-few .atlas role="group" aria-label="Interactive map"}
The interactive map needs JavaScript.
:::
"""
N = 60
MISSING = 33  # has no original, like a file that no browser can show
SHADES = np.linspace(0, 255, N).astype(np.uint8)


def table(n=N):
    """Points on a grid of ten columns; groups of six, a missing number, duplicates, dates."""
    rows = np.arange(n)
    images = np.zeros((n, 8, 8, 3), np.uint8) + np.resize(SHADES, n)[:, None, None, None]
    points = atlas.table(
        images,
        np.stack([rows % 10, rows // 10], axis=1).astype(float),
        None,
        (),
        rows // 6 - 1,
        np.linspace(0, 1, n),
        [HOSTILE if row == 7 else f"picture {row}.png" for row in rows],
    )
    points.insert(3, "level_1", rows // 30)
    points["date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rows, unit="D")
    points["duplicate"] = rows < 4
    points["place"] = ["north", "south"] * (n // 2)
    points.loc[59, "confidence"] = np.nan
    points["nearest"] = [[(row + step) % n for step in (1, 2, 3)] for row in rows]
    points["link"] = [f"originals/{row}.png" for row in rows]
    return points


def array(text, kind):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)


def test_a_table_becomes_compact_arrays(tmp_path):
    points = table()
    text = maps.plot(points, "few", tmp_path, "UMAP")
    assert "<" not in text
    data = json.loads(text)
    assert data["axes"] == "UMAP"
    np.testing.assert_allclose(array(data["xy"], "<f4").reshape(-1, 2), points[["x", "y"]])
    assert json.loads(gzip.decompress(base64.b64decode(data["names"])))[7] == HOSTILE
    nearest = array(data["nearest"], "<i4").reshape(N, 10)
    assert nearest[59].tolist() == [0, 1, 2] + [-1] * 7
    columns = {column["title"]: column for column in data["columns"]}
    assert list(columns) == ["level 1", "cluster", "clarity", "date", "duplicate", "place"]
    assert columns["cluster"]["groups"] == ["noise", *map(str, range(9))]
    assert len(set(columns["cluster"]["colours"])) == 10
    assert columns["duplicate"]["groups"] == ["no", "yes"]
    codes = array(columns["place"]["values"], "<i2")
    assert codes[:2].tolist() == [0, 1]
    assert np.isnan(array(columns["clarity"]["values"], "<f4")[59])
    first_day = array(columns["date"]["values"], "<f4")[0]
    assert pd.Timestamp(0) + pd.Timedelta(days=int(first_day)) == pd.Timestamp("2024-01-01")


def test_a_column_that_says_nothing_is_left_out(tmp_path):
    points = table().assign(place="north", cluster=0)
    titles = [c["title"] for c in json.loads(maps.plot(points, "few", tmp_path))["columns"]]
    assert "place" not in titles and "cluster" in titles


def test_rare_groups_are_one(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "MOST_GROUPS", 3)
    points = table().assign(place=["a"] * 30 + ["b"] * 20 + ["c", "d"] * 5)
    columns = json.loads(maps.plot(points, "few", tmp_path))["columns"]
    (place,) = [column for column in columns if column["title"] == "place"]
    assert place["groups"] == ["a", "b", "others"]


@pytest.mark.parametrize("embedded", [True, False])
def test_few_pictures_are_in_the_page_and_many_beside_it(tmp_path, monkeypatch, embedded):
    monkeypatch.setattr(maps, "MOST_EMBEDDED", N if embedded else N - 1)
    points = table()
    thumbs = json.loads(maps.plot(points, "few", tmp_path))["thumbs"]
    assert array(thumbs["cells"], "<i4").tolist() == points["cell"].tolist()
    (sheet,) = thumbs["sheets"]
    assert sheet.startswith("data:image/webp;base64," if embedded else "maps/few/0.webp")
    content = base64.b64decode(sheet.partition(",")[2]) if embedded else None
    kept = content if embedded else (tmp_path / sheet).read_bytes()
    assert kept == points["image"][0]


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with one map whose sheets of pictures lie beside it."""
    folder = tmp_path_factory.mktemp("map")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "MOST_EMBEDDED", 10)
        plot = maps.plot(table(), "atlas-few", folder, "UMAP")
    (folder / "originals").mkdir()
    for row in range(N):
        if row != MISSING:
            Image.new("RGB", (40, 30)).save(folder / f"originals/{row}.png")
    pages.write_html(WebPage("page", TEXT, {"atlas-few": plot}, is_one_file=False), folder)
    return (folder / "page.html").as_uri()


@pytest.fixture
def page(open_page):
    opened = open_page(viewport={"width": 1440, "height": 1200})
    return ready(opened)


def wait(page, condition):
    """Wait in the page, whose security policy lets no condition in from outside."""
    frames = "while (!(%s)) await new Promise(requestAnimationFrame);"
    page.evaluate(f"async () => {{ {frames % condition} }}")


def ready(page):
    wait(page, "document.getElementById('atlas-few').map?.view")
    page.locator("#atlas-few .stage").scroll_into_view_if_needed()
    return page


def place_of(page, at):
    """Where a point is on the screen."""
    return page.evaluate(
        """at => {
            const { map } = document.getElementById("atlas-few");
            const { left, top } = map.canvas.getBoundingClientRect();
            const [x, y] = map.toScreen(map.xy[2 * at], map.xy[2 * at + 1]);
            return [left + x, top + y];
        }""",
        at,
    )


def selection(page):
    return page.evaluate("document.getElementById('atlas-few').map.selected")


def names(page, inside):
    return page.locator(f"#atlas-few {inside} figcaption").all_inner_texts()


def saved(page):
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save these pictures as CSV").click()
    content = waiting.value.path().read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_hovering_shows_picture_and_name(page):
    tip = page.locator("#atlas-few .tip")
    assert tip.is_hidden()
    page.mouse.move(*place_of(page, 34))
    assert "picture 34.png" in tip.inner_text()
    assert "cluster: 4" in tip.inner_text() and "level 1: 1" in tip.inner_text()
    shade = "c => c.getContext('2d').getImageData(48, 48, 1, 1).data"
    # A page from disk may show pictures from disk, but not read them.
    assert tip.locator("canvas").get_attribute("aria-label") == "picture 34.png"
    with pytest.raises(Exception, match="tainted"):
        tip.locator("canvas").evaluate(shade)
    page.mouse.move(*place_of(page, 7))
    assert HOSTILE in tip.inner_text()
    page.mouse.move(5, 5)
    assert tip.is_hidden()


def test_a_click_keeps_a_point_with_its_original_and_its_nearest(page):
    page.mouse.click(*place_of(page, 34))
    kept = page.locator("#atlas-few .keeper")
    assert kept.locator(".kept a").get_attribute("href") == "originals/34.png"
    original = kept.locator("img.original")
    original.wait_for()
    assert original.evaluate("async image => { await image.decode(); return image.naturalWidth }")
    assert names(page, ".keeper") == [f"picture {row}.png" for row in (35, 36, 37)]
    assert kept.get_by_text("Nearest by the features").is_visible()
    kept.get_by_role("button", name="Show picture 36.png").click()
    assert "picture 36.png" in kept.locator(".kept").inner_text()
    kept.get_by_role("button", name="Close this picture").click()
    assert kept.is_hidden()


def test_a_lasso_fills_the_sheet_which_is_saved_as_csv(page):
    (left, top), (right, low) = place_of(page, 22), place_of(page, 34)
    page.get_by_label("Lasso").check()
    corners = [(left, top), (right, top), (right, low), (left, low)]  # two rows of three
    around = [(x + (15 if x > left else -15), y + (15 if y > low else -15)) for x, y in corners]
    page.mouse.move(*around[0])
    page.mouse.down()
    for corner in around[1:]:
        page.mouse.move(*corner, steps=5)
    page.mouse.up()
    assert selection(page) == [22, 23, 24, 32, 33, 34]
    assert names(page, ".sheet") == [f"picture {row}.png" for row in selection(page)]
    rows = saved(page)
    assert [row["name"] for row in rows] == [f"picture {row}.png" for row in selection(page)]
    assert [float(row["x"]) for row in rows] == [2, 3, 4, 2, 3, 4]
    assert rows[0] | {"cluster": "2", "date": "2024-01-23", "duplicate": "no"} == rows[0]
    page.get_by_role("button", name="Clear the selection").click()
    assert selection(page) is None and len(names(page, ".sheet")) == N


def test_an_empty_lasso_chooses_nothing(page):
    page.evaluate("document.getElementById('atlas-few').map.highlight([1, 2])")
    left, top = place_of(page, 22)
    page.keyboard.down("Shift")
    page.mouse.move(left + 15, top + 15)
    page.mouse.down()
    page.mouse.move(left + 25, top + 15, steps=3)
    page.mouse.move(left + 25, top + 25, steps=3)
    page.mouse.up()
    assert selection(page) is None


def test_a_rectangle_is_chosen_by_keyboard(page):
    canvas = page.locator("#atlas-few .stage > canvas")
    canvas.focus()
    for key in ("0", *["ArrowLeft", "ArrowUp"] * 3, "s", *["ArrowRight", "ArrowDown"] * 6):
        canvas.press(key)
    before = page.evaluate("document.getElementById('atlas-few').map.rectangle()")
    canvas.press("s")
    (left, low), (right, top) = np.min(before, axis=0), np.max(before, axis=0)
    expected = [row for row in range(N) if left <= row % 10 <= right and low <= row // 10 <= top]
    assert selection(page) == expected and len(expected) > 1
    canvas.press("Enter")
    assert page.locator("#atlas-few .keeper").is_visible()
    canvas.press("Escape")
    assert selection(page) is None and page.locator("#atlas-few .keeper").is_hidden()


def test_the_level_is_switched_with_its_labels_and_legend(page):
    place = page.locator("#atlas-few")
    labels = "document.getElementById('atlas-few').map.labels.map((label) => label.text)"
    assert sorted(page.evaluate(labels)) == ["0", "1"]
    place.get_by_label("Coloured by", exact=True).select_option(label="cluster")
    assert sorted(page.evaluate(labels)) == [str(cluster) for cluster in range(9)]  # not noise
    assert place.locator(".legend label").count() == 10
    first = page.evaluate(
        "document.getElementById('atlas-few').map.labels.find(l => l.text === '0')"
    )
    assert (first["size"], first["x"], first["y"]) == (6, 7, 0)
    place.get_by_label("Coloured by", exact=True).select_option(label="clarity")
    assert page.evaluate(labels) == [] and place.locator(".legend .scale").is_visible()


def test_filters_by_group_and_by_number(page):
    place = page.locator("#atlas-few")
    place.locator(".filters summary").click()
    place.get_by_label("duplicate, group that is shown").select_option(label="yes")
    words = place.locator(".filters summary")
    assert "4 of 60 points shown" in words.inner_text()
    assert page.evaluate("Array.from(document.getElementById('atlas-few').map.shown)") == (
        [1] * 4 + [0] * 56
    )
    place.get_by_role("button", name="Remove all filters").click()
    assert words.inner_text().strip() == "Filters"
    place.get_by_label("clarity, most that is shown").fill("50")
    shown = page.evaluate("document.getElementById('atlas-few').map.shown.indexOf(0)")
    assert shown == 30
    place.get_by_role("button", name="Remove all filters").click()
    place.locator(".legend").get_by_label("1", exact=True).uncheck()
    assert "30 of 60 points shown" in words.inner_text()
    page.mouse.move(*place_of(page, 34))
    assert place.locator(".tip").is_hidden()


def test_the_pictures_of_a_group_are_browsed_page_by_page(open_page):
    page = ready(open_page(viewport={"width": 360, "height": 800}))
    place = page.locator("#atlas-few")
    place.get_by_role("button", name="List the 30 of level 1: 1").click()
    assert selection(page) == list(range(30, 60))
    place.get_by_label("Order").select_option(label="least clarity first")
    assert names(page, ".sheet")[0] == "picture 30.png"
    assert names(page, ".sheet")[-1] == "picture 59.png"  # whose clarity is not known
    place.get_by_label("Order").select_option(label="most clarity first")
    assert names(page, ".sheet")[0] == "picture 58.png"
    assert names(page, ".sheet")[-1] == "picture 59.png"
    page.evaluate(
        """() => {
            const { map } = document.getElementById("atlas-few");
            map.highlight([...Array(130).keys()].map((at) => at % 60), "many");
        }"""
    )
    place.get_by_label("Order").select_option(label="as given")
    on = place.get_by_role("button", name="Next page of pictures")
    on.click()
    on.click()
    assert len(names(page, ".sheet")) == 10 and on.is_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_other_scripts_select_points_and_learn_of_selections(page):
    heard = page.evaluate(
        """() => {
            const place = document.getElementById("atlas-few");
            const heard = [];
            place.addEventListener("selection", ({ detail }) => heard.push(detail));
            place.map.highlight([3, 5], "a cell");
            place.map.highlight(null);
            return heard;
        }"""
    )
    assert heard == [{"indices": [3, 5], "title": "a cell"}, {"indices": [], "title": ""}]


def test_the_wheel_scrolls_the_page_until_the_map_has_been_clicked(page):
    scale = "document.getElementById('atlas-few').map.view.scale"
    before = page.evaluate(scale)
    page.mouse.move(*place_of(page, 34))
    page.mouse.wheel(0, -200)
    assert page.evaluate(scale) == before
    page.mouse.click(*place_of(page, 34))
    page.mouse.wheel(0, -200)
    wait(page, f"{scale} > {before}")
    page.get_by_role("button", name="Show the whole map").click()
    assert page.evaluate(scale) == before


def test_a_drag_moves_the_map_and_two_fingers_enlarge_it(page):
    scale = "document.getElementById('atlas-few').map.view.scale"
    before, (left, top) = page.evaluate(scale), place_of(page, 34)
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 50, top + 20, steps=4)
    page.mouse.up()
    assert place_of(page, 34) == pytest.approx([left + 50, top + 20])
    page.evaluate(
        """([left, top]) => {
            const { canvas } = document.getElementById("atlas-few").map;
            canvas.setPointerCapture = () => {};
            const send = (kind, pointerId, clientX) => canvas.dispatchEvent(
                new PointerEvent(kind, { pointerId, clientX, clientY: top }));
            send("pointerdown", 11, left);
            send("pointerdown", 12, left + 40);
            send("pointermove", 12, left + 80);
            send("pointerup", 12, left + 80);
            send("pointerup", 11, left);
        }""",
        [left + 50, top + 20],
    )
    assert page.evaluate(scale) == pytest.approx(2 * before)
    assert place_of(page, 34) == pytest.approx([left + 50, top + 20])
    assert page.locator("#atlas-few .keeper").is_hidden()


def test_a_picture_that_no_browser_shows_is_replaced_by_its_small_one(browser, address):
    page = browser.new_page()
    ready(page.goto(address) and page)
    page.evaluate("at => document.getElementById('atlas-few').map.keep(at)", MISSING)
    small = page.locator("#atlas-few .kept canvas")
    small.wait_for()
    assert small.get_attribute("aria-label") == f"picture {MISSING}.png"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out_of_a_map(open_page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = ready(open_page(color_scheme=scheme, viewport={"width": 1440, "height": 900}))
    page.evaluate("document.getElementById('atlas-few').map.keep(34)")
    page.evaluate("document.getElementById('atlas-few').map.highlight([1, 2, 3], 'some')")
    page.locator(".filters summary").click()
    found = Axe().run(page)
    serious = [
        (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_without_scripts_the_page_says_that_a_map_is_missing(open_page):
    page = open_page(java_script_enabled=False)
    assert "needs JavaScript" in page.locator("#atlas-few").inner_text()
