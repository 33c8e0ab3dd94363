# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's own servers, hub and dist-git: create them, over TLS if clients have certificates, and run them.

In cheroot the accepting thread does the TLS handshake, and a worker waits for the first bytes of a connection. Here a
connection waits in the selector until it has data, and the handshake is done in steps that never wait for the client:
a client that connects and sends nothing, or half a handshake, blocks no thread.
"""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cheroot import errors
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

_log = logging.getLogger(__name__)

#: Seconds between two checks of the clients.
WATCH_INTERVAL = 0.5
#: Timeout of the TLS handshake until the first request, seconds.
HANDSHAKE_TIMEOUT = 30.0
#: Timeout of an idle connection, between and within requests, seconds.
TIMEOUT = 60
#: Timeout for sending a request and receiving the response, seconds.
REQUEST_TIMEOUT = 900.0
#: Timeout for sending the head of a request, seconds.
HEAD_TIMEOUT = 30.0
#: Worker threads; each keeps one connection to the hub's database.
THREADS = 24
#: Maximum number of connections in the selector: idle or without data yet.
CONNECTIONS = 400
#: Maximum size of a request's head, and default for its body, bytes.
LARGEST_HEAD = 64 * 1024
LARGEST_BODY = 64 * 1024 * 1024


@contextlib.contextmanager
def _disconnection() -> Iterator[None]:
    """Raise FatalSSLAlert, which ends a connection silently in cheroot, if the client has closed the connection.

    cheroot knows the errors of sockets only: for those of TLS it tries to send the status 500 to the closed connection.
    """
    try:
        yield
    except (ssl.SSLError, ConnectionError) as error:
        _log.info("the client closed the connection: %s", error)
        _clear_errors()
        raise errors.FatalSSLAlert(*error.args) from error


def _clear_errors() -> None:
    """Clear OpenSSL's errors of this thread, as the start of any handshake does.

    Python leaves the errors of closed connections there, and reports them for the next connection of the thread, when
    that has no data yet (https://github.com/python/cpython/issues/148594; seen with Python 3.14 and OpenSSL 3.6).
    """
    nothing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    with contextlib.suppress(ssl.SSLWantReadError):
        nothing.do_handshake()


class _Request(HTTPRequest):
    """A request that records whether its head has arrived."""

    def parse_request(self) -> None:
        """Read the head."""
        with _disconnection():
            super().parse_request()
        self.conn.limit = REQUEST_TIMEOUT

    def respond(self) -> None:
        """Run the application and send its response."""
        with _disconnection():
            super().respond()

    def simple_response(self, status: str, msg: str = "") -> None:
        """Send a response of the server."""
        with _disconnection():
            super().simple_response(status, msg)


class _Connection(HTTPConnection):
    """A connection whose TLS handshake is done by workers, in steps."""

    RequestHandlerClass = _Request

    def __init__(self, server: Any, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(server, sock, *arguments, **options)
        #: Start of the wait for the client, and its timeout; None: between requests.
        self.since: float | None = time.monotonic()
        self.limit = HANDSHAKE_TIMEOUT
        self._secure = not isinstance(sock, ssl.SSLSocket)
        server.watched.add(self)

    def communicate(self) -> bool:
        """Serve one request or continue the handshake; whether the connection stays open."""
        if not self._secure:
            return self._shake_hands()
        if not self._has_data():
            # cheroot passes new connections to a worker at once: this one waits in the selector instead.
            return self._may_wait()
        self.since, self.limit = time.monotonic(), HEAD_TIMEOUT
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self.since = None

    def close(self) -> None:
        """Close the connection, and discard what a client that has left did not receive.

        Otherwise the writer would flush it when it is collected, into a closed socket, which Python 3.13 reports.
        """
        self.server.watched.discard(self)
        self.wfile.raw.close()
        super().close()

    def expired(self, now: float) -> bool:
        """Whether the client has timed out."""
        since = self.since
        return since is not None and now - since > self.limit

    def _may_wait(self) -> bool:
        return bool(self.server.can_add_keepalive_connection)

    def _has_data(self) -> bool:
        if self.rfile.has_data() or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        readable = select.poll()
        readable.register(self.socket, select.POLLIN)
        return bool(readable.poll(0))

    def _shake_hands(self) -> bool:
        """Continue the handshake as far as received data allows."""
        self.socket.settimeout(0)
        try:
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return self._may_wait()
        except (OSError, ValueError) as error:
            _log.info("TLS handshake failed: %s", error)
            return False
        self.socket.settimeout(self.server.timeout)
        self.ssl_env = self.server.ssl_adapter.get_environ(self.socket)
        self._secure = True
        return self._may_wait()


class _Adapter(BuiltinSSLAdapter):
    """Leaves the handshake to the connection."""

    def wrap(self, sock: socket.socket) -> object:
        """The socket, before its handshake."""
        try:
            return self.context.wrap_socket(sock, do_handshake_on_connect=False, server_side=True), {}
        except OSError as error:
            raise errors.FatalSSLAlert(*error.args) from error


class _Server(Server):
    """A server that closes connections of clients that time out."""

    ConnectionClass = _Connection
    max_request_header_size = LARGEST_HEAD
    keep_alive_conn_limit = CONNECTIONS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.watched: set[_Connection] = set()

    def prepare(self) -> None:
        """Listen, and watch the clients."""
        super().prepare()
        threading.Thread(target=self._watch, daemon=True, name="watch").start()

    def _watch(self) -> None:
        while self.ready:
            time.sleep(WATCH_INTERVAL)
            now = time.monotonic()
            for connection in [each for each in self.watched.copy() if each.expired(now)]:
                # Not SSLSocket's own shutdown: a worker may be reading. It, or the selector, detects the end.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)


def make_server(
    application: Callable[..., Iterable[bytes]],
    address: tuple[str, int],
    *,
    certificate: Path | None = None,
    ca: Path | None = None,
    largest_body: int = LARGEST_BODY,
) -> Server:
    """A server on loopback; with a certificate over TLS, where client certificates are optional.

    :param certificate: PEM file with certificate and key
    :param ca: CA certificate of client certificates
    :param largest_body: maximum size of a request's body, bytes
    """
    server = _Server(address, application, numthreads=THREADS, request_queue_size=64, timeout=TIMEOUT)
    server.max_request_body_size = largest_body
    if certificate is not None:
        server.ssl_adapter = _Adapter(str(certificate), str(certificate), str(ca))
        server.ssl_adapter.context = _context(certificate, ca)
    return server


def _context(certificate: Path, ca: Path | None) -> ssl.SSLContext:
    """Return the settings of TLS; cheroot's own context is not one of a server with Python 3.9."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if ca is not None:
        context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # OpenSSL ignores that a ticket cannot be sent, but leaves the error behind
    return context


def serve(server: Server) -> None:
    """Serve until SIGTERM, which ends this process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.start()
    finally:
        server.stop()
