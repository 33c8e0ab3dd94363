"""Manifests and configurations of images (OCI image specification 1.1, Docker's schema 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.model.platforms import Platform
from fedpkg_container.registry.digests import checked, digest_of

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
LISTS = frozenset({MANIFEST_LIST, OCI_INDEX})
#: What is asked for; anything else that a registry may have is refused.
KINDS = frozenset({MANIFEST, OCI_MANIFEST}) | LISTS

#: The formats of images and lists: the names that programs have for them, and the media type of a list.
LIST_TYPES = {"v2s2": MANIFEST_LIST, "oci": OCI_INDEX}
FORMATS = tuple(LIST_TYPES)

#: How deep lists may lie in lists.
DEEPEST_LIST = 4
#: The largest size that a descriptor may name, bytes: OCI's are int64.
LARGEST = (1 << 63) - 1
#: The longest manifest that is read, bytes (what registries take).
LONGEST_MANIFEST = 4 * 1024 * 1024
#: The longest configuration of an image that is read, bytes (containers/image has the same limit).
LONGEST_CONFIGURATION = 4 * 1024 * 1024


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says of something that it refers to.

    :param size: bytes
    :param facts: all that it says, as it was written
    """

    media_type: str
    digest: str
    size: int
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, facts: object) -> Descriptor:
        """Read a descriptor.

        :raises RegistryError: it is none
        """
        if not isinstance(facts, dict):
            raise RegistryError(f"not a descriptor: {str(facts)[:200]!r}")
        size = facts.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST:
            raise RegistryError(f"a descriptor without a size: {str(facts)[:200]!r}")
        return cls(str(facts.get("mediaType") or ""), checked(facts.get("digest")), size, facts)

    @property
    def is_manifest(self) -> bool:
        """Whether it is a manifest or a list, not a blob."""
        return self.media_type in KINDS

    @property
    def is_foreign(self) -> bool:
        """Whether registries need not have it: its licence lets nobody else distribute it."""
        return ".foreign." in self.media_type or ".nondistributable." in self.media_type

    @property
    def artifact_type(self) -> str:
        """What kind of artifact refers to an image; empty where it does not say."""
        return str(self.facts.get("artifactType") or "")


