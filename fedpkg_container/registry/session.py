# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to a registry and to hosts that it redirects to: TLS trust, client certificates and shutdown.

Certificates are stored in podman's layout (containers-certs.d(5)): a directory per registry with certificates of
authorities (``*.crt``), trusted in addition to the system's, and client certificates (``*.cert`` with ``*.key``).
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.address_guard import AddressGuard
from fedpkg_container.registry.credentials import normalize_host
from fedpkg_container.text import reason_text

#: Maximum number of pooled connections: as many as there may be threads.
MAX_CONNECTIONS = 128
#: Maximum time for the headers of a response if a request has no timeout, seconds.
MAX_HEADER_TIME = 300.0
#: podman's and docker's directories with certificates of registries; the user's first.
DIRECTORIES = (Path("~/.config/containers/certs.d"), Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


class Session(requests.Session):
    """Connections to one registry and to hosts that it redirects to; thread-safe.

    As in skopeo, the registry's authorities are trusted for all of them, since its token server and storage belong to
    the same site. Its client certificate is presented to the registry only. Redirects are neither followed nor read.

    :param host: the registry, host and port
    :param certificates: its directory; None: podman's, as for any other host
    :param guard: filter for IP addresses; None: any
    """

    def __init__(self, host: str, certificates: Path | None, guard: AddressGuard | None = None) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # a server could fill the memory with them
        self._guard = guard
        self._host, self._certificates = normalize_host(host), certificates or _certificate_directory(host)
        self._adapters: dict[str, HTTPAdapter] = {}
        self._lock = threading.Lock()
        self._sockets = OpenSockets()

    def get_adapter(self, url: str | bytes) -> HTTPAdapter:
        """Return the adapter for the host of a URL.

        :raises ConfigurationError: if its certificates cannot be used
        """
        host = urlsplit(url if isinstance(url, str) else url.decode()).netloc
        with self._lock:
            if host not in self._adapters:
                directory = self._certificates if normalize_host(host) == self._host else _certificate_directory(host)
                self._adapters[host] = _Adapter(
                    _files(self._certificates), _files(directory), self._sockets, self._guard
                )
            return self._adapters[host]

    def merge_environment_settings(self, url: Any, *arguments: Any, **settings: Any) -> Any:
        """Return requests' settings for a URL; a proxy of the environment is used for trusted hosts only.

        For other hosts a proxy would bypass the guard.
        """
        merged = super().merge_environment_settings(url, *arguments, **settings)
        if self._guard is not None and not self._guard.trusts(urlsplit(url).netloc):
            merged["proxies"] = {}
        return merged

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        """Return None for any response."""
        return

    def shutdown(self) -> None:
        """Shut down all connections, including those on which a thread waits."""
        self._sockets.shutdown()

    def close(self) -> None:
        """Close idle connections."""
        for adapter in self._adapters.values():
            adapter.close()
        super().close()


class OpenSockets:
    """Sockets of all open connections, also those handed over to a response; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_shut_down = False

    def add(self, sock: object) -> None:
        """Add a socket; it is shut down at once after ``shutdown``."""
        if isinstance(sock, socket.socket):
            with self._lock:
                self._sockets.add(sock)
                if self._is_shut_down:
                    _shut_down(sock)

    def shutdown(self) -> None:
        """Shut down all sockets, including those on which a thread waits, and any that are added later."""
        with self._lock:
            self._is_shut_down = True
            for sock in self._sockets:
                _shut_down(sock)

    def pool_class(self, base: type[HTTPConnectionPool], guard: AddressGuard | None) -> type[HTTPConnectionPool]:
        """Return a connection pool class whose connections are tracked here and limited to allowed addresses.

        :param guard: None: all addresses are allowed
        """
        sockets = self

        class Connection(base.ConnectionCls):  # type: ignore[name-defined, misc]
            response_class = _Response

            def connect(self) -> None:
                self._raw_socket: socket.socket | None = None
                try:
                    super().connect()
                finally:
                    if self._raw_socket is not None:
                        self._raw_socket.close()
                sockets.add(self.sock)

            def _new_conn(self) -> Any:
                sock = self._connected() if guard is not None else super()._new_conn()
                # TLS replaces the socket before its handshake, in which a server can hang as well.
                self._raw_socket = sock.dup()
                sockets.add(self._raw_socket)
                return sock

            def _connected(self) -> Any:
                """Connect to the first allowed address of the host that responds."""
                assert guard is not None
                self._dns_host: str
                host = self._dns_host
                try:
                    addresses = guard.addresses(host, self.port)
                except OSError as error:
                    raise NewConnectionError(self, f"Failed to resolve {host!r}: {error}") from error
                for number, address in enumerate(addresses, 1):
                    self._dns_host = address
                    try:
                        return super()._new_conn()
                    except (NewConnectionError, ConnectTimeoutError):
                        if number == len(addresses):
                            raise
                    finally:
                        self._dns_host = host
                raise NewConnectionError(self, f"Failed to resolve {host!r}: it has no address")

        class Pool(base):  # type: ignore[valid-type, misc]
            ConnectionCls = Connection

        return Pool


class _Response(http.client.HTTPResponse):
    """A response whose headers are received within the timeout of the socket."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_SocketReader(sock, self.fp.detach()))

    def begin(self) -> None:
        """Receive the headers."""
        assert isinstance(self.fp.raw, _SocketReader)
        with self.fp.raw.limited():
            super().begin()


class _SocketReader(io.RawIOBase):
    """The raw stream of a socket, which can limit the time of several reads without a thread for each response."""

    def __init__(self, sock: socket.socket, stream: io.RawIOBase) -> None:
        super().__init__()
        self._sock, self._stream = sock, stream
        self._end: float | None = None

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """Let the timeout of the socket apply to the whole block, and not to each part that is received in it."""
        timeout = self._sock.gettimeout()
        self._end = time.monotonic() + (timeout or MAX_HEADER_TIME)
        try:
            yield
        finally:
            self._end = None
            with contextlib.suppress(OSError):  # already closed
                self._sock.settimeout(timeout)

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived, or wait for it.

        :raises socket.timeout: if that takes longer than the timeout, or the limited block
        """
        if self._end is not None:
            remaining = self._end - time.monotonic()
            if remaining <= 0:
                raise socket.timeout("timed out")
            self._sock.settimeout(remaining)
        return self._stream.readinto(buffer)

    def readable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._stream.fileno()

    def close(self) -> None:
        """Close the stream; the socket is closed with its connection."""
        self._stream.close()
        super().close()


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already closed
        # Not ssl's method, which would replace the object that another thread is reading from.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Connects to one host.

    :param trusted: certificate files of the registry, of which the authorities are used
    :param certificates: certificate files of the host
    :param sockets: tracks the connections
    :param guard: filter for IP addresses; None: any
    """

    def __init__(
        self,
        trusted: tuple[Path, ...],
        certificates: tuple[Path, ...],
        sockets: OpenSockets,
        guard: AddressGuard | None,
    ) -> None:
        authorities = tuple(dict.fromkeys(path for path in (*trusted, *certificates) if path.suffix == ".crt"))
        client_certificate = next(
            (path for path in certificates if path.suffix == ".cert" and path.with_suffix(".key") in certificates), None
        )
        self._has_authorities = bool(authorities)
        self._context = _context(
            tuple(_with_mtimes(authorities)), tuple(_with_mtimes((client_certificate,) if client_certificate else ()))
        )
        self._sockets, self._guard = sockets, guard
        super().__init__(pool_maxsize=MAX_CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Use the certificates for all connections."""
        super().init_poolmanager(*arguments, **settings, ssl_context=self._context)
        bases = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {
            scheme: self._sockets.pool_class(base, self._guard) for scheme, base in bases.items()
        }

    def send(self, *arguments: Any, **settings: Any) -> requests.Response:
        """Send a request; ``REQUESTS_CA_BUNDLE`` is ignored for a host with its own authorities."""
        return super().send(*arguments, **{**settings, **({"verify": True} if self._has_authorities else {})})

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Verify against the loaded context; requests would load the CA bundle again for each connection."""
        if verify is True:
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


def _certificate_directory(host: str) -> Path | None:
    """Return the certificate directory of a host; None if there is none."""
    directories = (directory.expanduser() / host for directory in DIRECTORIES)
    return next((directory for directory in directories if directory.is_dir()), None)


def _files(directory: Path | None) -> tuple[Path, ...]:
    return (
        tuple(sorted(path for path in directory.iterdir() if path.is_file()))
        if directory and directory.is_dir()
        else ()
    )


def _with_mtimes(paths: tuple[Path, ...]) -> Iterator[tuple[Path, int]]:
    for path in paths:
        yield path, path.stat().st_mtime_ns


class _Context(ssl.SSLContext):
    """TLS context for concurrent connections.

    urllib3 sets the ALPN protocols of a context for each connection, while OpenSSL may read them for another one.
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Ignore the call: without ALPN the protocol is HTTP/1.1."""


@functools.lru_cache(maxsize=32)
def _context(
    authorities: tuple[tuple[Path, int], ...], client_certificate: tuple[tuple[Path, int], ...]
) -> ssl.SSLContext:
    """Return a TLS context; cached, because loading the system's authorities takes as long as many requests.

    :param authorities: files with their modification times
    :param client_certificate: the file of the client certificate, next to its key; empty for none
    :raises ConfigurationError: if a file cannot be used
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    for path, _ in authorities:
        with _certificate_errors(path):
            context.load_verify_locations(path)
    for path, _ in client_certificate:
        with _certificate_errors(path):
            context.load_cert_chain(path, path.with_suffix(".key"))
    return context


@contextlib.contextmanager
def _certificate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # base classes of ssl's errors
        raise ConfigurationError(
            f"{path} cannot be used: {reason_text(error)}",
            solution="use PEM files for certificates and keys; see containers-certs.d(5)",
        ) from error
