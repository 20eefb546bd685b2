"""The system's WebKitGTK by its own driver, WebDriver over HTTP, on a screen that nobody sees: Xvfb."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from listening.page.songs import WHEN_HEARD

SECONDS = 120  # until it is there, and for any of its answers
TRIES = 5  # a port that was free may be taken


class WebKit:
    """A small browser that shows pages by WebKitGTK, and no more."""

    def __init__(self, driver: str, browser: str) -> None:
        self.processes: list[subprocess.Popen] = []
        try:
            screen = self._start_screen()
            self._start_driver(driver, os.environ | {"DISPLAY": screen})
            options = {"webkitgtk:browserOptions": {"binary": browser, "args": ["--automation"]}}
            self.session = f"/session/{self._send('/session', capabilities={'alwaysMatch': options})['sessionId']}"
            self.ask("/timeouts", script=1000 * SECONDS)
        except BaseException:
            self._end()
            raise

    def _start(self, command: list[str], **how: Any) -> subprocess.Popen:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
        self.processes.append(process)
        return process

    def _start_screen(self) -> str:
        told, tells = os.pipe()
        self._start(["Xvfb", "-displayfd", str(tells), "-nolisten", "tcp"], pass_fds=[tells])
        os.close(tells)
        with os.fdopen(told) as lines:
            return f":{int(lines.readline())}"

    def _start_driver(self, driver: str, environment: dict[str, str]) -> None:
        for _ in range(TRIES):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            self.address = f"http://127.0.0.1:{port}"
            process = self._start([driver, "--host=127.0.0.1", f"--port={port}"], env=environment)
            end = time.monotonic() + SECONDS
            while process.poll() is None and time.monotonic() < end:
                try:
                    return urlopen(f"{self.address}/status", timeout=SECONDS).close()
                except URLError:
                    time.sleep(0.02)
        raise TimeoutError(f"{driver} did not open a port")

    def _send(self, path: str, method: str = "POST", **body: Any) -> Any:
        request = Request(self.address + path, json.dumps(body).encode(), method=method)
        try:
            with urlopen(request, timeout=2 * SECONDS) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()}") from None

    def ask(self, path: str, method: str = "POST", **body: Any) -> Any:
        """Send a command of the session; return the answer."""
        return self._send(self.session + path, method, **body)

    def evaluate(self, script: str) -> Any:
        """Return what an expression is, or, if it is a promise, comes to."""
        text = "(value) => done(JSON.stringify({value}))"  # the driver keeps no order of keys
        wait = f"const [done] = arguments; Promise.resolve({script}).then({text})"
        return json.loads(self.ask("/execute/async", script=wait, args=[])).get("value")

    def open(self, address: str) -> None:
        """Show another page."""
        self.ask("/url", url=address)

    def hear(self, page: Path, paths: list[str]) -> list[dict]:
        """Open the page with files; return what it heard in them."""
        self.open(page.absolute().as_uri())
        (element,) = self.ask("/element", using="css selector", value="#files").values()
        self.ask(f"/element/{element}/value", text="\n".join(str(Path(path).absolute()) for path in paths))
        self.evaluate(WHEN_HEARD)
        return self.evaluate("window.songs")

    def close(self) -> None:
        """End it."""
        self.ask("", "DELETE")
        self._end()

    def _end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait(SECONDS)
