# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests for the blobs of one mirror: without credentials, with redirects, limits of size and time, and retries."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from fedpkg_container.errors import RegistryError, RegistryUnavailableError, WrongContentError
from fedpkg_container.registry.address_guard import AddressGuard, ClosedAddressError
from fedpkg_container.registry.digests import verify_chunks
from fedpkg_container.registry.http import CONNECT_TIMEOUT, MAX_REDIRECTS, REDIRECTS
from fedpkg_container.registry.redirects.settings import Address
from fedpkg_container.registry.request_log import logged_request
from fedpkg_container.registry.response import (
    connection_errors,
    content_length,
    discard,
    iter_parts,
    redact,
    resolve_url,
)
from fedpkg_container.registry.retry import retry
from fedpkg_container.registry.session import Session

#: Seconds until a response must start, and between two parts of it.
TIMEOUT = 30.0
#: Attempts per blob while a mirror is unavailable.
ATTEMPTS = 3
#: Results of a probe: the content matches the digest; the size matches; the mirror does not have the blob; it has other
#: content; unknown, because the mirror cannot be reached or failed.
VERIFIED, PRESENT, MISSING, WRONG, FAILED = "verified", "present", "missing", "wrong", "failed"
_CLOSED = "redirected to an address of this machine or of a blocked network; if it is a mirror, name its URL too"
#: Statuses of HEAD with which servers, e.g. for signed URLs, respond although GET is allowed.
_HEAD_REFUSED = (400, 403, 405, 501)


@dataclass(frozen=True)
class ProbedBlob:
    """A blob that mirrors should have.

    :param size: bytes
    """

    repository: str
    digest: str
    size: int

    @property
    def path(self) -> str:
        """Its path below the URL of a mirror."""
        return f"v2/{self.repository}/blobs/{self.digest}"


@dataclass(frozen=True)
class Verdict:
    """Result of a probe.

    :param reason: what is wrong; empty for VERIFIED and PRESENT
    """

    kind: str
    reason: str = ""


def guard_for(addresses: Iterable[Address]) -> AddressGuard:
    """Return the filter for the addresses to which mirrors may redirect: unblocked ones, and the mirrors' own."""
    return AddressGuard(
        hosts=[host for address in addresses for host in (address.authority, f"{address.host}:{address.port}")]
    )


class MirrorHTTP:
    """Client for one mirror; thread-safe.

    :param address: base URL, below which it has ``v2/NAME/blobs/DIGEST``
    :param guard: filter for IP addresses
    :param received: called with the number of bytes of each part of a download
    """

    def __init__(
        self, address: Address, guard: AddressGuard, *, received: Callable[[int], None] = lambda _: None
    ) -> None:
        self.address, self._received = address, received
        self._canceled, self._cancel_reason = threading.Event(), ""
        self._session = Session(address.authority, None, guard)

    def __enter__(self) -> MirrorHTTP:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def url(self) -> str:
        """The mirror's base URL."""
        return str(self.address)

    def cancel(self, reason: str = "canceled") -> None:
        """Cancel all requests of all threads, including those in progress, which fail soon with this reason."""
        self._cancel_reason = reason
        self._canceled.set()
        self._session.shutdown()

    def probe(self, blob: ProbedBlob, *, download: bool) -> Verdict:
        """Return whether the mirror has a blob.

        :param download: read it and compare its digest; otherwise only its size is compared, without reading it unless
            the server does not state the size
        """
        try:
            return retry(
                lambda: self._probe(blob, "GET" if download else "HEAD", download=download),
                0.0,
                attempts=ATTEMPTS,
                canceled=self._canceled,
            )
        except WrongContentError as error:
            return Verdict(WRONG, error.reason)
        except ClosedAddressError:
            return Verdict(FAILED, _CLOSED)
        except RegistryError as error:
            return Verdict(FAILED, self._cancel_reason if self._canceled.is_set() else error.reason)

    def _probe(self, blob: ProbedBlob, method: str, *, download: bool) -> Verdict:
        url = f"{self.url}/{blob.path}"
        with self._response(method, url) as response:
            status, length = response.status_code, content_length(response.headers)
            if status == 429 or (status >= 500 and status != 501):
                raise RegistryUnavailableError(f"{method} {redact(response.url)}: HTTP {status}")
            is_refused = method == "HEAD" and status in _HEAD_REFUSED
            if not is_refused:
                if status != 200:
                    return Verdict(MISSING, f"HTTP {status}")
                if length not in (None, blob.size):
                    return Verdict(WRONG, f"it has {length} bytes instead of {blob.size}")
                if download:
                    for _ in verify_chunks(self._chunks(response), blob.digest, blob.size):
                        pass
                    return Verdict(VERIFIED)
                if length is not None:
                    return Verdict(PRESENT)
        return self._probe(blob, "GET", download=not is_refused)

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        with connection_errors("GET", response.url, while_reading=True):
            for part in iter_parts(response, TIMEOUT, decoded=False):
                self._check_canceled()
                self._received(len(part))
                yield part

    @contextlib.contextmanager
    def _response(self, method: str, url: str) -> Iterator[requests.Response]:
        """Send a request, follow redirects, and yield the response with unread content."""
        for _ in range(MAX_REDIRECTS + 1):
            self._check_canceled()
            with connection_errors(method, url), logged_request(method, url) as outcome:
                response = self._session.request(
                    method,
                    url,
                    headers={"Accept-Encoding": "identity"},
                    timeout=(CONNECT_TIMEOUT, TIMEOUT),
                    auth=lambda request: request,  # or requests would read credentials from ~/.netrc
                    stream=True,
                    allow_redirects=False,
                )
                outcome.set(response.status_code)
            if response.status_code not in REDIRECTS:
                with response:
                    yield response
                return
            discard(response)
            url = resolve_url(url, response.headers.get("Location", ""))
            if urlsplit(url).scheme not in ("http", "https"):
                raise RegistryError(f"redirected to an unsupported URL: {redact(url)[:200]}")
        raise RegistryError(f"too many redirects: {redact(url)[:200]}")

    def _check_canceled(self) -> None:
        if self._canceled.is_set():
            raise RegistryError(self._cancel_reason)
