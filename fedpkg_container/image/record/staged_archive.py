# SPDX-License-Identifier: GPL-2.0-or-later
"""The docker-archive of an image that was built elsewhere, from its blobs in staging.

It has the same bytes as the archive that the engine exports: compressed layers are copied unchanged.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from fedpkg_container.engines.inside.export import ARCHIVE, Layer, archive
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.digests import verify_chunks
from fedpkg_container.registry.manifests import MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository

#: Window size of a gzip file for zlib.
_GZIP = 31


def docker_digest(image: BuiltImage) -> str:
    """Return the digest of the image in docker's format, which archives have, or else in its primary format."""
    return image.digest if image.media_type == MANIFEST else image.variants.get("v2s2", image.digest)


def save_archive(
    repository: Repository, digest: str, name: ImageReference, directory: Path, tick: Callable[[], None]
) -> Path:
    """Write the archive of an image; return its path.

    :param digest: of the image's manifest
    :param name: name of the image in the archive
    :param directory: for the image's blobs and the archive
    :param tick: called for each chunk
    :raises RegistryError: if the image cannot be read
    :raises BuildFailedError: if its configuration does not describe its layers
    """
    manifest = repository.manifest(digest)
    config, *blobs = manifest.blobs
    content = repository.blob(config)
    (directory / config.digest.partition(":")[2]).write_bytes(content)
    layers = [
        _layer(repository, diff_id, blob, directory, tick) for diff_id, blob in zip(_diff_ids(content, manifest), blobs)
    ]
    archive(str(directory), str(name), config.digest, layers, compressed=True)
    for path in {layer.packed for layer in layers}:
        os.unlink(path)
    return directory / ARCHIVE


def _diff_ids(config: bytes, manifest: Manifest) -> list[str]:
    try:
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
    except (ValueError, LookupError, TypeError):
        diff_ids = None
    if not isinstance(diff_ids, list) or len(diff_ids) != len(manifest.blobs) - 1:
        raise BuildFailedError(f"the configuration of {manifest.digest} does not list its layers")
    return [str(diff_id) for diff_id in diff_ids]


def _layer(repository: Repository, diff_id: str, blob: Descriptor, directory: Path, tick: Callable[[], None]) -> Layer:
    """Download a layer, and determine its uncompressed size."""
    packed = directory / blob.digest.partition(":")[2]
    size = 0

    def attempt() -> None:
        nonlocal size
        size, decompressor = 0, zlib.decompressobj(_GZIP)
        with repository.open_blob(blob.digest) as stream, packed.open("wb") as file:
            for chunk in verify_chunks(stream.chunks, blob.digest, blob.size):
                tick()
                file.write(chunk)
                while chunk:
                    size += len(decompressor.decompress(chunk, 1 << 22))
                    chunk = decompressor.unconsumed_tail or decompressor.unused_data
                    if decompressor.eof and chunk:
                        decompressor = zlib.decompressobj(_GZIP)
        size += len(decompressor.flush())

    try:
        repository.http.retry(attempt)
    except zlib.error as error:
        raise BuildFailedError(f"layer {blob.digest} is not compressed with gzip: {error}") from error
    described = {"digest": blob.digest, "size": blob.size}
    return Layer(diff_id, size, described, str(packed), "")