@dataclass(frozen=True)
class Manifest:
    """A manifest or a list of manifests, as the registry has it.

    :param raw: the bytes that its digest is of
    """

    digest: str
    raw: bytes
    content: Mapping[str, Any]

    @classmethod
    def read(cls, raw: bytes, *, digest: str = "", where: str = "it") -> Manifest:
        """Read what a registry answered.

        :param digest: the one asked for; empty when a tag was
        :param where: what it is called in errors
        :raises RegistryError: it is something else than was asked for, or no manifest
        """
        if len(raw) > LONGEST_MANIFEST:
            raise RegistryError(f"the manifest of {where} is longer than {LONGEST_MANIFEST} bytes")
        found = digest_of(raw, checked(digest) if digest else "sha256")
        if digest and found != digest:
            raise RegistryError(f"the registry answered {found}, something else, when it was asked for {where}")
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the manifest of {where} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RegistryError(f"the manifest of {where} is not a JSON object")
        return cls(found, raw, content)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Manifest:
        """A manifest of ours."""
        raw = json.dumps(content, separators=(",", ":")).encode()
        return cls(digest_of(raw), raw, content)

    @property
    def media_type(self) -> str:
        """Its media type; OCI leaves it out at times."""
        kind = self.content.get("mediaType")
        if isinstance(kind, str):
            return kind
        return OCI_INDEX if "manifests" in self.content else OCI_MANIFEST

    @property
    def is_list(self) -> bool:
        """Whether it stands for one image an arch."""
        return self.media_type in LISTS

    @property
    def members(self) -> list[dict[str, Any]]:
        """What a list refers to: media type, digest, size and platform of each image."""
        listed = self.content.get("manifests")
        return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []

    @cached_property
    def manifests(self) -> tuple[Descriptor, ...]:
        """The same, read strictly; empty for an image.

        :raises RegistryError: one is not a descriptor
        """
        return tuple(map(Descriptor.of, self._listed("manifests"))) if self.is_list else ()

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The configuration and the layers of an image; empty for a list.

        :raises RegistryError: one is not a descriptor
        """
        if self.is_list:
            return ()
        return (Descriptor.of(self.content.get("config")), *map(Descriptor.of, self._listed("layers")))

    @property
    def subject(self) -> str:
        """The digest of the image that an artifact refers to; empty when it refers to none."""
        subject = self.content.get("subject")
        return checked(subject.get("digest")) if isinstance(subject, dict) else ""

    @property
    def descriptor(self) -> dict[str, Any]:
        """What a list or another manifest says of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.raw)}

    def _listed(self, key: str) -> list[Any]:
        listed = self.content.get(key)
        if not isinstance(listed, list):
            raise RegistryError(f"{self.digest} is no manifest that can be read: it has no list of {key}")
        return listed

    @property
    def platforms(self) -> list[dict[str, Any]]:
        """What the members of a list run on, as it says; those of which it says nothing are left out."""
        said = (each.get("platform") for each in self.members)
        return [each for each in said if isinstance(each, dict)]

    def architectures(self) -> list[str]:
        """Go's names of the arches of a list."""
        return [str(each.get("architecture")) for each in self.platforms]

    def digest_for(self, platform: Platform) -> str:
        """The digest of the image for a platform; of a manifest that is no list its own.

        :raises NoSuchImageError: the list has none
        :raises RegistryError: its member is not a descriptor
        """
        if not self.is_list:
            return self.digest
        for each in self.members:
            listed = each.get("platform")
            if isinstance(listed, dict) and platform.matches(listed):
                return Descriptor.of(each).digest
        raise NoSuchImageError(f"{self.digest} has no image for {platform}", solution="use another base image")


#: The keys that say what an image runs on.
_PLATFORM = ("architecture", "os", "variant")


@dataclass(frozen=True)
class ImageConfiguration:
    """The configuration of an image, of which everything that is read here has the right type.

    :param content: all of it, as it was written
    :param where: whose it is, for errors
    """

    content: Mapping[str, Any]
    where: str

    @classmethod
    def read(cls, raw: bytes | str, *, where: str) -> ImageConfiguration:
        """Read what a registry, an archive or a task has.

        :raises RegistryError: it is not the configuration of an image
        """
        try:
            content = json.loads(raw if isinstance(raw, str) else raw.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the configuration of {where} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RegistryError(f"the configuration of {where} is not a JSON object")
        configuration = cls(content, where)
        _ = configuration.platform, configuration.labels
        return configuration

    @property
    def platform(self) -> dict[str, str]:
        """What it runs on, as lists name it: the keys that it has.

        :raises RegistryError: one is not text
        """
        found = {key: self.content[key] for key in _PLATFORM if self.content.get(key) is not None}
        for key, value in found.items():
            if not isinstance(value, str):
                raise self._wrong(f"{key} is not text")
        return {key: value for key, value in found.items() if value}

    @property
    def labels(self) -> dict[str, str]:
        """Its labels.

        :raises RegistryError: a label is not text
        """
        config = self.content.get("config")
        if config is not None and not isinstance(config, dict):
            raise self._wrong("config is not an object")
        labels = (config or {}).get("Labels")
        if labels is None:
            return {}
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise self._wrong("config.Labels is not an object of texts")
        return dict(labels)

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the contents of its layers, oldest first.

        :raises RegistryError: it does not have them
        """
        rootfs = self.content.get("rootfs")
        found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(found, list):
            raise self._wrong("rootfs.diff_ids is not a list")
        return [checked(each) for each in found]

    def _wrong(self, what: str) -> RegistryError:
        return RegistryError(f"the configuration of {self.where} is not one of an image: {what}")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
