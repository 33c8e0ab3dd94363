# SPDX-License-Identifier: GPL-2.0-or-later
"""Export an image for a registry and for Koji: a program in a worker.

The image is read from its store (``store.py``); only an image that cannot be read in this way, e.g. of another format,
is read from ``buildah push``, which writes it to a pipe, as a docker-archive with uncompressed layers. The image's own
layers are stripped of the xattrs that overlay adds when mounted in a user namespace (``user.overlay.*``, which buildah
1.28 does not omit), so that they are the same for any user. Each is compressed once, for both registry and archive.

Its argument is a file with a JSON object: ``image`` (its ID), ``stores`` (directories), ``push`` (the command by which
buildah writes the archive), ``others`` (format → command by which buildah writes a directory, ``dir:…``, and that
directory), ``target`` (an existing empty directory), ``known`` (diff ID → digest, size and file of layers that come
from a base image and stay as in the registry), ``gzip`` (compression command), ``archive`` (image name in the archive;
empty for no archive), ``compressed`` (whether to compress the archive).

It writes ``target/FORMAT.json`` (the manifests), blobs as ``target/HEX``, then the empty file ``target/exported``; and
then ``target/archive``, a docker-archive. A compressed archive contains the compressed layers unchanged: concatenated
gzip members are a valid file (RFC 1952), so that no byte is compressed twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import zlib
from typing import IO, Any

from . import store
from .tar import BLOCK, CHUNK, Hashing, Part, header, members, padded, strip

#: A command of fcntl(2) that Python before 3.10 does not define.
_F_SETPIPE_SZ = 1031
#: Size limit of a configuration or list in an archive, bytes.
_LONGEST_TEXT = 64 << 20
#: Time for a program to end after its output, seconds.
_END = 60
#: Target files: the marker for complete manifests and blobs, and the archive.
EXPORTED, ARCHIVE = "exported", "archive"
_GZIP_TYPES = {
    "v2s2": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "oci": "application/vnd.oci.image.layer.v1.tar+gzip",
}
#: A manifest in docker's format, without its blobs.
_DOCKER_MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "application/vnd.docker.container.image.v1+json"},
}


def widen(pipe: IO[bytes]) -> IO[bytes]:
    """Enlarge a pipe's buffer beyond 64 KiB, to reduce context switches, and return the pipe."""
    with contextlib.suppress(OSError):  # pipe limit of the user's processes
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, CHUNK)
    return pipe


def compress(source: IO[bytes], target: str, command: list[str]) -> tuple[str, int]:
    """Compress a file; return digest and size of the result."""
    with open(target, "wb") as file:
        hashing = Hashing(file)
        process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE)
        assert process.stdout is not None
        widen(process.stdout)
        while chunk := process.stdout.read(CHUNK):
            hashing.write(chunk)
        if process.wait(timeout=_END):
            raise SystemExit(f"{command[0]} failed with exit status {process.returncode}")
    return hashing.digest, hashing.size


class Layer:
    """An exported layer.

    :param diff_id: of the uncompressed layer
    :param size: of the uncompressed layer, bytes
    :param blob: digest and size of the compressed layer
    :param packed: file with the compressed layer
    :param plain: file with the uncompressed layer, if needed for an archive
    """

    def __init__(self, diff_id: str, size: int, blob: dict[str, Any], packed: str, plain: str) -> None:
        self.diff_id, self.size, self.blob, self.packed, self.plain = diff_id, size, blob, packed, plain


