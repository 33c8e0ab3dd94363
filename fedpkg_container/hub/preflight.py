# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a build request on the hub before submission, and the build target's data."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import koji

from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.hub.builds import MAX_BUILDS, valid_average
from fedpkg_container.hub.earlier import MAX_RUNNING, RUNNING, is_repeated
from fedpkg_container.hub.hosts import CHECK_IN_TIMEOUT, hosts_of_arch, seconds_since_check_in
from fedpkg_container.hub.protocol import HubSession
from fedpkg_container.hub.reservation import REUSABLE_STATES
from fedpkg_container.hub.session import CLIENT_TIMEOUT, anonymous_session, hub_errors, profile_options
from fedpkg_container.hub.tasks import result_or_none
from fedpkg_container.model.build import BuildRequest, Preflight, Target
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.json_values import mapping
from fedpkg_container.model.koji_images import RecordedImage
from fedpkg_container.model.koji_types import BuildInfo, HostInfo, PackageInfo, QueryOptions, TagInfo, TargetInfo
from fedpkg_container.model.nvr import COMPONENT_LABEL, OLD_LABEL_NAMES, label_value
from fedpkg_container.model.platforms import ALL_PLATFORMS, Platforms
from fedpkg_container.text import format_duration, printable_line

_log = logging.getLogger(__name__)


def read_target(session: HubSession, name: str) -> Target:
    """Return a build target with the tags and architectures that it refers to, using two requests.

    :raises LostContactError: if the hub did not respond
    :raises FedpkgContainerError: if there is no such target, or the hub returned an error
    """
    with hub_errors(session.baseurl):
        target = session.getBuildTarget(name)
        if target is None:
            raise FedpkgContainerError(
                f"build target {printable_line(name)} does not exist", solution="list the targets: koji list-targets"
            )
        config = session.getBuildConfig(target["build_tag"])
    arches = tuple(koji.canonArch(arch) for arch in (config["arches"] or "").split())
    return Target(name, target["build_tag_name"], target["dest_tag_name"], arches)


@dataclass(frozen=True)
class TagRepository:
    """The newest yum repository of a build tag.

    :param path: path relative to the Koji topdir, without the architecture
    :param topdir: Koji topdir from the Koji profile, which may be mounted locally; empty if not set
    :param url: URL of the Koji topdir; empty if it is not served
    """

    tag: str
    path: str
    topdir: str
    url: str


def find_repository(profile: str, target_name: str) -> TagRepository:
    """Return the yum repository of a target's build tag, without logging in.

    :param profile: name of the Koji profile
    :raises RefusedError: if there is no such target
    :raises FedpkgContainerError: if its build tag has no repository, or the hub does not respond
    """
    options = profile_options(profile)
    session = anonymous_session(profile, timeout=CLIENT_TIMEOUT)
    with hub_errors(session.baseurl):
        target = session.getBuildTarget(target_name)
        if target is None:
            raise RefusedError(
                f"build target {target_name} does not exist", solution="list the targets: koji list-targets"
            )
        repo = session.getRepo(target["build_tag"])
    tag = printable_line(str(target["build_tag_name"]))
    if "/" in tag or tag in (".", ".."):
        raise FedpkgContainerError(f"invalid name of a Koji tag: {tag}")
    if not repo:
        raise FedpkgContainerError(
            f"build tag {tag} has no repository", solution=f"a release engineer can create it: koji regen-repo {tag}"
        )
    url = str(options.get("topurl") or "")
    return TagRepository(tag, f"repos/{tag}/{int(repo['id'])}", str(options.get("topdir") or ""), url)


#: The channel of container builds, also on hubs with OSBS.
CHANNEL = "container-binary"


@dataclass(frozen=True)
class _ExpectedBuild:
    """The build that a request creates, as far as its labels are known.

    :param release: empty if the hub chooses the next one
    :param is_known: whether name and version are known, and whether the Dockerfile has a release
    """

    component: str
    version: str
    release: str
    is_known: bool

    @classmethod
    def of(cls, request: BuildRequest, labels: Mapping[str, str], unknown: Collection[str]) -> _ExpectedBuild:
        """Read it from the labels, and the release from the options of the request.

        :param unknown: labels whose values only the builder knows
        """
        component, version = (printable_line(label_value(labels, name)) for name in (COMPONENT_LABEL, "version"))
        option = request.options.get("release")
        release = printable_line(str(option or label_value(labels, "release")))
        is_decided = bool(option) or not {"release", OLD_LABEL_NAMES["release"]} & set(unknown)
        return cls(component, version, release, bool(component and version and is_decided))

    @property
    def nvr(self) -> str:
        """The NVR; empty if it is unknown."""
        return f"{self.component}-{self.version}-{self.release}" if self.is_known and self.release else ""


