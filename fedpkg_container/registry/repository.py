# SPDX-License-Identifier: GPL-2.0-or-later
"""One repository of a registry: manifests, tags and blobs (OCI distribution specification 1.1)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from requests.utils import parse_header_links

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.model.reference import ImageReference, is_repository, is_tag
from fedpkg_container.registry.auth import CATALOG
from fedpkg_container.registry.digests import digest_of, validate_digest, verify_chunks
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import (
    MANIFEST_MEDIA_TYPES,
    MAX_MANIFEST_SIZE,
    Descriptor,
    ImageConfiguration,
    Manifest,
)
from fedpkg_container.registry.response import MAX_RESPONSE_SIZE, Response, Stream, redact, resolve_url

_ACCEPT = {"Accept": ", ".join(sorted(MANIFEST_MEDIA_TYPES))}
#: Entries per page of a listing, and maximum number of pages.
PAGE_SIZE = 1000
MAX_PAGES = 10_000
#: Maximum size of a blob that is read into memory, bytes (configurations, SBOMs).
MAX_BLOB_SIZE = 64 * 1024 * 1024


@dataclass(frozen=True)
class SizedStream:
    """Chunks of known total length, for a streamed upload.

    :param size: bytes
    """

    chunks: Iterable[bytes]
    size: int

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)


def pages(
    http: RegistryHTTP, path: str, key: str, repository: str, *, absent: tuple[int, ...] = ()
) -> Iterator[object]:
    """Yield the entries of a paginated listing.

    :param repository: repository of the listing; or ``CATALOG``
    :param absent: statuses that mean, like 404, that there is no such listing
    :raises NoSuchImageError: if there is no such listing
    :raises RegistryError: if the request fails, or the pages do not end
    """
    seen = set()
    for _ in range(MAX_PAGES):
        seen.add(path)
        response = http.request("GET", path, repository=repository, expected=(200, *absent))
        if response.status in absent:
            raise NoSuchImageError(f"{http.host} does not list {key}: {redact(path)} (HTTP {response.status})")
        entries = response.json(path).get(key) or []
        if not isinstance(entries, list):
            raise RegistryError(f"{http.host} returned an invalid list of {key}: {str(entries)[:200]!r}")
        yield from entries
        links = parse_header_links(response.headers.get("Link", ""))
        next_url = next((link["url"] for link in links if link.get("rel") == "next"), None)
        if next_url is None:
            return
        path = resolve_url(path, next_url)
        if path in seen:
            break
    raise RegistryError(f"{http.host} returned an endless list of {key}")


def repositories(http: RegistryHTTP) -> Iterator[str]:
    """Yield the repositories in a registry's catalog.

    :raises RegistryError: if the request fails, or a name is invalid
    """
    for name in pages(http, f"/v2/_catalog?n={PAGE_SIZE}", "repositories", CATALOG):
        if not isinstance(name, str) or not is_repository(name):
            raise RegistryError(f"the catalog of {http.host} has an invalid repository name: {str(name)[:300]!r}")
        yield name


@dataclass(frozen=True)
class Repository:
    """A repository; all methods raise ``RegistryError`` if a request fails.

    :param http: the registry; may be shared by threads
    :param name: without the registry, e.g. ``fedora/hello``
    """

    http: RegistryHTTP
    name: str

    @property
    def reference(self) -> ImageReference:
        """The repository as a reference."""
        return ImageReference(self.http.host, self.name)

    def head(self, name: str) -> str:
        """Return the current digest of a tag or digest; empty if it does not exist.

        :param name: tag or digest
        """
        try:
            response = self._request("HEAD", f"manifests/{name}", headers=_ACCEPT)
        except NoSuchImageError:
            return ""
        stated_digest = response.headers.get("Docker-Content-Digest")
        current = validate_digest(stated_digest) if stated_digest else self.manifest(name).digest
        if ":" in name and current != name:
            raise RegistryError(f"digest mismatch in {self.reference}: expected {name}, got {current}")
        return current

    def manifest(self, name: str) -> Manifest:
        """Return a manifest, verified against the requested digest.

        :param name: tag or digest
        :raises NoSuchImageError: if it does not exist
        """
        response = self._request("GET", f"manifests/{name}", headers=_ACCEPT, max_bytes=MAX_MANIFEST_SIZE)
        digest = name if ":" in name else ""
        manifest = Manifest.read(
            response.content, digest=digest, where=f"{self.reference}{'@' if digest else ':'}{name}"
        )
        if manifest.media_type not in MANIFEST_MEDIA_TYPES:
            raise RegistryError(f"{self.reference}: {name} has an unknown media type: {manifest.media_type[:100]!r}")
        return manifest

    def put_manifest(self, name: str, manifest: Manifest) -> Response:
        """Store a manifest under a tag, or under its digest; everything that it refers to must exist.

        :raises RegistryError: if the registry stored it under another digest
        """
        headers = {"Content-Type": manifest.media_type}
        path = f"manifests/{name}"
        response = self._request("PUT", path, headers=headers, content=manifest.raw, expected=(201, 202))
        stored = response.headers.get("Docker-Content-Digest", manifest.digest)
        if stored != manifest.digest:
            raise RegistryError(f"{self.reference} stored {name} as {stored[:200]!r} instead of {manifest.digest}")
        return response

    def delete_manifest(self, digest: str) -> bool:
        """Delete a manifest with all of its tags; return whether it existed.

        :raises RegistryError: if deletion is disabled
        """
        try:
            response = self._request("DELETE", f"manifests/{validate_digest(digest)}", expected=(200, 202, 405))
        except NoSuchImageError:
            return False
        if response.status == 405:
            raise RegistryError(
                f"deletion is disabled on {self.http.host}; {self.reference}@{digest} still exists",
                solution="enable it in the registry's configuration: storage.delete.enabled of docker-registry",
            )
        return True

    def tags(self) -> Iterator[str]:
        """Yield the tags; none if the repository does not exist."""
        with contextlib.suppress(NoSuchImageError):
            for tag in pages(self.http, f"/v2/{self.name}/tags/list?n={PAGE_SIZE}", "tags", self.name):
                if not isinstance(tag, str) or not is_tag(tag):
                    raise RegistryError(f"{self.reference} has an invalid tag: {str(tag)[:300]!r}")
                yield tag

    def has_blob(self, digest: str) -> bool:
        """Return whether a blob exists."""
        try:
            # Registries with external storage redirect HEAD to it as they do GET.
            self._request("HEAD", f"blobs/{validate_digest(digest)}", allow_cross_host_redirect=True)
        except NoSuchImageError:
            return False
        return True

    def mount(self, digest: str, source: str) -> bool:
        """Mount a blob of another repository of this registry; return whether the registry did so.

        :param source: the other repository
        """
        path = f"blobs/uploads/?mount={quote(validate_digest(digest), safe='')}&from={quote(source, safe='')}"
        response = self._request("POST", path, source=source, expected=(201, 202))
        if response.status == 202:  # the registry started an upload instead: cancel it
            with contextlib.suppress(RegistryError):
                location = response.headers.get("Location", "")
                self.http.request("DELETE", location, repository=self.name, expected=(200, 202, 204))
        return response.status == 201

    def upload(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Upload a blob from chunks, verifying its digest on the way.

        :raises RegistryError: if the content does not match, or the registry rejects it
        """
        self._upload(blob.digest, SizedStream(verify_chunks(chunks, blob.digest, blob.size), blob.size))

    def push(self, content: bytes) -> str:
        """Store a small blob unless it exists, and return its digest.

        A retry checks first whether the blob was stored: an upload URL can be used once.
        """
        digest = digest_of(content)

        def attempt() -> None:
            if not self.has_blob(digest):
                self._upload(digest, SizedStream((content,) if content else (), len(content)))

        self.http.retry(attempt)
        return digest

    def open_blob(self, digest: str, *, offset: int = 0) -> contextlib.AbstractContextManager[Stream]:
        """Open a blob for reading; the caller must verify its digest.

        :param offset: bytes to skip, if the registry supports it (then the response's status is 206)
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        path = f"/v2/{self.name}/blobs/{validate_digest(digest)}"
        return self.http.stream(path, repository=self.name, headers={**headers, "Accept-Encoding": "identity"})

    def blob(self, blob: Descriptor) -> bytes:
        """Return the content of a small blob.

        :raises RegistryError: if it does not exist, is too long, or has a different digest
        """
        if blob.size > MAX_BLOB_SIZE:
            raise RegistryError(f"{self.reference}@{blob.digest} is longer than {MAX_BLOB_SIZE} bytes")

        def attempt() -> bytes:
            with self.open_blob(blob.digest) as stream:
                return b"".join(verify_chunks(stream.chunks, blob.digest, blob.size))

        return self.http.retry(attempt)

    def labels(self, image: Manifest) -> dict[str, str]:
        """Return the labels of an image; empty for an index.

        :raises RegistryUnavailableError: if the registry is unavailable
        :raises RegistryError: if the configuration does not exist or is invalid
        """
        if not image.blobs:
            return {}
        raw = self.blob(image.blobs[0])
        return ImageConfiguration.read(raw, where=str(self.reference.at(image.digest))).labels

    def _upload(self, digest: str, content: SizedStream) -> None:
        started = self._request("POST", "blobs/uploads/", expected=(202,))
        location = started.headers.get("Location", "")
        self.http.request(
            "PUT",
            f"{location}{'&' if '?' in location else '?'}digest={quote(digest, safe='')}",
            repository=self.name,
            headers={"Content-Type": "application/octet-stream"},
            # An empty stream would be sent without a Content-Length.
            content=content if content.size else b"".join(content),
            expected=(201,),
        )

    def _request(
        self,
        method: str,
        path: str,
        *,
        source: str = "",
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        expected: tuple[int, ...] = (200,),
        max_bytes: int = MAX_RESPONSE_SIZE,
        allow_cross_host_redirect: bool = False,
    ) -> Response:
        return self.http.request(
            method,
            f"/v2/{self.name}/{path}",
            repository=self.name,
            source=source,
            headers=headers,
            content=content,
            expected=expected,
            max_bytes=max_bytes,
            allow_cross_host_redirect=allow_cross_host_redirect,
        )
