"""The page in a real browser, the system's."""

import shutil

import pytest

from stages.listening.exports import PAGE

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


@pytest.fixture(scope="module")
def only_tab(browser):
    """The one tab of that browser: another would be another process."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def tab(only_tab):
    """That tab, blank; no request may leave it, and nothing may be said on its console."""
    asked, said = [], []
    heard = {
        "request": lambda request: asked.append(request.url),
        "console": lambda message: said.append(message.text),
        "pageerror": lambda error: said.append(str(error)),
    }
    only_tab.goto("about:blank")
    only_tab.set_viewport_size({"width": 1280, "height": 900})
    for event, hear in heard.items():
        only_tab.on(event, hear)
    yield only_tab
    for event, hear in heard.items():
        only_tab.remove_listener(event, hear)
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
