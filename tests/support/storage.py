# SPDX-License-Identifier: GPL-2.0-or-later
"""Images written directly to a docker-registry's directory: thousands per second."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.errors import NoSuchImageError
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.response import Response

LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class Storage:
    """The directory of a docker-registry (``storage: filesystem: rootdirectory``), which it reads for every request.

    :param confirms_subject: whether the registry confirms the subject of a manifest; otherwise there is a tag for it
    """

    root: Path
    confirms_subject: bool = False

    @classmethod
    def of(cls, directory: Path, host: str) -> Storage:
        """That of ``registries.docker_registry``."""
        return cls(directory / f"data-{host.rpartition(':')[2]}")

    def data(self, digest: str) -> Path:
        """Return the path of a blob or a manifest."""
        algorithm, _, text = digest.partition(":")
        return self.root / "docker/registry/v2/blobs" / algorithm / text[:2] / text / "data"

    def _repository(self, repository: str) -> Path:
        return self.root / "docker/registry/v2/repositories" / repository

    def blob(self, repository: str, content: bytes, media_type: str = LAYER) -> dict[str, Any]:
        """Store a blob; its descriptor."""
        digest = self._store(content)
        self._link(self._repository(repository) / "_layers" / digest.replace(":", "/"), digest)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def image(
        self,
        repository: str,
        *tags: str,
        layers: Sequence[bytes] = (),
        arch: str = "amd64",
        variant: str = "",
        extra: Sequence[Any] = (),
    ) -> Manifest:
        """Store an image.

        :param variant: of the architecture; empty for none
        :param extra: descriptors of further layers
        """
        unpacked = [gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer for layer in layers]
        facts = {"architecture": arch, "os": "linux", "config": {"Labels": {"of": repository}},
                 "rootfs": {"type": "layers", "diff_ids": list(map(digest_of, unpacked))},
                 **({"variant": variant} if variant else {})}  # fmt: skip
        config = self.blob(repository, json.dumps(facts).encode(), CONFIG)
        described = [self.blob(repository, layer) for layer in layers]
        image = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [*described, *extra]}
        return self.manifest(repository, Manifest.of(image), *tags)

    def images(self, repository: str, *tags: str, members: Sequence[tuple[str, Manifest]]) -> Manifest:
        """Store an index with an image per architecture."""
        listed = [{**member.descriptor, "platform": {"architecture": arch, "os": "linux"}} for arch, member in members]
        facts = {"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": listed}
        return self.manifest(repository, Manifest.of(facts), *tags)

    def manifest(self, repository: str, manifest: Manifest, *tags: str) -> Manifest:
        """Store a manifest under tags."""
        digest = self._store(manifest.raw)
        directory = self._repository(repository) / "_manifests"
        self._link(directory / "revisions" / digest.replace(":", "/"), digest)
        for tag in tags:
            self._link(directory / "tags" / tag / "current", digest)
            self._link(directory / "tags" / tag / "index" / digest.replace(":", "/"), digest)
        return manifest

    def find(self, repository: str, name: str) -> bytes:
        """Return a manifest by tag or digest.

        :raises OSError: if it does not exist
        """
        place = f"revisions/{name.replace(':', '/')}" if ":" in name else f"tags/{name}/current"
        return self.data((self._repository(repository) / "_manifests" / place / "link").read_text()).read_bytes()

    def untag(self, repository: str, tag: str) -> None:
        """Remove a tag; keep the manifest."""
        (self._repository(repository) / "_manifests/tags" / tag / "current/link").unlink()
        (self._repository(repository) / "_manifests/tags" / tag / "current").rmdir()

    def forget(self, repository: str, digest: str) -> None:
        """Remove a manifest, as the registry does on deletion."""
        (self._repository(repository) / "_manifests/revisions" / digest.replace(":", "/") / "link").unlink()

    def change_byte(self, digest: str, at: int = 0) -> None:
        """Change one byte of a blob."""
        content = bytearray(self.data(digest).read_bytes())
        content[at] ^= 1
        self.data(digest).write_bytes(content)

    def _store(self, content: bytes) -> str:
        digest = digest_of(content)
        path = self.data(digest)
        if not path.exists():
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        return digest

    @staticmethod
    def _link(directory: Path, digest: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "link").write_text(digest)


#: Address of a running registry of ``registries.docker_registry`` → its storage.
_running: dict[str, Storage] = {}


@contextlib.contextmanager
def running(host: str, root: Path) -> Iterator[None]:
    """While a registry runs, let ``stored`` write to its directory."""
    with running_in(host, Storage(root)):
        yield


@contextlib.contextmanager
def running_in(host: str, storage: Storage) -> Iterator[None]:
    """The same for another kind of storage."""
    _running[host] = storage
    try:
        yield
    finally:
        del _running[host]


def stored(repository: Repository) -> Repository:
    """Return the same repository, written without requests if its registry's directory is known.

    For images that a test needs before its own steps: a request takes ten times as long as writing a file.
    """
    storage = _running.get(repository.http.host)
    return repository if storage is None else _StoredRepository(repository.http, repository.name, storage)


@dataclass(frozen=True)
class _StoredRepository(Repository):
    """A repository that is read and written in the registry's directory, as far as needed to push images."""

    storage: Storage

    def push(self, content: bytes) -> str:
        return str(self.storage.blob(self.name, content)["digest"])

    def manifest(self, name: str) -> Manifest:
        try:
            return Manifest.read(self.storage.find(self.name, name), where=f"{self.reference} {name}")
        except OSError as error:
            raise NoSuchImageError(f"{self.reference} has no {name}") from error

    def put_manifest(self, name: str, manifest: Manifest) -> Response:
        self.storage.manifest(self.name, manifest, *(() if ":" in name else (name,)))
        confirmed = self.storage.confirms_subject and manifest.subject
        return Response(201, {"OCI-Subject": manifest.subject} if confirmed else {}, b"")
