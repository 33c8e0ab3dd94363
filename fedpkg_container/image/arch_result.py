# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer of an image's description from the task of one architecture to that of the build, as a file on the hub.

A task's result is a single XML-RPC request, whose size hubs limit (``MaxRequestLength``, 4 MiB): too small for the
list of an image's RPMs from about 2,600 on. So the description is a file in the task's output, and the result has its
digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model.build import FORMAT, BuiltImage, check_format

#: Size limit of the description, bytes. With 50,000 RPMs it has about 20 MB.
MAX_BYTES = 64 * 10**6
#: Bytes per download request.
CHUNK_SIZE = 1 << 20

#: Reads a part of a file in a task's output: file name, offset, number of bytes.
ReadTaskOutput = Callable[[str, int, int], bytes]


class DescriptionFile(TypedDict):
    """The file with the description in the task's output; ``size`` is in bytes."""

    name: str
    size: int
    sha256: str


class ArchTaskResult(TypedDict):
    """The result of a ``createContainer`` task; ``image`` is in staging, by digest, ``rpms`` the number of RPMs."""

    format: int
    arch: str
    image: str
    digest: str
    rpms: int
    file: DescriptionFile


_REBUILD = "build again; if it happens again, check the hub's disk and who can write to the task's output"


def description_name(arch: str) -> str:
    """Return the file name of the description in a task's output."""
    return f"{arch}.image.json"


def upload_result(image: BuiltImage, build_dir: Path, upload: Callable[[Path], None]) -> ArchTaskResult:
    """Upload the description of an image; return the result of the task.

    :param build_dir: where the file is written
    :param upload: uploads a file to the task's output
    :raises BuildFailedError: if the description is too large
    """
    content = json.dumps(image.pack(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if len(content) > MAX_BYTES:
        raise BuildFailedError(
            f"the description of the image for {image.arch} has {len(content) // 10**6} MB; the limit is"
            f" {MAX_BYTES // 10**6} MB",
            solution="install fewer RPMs, or check the image's labels and variables",
        )
    path = build_dir / description_name(image.arch)
    path.write_bytes(content)
    upload(path)
    return {
        "format": FORMAT,
        "arch": image.arch,
        "image": image.staged_image,
        "digest": image.digest,
        "rpms": len(image.components),
        "file": {"name": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    }


def download_result(result: Mapping[str, Any], arch: str, read: ReadTaskOutput) -> BuiltImage:
    """Download the description of an image.

    :param result: result of the task
    :param arch: architecture of the task
    :param read: reads a file in the output of the task
    :raises UsageError: if the task ran another version of this program
    :raises BuildFailedError: if the file does not match the result
    """
    check_format("BuiltImage", result)
    name = description_name(arch)
    description = result["file"]
    size, expected = int(description["size"]), str(description["sha256"])
    if description["name"] != name or not 0 < size <= MAX_BYTES:
        raise BuildFailedError(f"invalid result for {arch}: {description['name']!r} of {size} bytes instead of {name}")
    content = bytearray()
    while len(content) < size:
        chunk = read(name, len(content), min(CHUNK_SIZE, size - len(content)))
        if not chunk:
            raise BuildFailedError(
                f"{name} on the hub is truncated: {len(content)} bytes instead of {size}", solution=_REBUILD
            )
        content += chunk
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise BuildFailedError(
            f"digest mismatch of {name} on the hub: expected {expected}, got {actual}", solution=_REBUILD
        )
    image = BuiltImage.unpack(json.loads(content.decode("utf-8", "surrogatepass")))
    if image.arch != arch:
        raise BuildFailedError(f"{name} describes an image for {image.arch}, not for {arch}")
    return image
