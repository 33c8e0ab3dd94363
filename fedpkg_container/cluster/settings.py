"""The section ``[kubernetes]`` of the builder's site file, and ``[kubernetes ARCH]`` for single architectures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedpkg_container.settings import Settings

SECTION = "kubernetes"
#: Values of ``[engine] kind``: builds on the builder, in a Job, or in a Build of OpenShift.
LOCAL, KUBERNETES, OPENSHIFT_BUILD = "local", "kubernetes", "openshift-build"
KINDS = (LOCAL, KUBERNETES, OPENSHIFT_BUILD)
#: Settings that ``[kubernetes ARCH]`` overrides.
ARCH_OPTIONS = frozenset({"node_selector", "tolerations", "cpu", "memory", "storage", "image"})
OPTIONS = ARCH_OPTIONS | {
    "kubeconfig", "context", "namespace", "arches", "channels", "pull_policy", "pull_secrets", "service_account",
    "priority_class", "profile", "seccomp", "apparmor", "storage_class", "topdir", "isolated", "certificates",
    "auth_file", "schedule_timeout", "quota_timeout", "image_timeout", "admission_timeout", "start_timeout",
    "api_timeout",
}  # fmt: skip
#: Security of the pod: a user namespace with two capabilities in it, or a privileged container.
USER_NAMESPACE, PRIVILEGED = "user-namespace", "privileged"
PULL_POLICIES = ("IfNotPresent", "Always", "Never")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_PROFILE = re.compile(r"Unconfined|RuntimeDefault|Localhost/[A-Za-z0-9._/-]+")


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

    schedule: int = 3600
    quota: int = 3600
    image: int = 600
    admission: int = 60
    start: int = 300
    api: int = 900


@dataclass(frozen=True)
class Resources:
    """Resources of a pod, as requests and limits, in Kubernetes' notation.

    :param storage: of builds and base images
    """

    cpu: str = "2"
    memory: str = "4Gi"
    storage: str = "40Gi"


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
class Topdir:
    """How pods read Koji's topdir: as a volume, or not at all.

    :param claim: PersistentVolumeClaim in the namespace
    :param server: NFS server, with ``path``
    """

    claim: str = ""
    server: str = ""
    path: str = ""


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
    """

    kind: str
    namespace: str
    placements: Mapping[str, Placement]
    kubeconfig: Path | None = None
    context: str = ""
    arches: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    pull_policy: str = PULL_POLICIES[0]
    pull_secrets: tuple[str, ...] = ()
    service_account: str = "fedpkg-container-build"
    priority_class: str = ""
    profile: str = USER_NAMESPACE
    seccomp: str = "Unconfined"
    apparmor: str = "Unconfined"
    storage_class: str = ""
    topdir: Topdir | None = None
    policed: bool = False
    certificates: Path | None = None
    auth_file: Path | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)

    def builds(self, arch: str, channel: str) -> bool:
        """Return whether builds of an architecture and channel run in the cluster."""
        return (not self.arches or arch in self.arches) and (not self.channels or channel in self.channels)

    def placement(self, arch: str) -> Placement:
        """Return the placement of an architecture."""
        return self.placements.get(arch) or self.placements[""]


