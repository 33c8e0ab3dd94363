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
from fedpkg_container.registry.digests import checked, digest_of, hashed
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.manifests import KINDS, LONGEST_MANIFEST, Descriptor, ImageConfiguration, Manifest
from fedpkg_container.registry.response import LONGEST, Answer, Stream, joined, shown

_ACCEPT = {"Accept": ", ".join(sorted(KINDS))}
#: Entries per page of a listing, and maximum number of pages.
PAGE = 1000
PAGES = 10_000
#: Maximum size of a blob that is read into memory, bytes (configurations, SBOMs).
LONGEST_BLOB = 64 * 1024 * 1024


@dataclass(frozen=True)
class Sized:
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
    for _ in range(PAGES):
        seen.add(path)
        answer = http.request("GET", path, repository=repository, expected=(200, *absent))
        if answer.status in absent:
            raise NoSuchImageError(f"{http.host} does not list {key}: {shown(path)} (HTTP {answer.status})")
        listed = answer.json(path).get(key) or []
        if not isinstance(listed, list):
            raise RegistryError(f"{http.host} returned an invalid list of {key}: {str(listed)[:200]!r}")
        yield from listed
        links = parse_header_links(answer.headers.get("Link", ""))
        following = next((each["url"] for each in links if each.get("rel") == "next"), None)
        if following is None:
            return
        path = joined(path, following)
        if path in seen:
            break
    raise RegistryError(f"{http.host} returned an endless list of {key}")


