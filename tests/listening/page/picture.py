"""Make docs/page.png, the README's picture of the page, after `make repro page`.

python tests/listening/page/picture.py
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT)]

from stages.demo import FOLDER  # noqa: E402
from stages.listening.exports import PAGE  # noqa: E402

PICTURE = Path("docs/page.png")
COLOURS = 128  # of the PNG: a quarter of the bytes


def main() -> None:
    """Let the page hear one song of many genres, and keep what it shows."""
    sounds = [soundfile.read(path) for path in sorted((ROOT / FOLDER / "listen").glob("*.flac"))]
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        song = Path(folder, "Eight pieces in a row.flac")
        soundfile.write(song, np.concatenate([sound for sound, _ in sounds]), sounds[0][1])
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or shutil.which("google-chrome"))
        tab = browser.new_page(viewport={"width": 880, "height": 1000}, color_scheme="light")
        tab.goto((ROOT / PAGE).as_uri())
        tab.set_input_files("#files", song)
        tab.wait_for_selector("main[aria-busy=false]")
        tab.click("#chart", position={"x": 330, "y": 40})
        taken = tab.locator("#song").screenshot()
        browser.close()
    Image.open(BytesIO(taken)).quantize(COLOURS).save(ROOT / PICTURE, optimize=True)


if __name__ == "__main__":
    main()
