"""Connections to a registry and to servers to which it sends on: whom they trust, what they show, and their end.

Certificates are kept as podman keeps them. A folder of a registry (containers-certs.d(5)) has certificates of
authorities, ``*.crt``, which are trusted besides those of the system, and pairs of ``*.cert`` and ``*.key``, with which
a client shows who it is.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
import weakref
from collections.abc import Iterable, Iterator
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
from fedpkg_container.registry.credentials import plain

#: Connections that are kept: as many as there may be threads.
CONNECTIONS = 128
#: Where podman and docker keep certificates of registries, when no folder is named; the user's own come first.
FOLDERS = (Path("~/.config/containers/certs.d"), Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


class Session(requests.Session):
    """Connections to one registry and to servers to which it sends on; for several threads.

    The registry's authorities are trusted for all of them, as skopeo does: its server of tokens, and its storage, are
    of the same site. Its client certificate is shown to it alone. No redirections are followed, and their content,
    however long, is not read to find out where they lead.

    :param host: the registry, host and port
    :param certificates: its folder; None: where podman keeps it, as for any other host
    :param guard: which addresses are connected to; None: any
    """

    def __init__(self, host: str, certificates: Path | None, guard: AddressGuard | None = None) -> None:
        super().__init__()
        self._guard = guard
        self._host, self._own = plain(host), certificates or _found(host)
        self._adapters: dict[str, HTTPAdapter] = {}
        self._making = threading.Lock()
        self._open = Opened()

    def get_adapter(self, url: str | bytes) -> HTTPAdapter:
        """What connects to the host of an address.

        :raises ConfigurationError: its certificates cannot be used
        """
        host = urlsplit(url if isinstance(url, str) else url.decode()).netloc
        with self._making:
            if host not in self._adapters:
                folder = self._own if plain(host) == self._host else _found(host)
                self._adapters[host] = _Adapter(_files(self._own), _files(folder), self._open, self._guard)
            return self._adapters[host]

    def merge_environment_settings(self, url: Any, *arguments: Any, **settings: Any) -> Any:
        """Return requests' settings for an address; the environment's proxy is used for hosts of the site alone.

        A proxy would connect to the others in its own name, past the guard.
        """
        merged = super().merge_environment_settings(url, *arguments, **settings)
        if self._guard is not None and not self._guard.trusts(urlsplit(url).netloc):
            merged["proxies"] = {}
        return merged

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        """None, whatever the answer."""
        return

    def cut(self) -> None:
        """Break every connection, also those on which a thread waits."""
        self._open.cut()

    def close(self) -> None:
        """Close all connections that nobody uses."""
        for each in self._adapters.values():
            each.close()
        super().close()


class Opened:
    """Sockets of the connections that are open, also when a connection leaves its one to an answer; for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_cut = False

    def add(self, sock: object) -> None:
        """One more; it is broken at once after ``cut``."""
        if isinstance(sock, socket.socket):
            with self._lock:
                self._known.add(sock)
                if self._is_cut:
                    _break(sock)

    def cut(self) -> None:
        """Break all of them, also those on which a thread waits, and those that are still to come."""
        with self._lock:
            self._is_cut = True
            for each in self._known:
                _break(each)

    def watching(self, kind: type[HTTPConnectionPool], guard: AddressGuard | None) -> type[HTTPConnectionPool]:
        """The same kind of pools, with connections that are known here, to addresses that the guard allows.

        :param guard: None: all addresses are allowed
        """
        opened = self

        class Connection(kind.ConnectionCls):  # type: ignore[name-defined, misc]
            def connect(self) -> None:
                self._early: socket.socket | None = None
                try:
                    super().connect()
                finally:
                    if self._early is not None:
                        self._early.close()
                opened.add(self.sock)

            def _new_conn(self) -> Any:
                found = self._connected() if guard is not None else super()._new_conn()
                # TLS takes the socket over before its handshake, in which a server can be slow as well.
                self._early = found.dup()
                opened.add(self._early)
                return found

            def _connected(self) -> Any:
                """Connect to the first address of the host that is allowed and answers, as ``super`` does to any."""
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

        class Pool(kind):  # type: ignore[valid-type, misc]
            ConnectionCls = Connection

        return Pool


def _break(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        # Not ssl's own, which would take away what a thread is reading with.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Connects to one host.

    :param trusted: files of the registry, of which its authorities count
    :param own: files of the host
    :param opened: what keeps its connections in view
    :param guard: which addresses are connected to; None: any
    """

    def __init__(
        self, trusted: tuple[Path, ...], own: tuple[Path, ...], opened: Opened, guard: AddressGuard | None
    ) -> None:
        authorities = tuple(dict.fromkeys(each for each in (*trusted, *own) if each.suffix == ".crt"))
        shown = next((each for each in own if each.suffix == ".cert" and each.with_suffix(".key") in own), None)
        self._has_own = bool(authorities)
        self._context = _context(tuple(_versions(authorities)), tuple(_versions((shown,) if shown else ())))
        self._opened, self._guard = opened, guard
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Have connections made with the certificates."""
        super().init_poolmanager(*arguments, **settings, ssl_context=self._context)
        kinds = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {
            scheme: self._opened.watching(kind, self._guard) for scheme, kind in kinds.items()
        }

    def send(self, *arguments: Any, **settings: Any) -> requests.Response:
        """Send a request; a host with certificates of its own is not asked for others (``REQUESTS_CA_BUNDLE``)."""
        return super().send(*arguments, **{**settings, **({"verify": True} if self._has_own else {})})

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Have the host's certificate checked with what is loaded already; requests would load more each time."""
        if verify is True:
            conn.cert_reqs = "CERT_REQUIRED"
        else:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


def _found(host: str) -> Path | None:
    """The folder of a host; None when it has none."""
    folders = (each.expanduser() / host for each in FOLDERS)
    return next((each for each in folders if each.is_dir()), None)


def _files(folder: Path | None) -> tuple[Path, ...]:
    return tuple(sorted(each for each in folder.iterdir() if each.is_file())) if folder and folder.is_dir() else ()


def _versions(paths: tuple[Path, ...]) -> Iterator[tuple[Path, int]]:
    for path in paths:
        yield path, path.stat().st_mtime_ns


class _Context(ssl.SSLContext):
    """A context for many connections at the same time.

    urllib3 sets the protocols of its contexts anew for each connection, while OpenSSL reads them for another one.
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Leave them as they are: HTTP/1.1, which is spoken where none are named."""


@functools.lru_cache(maxsize=32)
def _context(authorities: tuple[tuple[Path, int], ...], shown: tuple[tuple[Path, int], ...]) -> ssl.SSLContext:
    """What is trusted, and shown; to read what the system trusts takes as long as many requests, so it is kept.

    :param authorities: files, and when each was written
    :param shown: the file of the client's certificate, beside its key; none for none
    :raises ConfigurationError: one cannot be used
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    for path, _ in authorities:
        with _problems(path):
            context.load_verify_locations(path)
    for path, _ in shown:
        with _problems(path):
            context.load_cert_chain(path, path.with_suffix(".key"))
    return context


@contextlib.contextmanager
def _problems(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ssl's errors are of these
        raise ConfigurationError(
            f"{path} cannot be used: {error}", solution="certificates and keys are PEM; see containers-certs.d(5)"
        ) from error
