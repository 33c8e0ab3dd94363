# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of Koji's dictionaries: results of the hub's calls, and content-generator metadata.

They have the keys that this program uses. Which keys a result has depends on the call and on the version of the hub, so
none is required unless the class states otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict


class ParentBuild(TypedDict):
    """The build of a parent image; both keys are required."""

    id: int
    nvr: str


class IndexMetadata(TypedDict, total=False):
    """The image index of a build (``extra.image.index``).

    ``digests`` maps media types to digests.
    """

    pull: list[str]
    tags: list[str]
    floating_tags: list[str]
    unique_tags: list[str]
    digests: dict[str, str]


class InheritedConfig(TypedDict, total=False):
    """The part of an image configuration that affects images based on it: its ENV, and its ONBUILD instructions."""

    Env: list[str]
    OnBuild: list[str]


class ImageMetadata(TypedDict, total=False):
    """The image metadata of a build (``extra.image``).

    ``parent_image_builds`` maps images as in FROM or by digest to their builds; ``imported`` is set for base images;
    ``inherited`` is the part of the configuration that affects images based on this one, if it is short and equal for
    all architectures.
    """

    autorebuild: bool
    triggered_after_koji_task: int | None
    isolated: bool
    help: str | None
    media_types: list[str]
    parent_images: list[str]
    parent_image_builds: Mapping[str, ParentBuild]
    parent_build_id: int | None
    yum_repourls: list[str]
    index: IndexMetadata
    sbom: Mapping[str, object]
    imported: Mapping[str, object]
    inherited: InheritedConfig
    go: Mapping[str, object]


class TypeInfo(TypedDict, total=False):
    """Metadata by build type (``extra.typeinfo``)."""

    image: ImageMetadata


class BuildExtra(TypedDict, total=False):
    """The ``extra`` data of a build; the keys starting with ``container_`` are this program's."""

    submitter: str
    container_koji_task_id: int
    container_import: bool
    image: ImageMetadata
    typeinfo: TypeInfo
    osbs_build: Mapping[str, object]
    custom_user_metadata: Mapping[str, object]


class BuildInfo(TypedDict, total=False):
    """A build, from ``getBuild``, ``listBuilds`` or ``listTagged``.

    ``state`` is an index in ``koji.BUILD_STATES``; times are in seconds since the epoch.
    """

    id: int
    build_id: int
    nvr: str
    name: str
    version: str
    release: str
    package_id: int
    package_name: str
    state: int
    owner_name: str
    cg_name: str | None
    source: str | None
    task_id: int | None
    creation_event_id: int
    creation_ts: float | None
    completion_ts: float | None
    extra: BuildExtra | None


class TaskInfo(TypedDict, total=False):
    """A task, from ``getTaskInfo``, ``getTaskDescendents`` or ``listTasks``.

    ``state`` is an index in ``koji.TASK_STATES``; ``request`` holds the arguments, if they were requested, and
    ``result``, from ``listTasks`` only, the result or fault; times are in seconds since the epoch.
    """

    id: int
    parent: int | None
    method: str
    label: str | None
    arch: str
    state: int
    owner: int
    owner_name: str
    priority: int
    host_id: int | None
    channel_id: int
    create_ts: float | None
    start_ts: float | None
    completion_ts: float | None
    request: Sequence[object]
    result: object


#: The tasks of a tree by the ID of their parent, as text, from ``getTaskDescendents``.
TaskTree = Mapping[str, Sequence[TaskInfo]]


class HostInfo(TypedDict, total=False):
    """A host, from ``getHost`` or ``listHosts``; ``update_ts``: its last check-in, in seconds since the epoch."""

    id: int
    name: str
    arches: str | None
    update_ts: float | None
    enabled: bool
    ready: bool
    task_load: float
    capacity: float


class ChannelInfo(TypedDict, total=False):
    """A channel, from ``getChannel``; old hubs have no ``enabled``."""

    id: int
    name: str
    enabled: bool


class TargetInfo(TypedDict, total=False):
    """A build target, with the IDs and names of its tags."""

    id: int
    name: str
    build_tag: int
    build_tag_name: str
    dest_tag: int
    dest_tag_name: str


class TagInfo(TypedDict, total=False):
    """A Koji tag, from ``getTag``, ``getBuildConfig`` or ``listTags``; ``arches`` is separated by spaces."""

    id: int
    name: str
    arches: str | None
    locked: bool


class PackageInfo(TypedDict, total=False):
    """The configuration of a package in a Koji tag."""

    package_name: str
    blocked: bool


class UserInfo(TypedDict, total=False):
    """A user."""

    id: int
    name: str


