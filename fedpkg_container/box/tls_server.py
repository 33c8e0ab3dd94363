# SPDX-License-Identifier: GPL-2.0-or-later
"""A TLS server from Python's standard library, with a thread per connection and a certificate of a box or test."""

from __future__ import annotations

import contextlib
import http.server
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

#: Seconds to wait until it has ended.
STOP_TIMEOUT = 10.0


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection on which a response's headers and body, two writes, do not wait for each other.

        With Nagle's algorithm, the body waits for the client's acknowledgment of the headers: 40 ms on Linux.
        """
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that a client has closed its connection; print the traceback of any other error."""
        error = sys.exc_info()[1]
        if isinstance(error, (ConnectionError, ssl.SSLError)):
            _log.info("the client closed the connection: %s", error)
        else:
            super().handle_error(request, client_address)


@contextlib.contextmanager
def tls_server(
    handler: type[http.server.BaseHTTPRequestHandler], certificate: Path, clients: Path | None = None, *, port: int = 0
) -> Iterator[str]:
    """Serve on loopback; yield host and port.

    :param certificate: a PEM file with certificate and key
    :param clients: CA of client certificates; None: they are not requested
    :param port: 0 for a free one
    """
    server = _Server(("127.0.0.1", port), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_OPTIONAL
    # The handshake is in the connection's thread, so that a silent client blocks no other.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(STOP_TIMEOUT)
