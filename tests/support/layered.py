# SPDX-License-Identifier: GPL-2.0-or-later
"""Images with layers of random bytes, for a registry and for a mirror."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.process import run
from fedpkg_container.registry.manifests import MANIFEST
from fedpkg_container.registry.skopeo import Access
from tests.support.waiting import PATIENCE

_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class LayeredImage:
    """An image as a directory of skopeo's transport ``dir``.

    :param layers: their digests
    :param config: the digest of its configuration
    """

    directory: Path
    layers: tuple[str, ...]
    config: str

    @classmethod
    def make(cls, directory: Path, *, layers: int = 3, size: int = 200_000) -> LayeredImage:
        """Make an image with one file per layer.

        :param size: of a layer, bytes
        """
        directory.mkdir()
        contents = [_layer(f"file-{number}", size) for number in range(layers)]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": {"of": directory.name}},
                "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(each)) for each in contents]},
            }
        ).encode()
        described = [{"mediaType": _LAYER, "size": len(each), "digest": _digest(each)} for each in contents]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": described,
        }
        for content in (config, *contents):
            (directory / _digest(content).partition(":")[2]).write_bytes(content)
        (directory / "manifest.json").write_text(json.dumps(manifest))
        (directory / "version").write_text("Directory Transport Version: 1.1\n")
        return cls(directory, tuple(map(_digest, contents)), _digest(config))

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of all blobs except the manifest."""
        return (self.config, *self.layers)

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return _digest((self.directory / "manifest.json").read_bytes())

    def content(self, digest: str) -> bytes:
        """A blob."""
        return (self.directory / digest.partition(":")[2]).read_bytes()

    def push(self, specification: str, access: Access) -> None:
        """Copy it into a registry."""
        options = [*access.options("dest-"), "--preserve-digests"]
        run(
            ["skopeo", "copy", "--quiet", *options, f"dir:{self.directory}", f"docker://{specification}"],
            timeout=PATIENCE,
        )

    def export(self, tree: Path, repository: str) -> None:
        """Write its blobs to their paths in a mirror."""
        directory = tree / "v2" / repository / "blobs"
        directory.mkdir(parents=True, exist_ok=True)
        for digest in self.blobs:
            (directory / digest).write_bytes(self.content(digest))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _layer(name: str, size: int) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        entry = tarfile.TarInfo(name)
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    return content.getvalue()
