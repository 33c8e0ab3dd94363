"""Requests to a registry (OCI distribution spec 1.1), with its authentication; repeated when it fails for a moment."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Union
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.registry.authorization import Authorizations, scope
from fedpkg_container.registry.causes import cause_of
from fedpkg_container.registry.patience import patiently
from fedpkg_container.text import printable_line

logger = logging.getLogger(__name__)

#: Seconds until a registry must have begun to answer, and between two parts of an answer, where nobody says less.
TIMEOUT = 60.0
#: The longest answer that is read whole, bytes, and seconds that it may take altogether.
LONGEST = 64 * 1024 * 1024
LONGEST_TIME = 300.0
#: How often a request is made at least before a registry that fails is given up.
ATTEMPTS = 5
#: Seconds between two notices that a registry is asked again.
NOTICES = 60.0
#: How many redirections are followed, and bytes that are handed on at a time.
REDIRECTIONS = 5
CHUNK = 1 << 18
#: Connections that are kept: as many as there may be threads.
CONNECTIONS = 32
#: Where podman and docker keep certificates of registries, when no folder is named; the user's own come first.
_CERTIFICATES = (Path("~/.config/containers/certs.d"), Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))
_REDIRECTS = (301, 302, 303, 307, 308)

Result = TypeVar("Result")
#: What is sent: bytes, or parts whose length is known (``__len__``).
Content = Union[bytes, Iterable[bytes], None]


@dataclass(frozen=True)
class Answer:
    """What a registry answered.

    :param status: of HTTP
    :param headers: case does not matter
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self, url: str) -> dict[str, Any]:
        """The object that was answered.

        :raises RegistryError: it is none
        """
        try:
            content = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"{url} was not answered with JSON") from error
        if not isinstance(content, dict):
            raise RegistryError(f"{url} was not answered with a JSON object")
        return content


@dataclass(frozen=True)
class Stream:
    """An answer whose content is read as it comes, and is to be hashed by who reads it.

    :param status: 200, or 206 for a part
    :param headers: case does not matter
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


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
    :param certificates: folder with ``ca.crt``, ``*.cert`` and ``*.key``; None: where podman keeps them
    :param auth_file: credentials; None for the user's own
    :param patience: seconds for which a registry that fails is asked again; ``ATTEMPTS`` requests are made in any case
    :param timeout: seconds until the registry must have begun to answer, and between two parts of an answer
    """

    def __init__(
        self,
        host: str,
        *,
        certificates: Path | None,
        auth_file: Path | None,
        patience: float = 0.0,
        timeout: float = TIMEOUT,
    ) -> None:
        self.host = host
        #: Whether the registry lists referrers itself, as far as it was asked.
        self.lists_referrers = True
        self._timeout = timeout
        self._patience = patience
        self._abandoned = threading.Event()
        self._authorizations = Authorizations(host, auth_file)
        self._authority, self._own = _tls(host, certificates)
        #: How many requests were answered so far, those for tokens among them.
        self.requests = 0
        self._counting = threading.Lock()
        self._noticed = -NOTICES
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))

    def __enter__(self) -> RegistryHTTP:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def abandon(self) -> None:
        """Ask for nothing more, in any thread: what is waited for or read ends in an error soon."""
        self._abandoned.set()

    def again(self, act: Callable[[], Result]) -> Result:
        """Do again, from its beginning, what the registry could not do for a moment, as often as single requests."""
        return patiently(act, self._patience, attempts=ATTEMPTS, abandoned=self._abandoned, told=self._notice)

    def _notice(self, error: RegistryUnavailableError) -> None:
        """Say that the registry is waited for: for all threads once, and not again soon."""
        with self._counting:
            is_news = time.monotonic() - self._noticed >= NOTICES
            if is_news:
                self._noticed = time.monotonic()
        if is_news:
            logger.warning("waiting for %s: %s", self.host, error.reason)

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
    ) -> Answer:
        """Ask, and authenticate when that is asked for; redirections to other servers are refused.

        :param path: below the registry, or a whole address on it
        :param repository: of which the request is, without the registry; empty for the catalog
        :param source: another repository that is to be read besides, of which a blob is mounted
        :param content: parts are sent as they come, once: a registry that fails meanwhile is not asked again
        :param expected: statuses that are no errors
        :param longest: bytes that the answer may have
        :raises NoSuchImageError: there is no such thing (404)
        :raises RegistryUnavailableError: the registry cannot be reached, or fails (429, 5xx)
        :raises RegistryError: it refuses
        """
        url = self._url(path)
        scopes = [scope(method, repository), *([scope("GET", source)] if source else [])]

        def once() -> Answer:
            with self._authorized(method, url, headers, content, scopes) as answer:
                read = Answer(answer.status_code, answer.headers, _read(answer, method, url, longest))
            if read.status not in expected:
                raise self._refusal(method, url, read)
            return read

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
                        read = Answer(answer.status_code, answer.headers, _read(answer, "GET", url))
                        raise self._refusal("GET", answer.url, read)
                stack.push(opened.pop_all())
                return answer

            found = self.again(once)
            yield Stream(found.status_code, found.headers, self._chunks(found))

    def _chunks(self, answer: requests.Response) -> Iterator[bytes]:
        with _connection_errors("GET", answer.url, halfway=True):
            # As it is on the wire: what a digest is of is never encoded for its way.
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                self._check_wanted()
                yield chunk

    def _check_wanted(self) -> None:
        if self._abandoned.is_set():
            raise RegistryError(f"{self.host}: given up", solution="run it again")

    def _url(self, path: str) -> str:
        url = urljoin(f"https://{self.host}", path)
        if urlsplit(url)[:2] != ("https", self.host):
            raise RegistryError(f"{self.host} sends on to another server: {printable_line(url)[:200]}")
        return url

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
        """An answer, after what authorizes the request was asked for when the registry wants it."""
        used = self._authorizations.header(scopes)
        answer = self._send(method, url, headers, content, used, anywhere=anywhere)
        if answer.status_code == 401:
            answer.close()
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
            read = Answer(answer.status_code, answer.headers, _read(answer, "GET", url))
        if read.status >= 500 or read.status == 429:
            raise self._refusal("GET", url, read)
        return read.status, read.json(url) if read.status == 200 else {}

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
        for _ in range(REDIRECTIONS + 1):
            self._check_wanted()
            own = urlsplit(url)[:2] == ("https", self.host)
            authority, certificate = (self._authority, self._own) if own else _tls(urlsplit(url).netloc, None)
            with _connection_errors(method, url):
                answer = self._session.request(
                    method,
                    url,
                    headers=dict(headers or {}),
                    data=content,
                    timeout=self._timeout,
                    # Given with each request: a session's own would yield to REQUESTS_CA_BUNDLE.
                    verify=authority,
                    cert=certificate,
                    auth=_Header(authorization),
                    stream=True,
                    allow_redirects=False,
                )
            with self._counting:
                self.requests += 1
            if answer.status_code not in _REDIRECTS or method not in ("GET", "HEAD"):
                return answer
            answer.close()
            url, before = urljoin(url, answer.headers.get("Location", "")), url
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                authorization = ""
                if not anywhere or urlsplit(url).scheme not in ("http", "https"):
                    raise RegistryError(f"{self.host} sends on to another server: {printable_line(url)[:200]}")
        raise RegistryError(
            f"{self.host} sends on from one address to another without end: {printable_line(url)[:200]}"
        )

    def _refusal(self, method: str, url: str, answer: Answer) -> RegistryError:
        shown = f"{method} {printable_line(url).partition('?')[0]}"
        if answer.status in (401, 403):
            return RegistryError(
                f"{self.host} refuses {shown} (HTTP {answer.status}){_said(answer)}",
                solution="check the credentials in the auth file",
            )
        if answer.status == 404:
            return NoSuchImageError(f"{shown}: there is no such thing")
        reason = f"{shown} was answered with HTTP {answer.status}{_said(answer)}"
        if answer.status == 429 or answer.status >= 500:
            after = _retry_after(answer.headers.get("Retry-After", ""))
            return RegistryUnavailableError(reason, solution="try again later", retry_after=after)
        return RegistryError(reason)


