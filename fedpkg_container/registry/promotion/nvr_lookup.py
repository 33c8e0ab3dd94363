"""What an image in a registry is: which build, by the record or else by its labels, and of which arches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedpkg_container.errors import ConfigurationError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.nvr import COMPONENT_LABEL, NVR, label_value
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.text import printable_line


def parsed(nvr: str) -> NVR:
    """An NVR of the record.

    :raises ConfigurationError: it is none
    """
    parts = nvr.rsplit("-", 2)
    if len(parts) != 3 or not all(parts):
        raise ConfigurationError(f"the record names a build that is no NVR: {nvr[:200]!r}", solution="mend its line")
    return NVR(*parts)


def arches_of(manifest: Manifest) -> list[str]:
    """Go's names of the arches of a list, without what is no image of one (attestations); empty for a single image."""
    return [printable_line(each) for each in manifest.architectures() if each not in ("unknown", "None")]


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
            labels = self.repository.labels(manifest)
        except RegistryUnavailableError:
            raise
        except (RegistryError, IndexError):
            return None  # it is no image, or one that says nothing of itself; or a list of nothing
        parts = [printable_line(label_value(labels, name)) for name in (COMPONENT_LABEL, "version", "release")]
        return NVR(*parts) if all(parts) else None
