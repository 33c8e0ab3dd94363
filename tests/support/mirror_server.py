# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror over plain HTTP that serves a directory, with faults."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

#: Faults: another byte; half of the content; without length; a redirect to a URL; a response that never ends. A number
#: is a status.
WRONG, CUT, CHUNKED, ENDLESS = "wrong", "cut", "chunked", "endless"
#: Number of bytes that ``drip`` sends, and seconds between them.
DRIPS, INTERVAL = 60, 0.05


@dataclass
class MirrorServer:
    """The server.

    :param root: the served directory
    :param faults: pattern of ``METHOD /path`` → fault; a text with a colon is a URL to redirect to
    :param seen: method, path and headers of each request
    :param raw: start of ``METHOD /path`` → bytes of the response, sent at once, and those sent slowly in between
    :param dripped: number of bytes that each slow response sent before the client closed the connection
    """

    root: Path
    url: str = ""
    faults: dict[str, Union[int, str]] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    raw: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    dripped: list[int] = field(default_factory=list)

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.command, request.path, headers))
        line = f"{request.command} {request.path}"
        for start, (before, after) in self.raw.items():
            if line.startswith(start):
                request.close_connection = True
                self._drip(request, before, after)
                return
        fault = next((fault for pattern, fault in self.faults.items() if re.search(pattern, line)), "")
        path = self.root / request.path.lstrip("/")
        if isinstance(fault, int) or not (path.is_file() or ":" in fault):
            self._send(request, fault if isinstance(fault, int) else 404, {"Content-Length": "0"})
        elif ":" in fault:
            self._send(request, 302, {"Content-Length": "0", "Location": fault + request.path})
        else:
            self._content(request, bytearray(path.read_bytes()), fault)

    def _content(self, request: http.server.BaseHTTPRequestHandler, content: bytearray, fault: str) -> None:
        if fault == WRONG:
            content[-1] ^= 1
        if fault == CHUNKED:
            request.close_connection = True
        self._send(request, 200, {} if fault == CHUNKED else {"Content-Length": str(len(content))})
        if request.command == "HEAD":
            return
        if fault in (CUT, ENDLESS):
            request.close_connection = True
            content = content[: len(content) // 2]
        request.wfile.write(content)
        if fault == ENDLESS:
            request.wfile.flush()
            self.stopped.wait(60)

    def _drip(self, request: http.server.BaseHTTPRequestHandler, before: bytes, after: bytes) -> None:
        """Send a response whose middle part comes slowly."""
        request.wfile.write(before)
        if not after:
            return
        count = 0
        with contextlib.suppress(OSError):
            while count < DRIPS and not self.stopped.wait(INTERVAL):
                request.wfile.write(b"x")
                count += 1
        self.dripped.append(count)
        request.wfile.write(after)

    @staticmethod
    def _send(request: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()


@contextlib.contextmanager
def mirror_server(root: Path) -> Iterator[MirrorServer]:
    """Run a mirror."""
    server = MirrorServer(root)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a body does not wait for the acknowledgment of its headers

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                server.answer(self)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server.url = f"http://127.0.0.1:{listening.server_address[1]}"
        threading.Thread(target=listening.serve_forever, args=[0.02], daemon=True).start()
        try:
            yield server
        finally:
            server.stopped.set()
            listening.shutdown()
