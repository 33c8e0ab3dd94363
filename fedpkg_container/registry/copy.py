# SPDX-License-Identifier: GPL-2.0-or-later
"""Copying blobs and images between repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from fedpkg_container.registry.manifests import Descriptor, Manifest
from fedpkg_container.registry.repository import Repository


def copy_blob(
    blob: Descriptor,
    source: Repository,
    target: Repository,
    *,
    wrap_chunks: Callable[[Iterator[bytes]], Iterable[bytes]] = lambda chunks: chunks,
) -> None:
    """Stream a blob to another repository; start over if either registry fails temporarily.

    :param wrap_chunks: wraps the content, e.g. to count it; may raise to stop the copy
    :raises RegistryError: if the blob does not exist, has a different digest, or is rejected
    """

    def attempt() -> None:
        with source.open_blob(blob.digest) as stream:
            target.upload(blob, wrap_chunks(stream.chunks))

    target.http.retry(attempt)


def copy_manifest(digest: str, source: Repository, target: Repository) -> Manifest:
    """Copy one image to another repository of the same registry, and return its manifest.

    Blobs are mounted; they are sent only if the registry does not support that.

    :raises RegistryError: if it cannot be copied
    """
    manifest = source.manifest(digest)
    for blob in manifest.blobs:
        if not blob.is_foreign and not target.mount(blob.digest, source.name):
            copy_blob(blob, source, target)
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
    """Store an image: its missing blobs, mounted where possible, then its manifest.

    :param name: tag or digest
    :param chunks: yields the content of a blob
    :param mounted_from: other repositories of the registry that may have blobs of the image
    :raises RegistryError: if it cannot be stored
    """
    for blob in {blob.digest: blob for blob in manifest.blobs}.values():
        if target.has_blob(blob.digest) or any(target.mount(blob.digest, repository) for repository in mounted_from):
            continue
        target.http.retry(lambda blob=blob: target.upload(blob, chunks(blob)))  # type: ignore[misc]
    target.http.retry(lambda: target.put_manifest(name, manifest))
