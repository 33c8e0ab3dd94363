"""What only the hub knows and a build would fail on: asked in two requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import koji

from fedpkg_container.hub.reservation import REUSABLE
from fedpkg_container.model.finding import ERROR, WARNING, Finding
from fedpkg_container.model.request import BuildRequest

#: The channel of container builds, on our hubs and upstream's.
CHANNEL = "container-binary"


@dataclass(frozen=True)
class Preflight:
    """What the hub knows beforehand.

    :param average: seconds that earlier builds of the package took; None when there are none
    :param newest: id of the newest task of container builds
    """

    findings: list[Finding]
    average: float | None = None
    newest: int = 0


def preflight(session: Any, request: BuildRequest, labels: Mapping[str, str]) -> Preflight:
    """Ask the hub about a request.

    :param labels: of the Dockerfile
    """
    target = session.getBuildTarget(request.target)
    if target is None:
        solution = "choose one with --target; koji list-targets lists them"
        return Preflight([Finding("target", ERROR, f"there is no build target {request.target}", solution)])
    component = labels.get("com.redhat.component") or labels.get("BZComponent") or ""
    nvr = _nvr(request, labels, component)
    with session.multicall() as multicall:
        tag = multicall.getTag(target["dest_tag"])
        package = multicall.getPackageConfig(target["dest_tag"], component)
        build = multicall.getBuild(nvr) if nvr else None
        config = multicall.getBuildConfig(target["build_tag"])
        hosts = multicall.listHosts(channelID=CHANNEL, enabled=True)
        average = multicall.getAverageBuildDuration(component)
        tasks = multicall.listTasks({"method": "buildContainer"}, {"order": "-id", "limit": 1})
    findings = list(_arches(request, config.result, hosts.result))
    if not request.scratch:
        findings += _destination(tag.result, package.result, component, target["dest_tag_name"])
        findings += _existing(build.result if build else None)
    return Preflight(findings, average.result, tasks.result[0]["id"] if tasks.result else 0)


def _nvr(request: BuildRequest, labels: Mapping[str, str], component: str) -> str:
    """The NVR, when the release is known already."""
    version = labels.get("version") or labels.get("Version")
    release = request.options.get("release") or labels.get("release") or labels.get("Release")
    return f"{component}-{version}-{release}" if component and version and release else ""


def _destination(tag: Any, package: Any, component: str, name: str) -> Iterator[Finding]:
    if tag is None:
        yield Finding("dest-tag", ERROR, f"destination tag {name} does not exist", "ask a release engineer")
        return
    if tag["locked"]:
        yield Finding(
            "tag-locked", ERROR, f"destination tag {name} is locked", "only scratch builds are possible now: --scratch"
        )
    if package is None or package["blocked"]:
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


def _arches(request: BuildRequest, config: Mapping[str, Any], hosts: list[Mapping[str, Any]]) -> Iterator[Finding]:
    built = [koji.canonArch(arch) for arch in (config["arches"] or "").split()]
    if not built:
        yield Finding("tag-arches", ERROR, f"build tag {config['name']} has no arches", "ask a release engineer")
    asked = [koji.canonArch(arch) for arch in str(request.options.get("arch_override") or "").split()]
    unknown = [arch for arch in asked if arch not in built]
    if unknown and built:
        yield Finding(
            "arches",
            ERROR,
            f"{' '.join(unknown)} is not built in {config['name']} ({' '.join(built)})",
            "choose others with --arches",
        )
    have = {koji.canonArch(arch) for host in hosts for arch in host["arches"].split()}
    for arch in asked or built:
        if arch in built and arch not in have:
            yield Finding(
                "no-builder",
                ERROR,
                f"no enabled builder of channel {CHANNEL} is of arch {arch}",
                "ask a release engineer",
            )
