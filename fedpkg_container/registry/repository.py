# SPDX-License-Identifier: GPL-2.0-or-later
"""One repository of a registry: manifests, tags and blobs (OCI distribution specification 1.1)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from fedpkg_container.errors import (
    AccessDeniedError,
    NoSuchImageError,
    RegistryError,
    UnexpectedResponseError,
)
from fedpkg_container.model.reference import ImageReference, is_tag
from fedpkg_container.registry.digests import digest_of, validate_digest, verify_chunks
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import (
    ARTIFACT_MANIFEST,
    MANIFEST_MEDIA_TYPES,
    MAX_MANIFEST_SIZE,
    Descriptor,
    ImageConfiguration,
    Manifest,
)
from fedpkg_container.registry.pages import PAGE_SIZE, pages
from fedpkg_container.registry.response import MAX_RESPONSE_SIZE, Response, Stream

_ACCEPT = {"Accept": ", ".join(sorted(MANIFEST_MEDIA_TYPES))}
#: Statuses of a mount: done, an upload started instead, or not possible; after any other the request is retried.
_MOUNTED = 201
_MOUNT_STATUSES = (_MOUNTED, 200, 202, 400, 401, 403, 404, 405, 409, 412, 415, 500, 501)
#: Statuses of an accepted request; registries differ in the one that they send.
_ACCEPTED = (200, 201, 202, 204)
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
        except AccessDeniedError:
            if self._denies_instead_of_missing(name):
                return ""
            raise
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

    def pushed_manifest(self, digest: str) -> Manifest:
        """Return a manifest that was pushed before; wait for a registry that shows it late.

        :raises NoSuchImageError: if it does not exist after the retry timeout
        """
        with contextlib.suppress(NoSuchImageError):
            return self.manifest(digest)
        self.http.wait_until(lambda: bool(self.head(digest)))
        return self.manifest(digest)

    def put_manifest(self, name: str, manifest: Manifest) -> Response:
        """Store a manifest under a tag, or under its digest; everything that it refers to must exist.

        :raises RegistryError: if the registry stored it under another digest
        """
        headers = {"Content-Type": manifest.media_type}
        path = f"manifests/{name}"
        response = self._request("PUT", path, headers=headers, content=manifest.raw, expected=_ACCEPTED)
        stored = response.headers.get("Docker-Content-Digest", manifest.digest)
        if stored != manifest.digest:
            raise RegistryError(f"{self.reference} stored {name} as {stored[:200]!r} instead of {manifest.digest}")
        return response

    def _denies_instead_of_missing(self, name: str) -> bool:
        """Return whether the registry denied a request for a manifest only because it does not exist.

        Artifactory does. An account that may not read the repository cannot list its tags either.
        """
        try:
            tags = list(self._list_tags())
        except NoSuchImageError:
            return True
        except AccessDeniedError:
            return False
        return name not in tags

    def delete_manifest(self, digest: str) -> bool:
        """Delete a manifest with all of its tags, and check that it is gone; return whether it existed.

        :raises RegistryError: if it still exists
        """
        try:
            self._delete(digest)
        except (NoSuchImageError, UnexpectedResponseError) as error:
            if not self.head(digest):
                return False
            raise self._not_deleted(digest, error) from error
        if not self.http.wait_until(lambda: not self.head(digest)):
            raise RegistryError(
                f"{self.reference}@{digest} still exists after it was deleted",
                solution="check it later: the registry may delete it with a delay, or keep deleted images",
            )
        return True

    def _delete(self, digest: str) -> None:
        """Request the deletion of a manifest; delete its tags first if the registry requires that, as Google's do."""
        path = f"manifests/{validate_digest(digest)}"
        try:
            self._request("DELETE", path, expected=_ACCEPTED)
        except UnexpectedResponseError as error:
            if not any("TAG" in code for code in error.codes):
                raise
            for tag in self.tags():
                if self.head(tag) == digest:
                    self._request("DELETE", f"manifests/{tag}", expected=_ACCEPTED)
            self._request("DELETE", path, expected=_ACCEPTED)

    def _not_deleted(self, digest: str, error: RegistryError) -> RegistryError:
        exists = f"{self.reference}@{digest} still exists"
        if isinstance(error, AccessDeniedError):
            return AccessDeniedError(f"{error.reason}; {exists}", solution=error.solution, status=error.status)
        if isinstance(error, NoSuchImageError) or (isinstance(error, UnexpectedResponseError) and error.status == 405):
            return RegistryError(
                f"deletion is disabled on {self.http.host}; {exists}",
                solution="enable it in the registry's configuration: storage.delete.enabled of docker-registry; hosted"
                " registries may require their own interface",
            )
        return RegistryError(f"{error.reason}; {exists}", solution=error.solution)

    def tags(self) -> Iterator[str]:
        """Yield the tags; none if the repository does not exist."""
        with contextlib.suppress(NoSuchImageError):
            yield from self._list_tags()

    def _list_tags(self) -> Iterator[str]:
        """Yield the tags.

        :raises NoSuchImageError: if the repository does not exist
        """
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
        except UnexpectedResponseError:  # e.g. a URL that is signed for GET only
            return self._can_read_blob(digest)
        return True

    def _can_read_blob(self, digest: str) -> bool:
        """Return whether the first byte of a blob can be read."""
        path, headers = f"/v2/{self.name}/blobs/{validate_digest(digest)}", {"Range": "bytes=0-0"}
        try:
            with self.http.stream(path, repository=self.name, headers=headers):
                return True
        except NoSuchImageError:
            return False
        except AccessDeniedError:
            if self._denies_instead_of_missing(digest):
                return False
            raise

    def mount(self, digest: str, source: str) -> bool:
        """Mount a blob of another repository of this registry; return whether the registry did so.

        Of each pair of repositories, the first mount that a registry reports as done is checked: some have no effect.

        :param source: the other repository
        """
        pair = (source, self.name)
        if self.http.mounts.get(pair):
            return self._request_mount(digest, source)
        with self.http.mount_lock:
            if pair not in self.http.mounts:
                if not self._request_mount(digest, source):
                    return False
                self.http.mounts[pair] = self.has_blob(digest)
                return self.http.mounts[pair]
        return self.http.mounts[pair] and self._request_mount(digest, source)

    def _request_mount(self, digest: str, source: str) -> bool:
        path = f"blobs/uploads/?mount={quote(validate_digest(digest), safe='')}&from={quote(source, safe='')}"
        response = self._request("POST", path, source=source, expected=_MOUNT_STATUSES)
        if response.status in (200, 202):  # the registry started an upload instead: cancel it
            with contextlib.suppress(RegistryError):
                location = response.headers.get("Location", "")
                self.http.request("DELETE", location, repository=self.name, expected=_ACCEPTED)
        return response.status == _MOUNTED

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

    def push_described(self, content: bytes, media_type: str) -> dict[str, object]:
        """Store a small blob unless it exists, and return its descriptor for a manifest."""
        return {"mediaType": media_type, "digest": self.push(content), "size": len(content)}

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
        """Return the labels of an image; empty for an index, or an artifact without configuration.

        :raises RegistryUnavailableError: if the registry is unavailable
        :raises RegistryError: if the configuration does not exist or is invalid
        """
        if not image.blobs or image.media_type == ARTIFACT_MANIFEST:
            return {}
        raw = self.blob(image.blobs[0])
        return ImageConfiguration.read(raw, where=str(self.reference.at(image.digest))).labels

    def _upload(self, digest: str, content: SizedStream) -> None:
        started = self._request("POST", "blobs/uploads/", expected=_ACCEPTED)
        location = started.headers.get("Location", "")
        if not location:
            raise UnexpectedResponseError(
                f"{self.http.host} started an upload to {self.reference} without naming its address (Location)",
                status=started.status,
            )
        self.http.request(
            "PUT",
            f"{location}{'&' if '?' in location else '?'}digest={quote(digest, safe='')}",
            repository=self.name,
            headers={"Content-Type": "application/octet-stream"},
            # An empty stream would be sent without a Content-Length.
            content=content if content.size else b"".join(content),
            expected=_ACCEPTED,
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
