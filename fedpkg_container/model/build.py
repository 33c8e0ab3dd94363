# SPDX-License-Identifier: GPL-2.0-or-later
"""Data passed between the client, the hub and the tasks of one build, and the result of a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import quote

from fedpkg_container.errors import UsageError
from fedpkg_container.model.findings import Finding
from fedpkg_container.model.koji_types import BuildInfo, Buildroot, FileMetadata, LayerSize, RPMComponent
from fedpkg_container.model.nvr import COMPONENT_LABEL, NVR
from fedpkg_container.model.options import BuildOptions
from fedpkg_container.text import printable_line

#: Version of the serialized format of ``BuildSpec`` and ``BuiltImage``. It changes if a field is renamed, removed or
#: required, but not with a new one that has a default: releases that do not know that one ignore it.
FORMAT = 4

Packed = TypeVar("Packed", "BuildSpec", "BuiltImage")


def _pack(value: BuildSpec | BuiltImage) -> dict[str, object]:
    return {"format": FORMAT, **asdict(value)}


def check_format(kind: str, packed: Mapping[str, object]) -> None:
    """Check that serialized data was written by a compatible version of this program.

    :raises UsageError: if the data has another format version
    """
    if packed.get("format") != FORMAT:
        raise UsageError(
            f"{kind}: unsupported format version {packed.get('format')!r} (expected {FORMAT})",
            solution="install the same version of fedpkg-container on all builders of the channel",
        )


def _unpack(kind: type[Packed], packed: Mapping[str, object]) -> Packed:
    check_format(kind.__name__, packed)
    names = {item.name for item in fields(kind)}
    values: dict[str, Any] = {key: value for key, value in packed.items() if key in names}
    return kind(**values)


@dataclass(frozen=True)
class BuildSpec:
    """Everything needed to build one architecture.

    :param task_id: ID of the ``buildContainer`` task
    :param arch: Koji architecture name, e.g. x86_64
    :param source_url: source URL with the exact commit
    :param component: package name; with ``version`` and ``release`` it forms the NVR
    :param repository_path: repository in the registry, without the registry host
    :param parents: FROM as written in the Dockerfile → the same image by digest
    :param labels: labels to add to those of the Dockerfile
    :param yum_repository: path of the build tag's yum repository for this architecture, relative to the Koji topdir;
        empty for none
    :param staging_repository: repository in the registry to push this architecture to
    :param upload_directory: upload directory on the hub for the archive and the log; empty for a scratch build
    :param timeout: time limit of the build in seconds
    :param network: network access of RUN: none, isolated or host
    :param repo_files: .repo files visible to RUN: name → content
    :param environment: variables set at the start of every stage
    :param build_arguments: ARG values that override the defaults in the Dockerfile
    """

    task_id: int
    arch: str
    source_url: str
    component: str
    version: str
    release: str
    repository_path: str
    scratch: bool
    parents: dict[str, str]
    labels: dict[str, str]
    yum_repository: str
    staging_repository: str
    upload_directory: str
    timeout: int
    network: str = "none"
    repo_files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    build_arguments: dict[str, str] = field(default_factory=dict)

    def pack(self) -> dict[str, object]:
        """Serialize the spec as a task argument."""
        return _pack(self)

    @classmethod
    def unpack(cls, packed: Mapping[str, object]) -> BuildSpec:
        """Deserialize a spec from a task argument.

        :raises UsageError: if it has another format version
        """
        return _unpack(cls, packed)

    @property
    def nvr(self) -> NVR:
        """The build's NVR."""
        return NVR(self.component, self.version, self.release)

    @property
    def identity(self) -> dict[str, str]:
        """The labels that identify the image, as checked: buildah may substitute more variables in the Dockerfile's."""
        return {COMPONENT_LABEL: self.component, "name": self.repository_path, "version": self.version}


@dataclass(frozen=True)
class BuiltImage:
    """The image of one architecture, built and pushed to staging.

    :param staged_image: the image in staging, by digest
    :param digest: digest of its manifest in the registry
    :param media_type: media type of its manifest
    :param image_id: digest of its configuration (the image ID in podman)
    :param config: its configuration, as JSON
    :param layers: digests and sizes (bytes) of its layers as pushed, oldest first: [{layer, size}]
    :param diff_ids: digests of the uncompressed layers, oldest first
    :param components: all RPMs in the image: [{type, name, version, release, epoch, arch, sigmd5, signature}]
    :param files: uploaded files to import: [{filename, relpath, filesize, checksum, checksum_type, type}]
    :param buildroot: host, container and tools used for the build
    :param parent_id: image ID of its parent image; empty if unknown
    :param details: further RPM header fields, in the order of ``components``: [{license, vendor, source_rpm}]
    :param variants: digests of the same image in other formats, also in staging: format → digest
    :param distribution: ID and version from the image's os-release, if present
    """

    arch: str
    staged_image: str
    digest: str
    media_type: str
    image_id: str
    config: str
    layers: list[LayerSize]
    diff_ids: list[str]
    components: list[RPMComponent]
    files: list[FileMetadata]
    buildroot: Buildroot
    parent_id: str = ""
    warnings: list[str] = field(default_factory=list)
    details: list[dict[str, str]] = field(default_factory=list)
    distribution: dict[str, str] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)

    def pack(self) -> dict[str, object]:
        """Serialize the image as a file of a task."""
        return _pack(self)

    @classmethod
    def unpack(cls, packed: Mapping[str, object]) -> BuiltImage:
        """Deserialize an image from a file of a task.

        :raises UsageError: if it has another format version
        """
        return _unpack(cls, packed)


