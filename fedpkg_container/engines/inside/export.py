"""Prepare an image for a registry and for Koji: as a file, in a worker.

buildah writes the image with uncompressed layers (``buildah push -D … dir:``). Here its own layers lose what the kernel
keeps in them when overlay is mounted in a user namespace (xattrs ``user.overlay.*``, which buildah 1.28 does not leave
out), so that they are the same whoever builds. Each is compressed once, for registry and archive alike.

Its argument is a file with a JSON object: ``push`` (format → command by which buildah writes a directory), ``sources``
(format → that directory), ``target`` (an existing empty directory), ``known`` (diff ID → digest, size and file of
layers that come from a base image and stay as the registry has them), ``gzip`` (a command that compresses), ``archive``
(what an archive calls the image; empty for none), ``compressed`` (whether the archive is).

It writes ``target/FORMAT.json`` (the manifests), blobs as ``target/HEX``, then the empty file ``target/exported``; and
then ``target/archive``, a docker-archive. A compressed archive is made of the compressed layers as they are: several
gzip members behind each other are one file (RFC 1952), of which no byte is compressed a second time.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import zlib
from typing import IO, Any

_BLOCK = 512
_CHUNK = 1 << 20
#: Extended headers that are looked into, bytes; longer ones stay as they are.
_LONGEST_HEADER = 1 << 20
#: Sizes that a header of an archive has octal digits for.
_OCTAL_SIZES = 1 << 33
#: Files of the target: what tells that manifests and blobs are complete, and the archive.
EXPORTED, ARCHIVE = "exported", "archive"
_UNWANTED = b"SCHILY.xattr.user.overlay."
_GZIP_TYPES = {
    "v2s2": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "oci": "application/vnd.oci.image.layer.v1.tar+gzip",
}


class Hashing:
    """A file that is written and hashed, and a second one that gets the same."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.second: IO[bytes] | None = None
        self.hasher = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> None:
        """Write."""
        self.hasher.update(content)
        self.size += len(content)
        self.file.write(content)
        if self.second is not None:
            self.second.write(content)

    @property
    def digest(self) -> str:
        """The digest of what was written."""
        return f"sha256:{self.hasher.hexdigest()}"


def size_of(header: bytes) -> int:
    """The size that a header of a tar archive says, bytes."""
    field = header[124:136]
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << 95) - 1)
    return int(field.strip(b" \0") or b"0", 8)


def records(content: bytes) -> list[bytes]:
    """The records of an extended header, each with its length and newline.

    :raises ValueError: it is not made of such records
    """
    found = []
    while content.strip(b"\0"):
        length = int(content[: content.index(b" ")])
        if not 0 < length <= len(content):
            raise ValueError("a record is longer than its header")
        found.append(content[:length])
        content = content[length:]
    return found


def _key(record: bytes) -> bytes:
    return record.partition(b" ")[2].partition(b"=")[0]


def _with_size(header: bytes, size: int) -> bytes:
    """A header with another size, and the checksum of that."""
    changed = bytearray(header)
    changed[124:136] = b"%011o\0" % size
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def is_wanted(record: bytes) -> bool:
    """Whether a record of an extended header stays in a layer."""
    return not _key(record).startswith(_UNWANTED)


def has_unwanted(source: IO[bytes], size: int) -> bool:
    """Whether a layer has xattrs of overlay. Only headers are read.

    :param source: must be seekable
    :param size: of the layer, bytes
    :raises ValueError: it is not a tar archive
    """
    while header := source.read(_BLOCK):
        if len(header) != _BLOCK:
            raise ValueError("the layer ends within a header")
        if header == bytes(_BLOCK):
            continue
        length = size_of(header)
        if header[156:157] == b"x" and length <= _LONGEST_HEADER:
            content = source.read(_padded(length))
            if not all(is_wanted(each) for each in records(content[:length])):
                return True
        elif source.seek(_padded(length), os.SEEK_CUR) > size:
            raise ValueError("the layer ends within a file")
    return False


