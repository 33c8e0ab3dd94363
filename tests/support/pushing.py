# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of all kinds pushed to a registry for tests, each with a distinct name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST, Manifest
from fedpkg_container.registry.repository import Repository
from tests.support.storage import stored

_CONFIGS = {MANIFEST: "application/vnd.docker.container.image.v1+json",
            OCI_MANIFEST: "application/vnd.oci.image.config.v1+json"}  # fmt: skip
_LAYERS = {MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip",
           OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip"}  # fmt: skip


def blob(repository: Repository, content: bytes, media_type: str) -> dict[str, Any]:
    """Push a blob; return its descriptor."""
    return {"mediaType": media_type, "digest": stored(repository).push(content), "size": len(content)}


def image(
    repository: Repository,
    name: str,
    *tags: str,
    kind: str = MANIFEST,
    layers: Sequence[bytes] = (),
    arch: str = "amd64",
) -> Manifest:
    """Push an image with a layer named after it, and further layers; under its digest if no tag is given."""
    contents = [f"layer of {name}".encode(), *layers]
    diff_ids = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in contents]
    config = {"architecture": arch, "os": "linux", "config": {"Labels": {"name": name}},
              "rootfs": {"type": "layers", "diff_ids": diff_ids}}  # fmt: skip
    made = Manifest.of(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": blob(repository, json.dumps(config).encode(), _CONFIGS[kind]),
            "layers": [blob(repository, each, _LAYERS[kind]) for each in contents],
        }
    )
    return tagged(repository, made, *tags)


def listing(
    repository: Repository, *members: Manifest, tags: Sequence[str] = (), kind: str = MANIFEST_LIST
) -> Manifest:
    """Push an image index."""
    arches = ("amd64", "arm64", "s390x", "ppc64le")
    listed = [
        {**each.descriptor, "platform": {"architecture": arch, "os": "linux"}} for each, arch in zip(members, arches)
    ]
    return tagged(repository, Manifest.of({"schemaVersion": 2, "mediaType": kind, "manifests": listed}), *tags)


def index(repository: Repository, *members: Manifest, tags: Sequence[str] = ()) -> Manifest:
    """Push an OCI index."""
    return listing(repository, *members, tags=tags, kind=OCI_INDEX)


def tagged(repository: Repository, manifest: Manifest, *tags: str) -> Manifest:
    """Push a manifest under its digest, and under some tags."""
    for name in tags or (manifest.digest,):
        stored(repository).put_manifest(name, manifest)
    return manifest
