# SPDX-License-Identifier: GPL-2.0-or-later
"""Chromium without a window, through its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

from fedpkg_container.process import run_in_background
from tests.support.waiting import PATIENCE, eventually

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass
class Browser:
    """A tab.

    :param messages: what the browser logged, e.g. violations of a Content Security Policy, and errors of scripts
    """

    connection: websocket.WebSocket
    messages: list[str] = field(default_factory=list)
    _last: int = 0

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._last += 1
        self.connection.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            received = json.loads(self.connection.recv())
            if received.get("method") == "Log.entryAdded":
                self.messages.append(received["params"]["entry"]["text"])
            elif received.get("method") == "Runtime.exceptionThrown":
                self.messages.append(json.dumps(received["params"]["exceptionDetails"]))
            elif received.get("id") == self._last:
                assert "error" not in received, received
                result: dict[str, Any] = received["result"]
                return result

    def open(self, url: str, *, dark: bool = False, scripts: bool = True) -> None:
        """Open a page, and wait until it is loaded."""
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        is_loaded = f"document.readyState === 'complete' && location.href === {json.dumps(url)}"
        eventually(lambda: bool(self.value(is_loaded)), lambda: url)

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def type(self, selector: str, text: str) -> None:
        """Type into an input field."""
        self.value(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Store a picture of the page."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile, and yield a tab."""
    assert PROGRAM
    directory.mkdir()
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [
        PROGRAM, "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={directory}", *sandbox,
        "about:blank",
    ]  # fmt: skip
    with run_in_background(command, log=directory / "log") as process:
        port_file = directory / "DevToolsActivePort"

        def has_started() -> bool:
            assert process.poll() is None, (directory / "log").read_text()
            return port_file.exists() and len(port_file.read_text().splitlines()) == 2

        eventually(has_started, (directory / "log").read_text)
        port = port_file.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as response:
            (page,) = (each for each in json.load(response) if each["type"] == "page")
        connection = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=PATIENCE)
        with contextlib.closing(connection):
            tab = Browser(connection)
            for domain in ("Page", "Log", "Runtime"):
                tab.call(f"{domain}.enable")
            yield tab