def _retry_after(text: str) -> float:
    """For how many seconds a server asks to be left alone: it says so in seconds, or until when (RFC 9110)."""
    try:
        return float(Retry().parse_retry_after(text)) if text else 0.0
    except HTTPError:
        return 0.0


@contextlib.contextmanager
def _connection_errors(method: str, url: str, *, halfway: bool = False) -> Iterator[None]:
    """What goes wrong with a connection, as errors that show neither credentials nor headers.

    :param halfway: content was coming, so that to wait is not all that can be done
    :raises RegistryError: the server does not answer in time, or cannot be trusted: asking again would not help
    :raises RegistryUnavailableError: anything else
    """
    try:
        yield
    except (requests.RequestException, HTTPError, OSError) as error:
        reason = f"{method} {printable_line(url).partition('?')[0]}: {cause_of(str(error))}"
        lasting = (requests.exceptions.Timeout, requests.exceptions.SSLError, requests.exceptions.InvalidURL)
        late = not halfway and "timed out" in reason
        kind = RegistryError if isinstance(error, lasting) or late else RegistryUnavailableError
        raise kind(reason, solution="try again later") from None  # the request, with its headers, is in it


def _read(answer: requests.Response, method: str, url: str, longest: int = LONGEST) -> bytes:
    """The whole answer.

    :raises RegistryError: it is too long, or takes too long
    """
    deadline, read = time.monotonic() + LONGEST_TIME, bytearray()
    with _connection_errors(method, url):
        for part in answer.iter_content(1 << 16):
            read += part
            if len(read) > longest:
                raise RegistryError(f"{method} {url}: the answer is longer than {longest} bytes")
            if time.monotonic() > deadline:
                raise RegistryError(f"{method} {url}: the answer takes longer than {LONGEST_TIME:g} s")
    return bytes(read)


def _said(answer: Answer) -> str:
    """The first error that a registry gave, as the end of a sentence."""
    try:
        first = json.loads(answer.content)["errors"][0]
        return ": " + printable_line(f"{first.get('code', '')} {first.get('message', '')}".strip())[:300]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _tls(host: str, certificates: Path | None) -> tuple[str | bool, tuple[str, str] | None]:
    """What the registry's certificate is checked with, and the certificate and key that are shown to it."""
    folders = [certificates] if certificates else [each.expanduser() / host for each in _CERTIFICATES]
    folder = next((each for each in folders if each.is_dir()), None)
    if folder is None:
        return True, None
    authority = folder / "ca.crt"
    pairs = [(each, each.with_suffix(".key")) for each in sorted(folder.glob("*.cert"))]
    own = next(((str(cert), str(key)) for cert, key in pairs if key.exists()), None)
    return str(authority) if authority.exists() else True, own
