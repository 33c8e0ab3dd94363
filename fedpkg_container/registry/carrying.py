"""Bringing an image into another repository of the same registry."""

from __future__ import annotations

from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.repository import Repository


def carry(digest: str, source: Repository, target: Repository) -> Manifest:
    """Bring one image there; its manifest. Its blobs are mounted, and sent only where the registry does not do that.

    :raises RegistryError: it could not be brought there
    """
    manifest = source.manifest(digest)
    for blob in manifest.blobs:
        if not blob.is_foreign and not target.mount(blob.digest, source.name):
            with source.open_blob(blob.digest) as stream:
                target.upload(blob, stream.chunks)
    target.put_manifest(digest, manifest)
    return manifest
