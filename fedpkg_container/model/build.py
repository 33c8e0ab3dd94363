"""What is passed between the client, the hub and the tasks of one build, and the result of a build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import quote

from fedpkg_container.errors import UsageError
from fedpkg_container.model.findings import Finding
from fedpkg_container.model.nvr import COMPONENT, legal_tag
from fedpkg_container.text import printable_line

#: The version of the format of ``BuildSpec`` and ``BuiltImage``.
FORMAT = 3

Travelling = TypeVar("Travelling", "BuildSpec", "BuiltImage")


def _pack(value: Any) -> dict[str, Any]:
    return {"format": FORMAT, **asdict(value)}


def check_format(kind: str, packed: Mapping[str, Any]) -> None:
    """Refuse what another version of the program made.

    :raises UsageError: it is of another version of the format
    """
    if packed.get("format") != FORMAT:
        raise UsageError(
            f"{kind} of format {packed.get('format')!r} cannot be read here (this is {FORMAT})",
            solution="install the same version of fedpkg-container on all builders",
        )


def _unpack(kind: type[Travelling], packed: Mapping[str, Any]) -> Travelling:
    check_format(kind.__name__, packed)
    names = {each.name for each in fields(kind)}
    return kind(**{key: value for key, value in packed.items() if key in names})


@dataclass(frozen=True)
class NVR:
    """Name, version and release: what Koji calls a build."""

    name: str
    version: str
    release: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}-{self.release}"

    @property
    def primary_tag(self) -> str:
        """The tag of the version and release; no floating tag can be the same, for these have no hyphen."""
        return legal_tag(f"{self.version}-{self.release}")


@dataclass(frozen=True)
class BuildSpec:
    """One arch of a build, everything decided.

    :param task_id: the ``buildContainer`` task
    :param arch: Koji's name of the arch, x86_64
    :param source: URL of dist-git with the exact commit
    :param component: the package; ``version`` and ``release`` complete the NVR
    :param image: the repository in the registry, without the registry
    :param parents: FROM as written in the Dockerfile → the same image by digest
    :param labels: labels that are added to those of the Dockerfile
    :param repository: path of the build tag's repository for this arch below Koji's topdir; empty for none
    :param staging: repository in the registry to which this arch is pushed
    :param upload: folder on the hub where the archive and the log go; empty for a scratch build
    :param timeout: seconds that the build may take
    :param network: what RUN reaches: none, isolated or host
    :param repo_files: texts of .repo files that RUN sees, by name
    :param environment: variables that every stage begins with
    :param arguments: values of ARG, over the defaults of the Dockerfile
    """

    task_id: int
    arch: str
    source: str
    component: str
    version: str
    release: str
    image: str
    scratch: bool
    parents: dict[str, str]
    labels: dict[str, str]
    repository: str
    staging: str
    upload: str
    timeout: int
    network: str = "none"
    repo_files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)

    def pack(self) -> dict[str, Any]:
        """This spec as a task's argument."""
        return _pack(self)

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> BuildSpec:
        """The spec in a task's argument.

        :raises UsageError: it is of another version of the format
        """
        return _unpack(cls, packed)

    @property
    def nvr(self) -> NVR:
        """The build's NVR."""
        return NVR(self.component, self.version, self.release)

    @property
    def identity(self) -> dict[str, str]:
        """The labels that say whose the image is, as they were read: buildah may fill in more variables than that."""
        return {COMPONENT: self.component, "name": self.image, "version": self.version}


