"""Images in files: docker-archives, OCI archives and OCI layouts, which anybody may have made.

skopeo and tar read them in a sandbox that sees the file, one folder to write to, programs, and no network: a name or
a link in an archive leads nowhere else. What comes out is a folder as skopeo's ``dir:`` has it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedpkg_container.engines.sandbox import Sandbox
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import NoSuchImageError, ProgramError, RegistryError, UsageError
from fedpkg_container.process import run
from fedpkg_container.registry.digests import checked, digest_of
from fedpkg_container.registry.manifests import LONGEST_MANIFEST, OCI_INDEX, Descriptor, Manifest

#: Seconds for reading an archive.
TIMEOUT = 1800.0
DOCKER, OCI = "docker-archive", "oci"
#: What is in archives: docker's has the one, OCI's the other, and docker's newer ones both.
_SIGNS = {"oci-layout": OCI, "manifest.json": DOCKER}
#: How compressed files begin: their ending, and what decompresses them.
_COMPRESSIONS = {
    b"\x1f\x8b": (".gz", "gzip"),
    b"BZh": (".bz2", "bzip2"),
    b"\xfd7zXZ\x00": (".xz", "xz"),
    b"\x28\xb5\x2f\xfd": (".zst", "zstd"),
}
#: The longest blob that is read into memory, bytes: configurations.
LONGEST_BLOB = 8 * 1024 * 1024


@dataclass(frozen=True)
class ImageFolder:
    """An image, or a list of some, in a folder as skopeo's ``dir:`` has it.

    :param kind: of the archive that it was in; docker's holds layers that registries get packed, as other blobs
    """

    path: Path
    kind: str

    @property
    def keeps_digests(self) -> bool:
        """Whether a registry gets the same manifests."""
        return self.kind == OCI

    def manifest(self, digest: str = "") -> Manifest:
        """The manifest of one image of a list, or that of the whole.

        :raises RegistryError: it is not there, or something else
        """
        name = f"{checked(digest).partition(':')[2]}.manifest.json" if digest else "manifest.json"
        return Manifest.read(self._read(name, LONGEST_MANIFEST), digest=digest, where=name)

    def blob(self, blob: Descriptor) -> bytes:
        """A small blob.

        :raises RegistryError: it is not there, or something else
        """
        content = self._read(blob.digest.partition(":")[2], LONGEST_BLOB)
        if digest_of(content, blob.digest) != blob.digest:
            raise RegistryError(f"what the archive has as {blob.digest} is something else")
        return content

    def _read(self, name: str, longest: int) -> bytes:
        try:
            return _plain(self.path / name, longest)
        except OSError as error:
            raise NoSuchImageError(f"the archive has no {name}: {error.strerror}") from error


def unpack(archive: Path, workspace: Workspace) -> ImageFolder:
    """Read a docker-archive, an OCI archive or an OCI layout.

    :param workspace: of the worker that reads it; gets what is in it
    :raises UsageError: it is none of these, or cannot be read
    """
    sandbox = Sandbox(workspace, [archive])
    folder = workspace.new("archive")
    try:
        kind = OCI if archive.is_dir() else _kind(sandbox, archive)
        if kind == OCI:
            source = f"{OCI}:{_layout(sandbox, archive, folder)}"
        else:
            source = f"{DOCKER}:{_decompressed(sandbox, archive, folder)}"
        _confined(sandbox, "skopeo", "copy", "--quiet", "--all", source, f"dir:{folder / 'image'}")
    except ProgramError as error:
        raise UsageError(
            f"{archive} cannot be read as an image: {_said(error)}",
            solution="make it with skopeo copy --all, buildah push or podman save",
        ) from error
    return ImageFolder(folder / "image", kind)


def _said(error: ProgramError) -> str:
    """Why a program failed: what skopeo has in its message, or the first line of another one."""
    found = re.search(r'msg="(.*)"', error.output)
    lines = error.output.strip().splitlines() or ["no reason given"]
    return (found[1].replace('\\"', '"') if found else lines[0])[-300:]


def _confined(sandbox: Sandbox, *arguments: str | Path, check: bool = True) -> str:
    command = ["unshare", "--net", "--", *sandbox.command(arguments)]
    return run(command, timeout=TIMEOUT, check=check).text


def _kind(sandbox: Sandbox, archive: Path) -> str:
    """Which kind of archive a file is.

    :raises UsageError: it is none
    """
    names = [name for sign in _SIGNS for name in (sign, f"./{sign}")]
    found = _confined(sandbox, "tar", "-tf", archive, "--occurrence=1", "--", *names, check=False).split()
    for sign, kind in _SIGNS.items():
        if {sign, f"./{sign}"} & set(found):
            return kind
    raise UsageError(
        f"{archive} is neither a docker-archive nor an OCI archive",
        solution="name one of these, a folder with an OCI layout, or registry/repository:tag",
    )


def _decompressed(sandbox: Sandbox, archive: Path, folder: Path) -> Path:
    """A file without its compression: skopeo 1.9 finds nothing in docker-archives that are compressed."""
    with archive.open("rb") as file:
        start = file.read(8)
    for magic, (ending, program) in _COMPRESSIONS.items():
        if start.startswith(magic):
            copy = folder / f"archive{ending}"
            _confined(sandbox, "cp", "--", archive, copy)
            _confined(sandbox, program, "-d", "-q", "--", copy)
            return folder / "archive"
    return archive


def _layout(sandbox: Sandbox, archive: Path, folder: Path) -> Path:
    """A copy of an OCI layout whose index names one image, or one list of images.

    :raises UsageError: it names none
    """
    layout = folder / "layout"
    layout.mkdir()
    if archive.is_dir():
        _confined(sandbox, "cp", "-R", "-P", "--", f"{archive}/.", layout)
    else:
        _confined(sandbox, "tar", "-xf", archive, "-C", layout, "--no-same-owner", "--no-same-permissions")
    try:
        index = json.loads(_plain(layout / "index.json", LONGEST_MANIFEST))
        members = [Descriptor.of(each) for each in index["manifests"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, RegistryError) as error:
        raise UsageError(f"{archive} has no index of an OCI layout that can be read: {error}") from error
    if not members:
        raise UsageError(f"{archive} holds no image")
    if len(members) > 1:
        _in_one_list(layout, [_with_platform(layout, each) for each in members])
    return layout


def _with_platform(layout: Path, member: Descriptor) -> dict[str, Any]:
    """What is said of an image, with the platform that it says itself where that is missing.

    :raises RegistryError: it cannot be read
    """
    facts = dict(member.facts)
    if not member.is_manifest or facts.get("platform"):
        return facts
    folder = ImageFolder(layout / "blobs" / "sha256", OCI)
    try:
        raw = _plain(folder.path / member.digest.partition(":")[2], LONGEST_MANIFEST)
    except OSError as error:
        raise NoSuchImageError(f"the archive has no {member.digest}: {error.strerror}") from error
    manifest = Manifest.read(raw, digest=member.digest, where=member.digest)
    return facts if manifest.is_list else {**facts, "platform": platform(folder.blob(manifest.blobs[0]))}


def platform(configuration: bytes) -> dict[str, str]:
    """What an image says that it runs on, as lists name it.

    :raises RegistryError: it is no configuration of an image
    """
    try:
        config = json.loads(configuration)
        return {key: str(config[key]) for key in ("architecture", "os", "variant") if config.get(key)}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(f"not the configuration of an image: {error}") from error


def _in_one_list(layout: Path, members: Iterable[Any]) -> None:
    """Let the index of a layout name one list, of the images that it named itself.

    Names of a layout may be links that its maker chose: files are made anew, and its folders must be folders.
    """
    listed = Manifest.of({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(members)})
    blobs = layout / "blobs" / "sha256"
    if any(path.is_symlink() for path in (layout, layout / "blobs", blobs)) or not blobs.is_dir():
        raise UsageError("the OCI layout has no folder blobs/sha256")
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed.descriptor]}
    for path, content in ((blobs / listed.digest.partition(":")[2], listed.raw), (layout / "index.json", index)):
        path.unlink(missing_ok=True)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)


def _plain(path: Path, longest: int) -> bytes:
    """The content of a plain file that is no link.

    :raises OSError: it is something else, or too long
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > longest:
            raise OSError(0, "not a plain file, or too long")
        return file.read(longest)
