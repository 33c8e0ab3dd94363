"""The hub's process: the WSGI application behind cheroot, over TLS, with client certificates and an access log."""

from __future__ import annotations

import argparse
import logging
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fedpkg_container.box.hub.app import HubApplication
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.tls import make_server, serve

#: The largest body of a request, bytes; koji sends a file in parts of 1 MiB.
LARGEST_UPLOAD = 16 * 1024 * 1024
#: What a name of a call does not have; a client may send any text as one.
_UNUSUAL = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 80


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
        what = _UNUSUAL.sub("?", environ.get("hub.call", environ["REQUEST_METHOD"])[:_LONGEST_NAME])
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began))
        self.file.write(f"{stamp} {who} {what} {status[0]} {len(body)} {time.time() - began:.4f}\n")
        return [body]


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
        largest_body=LARGEST_UPLOAD,
    )
    serve(server)


if __name__ == "__main__":
    main()