@dataclass(frozen=True)
class BuiltImage:
    """One arch that was built and pushed to staging.

    :param digest: of its manifest in the registry
    :param media_type: of its manifest
    :param image_id: digest of its configuration, what podman calls the image ID
    :param config: its configuration, as JSON
    :param layers: digests and sizes (bytes) of its layers as pushed, oldest first: [{layer, size}]
    :param diff_ids: digests of the layers' contents, oldest first
    :param components: every RPM in it: [{type, name, version, release, epoch, arch, sigmd5, signature}]
    :param files: what was uploaded for the import: [{filename, relpath, filesize, checksum, checksum_type, type}]
    :param buildroot: host, container and tools that built it
    :param parent_id: image ID of its parent, where known
    :param details: for each of the components, in their order, what its header says beside: [{license, vendor,
        source_rpm}]
    :param variants: digests of the same image in further formats, in staging too: format → digest
    :param distribution: id and version of the distribution that it says it is, where it does
    """

    arch: str
    staging: str
    digest: str
    media_type: str
    image_id: str
    config: str
    layers: list[dict[str, Any]]
    diff_ids: list[str]
    components: list[dict[str, Any]]
    files: list[dict[str, Any]]
    buildroot: dict[str, Any]
    parent_id: str = ""
    warnings: list[str] = field(default_factory=list)
    details: list[dict[str, str]] = field(default_factory=list)
    distribution: dict[str, str] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)

    def pack(self) -> dict[str, Any]:
        """This image as the file of a task."""
        return _pack(self)

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> BuiltImage:
        """The image in a task's file.

        :raises UsageError: it is of another version of the format
        """
        return _unpack(cls, packed)


@dataclass(frozen=True)
class Target:
    """A build target and its tags.

    :param arches: of the build tag, as Koji names them
    """

    name: str
    build_tag: str
    destination_tag: str
    arches: tuple[str, ...]


@dataclass(frozen=True)
class Addresses:
    """A site's web addresses.

    :param web: of Koji's web pages (``weburl`` of a koji profile); empty where there are none
    :param files: of Koji's files (``topurl``); empty where they are not served
    """

    web: str = ""
    files: str = ""

    def task(self, task_id: int) -> str:
        """A task's page; empty when it has none."""
        return f"{self.web}/taskinfo?taskID={task_id}" if self.web else ""

    def log(self, task_id: int, name: str) -> str:
        """A log of a task, where koji's ``pathinfo.task`` puts it; empty when it is not served."""
        if self.files:
            return f"{self.files}/work/tasks/{task_id % 10000}/{task_id}/{quote(name)}"
        return f"{self.web}/getfile?taskID={task_id}&name={quote(name)}" if self.web else ""


#: Added to Koji's priority for ``--background``.
BACKGROUND = 5


@dataclass(frozen=True)
class BuildRequest:
    """The arguments of ``buildContainer``.

    :param source: URL of dist-git with the commit
    :param priority: added to Koji's default priority; None for that
    """

    source: str
    target: str
    options: Mapping[str, Any]
    priority: int | None = None

    @property
    def scratch(self) -> bool:
        """Whether nothing is to be recorded."""
        return bool(self.options.get("scratch"))


@dataclass(frozen=True)
class Preflight:
    """What the hub knows beforehand.

    :param nvr: what would be built, as far as it is known; with the hub's next release where none was chosen
    :param release_is_next: the release is the hub's next one, which another build may take first
    :param arches: those that would be built for
    :param average: seconds that earlier builds of the package took; None when there are none
    :param newest: id of the newest task of container builds
    """

    findings: list[Finding]
    nvr: str = ""
    release_is_next: bool = False
    arches: tuple[str, ...] = ()
    average: float | None = None
    newest: int = 0


@dataclass(frozen=True)
class BuildResult:
    """The result of a task, safe to show.

    :param pull_specs: by tag, by digest
    :param builds: ids of the Koji builds that were made
    :param arches: arch → pull spec of its image alone; our builders say it, upstream's do not
    """

    pull_specs: tuple[str, ...] = ()
    builds: tuple[int, ...] = ()
    arches: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, result: Any) -> BuildResult:
        """What a task returned; what is not as it should be is passed over."""
        if not isinstance(result, Mapping):
            return cls()
        arches = result.get("arches")
        return cls(
            pull_specs=_texts(result.get("repositories")),
            builds=tuple(int(each) for each in _texts(result.get("koji_builds")) if each.isascii() and each.isdigit()),
            arches={
                printable_line(str(arch)): printable_line(str(image))
                for arch, image in (arches.items() if isinstance(arches, Mapping) else ())
            },
            warnings=_texts(result.get("user_warnings")),
        )


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, (list, tuple)) else [value] if isinstance(value, str) else []
    return tuple(printable_line(str(each)) for each in items if isinstance(each, (str, int)))