def preflight(
    session: HubSession,
    request: BuildRequest,
    labels: Mapping[str, str],
    platforms: Platforms = ALL_PLATFORMS,
    unknown: Collection[str] = (),
    *,
    find_running: bool = False,
    target: TargetInfo | None = None,
) -> Preflight:
    """Check a build request on the hub.

    :param labels: labels in the Dockerfile whose values are known
    :param platforms: platforms in container.yaml
    :param unknown: labels whose values only the builder knows; no NVR is expected then
    :param find_running: look for a running task with the same source and target
    :param target: the build target if it has been queried already
    """
    target = target or session.getBuildTarget(request.target)
    if target is None:
        solution = "choose one with --target; list the targets: koji list-targets"
        message = f"build target {request.target} does not exist"
        return Preflight([Finding("target", ERROR, message, solution)])
    expected = _ExpectedBuild.of(request, labels, unknown)
    component, version = expected.component, expected.version
    with session.multicall(strict=False) as multicall:
        tag = multicall.getTag(target["dest_tag"])
        package = multicall.getPackageConfig(target["dest_tag"], component)
        build = multicall.getBuild(expected.nvr) if expected.nvr else None
        next_release = multicall.getNextRelease({"name": component, "version": version}) if expected.is_known else None
        config = multicall.getBuildConfig(target["build_tag"])
        hosts = multicall.listHosts(channelID=CHANNEL, enabled=True)
        all_hosts = multicall.listHosts(enabled=True)
        average = multicall.getAverageBuildDuration(component)
        tasks = multicall.listTasks({"method": "buildContainer"}, {"order": "-id", "limit": 1})
        active = multicall.listTasks(RUNNING, {"order": "-id", "limit": MAX_RUNNING}) if find_running else None
        parent_nvr = request.options.get("koji_parent_build")
        parent = multicall.getBuild(parent_nvr) if parent_nvr else None
        complete, newest = koji.BUILD_STATES["COMPLETE"], QueryOptions(order="-build_id", limit=MAX_BUILDS)
        builds = multicall.listBuilds(packageID=component, state=complete, queryOpts=newest) if component else None
    arches, findings = _arches(
        request, config.result, platforms, result_or_none(hosts) or [], result_or_none(all_hosts) or []
    )
    if parent_nvr and parent is not None:
        findings += _parent_build(parent_nvr, parent.result)
    if not request.scratch:
        findings += _destination(tag.result, package.result, component, target["dest_tag_name"])
        findings += _existing(build.result if build else None)
    release_is_next = not expected.release and not request.scratch and next_release is not None
    if release_is_next and next_release is not None:
        expected = replace(expected, release=result_or_none(next_release) or "")
    duration = valid_average(average.result)
    _log_target(request.target, target, arches, duration)
    return Preflight(
        findings,
        nvr=expected.nvr,
        release_is_next=release_is_next,
        arches=tuple(arches),
        average=duration,
        newest=tasks.result[0]["id"] if tasks.result else 0,
        builds=result_or_none(builds) or (),
        build_tag=printable_line(target["build_tag_name"]),
        running=next((task["id"] for task in result_or_none(active) or () if is_repeated(task, request)), None),
    )


def _log_target(name: str, target: TargetInfo, arches: Sequence[str], duration: float | None) -> None:
    _log.info(
        "target %s: build tag %s, destination tag %s, architectures %s, average duration %s",
        name,
        target["build_tag_name"],
        target["dest_tag_name"],
        " ".join(arches) or "none",
        "unknown" if duration is None else f"{duration:.0f} s",
    )


def _destination(tag: TagInfo | None, package: PackageInfo | None, component: str, name: str) -> Iterator[Finding]:
    if tag is None:
        yield Finding(
            "dest-tag", ERROR, f"destination tag {name} does not exist", "contact the site's release engineers"
        )
        return
    if tag["locked"]:
        yield Finding(
            "tag-locked", ERROR, f"destination tag {name} is locked", "only scratch builds are possible: use --scratch"
        )
    if component and package is None:
        yield Finding(
            "package",
            ERROR,
            f"package {component} is not listed in {name}",
            f"check the label com.redhat.component; to add the package: koji add-pkg --owner … {name} {component}",
        )
    elif component and package is not None and package["blocked"]:
        yield Finding(
            "package",
            ERROR,
            f"package {component} is blocked in {name}",
            f"contact the site's release engineers; to unblock the package: koji unblock-pkg {name} {component}",
        )


