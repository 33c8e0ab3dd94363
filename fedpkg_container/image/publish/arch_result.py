"""How the task of one arch hands its image over to the task of the whole build: as a file on the hub.

A task's result is one XML-RPC request, which hubs limit (``MaxRequestLength``, 4 MiB): the list of an image's RPMs is
longer from about 2,600 on. So the description is a file among the task's output, and the result holds its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.build import FORMAT, BuiltImage, check_format

#: The longest description that is sent and read, bytes. With 50,000 RPMs it has about 20 MB.
MAX_BYTES = 64 * 10**6
#: Bytes that are read at a time.
CHUNK_SIZE = 1 << 20

#: Reads a part of a file of a task: its name, an offset and a number of bytes.
ReadTaskOutput = Callable[[str, int, int], bytes]


def description_name(arch: str) -> str:
    """The name of the description among the files of a task."""
    return f"{arch}.image.json"


def upload_result(image: BuiltImage, build_dir: Path, upload: Callable[[Path], None]) -> dict[str, Any]:
    """Write and upload the description of an image; the result of the task.

    :param build_dir: where the file is written
    :param upload: uploads a file to the task's output
    :raises BuildFailedError: it is too long
    """
    content = json.dumps(image.pack(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(content) > MAX_BYTES:
        raise BuildFailedError(
            f"the description of the image for {image.arch} has {len(content) // 10**6} MB, and"
            f" {MAX_BYTES // 10**6} MB are allowed",
            solution="install fewer RPMs, or check the image's labels and variables",
        )
    path = build_dir / description_name(image.arch)
    path.write_bytes(content)
    upload(path)
    return {
        "format": FORMAT,
        "arch": image.arch,
        "image": image.staging,
        "digest": image.digest,
        "rpms": len(image.components),
        "file": {"name": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    }


def download_result(result: Mapping[str, Any], arch: str, read: ReadTaskOutput) -> BuiltImage:
    """Read the description of an image that a task has uploaded.

    :param result: of the task
    :param arch: that the task was for
    :param read: reads from the output of the task
    :raises UsageError: the task is of another version
    :raises BuildFailedError: the file is not the one that the result names
    """
    check_format("BuiltImage", result)
    name = description_name(arch)
    description = result["file"]
    size, expected = int(description["size"]), str(description["sha256"])
    if description["name"] != name or not 0 < size <= MAX_BYTES:
        raise BuildFailedError(f"the result for {arch} names {description['name']!r} of {size} bytes, not {name}")
    content = bytearray()
    while len(content) < size:
        chunk = read(name, len(content), min(CHUNK_SIZE, size - len(content)))
        if not chunk:
            raise BuildFailedError(f"{name} on the hub has {len(content)} bytes instead of {size}", solution=_REBUILD)
        content += chunk
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise BuildFailedError(
            f"digest mismatch of {name} on the hub: expected {expected}, got {actual}", solution=_REBUILD
        )
    image = BuiltImage.unpack(json.loads(content.decode("utf-8", "surrogatepass")))
    if image.arch != arch:
        raise BuildFailedError(f"{name} describes an image for {image.arch}")
    return image


_REBUILD = "build again; if it happens again, check the hub's disk and who can write to the task's output"
