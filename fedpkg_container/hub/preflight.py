"""What only the hub knows and a build would fail on, found out in two requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import koji

from fedpkg_container.errors import FedpkgContainerError, RefusedError
from fedpkg_container.hub.builds import usual
from fedpkg_container.hub.hosts import SILENCE, hosts_of_arch, silence
from fedpkg_container.hub.reservation import REUSABLE
from fedpkg_container.hub.session import anonymous, contact, profile_options
from fedpkg_container.hub.tasks import optional
from fedpkg_container.model.build import BuildRequest, Preflight, Target
from fedpkg_container.model.findings import ERROR, WARNING, Finding
from fedpkg_container.model.nvr import COMPONENT, label
from fedpkg_container.model.options import repo_url_problem
from fedpkg_container.model.platforms import EVERYWHERE, Platforms
from fedpkg_container.text import format_duration, printable_line, strip_credentials


def read_target(session: Any, name: str) -> Target:
    """What the hub knows of a target: two requests.

    :raises LostContactError: the hub did not answer
    :raises FedpkgContainerError: there is no such target, or the hub refuses
    """
    with contact(session.baseurl):
        target = session.getBuildTarget(name)
        if target is None:
            raise FedpkgContainerError(
                f"there is no build target {printable_line(name)}", solution="koji list-targets lists them"
            )
        config = session.getBuildConfig(target["build_tag"])
    arches = tuple(koji.canonArch(arch) for arch in (config["arches"] or "").split())
    return Target(name, target["build_tag_name"], target["dest_tag_name"], arches)


@dataclass(frozen=True)
class TagRepository:
    """The newest repository of a build tag.

    :param path: below Koji's topdir, without the arch
    :param topdir: of the koji profile: a folder that may be mounted here; empty when there is none
    :param url: of the same folder; empty when it is not served
    """

    tag: str
    path: str
    topdir: str
    url: str


def find_repository(profile: str, target_name: str) -> TagRepository:
    """The repository of a target's build tag, asked for without a login.

    :param profile: koji profile
    :raises RefusedError: there is no such target
    :raises FedpkgContainerError: its build tag has no repository, or the hub does not answer
    """
    options = profile_options(profile)
    session = anonymous(profile)
    with contact(session.baseurl):
        target = session.getBuildTarget(target_name)
        if target is None:
            raise RefusedError(f"there is no build target {target_name}", solution="koji list-targets lists them")
        repo = session.getRepo(target["build_tag"])
    tag = printable_line(str(target["build_tag_name"]))
    if "/" in tag or tag in (".", ".."):
        raise FedpkgContainerError(f"{tag} is no name of a tag")
    if not repo:
        raise FedpkgContainerError(f"build tag {tag} has no repository")
    url = str(options.get("topurl") or "")
    return TagRepository(tag, f"repos/{tag}/{int(repo['id'])}", str(options.get("topdir") or ""), url)


#: The channel of container builds, on our hubs and upstream's.
CHANNEL = "container-binary"


def preflight(
    session: Any, request: BuildRequest, labels: Mapping[str, str], platforms: Platforms = EVERYWHERE
) -> Preflight:
    """Ask the hub about a request.

    :param labels: of the Dockerfile
    :param platforms: of container.yaml
    """
    addresses = list(_repositories(request))
    target = session.getBuildTarget(request.target)
    if target is None:
        solution = "choose one with --target; koji list-targets lists them"
        message = f"there is no build target {request.target}"
        return Preflight([*addresses, Finding("target", ERROR, message, solution)])
    component, version = (printable_line(label(labels, name)) for name in (COMPONENT, "version"))
    release = printable_line(str(request.options.get("release") or label(labels, "release")))
    named = bool(component and version)
    with session.multicall(strict=False) as multicall:
        tag = multicall.getTag(target["dest_tag"])
        package = multicall.getPackageConfig(target["dest_tag"], component)
        build = multicall.getBuild(f"{component}-{version}-{release}") if named and release else None
        following = multicall.getNextRelease({"name": component, "version": version}) if named else None
        config = multicall.getBuildConfig(target["build_tag"])
        hosts = multicall.listHosts(channelID=CHANNEL, enabled=True)
        others = multicall.listHosts(enabled=True)
        average = multicall.getAverageBuildDuration(component)
        tasks = multicall.listTasks({"method": "buildContainer"}, {"order": "-id", "limit": 1})
    arches, arch_findings = _arches(request, config.result, platforms, optional(hosts) or [], optional(others) or [])
    findings = [*addresses, *arch_findings]
    if not request.scratch:
        findings += _destination(tag.result, package.result, component, target["dest_tag_name"])
        findings += _existing(build.result if build else None)
    release_is_next = named and not release and not request.scratch and following is not None
    if release_is_next and following is not None:
        release = optional(following) or ""
    return Preflight(
        findings,
        nvr=f"{component}-{version}-{release}" if named and release else "",
        release_is_next=release_is_next,
        arches=tuple(arches),
        average=usual(average.result),
        newest=tasks.result[0]["id"] if tasks.result else 0,
    )


def _repositories(request: BuildRequest) -> Iterator[Finding]:
    for address in request.options.get("yum_repourls") or ():
        try:
            parts = urlsplit(address)
            good = parts.scheme in ("http", "https", "ftp") and bool(parts.hostname) and not set(address) & set(" \t\n")
        except ValueError:
            good = False
        if not good:
            yield Finding(
                "repo-url",
                ERROR,
                f"{strip_credentials(address)!r} is no address of a .repo file",
                "write http(s)://HOST/PATH.repo",
            )
        elif problem := repo_url_problem(address):
            yield Finding(
                "repo-url",
                ERROR,
                f"{strip_credentials(address)} {problem}",
                "write http(s)://HOST/PATH.repo, and change the password if it was used with an earlier build",
            )


def _destination(tag: Any, package: Any, component: str, name: str) -> Iterator[Finding]:
    if tag is None:
        yield Finding("dest-tag", ERROR, f"destination tag {name} does not exist", "ask a release engineer")
        return
    if tag["locked"]:
        yield Finding(
            "tag-locked", ERROR, f"destination tag {name} is locked", "only scratch builds are possible now: --scratch"
        )
    if component and (package is None or package["blocked"]):
        state = "blocked" if package else "not listed"
        yield Finding(
            "package",
            ERROR,
            f"package {component} is {state} in {name}",
            f"check the label com.redhat.component; to list it: koji add-pkg --owner … {name} {component}",
        )


def _existing(build: Any) -> Iterator[Finding]:
    if build is None or build["state"] in REUSABLE:
        return
    if build["state"] == koji.BUILD_STATES["BUILDING"]:
        task = (build.get("extra") or {}).get("container_koji_task_id")
        by = f" by task {task}" if task else f" (build {build['id']})"
        # Not refused: a crash may have left it, and the builder, which can tell, takes it over then.
        yield Finding(
            "nvr-building",
            WARNING,
            f"{build['nvr']} is being built{by}",
            "when that task is alive, this build will fail",
        )
        return
    state = koji.BUILD_STATES[build["state"]].lower()
    yield Finding(
        "nvr-exists",
        ERROR,
        f"{build['nvr']} exists already (build {build['id']}, {state})",
        "choose another release, or none to get the next one",
    )


def _arches(
    request: BuildRequest,
    config: Mapping[str, Any],
    platforms: Platforms,
    hosts: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
) -> tuple[list[str], list[Finding]]:
    """The arches that would be built for, and what is wrong with them.

    :param hosts: of the channel of container builds
    :param others: of any channel: the hub's policy may choose one
    """
    findings: list[Finding] = []
    tagged = list(dict.fromkeys(koji.canonArch(arch) for arch in (config["arches"] or "").split()))
    if not tagged:
        message = f"build tag {config['name']} has no arches"
        findings.append(Finding("tag-arches", ERROR, message, "ask a release engineer"))
        return [], findings
    asked = [koji.canonArch(arch) for arch in str(request.options.get("arch_override") or "").split()]
    if unknown := [arch for arch in asked if arch not in tagged]:
        message = f"{' '.join(unknown)} is not built in {config['name']} ({' '.join(tagged)})"
        findings.append(Finding("arches", ERROR, message, "choose others with --arches"))
    wanted = [arch for arch in asked or tagged if arch in tagged]
    arches = platforms.choose(wanted)
    if wanted and not arches:
        message = f"platforms of container.yaml leave none of {' '.join(wanted)}"
        findings.append(Finding("arches", ERROR, message, "mend platforms.only or platforms.not", "container.yaml"))
    have, elsewhere = _arches_of(hosts), _arches_of(others)
    for arch in arches:
        if arch not in have:
            message = f"no enabled builder of channel {CHANNEL} is of arch {arch}"
            if arch in elsewhere:
                solution = "the build waits for ever, unless the hub's policy sends it to another channel"
                findings.append(Finding("no-builder", WARNING, message, solution))
            else:
                findings.append(Finding("no-builder", ERROR, message, "ask a release engineer"))
        elif seconds := _silence(hosts, arch):
            since = format_duration(seconds // 60 * 60)
            message = f"no builder of channel {CHANNEL} for {arch} has checked in with the hub for {since}"
            solution = "the build waits until one does; ask a release engineer"
            findings.append(Finding("builder-silent", WARNING, message, solution))
    return arches, findings


def _silence(hosts: Sequence[Mapping[str, Any]], arch: str) -> float:
    """Seconds since a host of an arch checked in, when that is long ago; 0 otherwise, and where none ever has."""
    seconds = silence(hosts_of_arch(hosts, arch), time.time()) or 0.0
    return seconds if seconds >= SILENCE else 0.0


def _arches_of(hosts: Sequence[Mapping[str, Any]]) -> set[str]:
    """The arches of builders, as they are written: so the hub compares them."""
    return {arch for host in hosts for arch in (host["arches"] or "").split()}