def _parent_build(nvr: str, build: BuildInfo | None) -> Iterator[Finding]:
    problem = ""
    if build is None:
        problem = "does not exist"
    elif build["state"] != koji.BUILD_STATES["COMPLETE"]:
        problem = f"is {koji.BUILD_STATES[build['state']].lower()}"
    elif RecordedImage.of(build).by_digest is None:
        problem = "is not a container image"
    if problem:
        message = f"--koji-parent-build: build {printable_line(nvr)} {problem}"
        yield Finding("koji-parent-build", ERROR, message, "pass the NVR of a complete container build")


def _existing(build: BuildInfo | None) -> Iterator[Finding]:
    if build is None or build["state"] in REUSABLE_STATES:
        return
    if build["state"] == koji.BUILD_STATES["BUILDING"]:
        task = mapping(build.get("extra")).get("container_koji_task_id")
        owner = f" by task {task}" if task else f" (build {build['id']})"
        # Only a warning: a crash may have left this state, and the builder, which can find out, then takes over.
        yield Finding(
            "nvr-building",
            WARNING,
            f"{build['nvr']} is being built{owner}",
            "this build will fail if that task is still running",
        )
        return
    state = koji.BUILD_STATES[build["state"]].lower()
    yield Finding(
        "nvr-exists",
        ERROR,
        f"{build['nvr']} already exists (build {build['id']}, {state})",
        "choose another release, or none to get the next one",
    )


def _arches(
    request: BuildRequest,
    config: TagInfo,
    platforms: Platforms,
    hosts: Sequence[HostInfo],
    all_hosts: Sequence[HostInfo],
) -> tuple[list[str], list[Finding]]:
    """Return the architectures to build, and findings about them.

    :param hosts: hosts of the channel of container builds
    :param all_hosts: hosts of any channel, since hub policy may assign another one
    """
    findings: list[Finding] = []
    tag_arches = list(dict.fromkeys(koji.canonArch(arch) for arch in (config["arches"] or "").split()))
    if not tag_arches:
        message = f"build tag {config['name']} has no architectures"
        findings.append(Finding("tag-arches", ERROR, message, "contact the site's release engineers"))
        return [], findings
    requested = [koji.canonArch(arch) for arch in str(request.options.get("arch_override") or "").split()]
    if unknown := [arch for arch in requested if arch not in tag_arches]:
        message = f"build tag {config['name']} does not include {' '.join(unknown)}"
        solution = f"choose from {' '.join(tag_arches)} with --arches"
        findings.append(Finding("arches", ERROR, message, solution))
    candidates = [arch for arch in requested or tag_arches if arch in tag_arches]
    arches = platforms.select(candidates)
    if candidates and not arches:
        origin = "--arches" if requested else "the build tag"
        message = f"platforms in container.yaml excludes every architecture of {origin} ({' '.join(candidates)})"
        findings.append(Finding("arches", ERROR, message, "fix platforms.only or platforms.not", "container.yaml"))
    in_channel, elsewhere = _arches_of(hosts), _arches_of(all_hosts)
    for arch in arches:
        if arch not in in_channel:
            message = f"channel {CHANNEL} has no enabled builder for {arch}"
            if arch in elsewhere:
                solution = "the build will wait forever unless hub policy assigns it to another channel"
                findings.append(Finding("no-builder", WARNING, message, solution))
            else:
                findings.append(Finding("no-builder", ERROR, message, "contact the site's release engineers"))
        elif seconds := _silent_seconds(hosts, arch):
            duration = format_duration(seconds // 60 * 60)
            message = f"no builder for {arch} in channel {CHANNEL} has checked in with the hub for {duration}"
            solution = "the build will wait for one; contact the site's release engineers"
            findings.append(Finding("builder-silent", WARNING, message, solution))
    return arches, findings


def _silent_seconds(hosts: Sequence[HostInfo], arch: str) -> float:
    """Return the seconds since the last check-in of a host of an architecture; 0 if it is recent, or there was none."""
    seconds = seconds_since_check_in(hosts_of_arch(hosts, arch), time.time()) or 0.0
    return seconds if seconds >= CHECK_IN_TIMEOUT else 0.0


def _arches_of(hosts: Sequence[HostInfo]) -> set[str]:
    """Return the architectures of hosts, unnormalized, since the hub compares them literally."""
    return {arch for host in hosts for arch in (host["arches"] or "").split()}
