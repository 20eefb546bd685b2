"""The page in a real browser, the system's."""

import shutil

import pytest

from stages.exports import PAGE

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    """A browser without a window, or a skip that says why."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"found no browser here, expected one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found[0], args=["--disable-gpu", "--disable-software-rasterizer"]
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """A tab of that browser; no request may leave it, and nothing may be said on its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [PAGE.absolute().as_uri()]


@pytest.fixture
def hear(tab):
    """A function that opens the page with files and returns what it heard in them."""

    def hear(*paths):
        tab.goto(PAGE.absolute().as_uri())
        tab.set_input_files("#files", list(paths))
        tab.wait_for_selector("main[aria-busy=false]", timeout=120_000)
        return tab.evaluate("window.songs")

    return hear
