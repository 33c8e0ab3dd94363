# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub's WSGI application and its server."""

from __future__ import annotations

import argparse
import logging
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import koji
import koji.xmlrpcplus
from koji.context import context

from fedpkg_container import logs
from fedpkg_container.box.hub import calls, facade, policies
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.hub.dispatch import UNREADABLE, fault_of, load_plugins, run
from fedpkg_container.box.hub.session import CallerSession
from fedpkg_container.box.hub.uploads import Upload
from fedpkg_container.box.tls import make_server, serve
from fedpkg_container.box.wake import wake

_log = logging.getLogger(__name__)

#: Maximum size of an XML-RPC request, bytes (MaxRequestLength of the real hub).
LONGEST_REQUEST = 4 * 1024 * 1024

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class HubApplication:
    """The hub as a WSGI application.

    :param database: the hub's state
    :param topdir: directory of builds, repositories and task output (KojiDir)
    :param plugin_path: directories of hub plugins
    :param plugins: names of the plugins to load
    :param configuration: a file like hub.conf; only ``[policy]`` is read; optional
    :param builders: directory of the box's builders; None for a hub without a box
    """

    def __init__(
        self,
        database: Database,
        topdir: Path,
        plugin_path: list[Path],
        plugins: list[str],
        configuration: Path | None = None,
        builders: Path | None = None,
    ) -> None:
        self.database = database
        self.builders = builders
        self.options = {"KojiDir": str(topdir), "DisableURLSessions": True}
        koji.pathinfo.topdir = str(topdir)
        calls.load()
        facade.install()
        load_plugins(plugin_path, plugins)
        self.policies = policies.load(configuration)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle a request."""
        if environ["REQUEST_METHOD"] != "POST":
            body = b"This is an XML-RPC server. Only POST requests are accepted.\n"
            return _reply(start_response, "405 Method Not Allowed", body, "text/plain", [("Allow", "POST")])
        upload = environ.get("CONTENT_TYPE") == "application/octet-stream"
        try:
            name, parameters = ("rawUpload", ()) if upload else _read_call(environ)
        except _BadRequestError as error:
            return _reply(start_response, "400 Bad Request", f"{error}\n".encode(), "text/plain")
        environ["hub.call"] = name
        body = self._answer(environ, name, parameters).encode()
        return _reply(start_response, "200 OK", body, "text/xml")

    def _answer(self, environ: Environ, name: str, parameters: object) -> str:
        """Marshalled result or fault of one call."""
        try:
            with self.database.transaction():
                result = self._run(environ, name, parameters)
            if context.wakes_builders and self.builders:
                wake(self.builders)
            if isinstance(result, Upload):
                result = result.receive()
            response: str = koji.xmlrpcplus.dumps((result,), methodresponse=1, allow_none=1)
        except Exception as error:  # noqa: BLE001, any exception of a call becomes its fault
            response = koji.xmlrpcplus.dumps(koji.xmlrpcplus.Fault(*fault_of(error)))
        return response

    def _run(self, environ: Environ, name: str, parameters: Any) -> object:
        context._threadclear()
        context.database = self.database
        context.opts = self.options
        context.policy = self.policies
        context.environ = environ
        context.method = name
        context.wakes_builders = False
        context.session = session = CallerSession(environ, self.database)
        before = self.database.changes
        if name == "rawUpload":
            session.validate()
            result: Any = Upload(environ)
        else:
            result = run(name, parameters)
        if self.database.changes > before:
            # Koji stores a call number only if the call changed something.
            session.keep_call_number()
        return result


def content_length(environ: Environ) -> int:
    """Length of a request's body, 0 if the request does not state it.

    :raises _BadRequestError: it is not a number
    """
    text = environ.get("CONTENT_LENGTH") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _BadRequestError("Invalid request: Content-Length")
    return int(text)


class _BadRequestError(Exception):
    pass


def _read_call(environ: Environ) -> tuple[str, object]:
    length = content_length(environ)
    if not 0 < length <= LONGEST_REQUEST:
        raise _BadRequestError("Invalid request: empty" if length <= 0 else "Invalid request: too long")
    try:
        parameters, name = koji.xmlrpcplus.loads(environ["wsgi.input"].read(length))
    except UNREADABLE as error:
        raise _BadRequestError(f"Invalid request: {error}") from error
    if not name:
        raise _BadRequestError("Invalid request: no method name")
    return name, parameters


def _reply(
    start_response: StartResponse, status: str, body: bytes, kind: str, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    start_response(
        status,
        [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Koji-Version", koji.__version__),
            *headers,
        ],
    )
    return [body]


#: Maximum size of a request body, bytes; koji sends files in parts of 1 MiB.
LARGEST_UPLOAD = 16 * 1024 * 1024
#: Characters not used in names of calls; clients may send any text.
_UNUSUAL = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 80


class AccessLog:
    """A WSGI application that logs each request: time, client, call, status, bytes, seconds."""

    def __init__(self, application: Callable[..., Iterable[bytes]], path: Path) -> None:
        self.application = application
        self.file = path.open("a", buffering=1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle and log a request."""
        began = time.time()
        status: list[str] = []

        def started(code: str, headers: list[tuple[str, str]], *rest: object) -> Any:
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
    parser.add_argument("--builders", type=Path, help="directory of the builders to wake")
    parser.add_argument("--plugin-path", type=Path, action="append", default=[])
    parser.add_argument("--plugin", action="append", default=[])
    arguments = parser.parse_args()
    logs.serve()
    database = Database(arguments.database)
    application = HubApplication(
        database, arguments.topdir, arguments.plugin_path, arguments.plugin, arguments.config, arguments.builders
    )
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