def repositories(http: RegistryHTTP) -> Iterator[str]:
    """Yield the repositories in a registry's catalog.

    :raises RegistryError: if the request fails, or a name is invalid
    """
    for name in pages(http, f"/v2/_catalog?n={PAGE}", "repositories", CATALOG):
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
            answer = self._request("HEAD", f"manifests/{name}", headers=_ACCEPT)
        except NoSuchImageError:
            return ""
        stated = answer.headers.get("Docker-Content-Digest")
        found = checked(stated) if stated else self.manifest(name).digest
        if ":" in name and found != name:
            raise RegistryError(f"digest mismatch in {self.reference}: expected {name}, got {found}")
        return found

    def manifest(self, name: str) -> Manifest:
        """Return a manifest, verified against the requested digest.

        :param name: tag or digest
        :raises NoSuchImageError: if it does not exist
        """
        answer = self._request("GET", f"manifests/{name}", headers=_ACCEPT, longest=LONGEST_MANIFEST)
        digest = name if ":" in name else ""
        found = Manifest.read(answer.content, digest=digest, where=f"{self.reference}{'@' if digest else ':'}{name}")
        if found.media_type not in KINDS:
            raise RegistryError(f"{self.reference}: {name} has an unknown media type: {found.media_type[:100]!r}")
        return found

    def put_manifest(self, name: str, manifest: Manifest) -> Answer:
        """Store a manifest under a tag, or under its digest; everything that it refers to must exist.

        :raises RegistryError: if the registry stored it under another digest
        """
        headers = {"Content-Type": manifest.media_type}
        path = f"manifests/{name}"
        answer = self._request("PUT", path, headers=headers, content=manifest.raw, expected=(201, 202))
        stored = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if stored != manifest.digest:
            raise RegistryError(f"{self.reference} stored {name} as {stored[:200]!r} instead of {manifest.digest}")
        return answer

    def delete_manifest(self, digest: str) -> bool:
        """Delete a manifest with all of its tags; return whether it existed.

        :raises RegistryError: if deletion is disabled
        """
        try:
            answer = self._request("DELETE", f"manifests/{checked(digest)}", expected=(200, 202, 405))
        except NoSuchImageError:
            return False
        if answer.status == 405:
            raise RegistryError(
                f"deletion is disabled on {self.http.host}; {self.reference}@{digest} still exists",
                solution="enable it in the registry's configuration: storage.delete.enabled of docker-registry",
            )
        return True

    def tags(self) -> Iterator[str]:
        """Yield the tags; none if the repository does not exist."""
        with contextlib.suppress(NoSuchImageError):
            for tag in pages(self.http, f"/v2/{self.name}/tags/list?n={PAGE}", "tags", self.name):
                if not isinstance(tag, str) or not is_tag(tag):
                    raise RegistryError(f"{self.reference} has an invalid tag: {str(tag)[:300]!r}")
                yield tag

    def has_blob(self, digest: str) -> bool:
        """Return whether a blob exists."""
        try:
            # Registries with external storage redirect HEAD to it as they do GET.
            self._request("HEAD", f"blobs/{checked(digest)}", anywhere=True)
        except NoSuchImageError:
            return False
        return True

    def mount(self, digest: str, source: str) -> bool:
        """Mount a blob of another repository of this registry; return whether the registry did so.

        :param source: the other repository
        """
        path = f"blobs/uploads/?mount={quote(checked(digest), safe='')}&from={quote(source, safe='')}"
        answer = self._request("POST", path, source=source, expected=(201, 202))
        if answer.status == 202:  # the registry started an upload instead: cancel it
            with contextlib.suppress(RegistryError):
                place = answer.headers.get("Location", "")
                self.http.request("DELETE", place, repository=self.name, expected=(200, 202, 204))
        return answer.status == 201

    def upload(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Upload a blob from chunks, verifying its digest on the way.

        :raises RegistryError: if the content does not match, or the registry rejects it
        """
        self._upload(blob.digest, Sized(hashed(chunks, blob.digest, blob.size), blob.size))

    def push(self, content: bytes) -> str:
        """Store a small blob unless it exists, and return its digest.

        A retry checks first whether the blob was stored: an upload URL can be used once.
        """
        digest = digest_of(content)

        def once() -> None:
            if not self.has_blob(digest):
                self._upload(digest, Sized((content,) if content else (), len(content)))

        self.http.again(once)
        return digest

    def open_blob(self, digest: str, *, offset: int = 0) -> contextlib.AbstractContextManager[Stream]:
        """Open a blob for reading; the caller must verify its digest.

        :param offset: bytes to skip, if the registry supports it (then the response's status is 206)
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        path = f"/v2/{self.name}/blobs/{checked(digest)}"
        return self.http.stream(path, repository=self.name, headers={**headers, "Accept-Encoding": "identity"})

    def blob(self, blob: Descriptor) -> bytes:
        """Return the content of a small blob.

        :raises RegistryError: if it does not exist, is too long, or has a different digest
        """
        if blob.size > LONGEST_BLOB:
            raise RegistryError(f"{self.reference}@{blob.digest} is longer than {LONGEST_BLOB} bytes")

        def once() -> bytes:
            with self.open_blob(blob.digest) as stream:
                return b"".join(hashed(stream.chunks, blob.digest, blob.size))

        return self.http.again(once)

    def labels(self, image: Manifest) -> dict[str, str]:
        """Return the labels of an image; empty for an index.

        :raises RegistryUnavailableError: if the registry is unavailable
        :raises RegistryError: if the configuration does not exist or is invalid
        """
        if not image.blobs:
            return {}
        raw = self.blob(image.blobs[0])
        return ImageConfiguration.read(raw, where=str(self.reference.at(image.digest))).labels

    def _upload(self, digest: str, content: Sized) -> None:
        begun = self._request("POST", "blobs/uploads/", expected=(202,))
        place = begun.headers.get("Location", "")
        self.http.request(
            "PUT",
            f"{place}{'&' if '?' in place else '?'}digest={quote(digest, safe='')}",
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
        longest: int = LONGEST,
        anywhere: bool = False,
    ) -> Answer:
        return self.http.request(
            method,
            f"/v2/{self.name}/{path}",
            repository=self.name,
            source=source,
            headers=headers,
            content=content,
            expected=expected,
            longest=longest,
            anywhere=anywhere,
        )
