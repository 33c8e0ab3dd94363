"""Whom connections to registries trust, and what they show of themselves: certificates, kept as podman keeps them.

A folder of a registry (containers-certs.d(5)) has certificates of authorities, ``*.crt``, which are trusted besides
those of the system, and pairs of ``*.cert`` and ``*.key``, with which a client shows who it is.
"""

from __future__ import annotations

import functools
import ssl
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util import create_urllib3_context

from fedpkg_container.errors import ConfigurationError

#: Connections that are kept: as many as there may be threads.
CONNECTIONS = 32
#: Where podman and docker keep certificates of registries, when no folder is named; the user's own come first.
FOLDERS = (Path("~/.config/containers/certs.d"), Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


class Session(requests.Session):
    """Connections to one registry and to servers to which it sends on; each host has its own certificates.

    No redirections are followed, and their content, however long, is not read to find out where they lead.

    :param host: the registry, host and port
    :param certificates: its folder; None: where podman keeps it, as for any other host
    """

    def __init__(self, host: str, certificates: Path | None) -> None:
        super().__init__()
        self._folders = {host.lower(): certificates} if certificates else {}
        self._known: dict[str, HTTPAdapter] = {}
        self._making = threading.Lock()

    def get_adapter(self, url: str | bytes) -> HTTPAdapter:
        """What connects to the host of an address.

        :raises ConfigurationError: its certificates cannot be used
        """
        parts = urlsplit(url if isinstance(url, str) else url.decode())
        key = f"{parts.scheme}://{parts.netloc}".lower()
        with self._making:
            if key not in self._known:
                self._known[key] = _Adapter(self._folders.get(parts.netloc.lower()) or _found(parts.netloc))
            return self._known[key]

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        """None, whatever the answer."""
        return

    def close(self) -> None:
        """Close all connections."""
        for each in self._known.values():
            each.close()
        super().close()


class _Adapter(HTTPAdapter):
    """Connects to one host.

    :param folder: its certificates; None: those of the system are all
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        files = sorted(each for each in folder.iterdir() if each.is_file()) if folder else []
        self._context = _context(*((each, each.stat().st_mtime_ns) for each in files))
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Have connections made with the certificates."""
        super().init_poolmanager(*arguments, **settings, ssl_context=self._context)

    def send(self, *arguments: Any, **settings: Any) -> requests.Response:
        """Send a request; a host with certificates of its own is not asked for others (``REQUESTS_CA_BUNDLE``)."""
        return super().send(*arguments, **{**settings, **({"verify": True} if self._folder else {})})

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


@functools.lru_cache(maxsize=32)
def _context(*files: tuple[Path, int]) -> ssl.SSLContext:
    """What is trusted, and shown; to read what the system trusts takes as long as many requests, so it is kept.

    :param files: of a folder, and when each was written
    :raises ConfigurationError: one cannot be used
    """
    context = create_urllib3_context()
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    paths = [path for path, _ in files]
    own = next((each for each in paths if each.suffix == ".cert" and each.with_suffix(".key") in paths), None)
    for path in (*(each for each in paths if each.suffix == ".crt"), *filter(None, [own])):
        try:
            if path is own:
                context.load_cert_chain(path, path.with_suffix(".key"))
            else:
                context.load_verify_locations(path)
        except (OSError, ValueError) as error:  # ssl's errors are of these
            raise ConfigurationError(
                f"{path} cannot be used: {error}", solution="certificates and keys are PEM; see containers-certs.d(5)"
            ) from error
    return context
