"""The table of clusters and classes beside a map is the printed one."""

import csv
import io
import json
from types import SimpleNamespace

import fake_run
import numpy as np
import pandas as pd
import pytest

from report import collect, maps, matrices
from report.pages import write_html
from report.web_pages import WebPage
from utils import figures, metrics, places
from utils.figures import atlas, style

CLASSES = ("T-shirt", "bag", "ankle boot", "coat")


@pytest.mark.parametrize("n_clusters", [3, 4, 6])
def test_rows_columns_and_counts_are_those_of_the_printed_table(n_clusters):
    random = np.random.default_rng(n_clusters)
    labels = random.integers(0, 4, 500)
    assignment = (labels + random.integers(0, 3, 500)) % n_clusters
    found = matrices.matched(metrics.confusion_table(assignment, labels, CLASSES))
    drawn = figures.matched_confusion(labels, assignment, CLASSES, "made up")
    printed = getattr(drawn, style.NUMBERS)
    assert found["classes"] == printed.columns[1:].tolist()
    assert found["counts"] == printed.iloc[:, 1:].to_numpy().tolist()
    assert [name or "unmatched" for name in found["matched"]] == printed.iloc[:, 0].tolist()
    for name, counts in zip(found["clusters"], found["counts"], strict=True):
        assert sum(counts) == (assignment == int(name.removeprefix("c"))).sum()


def test_a_study_with_a_map_has_the_counts_of_all_images_of_the_map_s_own_seed(tmp_path):
    with places.elsewhere(config=fake_run.write_config(tmp_path / "config")):
        runs = fake_run.write_run(tmp_path / "runs")
        results = collect.collect("quick", ("mnist-cae", "cifar10-cae"), [0, 1], runs)
        tables = matrices.of_studies(results)
        assert list(tables) == ["atlas-mnist-cae"]  # the other was not run
        table = json.loads(tables["atlas-mnist-cae"])
        assert table["figure"] == "fig-mnist-cae-confusion_latent"
        counts = np.array(table["counts"])
        assert counts.shape == (10, 10) and counts.sum() == 5000
        other = results.confusion.assign(seed=results.confusion["seed"] + 7)
        results = SimpleNamespace(
            studies=results.studies, confusion=other, first_runs=results.first_runs
        )
        assert matrices.of_studies(results) == {}


def test_mistakes_are_those_of_all_images_not_of_the_points_of_a_map():
    """Of all images c0 is matched with "two", of the three on the map with "one"."""
    table = {"clusters": ["c0", "c1"], "matched": ["two", None]}
    points = pd.DataFrame({"cluster": ["c0", "c0", "c1"], "class": ["one", "two", "one"]})
    points = points.astype("category")
    assert matrices.mistakes(points, table).tolist() == [True, False, True]


# --- in the page --------------------------------------------------------------------------------

N = 60
LABELS = np.arange(N) % 3
ASSIGNMENT = np.where(np.arange(N) < 6, (LABELS + 1) % 3, LABELS)
NAMES = ("one", "two", "three")
TEXT = """---
title: Made up
---

# A section {#section}

![**Figure 7.** Printed.](figures/printed.svg){#fig-printed alt="printed"}

::: {#atlas-all .atlas role="group" aria-label="Interactive map"}
:::

::: {#atlas-sample .atlas role="group" aria-label="Interactive map of a sample"}
:::
"""


