# SPDX-License-Identifier: GPL-2.0-or-later
"""Artifacts that refer to an image, e.g. SBOMs (OCI image spec 1.1).

A registry with the referrers API lists them itself and confirms that on push (``OCI-Subject``). For other registries
the client maintains an index under a tag derived from the image's digest (OCI distribution spec 1.1, "Unavailable
Referrers API").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry.digests import validate_digest
from fedpkg_container.registry.manifests import MAX_MANIFEST_SIZE, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository, pages

#: Attempts to update an index that other clients change concurrently.
MAX_ATTEMPTS = 5
#: Maximum nesting of artifacts that refer to artifacts.
MAX_DEPTH = 4
#: Empty configuration of an artifact.
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
#: HTTP statuses of registries without the referrers API, besides 404.
NO_API_STATUSES = (400, 405, 406)
#: Tags derived from the digest of the image that they belong to, truncated to 128 characters.
_DERIVED_TAG = re.compile(r"(sha(?:256|384|512)-[0-9a-f]{64,121})(?:\.[a-z]+)?")


@dataclass(frozen=True)
class Artifact:
    """A file that describes an image.

    :param media_type: of the artifact and of its file
    :param name: file name
    :param created: RFC 3339
    """

    media_type: str
    name: str
    content: bytes
    created: str


def attach(repository: Repository, image: str, artifact: Artifact) -> str:
    """Attach a file to an image and return the artifact's digest; idempotent.

    :param image: its digest
    :raises RegistryError: if it cannot be pushed
    """
    subject = repository.manifest(image)
    manifest = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact.media_type,
            "config": {"mediaType": EMPTY_TYPE, **_push_blob(repository, EMPTY)},
            "layers": [
                {
                    "mediaType": artifact.media_type,
                    **_push_blob(repository, artifact.content),
                    "annotations": {"org.opencontainers.image.title": artifact.name},
                }
            ],
            "subject": subject.descriptor,
            "annotations": {"org.opencontainers.image.created": artifact.created},
        }
    )
    push(repository, manifest)
    return manifest.digest


def push(repository: Repository, artifact: Manifest) -> None:
    """Push the manifest of an artifact whose blobs exist already, and add it to the referrers; idempotent.

    :raises RegistryError: if it cannot be pushed
    """
    response = repository.put_manifest(artifact.digest, artifact)
    if not response.headers.get("OCI-Subject"):
        add_referrers(repository, artifact.subject, [_descriptor(artifact)])


@dataclass(frozen=True)
class Referrers:
    """The referrers of an image.

    :param by_tag: whether clients maintain them under a tag, instead of the registry
    """

    artifacts: tuple[Descriptor, ...]
    by_tag: bool


def list_referrers(repository: Repository, image: str) -> Referrers:
    """Return the referrers of an image, and who maintains them.

    :param image: its digest
    :raises RegistryError: if the request fails
    """
    entries = referrers_from_api(repository, image)
    if entries is not None:
        return Referrers(entries, by_tag=False)
    descriptors = list(_fallback_index(repository, image).get("manifests") or [])
    return Referrers(tuple(map(Descriptor.of, descriptors)), by_tag=True)


def referrers_from_api(repository: Repository, image: str) -> tuple[Descriptor, ...] | None:
    """Return the referrers of an image from the referrers API; None if the registry does not implement it.

    :param image: its digest
    :raises RegistryError: if the request fails
    """
    http = repository.http
    if repository.name in http.without_referrers_api:
        return None
    try:
        path = f"/v2/{repository.name}/referrers/{validate_digest(image)}"
        descriptors = list(pages(http, path, "manifests", repository.name, absent=NO_API_STATUSES))
    except NoSuchImageError:  # registries with the API return an empty list
        http.without_referrers_api.add(repository.name)
        return None
    return tuple(map(Descriptor.of, descriptors))


def referrers(repository: Repository, image: str) -> list[Descriptor]:
    """Return the artifacts that refer to an image.

    :param image: its digest
    :raises RegistryError: if the request fails
    """
    return list(list_referrers(repository, image).artifacts)


def add_referrers(repository: Repository, image: str, artifacts: Sequence[Mapping[str, object]]) -> None:
    """Add artifacts to the index under the image's fallback tag, keeping its other entries.

    :param image: its digest
    :param artifacts: descriptors
    :raises RegistryError: if the index becomes too long, or other clients keep changing it
    """
    for _ in range(MAX_ATTEMPTS):
        index = _fallback_index(repository, image)
        entries = list(index.get("manifests") or [])
        listed_digests = [entry.get("digest") for entry in entries if isinstance(entry, dict)]
        missing = [artifact for artifact in artifacts if artifact["digest"] not in listed_digests]
        if not missing:
            return
        updated = Manifest.of({**index, "manifests": [*entries, *missing]})
        if len(updated.raw) > MAX_MANIFEST_SIZE:
            raise RegistryError(f"the referrers index of {repository.reference}@{image} is too long")
        repository.put_manifest(fallback_tag(image), updated)  # the next iteration detects a concurrent change
    raise RegistryError(f"the referrers index of {repository.reference}@{image} keeps changing")


def content(repository: Repository, artifact: str) -> bytes:
    """Return the file of an artifact.

    :param artifact: digest
    :raises RegistryError: if it does not exist, or has a different digest
    """
    manifest = repository.manifest(artifact)
    if len(manifest.blobs) < 2:
        raise RegistryError(f"artifact {repository.reference}@{artifact} contains no file")
    return repository.blob(manifest.blobs[1])


def fallback_tag(digest: str) -> str:
    """Return the tag for the referrers index of an image, for registries without the referrers API."""
    return digest.replace(":", "-", 1)[:128]


def is_fallback_tag(tag: str) -> bool:
    """Return whether a tag is that of a referrers index."""
    return fallback_tag_of(tag) == tag


def fallback_tag_of(tag: str) -> str:
    """Return the fallback tag of the image that a tag belongs to; empty for the tag of an image.

    Such a tag is that of a referrers index, or cosign's with a suffix (``.sig``, ``.att``, ``.sbom``).
    """
    match = _DERIVED_TAG.fullmatch(tag)
    return match[1] if match else ""


def _descriptor(artifact: Manifest) -> dict[str, object]:
    """Return the descriptor of an artifact for an index."""
    config = artifact.content.get("config")
    artifact_type = artifact.content.get("artifactType") or (
        config.get("mediaType") if isinstance(config, dict) else None
    )
    described = {**artifact.descriptor, "artifactType": artifact_type}
    if artifact.content.get("annotations"):
        described["annotations"] = artifact.content["annotations"]
    return described


def _fallback_index(repository: Repository, subject: str) -> Mapping[str, Any]:
    tag = fallback_tag(subject)
    try:
        index = repository.manifest(tag)
    except NoSuchImageError:
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    if index.media_type != OCI_INDEX or not isinstance(index.content.get("manifests", []), list):
        raise RegistryError(
            f"{repository.reference}:{tag} is not a referrers index",
            solution="check what was pushed under that tag, and delete it",
        )
    return index.content


def _push_blob(repository: Repository, blob: bytes) -> dict[str, object]:
    return {"digest": repository.push(blob), "size": len(blob)}
