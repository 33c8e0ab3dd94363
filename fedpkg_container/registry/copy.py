"""Bringing blobs, and images, into another repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from fedpkg_container.registry.manifests import Descriptor, Manifest
from fedpkg_container.registry.repository import Repository


def send(
    blob: Descriptor,
    source: Repository,
    target: Repository,
    *,
    watched: Callable[[Iterator[bytes]], Iterable[bytes]] = lambda chunks: chunks,
) -> None:
    """Send a blob as it comes; from its beginning again when one of the two registries fails meanwhile.

    :param watched: hands the content on, and may end it
    :raises RegistryError: it is not there, is not what its digest says, or is not taken
    """

    def once() -> None:
        with source.open_blob(blob.digest) as stream:
            target.upload(blob, watched(stream.chunks))

    target.http.again(once)


def carry(digest: str, source: Repository, target: Repository) -> Manifest:
    """Bring one image to another repository of its registry; its manifest.

    Its blobs are mounted, and sent only where the registry does not do that.

    :raises RegistryError: it could not be brought there
    """
    manifest = source.manifest(digest)
    for blob in manifest.blobs:
        if not blob.is_foreign and not target.mount(blob.digest, source.name):
            send(blob, source, target)
    target.put_manifest(digest, manifest)
    return manifest


def put_image(
    name: str,
    manifest: Manifest,
    target: Repository,
    chunks: Callable[[Descriptor], Iterable[bytes]],
    *,
    mounted_from: Sequence[str] = (),
) -> None:
    """Store an image: its blobs, unless they are in the repository or can be mounted, then its manifest.

    :param name: a tag, or the digest
    :param chunks: yields the content of a blob
    :param mounted_from: other repositories of the registry that may have blobs of the image
    :raises RegistryError: it could not be stored
    """
    for blob in {each.digest: each for each in manifest.blobs}.values():
        if target.has_blob(blob.digest) or any(target.mount(blob.digest, each) for each in mounted_from):
            continue
        target.http.again(lambda blob=blob: target.upload(blob, chunks(blob)))  # type: ignore[misc]
    target.http.again(lambda: target.put_manifest(name, manifest))