class BuildTaskResult(TypedDict, total=False):
    """The result of a ``buildContainer`` task, as builders send it.

    ``koji_builds`` has IDs as text; ``arches`` maps architectures to pull specs of images, ``sboms`` to those of SBOMs.
    """

    repositories: list[str]
    koji_builds: list[str]
    arches: dict[str, str]
    sboms: dict[str, str]
    user_warnings: list[str]


class RepoInfo(TypedDict, total=False):
    """A yum repository of a Koji tag; it contains all changes of the tag up to the event ``create_event``.

    ``create_ts``: seconds since the epoch.
    """

    id: int
    create_event: int
    create_ts: float | None


class RepoRequest(TypedDict, total=False):
    """The response to a request for a repository; ``repo`` is always there, and None if it does not exist yet."""

    repo: RepoInfo | None


class ExternalRepoInfo(TypedDict, total=False):
    """An external yum repository of a Koji tag."""

    external_repo_name: str


class FileInfo(TypedDict, total=False):
    """A file in the output of a task; ``st_size`` is in bytes, as a decimal number."""

    st_size: str


class ContainerConfig(TypedDict, total=False):
    """The part of an image configuration that a Dockerfile sets."""

    Env: list[str] | None
    Labels: Mapping[str, str] | None
    OnBuild: list[str] | None


class ImageConfig(TypedDict, total=False):
    """An image configuration; ``container_config``: that of the container it was committed from."""

    config: ContainerConfig | None
    container_config: object


class LayerSize(TypedDict):
    """Digest and size in bytes of a layer; both keys are required."""

    layer: str
    size: int


class DockerMetadata(TypedDict, total=False):
    """The image of one architecture (``extra.docker`` of an archive); ``digests`` maps media types to digests."""

    id: str
    parent_id: str
    repositories: list[str]
    config: ImageConfig | None
    tags: list[str]
    layer_sizes: list[LayerSize]
    digests: dict[str, str]


class ArchiveExtra(TypedDict, total=False):
    """The ``extra`` data of an archive of an image."""

    image: dict[str, str]
    docker: DockerMetadata


class ArchiveInfo(TypedDict, total=False):
    """An archive of a build; ``size`` is in bytes."""

    id: int
    filename: str
    size: int
    extra: ArchiveExtra | None


class RPMInfo(TypedDict, total=False):
    """An RPM, from ``getRPM`` or ``listRPMs``; ``payloadhash`` is its SIGMD5."""

    name: str
    version: str
    release: str
    nvr: str
    arch: str
    payloadhash: str


class NewReservation(TypedDict):
    """The result of ``CGInitBuild``; both keys are required."""

    build_id: int
    token: str


class QueryOptions(TypedDict, total=False):
    """Options of list calls: ``order`` names a column, after ``-`` for descending order."""

    order: str
    limit: int
    offset: int


class RPMComponent(TypedDict):
    """An RPM in an image or a buildroot; all keys are required.

    ``sigmd5`` is the MD5 of header and payload; ``signature`` is the ID of the key, None if the RPM is not signed.
    """

    type: str
    name: str
    version: str
    release: str
    epoch: int | None
    arch: str
    sigmd5: str
    signature: str | None


class _StoredFile(TypedDict):
    filename: str
    relpath: str
    filesize: int
    checksum: str
    checksum_type: str
    type: str


class FileMetadata(_StoredFile, total=False):
    """A file to import: name, directory below that of the import, size in bytes, and digest.

    ``arch`` is only set for files of one architecture; all other keys are required.
    """

    arch: str


class Program(TypedDict):
    """A program and its version; both keys are required."""

    name: str
    version: str


class Buildroot(TypedDict, total=False):
    """The buildroot of an image: builder, container and programs; ``extra`` names the image of the pod, if any."""

    host: dict[str, str]
    content_generator: Program
    container: dict[str, str]
    tools: list[Program]
    components: list[RPMComponent]
    extra: dict[str, str]
    id: str


class OutputMetadata(FileMetadata, total=False):
    """A file to import, with the buildroot in which it was created, and for an archive its RPMs and image."""

    buildroot_id: str
    metadata_only: bool
    components: list[RPMComponent]
    extra: ArchiveExtra


class BuildMetadata(TypedDict, total=False):
    """A build to import; times are in seconds since the epoch."""

    name: str
    version: str
    release: str
    source: str
    start_time: int
    end_time: int
    owner: str
    extra: BuildExtra
    build_id: int


class ImportMetadata(TypedDict):
    """The metadata of a content-generator import; all keys are required."""

    metadata_version: int
    build: BuildMetadata
    buildroots: list[Buildroot]
    output: list[OutputMetadata]
