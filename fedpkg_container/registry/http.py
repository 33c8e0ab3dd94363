"""Requests to a registry (OCI distribution spec 1.1), with its authentication; repeated when it fails for a moment."""

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

#: Seconds until a registry must have begun to answer, and between two parts of an answer, where nobody says less.
TIMEOUT = 60.0
#: Seconds until a connection must have been made.
CONNECT_TIMEOUT = 20.0
#: How often a request is made at least before a registry that fails is given up, where nobody says otherwise.
ATTEMPTS = 5
#: Seconds between two notices that a registry is asked again.
NOTICES = 60.0
#: How many redirections are followed.
REDIRECTIONS = 5
#: How much of a blob is gathered before it is handed on, bytes, and for how long at the most, seconds.
CHUNK = 1 << 18
LONGEST_GATHERING = 1.0
_REDIRECTS = (301, 302, 303, 307, 308)

Result = TypeVar("Result")
#: What is sent: bytes, or parts whose length is known (``__len__``).
Content = Union[bytes, Iterable[bytes], None]


class _Header(AuthBase):
    """One header for one request. It is always set, or requests would look for credentials in ~/.netrc."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class RegistryHTTP:
    """Requests to one registry, over TLS; for several threads.

    :param host: the registry, host and port
    :param certificates: folder with ``*.crt``, ``*.cert`` and ``*.key``; None: where podman keeps them
    :param auth_file: credentials; None for the user's own
    :param patience: seconds for which a registry that fails is asked again
    :param attempts: how often a request is made at least
    :param timeout: seconds until the registry must have begun to answer, and between two parts of an answer
    :param storing: seconds that it may take instead to have stored a blob that was sent
    :param guard: which addresses are connected to; None: any
    :param deadline: when everything has to have ended; what is waited for or read then ends in its error. None: never
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
        #: Repositories whose referrers the registry does not list itself: it knows no such thing, or not them.
        self.without_referrers: set[str] = set()
        self._timeout, self._storing = timeout, storing
        self._patience, self._attempts = patience, attempts
        self._abandoned = threading.Event()
        self._authorizations = Authorizations(plain(host), auth_file)
        #: How many requests were answered so far, those for tokens among them.
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
        """Ask for nothing more, in any thread: what is waited for or read ends in an error soon."""
        self._abandoned.set()
        self._session.cut()

    def _run_late(self) -> None:
        self._is_late = True
        self.abandon()

    @property
    def is_abandoned(self) -> bool:
        """Whether nothing is asked for any more."""
        return self._abandoned.is_set()

    def again(self, act: Callable[[], Result]) -> Result:
        """Do again, from its beginning, what the registry could not do for a moment, as often as single requests."""
        try:
            return patiently(act, self._patience, attempts=self._attempts, abandoned=self._abandoned, told=self._notice)
        except RegistryError:
            if self._is_late:
                self._check_wanted()
            raise

    def _notice(self, error: RegistryUnavailableError) -> None:
        """Say that the registry is waited for: for all threads once, and not again soon."""
        with self._counting:
            is_news = time.monotonic() - self._noticed >= NOTICES
            if is_news:
                self._noticed = time.monotonic()
        if is_news:
            limit = f", up to {self._patience:g} s" if self._patience else ""
            logger.warning("waiting for %s%s: %s", self.host, limit, error.reason)

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
        """Ask, and authenticate when that is asked for.

        :param path: below the registry, or a whole address on it
        :param repository: of which the request is, without the registry; ``CATALOG`` for the list of all of them
        :param source: another repository that is to be read besides, of which a blob is mounted
        :param content: parts are sent as they come, once: a registry that fails meanwhile is not asked again
        :param expected: statuses that are no errors
        :param longest: bytes that the answer may have
        :param anywhere: it may send on to another server, which gets no credentials; else that is refused
        :raises NoSuchImageError: there is no such thing (404)
        :raises RegistryUnavailableError: the registry cannot be reached, or fails (429, 5xx)
        :raises RegistryError: it refuses
        """
        url = self._url(path)
        scopes = [scope(each, name) for each, name in ((method, repository), ("GET", source)) if name]

        def once() -> Answer:
            with self._authorized(method, url, headers, content, scopes, anywhere=anywhere) as answer:
                found = read(answer, method, url, self._timeout, longest)
                self._check_wanted()  # what was broken off looks like an end
            if found.status not in expected:
                raise refusal(self.host, method, url, found)
            return found

        if content is not None and not isinstance(content, bytes):
            return once()
        return self.again(once)

    @contextlib.contextmanager
    def stream(self, path: str, *, repository: str, headers: Mapping[str, str] | None = None) -> Iterator[Stream]:
        """The content of a blob, wherever the registry sends for it; another server gets no credentials.

        :raises NoSuchImageError: there is no such blob
        :raises RegistryUnavailableError: the registry cannot be reached, or fails, while the content is read as well
        :raises RegistryError: it refuses
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
        """The content as it is on the wire, since what a digest is of is never encoded for its way.

        Parts are gathered to chunks, unless they come so slowly that whoever reads them would miss a deadline.
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
        """What goes wrong with a connection; where that was cut here, it is said so."""
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
            raise RegistryError(f"{self.host}: given up", solution="run it again")

    def _url(self, path: str) -> str:
        url = joined(f"https://{api(self.host)}", path)
        if not self._is_own(url):
            raise RegistryError(f"{self.host} sends on to another server: {shown(url)[:200]}")
        return url

    def _is_own(self, url: str) -> bool:
        """Whether an address is one of the registry itself."""
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
        """An answer, after what authorizes the request was asked for when the registry itself wants it.

        Another server to which it sends on gets nothing, and has no say in which server of tokens is asked.
        """
        used = self._authorizations.header(scopes)
        answer = self._send(method, url, headers, content, used, anywhere=anywhere)
        if answer.status_code == 401 and self._is_own(answer.url):
            leave(answer)
            challenge = answer.headers.get("WWW-Authenticate", "")
            header = self._authorizations.answer(challenge, scopes, used, self._ask)
            if content is not None and not isinstance(content, bytes):  # it has been sent, and is gone
                raise RegistryUnavailableError(f"{self.host} wants other credentials than before", solution="try again")
            answer = self._send(method, url, headers, content, header, anywhere=anywhere)
        with answer:
            yield answer

    def _ask(self, url: str, authorization: str) -> tuple[int, Mapping[str, object]]:
        """Ask a server of tokens."""
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
        """An answer whose content has not been read yet."""
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
                    raise RegistryError(f"{self.host} sends on to another server: {shown(url)[:200]}")
        raise RegistryError(f"{self.host} sends on from one address to another without end: {shown(url)[:200]}")
