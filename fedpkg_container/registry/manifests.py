# SPDX-License-Identifier: GPL-2.0-or-later
"""Manifests, image indexes and image configurations (OCI image specification 1.1, Docker schema 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.model.platforms import Platform
from fedpkg_container.registry.digests import digest_of, validate_digest

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
#: Artifacts of drafts of OCI 1.1, with blobs and without configuration.
ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json"
#: Media types of image configurations; those of other artifacts differ.
CONFIG, OCI_CONFIG = "application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"
CONFIG_MEDIA_TYPES = frozenset({CONFIG, OCI_CONFIG})
INDEX_MEDIA_TYPES = frozenset({MANIFEST_LIST, OCI_INDEX})
#: Accepted media types; responses of any other type are an error.
MANIFEST_MEDIA_TYPES = frozenset({MANIFEST, OCI_MANIFEST, ARTIFACT_MANIFEST}) | INDEX_MEDIA_TYPES

#: Image formats: names used by programs, and the media type of an index of each.
INDEX_TYPES = {"v2s2": MANIFEST_LIST, "oci": OCI_INDEX}
FORMATS = tuple(INDEX_TYPES)

#: Maximum nesting of image indexes, and maximum number of manifests of an image.
MAX_INDEX_DEPTH = 4
MAX_MANIFESTS = 2000
#: Maximum size in a descriptor, bytes (int64 in OCI).
MAX_DESCRIPTOR_SIZE = (1 << 63) - 1
#: Maximum length of a manifest, bytes (what registries accept).
MAX_MANIFEST_SIZE = 4 * 1024 * 1024
#: Maximum length of an image configuration, bytes (as in containers/image).
MAX_CONFIG_SIZE = 4 * 1024 * 1024
#: Keys of the platform in a configuration.
_PLATFORM = ("architecture", "os", "variant")


@dataclass(frozen=True)
class Descriptor:
    """A reference to content in a manifest.

    :param size: bytes
    :param fields: all fields of the JSON object
    """

    media_type: str
    digest: str
    size: int
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, fields: object) -> Descriptor:
        """Parse a descriptor.

        :raises RegistryError: if it is not a valid descriptor
        """
        if not isinstance(fields, dict):
            raise RegistryError(f"not a descriptor: {str(fields)[:200]!r}")
        size = fields.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_DESCRIPTOR_SIZE:
            raise RegistryError(f"descriptor without a valid size: {str(fields)[:200]!r}")
        return cls(str(fields.get("mediaType") or ""), validate_digest(fields.get("digest")), size, fields)

    @property
    def is_manifest(self) -> bool:
        """Whether it refers to a manifest or an index, not a blob."""
        return self.media_type in MANIFEST_MEDIA_TYPES

    @property
    def is_foreign(self) -> bool:
        """Whether registries need not have it, because its license forbids redistribution."""
        return ".foreign." in self.media_type or ".nondistributable." in self.media_type

    @property
    def artifact_type(self) -> str:
        """Type of an artifact; empty if not stated."""
        return str(self.fields.get("artifactType") or "")


@dataclass(frozen=True)
class Manifest:
    """A manifest or image index, as stored in the registry.

    :param raw: the bytes that the digest is computed from
    """

    digest: str
    raw: bytes
    content: Mapping[str, Any]

    @classmethod
    def read(cls, raw: bytes, *, digest: str = "", where: str = "it") -> Manifest:
        """Parse a registry's response.

        :param digest: the requested digest; empty if a tag was requested
        :param where: name of the image in errors
        :raises RegistryError: if the digest does not match, or it is not a manifest
        """
        if len(raw) > MAX_MANIFEST_SIZE:
            raise RegistryError(f"the manifest of {where} is longer than {MAX_MANIFEST_SIZE} bytes")
        actual = digest_of(raw, validate_digest(digest) if digest else "sha256")
        if digest and actual != digest:
            raise RegistryError(f"digest mismatch for {where}: the registry returned {actual}")
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the manifest of {where} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RegistryError(f"the manifest of {where} is not a JSON object")
        return cls(actual, raw, content)

    @classmethod
    def of(cls, content: Mapping[str, object]) -> Manifest:
        """Create a manifest from its content."""
        raw = json.dumps(content, separators=(",", ":")).encode()
        return cls(digest_of(raw), raw, content)

    @property
    def media_type(self) -> str:
        """Media type; OCI manifests may omit it, then it is derived."""
        kind = self.content.get("mediaType")
        if isinstance(kind, str):
            return kind
        return OCI_INDEX if "manifests" in self.content else OCI_MANIFEST

    @property
    def is_index(self) -> bool:
        """Whether it is an image index (a manifest list in Docker's format)."""
        return self.media_type in INDEX_MEDIA_TYPES

    @property
    def members(self) -> list[dict[str, Any]]:
        """Entries of an index: media type, digest, size and platform of each image; malformed ones are skipped."""
        entries = self.content.get("manifests")
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

    @cached_property
    def manifests(self) -> tuple[Descriptor, ...]:
        """Descriptors of an index; empty for an image.

        :raises RegistryError: if one is invalid
        """
        return tuple(map(Descriptor.of, self._entries("manifests"))) if self.is_index else ()

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Descriptors of the configuration and layers of an image, or of the blobs of an artifact; empty for an index.

        :raises RegistryError: if one is invalid
        """
        if self.is_index:
            return ()
        if self.media_type == ARTIFACT_MANIFEST:  # a draft allowed to omit an empty list
            return tuple(map(Descriptor.of, self._entries("blobs") if self.content.get("blobs") else ()))
        return (Descriptor.of(self.content.get("config")), *map(Descriptor.of, self._entries("layers")))

    @property
    def subject(self) -> str:
        """Digest of the image that an artifact refers to; empty if none."""
        subject = self.content.get("subject")
        return validate_digest(subject.get("digest")) if isinstance(subject, dict) else ""

    @property
    def descriptor(self) -> dict[str, Any]:
        """Descriptor of this manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.raw)}

    def _entries(self, key: str) -> list[Any]:
        entries = self.content.get(key)
        if not isinstance(entries, list):
            raise RegistryError(f"{self.digest} is not a valid manifest: it has no list {key!r}")
        return entries

    @property
    def platforms(self) -> list[dict[str, Any]]:
        """Platforms of the entries of an index; entries without one are skipped."""
        values = (member.get("platform") for member in self.members)
        return [value for value in values if isinstance(value, dict)]

    def architectures(self) -> list[str]:
        """Go names of the architectures of an index."""
        return [str(platform.get("architecture")) for platform in self.platforms]

    def digest_for(self, platform: Platform) -> str:
        """Return the digest of the image for a platform; its own digest if it is not an index.

        :raises NoSuchImageError: if the index has none
        :raises RegistryError: if the entry is not a valid descriptor
        """
        if not self.is_index:
            return self.digest
        for member in self.members:
            entry_platform = member.get("platform")
            if isinstance(entry_platform, dict) and platform.matches(entry_platform):
                return Descriptor.of(member).digest
        raise NoSuchImageError(f"{self.digest} has no image for {platform}", solution="use another base image")


