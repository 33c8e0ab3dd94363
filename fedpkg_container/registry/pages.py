# SPDX-License-Identifier: GPL-2.0-or-later
"""Paginated listings of a registry (OCI distribution specification 1.1), and its list of repositories."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

from requests.utils import parse_header_links

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError, UnexpectedResponseError
from fedpkg_container.model.reference import is_repository
from fedpkg_container.registry.auth import CATALOG
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.response import redact, resolve_url

#: Entries per page of a listing, and maximum number of pages.
PAGE_SIZE = 1000
MAX_PAGES = 10_000


def pages(http: RegistryHTTP, path: str, key: str, repository: str) -> Iterator[object]:
    """Yield the entries of a paginated listing.

    :param path: if it requests a number of entries (``n``) that the registry rejects, the registry chooses the number
    :param repository: repository of the listing; or ``CATALOG``
    :raises NoSuchImageError: if there is no such listing
    :raises UnexpectedResponseError: if the response is not a listing
    :raises RegistryError: if the request fails, or the pages do not end
    """
    seen = set()
    for _ in range(MAX_PAGES):
        seen.add(path)
        try:
            response = http.request("GET", path, repository=repository)
        except UnexpectedResponseError as error:
            if error.status != 400 or _without_number(path) == path:
                raise
            path = _without_number(path)
            response = http.request("GET", path, repository=repository)
        entries = response.json(redact(path)).get(key) or []
        if not isinstance(entries, list):
            raise UnexpectedResponseError(
                f"{http.host} returned an invalid list of {key}: {str(entries)[:200]!r}", status=response.status
            )
        yield from entries
        links = parse_header_links(response.headers.get("Link", ""))
        next_url = next((link["url"] for link in links if link.get("rel") == "next"), None)
        if next_url is None:
            return
        path = resolve_url(path, next_url)
        if path in seen:
            break
    raise RegistryError(f"{http.host} returned an endless list of {key}")


def _without_number(path: str) -> str:
    """Return the path of a listing without the requested number of entries."""
    parts = urlsplit(path)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name != "n"])
    return parts._replace(query=query).geturl()


def repositories(http: RegistryHTTP) -> Iterator[str]:
    """Yield the repositories in a registry's catalog.

    :raises UnexpectedResponseError: if it has none, or the account may not read it
    :raises RegistryError: if the request fails, or a name is invalid
    """
    for name in _catalog(http):
        if not isinstance(name, str) or not is_repository(name):
            raise RegistryError(f"the catalog of {http.host} has an invalid repository name: {str(name)[:300]!r}")
        yield name


def _catalog(http: RegistryHTTP) -> Iterator[object]:
    try:
        yield from pages(http, f"/v2/_catalog?n={PAGE_SIZE}", "repositories", CATALOG)
    except (NoSuchImageError, UnexpectedResponseError) as error:
        raise UnexpectedResponseError(
            f"{http.host} does not list its repositories: {error.reason}",
            solution="allow the account to list them; if the registry has no such list, name the repositories, in"
            " [mirror] without wildcards",
        ) from error


def is_down(http: RegistryHTTP) -> bool:
    """Return whether a registry does not respond at all: then requests about further repositories would fail too."""
    try:
        http.request("GET", "/v2/", expected=(200, 401, 403))
    except RegistryUnavailableError:
        return True
    except RegistryError:  # the registry responds
        return False
    return False
