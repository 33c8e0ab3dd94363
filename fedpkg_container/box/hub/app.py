"""HTTP and XML-RPC: a WSGI application that reads a request, runs the call and marshals what it answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import koji
import koji.xmlrpcplus
from koji.context import context

from fedpkg_container.box.hub import calls, facade, policies
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.hub.dispatch import UNREADABLE, fault_of, load_plugins, run
from fedpkg_container.box.hub.session import CallerSession
from fedpkg_container.box.hub.uploads import Upload

logger = logging.getLogger(__name__)

#: The longest XML-RPC request that is read, bytes (the real hub's MaxRequestLength).
LONGEST_REQUEST = 4 * 1024 * 1024

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class HubApplication:
    """The hub as a WSGI application.

    :param database: the state
    :param topdir: the folder of builds, repositories and task output (KojiDir)
    :param plugin_path: folders of hub plugins
    :param plugins: names of the plugins to load
    :param configuration: a file like hub.conf, of which ``[policy]`` is read; it need not be there
    """

    def __init__(
        self,
        database: Database,
        topdir: Path,
        plugin_path: list[Path],
        plugins: list[str],
        configuration: Path | None = None,
    ) -> None:
        self.database = database
        self.options = {"KojiDir": str(topdir), "DisableURLSessions": True}
        koji.pathinfo.topdir = str(topdir)
        calls.load()
        facade.install()
        load_plugins(plugin_path, plugins)
        self.policies = policies.load(configuration)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
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

    def _answer(self, environ: Environ, name: str, parameters: Any) -> str:
        """The marshalled result or fault of one call."""
        try:
            with self.database.transaction():
                result = self._run(environ, name, parameters)
            if isinstance(result, Upload):
                result = result.receive()
            answer: str = koji.xmlrpcplus.dumps((result,), methodresponse=1, allow_none=1)
        except Exception as error:  # noqa: BLE001, whatever a call raises becomes its fault
            answer = koji.xmlrpcplus.dumps(koji.xmlrpcplus.Fault(*fault_of(error)))
        return answer

    def _run(self, environ: Environ, name: str, parameters: Any) -> Any:
        context._threadclear()
        context.database = self.database
        context.opts = self.options
        context.policy = self.policies
        context.environ = environ
        context.method = name
        context.session = session = CallerSession(environ, self.database)
        before = self.database.changes
        if name == "rawUpload":
            session.validate()
            result: Any = Upload(environ)
        else:
            result = run(name, parameters)
        if self.database.changes > before:
            # Koji keeps the number of a call only when the call changed something.
            session.keep_call_number()
        return result


def content_length(environ: Environ) -> int:
    """The length of a request's body, 0 where the request does not state it.

    :raises _BadRequestError: it is not a number
    """
    text = environ.get("CONTENT_LENGTH") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise _BadRequestError("Invalid request: Content-Length")
    return int(text)


class _BadRequestError(Exception):
    pass


def _read_call(environ: Environ) -> tuple[str, Any]:
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
