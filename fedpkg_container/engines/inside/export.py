"""Prepare an image for a registry and for Koji: as a file, in a worker.

buildah wrote the image with uncompressed layers (``buildah push -D … dir:``). Here its own layers lose what the kernel
keeps in them when overlay is mounted in a user namespace (xattrs ``user.overlay.*``, which buildah 1.28 does not leave
out), so that they are the same whoever builds. They are compressed once, for the registry.

Its argument is a file with a JSON object: ``sources`` (format → directory that buildah wrote), ``target`` (an existing
empty directory), ``known`` (diff ID → digest and size, of layers that come from a base image and stay as the registry
has them), ``gzip`` (a command that compresses). It writes ``target/FORMAT.json`` (the manifests) and blobs as
``target/HEX``. A later request with ``archive`` (file name in ``target``) and ``name`` (what the archive calls the
image) packs what an earlier one wrote as a docker-archive.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from typing import IO, Any

_BLOCK = 512
_CHUNK = 1 << 20
#: Extended headers that are looked into, bytes; longer ones stay as they are.
_LONGEST_HEADER = 1 << 20
#: What is needed for an archive: the configuration's digest, and file and diff ID of each layer.
_LAYERS = "layers.json"
_UNWANTED = b"SCHILY.xattr.user.overlay."
_GZIP_TYPES = {
    "v2s2": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "oci": "application/vnd.oci.image.layer.v1.tar+gzip",
}


class Hashing:
    """A file that is written and hashed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.hasher = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> None:
        """Write."""
        self.hasher.update(content)
        self.size += len(content)
        self.file.write(content)

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
            kept = [each for each in records(content[:size]) if not _key(each).startswith(_UNWANTED)]
            text = b"".join(kept)
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


def compress(path: str, target: str, command: list[str]) -> tuple[str, int]:
    """Compress a file; the digest and size of the result."""
    with open(path, "rb") as source, open(target, "wb") as file:
        hashing = Hashing(file)
        process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE)
        assert process.stdout is not None
        while chunk := process.stdout.read(_CHUNK):
            hashing.write(chunk)
        if process.wait(timeout=60):
            raise SystemExit(f"{command[0]} failed with exit status {process.returncode}")
    return hashing.digest, hashing.size


class Export:
    """One image on its way out.

    :param target: directory for blobs
    :param known: layers that stay as a registry has them, by diff ID
    """

    def __init__(self, target: str, known: dict[str, dict[str, Any]], gzip: list[str]) -> None:
        self.target = target
        self.known = known
        self.gzip = gzip
        self._layers: dict[str, tuple[str, str, dict[str, Any]]] = {}

    def layer(self, path: str, diff_id: str) -> tuple[str, str, dict[str, Any]]:
        """A layer as it goes out: its file, its diff ID, and digest and size of its blob."""
        if diff_id not in self._layers:
            self._layers[diff_id] = self._layer(path, diff_id)
        return self._layers[diff_id]

    def _layer(self, path: str, diff_id: str) -> tuple[str, str, dict[str, Any]]:
        if diff_id in self.known:
            return path, diff_id, self.known[diff_id]
        clean = os.path.join(self.target, f"layer-{len(self._layers)}.tar")
        with open(path, "rb") as source, open(clean, "wb") as file:
            hashing = Hashing(file)
            if not strip(source, hashing):
                clean = path
        packed = os.path.join(self.target, "packed")
        digest, size = compress(clean, packed, self.gzip)
        os.rename(packed, os.path.join(self.target, digest.partition(":")[2]))
        return clean, hashing.digest, {"digest": digest, "size": size}

    def image(self, kind: str, source: str) -> None:
        """Write manifest and configuration of a format."""
        with open(os.path.join(source, "manifest.json"), "rb") as file:
            manifest = json.load(file)
        with open(os.path.join(source, manifest["config"]["digest"].partition(":")[2]), "rb") as file:
            raw = file.read()
        diff_ids = json.loads(raw)["rootfs"]["diff_ids"]
        layers, described = [], []
        for each, diff_id in zip(manifest["layers"], diff_ids):
            path = os.path.join(source, each["digest"].partition(":")[2])
            clean, now, blob = self.layer(path, diff_id)
            raw = raw.replace(diff_id.encode(), now.encode())
            layers.append((clean, now))
            described.append({"mediaType": _GZIP_TYPES[kind], "size": blob["size"], "digest": blob["digest"]})
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self._save(digest.partition(":")[2], raw)
        manifest["config"] = {**manifest["config"], "digest": digest, "size": len(raw)}
        manifest["layers"] = described
        self._save(f"{kind}.json", json.dumps(manifest, separators=(",", ":")).encode())
        if kind == "v2s2":
            self._save(_LAYERS, json.dumps({"config": digest, "layers": layers}).encode())

    def _save(self, name: str, content: bytes) -> None:
        with open(os.path.join(self.target, name), "wb") as file:
            file.write(content)


def archive(target: str, file_name: str, name: str, gzip: list[str]) -> None:
    """Pack the image that was exported to a directory as a docker-archive, compressed."""
    with open(os.path.join(target, _LAYERS)) as file:
        packed = json.load(file)
    layers, digest = packed["layers"], packed["config"]
    described = {
        "Config": f"{digest.partition(':')[2]}.json",
        "RepoTags": [name],
        "Layers": [f"{diff_id.partition(':')[2]}.tar" for _, diff_id in layers],
    }
    with open(os.path.join(target, digest.partition(":")[2]), "rb") as file:
        config = file.read()
    with open(os.path.join(target, file_name), "wb") as output:
        process = subprocess.Popen(gzip, stdin=subprocess.PIPE, stdout=output)
        assert process.stdin is not None
        with tarfile.open(fileobj=process.stdin, mode="w|", format=tarfile.USTAR_FORMAT, bufsize=_CHUNK) as tar:
            for diff_id, path in {diff_id: path for path, diff_id in layers}.items():
                with open(path, "rb") as layer:
                    _add(tar, f"{diff_id.partition(':')[2]}.tar", layer, os.path.getsize(path))
            _add(tar, described["Config"], BytesIO(config), len(config))
            listed = json.dumps([described]).encode()
            _add(tar, "manifest.json", BytesIO(listed), len(listed))
        process.stdin.close()
        if process.wait(timeout=600):
            raise SystemExit(f"{gzip[0]} failed with exit status {process.returncode}")


def _add(tar: tarfile.TarFile, name: Any, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o444
    tar.addfile(member, content)


def main() -> None:
    """Export the image that the request names."""
    with open(sys.argv[1]) as file:
        request = json.load(file)
    if "archive" in request:
        archive(request["target"], request["archive"], request["name"], request["gzip"])
        return
    export = Export(request["target"], request["known"], request["gzip"])
    for kind, source in request["sources"].items():
        export.image(kind, source)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"export: {error.strerror or error}: {error.filename or ''}")
    except (ValueError, LookupError, TypeError) as error:
        sys.exit(f"export: {error}")
