# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests to the API server of a cluster.

The official client reads the kubeconfig, runs its credential plugins and configures TLS. Its generated classes are not
used: distributions have versions from 22 to 37, whose classes know different fields, and none of them knows the
parameter ``sinceTime`` of logs. Objects are plain JSON; the server validates them (``fieldValidation=Strict``).
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError
from fedpkg_container.registry.request_log import logged_request
from fedpkg_container.text import printable_line, reason_text

if TYPE_CHECKING:
    from pathlib import Path

    import urllib3

_log = logging.getLogger(__name__)

#: Seconds until a connection must be established, and until a response must arrive.
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 30.0
#: Size limit of a response, bytes.
MAX_RESPONSE_SIZE = 32 << 20
#: Maximum size of an error response that is read, bytes, and maximum length of a message that is shown, characters.
MAX_ERROR_SIZE, MAX_MESSAGE = 1 << 20, 1000
#: Seconds between two attempts: initial and maximum; doubled after each attempt.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
#: Statuses that mean that the server, or a proxy before it, is temporarily unavailable; and 401, although the
#: credentials were read again: a token that expired may not have been replaced yet.
_UNAVAILABLE = (401, 429, 500, 502, 503, 504)
_SOLUTIONS = {
    401: "check the credentials of the kubeconfig",
    403: "compare the role of the account with: fedpkg-container-cluster manifests",
}

Result = TypeVar("Result")


class ClusterError(FedpkgContainerError):
    """The API server refused a request.

    :param status: HTTP status
    :param cause: machine-readable reason (Status.reason), e.g. AlreadyExists
    """

    def __init__(self, reason: str, *, solution: str = "", status: int = 0, cause: str = "") -> None:
        super().__init__(reason, solution=solution)
        self.status = status
        self.cause = cause


class ClusterUnavailableError(ClusterError):
    """The API server is temporarily unavailable.

    :param retry_after: seconds to wait, as the server requests; 0 if it does not
    """

    retry_after = 0.0


class Stream:
    """A response that is read while it arrives.

    :param response: of urllib3
    """

    def __init__(self, response: urllib3.HTTPResponse) -> None:
        self._response = response

    def lines(self, limit: int) -> Iterator[bytes]:
        """Yield complete lines, without newlines; an incomplete last line is dropped.

        :param limit: longer lines are yielded in parts, bytes
        :raises ClusterUnavailableError: if the connection breaks, or nothing arrives for the read timeout
        """
        rest = bytearray()
        with _connection_errors("the stream of the API server"):
            for chunk in self._response.stream(1 << 16, decode_content=False):
                *complete, last = chunk.split(b"\n")
                for part in complete:
                    rest += part
                    yield bytes(rest)
                    rest.clear()
                rest += last
                if len(rest) > limit:
                    yield bytes(rest)
                    rest.clear()

    def interrupt(self) -> None:
        """End the stream while another thread waits for a line: that thread sees a broken connection.

        Closing is not enough: a closed descriptor does not end a read in another thread.
        """
        with contextlib.suppress(OSError, AttributeError, ValueError):
            self._response.connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    def close(self) -> None:
        """Close the connection, in the thread that reads."""
        with contextlib.suppress(OSError):
            self._response.close()


@dataclass(frozen=True)
class _Request:
    """A request.

    :param timeout: seconds until the response must arrive
    """

    method: str
    path: str
    query: Mapping[str, str | int] | None = None
    body: Mapping[str, Any] | None = None
    timeout: float = READ_TIMEOUT


