# SPDX-License-Identifier: GPL-2.0-or-later
"""Artifacts that refer to an image, e.g. SBOMs (OCI image spec 1.1).

A registry with the referrers API lists them itself and confirms that on push (``OCI-Subject``). For other registries
the client maintains an index under a tag derived from the image's digest (OCI distribution spec 1.1, "Unavailable
Referrers API").
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedpkg_container.errors import AccessDeniedError, NoSuchImageError, RegistryError, UnexpectedResponseError
from fedpkg_container.registry.digests import validate_digest
from fedpkg_container.registry.manifests import (
    ARTIFACT_MANIFEST,
    MAX_MANIFEST_SIZE,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
)
from fedpkg_container.registry.pages import pages
from fedpkg_container.registry.repository import MAX_BLOB_SIZE, Repository

_log = logging.getLogger(__name__)

#: Attempts to update an index that other clients change concurrently.
MAX_ATTEMPTS = 5
#: Maximum nesting of artifacts that refer to artifacts.
MAX_DEPTH = 4
#: Empty configuration of an artifact.
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
#: Tags derived from the digest of the image that they belong to, truncated to 128 characters.
_DERIVED_TAG = re.compile(r"(sha(?:256|384|512)-[0-9a-f]{64,121})(?:\.[a-z]+)?")
#: Suffix of the tag of an image that is staged for a promotion.
_STAGED = ".staged"


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
    subject = repository.pushed_manifest(image)
    manifest = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact.media_type,
            "config": repository.push_described(EMPTY, EMPTY_TYPE),
            "layers": [
                {
                    **repository.push_described(artifact.content, artifact.media_type),
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
    if response.headers.get("OCI-Subject") or register(repository, artifact.subject, [_descriptor(artifact)]):
        return
    _log.warning(
        "%s@%s is stored, but clients cannot find it: the registry has no referrers API, and the tag %s cannot be used",
        repository.reference,
        artifact.digest,
        fallback_tag(artifact.subject),
    )


def register(repository: Repository, image: str, artifacts: Sequence[Mapping[str, object]]) -> bool:
    """Let the registry list artifacts that were pushed, unless it does so itself.

    :param image: digest of the image that they refer to
    :param artifacts: descriptors
    :return: whether they are listed
    :raises RegistryError: if a request fails
    """
    existing = {artifact.digest for artifact in referrers_from_api(repository, image) or ()}
    return all(artifact["digest"] in existing for artifact in artifacts) or add_referrers(repository, image, artifacts)


@dataclass(frozen=True)
class Referrers:
    """The referrers of an image.

    :param by_tag: whether clients maintain them under a tag, instead of the registry
    :param can_add: whether clients find a new one: the registry has the API, or the tag can be used
    """

    artifacts: tuple[Descriptor, ...]
    by_tag: bool
    can_add: bool = True


def list_referrers(repository: Repository, image: str) -> Referrers:
    """Return the referrers of an image, and who maintains them.

    Some registries respond with an empty list although they do not implement the API, or implement it since recently:
    then those under the tag count.

    :param image: its digest
    :raises RegistryError: if the request fails
    """
    entries = referrers_from_api(repository, image)
    if entries:
        return Referrers(entries, by_tag=False)
    index = _fallback_index(repository, image)
    descriptors = tuple(map(Descriptor.of, index.get("manifests") or ())) if index else ()
    by_tag = entries is None or bool(descriptors)
    return Referrers(descriptors, by_tag=by_tag, can_add=entries is not None or index is not None)


def referrers_from_api(repository: Repository, image: str) -> tuple[Descriptor, ...] | None:
    """Return the referrers of an image from the referrers API; None if the registry does not implement it.

    Registries without the API respond with various errors, redirect to another host, or return a web page: everything
    but a valid index means that it is not implemented.

    :param image: its digest
    :raises RegistryError: if the registry is unavailable
    """
    http = repository.http
    if repository.name in http.without_referrers_api:
        return None
    try:
        path = f"/v2/{repository.name}/referrers/{validate_digest(image)}"
        return _descriptors(pages(http, path, "manifests", repository.name))
    except (NoSuchImageError, UnexpectedResponseError) as error:
        _log.info("%s does not implement the referrers API: %s", repository.reference, error.reason)
        http.without_referrers_api.add(repository.name)
        return None


def _descriptors(entries: Iterable[object]) -> tuple[Descriptor, ...]:
    """Parse the entries of an index from the referrers API.

    :raises UnexpectedResponseError: if one is not a valid descriptor
    """
    parsed = []
    for entry in entries:
        try:
            parsed.append(Descriptor.of(entry))
        except RegistryError as error:
            raise UnexpectedResponseError(error.reason) from error
    return tuple(parsed)


def referrers(repository: Repository, image: str) -> list[Descriptor]:
    """Return the artifacts that refer to an image.

    :param image: its digest
    :raises RegistryError: if the request fails
    """
    return list(list_referrers(repository, image).artifacts)


def add_referrers(repository: Repository, image: str, artifacts: Sequence[Mapping[str, object]]) -> bool:
    """Add artifacts to the index under the image's fallback tag, keeping its other entries.

    :param image: its digest
    :param artifacts: descriptors
    :return: whether they are listed there; False if the tag cannot be used for that, which is logged
    :raises RegistryError: if the index becomes too long, or other clients keep changing it
    """
    for _ in range(MAX_ATTEMPTS):
        index = _fallback_index(repository, image)
        if index is None:
            return False
        missing = _missing(index, artifacts)
        if not missing:
            return True
        updated = Manifest.of({**index, "manifests": [*(index.get("manifests") or []), *missing]})
        if len(updated.raw) > MAX_MANIFEST_SIZE:
            raise RegistryError(f"the referrers index of {repository.reference}@{image} is too long")
        repository.put_manifest(fallback_tag(image), updated)
        # The next iteration detects a concurrent change. The registry may show its own late.
        repository.http.wait_until(lambda: not _missing(_fallback_index(repository, image) or {}, artifacts))
    raise RegistryError(
        f"the referrers index of {repository.reference}@{image} keeps changing",
        solution="run it again; if other programs push referrers there all the time, stop them",
    )


def _missing(index: Mapping[str, Any], artifacts: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return the artifacts that an index does not list."""
    digests = [entry.get("digest") for entry in index.get("manifests") or [] if isinstance(entry, dict)]
    return [artifact for artifact in artifacts if artifact["digest"] not in digests]


