# SPDX-License-Identifier: GPL-2.0-or-later
"""Contents of a build: images per architecture, RPMs, labels and parents; and differences between two builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import koji

from fedpkg_container.hub.builds import MAX_BUILDS, Build, read_build, requester_of
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.tasks import result_or_none
from fedpkg_container.model.json_values import items, mapping
from fedpkg_container.model.koji_types import ArchiveInfo, BuildInfo, QueryOptions, RPMInfo
from fedpkg_container.text import printable_line


@dataclass(frozen=True)
class ArchImage:
    """The image of one architecture.

    :param size: size of its archive in bytes
    :param rpms: name-version-release.arch of each RPM known to Koji → its name
    """

    arch: str
    size: int
    pull_specs: tuple[str, ...]
    labels: Mapping[str, str]
    rpms: Mapping[str, str]


@dataclass(frozen=True)
class Parent:
    """The build of a parent image.

    :param image: parent image as recorded by the build
    :param is_base: whether it is the base image, i.e. the final stage starts from it
    :param newest: NVR of the newest complete build of the same package and version
    """

    image: str
    nvr: str
    is_base: bool
    newest: str

    @property
    def is_newest(self) -> bool:
        """Whether no newer parent exists."""
        return self.newest in ("", self.nvr)


@dataclass(frozen=True)
class Contents:
    """Everything recorded for a build."""

    build: Build
    images: tuple[ArchImage, ...]
    parents: tuple[Parent, ...]

    @property
    def rpms(self) -> dict[str, str]:
        """Return the RPMs of all architectures, sorted: name-version-release.arch → name."""
        rpms = {nvra: name for image in self.images for nvra, name in image.rpms.items()}
        return dict(sorted(rpms.items()))


def read_contents(session: HubSession, info: BuildInfo) -> Contents:
    """Return the contents of a build, using two requests.

    :param info: result of ``getBuild``
    """
    build = read_build(info)
    with session.multicall(strict=False) as multicall:
        tags = multicall.listTags(build.id)
        task_call = multicall.getTaskInfo(build.task_id, request=True) if build.task_id else None
        failed = build.task_id if build.state in ("FAILED", "CANCELED") else None
        fault = multicall.getTaskResult(failed, raise_fault=False) if failed else None
        archives = multicall.listArchives(build.id, type="image")
        parents = {image: multicall.getBuild(parent["id"]) for image, parent in build.parents.items()}
    images = [archive for archive in result_or_none(archives) or () if "image" in mapping(archive.get("extra"))]
    recorded = {image: parent for image, call in parents.items() if (parent := result_or_none(call))}
    newest: QueryOptions = {"order": "-build_id", "limit": MAX_BUILDS}
    task = result_or_none(task_call)
    requester = requester_of(info, task)
    with session.multicall(strict=False) as multicall:
        user = multicall.getUser(requester) if requester is not None else None
        rpms = [multicall.listRPMs(imageID=archive["id"]) for archive in images]
        newer = {
            image: multicall.listBuilds(
                packageID=parent["package_id"], state=koji.BUILD_STATES["COMPLETE"], queryOpts=newest
            )
            for image, parent in recorded.items()
        }
    return Contents(
        read_build(
            info,
            task=task,
            result=result_or_none(fault),
            requester=str((result_or_none(user) or {}).get("name") or ""),
            tags=result_or_none(tags) or (),
        ),
        tuple(_image(archive, result_or_none(call) or []) for archive, call in zip(images, rpms)),
        tuple(
            Parent(
                image=image,
                nvr=printable_line(parent["nvr"]),
                is_base=parent["id"] == build.parent_id,
                newest=_newest(parent, result_or_none(newer[image]) or ()),
            )
            for image, parent in recorded.items()
        ),
    )


def _newest(parent: BuildInfo, builds: Sequence[BuildInfo]) -> str:
    """Return the newest build of the same version; other versions may be for other releases of the distribution."""
    same = [build["nvr"] for build in builds if build["version"] == parent["version"]]
    return printable_line(same[0]) if same else ""


def _image(archive: ArchiveInfo, rpms: Sequence[RPMInfo]) -> ArchImage:
    extra = mapping(archive["extra"])
    docker = mapping(extra.get("docker"))
    labels = mapping(mapping(mapping(docker.get("config")).get("config")).get("Labels"))
    return ArchImage(
        arch=printable_line(str(mapping(extra["image"]).get("arch") or "")),
        size=int(archive["size"]),
        pull_specs=tuple(printable_line(str(spec)) for spec in items(docker.get("repositories"))),
        labels={printable_line(str(name)): printable_line(str(value)) for name, value in labels.items()},
        rpms={printable_line(f"{rpm['nvr']}.{rpm['arch']}"): printable_line(rpm["name"]) for rpm in rpms},
    )


@dataclass(frozen=True)
class Difference:
    """The differences between two builds.

    :param upgraded: name of the RPM → versions before and after
    :param labels: name → values before and after; empty if not set
    :param sizes: architecture → bytes before and after
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    upgraded: Mapping[str, tuple[str, str]]
    labels: Mapping[str, tuple[str, str]]
    parents: tuple[tuple[str, ...], tuple[str, ...]]
    sizes: Mapping[str, tuple[int, int]]


#: Labels that differ in every build.
_ALWAYS = frozenset({"build-date", "vcs-ref", "release"})


def difference(before: Contents, after: Contents) -> Difference:
    """Return the differences between two builds."""
    old, new = before.rpms, after.rpms
    removed, added = [nvra for nvra in old if nvra not in new], [nvra for nvra in new if nvra not in old]
    upgraded: dict[str, tuple[str, str]] = {}
    for name in sorted({old[nvra] for nvra in removed} & {new[nvra] for nvra in added}):
        upgraded[name] = (
            " ".join(_version(nvra, name) for nvra in removed if old[nvra] == name),
            " ".join(_version(nvra, name) for nvra in added if new[nvra] == name),
        )
    labels_before, labels_after = _labels(before), _labels(after)
    changed = {
        name: (labels_before.get(name, ""), labels_after.get(name, ""))
        for name in sorted(labels_before.keys() | labels_after.keys())
        if labels_before.get(name) != labels_after.get(name) and name not in _ALWAYS
    }
    sizes = {image.arch: image.size for image in before.images}
    return Difference(
        added=tuple(nvra for nvra in added if new[nvra] not in upgraded),
        removed=tuple(nvra for nvra in removed if old[nvra] not in upgraded),
        upgraded=upgraded,
        labels=changed,
        parents=(tuple(parent.nvr for parent in before.parents), tuple(parent.nvr for parent in after.parents)),
        sizes={image.arch: (sizes[image.arch], image.size) for image in after.images if image.arch in sizes},
    )


def _version(nvra: str, name: str) -> str:
    return nvra.removeprefix(f"{name}-")


def _labels(contents: Contents) -> Mapping[str, str]:
    return contents.images[0].labels if contents.images else {}
