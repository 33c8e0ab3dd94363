# SPDX-License-Identifier: GPL-2.0-or-later
"""Images in a store (containers/storage), read as files: configuration, and layers as their original tar archives.

Imported by the programs of a worker; needs only Python's standard library. ``overlay-images`` has the images,
``overlay-layers`` the layers, and ``overlay/LAYER/diff`` a layer's files. ``overlay-layers/LAYER.tar-split.gz`` has
everything else of its archive (https://github.com/vbatts/tar-split): JSON objects, one per line, that are pieces of the
archive (type 2), or stand for the contents of a file (type 1).

``buildah push`` does the same, but copies each layer to a temporary file first, and has to read all layers of the base
image: for 200 MB it takes 1.5 s of processor time, this 0.1 s.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

from .store_index import entries

_CHUNK = 1 << 20
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
#: Types of entries in tar-split's file.
_FILE, _PIECE = 1, 2


def configuration(image: str, stores: list[str]) -> bytes:
    """Return the configuration of an image in docker's format.

    :param image: its ID
    :raises LookupError: if no store has it
    :raises ValueError: if it has another format, or does not match its ID
    """
    for store in stores:
        if any(each["id"] == image for each in entries(store, "images", "images")):
            directory = f"{store}/overlay-images/{image}"
            break
    else:
        raise LookupError(f"no store has the image {image}")
    with open(f"{directory}/manifest", "rb") as file:
        media_type = json.load(file).get("mediaType")
    if media_type != _MANIFEST_TYPE:
        raise ValueError(f"the image is not in docker's format, but {media_type}")
    name = base64.b64encode(f"sha256:{image}".encode()).decode()
    with open(f"{directory}/={name}", "rb") as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != image:
        raise ValueError("the configuration of the image has another digest")
    return content


def layers(stores: list[str]) -> dict[str, StoredLayer]:
    """Return the layers of stores by their diff ID."""
    return {
        str(each["diff-digest"]): StoredLayer(store, each["id"], str(each["diff-digest"]), int(each["diff-size"]))
        for store in stores
        for each in entries(store, "layers", "layers", "volatile-layers")
        if each.get("diff-digest") and each.get("diff-size")
    }


class StoredLayer:
    """A layer in a store.

    :param identity: its ID in the store
    :param size: of its archive, bytes
    """

    def __init__(self, store: str, identity: str, diff_id: str, size: int) -> None:
        self.diff_id, self.size = diff_id, size
        self._files = f"{store}/overlay/{identity}/diff"
        self._split = f"{store}/overlay-layers/{identity}.tar-split.gz"

    def open(self) -> LayerStream:
        """Return its archive as a stream."""
        return LayerStream(self)

    def chunks(self) -> Iterator[bytes]:
        """Yield its archive.

        :raises OSError: if a file is missing
        :raises ValueError: if a file is shorter than in the archive, or tar-split's file is malformed
        """
        for entry in self._entries():
            if entry["type"] == _PIECE:
                yield base64.b64decode(entry.get("payload") or "")
            elif entry["type"] == _FILE and entry.get("size"):
                name = base64.b64decode(entry["name_raw"]) if entry.get("name_raw") else os.fsencode(entry["name"])
                yield from self._contents(name, entry["size"])

    def _entries(self) -> Iterator[dict[str, Any]]:
        try:
            with gzip.open(self._split) as split:
                yield from map(json.loads, split)
        except (EOFError, zlib.error) as error:
            raise ValueError(f"{self._split}: {error}") from error

    def _contents(self, name: bytes, size: int) -> Iterator[bytes]:
        path = os.path.join(os.fsencode(self._files), name.lstrip(b"/"))
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            while size > 0:
                chunk = os.read(file, min(size, _CHUNK))
                if not chunk:
                    raise ValueError("a file of the layer is shorter than in its archive")
                size -= len(chunk)
                yield chunk
        finally:
            os.close(file)


class LayerStream(io.RawIOBase):
    """A layer's archive, readable as a file; hashed while it is read.

    :param layer: the layer
    """

    def __init__(self, layer: StoredLayer) -> None:
        super().__init__()
        self._layer = layer
        self._chunks = filter(None, layer.chunks())
        self._rest = memoryview(b"")
        self._hasher = hashlib.sha256()

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
            self._hasher.update(self._rest)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def check(self) -> None:
        """Raise ValueError if the digest of the data read is not the layer's diff ID."""
        if f"sha256:{self._hasher.hexdigest()}" != self._layer.diff_id:
            raise ValueError(f"the files of the layer {self._layer.diff_id} do not match its archive")