def content(repository: Repository, artifact: str, *, max_size: int = MAX_BLOB_SIZE) -> bytes:
    """Return the file of an artifact.

    :param artifact: digest
    :param max_size: bytes
    :raises RegistryError: if it does not exist, has a different digest, or is longer
    """
    manifest = repository.manifest(artifact)
    files = manifest.blobs if manifest.media_type == ARTIFACT_MANIFEST else manifest.blobs[1:]
    if not files:
        raise RegistryError(f"artifact {repository.reference}@{artifact} contains no file")
    if files[0].size > max_size:
        raise RegistryError(f"the file of artifact {repository.reference}@{artifact} is longer than {max_size} bytes")
    return repository.blob(files[0])


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
    return "" if is_staged_tag(tag) else _derived_from(tag)


def is_derived_tag(tag: str) -> bool:
    """Return whether a tag is derived from a digest, so that it is not listed as the tag of an image."""
    return bool(_derived_from(tag))


def staged_tag(digest: str) -> str:
    """Return the tag of an image that is staged: complete in its repository, and not published.

    It protects the image from garbage collection, and lets mirrors export it. Like cosign's tags it is derived from the
    digest, so that it is not listed as a tag of the image.
    """
    return f"{fallback_tag(digest)[: 128 - len(_STAGED)]}{_STAGED}"


def is_staged_tag(tag: str) -> bool:
    """Return whether a tag is that of a staged image; it refers to the image itself, not to an artifact."""
    return tag.endswith(_STAGED) and is_derived_tag(tag)


def _derived_from(tag: str) -> str:
    """Return the part of a tag that is derived from a digest; empty for any other tag."""
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


def _fallback_index(repository: Repository, subject: str) -> Mapping[str, Any] | None:
    """Return the index under the fallback tag of an image, empty if there is none; None if the tag cannot have one.

    That is the case if the registry takes the tag for the digest, as GitLab's does, or it has something else.
    """
    tag = fallback_tag(subject)
    try:
        index = repository.manifest(tag)
    except NoSuchImageError:
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    except AccessDeniedError:
        if repository.head(tag):
            raise
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    if index.digest == subject:
        _log.info("%s returns the image itself for the tag %s", repository.http.host, tag)
        return None
    if index.media_type != OCI_INDEX or not isinstance(index.content.get("manifests", []), list):
        _log.warning("%s:%s is not a referrers index; ignoring it", repository.reference, tag)
        return None
    return index.content