class Export:
    """The export of one image.

    :param target: directory for blobs
    :param known: layers that stay as in the registry, by diff ID
    :param gzip: compression command
    :param plain: whether to keep uncompressed layers
    """

    def __init__(self, target: str, known: dict[str, dict[str, Any]], gzip: list[str], *, plain: bool) -> None:
        self.target = target
        self.known = known
        self.gzip = gzip
        self.plain = plain
        self.layers: dict[str, Layer] = {}

    def read(self, stream: IO[bytes]) -> tuple[str, list[Layer]]:
        """Read the docker-archive of buildah, and write manifest and configuration in docker's format.

        :returns: the configuration's digest, and the layers
        :raises ValueError: if it is not such an archive
        """
        texts = {}
        for name, part in members(stream):
            if name.endswith(".tar"):
                diff_id = f"sha256:{name.removesuffix('.tar')}"
                self.layers[diff_id] = self.layer(diff_id, part.left, part)
            elif part.left <= _LONGEST_TEXT:
                texts[name] = part.read(part.left)
        (described,) = json.loads(texts["manifest.json"])
        layers = [self.layers[f"sha256:{name.removesuffix('.tar')}"] for name in described["Layers"]]
        return self.image("v2s2", dict(_DOCKER_MANIFEST), texts[described["Config"]]), layers

    def read_store(self, image: str, stores: list[str]) -> tuple[str, list[Layer]]:
        """Read an image from a store, without the layers that stay as in the registry.

        :param image: its ID
        :returns: as ``read``
        :raises OSError: if a file of it is missing
        :raises LookupError: if no store has it, or one of its layers
        :raises ValueError: if it cannot be read in this way
        """
        config = store.configuration(image, stores)
        stored = store.layers(stores)
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        for diff_id in dict.fromkeys(diff_ids):
            layer = stored[diff_id]
            if diff_id in self.known and not self.plain:
                self.layers[diff_id] = self._known(diff_id, layer.size, os.devnull)
                continue
            stream = layer.open()
            self.layers[diff_id] = self.layer(diff_id, layer.size, io.BufferedReader(stream, CHUNK))
            stream.check()
        return self.image("v2s2", dict(_DOCKER_MANIFEST), config), [self.layers[diff_id] for diff_id in diff_ids]

    def layer(self, diff_id: str, size: int, source: IO[bytes] | Part) -> Layer:
        """Export a layer.

        :param size: of its archive, bytes
        """
        plain = os.path.join(self.target, f"layer-{len(self.layers)}.tar") if self.plain else os.devnull
        if diff_id in self.known:
            if self.plain:
                with open(plain, "wb") as copy:
                    while chunk := source.read(CHUNK):
                        copy.write(chunk)
            return self._known(diff_id, size, plain)
        packed = os.path.join(self.target, "packed")
        diff_id, size, blob = self._stripped(source, packed, plain)
        file = os.path.join(self.target, blob["digest"].partition(":")[2])
        os.rename(packed, file)
        return Layer(diff_id, size, blob, file, plain)

    def _known(self, diff_id: str, size: int, plain: str) -> Layer:
        known = self.known[diff_id]
        return Layer(diff_id, size, {"digest": known["digest"], "size": known["size"]}, known["file"], plain)

    def _stripped(self, source: IO[bytes] | Part, packed: str, plain: str) -> tuple[str, int, dict[str, Any]]:
        """Strip and compress a layer in one pass; return diff ID, size, and digest and size of its blob."""
        read, write = os.pipe()
        errors: list[Exception] = []
        with open(plain, "wb") as copy:
            hashing = Hashing(copy)

            def work() -> None:
                try:
                    with open(write, "wb") as pipe:
                        hashing.second = pipe
                        strip(source, hashing)
                except (OSError, ValueError) as error:
                    errors.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            with open(read, "rb", buffering=0) as end:
                digest, size = compress(widen(end), packed, self.gzip)
            thread.join()
        if errors:
            raise errors[0]
        return hashing.digest, hashing.size, {"digest": digest, "size": size}

    def other(self, kind: str, source: str) -> None:
        """Write manifest and configuration in another format, from a directory written by buildah."""
        with open(os.path.join(source, "manifest.json"), "rb") as file:
            manifest = json.load(file)
        with open(os.path.join(source, manifest["config"]["digest"].partition(":")[2]), "rb") as file:
            self.image(kind, manifest, file.read())

    def image(self, kind: str, manifest: dict[str, Any], config: bytes) -> str:
        """Write manifest and configuration of a format with our layers; return its digest.

        :param manifest: its fields other than layers
        """
        layers = [self.layers[diff_id] for diff_id in json.loads(config)["rootfs"]["diff_ids"]]
        for diff_id, layer in self.layers.items():
            config = config.replace(diff_id.encode(), layer.diff_id.encode())
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        self._save(digest.partition(":")[2], config)
        manifest["config"] = {**manifest["config"], "digest": digest, "size": len(config)}
        manifest["layers"] = [{"mediaType": _GZIP_TYPES[kind], **layer.blob} for layer in layers]
        self._save(f"{kind}.json", json.dumps(manifest, separators=(",", ":")).encode())
        return digest

    def _save(self, name: str, content: bytes) -> None:
        with open(os.path.join(self.target, name), "wb") as file:
            file.write(content)


