# SPDX-License-Identifier: GPL-2.0-or-later
"""Responses of registries: reading within limits, and conversion to errors that contain no secrets."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from fedpkg_container.errors import (
    AccessDeniedError,
    NoSuchImageError,
    ReadOnlyRegistryError,
    RegistryError,
    RegistryUnavailableError,
    UnexpectedResponseError,
    WrongContentError,
)
from fedpkg_container.registry.tls_errors import tls_error
from fedpkg_container.text import printable_line

_CAUSES = re.compile(
    r"(?P<certificate>certificate verify failed: .+?) \(_ssl"
    r"|\[Errno -?[0-9]+\] (?P<error>[\w' -]+)"
    r"|Error\([0-9]+, '(?P<aborted>[\w -]+)'"
    r"|: (?P<late>Read timed out)"
    r"|'(?P<broken>Connection broken)"
)
MAX_CAUSE = 500
#: Maximum length of a response that is read into memory, bytes, and maximum time for that, seconds.
MAX_RESPONSE_SIZE = 64 * 1024 * 1024
MAX_READ_TIME = 300.0
#: Bytes per read (a TLS record).
READ_SIZE = 1 << 14
#: Minimum transfer rate, bytes per second; a slower server counts as unresponsive.
MIN_RATE = 1024
#: Maximum number of digits of a ``Content-Length``.
MAX_LENGTH_DIGITS = 18
#: Maximum length of an unused response that is read, bytes, and seconds until a slow one is not read further.
MAX_DISCARDED = 100_000
DISCARD_TIMEOUT = 5.0
#: Query strings of URLs: those of storage backends contain credentials.
_QUERY = re.compile(r"\?[^\s'\")]*")
#: Error codes for a manifest that refers to content that the registry does not see. Temporary with docker-registry:
#: while another client uploads the same blob to the same repository, it rewrites the file that links the blob; and with
#: registries that show new content late.
_NOT_YET_SEEN = frozenset({"MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"})
#: HTTP statuses that do not change with time, although they are errors of the server.
_PERMANENT_STATUSES = (501, 505)
#: Harbor's message in read-only mode.
_READ_ONLY = re.compile(rb"read[ -]only", re.IGNORECASE)


def root_cause(text: str) -> str:
    """Return the cause of a connection error, e.g. ``Connection refused``; the whole text if none is recognized."""
    match = _CAUSES.search(text)
    return printable_line(match[match.lastindex or 0] if match else text)[:MAX_CAUSE]


@dataclass(frozen=True)
class Response:
    """A complete response.

    :param status: HTTP status
    :param headers: case-insensitive
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self, url: str) -> dict[str, Any]:
        """Return the JSON object of the response.

        :raises RegistryError: if it is not a JSON object
        """
        try:
            content = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponseError(f"{url}: the response is not JSON", status=self.status) from error
        if not isinstance(content, dict):
            raise UnexpectedResponseError(f"{url}: the response is not a JSON object", status=self.status)
        return content


@dataclass(frozen=True)
class Stream:
    """A response with unread content, which the caller must verify.

    :param status: 200, or 206 for a part
    :param headers: case-insensitive
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


def iter_parts(response: requests.Response, read_timeout: float, *, decoded: bool) -> Iterator[bytes]:
    """Yield content as soon as any is received; time that the caller spends between parts does not count.

    :param read_timeout: seconds after which a server that sends less than ``MIN_RATE`` is unresponsive
    :param decoded: whether to remove the content encoding
    :raises RegistryUnavailableError: if the transfer is too slow
    :raises requests.RequestException, HTTPError, OSError: if the connection fails
    """
    # urllib3 before 2.2 has no read1: read waits for a whole part.
    read = getattr(response.raw, "read1", response.raw.read)
    elapsed, received = 0.0, 0
    while True:
        started = time.monotonic()
        part = read(READ_SIZE, decode_content=decoded)
        if not part:
            return
        elapsed, received = elapsed + time.monotonic() - started, received + len(part)
        if elapsed > read_timeout:
            if received < MIN_RATE * elapsed:
                where = redact(response.url)
                raise RegistryUnavailableError(f"{where}: transfer too slow: {received} bytes in {elapsed:.0f} s")
            elapsed, received = 0.0, 0
        yield part


def read_response(
    response: requests.Response, method: str, url: str, read_timeout: float, max_bytes: int = MAX_RESPONSE_SIZE
) -> Response:
    """Read the whole response.

    :param read_timeout: seconds after which a server that sends hardly anything is unresponsive
    :param max_bytes: maximum length
    :raises RegistryError: if it is too long, or takes too long
    """
    deadline, content = time.monotonic() + MAX_READ_TIME, bytearray()
    with connection_errors(method, url):
        for part in iter_parts(response, read_timeout, decoded=True):
            content += part
            if len(content) > max_bytes:
                raise RegistryError(f"{method} {redact(url)}: response longer than {max_bytes} bytes")
            if time.monotonic() > deadline:
                raise RegistryError(f"{method} {redact(url)}: response took longer than {MAX_READ_TIME:g} s")
    return Response(response.status_code, response.headers, bytes(content))


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the number of bytes that a server announces; None if it does not state a valid one."""
    length = headers.get("Content-Length", "")
    return int(length) if len(length) <= MAX_LENGTH_DIGITS and length.isascii() and length.isdecimal() else None