class ClusterClient:
    """A client for one cluster; can be shared by threads.

    :param kubeconfig: None: that of a pod (in-cluster)
    :param context: of the kubeconfig; empty for the current one
    """

    def __init__(self, kubeconfig: Path | None, context: str = "") -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._lock = threading.Lock()
        self._api: Any = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float = READ_TIMEOUT,
    ) -> dict[str, Any]:
        """Make a request and return the JSON object of the response.

        :param timeout: seconds until the response must arrive
        :raises ClusterUnavailableError: if the server cannot be reached or is overloaded
        :raises ClusterError: if it refuses the request
        """
        response, url = self._open(_Request(method, path, query, body, timeout))
        with _connection_errors(url):
            content = response.read(MAX_RESPONSE_SIZE + 1, decode_content=False)
            response.release_conn()
        if len(content) > MAX_RESPONSE_SIZE:
            raise ClusterError(f"the response to {method} {url} is longer than {MAX_RESPONSE_SIZE} bytes")
        try:
            parsed = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ClusterError(f"the response to {method} {url} is not JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise ClusterError(f"the response to {method} {url} is not a JSON object")
        return parsed

    @contextlib.contextmanager
    def stream(self, path: str, *, query: Mapping[str, str | int], timeout: float) -> Iterator[Stream]:
        """Open a response that is read while it arrives: a watch or a log.

        :param timeout: seconds for which nothing may arrive
        :raises ClusterUnavailableError: if the server cannot be reached
        :raises ClusterError: if it refuses the request
        """
        response, _ = self._open(_Request("GET", path, query, timeout=timeout))
        stream = Stream(response)
        try:
            yield stream
        finally:
            stream.close()

    def server_time(self) -> float:
        """Return the time by the API server's clock, seconds since the epoch.

        :raises ClusterError: if the server cannot be reached, or returns an invalid date
        """
        response, url = self._open(_Request("GET", "/version"))
        with _connection_errors(url):
            response.read(MAX_ERROR_SIZE, decode_content=False)
            response.release_conn()
        date = response.headers.get("Date") or email.utils.formatdate()
        try:
            return email.utils.parsedate_to_datetime(date).timestamp()
        except (ValueError, TypeError, OverflowError) as error:
            raise ClusterError(f"the response to GET {url} has an invalid Date: {date[:100]!r}") from error

    def _open(self, request: _Request) -> tuple[urllib3.HTTPResponse, str]:
        """Send a request; a rejected token is read again once, since tokens expire and are rotated."""
        response, url = self._send(request)
        if response.status == 401:
            response.drain_conn()
            with self._lock:
                self._api = None
            response, url = self._send(request)
        if response.status >= 400:
            raise _error(request.method, url, response)
        return response, url

    def _send(self, request: _Request) -> tuple[urllib3.HTTPResponse, str]:
        import urllib3

        api = self._connection()
        headers = {
            "Accept": "application/json, */*",
            "Accept-Encoding": "identity",
            "User-Agent": "fedpkg-container",
        }
        for setting in api.configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        if request.body is not None:
            merge = request.method == "PATCH"  # RFC 7386
            headers["Content-Type"] = "application/merge-patch+json" if merge else "application/json"
        url = f"{api.configuration.host.rstrip('/')}{request.path}"
        with _connection_errors(url), logged_request(request.method, url) as outcome:
            response = api.rest_client.pool_manager.request(
                request.method,
                f"{url}?{urlencode(request.query)}" if request.query else url,
                body=None if request.body is None else json.dumps(request.body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=request.timeout),
                retries=False,
                preload_content=False,
            )
            outcome.set(response.status)
        return response, url

    def _connection(self) -> Any:
        """Return the official client's connection, with credentials that were read when it was made."""
        with self._lock:
            if self._api is None:
                self._api = self._load()
            return self._api

    def _load(self) -> Any:
        try:
            from kubernetes import client, config
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"builds in a cluster need the Python package kubernetes: {error}",
                solution="install python3-kubernetes, or fedpkg-container[cluster]",
            ) from error
        try:
            if self._kubeconfig is None:
                configuration = client.Configuration()
                config.load_incluster_config(client_configuration=configuration)
                return client.ApiClient(configuration)
            return config.new_client_from_config(
                config_file=str(self._kubeconfig), context=self._context or None, persist_config=False
            )
        except (config.ConfigException, OSError, ValueError, TypeError) as error:
            where = self._kubeconfig or "the pod's service account"
            raise ConfigurationError(
                f"cannot use {where}: {reason_text(error)}", solution="check kubeconfig and context in [kubernetes]"
            ) from error


def retrying(
    attempt: Callable[[], Result],
    *,
    timeout: float,
    tick: Callable[[], None] = lambda: None,
    on_wait: Callable[[ClusterUnavailableError], None] = lambda _: None,
) -> Result:
    """Call a function until the API server is available.

    :param timeout: seconds
    :param tick: called every second while waiting; an exception ends the wait
    :param on_wait: called after each failed attempt
    :raises ClusterUnavailableError: the last error
    """
    deadline, pause = time.monotonic() + timeout, FIRST_PAUSE
    while True:
        try:
            return attempt()
        except ClusterUnavailableError as error:
            if time.monotonic() > deadline:
                raise
            on_wait(error)
            wait = max(pause, error.retry_after)
            _log.info("retrying in %.1f s: %s", wait, error.reason)
            until = time.monotonic() + wait
        while (rest := until - time.monotonic()) > 0:
            tick()
            time.sleep(min(rest, 1.0))
        pause = min(2 * pause, LONGEST_PAUSE)


def quoted(name: str) -> str:
    """Return a name for a path."""
    return quote(name, safe="")


@contextlib.contextmanager
def _connection_errors(url: str) -> Iterator[None]:
    import urllib3

    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterUnavailableError(f"the API server cannot be reached: {reason_text(error)}: {url}") from error


def _error(method: str, url: str, response: urllib3.HTTPResponse) -> ClusterError:
    with _connection_errors(url):
        content = response.read(MAX_ERROR_SIZE, decode_content=False)
        response.release_conn()
    status: Any = {}
    with contextlib.suppress(ValueError, RecursionError):
        status = json.loads(content)
    if not isinstance(status, dict):
        status = {}
    message = printable_line(str(status.get("message") or content.decode(errors="replace"))[:MAX_MESSAGE]).strip()
    cause = str(status.get("reason") or "")[:MAX_MESSAGE]
    text = f"{method} {url}: HTTP {response.status}: {message}"
    solution = _SOLUTIONS.get(response.status, "")
    if response.status in _UNAVAILABLE:
        error = ClusterUnavailableError(text, solution=solution, status=response.status, cause=cause)
        after = response.headers.get("Retry-After", "")
        error.retry_after = min(float(after), LONGEST_PAUSE) if after.isascii() and after.isdigit() else 0.0
        return error
    return ClusterError(text, solution=solution, status=response.status, cause=cause)