def read_cluster_config(settings: Settings) -> ClusterConfig | None:
    """Read the settings of the cluster; None if builds run on the builder. Problems are recorded in ``settings``."""
    kind = settings.choice("engine", "kind", KINDS)
    if kind == LOCAL:
        return None
    default, seccomp, apparmor = Timeouts(), *(_profile(settings, name) for name in ("seccomp", "apparmor"))
    common = _placement(settings, SECTION, Placement(""))
    arches = settings.section_names(SECTION)
    placements = {"": common, **{arch: _placement(settings, f"{SECTION} {arch}", common) for arch in arches}}
    if not all(placement.image for placement in placements.values()):
        settings.add_problem(SECTION, "image", "is missing: the image of packaging/pod/Containerfile")
    return ClusterConfig(
        kind=kind,
        namespace=_name(settings, "namespace", "fedpkg-container"),
        placements=placements,
        kubeconfig=settings.path(SECTION, "kubeconfig"),
        context=settings.text(SECTION, "context"),
        arches=settings.words(SECTION, "arches"),
        channels=settings.words(SECTION, "channels"),
        pull_policy=settings.choice(SECTION, "pull_policy", PULL_POLICIES),
        pull_secrets=settings.words(SECTION, "pull_secrets"),
        service_account=_name(settings, "service_account", ClusterConfig.service_account),
        priority_class=_name(settings, "priority_class", ""),
        profile=settings.choice(SECTION, "profile", (USER_NAMESPACE, PRIVILEGED)),
        seccomp=seccomp,
        apparmor=apparmor,
        storage_class=_name(settings, "storage_class", ""),
        topdir=_topdir(settings),
        policed=settings.choice(SECTION, "isolated", ("refuse", "policy")) == "policy",
        certificates=settings.path(SECTION, "certificates"),
        auth_file=settings.path(SECTION, "auth_file"),
        timeouts=Timeouts(
            **{
                name: settings.number(SECTION, f"{name}_timeout", getattr(default, name), unit="seconds")
                for name in ("schedule", "quota", "image", "admission", "start", "api")
            }
        ),
    )


def _placement(settings: Settings, section: str, common: Placement) -> Placement:
    default = common.resources
    return Placement(
        image=settings.text(section, "image") or common.image,
        node_selector=_labels(settings, section) or common.node_selector,
        tolerations=_tolerations(settings, section) or common.tolerations,
        resources=Resources(
            *(_quantity(settings, section, name, getattr(default, name)) for name in ("cpu", "memory", "storage"))
        ),
    )


def _name(settings: Settings, option: str, default: str) -> str:
    value = settings.text(SECTION, option) or default
    if value and not _NAME.fullmatch(value):
        settings.add_problem(SECTION, option, f"= {value}: not a valid name (RFC 1123 label)")
    return value


def _quantity(settings: Settings, section: str, option: str, default: str) -> str:
    value = settings.text(section, option) or default
    if not _QUANTITY.fullmatch(value):
        settings.add_problem(section, option, f"= {value}: must be a quantity, e.g. 500m, 4Gi or 40G")
        return default
    return value


def _profile(settings: Settings, option: str) -> str:
    value = settings.text(SECTION, option) or "Unconfined"
    if not _PROFILE.fullmatch(value):
        settings.add_problem(SECTION, option, f"= {value}: must be Unconfined, RuntimeDefault or Localhost/PROFILE")
    return value


def _labels(settings: Settings, section: str) -> dict[str, str]:
    found = {}
    for word in settings.words(section, "node_selector"):
        name, _, value = word.partition("=")
        if not _LABEL.fullmatch(name) or (value and not _LABEL.fullmatch(value)):
            settings.add_problem(section, "node_selector", f"= {word}: must be labels, e.g. disk=ssd")
        found[name] = value
    return found


def _tolerations(settings: Settings, section: str) -> tuple[Mapping[str, str], ...]:
    found: list[Mapping[str, str]] = []
    for word in settings.words(section, "tolerations"):
        taint, _, effect = word.rpartition(":")
        key, equals, value = taint.partition("=")
        if effect not in _EFFECTS or not _LABEL.fullmatch(key):
            settings.add_problem(
                section, "tolerations", f"= {word}: must be KEY:EFFECT or KEY=VALUE:EFFECT ({', '.join(_EFFECTS)})"
            )
        operator = {"operator": "Equal", "value": value} if equals else {"operator": "Exists"}
        found.append({"key": key, "effect": effect, **operator})
    return tuple(found)


def _topdir(settings: Settings) -> Topdir | None:
    value = settings.text(SECTION, "topdir")
    kind, _, rest = value.partition(":")
    server, _, path = rest.partition(":")
    if kind == "claim" and _NAME.fullmatch(rest):
        return Topdir(claim=rest)
    if kind == "nfs" and server and path.startswith("/"):
        return Topdir(server=server, path=path)
    if value:
        settings.add_problem(SECTION, "topdir", f"= {value}: must be claim:NAME or nfs:SERVER:/PATH")
    return None