class Archive:
    """Writer of a docker-archive: a tar archive, optionally compressed.

    :param compressed: whether to write gzip members
    """

    def __init__(self, file: IO[bytes], *, compressed: bool) -> None:
        self.file = file
        self.compressed = compressed

    def small(self, content: bytes) -> None:
        """Write a few bytes of the archive."""
        if self.compressed:
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            content = packer.compress(content) + packer.flush()
        self.file.write(content)

    def member(self, name: str, content: bytes) -> None:
        """Write a small member."""
        self.small(header(name, len(content)) + content.ljust(padded(len(content)), b"\0"))

    def layer(self, layer: Layer) -> None:
        """Write a layer as a member."""
        self.small(header(f"{layer.diff_id.partition(':')[2]}.tar", layer.size))
        with open(layer.packed if self.compressed else layer.plain, "rb") as source:
            while chunk := source.read(CHUNK):
                self.file.write(chunk)
        if padding := padded(layer.size) - layer.size:
            self.small(bytes(padding))


def archive(target: str, name: str, digest: str, layers: list[Layer], *, compressed: bool) -> None:
    """Write an image as a docker-archive.

    :param target: directory with its blobs
    :param name: image name in the archive
    :param digest: of the configuration
    """
    described: dict[str, Any] = {
        "Config": f"{digest.partition(':')[2]}.json",
        "RepoTags": [name],
        "Layers": [f"{layer.diff_id.partition(':')[2]}.tar" for layer in layers],
    }
    with open(os.path.join(target, digest.partition(":")[2]), "rb") as file:
        config = file.read()
    with open(os.path.join(target, ARCHIVE), "wb") as output:
        written = Archive(output, compressed=compressed)
        for layer in {layer.diff_id: layer for layer in layers}.values():
            written.layer(layer)
        written.member(described["Config"], config)
        written.member("manifest.json", json.dumps([described]).encode())
        written.small(bytes(2 * BLOCK))


def pushed(export: Export, command: list[str]) -> tuple[str, list[Layer]]:
    """Export an image from what ``buildah push`` writes.

    :returns: as ``Export.read``
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE) as buildah:
        assert buildah.stdout is not None
        try:
            digest, layers = export.read(widen(buildah.stdout))
        except (ValueError, LookupError):
            is_cut_off = not buildah.stdout.read(1)
            buildah.stdout.close()
            if is_cut_off and buildah.wait(timeout=_END):  # it printed why
                sys.exit(buildah.returncode)
            raise
    if buildah.returncode:
        sys.exit(buildah.returncode)
    return digest, layers


def main() -> None:
    """Export the image given in the request."""
    with open(sys.argv[1]) as file:
        request = json.load(file)
    target, name, compressed = request["target"], request["archive"], request["compressed"]
    export = Export(target, request["known"], request["gzip"], plain=bool(name) and not compressed)
    try:
        digest, layers = export.read_store(request["image"], request["stores"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        sys.stderr.write(f"export: using buildah push: {error!r}\n")
        export.layers.clear()
        digest, layers = pushed(export, request["push"])
    for kind, (command, source) in request["others"].items():
        subprocess.run(command, check=True)
        export.other(kind, source)
    with open(os.path.join(target, EXPORTED), "wb"):
        pass
    if name:
        archive(target, name, digest, layers, compressed=compressed)


def start() -> None:
    """Run the program with the arguments of this process, and exit."""
    try:
        main()
    except OSError as error:
        sys.exit(f"export: {error.strerror or error}: {error.filename or ''}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except (ValueError, LookupError, TypeError) as error:
        sys.exit(f"export: {error}")
