"""What refers to an image in a registry, an SBOM for one: artifacts with a subject (OCI image spec 1.1).

A registry that knows the referrers API lists them itself and says so when one is pushed (``OCI-Subject``). For any
other, whoever pushes keeps a list under a tag that is made of the image's digest, and clients look there (OCI
distribution spec 1.1, "Unavailable Referrers API").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fedpkg_container.errors import NoSuchImageError, RegistryError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.http import Answer, RegistryHTTP
from fedpkg_container.registry.registry import LISTS, LONGEST_MANIFEST, MANIFEST, OCI_INDEX, OCI_MANIFEST

#: The configuration of an artifact that has none.
EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_MANIFESTS = ", ".join([OCI_MANIFEST, MANIFEST, *sorted(LISTS)])


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


def attach(http: RegistryHTTP, image: ImageReference, artifact: Artifact) -> str:
    """Attach a file to an image; the digest of the artifact. The same file again changes nothing.

    :param image: by digest
    :raises RegistryError: it could not be pushed
    """
    repository = image.repository
    raw = _manifest(http, repository, image.digest)
    subject = {"mediaType": _media_type(raw), "digest": image.digest, "size": len(raw.content)}
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact.media_type,
            "config": {"mediaType": EMPTY_TYPE, **_push_blob(http, repository, EMPTY)},
            "layers": [
                {
                    "mediaType": artifact.media_type,
                    **_push_blob(http, repository, artifact.content),
                    "annotations": {"org.opencontainers.image.title": artifact.name},
                }
            ],
            "subject": subject,
            "annotations": {"org.opencontainers.image.created": artifact.created},
        }
    )
    digest = _digest(manifest)
    described = {
        "mediaType": OCI_MANIFEST,
        "digest": digest,
        "size": len(manifest),
        "artifactType": artifact.media_type,
        "annotations": {"org.opencontainers.image.created": artifact.created},
    }
    answer = _push_manifest(http, repository, digest, manifest, OCI_MANIFEST)
    if not answer.headers.get("OCI-Subject"):
        _list_by_tag(http, repository, image.digest, described)
    return digest


def referrers(http: RegistryHTTP, image: ImageReference) -> list[dict[str, Any]]:
    """What refers to an image: descriptors, with ``artifactType`` and ``annotations``.

    :param image: by digest
    :raises RegistryError: the registry cannot be reached, or refuses
    """
    path = f"/v2/{image.repository}/referrers/{image.digest}"
    try:
        found = http.request("GET", path, repository=image.repository).json(path)
    except NoSuchImageError:
        found = _tagged_list(http, image.repository, image.digest)
    return list(found.get("manifests") or [])


def content(http: RegistryHTTP, repository: str, artifact: str) -> bytes:
    """The file of an artifact.

    :param artifact: digest
    :raises RegistryError: it is not there, or is not what its digest says
    """
    path = f"/v2/{repository}/manifests/{artifact}"
    manifest = _manifest(http, repository, artifact).json(path)
    try:
        digest = str(manifest["layers"][0]["digest"])
    except (LookupError, TypeError) as error:
        raise RegistryError(f"{http.host}/{repository}@{artifact} holds no file") from error
    found = http.request("GET", f"/v2/{repository}/blobs/{digest}", repository=repository).content
    if _digest(found) != digest:
        raise RegistryError(f"{http.host} answered something else when it was asked for {repository}@{digest}")
    return found


def fallback_tag(digest: str) -> str:
    """The tag under which the referrers of an image are listed where the registry does not list them."""
    return digest.replace(":", "-", 1)[:128]


def _list_by_tag(http: RegistryHTTP, repository: str, subject: str, described: Mapping[str, Any]) -> None:
    """Add an artifact to the list under the tag; what others have listed there stays."""
    index = _tagged_list(http, repository, subject)
    listed = list(index.get("manifests") or [])
    if any(each.get("digest") == described["digest"] for each in listed):
        return
    changed = _json({**index, "manifests": [*listed, dict(described)]})
    if len(changed) > LONGEST_MANIFEST:
        raise RegistryError(f"the list of referrers of {repository}@{subject} is longer than registries take")
    _push_manifest(http, repository, fallback_tag(subject), changed, OCI_INDEX)


def _tagged_list(http: RegistryHTTP, repository: str, subject: str) -> dict[str, Any]:
    path = f"/v2/{repository}/manifests/{fallback_tag(subject)}"
    try:
        answer = http.request("GET", path, repository=repository, headers={"Accept": _MANIFESTS})
    except NoSuchImageError:
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    found = answer.json(path)
    if found.get("mediaType", OCI_INDEX) != OCI_INDEX or not isinstance(found.get("manifests"), list):
        raise RegistryError(
            f"{http.host}/{repository}:{fallback_tag(subject)} is no list of referrers",
            solution="see what was pushed under that tag, and delete it",
        )
    return found


def _manifest(http: RegistryHTTP, repository: str, digest: str) -> Answer:
    """A manifest, as the bytes that its digest is of."""
    path = f"/v2/{repository}/manifests/{digest}"
    answer = http.request("GET", path, repository=repository, headers={"Accept": _MANIFESTS})
    if _digest(answer.content) != digest:
        raise RegistryError(f"{http.host} answered something else when it was asked for {repository}@{digest}")
    return answer


def _media_type(answer: Answer) -> str:
    return str(json.loads(answer.content).get("mediaType") or answer.headers.get("Content-Type") or OCI_MANIFEST)


def _push_manifest(http: RegistryHTTP, repository: str, name: str, manifest: bytes, media_type: str) -> Answer:
    return http.request(
        "PUT",
        f"/v2/{repository}/manifests/{name}",
        repository=repository,
        headers={"Content-Type": media_type},
        content=manifest,
        expected=(201, 202),
    )


def _push_blob(http: RegistryHTTP, repository: str, blob: bytes) -> dict[str, Any]:
    """Push a blob that is not there yet; its digest and size."""
    digest = _digest(blob)
    described = {"digest": digest, "size": len(blob)}
    try:
        http.request("HEAD", f"/v2/{repository}/blobs/{digest}", repository=repository)
    except NoSuchImageError:
        begun = http.request("POST", f"/v2/{repository}/blobs/uploads/", repository=repository, expected=(202,))
        place = begun.headers.get("Location", "")
        http.request(
            "PUT",
            f"{place}{'&' if '?' in place else '?'}digest={quote(digest, safe='')}",
            repository=repository,
            headers={"Content-Type": "application/octet-stream"},
            content=blob,
            expected=(201,),
        )
    return described


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
