"""The system's Firefox, without a driver or a package: its own remote protocol, Marionette, is JSON on a socket."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from listening.page.songs import WHEN_HEARD

SECONDS = 60  # until it is there, and for any of its answers
SETTINGS = {
    "marionette.port": 0,  # any that is free
    "browser.startup.page": 0,  # this and the rest is what it would start with, and no page needs
    "dom.ipc.processPrelaunch.enabled": False,
    "extensions.enabledScopes": 0,
}


class Firefox:
    """A Firefox without a window; its profile is a folder that is thrown away."""

    def __init__(self, program: str, profile: Path) -> None:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in SETTINGS.items()]
        (profile / "user.js").write_text("\n".join(lines))
        command = [program, "--headless", "--no-remote", "--marionette", "--profile", profile]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.socket = socket.create_connection(("127.0.0.1", self._port(profile)), SECONDS)
            self.answers = self.socket.makefile("rb")
            self._read()  # a greeting
            self.ask("WebDriver:NewSession")
            self.ask("WebDriver:SetTimeouts", script=1000 * SECONDS)
        except BaseException:
            self.process.kill()
            raise

    def _port(self, profile: Path) -> int:
        told = profile / "MarionetteActivePort"
        end = time.monotonic() + SECONDS
        while not (told.exists() and told.read_text()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"Firefox did not open its port in {SECONDS} s")
            time.sleep(0.02)
        return int(told.read_text())

    def _read(self) -> Any:
        size = b""
        while (byte := self.answers.read(1)) != b":":
            size += byte
        return json.loads(self.answers.read(int(size)))

    def ask(self, command: str, **parameters: Any) -> Any:
        """Send a command, as WebDriver's; return the answer."""
        message = json.dumps([0, 0, command, parameters]).encode()
        self.socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, answer = self._read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return answer

    def evaluate(self, script: str) -> Any:
        """Return what an expression is, or, if it is a promise, comes to."""
        wait = f"const [done] = arguments; Promise.resolve({script}).then(done)"
        return self.ask("WebDriver:ExecuteAsyncScript", script=wait, args=[])["value"]

    def open(self, address: str) -> None:
        """Show another page."""
        self.ask("WebDriver:Navigate", url=address)

    def hear(self, page: Path, paths: list[str]) -> list[dict]:
        """Open the page with files; return what it heard in them."""
        self.open(page.absolute().as_uri())
        found = self.ask("WebDriver:FindElement", using="css selector", value="#files")["value"]
        (element,) = found.values()
        self.ask("WebDriver:ElementSendKeys", id=element, text="\n".join(str(Path(path).absolute()) for path in paths))
        self.evaluate(WHEN_HEARD)
        return self.evaluate("window.songs")

    def close(self) -> None:
        """End it, without the second that it would take to tidy a profile which is thrown away."""
        self.process.kill()
        self.process.wait(SECONDS)
        self.answers.close()
        self.socket.close()