@dataclass(frozen=True)
class Target:
    """A build target and its tags.

    :param arches: architectures of the build tag, by their Koji names
    """

    name: str
    build_tag: str
    destination_tag: str
    arches: tuple[str, ...]


@dataclass(frozen=True)
class SiteUrls:
    """Web addresses of a site.

    :param web: URL of Koji's web interface (``weburl`` in the Koji profile); empty if there is none
    :param files: URL of the Koji topdir (``topurl`` in the Koji profile); empty if it is not served
    """

    web: str = ""
    files: str = ""

    def task(self, task_id: int) -> str:
        """Return the URL of a task's page; empty if there is no web interface."""
        return f"{self.web}/taskinfo?taskID={task_id}" if self.web else ""

    def log(self, task_id: int, name: str) -> str:
        """Return the URL of a task's log, following koji's ``pathinfo.task``; empty if it is not served."""
        if self.files:
            return f"{self.files}/work/tasks/{task_id % 10000}/{task_id}/{quote(name)}"
        return f"{self.web}/getfile?taskID={task_id}&name={quote(name)}" if self.web else ""


#: Priority offset of ``--background``, added to Koji's default priority.
BACKGROUND = 5


@dataclass(frozen=True)
class BuildRequest:
    """The arguments of ``buildContainer``.

    :param source: source URL with the commit
    :param priority: offset added to Koji's default priority; None to use the default
    """

    source: str
    target: str
    options: BuildOptions
    priority: int | None = None

    @property
    def scratch(self) -> bool:
        """Whether this is a scratch build, which Koji does not record."""
        return bool(self.options.get("scratch"))


@dataclass(frozen=True)
class Preflight:
    """Results of the checks on the hub before submission.

    :param nvr: expected NVR, with the hub's next release if none was chosen; empty if unknown
    :param release_is_next: the release is the hub's next one, which another build may claim first
    :param arches: architectures to build
    :param average: average duration of earlier builds of the package in seconds; None if there are none
    :param newest: ID of the newest ``buildContainer`` task
    :param builds: complete builds of the package, newest first
    :param build_tag: build tag of the target
    :param running: task that builds the same source for the same target, if it was looked for and there is one
    """

    findings: list[Finding]
    nvr: str = ""
    release_is_next: bool = False
    arches: tuple[str, ...] = ()
    average: float | None = None
    newest: int = 0
    builds: Sequence[BuildInfo] = ()
    build_tag: str = ""
    running: int | None = None


@dataclass(frozen=True)
class BuildResult:
    """The result of a task, safe to display.

    :param pull_specs: pull specs by tag and by digest
    :param builds: IDs of the Koji builds created
    :param arches: architecture → pull spec of its image; only set by our builders, not by OSBS, as is the next one
    :param sboms: architecture → pull spec of its SBOM
    """

    pull_specs: tuple[str, ...] = ()
    builds: tuple[int, ...] = ()
    arches: Mapping[str, str] = field(default_factory=dict)
    sboms: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, result: object) -> BuildResult:
        """Parse the result of a task, ignoring malformed parts."""
        if not isinstance(result, Mapping):
            return cls()
        return cls(
            pull_specs=_texts(result.get("repositories")),
            builds=tuple(int(text) for text in _texts(result.get("koji_builds")) if text.isascii() and text.isdigit()),
            arches=_texts_by_name(result.get("arches")),
            sboms=_texts_by_name(result.get("sboms")),
            warnings=_texts(result.get("user_warnings")),
        )


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, (list, tuple)) else [value] if isinstance(value, str) else []
    return tuple(printable_line(str(item)) for item in items if isinstance(item, (str, int)))


def _texts_by_name(value: object) -> dict[str, str]:
    items = value.items() if isinstance(value, Mapping) else ()
    return {printable_line(str(name)): printable_line(str(text)) for name, text in items}
