# SPDX-License-Identifier: GPL-2.0-or-later
"""Images in files: untrusted docker-archives, OCI archives and OCI layouts.

skopeo and tar read them in a sandbox with the file, one writable directory, programs, and no network: names and links
in an archive cannot lead outside. The result is a directory in skopeo's ``dir:`` format.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedpkg_container.engines import storage
from fedpkg_container.engines.opening import open_plain, opened_directory
from fedpkg_container.engines.sandbox import Sandbox
from fedpkg_container.engines.workspace import Workspace
from fedpkg_container.errors import NoSuchImageError, ProgramError, ProgramOutputError, RegistryError, UsageError
from fedpkg_container.model.limits import DEFAULT_LIMITS, RAISE_LIMIT, ImageLimits
from fedpkg_container.process import OUTPUT_LIMIT, run
from fedpkg_container.registry.digests import digest_of, validate_digest
from fedpkg_container.registry.manifests import MAX_MANIFEST_SIZE, OCI_INDEX, Descriptor, ImageConfiguration, Manifest
from fedpkg_container.text import reason_text

#: Read timeout, seconds.
TIMEOUT = 1800.0
DOCKER, OCI = "docker-archive", "oci"
#: Files that identify an archive: docker's, OCI's; newer docker archives have both.
_SIGNS = {"oci-layout": OCI, "manifest.json": DOCKER}
#: Magic numbers of compressed files: file name extension and decompressor.
_COMPRESSIONS = {
    b"\x1f\x8b": (".gz", "gzip"),
    b"BZh": (".bz2", "bzip2"),
    b"\xfd7zXZ\x00": (".xz", "xz"),
    b"\x28\xb5\x2f\xfd": (".zst", "zstd"),
}
#: A line of ``tar --list --verbose``: size and name. Devices have two numbers instead of the size.
_ENTRY = re.compile(r"\S+ +\S+/\S+ +(?:\d+,)?(\d+) +\S+ +\S+ (.+)")
#: Size estimate for such a line, bytes.
_LONGEST_ENTRY = 1000
#: Disk usage limit: multiples of the decompressed size, and bytes for other files.
_COPIES, _OWN_FILES = 3, 10**8
#: Memory limit of decompression, bytes: xz with the largest dictionary of its presets needs 65 MB.
_DECOMPRESSION_MEMORY = 10**9
#: Size limit of a blob read into memory (configurations), bytes.
MAX_BLOB_SIZE = 8 * 1024 * 1024


@dataclass(frozen=True)
class ImageDirectory:
    """An image, or an image index, in a directory in the ``dir:`` format.

    :param kind: of the source archive; layers of docker's are compressed for registries, so their digests change
    :param below: work directory of the worker that wrote it
    """

    path: Path
    kind: str
    below: Path

    @property
    def keeps_digests(self) -> bool:
        """Whether a registry gets the same manifests."""
        return self.kind == OCI

    def manifest(self, digest: str = "") -> Manifest:
        """The manifest of one image of an index, or the top-level one.

        :raises RegistryError: if it is missing or invalid
        """
        name = f"{validate_digest(digest).partition(':')[2]}.manifest.json" if digest else "manifest.json"
        return Manifest.read(self._read(name, MAX_MANIFEST_SIZE), digest=digest, where=name)

    def blob(self, blob: Descriptor) -> bytes:
        """A small blob.

        :raises RegistryError: if it is missing or its digest differs
        """
        content = self._read(blob.digest.partition(":")[2], MAX_BLOB_SIZE)
        if digest_of(content, blob.digest) != blob.digest:
            raise RegistryError(f"digest mismatch in the archive: {blob.digest}", solution="save the image again")
        return content

    def _read(self, name: str, max_bytes: int) -> bytes:
        try:
            return _plain(self.path / name, self.below, max_bytes)
        except OSError as error:
            raise NoSuchImageError(f"the archive has no {name}: {error.strerror}") from error


def unpack(archive: Path, workspace: Workspace, limits: ImageLimits = DEFAULT_LIMITS) -> ImageDirectory:
    """Read a docker-archive, an OCI archive or an OCI layout.

    The decompressed archive, a copy of its layout and the image together need up to three times
    ``limits.decompressed``.

    :param workspace: of the worker that reads it; receives the contents
    :raises UsageError: if it has another format, is unreadable, or exceeds the limits
    """
    directory = workspace.new("archive")
    if archive.is_file() and not archive.stat().st_mode & stat.S_IROTH:  # unreadable for the worker too
        copy = workspace.directory / "archive"
        shutil.copyfile(archive, copy)
        copy.chmod(0o644)
        archive = copy
    reader = _Reader(Sandbox(workspace, [archive]), archive, directory, limits)
    try:
        kind, source = reader.layout() if archive.is_dir() else reader.file()
        reader.confined("skopeo", "copy", "--quiet", "--all", source, f"dir:{directory / 'image'}")
    except ProgramError as error:
        raise UsageError(
            f"{archive} cannot be read as an image: {_cause(error)}",
            solution="make it with skopeo copy --all, buildah push or podman save",
        ) from error
    return ImageDirectory(directory / "image", kind, workspace.work)


def _cause(error: ProgramError) -> str:
    """Return why a program failed: the message of skopeo, or the first line of other output."""
    match = re.search(r'msg="(.*)"', error.output)
    lines = error.output.strip().splitlines() or ["no reason given"]
    return (match[1].replace('\\"', '"') if match else lines[0])[-300:]


def _too_large(archive: Path, what: str) -> UsageError:
    return UsageError(f"{archive} {what}", solution=RAISE_LIMIT)


@dataclass(frozen=True)
class _Reader:
    """Reads one archive within limits."""

    sandbox: Sandbox
    archive: Path
    directory: Path
    limits: ImageLimits

    def confined(self, *arguments: str | Path, limit: int = OUTPUT_LIMIT, prefix: Sequence[str] = ()) -> str:
        """Run a program with a file size limit, and monitor the total size of all files.

        :param limit: maximum output, bytes
        :raises UsageError: if its files exceed the limits
        """
        limited = ["prlimit", f"--fsize={self.limits.decompressed}", "--core=0", *prefix, "--"]
        command = ["unshare", "--net", "--", *self.sandbox.command([*limited, *arguments])]
        try:
            return run(command, timeout=TIMEOUT, tick=self.check, limit=limit).text
        except ProgramError as error:
            if error.status == 128 + signal.SIGXFSZ or "file too large" in error.output.lower():
                raise self._decompressed_too_large() from error
            raise

    def check(self) -> None:
        """Raise UsageError if the files on disk exceed the limits."""
        if storage.size_of(self.directory) > _COPIES * self.limits.decompressed + _OWN_FILES:
            raise self._decompressed_too_large()

    def _decompressed_too_large(self) -> UsageError:
        return _too_large(self.archive, f"has more than {self.limits.decompressed // 10**6} MB when decompressed")

    def _check_size(self, size: int) -> None:
        if size > self.limits.size:
            allowed = self.limits.size // 10**6
            raise _too_large(self.archive, f"has {size // 10**6} MB, and {allowed} MB are allowed")

    def _check_members(self, number: int) -> None:
        if number > self.limits.members:
            raise _too_large(self.archive, f"has more than {self.limits.members} files")

    def layout(self) -> tuple[str, str]:
        """The kind of an OCI layout directory, and the source for skopeo."""
        size = 0
        for number, each in enumerate(_sizes(self.archive), 1):
            size += each
            self._check_members(number)
        self._check_size(size)
        copy = self._layout_directory()
        self.confined("cp", "-R", "-P", "--", f"{self.archive}/.", copy)
        return OCI, f"{OCI}:{_layout(self.archive, copy, self.sandbox.workspace.work)}"

    def file(self) -> tuple[str, str]:
        """Kind of an archive, and source for skopeo.

        :raises UsageError: if it is not an image archive
        """
        self._check_size(self.archive.stat().st_size)
        plain = self._decompressed()
        kind = self._kind(plain)
        if kind == DOCKER:
            return kind, f"{DOCKER}:{plain}"
        copy = self._layout_directory()
        self.confined("tar", "-xf", plain, "-C", copy, "--no-same-owner", "--no-same-permissions")
        return kind, f"{OCI}:{_layout(self.archive, copy, self.sandbox.workspace.work)}"

    def _layout_directory(self) -> Path:
        copy = self.directory / "layout"
        self.confined("mkdir", "--", copy)  # by the worker, which owns the parent directory
        return copy

    def _kind(self, plain: Path) -> str:
        """The kind of an archive, from its size-limited list of members.

        :raises UsageError: if it is not an image archive, or exceeds the limits
        """
        try:
            listing = ("tar", "--list", "--verbose", "--numeric-owner", "--quoting-style=escape", "--file", plain)
            listed = self.confined(*listing, limit=_LONGEST_ENTRY * self.limits.members).splitlines()
        except ProgramOutputError as error:
            raise _too_large(self.archive, f"has more than {self.limits.members} files, or long names") from error
        self._check_members(len(listed))
        entries = [_ENTRY.match(line) for line in listed]
        if not all(entries):
            raise UsageError(f"{self.archive} is not a readable tar archive", solution="save the image again")
        if sum(int(entry[1]) for entry in entries if entry) > self.limits.decompressed:
            raise self._decompressed_too_large()
        names = {entry[2].removeprefix("./") for entry in entries if entry}
        kind = next((kind for sign, kind in _SIGNS.items() if sign in names), "")
        if not kind:
            raise UsageError(
                f"{self.archive} is neither a docker-archive nor an OCI archive",
                solution="name one of these, a directory with an OCI layout, or registry/repository:tag",
            )
        return kind

    def _decompressed(self) -> Path:
        """Return the decompressed archive: skopeo 1.9 cannot read compressed docker-archives.

        :raises UsageError: if it is not a tar file: tar itself would decompress known formats without a limit
        """
        plain = self.archive
        start = _start(plain)
        for magic, (ending, program) in _COMPRESSIONS.items():
            if start.startswith(magic):
                copy = self.directory / f"archive{ending}"
                self.confined("cp", "--", self.archive, copy)
                self.confined(program, "-d", "-q", "--", copy, prefix=[f"--as={_DECOMPRESSION_MEMORY}"])
                plain = self.directory / "archive"
                try:
                    with open_plain(plain, self.sandbox.workspace.work) as file:
                        start = file.read(tarfile.BLOCKSIZE)
                except OSError as error:
                    raise UsageError(
                        f"{self.archive} cannot be decompressed: {error.strerror}", solution="save the image again"
                    ) from error
                break
        try:
            tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise UsageError(
                f"{self.archive} is neither a docker-archive nor an OCI archive",
                solution="name one of these, a directory with an OCI layout, or registry/repository:tag",
            ) from error
        return plain


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:  # deleted meanwhile
        return 0


def _start(path: Path) -> bytes:
    """The first block of a file: a header if it is a tar file."""
    with path.open("rb") as file:
        return file.read(tarfile.BLOCKSIZE)


def _sizes(directory: Path) -> Iterator[int]:
    """Yield the sizes of all files below a directory, at any depth."""
    pending = [str(directory)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    yield _size(entry)


def _layout(archive: Path, layout: Path, below: Path) -> Path:
    """Reduce the index of an OCI layout to one image, or one image index.

    :param archive: source of the layout
    :param below: work directory of the worker that owns the layout
    :raises UsageError: if it lists no image
    """
    try:
        index = json.loads(_plain(layout / "index.json", below, MAX_MANIFEST_SIZE))
        members = [Descriptor.of(each) for each in index["manifests"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, RegistryError) as error:
        raise UsageError(
            f"{archive} has no readable index of an OCI layout: {reason_text(error)}", solution="save the image again"
        ) from error
    if not members:
        raise UsageError(f"{archive} contains no image", solution="name an archive or a directory with an image")
    if len(members) > 1:
        _in_one_list(layout, below, [_with_platform(layout, below, each) for each in members])
    return layout


def _with_platform(layout: Path, below: Path, member: Descriptor) -> dict[str, object]:
    """Return the descriptor of an image; a missing platform is read from its configuration.

    :raises RegistryError: if it cannot be read
    """
    facts = dict(member.fields)
    if not member.is_manifest or facts.get("platform"):
        return facts
    blobs = ImageDirectory(layout / "blobs" / "sha256", OCI, below)
    try:
        raw = _plain(blobs.path / member.digest.partition(":")[2], below, MAX_MANIFEST_SIZE)
    except OSError as error:
        raise NoSuchImageError(f"the archive has no {member.digest}: {error.strerror}") from error
    manifest = Manifest.read(raw, digest=member.digest, where=member.digest)
    return facts if manifest.is_index else {**facts, "platform": platform(blobs.blob(manifest.blobs[0]))}


def platform(configuration: bytes) -> dict[str, str]:
    """The platform of an image, as in image indexes.

    :raises RegistryError: if it is not an image configuration
    """
    return ImageConfiguration.read(configuration, where="an image").platform


def _in_one_list(layout: Path, below: Path, members: Iterable[object]) -> None:
    """Make the index of a layout reference a new image index of its images.

    The archive's author may have made names links: files are recreated, and directories must be real directories.
    """
    listed = Manifest.of({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(members)})
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed.descriptor]}).encode()
    written = (
        (layout / "blobs" / "sha256", listed.digest.partition(":")[2], listed.raw),
        (layout, "index.json", index),
    )
    try:
        for destination, name, content in written:
            with opened_directory(destination, below) as directory:
                _replace(directory, name, content)
    except OSError as error:
        raise UsageError(f"the OCI layout has no writable directory blobs/sha256: {error.strerror}") from error


def _replace(directory: int, name: str, content: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(name, flags, 0o644, dir_fd=directory), "wb") as file:
        file.write(content)


def _plain(path: Path, below: Path, max_bytes: int) -> bytes:
    """Contents of a regular file, not a link.

    :raises OSError: if it is not a regular file, or too large
    """
    with open_plain(path, below) as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise OSError(0, "too long")
        return file.read(max_bytes)