def strip(source: IO[bytes], target: Hashing) -> bool:
    """Copy a layer without the xattrs of overlay; whether it had any. Everything else stays byte for byte.

    :raises ValueError: it is not a tar archive
    """
    changed = False
    while header := source.read(_BLOCK):
        if len(header) != _BLOCK:
            raise ValueError("the layer ends within a header")
        if header == bytes(_BLOCK):
            target.write(header)
            continue
        size = size_of(header)
        if header[156:157] == b"x" and size <= _LONGEST_HEADER:
            content = source.read(_padded(size))
            text = b"".join(each for each in records(content[:size]) if is_wanted(each))
            if len(text) == size:
                target.write(header + content)
                continue
            changed = True
            if text:
                target.write(_with_size(header, len(text)) + text.ljust(_padded(len(text)), b"\0"))
            continue
        target.write(header)
        left = _padded(size)
        while left > 0:
            chunk = source.read(min(left, _CHUNK))
            if not chunk:
                raise ValueError("the layer ends within a file")
            target.write(chunk)
            left -= len(chunk)
    return changed


def compress(source: IO[bytes], target: str, command: list[str]) -> tuple[str, int]:
    """Compress a file; the digest and size of the result."""
    with open(target, "wb") as file:
        hashing = Hashing(file)
        process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE)
        assert process.stdout is not None
        while chunk := process.stdout.read(_CHUNK):
            hashing.write(chunk)
        if process.wait(timeout=60):
            raise SystemExit(f"{command[0]} failed with exit status {process.returncode}")
    return hashing.digest, hashing.size


class Layer:
    """A layer as it goes out.

    :param diff_id: of the uncompressed layer
    :param size: of the uncompressed layer, bytes
    :param blob: digest and size of the compressed layer
    :param packed: the file with the compressed layer
    :param plain: the file with the uncompressed layer, where an archive needs it
    """

    def __init__(self, diff_id: str, size: int, blob: dict[str, Any], packed: str, plain: str) -> None:
        self.diff_id, self.size, self.blob, self.packed, self.plain = diff_id, size, blob, packed, plain


class Export:
    """One image on its way out.

    :param target: directory for blobs
    :param known: layers that stay as a registry has them, by diff ID
    :param gzip: a command that compresses
    :param plain: whether uncompressed layers are kept
    """

    def __init__(self, target: str, known: dict[str, dict[str, Any]], gzip: list[str], *, plain: bool) -> None:
        self.target = target
        self.known = known
        self.gzip = gzip
        self.plain = plain
        self.layers: dict[str, Layer] = {}

    def layer(self, path: str, diff_id: str) -> Layer:
        """A layer that buildah wrote, as it goes out."""
        if diff_id not in self.layers:
            self.layers[diff_id] = self._layer(path, diff_id)
        return self.layers[diff_id]

    def _layer(self, path: str, diff_id: str) -> Layer:
        size = os.path.getsize(path)
        if diff_id in self.known:
            known = self.known[diff_id]
            blob = {"digest": known["digest"], "size": known["size"]}
            return Layer(diff_id, size, blob, known["file"], path)
        packed = os.path.join(self.target, "packed")
        with open(path, "rb") as source:
            if has_unwanted(source, size):
                source.seek(0)
                path = os.path.join(self.target, f"layer-{len(self.layers)}.tar")
                diff_id, size, blob = self._stripped(source, packed, path if self.plain else os.devnull)
            else:
                source.seek(0)
                digest, length = compress(source, packed, self.gzip)
                blob = {"digest": digest, "size": length}
        file = os.path.join(self.target, blob["digest"].partition(":")[2])
        os.rename(packed, file)
        return Layer(diff_id, size, blob, file, path)

    def _stripped(self, source: IO[bytes], packed: str, plain: str) -> tuple[str, int, dict[str, Any]]:
        """Strip and compress a layer at the same time; its diff ID, its size, and digest and size of its blob."""
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
                digest, size = compress(end, packed, self.gzip)
            thread.join()
        if errors:
            raise errors[0]
        return hashing.digest, hashing.size, {"digest": digest, "size": size}

    def image(self, kind: str, source: str) -> tuple[str, list[Layer]]:
        """Write manifest and configuration of a format; the configuration's digest, and the layers."""
        with open(os.path.join(source, "manifest.json"), "rb") as file:
            manifest = json.load(file)
        with open(os.path.join(source, manifest["config"]["digest"].partition(":")[2]), "rb") as file:
            raw = file.read()
        layers, described = [], []
        paths = [os.path.join(source, each["digest"].partition(":")[2]) for each in manifest["layers"]]
        for path, diff_id in zip(paths, json.loads(raw)["rootfs"]["diff_ids"]):
            layer = self.layer(path, diff_id)
            raw = raw.replace(diff_id.encode(), layer.diff_id.encode())
            layers.append(layer)
            described.append({"mediaType": _GZIP_TYPES[kind], **layer.blob})
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self._save(digest.partition(":")[2], raw)
        manifest["config"] = {**manifest["config"], "digest": digest, "size": len(raw)}
        manifest["layers"] = described
        self._save(f"{kind}.json", json.dumps(manifest, separators=(",", ":")).encode())
        if not self.plain:  # most of them have not been written to the disk yet
            for path in set(paths):
                os.unlink(path)
        return digest, layers

    def _save(self, name: str, content: bytes) -> None:
        with open(os.path.join(self.target, name), "wb") as file:
            file.write(content)


