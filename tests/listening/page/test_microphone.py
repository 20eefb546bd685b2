"""The microphone: what comes from it is judged as a file is, second by second. Chromium plays a file to it."""

import re
from pathlib import Path

import numpy as np
import pytest
from listening.page.songs import REPRESENTATIONS, named, wait, write
from playwright.sync_api import expect

from stages.listening.exports import PAGE

RATE = 48000


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def steady():
    """Return ten seconds of a sound that is the same wherever one begins to listen, of which both models are sure."""
    tones = 20 * np.random.default_rng(4).integers(5, 150, 6)  # Hz
    return np.sin(2 * np.pi * np.outer(tones, np.arange(10 * RATE) / RATE)).mean(axis=0) / 2


@pytest.fixture
def fed(launch):
    """The page in a browser that plays the steady sound to its microphone, and says yes when asked."""
    song = Path(write("steady.wav", steady(), RATE)).absolute()
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    browser = launch(*flags, f"--use-file-for-fake-audio-capture={song}")
    tab = browser.new_page()
    tab.goto(PAGE.absolute().as_uri())
    yield tab
    browser.close()


def test_it_listens_until_it_is_stopped(fed, ask_predict):
    expected = {name: ask_predict(["steady.wav"], name)[0] for name in REPRESENTATIONS}
    assert len({song["genre"] for song in expected.values()}) == 2
    fed.evaluate("""() => {
      const open = openMicrophone;
      openMicrophone = async () => (window.stream = await open());
    }""")
    fed.get_by_role("button", name="Use the microphone").click()
    expect(fed.locator("#verdict")).to_have_text(re.compile(r"in \d+ of ([3-9]|\d\d+) seconds"), timeout=120_000)
    assert fed.locator("#live").is_disabled()
    fed.get_by_role("button", name="Stop").click()
    fed.wait_for_selector("main[aria-busy=false]")
    assert fed.evaluate("stream.getTracks().map((track) => track.readyState)") == ["ended"]
    for name, song in expected.items():
        fed.get_by_label(name).check()
        (heard,) = fed.evaluate("songs")
        assert heard["file"].startswith("Microphone, ")
        assert heard["genre"] == song["genre"]
        assert fed.inner_text("#verdict").startswith(f"{song['genre']}, ")
    assert fed.locator("#player").is_hidden() and fed.locator("#playlists").is_hidden()
    fed.locator("#chart").press("Home")
    assert fed.locator(".second").first.inner_text().startswith("0:00 ")
    named(fed, heard["file"]).press("Delete")
    assert fed.evaluate("songs") == []


@pytest.mark.parametrize(
    ("opens", "said"),
    [
        ("Promise.reject(new DOMException('', 'NotAllowedError'))", "the browser does not allow it"),
        ("Promise.reject(new DOMException('', 'NotFoundError'))", "found none"),
        ("Promise.reject(new OverconstrainedError('', 'Invalid constraint'))", "found none"),
        ("Promise.reject(new Error('it is broken'))", "it is broken"),
    ],
)
def test_what_is_in_the_way_of_listening_is_said(tab, opens, said):
    tab.goto(PAGE.absolute().as_uri())
    tab.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = () => {opens}; }}")
    tab.get_by_role("button", name="Use the microphone").click()
    expect(tab.locator("#status")).to_have_text(f"No microphone: {said}.")
    assert tab.locator("main").get_attribute("aria-busy") == "false"
    assert tab.locator("#live").is_enabled()


def test_where_there_is_no_microphone_for_a_page_it_says_why(tab):
    tab.goto(PAGE.absolute().as_uri())
    tab.evaluate("() => Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    tab.get_by_role("button", name="Use the microphone").click()
    expect(tab.locator("#status")).to_have_text(re.compile("only to pages that are opened from the disk or over https"))


def test_what_is_stopped_before_the_browser_allows_it_does_not_listen(tab):
    tab.goto(PAGE.absolute().as_uri())
    tab.evaluate("""() => {
      window.stopped = 0;
      const stream = {getTracks: () => [{stop() { window.stopped++; }}]};
      navigator.mediaDevices.getUserMedia = () => new Promise((go) => { window.allow = () => go(stream); });
    }""")
    tab.get_by_role("button", name="Use the microphone").click()
    tab.get_by_role("button", name="Stop").click()
    assert tab.locator("main").get_attribute("aria-busy") == "false"
    tab.evaluate("allow()")
    wait(tab, "window.stopped === 1")
    assert tab.evaluate("songs") == []


def test_a_worker_that_fails_ends_the_listening_and_works_on(tab):
    """The sound comes from no microphone, but goes the same way."""
    tab.goto(PAGE.absolute().as_uri())
    wait(tab, "idle.length")
    tab.evaluate("""() => {
      navigator.mediaDevices.getUserMedia = async () => new AudioContext().createMediaStreamDestination().stream;
      AudioContext.prototype.createScriptProcessor = function () { return (window.ears = this.createGain()); };
      const [own] = idle;
      window.failing = (message) => (message.samples ? Promise.reject(new Error("it is broken")) : own(message));
      idle.push(failing);
    }""")
    tab.get_by_role("button", name="Use the microphone").click()
    wait(tab, "live?.entry")
    piece = "ears.onaudioprocess({inputBuffer: {getChannelData: () => new Float32Array(PIECE)}})"
    tab.evaluate(f"() => {{ {piece}; {piece}; }}")
    expect(tab.locator("#status")).to_have_text("Listening has ended: it is broken.")
    assert tab.locator("tbody td.error").inner_text() == "it is broken"
    assert tab.locator("main").get_attribute("aria-busy") == "false"
    assert tab.evaluate("idle.includes(failing)")


def test_a_worker_that_does_not_start_leaves_its_place_to_another(tab):
    tab.goto(PAGE.absolute().as_uri())
    wait(tab, "idle.length")
    for fails in ("constructor() { throw new Error('no') }", "postMessage() { this.onerror({message: 'no'}) }"):
        tab.evaluate(f"() => {{ Worker = class {{ {fails} }}; }}")
        assert tab.evaluate("startWorker().then(() => 'yes', ({ message }) => [message, started])") == ["no", 1]
