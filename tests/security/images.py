# SPDX-License-Identifier: GPL-2.0-or-later
"""Malicious images in skopeo's ``dir`` format, made without executing their contents."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.manifests import MANIFEST
from fedpkg_container.registry.skopeo import Access

_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"


def layer(files: Mapping[str, bytes]) -> bytes:
    """Return an uncompressed layer with some files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            archive.addfile(entry, io.BytesIO(text))
    return content.getvalue()


def write(
    directory: Path,
    layers: Iterable[bytes],
    settings: Mapping[str, Any] | None = None,
    *,
    named: Iterable[bytes] | None = None,
    pack: Callable[[bytes], bytes] = lambda content: gzip.compress(content, 1, mtime=0),
) -> Path:
    """Write an image.

    :param settings: ``config`` of its configuration
    :param named: layers that its configuration lists instead of the actual ones
    :param pack: compresses a layer
    """
    directory.mkdir()
    contents = list(layers)
    packed = [pack(each) for each in contents]
    config = {
        "architecture": own_architecture(),
        "os": "linux",
        "config": dict(settings or {}),
        "rootfs": {"type": "layers", "diff_ids": [_digest(each) for each in (contents if named is None else named)]},
    }
    blobs = [json.dumps(config).encode(), *packed]
    described = [{"mediaType": _LAYER, "size": len(each), "digest": _digest(each)} for each in packed]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": _CONFIG, "size": len(blobs[0]), "digest": _digest(blobs[0])},
        "layers": described,
    }
    for blob in blobs:
        (directory / _digest(blob).partition(":")[2]).write_bytes(blob)
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    return directory


def own_architecture() -> str:
    """Return this machine's architecture, as images name it."""
    return platform_of(os.uname().machine).architecture


def push(directory: Path, target: ImageReference, access: Access) -> ImageReference:
    """Push an image; its pull spec by digest."""
    options = [*access.options("dest-"), "--preserve-digests"]
    run(["skopeo", "copy", "--quiet", *options, f"dir:{directory}", f"docker://{target}"], timeout=120)
    return target.at(_digest((directory / "manifest.json").read_bytes()))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
