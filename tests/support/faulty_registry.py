# SPDX-License-Identifier: GPL-2.0-or-later
"""A TLS reverse proxy for a registry that returns 500, hangs, or is unreachable, for as long as a test needs."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from fedpkg_container.box.box import Box
from fedpkg_container.box.tls_server import tls_server

#: Hop-by-hop headers, which a proxy does not forward.
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


@dataclass
class FaultyRegistry:
    """A proxy in front of a registry.

    :param address: host and port, for ``[registry] candidate``
    :param fails: status of responses to requests that match ``on``; 0: none until ``release``; None: no fault
    :param on: pattern of ``METHOD /path`` of the requests that fail
    :param failed: the requests that failed so far
    """

    box: Box
    address: str = ""
    fails: int | None = None
    on: str = ""
    failed: list[str] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)

    def fail(self, on: str, status: int) -> None:
        """Make subsequent requests fail."""
        self._released.clear()
        self.on, self.fails = on, status

    def release(self) -> None:
        """Stop failing; hanging requests are aborted."""
        self.fails = None
        self._released.set()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request, or make it fail."""
        asked = f"{request.command} {request.path}"
        if self.fails is not None and re.search(self.on, asked):
            self.failed.append(asked)
            request.close_connection = True
            if self.fails == 0:
                self._released.wait(600)
                return
            body = b'{"errors": [{"code": "UNKNOWN", "message": "injected"}]}'
            request.send_response(self.fails)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
            return
        self._pass_on(request)

    def _pass_on(self, request: http.server.BaseHTTPRequestHandler) -> None:
        context = ssl.create_default_context(cafile=str(self.box.authority.certificate_path))
        context.load_cert_chain(self.box.credentials(self.box.layout.builders[0]))
        upstream = http.client.HTTPSConnection(self.box.layout.registry_address, context=context, timeout=120)
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "")
        names = [name for name in request.headers if name.lower() not in _HOP]
        headers = {name: ", ".join(request.headers.get_all(name, [])) for name in names}
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
            upstream.request(request.command, request.path, _chunks(request), headers, encode_chunked=True)
        else:
            body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
            upstream.request(request.command, request.path, body, {**headers, "Content-Length": str(len(body))})
        answer = upstream.getresponse()
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP - {"content-length"}:
                request.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            request.close_connection = True
        request.end_headers()
        while data := answer.read(1 << 16):
            request.wfile.write(data)
        upstream.close()


def _chunks(request: http.server.BaseHTTPRequestHandler) -> Iterator[bytes]:
    """Yield the chunks of a body of unknown length."""
    while size := int(request.rfile.readline().split(b";")[0], 16):
        yield request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()


@contextlib.contextmanager
def faulty_registry(box: Box) -> Iterator[FaultyRegistry]:
    """A proxy for the box's registry, without faults until ``fail``."""
    registry = FaultyRegistry(box)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                registry.answer(self)

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            pass

    with tls_server(Handler, box.authority.issue("registry", server=True)) as registry.address:
        try:
            yield registry
        finally:
            registry.release()
