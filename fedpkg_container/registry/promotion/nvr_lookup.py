# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding the build of an image in a registry: in the promotion journal, or from its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedpkg_container.errors import ConfigurationError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.nvr import COMPONENT_LABEL, NVR, label_value
from fedpkg_container.registry.manifests import MAX_INDEX_DEPTH, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.text import printable_line

#: Architectures of attestations, and of images whose index does not state any.
_NO_ARCHITECTURE = ("unknown", "None")


def parse_nvr(nvr: str) -> NVR:
    """Parse an NVR from the journal.

    :raises ConfigurationError: if it is invalid
    """
    parts = nvr.rsplit("-", 2)
    if len(parts) != 3 or not all(parts):
        raise ConfigurationError(
            f"invalid NVR in the promotion journal: {nvr[:200]!r}", solution="correct the line in the journal"
        )
    return NVR(*parts)


def arches_of(manifest: Manifest) -> list[str]:
    """Return the Go names of an index's architectures, without attestations; empty for a single image."""
    return [
        printable_line(architecture)
        for architecture in manifest.architectures()
        if architecture not in _NO_ARCHITECTURE
    ]


def _first_image(index: Manifest) -> Descriptor:
    """Return the first image of an index that is not an attestation.

    :raises IndexError: if the index is empty
    """
    images = [member for member in index.manifests if _architecture(member) not in _NO_ARCHITECTURE]
    return (images or list(index.manifests))[0]


def _architecture(member: Descriptor) -> object:
    platform = member.fields.get("platform")
    return platform.get("architecture") if isinstance(platform, dict) else None


@dataclass(frozen=True)
class NVRLookup:
    """Finds the builds of the images of one repository.

    :param journal_nvrs: digest → NVR, from the journal
    """

    repository: Repository
    journal_nvrs: Mapping[str, str]
    _cache: dict[str, NVR | None] = field(default_factory=dict)

    def of(self, digest: str) -> NVR | None:
        """Return the build of an image; None if unknown.

        :raises RegistryUnavailableError: if the registry is unavailable
        """
        if digest in self.journal_nvrs:
            return parse_nvr(self.journal_nvrs[digest])
        if digest not in self._cache:
            self._cache[digest] = self._by_labels(digest)
        return self._cache[digest]

    def _by_labels(self, digest: str) -> NVR | None:
        try:
            manifest = self.repository.manifest(digest)
            for _ in range(MAX_INDEX_DEPTH):
                if not manifest.is_index:
                    break
                manifest = self.repository.manifest(_first_image(manifest).digest)
            labels = self.repository.labels(manifest)
        except RegistryUnavailableError:
            raise
        except (RegistryError, IndexError):
            return None  # not an image, or without labels, or an empty index
        parts = [printable_line(label_value(labels, name)) for name in (COMPONENT_LABEL, "version", "release")]
        return NVR(*parts) if all(parts) else None