class Archive:
    """A docker-archive that is written: a tar archive, compressed or not.

    :param compressed: whether it consists of gzip members
    """

    def __init__(self, file: IO[bytes], *, compressed: bool) -> None:
        self.file = file
        self.compressed = compressed

    def small(self, content: bytes) -> None:
        """Write some bytes of the archive."""
        if self.compressed:
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            content = packer.compress(content) + packer.flush()
        self.file.write(content)

    def member(self, name: str, content: bytes) -> None:
        """Write a small member."""
        self.small(header(name, len(content)) + content.ljust(_padded(len(content)), b"\0"))

    def layer(self, layer: Layer) -> None:
        """Write a layer as a member."""
        self.small(header(f"{layer.diff_id.partition(':')[2]}.tar", layer.size))
        with open(layer.packed if self.compressed else layer.plain, "rb") as source:
            while chunk := source.read(_CHUNK):
                self.file.write(chunk)
        if padding := _padded(layer.size) - layer.size:
            self.small(bytes(padding))


def header(name: str, size: int) -> bytes:
    """A header of a tar archive (POSIX ustar), for a file that all may read."""
    digits = b"%011o\0" % size if size < _OCTAL_SIZES else b"\x80" + size.to_bytes(11, "big")
    fields = [
        name.encode().ljust(100, b"\0"),
        b"0000444\0",
        b"0000000\0" * 2,
        digits,
        b"0" * 11 + b"\0",
        b" " * 8,
        b"0",
    ]
    fields += [bytes(100), b"ustar\00000", bytes(247)]
    filled = bytearray(b"".join(fields))
    filled[148:156] = b"%06o\0 " % sum(filled)
    return bytes(filled)


def archive(target: str, name: str, digest: str, layers: list[Layer], *, compressed: bool) -> None:
    """Pack an image as a docker-archive.

    :param target: the directory with its blobs
    :param name: what the archive calls the image
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
        written.small(bytes(2 * _BLOCK))


def main() -> None:
    """Export the image that the request names."""
    with open(sys.argv[1]) as file:
        request = json.load(file)
    target, name, compressed = request["target"], request["archive"], request["compressed"]
    export = Export(target, request["known"], request["gzip"], plain=bool(name) and not compressed)
    exported = {}
    for kind, source in request["sources"].items():
        subprocess.run(request["push"][kind], check=True)
        exported[kind] = export.image(kind, source)
    with open(os.path.join(target, EXPORTED), "wb"):
        pass
    if name:
        digest, layers = exported["v2s2"]
        archive(target, name, digest, layers, compressed=compressed)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"export: {error.strerror or error}: {error.filename or ''}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # it has printed why
    except (ValueError, LookupError, TypeError) as error:
        sys.exit(f"export: {error}")
