"""Export an image for a registry and for Koji: as a file, in a worker.

buildah writes the image to a pipe, as a docker-archive with uncompressed layers, without using the disk: the other
destinations of ``buildah push`` are files, which it also syncs. The image's own layers are stripped of the xattrs that
overlay adds when mounted in a user namespace (``user.overlay.*``, which buildah 1.28 does not omit), so that they are
the same for any user. Each is compressed once, for both registry and archive.

Its argument is a file with a JSON object: ``push`` (the command by which buildah writes the archive), ``others``
(format → command by which buildah writes a directory, ``dir:…``, and that directory), ``target`` (an existing empty
directory), ``known`` (diff ID → digest, size and file of layers that come from a base image and stay as in the
registry), ``gzip`` (compression command), ``archive`` (image name in the archive; empty for no archive), ``compressed``
(whether to compress the archive).

It writes ``target/FORMAT.json`` (the manifests), blobs as ``target/HEX``, then the empty file ``target/exported``; and
then ``target/archive``, a docker-archive. A compressed archive contains the compressed layers unchanged: concatenated
gzip members are a valid file (RFC 1952), so that no byte is compressed twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from typing import IO, Any

_BLOCK = 512
_CHUNK = 1 << 20
#: A command of fcntl(2) that Python before 3.10 does not define.
_F_SETPIPE_SZ = 1031
#: Size limit of parsed extended headers, bytes; longer ones are kept unchanged.
_LONGEST_HEADER = 1 << 20
#: Size limit of a configuration or list in an archive, bytes.
_LONGEST_TEXT = 64 << 20
#: Time for a program to end after its output, seconds.
_END = 60
#: Sizes below this fit into the octal digits of a tar header.
_OCTAL_SIZES = 1 << 33
#: Target files: the marker for complete manifests and blobs, and the archive.
EXPORTED, ARCHIVE = "exported", "archive"
_UNWANTED = b"SCHILY.xattr.user.overlay."
_GZIP_TYPES = {
    "v2s2": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "oci": "application/vnd.oci.image.layer.v1.tar+gzip",
}


class Hashing:
    """A file that is hashed while written, with an optional copy to a second one."""

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
        """The digest of the written data."""
        return f"sha256:{self.hasher.hexdigest()}"


def size_of(header: bytes) -> int:
    """Return the size in a tar header, bytes."""
    field = header[124:136]
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << 95) - 1)
    return int(field.strip(b" \0") or b"0", 8)


def records(content: bytes) -> list[bytes]:
    """Return the records of an extended header, each with its length and newline.

    :raises ValueError: if it is malformed
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
    """Return a header with another size and the matching checksum."""
    changed = bytearray(header)
    changed[124:136] = b"%011o\0" % size
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def is_wanted(record: bytes) -> bool:
    """Return whether a record of an extended header is kept."""
    return not _key(record).startswith(_UNWANTED)


class Part:
    """A part of a stream, readable as a file."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self.source, self.left = source, size

    def read(self, size: int = _CHUNK) -> bytes:
        """Read at most some bytes.

        :raises ValueError: if the stream is truncated
        """
        size = min(size, self.left)
        content = self.source.read(size)
        if len(content) != size:
            raise ValueError("the archive ends within a file")
        self.left -= size
        return content


def members(stream: IO[bytes]) -> Iterator[tuple[str, Part]]:
    """Yield the regular files of a tar archive, by name; each must be read before the next one.

    :raises ValueError: if it is not a tar archive
    """
    larger = None
    while (entry := stream.read(_BLOCK)) and entry != bytes(_BLOCK):
        if len(entry) != _BLOCK:
            raise ValueError("the archive ends within a header")
        size = size_of(entry)
        padding = _padded(size) - size
        if entry[156:157] == b"x":
            content = Part(stream, _padded(size)).read(_padded(size))
            sizes = [each.partition(b"=")[2] for each in records(content[:size]) if _key(each) == b"size"]
            larger = int(sizes[-1]) if sizes else None
            continue
        if larger is not None:
            size, padding, larger = larger, _padded(larger) - larger, None
        part = Part(stream, size)
        if entry[156:157] in (b"0", b"\0"):
            yield entry[:100].rstrip(b"\0").decode(), part
        while part.read():
            pass
        Part(stream, padding).read()
    while stream.read(_CHUNK):  # drain: the writing program must not be interrupted
        pass


def strip(source: IO[bytes] | Part, target: Hashing) -> bool:
    """Copy a layer without overlay xattrs; return whether it had any. All else is kept byte for byte.

    :raises ValueError: if it is not a tar archive
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


def widen(pipe: IO[bytes]) -> IO[bytes]:
    """Enlarge a pipe's buffer beyond 64 KiB, to reduce context switches, and return the pipe."""
    with contextlib.suppress(OSError):  # pipe limit of the user's processes
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _CHUNK)
    return pipe


def compress(source: IO[bytes], target: str, command: list[str]) -> tuple[str, int]:
    """Compress a file; return digest and size of the result."""
    with open(target, "wb") as file:
        hashing = Hashing(file)
        process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE)
        assert process.stdout is not None
        widen(process.stdout)
        while chunk := process.stdout.read(_CHUNK):
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
                self.layers[diff_id] = self.layer(diff_id, part)
            elif part.left <= _LONGEST_TEXT:
                texts[name] = part.read(part.left)
        (described,) = json.loads(texts["manifest.json"])
        layers = [self.layers[f"sha256:{name.removesuffix('.tar')}"] for name in described["Layers"]]
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json"},
        }
        return self.image("v2s2", manifest, texts[described["Config"]]), layers

    def layer(self, diff_id: str, part: Part) -> Layer:
        """Export a layer written by buildah."""
        plain = os.path.join(self.target, f"layer-{len(self.layers)}.tar") if self.plain else os.devnull
        size = part.left
        if diff_id in self.known:
            known = self.known[diff_id]
            if self.plain:
                with open(plain, "wb") as copy:
                    while chunk := part.read():
                        copy.write(chunk)
            return Layer(diff_id, size, {"digest": known["digest"], "size": known["size"]}, known["file"], plain)
        packed = os.path.join(self.target, "packed")
        diff_id, size, blob = self._stripped(part, packed, plain)
        file = os.path.join(self.target, blob["digest"].partition(":")[2])
        os.rename(packed, file)
        return Layer(diff_id, size, blob, file, plain)

    def _stripped(self, source: Part, packed: str, plain: str) -> tuple[str, int, dict[str, Any]]:
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
    """Return a tar header (POSIX ustar) for a world-readable file."""
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
        written.small(bytes(2 * _BLOCK))


def main() -> None:
    """Export the image given in the request."""
    with open(sys.argv[1]) as file:
        request = json.load(file)
    target, name, compressed = request["target"], request["archive"], request["compressed"]
    export = Export(target, request["known"], request["gzip"], plain=bool(name) and not compressed)
    with subprocess.Popen(request["push"], stdout=subprocess.PIPE) as buildah:
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
    for kind, (command, source) in request["others"].items():
        subprocess.run(command, check=True)
        export.other(kind, source)
    with open(os.path.join(target, EXPORTED), "wb"):
        pass
    if name:
        archive(target, name, digest, layers, compressed=compressed)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"export: {error.strerror or error}: {error.filename or ''}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except (ValueError, LookupError, TypeError) as error:
        sys.exit(f"export: {error}")
