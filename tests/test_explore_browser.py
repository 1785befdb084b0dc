"""Notebook 0 in JupyterLab, in a real browser: hover, lasso, cell, k and save."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from utils.places import ROOT

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
NOTEBOOK = "00_explore.ipynb"
# A loaded machine is slow, not wrong.
PATIENCE = 600_000
NO_AUTOSAVE = "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings"
# The map is drawn by WebGL, which a machine without a graphics card emulates.
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SELECTION = "found-in-the-browser"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def selection_file():
    """Return where the notebook saves the selection; the file is removed before and after."""
    path = ROOT / "runs" / "interactive" / "mnist-cae" / "selections" / f"{SELECTION}.csv"
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Start JupyterLab as ``./run_all.sh lab`` does, and return the notebook's address."""
    if CHROMIUM is None:
        pytest.skip("no browser: install Chromium, or name it in $CHROMIUM")
    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "settings" / NO_AUTOSAVE
    settings.parent.mkdir(parents=True)
    settings.write_text('{"autosave": false}')  # the notebook of the repository stays as it is
    places = {
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    environment = os.environ | {name: str(folder / place) for name, place in places.items()}
    environment["PYTHONPATH"] = str(ROOT / "src")
    arguments = ["--no-browser", *(["--allow-root"] if os.geteuid() == 0 else [])]
    command = [sys.executable, "-m", "commands", "lab", "--", *arguments]
    with (folder / "log").open("w") as log:
        lab = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while not (found := list((folder / "runtime").glob("jpserver-*.json"))):
            assert lab.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        server = json.loads(found[0].read_text())
        assert server["hostname"] == "127.0.0.1" and server["token"]
        yield f"{server['url']}lab/tree/{NOTEBOOK}?token={server['token']}"
    finally:
        lab.terminate()
        lab.wait(60)


@pytest.fixture(scope="module")
def page(address):
    from playwright.sync_api import sync_playwright

    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*WEBGL, *sandbox])
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator(".jp-Notebook").first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        page.locator("table.matrix").first.wait_for(state="attached")
        yield page
        browser.close()


@pytest.fixture
def view(page):
    """Return the output with the linked view, in sight, with nothing chosen."""
    output = page.locator(".jp-OutputArea-child:has(table.matrix)").first
    output.locator("table.matrix").scroll_into_view_if_needed()
    output.locator("canvas").first.wait_for()
    return output


def middle_of_map(view):
    box = view.locator("canvas").first.bounding_box()
    assert box["width"] > 300 and box["height"] > 300
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_point_under_the_mouse_shows_its_image(page, view):
    x, y = middle_of_map(view)
    shown = page.locator('.jp-OutputArea [style*="data:image/png"]')
    for step in range(60):
        page.mouse.move(x - 120 + 4 * step, y - 60 + 2 * step)
        page.wait_for_timeout(200)
        if shown.count():
            break
    assert shown.count() == 1


def test_a_lasso_shows_its_images(page, view):
    x, y = middle_of_map(view)
    page.keyboard.down("Shift")
    page.mouse.move(x - 70, y - 70)
    page.mouse.down()
    for right, down in ((70, -70), (70, 70), (-70, 70), (-70, -65)):
        page.mouse.move(x + right, y + down, steps=15)
    page.mouse.up()
    page.keyboard.up("Shift")
    view.locator("p", has_text=" images").first.wait_for()
    assert 0 < view.locator("img[title]").count() <= 60


def test_a_cell_shows_its_images(view):
    cell = view.locator("table.matrix button:enabled").first
    count = int(cell.inner_text())
    cell.click()
    view.locator("p", has_text=f"{count:,} images").first.wait_for()
    assert view.locator("img[title]").count() == min(count, 60)
    pressed = view.locator('table.matrix button[aria-pressed="true"]')
    assert pressed.count() == 1 and int(pressed.inner_text()) == count


def test_what_is_chosen_is_saved(view, selection_file):
    view.locator("input[type=text][placeholder]").fill(SELECTION)
    view.locator("input[type=text][placeholder]").press("Tab")
    view.get_by_role("button", name="Save selection").click()
    view.get_by_text(f"{SELECTION}.csv").wait_for()
    n_rows = len(selection_file.read_text().splitlines()) - 1
    assert n_rows == int(view.locator('table.matrix button[aria-pressed="true"]').inner_text())


def test_matrix_and_scores_follow_k(view):
    view.locator("select").nth(1).select_option("pixels")
    view.get_by_text("Shown: pixels / pca50 / kmeans, k 10").wait_for()
    handle = view.locator(".noUi-handle").first
    handle.focus()
    handle.press("ArrowRight")
    view.get_by_text("Shown: pixels / pca50 / kmeans, k 11").wait_for()
    view.locator("table.matrix tbody tr").nth(10).wait_for(state="attached")
    assert view.locator("td", has_text="k 11").count() == 1
