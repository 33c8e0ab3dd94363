"""The hub's process: the WSGI application behind cheroot, over TLS, with client certificates and an access log."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from fedpkg_container.box.hub.app import HubApplication
from fedpkg_container.box.hub.database import Database

#: Seconds that a client may take for the TLS handshake.
HANDSHAKE_TIMEOUT = 1.0
#: Worker threads; each keeps one connection to the database.
THREADS = 12


class AccessLog:
    """A WSGI application that writes one line a request: time, client, call, status, bytes, seconds."""

    def __init__(self, application: Callable[..., Iterable[bytes]], path: Path) -> None:
        self.application = application
        self.file = path.open("a", buffering=1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request and note it."""
        began = time.time()
        status: list[str] = []

        def started(code: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            status.append(code.split()[0])
            return start_response(code, headers, *rest)

        body = b"".join(self.application(environ, started))
        who = environ.get("SSL_CLIENT_S_DN_CN") or "-"
        what = environ.get("hub.call", environ["REQUEST_METHOD"])
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began))
        self.file.write(f"{stamp} {who} {what} {status[0]} {len(body)} {time.time() - began:.4f}\n")
        return [body]


class _ImpatientAdapter(BuiltinSSLAdapter):
    """Gives up soon on a client that connects and says nothing.

    cheroot shakes hands where it accepts connections: meanwhile nobody else is let in.
    """

    def wrap(self, sock: socket.socket) -> Any:
        """Shake hands with a client, quickly or not at all."""
        sock.settimeout(HANDSHAKE_TIMEOUT)
        return super().wrap(sock)  # type: ignore[no-untyped-call]


def make_server(
    application: Callable[..., Iterable[bytes]], address: tuple[str, int], *, certificate: Path, ca: Path
) -> Server:
    """A TLS server on loopback that asks clients for a certificate, and works without one.

    :param certificate: a PEM file with certificate and key
    :param ca: the authority that signed the clients' certificates
    """
    server = Server(address, application, numthreads=THREADS, request_queue_size=64, timeout=60)
    adapter = _ImpatientAdapter(str(certificate), str(certificate), str(ca))
    adapter.context.verify_mode = ssl.CERT_OPTIONAL
    adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
    server.ssl_adapter = adapter
    return server


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="The hub of a box")
    parser.add_argument("--port", type=int, required=True)
    for name in ("database", "topdir", "certificate", "ca", "access-log"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="a file like hub.conf, for its [policy]")
    parser.add_argument("--plugin-path", type=Path, action="append", default=[])
    parser.add_argument("--plugin", action="append", default=[])
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    database = Database(arguments.database)
    application = HubApplication(database, arguments.topdir, arguments.plugin_path, arguments.plugin, arguments.config)
    server = make_server(
        AccessLog(application, arguments.access_log),
        ("127.0.0.1", arguments.port),
        certificate=arguments.certificate,
        ca=arguments.ca,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.start()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
