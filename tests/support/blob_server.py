# SPDX-License-Identifier: GPL-2.0-or-later
"""The blob server to which a docker-registry redirects (``middleware: storage: redirect``), with faults."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional


@dataclass
class BlobServer:
    """Serves the data of a registry.

    :param root: the registry's directory
    :param faults: for the next requests: ``cut`` sends half, ``whole`` ignores Range, ``416`` rejects it, ``wrong``
    changes a byte, ``other`` sends another range than requested, ``503`` fails; None: no fault
    :param seen: path and headers of the requests
    :param pause: seconds before each 64 KiB
    """

    root: Path = Path("/nonexistent")
    address: str = ""
    faults: list[Optional[str]] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    pause: float = 0.0

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.seen.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
        fault = self.faults.pop(0) if self.faults else None
        content = bytearray((self.root / request.path.lstrip("/")).read_bytes())
        found = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("Range", ""))
        first = int(found[1]) if found else 0
        if fault == "wrong":
            content[-1] ^= 1
        if fault in ("416", "503") or (found and first >= len(content)):
            self._head(request, 503 if fault == "503" else 416, {"Content-Length": "0"})
            return
        if found is None or fault == "whole":
            self._head(request, 200, {"Content-Length": str(len(content))})
            first = 0
        else:
            first = first - 1 if fault == "other" else first
            part = f"bytes {first}-{len(content) - 1}/{len(content)}"
            self._head(request, 206, {"Content-Length": str(len(content) - first), "Content-Range": part})
        sent = content[first:]
        if fault == "cut":
            sent = sent[: len(sent) // 2]
            request.close_connection = True
        for start in range(0, len(sent), 1 << 16):
            time.sleep(self.pause)
            request.wfile.write(sent[start : start + (1 << 16)])

    @staticmethod
    def _head(request: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()


@contextlib.contextmanager
def blob_server() -> Iterator[BlobServer]:
    """A blob server, over plain HTTP; ``root`` is set when the registry exists."""
    server = BlobServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a body does not wait for the acknowledgment of its headers

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                server.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server.address = f"http://127.0.0.1:{listening.server_address[1]}"
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield server
        listening.shutdown()