@dataclass(frozen=True)
class ImageConfiguration:
    """An image configuration; the fields that are read here are checked for their types.

    :param content: the complete JSON object
    :param where: name of the image in errors
    """

    content: Mapping[str, Any]
    where: str

    @classmethod
    def read(cls, raw: bytes | str, *, where: str) -> ImageConfiguration:
        """Parse a configuration from a registry, an archive or a task.

        :raises RegistryError: if it is not an image configuration
        """
        try:
            content = json.loads(raw if isinstance(raw, str) else raw.decode(), parse_constant=_reject_constant)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"the configuration of {where} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RegistryError(f"the configuration of {where} is not a JSON object")
        configuration = cls(content, where)
        _ = configuration.platform, configuration.labels
        return configuration

    @property
    def platform(self) -> dict[str, str]:
        """The platform, with the keys as in an index; absent keys are left out.

        :raises RegistryError: if a value is not a string
        """
        platform = {key: self.content[key] for key in _PLATFORM if self.content.get(key) is not None}
        for key, value in platform.items():
            if not isinstance(value, str):
                raise self._invalid(f"{key} is not a string")
        return {key: value for key, value in platform.items() if value}

    @property
    def labels(self) -> dict[str, str]:
        """The labels.

        :raises RegistryError: if a label is not a string
        """
        config = self.content.get("config")
        if config is not None and not isinstance(config, dict):
            raise self._invalid("config is not an object")
        labels = (config or {}).get("Labels")
        if labels is None:
            return {}
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise self._invalid("config.Labels is not an object of strings")
        return dict(labels)

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the uncompressed layers, oldest first.

        :raises RegistryError: if they are missing
        """
        rootfs = self.content.get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(diff_ids, list):
            raise self._invalid("rootfs.diff_ids is not a list")
        return [validate_digest(diff_id) for diff_id in diff_ids]

    def _invalid(self, what: str) -> RegistryError:
        return RegistryError(f"invalid image configuration of {self.where}: {what}")


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
