"""A real browser for the tests of pages; a module with its own `address` opens that page."""

import os
import shutil
from urllib.parse import urljoin

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip(
            "no browser: install Chromium (Debian: package chromium), or name it in $CHROMIUM"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, as whom containers run.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser, address):
    """Open the page, or another one beside it; at the end nothing may have gone wrong in it."""
    contexts, complaints = [], []

    def opened(name="", **options):
        context = browser.new_context(offline=True, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if is_bad(line) else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(urljoin(address, name))
        return page

    def is_bad(line):
        return line.type in ("error", "warning")

    requests = []
    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert not [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]
