"""A headless Chromium for the tests of pages, spoken to over its own protocol through two pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--mute-audio"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars"),
    # A processor draws text and boxes itself faster than as a GPU that it plays; faces need one.
    "--disable-gpu-rasterization",
    *("--disable-extensions", "--remote-debugging-pipe"),
)
PATIENCE_S = 90.0
COMMANDS, ANSWERS = 3, 4
"""The file descriptors that Chromium reads and writes: the protocol's own choice."""


class Browser:
    """One page in one browser, with everything it asked for and complained about.

    Attributes:
        asked: the addresses of all requests but those for data inside of a page, in order.
        complaints: errors and warnings of the console, and exceptions.
    """

    def __init__(self, send: int, receive: int) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self._send, self._receive = send, receive
        self._buffer = b""
        self._number = 0
        self._session = ""
        self._seen: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, page: Path | str, width: int, height: int = 900, scheme: str = "light") -> None:
        """Load a file or an address as a screen of that size shows it; a narrow one has fingers."""
        phone = width < 500
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        wish = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[wish])
        # From another page of the same application nothing would be loaded.
        self._load("about:blank")
        self._load(page if isinstance(page, str) else page.absolute().as_uri())

    def _load(self, address: str) -> None:
        self._seen.clear()
        self.call("Page.navigate", url=address)
        while "Page.loadEventFired" not in self._seen:
            self._note(self._message())

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives, a promise's outcome included."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Until an expression of JavaScript is true."""
        end = time.monotonic() + PATIENCE_S
        while not self.value(f"Boolean({condition})"):
            assert time.monotonic() < end, f"not within {PATIENCE_S:g} s: {condition}"
            time.sleep(0.1)

    def press(self, key: str) -> None:
        """A key of the keyboard, down and up."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, path: Path) -> Path:
        """What is on the screen, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return path

    def _note(self, event: dict[str, Any]) -> None:
        method, values = event.get("method", ""), event.get("params", {})
        self._seen.append(method)
        if method == "Network.requestWillBeSent":
            address = values["request"]["url"]
            self.asked += [] if address.startswith("data:") else [address]
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(values["exceptionDetails"]))
        elif method == "Log.entryAdded" or (
            method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning")
        ):
            self.complaints.append(str(values))

    def _message(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self._receive, 2**16) if ready else b""
            assert chunk, "the browser does not answer"
            self._buffer += chunk
        first, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(first)
        return message


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in a folder; ended with the block."""
    assert CHROMIUM is not None
    its_commands, send = os.pipe()
    receive, its_answers = os.pipe()
    # Out of the way of the numbers that they are given in the child.
    high = [fcntl.fcntl(number, fcntl.F_DUPFD, 20) for number in (its_commands, its_answers)]
    for number in (its_commands, its_answers):
        os.close(number)

    with (folder / "chromium.log").open("wb") as log:
        shell = 'exec "$@" 3<&"$COMMANDS" 4>&"$ANSWERS"'
        process = subprocess.Popen(
            ["bash", "-c", shell, "-", CHROMIUM, *OPTIONS, f"--user-data-dir={folder / 'user'}"],
            env={**os.environ, "COMMANDS": str(high[0]), "ANSWERS": str(high[1])},
            pass_fds=high,
            stdout=log,
            stderr=log,
        )
    for number in high:
        os.close(number)
    try:
        yield Browser(send, receive)
    finally:
        process.terminate()
        process.wait(timeout=30)
        os.close(send)
        os.close(receive)
