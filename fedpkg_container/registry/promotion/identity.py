"""Which build an image in a registry is: what the record says of its digest, or else what its labels say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import koji

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.build import NVR
from fedpkg_container.model.labels import COMPONENT, label
from fedpkg_container.registry.repository import Repository


def parsed(nvr: str) -> NVR:
    """An NVR that was written down.

    :raises koji.GenericError: it is none
    """
    found = koji.parse_NVR(nvr)
    return NVR(found["name"], found["version"], found["release"])


@dataclass(frozen=True)
class Identities:
    """The builds that the images of one repository are.

    :param recorded: digest → NVR, of the record
    """

    repository: Repository
    recorded: Mapping[str, str]
    _read: dict[str, NVR | None] = field(default_factory=dict)

    def of(self, digest: str) -> NVR | None:
        """The build that an image is; None when nothing says so.

        :raises RegistryUnavailableError: the registry cannot be asked
        """
        if digest in self.recorded:
            return parsed(self.recorded[digest])
        if digest not in self._read:
            self._read[digest] = self._by_labels(digest)
        return self._read[digest]

    def _by_labels(self, digest: str) -> NVR | None:
        try:
            manifest = self.repository.manifest(digest)
            if manifest.is_list:
                manifest = self.repository.manifest(manifest.manifests[0].digest)
            config = json.loads(self.repository.blob(manifest.blobs[0]))
            labels = (config.get("config") or {}).get("Labels") or {}
            nvr = NVR(*(label(labels, name) for name in (COMPONENT, "version", "release")))
        except RegistryUnavailableError:
            raise
        except (RegistryError, NoSuchImageError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
            return None  # it is no image, or one that says nothing of itself
        return nvr if all(isinstance(each, str) and each for each in (nvr.name, nvr.version, nvr.release)) else None
