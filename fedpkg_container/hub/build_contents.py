"""What went into a build: images of each arch, RPMs, labels, parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.hub.builds import MOST_BUILDS, Build, asker_of, branch_of, read_build
from fedpkg_container.hub.tasks import optional
from fedpkg_container.text import printable_line


@dataclass(frozen=True)
class ArchImage:
    """The image of one arch.

    :param size: of its archive, bytes
    :param rpms: name-version-release.arch of each RPM that Koji knows → its name
    """

    arch: str
    size: int
    pull_specs: tuple[str, ...]
    labels: Mapping[str, str]
    rpms: Mapping[str, str]


@dataclass(frozen=True)
class Parent:
    """A build that another one stands on.

    :param image: as the build recorded it
    :param is_base: the last stage begins with it
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
    """Everything that is recorded of a build."""

    build: Build
    images: tuple[ArchImage, ...]
    parents: tuple[Parent, ...]

    @property
    def rpms(self) -> dict[str, str]:
        """The RPMs of all arches, sorted: name-version-release.arch → name."""
        found = {nvra: name for image in self.images for nvra, name in image.rpms.items()}
        return dict(sorted(found.items()))


def read_contents(session: Any, info: Mapping[str, Any]) -> Contents:
    """What went into a build: two requests.

    :param info: as ``getBuild`` gives it
    """
    build = read_build(info)
    with session.multicall(strict=False) as multicall:
        tags = multicall.listTags(build.id)
        task_call = multicall.getTaskInfo(build.task_id, request=True) if build.task_id else None
        archives = multicall.listArchives(build.id, type="image")
        parents = {image: multicall.getBuild(parent["id"]) for image, parent in build.parents.items()}
    listed = [archive for archive in optional(archives) or () if "image" in (archive.get("extra") or {})]
    known = {image: optional(call) for image, call in parents.items() if optional(call)}
    newest = {"order": "-build_id", "limit": MOST_BUILDS}
    task = optional(task_call)
    asker = asker_of(info, task)
    with session.multicall(strict=False) as multicall:
        user = multicall.getUser(asker) if asker is not None else None
        rpms = [multicall.listRPMs(imageID=archive["id"]) for archive in listed]
        newer = {
            image: multicall.listBuilds(
                packageID=parent["package_id"], state=koji.BUILD_STATES["COMPLETE"], queryOpts=newest
            )
            for image, parent in known.items()
        }
    return Contents(
        read_build(
            info,
            branch=branch_of(task),
            asker=str((optional(user) or {}).get("name") or ""),
            tags=optional(tags) or (),
        ),
        tuple(_image(archive, optional(call) or []) for archive, call in zip(listed, rpms)),
        tuple(
            Parent(
                image=image,
                nvr=printable_line(parent["nvr"]),
                is_base=parent["id"] == build.parent_id,
                newest=_newest(parent, optional(newer[image]) or ()),
            )
            for image, parent in known.items()
        ),
    )


def _newest(parent: Mapping[str, Any], builds: Sequence[Mapping[str, Any]]) -> str:
    """The newest build of the same version: another version may be for another release of the distribution."""
    same = [build["nvr"] for build in builds if build["version"] == parent["version"]]
    return printable_line(same[0]) if same else ""


def _image(archive: Mapping[str, Any], rpms: list[Mapping[str, Any]]) -> ArchImage:
    extra = archive["extra"]
    docker = extra.get("docker") or {}
    labels = ((docker.get("config") or {}).get("config") or {}).get("Labels") or {}
    return ArchImage(
        arch=printable_line(str(extra["image"].get("arch") or "")),
        size=int(archive["size"]),
        pull_specs=tuple(printable_line(str(each)) for each in docker.get("repositories") or ()),
        labels={printable_line(str(name)): printable_line(str(value)) for name, value in labels.items()},
        rpms={printable_line(f"{rpm['nvr']}.{rpm['arch']}"): printable_line(rpm["name"]) for rpm in rpms},
    )


@dataclass(frozen=True)
class Difference:
    """What changed from one build to another.

    :param upgraded: name of the RPM → the versions before and after
    :param labels: name → the values before and after; empty where it was not set
    :param sizes: arch → bytes before and after
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
    """What changed from one build to another."""
    old, new = before.rpms, after.rpms
    gone, come = [each for each in old if each not in new], [each for each in new if each not in old]
    upgraded: dict[str, tuple[str, str]] = {}
    for name in sorted({old[each] for each in gone} & {new[each] for each in come}):
        upgraded[name] = (
            " ".join(_version(each, name) for each in gone if old[each] == name),
            " ".join(_version(each, name) for each in come if new[each] == name),
        )
    labels_before, labels_after = _labels(before), _labels(after)
    changed = {
        name: (labels_before.get(name, ""), labels_after.get(name, ""))
        for name in sorted(labels_before.keys() | labels_after.keys())
        if labels_before.get(name) != labels_after.get(name) and name not in _ALWAYS
    }
    sizes = {image.arch: image.size for image in before.images}
    return Difference(
        added=tuple(each for each in come if new[each] not in upgraded),
        removed=tuple(each for each in gone if old[each] not in upgraded),
        upgraded=upgraded,
        labels=changed,
        parents=(tuple(each.nvr for each in before.parents), tuple(each.nvr for each in after.parents)),
        sizes={image.arch: (sizes[image.arch], image.size) for image in after.images if image.arch in sizes},
    )


def _version(nvra: str, name: str) -> str:
    return nvra.removeprefix(f"{name}-")


def _labels(contents: Contents) -> Mapping[str, str]:
    return contents.images[0].labels if contents.images else {}
