# SPDX-License-Identifier: GPL-2.0-or-later
"""The section ``[kubernetes]`` of the builder's site file, and ``[kubernetes ARCH]`` for single architectures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedpkg_container.settings import Key, Settings, choice, existing_path, flag, number, words

SECTION = "kubernetes"
#: Values of ``[engine] kind``: builds on the builder, in a Job, or in a Build of OpenShift.
LOCAL, KUBERNETES, OPENSHIFT_BUILD = "local", "kubernetes", "openshift-build"
#: Security of the pod: a user namespace with two capabilities in it, or a privileged container.
USER_NAMESPACE, PRIVILEGED = "user-namespace", "privileged"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_QUANTITY = r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?"
_LABEL = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    """Return the type of a text; it may be empty.

    :param what: what is allowed
    """

    def parse(text: str) -> str:
        if text and not re.fullmatch(pattern, text):
            raise ValueError(what)
        return text

    return parse


_name = _matching(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "not a valid name (RFC 1123 label)")
_quantity = _matching(_QUANTITY, "must be a quantity, e.g. 500m, 4Gi or 40G")
_profile = _matching(
    r"Unconfined|RuntimeDefault|Localhost/[A-Za-z0-9._/-]+", "must be Unconfined, RuntimeDefault or Localhost/PROFILE"
)


def _label_problem(word: str) -> str:
    name, _, value = word.partition("=")
    is_valid = _LABEL.fullmatch(name) and (not value or _LABEL.fullmatch(value))
    return "" if is_valid else "must be labels, e.g. disk=ssd"


def _labels(text: str) -> dict[str, str]:
    """Return labels of nodes."""
    return {name: value for name, _, value in (word.partition("=") for word in words(_label_problem)(text))}


def _toleration_problem(word: str) -> str:
    taint, _, effect = word.rpartition(":")
    is_valid = effect in _EFFECTS and _LABEL.fullmatch(taint.partition("=")[0])
    return "" if is_valid else f"must be KEY:EFFECT or KEY=VALUE:EFFECT ({', '.join(_EFFECTS)})"


def _tolerations(text: str) -> tuple[Mapping[str, str], ...]:
    """Return tolerations, as in a pod."""
    found: list[Mapping[str, str]] = []
    for word in words(_toleration_problem)(text):
        taint, _, effect = word.rpartition(":")
        key, equals, value = taint.partition("=")
        operator = {"operator": "Equal", "value": value} if equals else {"operator": "Exists"}
        found.append({"key": key, "effect": effect, **operator})
    return tuple(found)


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
    pull_policy: str = "IfNotPresent"
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


def _topdir(text: str) -> Topdir | None:
    """Return how pods read Koji's topdir."""
    kind, _, rest = text.partition(":")
    server, _, path = rest.partition(":")
    if kind == "claim" and rest:
        return Topdir(claim=_name(rest))
    if kind == "nfs" and server and path.startswith("/"):
        return Topdir(server=server, path=path)
    if text:
        raise ValueError("must be claim:NAME or nfs:SERVER:/PATH")
    return None


