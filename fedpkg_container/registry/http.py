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
from requests.auth import AuthBase

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.registry.address_guard import AddressGuard
from fedpkg_container.registry.auth import Authorizations, scope
from fedpkg_container.registry.credentials import api, plain
from fedpkg_container.registry.response import (
    LONGEST,
    Answer,
    Stream,
    connection_errors,
    joined,
    leave,
    parts,
    read,
    refusal,
    shown,
)
from fedpkg_container.registry.retry import patiently
from fedpkg_container.registry.session import Session

logger = logging.getLogger(__name__)

#: Seconds until a response must start, and between two parts of it, by default.
TIMEOUT = 60.0
#: Seconds until a connection must be established.
CONNECT_TIMEOUT = 20.0
#: Minimum number of attempts before a request fails, by default.
ATTEMPTS = 5
#: Seconds between two warnings about the same unavailable registry.
NOTICES = 60.0
#: Maximum number of redirects to follow.
REDIRECTIONS = 5
#: Chunk size for reading a blob, bytes, and the longest time to collect a chunk, seconds.
CHUNK = 1 << 18
LONGEST_GATHERING = 1.0
_REDIRECTS = (301, 302, 303, 307, 308)

Result = TypeVar("Result")
#: Request body: bytes, or chunks of known total length (``__len__``).
Content = Union[bytes, Iterable[bytes], None]


