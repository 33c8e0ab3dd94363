# SPDX-License-Identifier: GPL-2.0-or-later
"""Cached manifests: only what a mirror needs; valid forever, since the digest identifies the content."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.manifests import CONFIG_MEDIA_TYPES, Manifest

#: Media types of layers that a docker-archive can hold; not those compressed with zstd, encrypted or foreign.
_DOCKER_LAYERS = (
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar",
)


@dataclass(frozen=True)
class Blob:
    """A blob to export.

    :param size: bytes, as stated in the manifest
    """

    digest: str
    size: int


@dataclass(frozen=True)
class Image:
    """An image, an artifact, or an image index.

    :param members: digests of the manifests of an index
    :param blobs: configuration and layers, without foreign layers
    :param foreign: number of foreign layers
    :param is_image: whether it is an image, neither artifact nor index; then ``blobs`` starts with its configuration
    :param fits_docker: whether a docker-archive can hold it
    """

    members: tuple[str, ...] = ()
    blobs: tuple[Blob, ...] = ()
    foreign: int = 0
    is_image: bool = False
    fits_docker: bool = True

    @classmethod
    def of(cls, manifest: Manifest) -> Image:
        """Extract the cached part of a manifest.

        :raises RegistryError: if it is invalid, or a manifest would be served as a blob
        """
        blobs = manifest.blobs
        if any(blob.is_manifest for blob in blobs):
            raise RegistryError(f"{manifest.digest} has a manifest as layer")
        return cls(
            members=tuple(dict.fromkeys(member.digest for member in manifest.manifests)),
            blobs=tuple(dict.fromkeys(Blob(blob.digest, blob.size) for blob in blobs if not blob.is_foreign)),
            foreign=sum(blob.is_foreign for blob in blobs),
            is_image=bool(blobs) and blobs[0].media_type in CONFIG_MEDIA_TYPES,
            fits_docker=all(blob.media_type in _DOCKER_LAYERS for blob in blobs[1:]),
        )

    @property
    def text(self) -> str:
        """Serialized form."""
        blobs = [[blob.digest, blob.size] for blob in self.blobs]
        values = [self.members, blobs, self.foreign, self.is_image, *([] if self.fits_docker else [False])]
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Image:
        """Parse the serialized form.

        :raises ValueError: if it is invalid
        """
        members, blobs, foreign, is_image, *rest = json.loads(text)
        return cls(tuple(members), tuple(Blob(digest, size) for digest, size in blobs), foreign, is_image, *rest)