def discard(response: requests.Response) -> None:
    """Discard a response; read it if it is short and not slow, so that the connection can be reused."""
    length = content_length(response.headers)
    if length is not None and length <= MAX_DISCARDED:
        with contextlib.suppress(requests.RequestException, HTTPError, OSError, RegistryUnavailableError):
            for _ in iter_parts(response, DISCARD_TIMEOUT, decoded=False):
                pass
    response.close()


def response_error(host: str, method: str, url: str, response: Response) -> RegistryError:
    """Return the error for a response with an unexpected status.

    :param host: the registry
    """
    request = f"{method} {redact(url)}"
    reason, codes = f"{request}: HTTP {response.status}{_error_text(response)}", _error_codes(response)
    if _is_read_only(method, response):
        return ReadOnlyRegistryError(
            f"{host} is read-only: {reason}",
            solution="wait until its maintenance, e.g. garbage collection, has ended, and run it again; in"
            " docker-registry the setting is storage.maintenance.readonly",
        )
    if method == "PUT" and response.status in (400, 404) and _NOT_YET_SEEN.intersection(codes):
        return RegistryUnavailableError(reason, solution="try again later", status=response.status)
    if response.status in (401, 403):
        return AccessDeniedError(
            f"{host} denied {request} (HTTP {response.status}){_error_text(response)}",
            solution="check the credentials in the auth file, and the permissions of that account",
            status=response.status,
            codes=codes,
        )
    if response.status == 404:
        return NoSuchImageError(f"{request}: not found{_error_text(response)}")
    if response.status == 416:
        return WrongContentError(
            f"{reason}: range not satisfiable: the blob is shorter than the part downloaded before"
        )
    if response.status == 429 or (response.status >= 500 and response.status not in _PERMANENT_STATUSES):
        after = _retry_after(response.headers.get("Retry-After", ""))
        solution = f"run it again after {_utc(time.time() + after)}, as the registry requests" if after else ""
        return RegistryUnavailableError(
            f"{reason}{f'; Retry-After: {after:.0f} s' if after else ''}",
            solution=solution or "try again later",
            retry_after=after,
            status=response.status,
        )
    return UnexpectedResponseError(reason, status=response.status, codes=codes)


def _is_read_only(method: str, response: Response) -> bool:
    """Return whether a response means that the registry rejects every change.

    docker-registry in maintenance names only ``GET`` and ``HEAD`` as allowed. If just deletion is disabled, it responds
    with an error code instead.
    """
    if method in ("GET", "HEAD") or response.status < 400:
        return False
    if response.status == 405:
        allowed = response.headers.get("Allow", "")
        return method != "DELETE" or (bool(allowed) and "DELETE" not in allowed)
    return response.status in (403, 503) and _READ_ONLY.search(response.content) is not None


@contextlib.contextmanager
def connection_errors(method: str, url: str, *, while_reading: bool = False) -> Iterator[None]:
    """Convert connection errors to errors that contain neither credentials nor headers.

    :param while_reading: whether content was being received, so that a timeout is worth a retry
    :raises RegistryError: if the server does not respond in time or cannot be trusted: a retry would not help
    :raises RegistryUnavailableError: on any other error
    """
    try:
        yield
    except (requests.RequestException, HTTPError, OSError) as error:
        reason = f"{method} {redact(url)}: {root_cause(redact(str(error)))}"
        late = not while_reading and "timed out" in reason
        permanent = late or isinstance(error, (requests.exceptions.Timeout, requests.exceptions.InvalidURL))
        if isinstance(error, requests.exceptions.SSLError):
            if tls_failure := tls_error(f"{method} {redact(url)}", urlsplit(url).netloc, str(error)):
                raise tls_failure from None
            permanent = False  # a registry that restarts may break off handshakes
        kind = RegistryError if permanent else RegistryUnavailableError
        raise kind(reason, solution="try again later") from None  # the cause contains the request with its headers


def redact(text: str) -> str:
    """Return text for messages, with the query strings of URLs removed, which may contain credentials."""
    return _QUERY.sub("", printable_line(text))


def resolve_url(base: str, location: str) -> str:
    """Resolve a URL from a registry.

    :param location: absolute, or relative to ``base``
    :raises RegistryError: if it is invalid
    """
    try:
        return urljoin(base, location)
    except ValueError as error:
        raise RegistryError(f"invalid URL from {redact(base)}: {redact(location)[:200]!r}") from error


def _retry_after(text: str) -> float:
    """Return the seconds of a ``Retry-After`` header, which has seconds or a date (RFC 9110)."""
    try:
        return float(Retry().parse_retry_after(text)) if text else 0.0
    except (HTTPError, ValueError, OverflowError):  # invalid, or out of range
        return 0.0


def _utc(timestamp: float) -> str:
    """Return a time as text."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp))
    except (OverflowError, ValueError, OSError):
        return "a time that is out of range"


def _error_text(response: Response) -> str:
    """Return the first errors in a response, as a suffix for a message."""
    text = [f"{error.get('code', '')} {error.get('message', '')}".strip() for error in _errors(response)]
    return ": " + printable_line("; ".join(text))[:300] if text else ""


def _error_codes(response: Response) -> list[str]:
    return [str(error.get("code")) for error in _errors(response)]


def _errors(response: Response) -> list[dict[str, object]]:
    """Return the first errors in a response's JSON; empty if there are none."""
    try:
        errors = json.loads(response.content)["errors"][:3]
        return [error for error in errors if isinstance(error, dict)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
