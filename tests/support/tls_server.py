"""A server over TLS that a test plays: threads of Python's own server, a certificate of a box's or test's authority."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

#: Seconds that it may take to end.
STOP_TIMEOUT = 10.0


@contextlib.contextmanager
def tls_server(
    handler: type[http.server.BaseHTTPRequestHandler], certificate: Path, clients: Path | None = None
) -> Iterator[str]:
    """Serve on loopback; host and port.

    :param certificate: a PEM file with certificate and key
    :param clients: authority of the certificates that clients may show; None: they are not asked for any
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_OPTIONAL
    # Hands are shaken by the thread of a connection: one that says nothing keeps nobody else out.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(STOP_TIMEOUT)
