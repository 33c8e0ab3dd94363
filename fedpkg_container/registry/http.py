# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP requests to a registry (OCI distribution spec 1.1) with authentication, redirects and retries."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar, Union
from urllib.parse import urlsplit

import requests

from fedpkg_container.errors import RegistryError, RegistryUnavailableError, UnexpectedResponseError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.redaction import redact_url
from fedpkg_container.registry.address_guard import AddressGuard
from fedpkg_container.registry.auth import AuthorizationHeader, IssuedToken, TokenCache, is_bearer, scope
from fedpkg_container.registry.credentials import api_host, normalize_host
from fedpkg_container.registry.request_log import logged_request
from fedpkg_container.registry.response import (
    MAX_RESPONSE_SIZE,
    Response,
    Stream,
    connection_errors,
    discard,
    iter_parts,
    read_response,
    redact,
    resolve_url,
    response_error,
)
from fedpkg_container.registry.retry import retry, wait_until
from fedpkg_container.registry.session import Session

_log = logging.getLogger(__name__)

#: Seconds until a response must start, and between two parts of it, by default.
TIMEOUT = 60.0
#: Seconds until a connection must be established.
CONNECT_TIMEOUT = 20.0
#: Minimum number of attempts before a request fails, by default.
ATTEMPTS = 5
#: Seconds between two warnings about the same unavailable registry.
WARNING_INTERVAL = 60.0
#: Maximum number of redirects to follow.
MAX_REDIRECTS = 5
#: Chunk size for reading a blob, bytes, and the longest time to collect a chunk, seconds.
CHUNK_SIZE = 1 << 18
MAX_COLLECT_TIME = 1.0
#: Statuses of redirects.
REDIRECTS = (301, 302, 303, 307, 308)

Result = TypeVar("Result")
#: Request body: bytes, or chunks of known total length (``__len__``).
Content = Union[bytes, Iterable[bytes], None]


