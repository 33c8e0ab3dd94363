"""What refers to an image in a registry, an SBOM for one: artifacts with a subject (OCI image spec 1.1).

A registry that knows the referrers API lists them itself and says so when one is pushed (``OCI-Subject``). For any
other, whoever pushes keeps a list under a tag that is made of the image's digest, and clients look there (OCI
distribution spec 1.1, "Unavailable Referrers API").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry.manifests import LONGEST_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository, pages

#: The configuration of an artifact that has none.
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True)
class Artifact:
    """One file that says something about an image.

    :param media_type: of the artifact and of its file
    :param name: what the file is called
    :param created: RFC 3339
    """

    media_type: str
    name: str
    content: bytes
    created: str


def attach(repository: Repository, image: str, artifact: Artifact) -> str:
    """Attach a file to an image; the digest of the artifact. The same file again changes nothing.

    :param image: its digest
    :raises RegistryError: it could not be pushed
    """
    subject = repository.manifest(image)
    made = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact.media_type,
            "config": {"mediaType": EMPTY_TYPE, **_pushed(repository, EMPTY)},
            "layers": [
                {
                    "mediaType": artifact.media_type,
                    **_pushed(repository, artifact.content),
                    "annotations": {"org.opencontainers.image.title": artifact.name},
                }
            ],
            "subject": subject.descriptor,
            "annotations": {"org.opencontainers.image.created": artifact.created},
        }
    )
    push(repository, made)
    return made.digest


def push(repository: Repository, artifact: Manifest) -> None:
    """Push the manifest of an artifact, whose blobs are there, and have it listed; again changes nothing.

    :raises RegistryError: it could not be pushed
    """
    answer = repository.put_manifest(artifact.digest, artifact)
    if not answer.headers.get("OCI-Subject"):
        _list_by_tag(repository, artifact)


def referrers(repository: Repository, image: str) -> list[Descriptor]:
    """What refers to an image.

    :param image: its digest
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    listed = listed_by_registry(repository, image)
    if listed is None:
        return [Descriptor.of(each) for each in _tagged_list(repository, image).get("manifests") or []]
    return listed


def listed_by_registry(repository: Repository, image: str) -> list[Descriptor] | None:
    """What refers to an image, as the registry itself lists it; None when it does not know the referrers API.

    :param image: its digest
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    path = f"/v2/{repository.name}/referrers/{image}"
    try:
        return [Descriptor.of(each) for each in pages(repository.http, path, "manifests", repository.name)]
    except NoSuchImageError:
        return None


def content(repository: Repository, artifact: str) -> bytes:
    """The file of an artifact.

    :param artifact: digest
    :raises RegistryError: it is not there, or is not what its digest says
    """
    manifest = repository.manifest(artifact)
    if len(manifest.blobs) < 2:
        raise RegistryError(f"{repository.reference}@{artifact} holds no file")
    return repository.blob(manifest.blobs[1])


def fallback_tag(digest: str) -> str:
    """The tag under which the referrers of an image are listed where the registry does not list them."""
    return digest.replace(":", "-", 1)[:128]


def _list_by_tag(repository: Repository, artifact: Manifest) -> None:
    """Add an artifact to the list under the tag; what others have listed there stays."""
    index = _tagged_list(repository, artifact.subject)
    listed = list(index.get("manifests") or [])
    if any(each.get("digest") == artifact.digest for each in listed):
        return
    kind = artifact.content.get("artifactType") or (artifact.content.get("config") or {}).get("mediaType")
    described = {**artifact.descriptor, "artifactType": kind}
    if artifact.content.get("annotations"):
        described["annotations"] = artifact.content["annotations"]
    changed = Manifest.of({**index, "manifests": [*listed, described]})
    if len(changed.raw) > LONGEST_MANIFEST:
        raise RegistryError(f"the list of referrers of {repository.reference}@{artifact.subject} is too long")
    repository.put_manifest(fallback_tag(artifact.subject), changed)


def _tagged_list(repository: Repository, subject: str) -> Mapping[str, Any]:
    tag = fallback_tag(subject)
    try:
        found = repository.manifest(tag)
    except NoSuchImageError:
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    if found.media_type != OCI_INDEX:
        raise RegistryError(
            f"{repository.reference}:{tag} is no list of referrers",
            solution="see what was pushed under that tag, and delete it",
        )
    return found.content


def _pushed(repository: Repository, blob: bytes) -> dict[str, Any]:
    return {"digest": repository.push(blob), "size": len(blob)}
