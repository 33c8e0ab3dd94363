# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration of the cluster: sections ``[kubernetes]`` and ``[kubernetes ARCH]`` of the builder's site file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.cluster.config_keys import ARCH_KEYS, KEYS, LOCAL, OPENSHIFT_BUILD, PRIVILEGED, SECTION, Volume
from fedpkg_container.settings import Settings, defaults

_DEFAULTS = defaults(KEYS, SECTION)
#: Settings of a pod for which the custom strategy of OpenShift's Builds has no field.
_NOT_IN_BUILDS = ("tolerations", "priority_class", "storage_class", "topdir", "base_images")


@dataclass(frozen=True)
class Timeouts:
    """How long a build waits for each step of the cluster, seconds.

    :param schedule: for a node
    :param quota: for the namespace's quota
    :param image: for the image of the pod
    :param admission: until an object that admission refuses is accepted
    :param start: for volumes and the start of the container
    :param api: for an API server that cannot be reached
    """

    schedule: int = _DEFAULTS["schedule_timeout"]
    quota: int = _DEFAULTS["quota_timeout"]
    image: int = _DEFAULTS["image_timeout"]
    admission: int = _DEFAULTS["admission_timeout"]
    start: int = _DEFAULTS["start_timeout"]
    api: int = _DEFAULTS["api_timeout"]


@dataclass(frozen=True)
class Resources:
    """Resources of a pod, as requests and limits, in Kubernetes' notation.

    :param storage: of builds and base images
    """

    cpu: str = _DEFAULTS["cpu"]
    memory: str = _DEFAULTS["memory"]
    storage: str = _DEFAULTS["storage"]


@dataclass(frozen=True)
class Placement:
    """Where pods of one architecture run, and with what.

    :param node_selector: labels of nodes, besides ``kubernetes.io/arch``
    :param tolerations: as in the pod
    """

    image: str
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True)
class ClusterConfig:
    """The cluster of a site.

    :param kind: ``KUBERNETES`` or ``OPENSHIFT_BUILD``
    :param kubeconfig: None: the builder itself runs in the cluster
    :param placements: architecture → placement; empty key for all others
    :param arches: architectures that are built in the cluster; empty for all
    :param channels: Koji channels whose builds run in the cluster; empty for all
    :param storage_class: of a generic ephemeral volume for builds; empty for an emptyDir
    :param policed: whether NetworkPolicies enforce what network ``isolated`` may reach
    :param certificates: files for the registry that pods get: authorities and, if needed, a client certificate
    :param auth_file: the registry's credentials that pods get
    :param topdir: volume with Koji's topdir
    :param base_images: volume with blobs of base images
    :param task_token: whether a pod gets a token for its task instead of credentials
    """

    kind: str
    namespace: str
    placements: Mapping[str, Placement]
    kubeconfig: Path | None = None
    context: str = ""
    arches: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    pull_policy: str = _DEFAULTS["pull_policy"]
    pull_secrets: tuple[str, ...] = ()
    service_account: str = _DEFAULTS["service_account"]
    priority_class: str = ""
    profile: str = _DEFAULTS["profile"]
    seccomp: str = _DEFAULTS["seccomp"]
    apparmor: str = _DEFAULTS["apparmor"]
    storage_class: str = ""
    topdir: Volume | None = None
    base_images: Volume | None = None
    policed: bool = _DEFAULTS["isolated"]
    certificates: Path | None = None
    auth_file: Path | None = None
    task_token: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)

    def builds(self, arch: str, channel: str) -> bool:
        """Return whether builds of an architecture and channel run in the cluster."""
        return (not self.arches or arch in self.arches) and (not self.channels or channel in self.channels)

    def placement(self, arch: str) -> Placement:
        """Return the placement of an architecture."""
        return self.placements.get(arch) or self.placements[""]


def read_cluster_config(settings: Settings) -> ClusterConfig | None:
    """Return the settings of the cluster; None if builds run on the builder. Problems are recorded in ``settings``."""
    kind = settings["engine"]["kind"]
    if kind == LOCAL:
        return None
    values = dict(settings[SECTION])
    names = [name.removesuffix("_timeout") for name in values if name.endswith("_timeout")]
    timeouts = Timeouts(**{name: values.pop(f"{name}_timeout") for name in names})
    common = {key.name: values.pop(key.name) for key in ARCH_KEYS}
    placements = {"": _placement(common, {})}
    for arch in settings.names(SECTION):
        placements[arch] = _placement(common, settings[f"{SECTION} {arch}"])
    if not all(placement.image for placement in placements.values()):
        settings.add_problem(SECTION, "image", "is missing: the image of packaging/pod/Containerfile")
    _check_combinations(settings, kind, [name for name, value in [*common.items(), *values.items()] if value])
    policed = values.pop("isolated")
    return ClusterConfig(kind=kind, placements=placements, policed=policed, timeouts=timeouts, **values)


def _check_combinations(settings: Settings, kind: str, names: Collection[str]) -> None:
    """Record settings that have no effect with others.

    :param names: settings with a value
    """
    section = settings[SECTION]
    for name in (name for name in _NOT_IN_BUILDS if kind == OPENSHIFT_BUILD and name in names):
        settings.add_problem(SECTION, name, f"cannot be used with kind = {OPENSHIFT_BUILD}: not supported by Builds")
    if kind == OPENSHIFT_BUILD and len(section["pull_secrets"]) > 1:
        settings.add_problem(SECTION, "pull_secrets", f"lists more than one, but kind = {OPENSHIFT_BUILD} allows one")
    for name in ("topdir", "base_images"):
        if section[name] and section[name].server and section["profile"] != PRIVILEGED:
            settings.add_problem(SECTION, name, f"= nfs requires profile = {PRIVILEGED}: NFS supports no mapped IDs")


def _placement(common: Mapping[str, Any], own: Mapping[str, Any]) -> Placement:
    """Return the placement of an architecture.

    :param common: settings of all architectures
    :param own: its own settings; those that are empty or None are not set
    """
    values = {**common, **{name: value for name, value in own.items() if value}}
    resources = Resources(*(values.pop(name) for name in ("cpu", "memory", "storage")))
    return Placement(resources=resources, **values)