class RegistryHTTP:
    """HTTPS client for one registry; thread-safe.

    :param host: the registry, host and port
    :param certificates: directory with ``*.crt``, ``*.cert`` and ``*.key``; None: podman's directories
    :param auth_file: credentials; None for the user's own
    :param retry_timeout: seconds for which an unavailable registry is retried
    :param attempts: minimum number of attempts per request
    :param timeout: seconds until a response must start, and between two parts of it
    :param store_timeout: the same after a blob was sent, which the registry has to store
    :param guard: filter for IP addresses; None: any
    :param deadline: when all requests must have ended; later ones raise its error. None: no limit
    :param renewal_timeout: seconds to wait until a token in the auth file that has expired is replaced
    """

    def __init__(
        self,
        host: str,
        *,
        certificates: Path | None,
        auth_file: Path | None,
        retry_timeout: float = 0.0,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
        store_timeout: float = TIMEOUT,
        guard: AddressGuard | None = None,
        deadline: Deadline | None = None,
        renewal_timeout: float = 0.0,
    ) -> None:
        self.host = host
        #: What was found out about the registry by requests of this client; forgotten with it.
        #: Repositories for which the registry does not implement the referrers API.
        self.without_referrers_api: set[str] = set()
        #: Source and target repository → whether the first mount between them had an effect.
        self.mounts: dict[tuple[str, str], bool] = {}
        #: Held while the first mount between two repositories is checked.
        self.mount_lock = threading.Lock()
        self._timeout, self._storing = timeout, store_timeout
        self._retry_timeout, self._attempts, self._renewal_timeout = retry_timeout, attempts, renewal_timeout
        self._canceled = threading.Event()
        self._tokens = TokenCache(normalize_host(host), auth_file)
        #: Number of responses so far, including those of token servers.
        self.requests = 0
        self._lock = threading.Lock()
        self._last_warning = -WARNING_INTERVAL
        self._session = Session(host, certificates, guard)
        self._deadline, self._is_late = deadline, False
        self._clock = threading.Timer(deadline.remaining, self._on_deadline) if deadline else None
        if self._clock:
            self._clock.daemon = True
            self._clock.start()

    def __enter__(self) -> RegistryHTTP:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._clock:
            self._clock.cancel()
        self._session.close()

    def cancel(self) -> None:
        """Cancel all requests of all threads, including those in progress, which raise an error soon."""
        self._canceled.set()
        self._session.shutdown()

    def _on_deadline(self) -> None:
        self._is_late = True
        self.cancel()

    @property
    def is_canceled(self) -> bool:
        """Whether the requests were canceled."""
        return self._canceled.is_set()

    def retry(self, operation: Callable[[], Result]) -> Result:
        """Run an operation of several requests and retry it as a whole if the registry is temporarily unavailable."""
        try:
            return retry(
                operation,
                self._retry_timeout,
                attempts=self._attempts,
                canceled=self._canceled,
                on_wait=self._warn_unavailable,
            )
        except RegistryError:
            if self._is_late:
                self._raise_if_canceled()
            raise

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Check a condition until it is true, with backoff, for the retry timeout; return whether it became true.

        Registries with several servers or storage locations may show a change late.
        """
        return wait_until(condition, self._retry_timeout, canceled=self._canceled)

    @property
    def retry_timeout(self) -> float:
        """Seconds for which an unavailable registry is retried."""
        return self._retry_timeout

    def _warn_unavailable(self, error: RegistryUnavailableError) -> None:
        """Warn that the registry is unavailable: once for all threads, at most every ``WARNING_INTERVAL`` seconds."""
        with self._lock:
            is_due = time.monotonic() - self._last_warning >= WARNING_INTERVAL
            if is_due:
                self._last_warning = time.monotonic()
        if is_due:
            limit = f", up to {self._retry_timeout:g} s" if self._retry_timeout else ""
            _log.warning("registry %s is unavailable, retrying%s: %s", self.host, limit, error.reason)

    def request(
        self,
        method: str,
        path: str,
        *,
        repository: str = "",
        source: str = "",
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        expected: tuple[int, ...] = (200,),
        max_bytes: int = MAX_RESPONSE_SIZE,
        allow_cross_host_redirect: bool = False,
    ) -> Response:
        """Send a request, authenticate if required, and return the response.

        :param path: absolute path, or URL on the registry
        :param repository: repository of the request, without registry; ``CATALOG`` for the list of repositories
        :param source: second repository to request read access for, to mount a blob from it
        :param content: request body; chunks are streamed once, so that such a request is not retried
        :param expected: statuses that are not errors
        :param max_bytes: maximum length of the response
        :param allow_cross_host_redirect: follow redirects to other hosts, without credentials
        :raises NoSuchImageError: on HTTP 404
        :raises RegistryUnavailableError: if the registry cannot be reached, or on HTTP 429 and 5xx
        :raises RegistryError: on other errors
        """
        url = self._url(path)
        scopes = [scope(action, name) for action, name in ((method, repository), ("GET", source)) if name]

        def once() -> Response:
            with self._request_authorized(
                method, url, headers, content, scopes, allow_cross_host_redirect=allow_cross_host_redirect
            ) as response:
                result = read_response(response, method, url, self._timeout, max_bytes)
                self._raise_if_canceled()  # a canceled transfer looks like the end of the content
            if result.status not in expected:
                raise response_error(self.host, method, url, result)
            return result

        if content is not None and not isinstance(content, bytes):
            return once()
        return self.retry(once)

    @contextlib.contextmanager
    def stream(self, path: str, *, repository: str, headers: Mapping[str, str] | None = None) -> Iterator[Stream]:
        """Open a blob for reading, following redirects to other hosts without credentials.

        :raises NoSuchImageError: if the blob does not exist
        :raises RegistryUnavailableError: if the registry cannot be reached or fails, also while the content is read
        :raises RegistryError: on other errors
        """
        url = self._url(path)
        scopes = [scope("GET", repository)]
        with contextlib.ExitStack() as stack:

            def once() -> requests.Response:
                opened = contextlib.ExitStack()
                response = opened.enter_context(
                    self._request_authorized("GET", url, headers, None, scopes, allow_cross_host_redirect=True)
                )
                if response.status_code not in (200, 206):
                    with opened:
                        raise response_error(
                            self.host, "GET", response.url, read_response(response, "GET", url, self._timeout)
                        )
                stack.push(opened.pop_all())
                return response

            result = self.retry(once)
            yield Stream(result.status_code, result.headers, self._chunks(result))

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the content without decoding it: the digest is that of the bytes as sent.

        Small parts are collected to chunks, but no longer than a second, so that the caller can check deadlines.
        """
        with self._errors("GET", response.url, while_reading=True):
            collected, last = bytearray(), time.monotonic()
            for part in iter_parts(response, self._timeout, decoded=False):
                self._raise_if_canceled()
                collected += part
                if len(collected) >= CHUNK_SIZE or time.monotonic() - last > MAX_COLLECT_TIME:
                    yield bytes(collected)
                    collected, last = bytearray(), time.monotonic()
            if collected:
                yield bytes(collected)

    @contextlib.contextmanager
    def _errors(self, method: str, url: str, *, while_reading: bool = False) -> Iterator[None]:
        """Convert connection errors; report a cancellation as such."""
        try:
            with connection_errors(method, url, while_reading=while_reading):
                yield
        except RegistryError:
            self._raise_if_canceled()
            raise

    def _raise_if_canceled(self) -> None:
        if self._deadline and self._is_late:
            raise self._deadline.failure()
        if self.is_canceled:
            raise RegistryError(f"{self.host}: request canceled", solution="run the command again")

    def _url(self, path: str) -> str:
        url = resolve_url(f"https://{api_host(self.host)}", path)
        if not self._is_own(url):
            raise self._redirect_error(url)
        return url

    def _redirect_error(self, url: str) -> UnexpectedResponseError:
        return UnexpectedResponseError(
            f"{self.host} redirected to a different host, which is not allowed here: {redact(url)[:200]}"
        )

    def _is_own(self, url: str) -> bool:
        """Return whether a URL is on the registry itself."""
        scheme, host = urlsplit(url)[:2]
        return scheme == "https" and normalize_host(host) == normalize_host(self.host)

    @contextlib.contextmanager
    def _request_authorized(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: Content,
        scopes: Sequence[str],
        *,
        allow_cross_host_redirect: bool = False,
    ) -> Iterator[requests.Response]:
        """Send a request, and once more with authorization if the registry requires it.

        Other hosts get no credentials, and cannot choose the token server.
        """

        def send(authorization: str) -> requests.Response:
            return self._send(
                method, url, headers, content, authorization, allow_cross_host_redirect=allow_cross_host_redirect
            )

        current = self._tokens.header(scopes)
        response = send(current)
        if self._is_refused(response):
            discard(response)
            challenge = response.headers.get("WWW-Authenticate", "")
            header = self._tokens.authorize(challenge, scopes, current, self._request_token)
            if content is not None and not isinstance(content, bytes):  # the stream is consumed
                raise RegistryUnavailableError(f"{self.host} rejected cached credentials", solution="run it again")
            response = send(header)
            if self._renewal_timeout and self._is_refused(response):
                challenge = response.headers.get("WWW-Authenticate", "")
                with contextlib.ExitStack() as on_error:
                    on_error.callback(response.close)
                    renewed = self._tokens.await_renewal(
                        challenge, scopes, header, self._renewal_timeout, self._canceled
                    )
                    on_error.pop_all()
                if renewed:
                    discard(response)
                    response = send(self._tokens.authorize(challenge, scopes, header, self._request_token))
        with response:
            yield response

    def _is_refused(self, response: requests.Response) -> bool:
        return response.status_code == 401 and self._is_own(response.url)

    def issue_token(self, scopes: Sequence[str]) -> IssuedToken:
        """Return a new token for scopes, which other programs can use.

        :raises RegistryError: if the registry has no token server, or the server issues none
        """

        def once() -> IssuedToken:
            with self._send("GET", self._url("/v2/"), None, None, "") as response:
                challenge = response.headers.get("WWW-Authenticate", "")
                discard(response)
            if not is_bearer(challenge):
                raise RegistryError(
                    f"{self.host} has no token server", solution="use user and password, or certificates"
                )
            return self._tokens.issue(challenge, scopes, self._request_token)

        return self.retry(once)

    def _request_token(self, url: str, authorization: str) -> tuple[int, Mapping[str, object]]:
        """Request a token from a token server."""
        with self._send("GET", url, None, None, authorization) as response:
            result = read_response(response, "GET", url, self._timeout)
        if result.status >= 500 or result.status == 429:
            raise response_error(self.host, "GET", url, result)
        return result.status, result.json(redact(url)) if result.status == 200 else {}

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: Content,
        authorization: str,
        *,
        allow_cross_host_redirect: bool = False,
    ) -> requests.Response:
        """Send a request, follow redirects, and return the response with unread content."""
        read_timeout = self._timeout if content is None or isinstance(content, bytes) else self._storing
        for _ in range(MAX_REDIRECTS + 1):
            self._raise_if_canceled()
            with self._errors(method, url), logged_request(method, url) as outcome:
                response = self._session.request(
                    method,
                    url,
                    headers=dict(headers or {}),
                    data=content,
                    timeout=(min(read_timeout, CONNECT_TIMEOUT), read_timeout),
                    auth=AuthorizationHeader(authorization),
                    stream=True,
                    allow_redirects=False,
                )
                outcome.set(response.status_code)
            with self._lock:
                self.requests += 1
            if response.status_code not in REDIRECTS or method not in ("GET", "HEAD"):
                return response
            discard(response)
            url, before = resolve_url(url, response.headers.get("Location", "")), url
            _log.debug("redirected to %s", redact_url(url))
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                authorization = ""
                if not allow_cross_host_redirect or urlsplit(url).scheme not in ("http", "https"):
                    raise self._redirect_error(url)
        raise UnexpectedResponseError(f"too many redirects from {self.host}: {redact(url)[:200]}")
