"""The page in a real browser, the system's."""

import contextlib
import shutil
from pathlib import Path

import pytest
from listening.page.marionette import Firefox
from listening.page.songs import REPRESENTATIONS, music, write
from listening.page.webkit import WebKit
from small_models import judge, make_model

import stages.listening.page.build as page
from stages import cli
from stages.common.files import read_json
from stages.listening.exports import PAGE

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FIREFOXES = ("firefox", "firefox-esr")
MINI_BROWSER = "lib/*/webkit2gtk-4.*/MiniBrowser"  # in /usr, as Debian has it


def program(names):
    """Return the path of the first of these programs that is installed, or skip the test."""
    found = [path for name in names if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"found no browser here, expected one of {', '.join(names)}")
    return found[0]


@pytest.fixture(scope="session")
def chromium():
    """The path of a browser, or a skip that says why."""
    return program(BROWSERS)


@pytest.fixture(scope="session")
def launch(chromium):
    """A function that starts that browser without a window, with more flags."""
    from playwright.sync_api import sync_playwright

    flags = ["--disable-gpu", "--disable-software-rasterizer"]
    with sync_playwright() as playwright:
        yield lambda *more: playwright.chromium.launch(executable_path=chromium, args=[*flags, *more])


@pytest.fixture(scope="session")
def browser(launch):
    """That browser, started once: for each file's tests anew would take longer than some of these files."""
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def only_tab(browser):
    """The one tab of that browser: another would be another process."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def tab(only_tab):
    """That tab as the last test left it; no request may leave it, and nothing may be said on its console."""
    asked, said = [], []
    heard = {
        "request": lambda request: asked.append(request.url),
        "console": lambda message: said.append(message.text),
        "pageerror": lambda error: said.append(str(error)),
    }
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
    """A function that opens the page with files and returns what it heard in them, on so many cores."""

    def hear(*paths, cores=None):
        tab.goto(PAGE.absolute().as_uri())
        if cores:
            tab.evaluate("(value) => Object.defineProperty(navigator, 'hardwareConcurrency', {value})", cores)
        tab.set_input_files("#files", list(paths))
        tab.wait_for_selector("main[aria-busy=false]", timeout=120_000)
        return tab.evaluate("window.songs")

    return hear


@pytest.fixture
def two(hear, tab):
    """The page, having heard two songs of different genres; to start a second worker takes longer than to hear them."""
    hear(write("a.flac", music("rock", 8000, 3), 8000), write("b.wav", music("rock", 8000, 5, 1), 8000), cores=1)
    tab.evaluate("new Promise((go) => $('#player').readyState ? go() : ($('#player').onloadedmetadata = go))")
    return tab


@pytest.fixture(scope="session")
def firefox(tmp_path_factory):
    """Another browser, or a skip that says why."""
    firefox = Firefox(program(FIREFOXES), tmp_path_factory.mktemp("firefox"))
    yield firefox
    firefox.close()


@pytest.fixture(scope="session")
def webkit():
    """A third one, or a skip that says why."""
    program(["Xvfb"])
    webkit = WebKit(program(["WebKitWebDriver"]), program([*map(str, Path("/usr").glob(MINI_BROWSER)), "MiniBrowser"]))
    yield webkit
    webkit.close()


@pytest.fixture(params=["chromium", "firefox", "webkit"])
def anywhere(request):
    """Functions that let each browser hear files, and evaluate an expression in the page."""
    if request.param == "chromium":
        yield request.getfixturevalue("hear"), request.getfixturevalue("tab").evaluate
        return
    browser = request.getfixturevalue(request.param)
    yield lambda *paths: browser.hear(PAGE, paths), browser.evaluate
    browser.open("about:blank")  # WebKitGTK draws a player without end


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with models and their page: to look at, not to change."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "data").mkdir()
    with contextlib.chdir(folder):
        for representation in REPRESENTATIONS:
            make_model(representation)
        judge(*REPRESENTATIONS)
        page.write_page()
    return folder


@pytest.fixture(scope="module")
def place(models, tmp_path_factory):
    """A copy of it for the tests of a file."""
    return Path(shutil.copytree(models, tmp_path_factory.mktemp("place"), dirs_exist_ok=True))


@pytest.fixture(scope="module")
def ask_predict():
    """A function that returns what predict writes of songs, as a model of a representation hears them."""

    def ask_predict(paths, representation, *options):
        written = ["--json", "out.json", "--csv", "out.csv", "--seconds-csv", "seconds.csv"]
        cli.run(["predict", *map(str, paths), "--representation", representation, *written, *options])
        return read_json(Path("out.json"))

    return ask_predict