class _Header(AuthBase):
    """One ``Authorization`` header. Always set, or requests would read credentials from ~/.netrc."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class RegistryHTTP:
    """HTTPS client for one registry; thread-safe.

    :param host: the registry, host and port
    :param certificates: directory with ``*.crt``, ``*.cert`` and ``*.key``; None: podman's directories
    :param auth_file: credentials; None for the user's own
    :param retry_timeout: seconds for which an unavailable registry is retried
    :param attempts: minimum number of attempts per request
    :param timeout: seconds until a response must start, and between two parts of it
    :param storing: the same after a blob was sent, which the registry has to store
    :param guard: filter for IP addresses; None: any
    :param deadline: when all requests must have ended; later ones raise its error. None: no limit
    """

    def __init__(
        self,
        host: str,
        *,
        certificates: Path | None,
        auth_file: Path | None,
        patience: float = 0.0,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
        storing: float = TIMEOUT,
        guard: AddressGuard | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self.host = host
        #: Repositories for which the registry does not implement the referrers API.
        self.without_referrers: set[str] = set()
        self._timeout, self._storing = timeout, storing
        self._patience, self._attempts = patience, attempts
        self._abandoned = threading.Event()
        self._authorizations = Authorizations(plain(host), auth_file)
        #: Number of responses so far, including those of token servers.
        self.requests = 0
        self._counting = threading.Lock()
        self._noticed = -NOTICES
        self._session = Session(host, certificates, guard)
        self._deadline, self._is_late = deadline, False
        self._clock = threading.Timer(deadline.remaining, self._run_late) if deadline else None
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

    def abandon(self) -> None:
        """Cancel all requests of all threads, including those in progress, which raise an error soon."""
        self._abandoned.set()
        self._session.cut()

    def _run_late(self) -> None:
        self._is_late = True
        self.abandon()

    @property
    def is_abandoned(self) -> bool:
        """Whether the requests were canceled."""
        return self._abandoned.is_set()

    def again(self, act: Callable[[], Result]) -> Result:
        """Run an operation of several requests and retry it as a whole if the registry is temporarily unavailable."""
        try:
            return patiently(act, self._patience, attempts=self._attempts, abandoned=self._abandoned, told=self._notice)
        except RegistryError:
            if self._is_late:
                self._check_wanted()
            raise

    def _notice(self, error: RegistryUnavailableError) -> None:
        """Warn that the registry is unavailable: once for all threads, at most every ``NOTICES`` seconds."""
        with self._counting:
            is_news = time.monotonic() - self._noticed >= NOTICES
            if is_news:
                self._noticed = time.monotonic()
        if is_news:
            limit = f", up to {self._patience:g} s" if self._patience else ""
            logger.warning("registry %s is unavailable, retrying%s: %s", self.host, limit, error.reason)

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
        longest: int = LONGEST,
        anywhere: bool = False,
    ) -> Answer:
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
        scopes = [scope(each, name) for each, name in ((method, repository), ("GET", source)) if name]

        def once() -> Answer:
            with self._authorized(method, url, headers, content, scopes, anywhere=anywhere) as answer:
                found = read(answer, method, url, self._timeout, longest)
                self._check_wanted()  # a canceled transfer looks like the end of the content
            if found.status not in expected:
                raise refusal(self.host, method, url, found)
            return found

        if content is not None and not isinstance(content, bytes):
            return once()
        return self.again(once)

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
                answer = opened.enter_context(self._authorized("GET", url, headers, None, scopes, anywhere=True))
                if answer.status_code not in (200, 206):
                    with opened:
                        raise refusal(self.host, "GET", answer.url, read(answer, "GET", url, self._timeout))
                stack.push(opened.pop_all())
                return answer

            found = self.again(once)
            yield Stream(found.status_code, found.headers, self._chunks(found))

    def _chunks(self, answer: requests.Response) -> Iterator[bytes]:
        """Yield the content without decoding it: the digest is that of the bytes as sent.

        Small parts are collected to chunks, but no longer than a second, so that the caller can check deadlines.
        """
        with self._errors("GET", answer.url, halfway=True):
            gathered, last = bytearray(), time.monotonic()
            for part in parts(answer, self._timeout, decoded=False):
                self._check_wanted()
                gathered += part
                if len(gathered) >= CHUNK or time.monotonic() - last > LONGEST_GATHERING:
                    yield bytes(gathered)
                    gathered, last = bytearray(), time.monotonic()
            if gathered:
                yield bytes(gathered)

    @contextlib.contextmanager
    def _errors(self, method: str, url: str, *, halfway: bool = False) -> Iterator[None]:
        """Convert connection errors; report a cancellation as such."""
        try:
            with connection_errors(method, url, halfway=halfway):
                yield
        except RegistryError:
            self._check_wanted()
            raise

    def _check_wanted(self) -> None:
        if self._deadline and self._is_late:
            raise self._deadline.failure()
        if self.is_abandoned:
            raise RegistryError(f"{self.host}: request canceled", solution="run the command again")

    def _url(self, path: str) -> str:
        url = joined(f"https://{api(self.host)}", path)
        if not self._is_own(url):
            raise RegistryError(
                f"{self.host} redirected to a different host, which is not allowed here: {shown(url)[:200]}"
            )
        return url

    def _is_own(self, url: str) -> bool:
        """Return whether a URL is on the registry itself."""
        scheme, host = urlsplit(url)[:2]
        return scheme == "https" and plain(host) == plain(self.host)

    @contextlib.contextmanager
    def _authorized(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: Content,
        scopes: Sequence[str],
        *,
        anywhere: bool = False,
    ) -> Iterator[requests.Response]:
        """Send a request, and once more with authorization if the registry requires it.

        Other hosts get no credentials, and cannot choose the token server.
        """
        used = self._authorizations.header(scopes)
        answer = self._send(method, url, headers, content, used, anywhere=anywhere)
        if answer.status_code == 401 and self._is_own(answer.url):
            leave(answer)
            challenge = answer.headers.get("WWW-Authenticate", "")
            header = self._authorizations.answer(challenge, scopes, used, self._ask)
            if content is not None and not isinstance(content, bytes):  # the stream is consumed
                raise RegistryUnavailableError(f"{self.host} rejected cached credentials", solution="run it again")
            answer = self._send(method, url, headers, content, header, anywhere=anywhere)
        with answer:
            yield answer

    def _ask(self, url: str, authorization: str) -> tuple[int, Mapping[str, object]]:
        """Request a token from a token server."""
        with self._send("GET", url, None, None, authorization) as answer:
            found = read(answer, "GET", url, self._timeout)
        if found.status >= 500 or found.status == 429:
            raise refusal(self.host, "GET", url, found)
        return found.status, found.json(shown(url)) if found.status == 200 else {}

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: Content,
        authorization: str,
        *,
        anywhere: bool = False,
    ) -> requests.Response:
        """Send a request, follow redirects, and return the response with unread content."""
        silence = self._timeout if content is None or isinstance(content, bytes) else self._storing
        for _ in range(REDIRECTIONS + 1):
            self._check_wanted()
            with self._errors(method, url):
                answer = self._session.request(
                    method,
                    url,
                    headers=dict(headers or {}),
                    data=content,
                    timeout=(min(silence, CONNECT_TIMEOUT), silence),
                    auth=_Header(authorization),
                    stream=True,
                    allow_redirects=False,
                )
            with self._counting:
                self.requests += 1
            if answer.status_code not in _REDIRECTS or method not in ("GET", "HEAD"):
                return answer
            leave(answer)
            url, before = joined(url, answer.headers.get("Location", "")), url
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                authorization = ""
                if not anywhere or urlsplit(url).scheme not in ("http", "https"):
                    raise RegistryError(
                        f"{self.host} redirected to a different host, which is not allowed here: {shown(url)[:200]}"
                    )
        raise RegistryError(f"too many redirects from {self.host}: {shown(url)[:200]}")
