# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of a build in a pod, as an OCI artifact in its staging repository.

Layers: the description of the image (absent if the build failed), the Dockerfile as built (absent if the build ended
before), and the log. Each has a different media type, by which it is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry.digests import file_digest, validate_digest, verify_chunks
from fedpkg_container.registry.manifests import OCI_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.referrers import EMPTY, EMPTY_TYPE
from fedpkg_container.registry.repository import Repository

ARTIFACT_TYPE = "application/vnd.fedpkg-container.build.v1"
#: Media types of the layers.
IMAGE, DOCKERFILE, LOG = (f"{ARTIFACT_TYPE}.{name}" for name in ("image+json", "dockerfile", "log+gzip"))
#: Size limit of each file, bytes.
MAX_SIZES = {IMAGE: 64 * 10**6, DOCKERFILE: 16 * 10**6, LOG: 10**9}
_CHUNK = 1 << 20


def push(repository: Repository, tag: str, files: Mapping[str, Path]) -> str:
    """Store the files of a build, and return the digest of the artifact.

    :param tag: a tag keeps the artifact from garbage collection, and lets the cleanup of staging find it
    :param files: media type → file
    :raises RegistryError: if they cannot be stored
    """
    layers = []
    for media_type, path in files.items():
        fields = {"mediaType": media_type, "digest": file_digest(path), "size": path.stat().st_size}
        blob = Descriptor.of(fields)
        if not repository.has_blob(blob.digest):
            repository.http.retry(lambda blob=blob, path=path: repository.upload(blob, _chunks(path)))  # type: ignore[misc]
        layers.append(fields)
    config = repository.push_described(EMPTY, EMPTY_TYPE)
    manifest = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": config,
            "layers": layers,
        }
    )
    repository.http.retry(lambda: repository.put_manifest(tag, manifest))
    return manifest.digest


def pull(repository: Repository, digest: str, directory: Path) -> dict[str, Path]:
    """Download the files of a build; return them by media type.

    :param directory: where they are written
    :raises RegistryError: if they do not exist, are too large, or differ from their digests
    """
    manifest = repository.manifest(validate_digest(digest))
    if manifest.content.get("artifactType") != ARTIFACT_TYPE:
        raise RegistryError(f"{repository.reference.at(digest)} is not the result of a build")
    files: dict[str, Path] = {}
    for number, blob in enumerate(manifest.blobs[1:]):
        limit = MAX_SIZES.get(blob.media_type)
        if limit is None or blob.media_type in files:
            raise RegistryError(f"{repository.reference.at(digest)} has an unexpected file: {blob.media_type[:100]!r}")
        if blob.size > limit:
            raise RegistryError(f"{repository.reference.at(digest)}: {blob.media_type} is longer than {limit} bytes")
        files[blob.media_type] = directory / f"artifact-{number}"
        _download(repository, blob, files[blob.media_type])
    return files


def _download(repository: Repository, blob: Descriptor, path: Path) -> None:
    def attempt() -> None:
        with repository.open_blob(blob.digest) as stream, path.open("wb") as file:
            for chunk in verify_chunks(stream.chunks, blob.digest, blob.size):
                file.write(chunk)

    repository.http.retry(attempt)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