#: Settings that ``[kubernetes ARCH]`` overrides: name, type, meaning, default.
_PLACEMENT: tuple[tuple[str, Callable[[str], Any], str, str], ...] = (
    ("image", str, "image of the pods, by digest", ""),
    ("cpu", _quantity, "processors of a pod, as request and limit", "2"),
    ("memory", _quantity, "memory of a pod, as request and limit", "4Gi"),
    ("storage", _quantity, "space of a pod for builds and base images", "40Gi"),
    ("node_selector", _labels, "labels of nodes, a list: `KEY=VALUE`; `kubernetes.io/arch` is always set", ""),
    ("tolerations", _tolerations, "tolerations, a list: `KEY:EFFECT` or `KEY=VALUE:EFFECT`", ""),
)
_TIMEOUTS = {
    "schedule": ("a node", 3600),
    "quota": ("the namespace's quota", 3600),
    "image": ("the image of the pod", 600),
    "admission": ("the acceptance of a pod that admission refuses", 60),
    "start": ("volumes and the start of the container", 300),
    "api": ("an API server that cannot be reached", 900),
}
#: Where builds run, and the settings of builds in a cluster.
KIND_KEY = Key(
    "engine",
    "kind",
    choice(LOCAL, KUBERNETES, OPENSHIFT_BUILD),
    "where architectures are built: `local`, on the builder; `kubernetes`, in a Job; `openshift-build`, in a Build "
    "of OpenShift with the custom strategy. See [cluster.md](cluster.md)",
    LOCAL,
)
KEYS = (
    Key(
        SECTION, "kubeconfig", existing_path, "credentials of the account `fedpkg-container-builder`",
        default_text="those of the builder's own pod",
    ),
    Key(SECTION, "context", str, "context of the kubeconfig", default_text="the current one"),
    Key(SECTION, "namespace", _name, "namespace of the builds", "fedpkg-container"),
    *(Key(SECTION, name, parse, text, default) for name, parse, text, default in _PLACEMENT),
    Key(
        SECTION, "pull_policy", choice("IfNotPresent", "Always", "Never"), "when nodes pull the image", "IfNotPresent"
    ),
    Key(SECTION, "pull_secrets", words(), "Secrets with which nodes pull the image, a list"),
    Key(SECTION, "arches", words(), "architectures that are built in the cluster, a list", default_text="all"),
    Key(SECTION, "channels", words(), "Koji channels whose builds run in the cluster, a list", default_text="all"),
    Key(
        SECTION, "profile", choice(USER_NAMESPACE, PRIVILEGED),
        "`user-namespace`; `privileged`: a privileged container, for clusters without user namespaces", USER_NAMESPACE,
    ),
    *(
        Key(
            SECTION, name, _profile,
            f"{title} profile of the pod: `Unconfined`, `RuntimeDefault` or `Localhost/PROFILE`. The default profiles "
            "of runtimes forbid mounts, which the sandbox of a build needs",
            "Unconfined",
        )
        for name, title in (("seccomp", "seccomp"), ("apparmor", "AppArmor"))
    ),
    Key(
        SECTION, "service_account", _name, "account of the pods, which has no rights", "fedpkg-container-build"
    ),
    Key(SECTION, "priority_class", _name, "priority class of the pods"),
    Key(SECTION, "storage_class", _name, "storage class of a volume for builds", default_text="an emptyDir"),
    Key(
        SECTION, "topdir", _topdir,
        "Koji's topdir in pods: `claim:NAME`, a PersistentVolumeClaim, or `nfs:SERVER:/PATH` (only with `profile = "
        "privileged`). Without it, pods read repositories by kojid's `topurl`, and builds with the network `none` get "
        "the network `isolated`",
        default_text="none",
    ),
    Key(
        SECTION, "isolated", flag("policy", "refuse"),
        "`policy`: NetworkPolicies restrict pods, so the network `isolated` may be that of the pod where it has no "
        "`/dev/net/tun`; `refuse`: such builds fail",
        "refuse",
    ),
    Key(
        SECTION, "certificates", existing_path,
        "directory with certificates for the registry that pods get, besides the registry's authorities",
        default_text="none",
    ),
    Key(
        SECTION, "auth_file", existing_path,
        "credentials for the registry that pods get; they need to push to `staging/*` only. The builder's own are "
        "never sent",
        default_text="none",
    ),
    *(
        Key(SECTION, f"{name}_timeout", number("seconds"), f"seconds to wait for {what}", str(seconds))
        for name, (what, seconds) in _TIMEOUTS.items()
    ),
    *(
        Key(f"{SECTION} NAME", name, parse, f"for one architecture: {text}", default_text="that of all")
        for name, parse, text, _ in _PLACEMENT
    ),
)  # fmt: skip
_DEFAULTS = {name: default for name, _, _, default in _PLACEMENT}


def read_cluster_config(settings: Settings) -> ClusterConfig | None:
    """Read the settings of the cluster; None if builds run on the builder. Problems are recorded in ``settings``."""
    kind = settings["engine"]["kind"]
    if kind == LOCAL:
        return None
    values = dict(settings[SECTION])
    common = {name: values.pop(name) for name in _DEFAULTS}
    arches = {arch: settings[f"{SECTION} {arch}"] for arch in settings.names(SECTION)}
    placements = {"": _placement(common)}
    for arch, own in arches.items():
        placements[arch] = _placement({name: own[name] or common[name] for name in common})
    if not all(placement.image for placement in placements.values()):
        settings.add_problem(SECTION, "image", "is missing: the image of packaging/pod/Containerfile")
    timeouts = Timeouts(**{name: values.pop(f"{name}_timeout") for name in _TIMEOUTS})
    return ClusterConfig(kind=kind, placements=placements, policed=values.pop("isolated"), timeouts=timeouts, **values)


def _placement(values: Mapping[str, Any]) -> Placement:
    return Placement(
        image=values["image"],
        node_selector=values["node_selector"],
        tolerations=values["tolerations"],
        resources=Resources(values["cpu"], values["memory"], values["storage"]),
    )