def plot(folder, place, n):
    rows = np.arange(n)
    images = np.zeros((n, 8, 8), np.uint8)
    positions = np.stack([rows % 10, rows // 10], axis=1).astype(float)
    clusters = ASSIGNMENT[:n]
    points = atlas.table(
        images, positions, LABELS[:n], NAMES, clusters, np.linspace(0, 1, n, dtype=np.float32)
    )
    names = figures.cluster_names(3)
    points["cluster"] = [names[cluster] for cluster in clusters]
    return maps.plot(points, place, folder)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with two maps: of all images without a table of its own, and of some with one."""
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "figures").mkdir()
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="99pt" height="99pt"></svg>'
    (folder / "figures" / "printed.svg").write_text(drawing)
    table = matrices.matched(metrics.confusion_table(ASSIGNMENT, LABELS, NAMES))
    table = json.dumps(table | {"figure": "fig-printed"})
    plots = {"atlas-all": plot(folder, "atlas-all", N), "atlas-sample": plot(folder, "atlas-s", 30)}
    write_html(WebPage("page", TEXT, plots, {"atlas-sample": table}), folder)
    return (folder / "page.html").as_uri()


@pytest.fixture
def page(open_page):
    opened = open_page(viewport={"width": 1440, "height": 1200})
    opened.locator(".matrix").nth(1).wait_for()
    return opened


def cells(place):
    """The shown counts, and those of chosen points, by row."""
    rows = place.locator(".matrix tbody tr").all()
    shown = [[td.inner_text().split() for td in row.locator("td").all()] for row in rows]
    counts = [[int(words[0]) if words else 0 for words in row] for row in shown]
    return counts, [[int(words[1]) if len(words) > 1 else 0 for words in row] for row in shown]


def selection(page, place):
    return page.evaluate(f"document.getElementById('{place}').map.selected")


def test_a_table_has_rows_columns_and_counts_as_printed(page):
    expected = matrices.matched(metrics.confusion_table(ASSIGNMENT, LABELS, NAMES))
    for name in ("atlas-all", "atlas-sample"):
        place = page.locator(f"#{name}")
        assert cells(place)[0] == expected["counts"]
        rows = place.locator(".matrix tbody th button").all_inner_texts()
        columns = place.locator(".matrix thead th button").all_inner_texts()
        assert (rows, columns) == (expected["clusters"], expected["classes"])
    note = page.locator("#atlas-sample .matrix .keys").inner_text()
    assert note.startswith("Counts of all 60 images, as in Figure 7; the map has 30 of them.")
    assert page.locator("#atlas-sample .matrix .keys a").get_attribute("href") == "#fig-printed"


def test_a_cell_lights_up_its_points_and_lists_them(page):
    place = page.locator("#atlas-sample")
    cell = place.get_by_role("button", name="Show the 18 images of class two in cluster c1")
    cell.click()
    inside = [row for row in range(30) if LABELS[row] == ASSIGNMENT[row] == 1]
    assert selection(page, "atlas-sample") == inside and len(inside) == 8
    assert cell.get_attribute("aria-pressed") == "true"
    assert sorted(np.ravel(cells(place)[1])) == [0] * 8 + [8]
    chosen = place.locator(".chosen-points")
    assert chosen.locator("output").inner_text() == "8 on the map, class two in cluster c1"
    listed = chosen.locator("tbody th").all_inner_texts()
    assert listed == [f"point {row + 1}" for row in inside]
    with page.expect_download() as waiting:
        chosen.get_by_role("button", name="Save the chosen images as CSV").click()
    saved = waiting.value.path().read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(saved, newline="")))
    assert [row["name"] for row in rows] == listed and {row["cluster"] for row in rows} == {"c1"}
    place.get_by_role("button", name="Show all images of all classes in cluster c1").click()
    assert selection(page, "atlas-sample") == [row for row in range(30) if ASSIGNMENT[row] == 1]


def test_points_chosen_on_the_map_are_counted_in_the_table(page):
    place = page.locator("#atlas-all")
    rows = [0, 1, 7, 8, 9]
    page.evaluate(f"document.getElementById('atlas-all').map.highlight({rows}, 'inside the line')")
    table = matrices.matched(metrics.confusion_table(ASSIGNMENT, LABELS, NAMES))
    expected = np.zeros((3, 3), int)
    for row in rows:
        cluster = table["clusters"].index(f"c{ASSIGNMENT[row]}")
        expected[cluster, LABELS[row]] += 1
    assert cells(place)[1] == expected.tolist()
    assert place.locator("td.chosen").count() == (expected > 0).sum()
    assert place.locator(".chosen-points tbody tr").count() == 5
    page.evaluate("document.getElementById('atlas-all').map.highlight(null)")
    assert cells(place)[1] == np.zeros((3, 3)).tolist()
    assert place.locator(".chosen-points").is_hidden()


def test_the_table_is_one_stop_of_the_tab_key(page):
    grid = page.locator("#atlas-all .matrix table")
    grid.locator("button").first.focus()
    focused = page.locator(":focus")
    assert focused.get_attribute("aria-label") == "Show all images of class one"
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
    assert focused.get_attribute("aria-label") == "Show all images of all classes in cluster c0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert len(selection(page, "atlas-all")) == 18
    page.keyboard.press("Tab")
    assert grid.locator(":focus").count() == 0
