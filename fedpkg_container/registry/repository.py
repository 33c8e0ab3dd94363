"""One repository of a registry, over HTTP: manifests, tags and blobs (OCI distribution specification 1.1)."""

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
#: How many tags or repositories are asked for at a time, and pages at the most.
PAGE = 1000
PAGES = 10_000
#: The longest blob that is read into memory, bytes: configurations, SBOMs.
LONGEST_BLOB = 64 * 1024 * 1024


@dataclass(frozen=True)
class Sized:
    """Parts whose length is known beforehand, so that they can be sent as they come.

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
    """What a registry lists under a key, page by page.

    :param repository: of which the list is; or ``CATALOG``
    :param absent: statuses that mean, as 404 does, that there is no such list
    :raises NoSuchImageError: there is no such list
    :raises RegistryError: it cannot be reached, refuses, or its pages have no end
    """
    seen = set()
    for _ in range(PAGES):
        seen.add(path)
        answer = http.request("GET", path, repository=repository, expected=(200, *absent))
        if answer.status in absent:
            raise NoSuchImageError(f"{http.host} has no list of {key} as {shown(path)} (HTTP {answer.status})")
        listed = answer.json(path).get(key) or []
        if not isinstance(listed, list):
            raise RegistryError(f"{http.host} lists no {key}: {str(listed)[:200]!r}")
        yield from listed
        links = parse_header_links(answer.headers.get("Link", ""))
        following = next((each["url"] for each in links if each.get("rel") == "next"), None)
        if following is None:
            return
        path = joined(path, following)
        if path in seen:
            break
    raise RegistryError(f"{http.host} lists {key} without end")


def repositories(http: RegistryHTTP) -> Iterator[str]:
    """Every repository of a registry that its catalog names.

    :raises RegistryError: it cannot be reached, refuses, or names what cannot be a repository
    """
    for name in pages(http, f"/v2/_catalog?n={PAGE}", "repositories", CATALOG):
        if not isinstance(name, str) or not is_repository(name):
            raise RegistryError(f"the catalog of {http.host} names what cannot be a repository: {str(name)[:300]!r}")
        yield name


@dataclass(frozen=True)
class Repository:
    """A repository; all methods raise ``RegistryError`` when the registry cannot be reached, or refuses.

    :param http: the registry; may be shared by threads
    :param name: without the registry, ``fedora/hello``
    """

    http: RegistryHTTP
    name: str

    @property
    def reference(self) -> ImageReference:
        """The repository as a reference."""
        return ImageReference(self.http.host, self.name)

    def head(self, name: str) -> str:
        """The digest of a tag or digest as the registry has it in this moment; empty when there is no such thing.

        :param name: a tag or a digest
        """
        try:
            answer = self._request("HEAD", f"manifests/{name}", headers=_ACCEPT)
        except NoSuchImageError:
            return ""
        said = answer.headers.get("Docker-Content-Digest")
        found = checked(said) if said else self.manifest(name).digest
        if ":" in name and found != name:
            raise RegistryError(f"{self.reference} has {found}, something else, when it was asked for {name}")
        return found

    def manifest(self, name: str) -> Manifest:
        """A manifest; its digest is that of the bytes that came, and must be the one asked for.

        :param name: a tag or a digest
        :raises NoSuchImageError: there is no such thing
        """
        answer = self._request("GET", f"manifests/{name}", headers=_ACCEPT, longest=LONGEST_MANIFEST)
        digest = name if ":" in name else ""
        found = Manifest.read(answer.content, digest=digest, where=f"{self.reference}{'@' if digest else ':'}{name}")
        if found.media_type not in KINDS:
            raise RegistryError(f"{self.reference}: {name} is of a kind that is not known: {found.media_type[:100]!r}")
        return found

    def put_manifest(self, name: str, manifest: Manifest) -> Answer:
        """Store a manifest under a tag, or under its digest; all that it refers to must be there.

        :raises RegistryError: the registry took it for something else
        """
        headers = {"Content-Type": manifest.media_type}
        path = f"manifests/{name}"
        answer = self._request("PUT", path, headers=headers, content=manifest.raw, expected=(201, 202))
        stored = answer.headers.get("Docker-Content-Digest", manifest.digest)
        if stored != manifest.digest:
            raise RegistryError(f"{self.reference} has {stored[:200]!r} as {name}, not {manifest.digest}")
        return answer

    def delete_manifest(self, digest: str) -> bool:
        """Delete a manifest by digest, and with it every tag of it; whether it was there.

        :raises RegistryError: the registry deletes nothing
        """
        try:
            answer = self._request("DELETE", f"manifests/{checked(digest)}", expected=(200, 202, 405))
        except NoSuchImageError:
            return False
        if answer.status == 405:
            raise RegistryError(
                f"{self.http.host} deletes nothing, so {self.reference}@{digest} is still there",
                solution="let it delete: storage.delete.enabled of docker-registry",
            )
        return True

    def tags(self) -> Iterator[str]:
        """The tags, page by page; none when there is no such repository."""
        with contextlib.suppress(NoSuchImageError):
            for tag in pages(self.http, f"/v2/{self.name}/tags/list?n={PAGE}", "tags", self.name):
                if not isinstance(tag, str) or not is_tag(tag):
                    raise RegistryError(f"{self.reference} has what cannot be a tag: {str(tag)[:300]!r}")
                yield tag

    def has_blob(self, digest: str) -> bool:
        """Whether a blob is there."""
        try:
            # Where it lies in another storage, that is asked: registries send there for HEAD as they do for GET.
            self._request("HEAD", f"blobs/{checked(digest)}", anywhere=True)
        except NoSuchImageError:
            return False
        return True

    def mount(self, digest: str, source: str) -> bool:
        """Take a blob of another repository of this registry, without sending it; whether the registry did so.

        :param source: the other repository
        """
        path = f"blobs/uploads/?mount={quote(checked(digest), safe='')}&from={quote(source, safe='')}"
        answer = self._request("POST", path, source=source, expected=(201, 202))
        if answer.status == 202:  # an upload has been begun instead, which nobody wants
            with contextlib.suppress(RegistryError):
                place = answer.headers.get("Location", "")
                self.http.request("DELETE", place, repository=self.name, expected=(200, 202, 204))
        return answer.status == 201

    def upload(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Send a blob as it comes; it is hashed on its way.

        :raises RegistryError: what came is not the blob, or the registry does not take it
        """
        self._upload(blob.digest, Sized(hashed(chunks, blob.digest, blob.size), blob.size))

    def push(self, content: bytes) -> str:
        """Store a small blob, unless it is there; its digest.

        Where an answer is lost it is looked for again: the address to which it was sent is good for one time.
        """
        digest = digest_of(content)

        def once() -> None:
            if not self.has_blob(digest):
                self._upload(digest, Sized((content,) if content else (), len(content)))

        self.http.again(once)
        return digest

    def open_blob(self, digest: str, *, offset: int = 0) -> contextlib.AbstractContextManager[Stream]:
        """A blob's content as it comes, to be hashed by who reads it.

        :param offset: bytes that are left out, where the registry can (the answer's status is 206 then)
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        path = f"/v2/{self.name}/blobs/{checked(digest)}"
        return self.http.stream(path, repository=self.name, headers={**headers, "Accept-Encoding": "identity"})

    def blob(self, blob: Descriptor) -> bytes:
        """A small blob.

        :raises RegistryError: it is not there, is too long, or is not what its digest says
        """
        if blob.size > LONGEST_BLOB:
            raise RegistryError(f"{self.reference}@{blob.digest} is longer than {LONGEST_BLOB} bytes")

        def once() -> bytes:
            with self.open_blob(blob.digest) as stream:
                return b"".join(hashed(stream.chunks, blob.digest, blob.size))

        return self.http.again(once)

    def labels(self, image: Manifest) -> dict[str, str]:
        """The labels of an image; none of a list.

        :raises RegistryUnavailableError: the registry cannot be asked
        :raises RegistryError: its configuration is not there, or none that can be read: a label that is no text
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
            # Of nothing no length would be told.
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
