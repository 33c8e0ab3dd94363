"""What manifests lead to, as far as a mirror has to know; kept from run to run, since digests do not change."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.manifests import Manifest

#: Media types of the configurations of images that run; artifacts have others.
_CONFIGURATIONS = ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")


@dataclass(frozen=True)
class Blob:
    """A blob that is to be exported.

    :param size: bytes, as the manifest says
    """

    digest: str
    size: int


@dataclass(frozen=True)
class Image:
    """An image, an artifact, or a list of them.

    :param members: digests of the manifests of a list
    :param blobs: configuration and layers, without those that registries need not have
    :param foreign: how many of these there are
    :param runs: whether it is an image, neither an artifact nor a list; its configuration comes first in ``blobs``
    """

    members: tuple[str, ...] = ()
    blobs: tuple[Blob, ...] = ()
    foreign: int = 0
    runs: bool = False

    @classmethod
    def of(cls, manifest: Manifest) -> Image:
        """What a manifest leads to.

        :raises RegistryError: it cannot be read, or would have a manifest served as a blob
        """
        blobs = manifest.blobs
        if any(blob.is_manifest for blob in blobs):
            raise RegistryError(f"{manifest.digest} has a manifest among its layers")
        return cls(
            members=tuple(dict.fromkeys(member.digest for member in manifest.manifests)),
            blobs=tuple(dict.fromkeys(Blob(each.digest, each.size) for each in blobs if not each.is_foreign)),
            foreign=sum(each.is_foreign for each in blobs),
            runs=bool(blobs) and blobs[0].media_type in _CONFIGURATIONS,
        )

    @property
    def text(self) -> str:
        """The same as a text to be kept."""
        return json.dumps(
            [self.members, [[each.digest, each.size] for each in self.blobs], self.foreign, self.runs],
            separators=(",", ":"),
        )

    @classmethod
    def from_text(cls, text: str) -> Image:
        """What was kept.

        :raises ValueError: it is something else
        """
        members, blobs, foreign, runs = json.loads(text)
        return cls(tuple(members), tuple(Blob(digest, size) for digest, size in blobs), foreign, runs)
