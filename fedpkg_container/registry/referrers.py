"""What refers to an image in a registry, an SBOM for one: artifacts with a subject (OCI image spec 1.1).

A registry that knows the referrers API lists them itself and says so when one is pushed (``OCI-Subject``). For any
other, whoever pushes keeps a list under a tag that is made of the image's digest, and clients look there (OCI
distribution spec 1.1, "Unavailable Referrers API").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.registry.digests import checked
from fedpkg_container.registry.manifests import LONGEST_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository, pages

#: How often a list is changed anew because somebody else changed it meanwhile.
ATTEMPTS = 5
#: How deep artifacts may refer to artifacts.
DEEPEST = 4
#: The configuration of an artifact that has none.
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
#: What registries answer, besides 404, that do not know the referrers API (HTTP).
UNKNOWN = (400, 405, 406)
#: Tags that name the digest of the image that they belong to, cut off where a tag must end (128 characters).
_BELONGS = re.compile(r"(sha(?:256|384|512)-[0-9a-f]{64,121})(?:\.[a-z]+)?")


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
        enlist(repository, artifact.subject, [_described(artifact)])


@dataclass(frozen=True)
class Listing:
    """What refers to an image.

    :param by_tag: listed under a tag by those who push, not by the registry
    """

    artifacts: tuple[Descriptor, ...]
    by_tag: bool


def listing(repository: Repository, image: str) -> Listing:
    """What refers to an image, and who lists it.

    :param image: its digest
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    listed = listed_by_registry(repository, image)
    if listed is not None:
        return Listing(listed, by_tag=False)
    found = list(_tagged_list(repository, image).get("manifests") or [])
    return Listing(tuple(map(Descriptor.of, found)), by_tag=True)


def listed_by_registry(repository: Repository, image: str) -> tuple[Descriptor, ...] | None:
    """What refers to an image, as far as the registry lists that itself; None where it does not.

    :param image: its digest
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    http = repository.http
    if repository.name in http.without_referrers:
        return None
    try:
        path = f"/v2/{repository.name}/referrers/{checked(image)}"
        found = list(pages(http, path, "manifests", repository.name, absent=UNKNOWN))
    except NoSuchImageError:  # registries that know the interface answer with an empty list
        http.without_referrers.add(repository.name)
        return None
    return tuple(map(Descriptor.of, found))


def referrers(repository: Repository, image: str) -> list[Descriptor]:
    """What refers to an image.

    :param image: its digest
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    return list(listing(repository, image).artifacts)


def enlist(repository: Repository, image: str, artifacts: Sequence[Mapping[str, Any]]) -> None:
    """Add artifacts to the list under the image's tag; what others have listed there stays.

    :param image: its digest
    :param artifacts: what the list is to say of them, descriptors
    :raises RegistryError: the list is too long, or others keep changing it
    """
    for _ in range(ATTEMPTS):
        index = _tagged_list(repository, image)
        listed = list(index.get("manifests") or [])
        known = [each.get("digest") for each in listed if isinstance(each, dict)]
        missing = [each for each in artifacts if each["digest"] not in known]
        if not missing:
            return
        changed = Manifest.of({**index, "manifests": [*listed, *missing]})
        if len(changed.raw) > LONGEST_MANIFEST:
            raise RegistryError(f"the list of referrers of {repository.reference}@{image} is too long")
        repository.put_manifest(fallback_tag(image), changed)  # and looks whether another list came meanwhile
    raise RegistryError(f"the list of referrers of {repository.reference}@{image} keeps changing")


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


def is_fallback_tag(tag: str) -> bool:
    """Whether a tag is that of a list of referrers, and no image."""
    return list_tag(tag) == tag


def list_tag(tag: str) -> str:
    """The tag of the list of referrers of the image that a tag belongs to; empty for a tag that is an image's own.

    It is that of the list itself, or cosign's, which has an ending behind it (``.sig``, ``.att``, ``.sbom``).
    """
    found = _BELONGS.fullmatch(tag)
    return found[1] if found else ""


def _described(artifact: Manifest) -> dict[str, Any]:
    """What a list says of an artifact."""
    config = artifact.content.get("config")
    kind = artifact.content.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    described = {**artifact.descriptor, "artifactType": kind}
    if artifact.content.get("annotations"):
        described["annotations"] = artifact.content["annotations"]
    return described


def _tagged_list(repository: Repository, subject: str) -> Mapping[str, Any]:
    tag = fallback_tag(subject)
    try:
        found = repository.manifest(tag)
    except NoSuchImageError:
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    if found.media_type != OCI_INDEX or not isinstance(found.content.get("manifests", []), list):
        raise RegistryError(
            f"{repository.reference}:{tag} is no list of referrers",
            solution="see what was pushed under that tag, and delete it",
        )
    return found.content


def _pushed(repository: Repository, blob: bytes) -> dict[str, Any]:
    return {"digest": repository.push(blob), "size": len(blob)}
