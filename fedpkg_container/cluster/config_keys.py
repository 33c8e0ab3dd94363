# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of the sections ``[kubernetes]`` and ``[kubernetes ARCH]`` of ``builder_containerbuild.conf``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fedpkg_container.settings import NAME, InvalidWordsError, Key, choice, existing_path, flag, number, optional, words

SECTION = "kubernetes"
#: Values of ``[engine] kind``: builds on the builder, in a Job, or in a Build of OpenShift.
LOCAL, KUBERNETES, OPENSHIFT_BUILD = "local", "kubernetes", "openshift-build"
KINDS = (LOCAL, KUBERNETES, OPENSHIFT_BUILD)
#: Security of the pod: a user namespace with a few capabilities in it, or a privileged container.
USER_NAMESPACE, PRIVILEGED = "user-namespace", "privileged"
PULL_POLICIES = ("IfNotPresent", "Always", "Never")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_PROFILE = re.compile(r"Unconfined|RuntimeDefault|Localhost/[A-Za-z0-9._/-]+")


@dataclass(frozen=True)
class Volume:
    """A volume that pods only read.

    :param claim: PersistentVolumeClaim in the namespace
    :param server: NFS server, with ``path``
    """

    claim: str = ""
    server: str = ""
    path: str = ""


def _matching(pattern: re.Pattern[str], allowed: str) -> Callable[[str], str]:
    """Return the type of a text that matches a pattern, or is empty.

    :param allowed: which texts match, for error messages
    """

    def parse(text: str) -> str:
        if text and not pattern.fullmatch(text):
            raise ValueError(f"must be {allowed}")
        return text

    return parse


def _label_problem(word: str) -> str:
    name, _, value = word.partition("=")
    is_valid = _LABEL.fullmatch(name) and (not value or _LABEL.fullmatch(value))
    return "" if is_valid else "must be labels, e.g. disk=ssd"


def _labels(text: str) -> Mapping[str, str]:
    """Return labels of nodes."""
    pairs = (word.partition("=") for word in words(_label_problem)(text))
    return {name: value for name, _, value in pairs}


def _tolerations(text: str) -> tuple[Mapping[str, str], ...]:
    """Return tolerations, as in a pod."""
    tolerations: list[Mapping[str, str]] = []
    problems = []
    for word in text.split():
        taint, _, effect = word.rpartition(":")
        key, equals, value = taint.partition("=")
        if effect not in _EFFECTS or not _LABEL.fullmatch(key):
            problems.append((word, f"must be KEY:EFFECT or KEY=VALUE:EFFECT ({', '.join(_EFFECTS)})"))
        operator = {"operator": "Equal", "value": value} if equals else {"operator": "Exists"}
        tolerations.append({"key": key, "effect": effect, **operator})
    if problems:
        raise InvalidWordsError(problems)
    return tuple(tolerations)


def _volume(text: str) -> Volume | None:
    """Return a volume; None for an empty text."""
    kind, _, rest = text.partition(":")
    server, _, path = rest.partition(":")
    if kind == "claim" and _NAME.fullmatch(rest):
        return Volume(claim=rest)
    if kind == "nfs" and server and path.startswith("/"):
        return Volume(server=server, path=path)
    if text:
        raise ValueError("must be claim:NAME or nfs:SERVER:/PATH")
    return None


_name = _matching(_NAME, "a valid name (RFC 1123 label)")
_quantity = _matching(_QUANTITY, "a quantity, e.g. 500m, 4Gi or 40G")
_profile = _matching(_PROFILE, "Unconfined, RuntimeDefault or Localhost/PROFILE")

#: Settings that ``[kubernetes ARCH]`` overrides.
_PLACEMENT_KEYS = (
    Key(SECTION, "image", str, "image of the pods, by digest", default_text="required"),
    Key(SECTION, "cpu", _quantity, "CPUs of a pod, as request and limit", "2"),
    Key(SECTION, "memory", _quantity, "memory of a pod, as request and limit", "4Gi"),
    Key(
        SECTION, "storage", _quantity, "disk space of a pod for builds and base images, as request and limit", "40Gi"
    ),
    Key(
        SECTION, "node_selector", _labels,
        "labels of the nodes that run pods, a list: `KEY=VALUE`; `kubernetes.io/arch` is always set",
        default_text="none",
    ),
    Key(
        SECTION, "tolerations", _tolerations, "taints of nodes that pods tolerate, a list: `KEY[=VALUE]:EFFECT`",
        default_text="none",
    ),
)  # fmt: skip
ARCH_KEYS = tuple(
    replace(
        key, section=SECTION + NAME, parse=optional(key.parse), default="", default_text=f"that of `[{SECTION}]`",
        text="the same for pods of the architecture NAME",
    )
    for key in _PLACEMENT_KEYS
)  # fmt: skip
KEYS = (
    Key(
        SECTION, "kubeconfig", existing_path, "credentials of the account `fedpkg-container-builder`",
        default_text="those of the builder's own pod",
    ),
    Key(SECTION, "context", str, "context of `kubeconfig`", default_text="its current context"),
    Key(SECTION, "namespace", _name, "namespace of the builds", "fedpkg-container"),
    Key(
        SECTION, "arches", words(),
        "architectures that are built in the cluster, a list; all others are built on the builder", default_text="all",
    ),
    Key(
        SECTION, "channels", words(),
        "Koji channels whose builds run in the cluster, a list; all others run on the builder", default_text="all",
    ),
    *_PLACEMENT_KEYS,
    Key(
        SECTION, "pull_policy", choice(*PULL_POLICIES),
        f"when nodes pull the image: `{'`, `'.join(PULL_POLICIES)}`", PULL_POLICIES[0],
    ),
    Key(
        SECTION, "pull_secrets", words(), "Secrets in the namespace with which nodes pull the image, a list",
        default_text="none",
    ),
    Key(
        SECTION, "profile", choice(USER_NAMESPACE, PRIVILEGED),
        f"`{USER_NAMESPACE}`, or `{PRIVILEGED}`: a privileged container, for clusters without user namespaces",
        USER_NAMESPACE,
    ),
    Key(
        SECTION, "seccomp", _profile,
        "seccomp profile of the pod: `Unconfined`, `RuntimeDefault` or `Localhost/PROFILE`. The default profiles "
        "forbid mounts, which the sandbox of a build needs",
        "Unconfined",
    ),
    Key(SECTION, "apparmor", _profile, "AppArmor profile of the pod, in the same form", "Unconfined"),
    Key(
        SECTION, "service_account", _name, "account of the pods, which has no rights", "fedpkg-container-build"
    ),
    Key(SECTION, "priority_class", _name, "priority class of the pods", default_text="none"),
    Key(
        SECTION, "storage_class", _name, "storage class of a volume for builds", default_text="an emptyDir"
    ),
    Key(
        SECTION, "topdir", _volume,
        "Koji's topdir for pods: `claim:NAME`, a PersistentVolumeClaim, or `nfs:SERVER:/PATH` (only with `profile = "
        "privileged`). Without it, pods read repositories by kojid's `topurl`, and builds with the network `none` get "
        "the network `isolated`",
        default_text="none",
    ),
    Key(
        SECTION, "base_images", _volume,
        "volume with blobs of base images, in the format of `topdir`; pods mount it read-only, as their "
        "`[registry] blob_cache`",
        default_text="none",
    ),
    Key(
        SECTION, "isolated", flag("policy", "refuse"),
        "`policy`: NetworkPolicies restrict pods, so the network `isolated` may be that of the pod if the pod has no "
        "`/dev/net/tun`; `refuse`: such a build fails",
        "refuse",
    ),
    Key(
        SECTION, "certificates", existing_path,
        "directory with certificates for the registry that pods get, in addition to the CA certificates of "
        "`[registry]`. A client certificate needs to push to `staging/*` only; the builder's own is never sent",
        default_text="none",
    ),
    Key(
        SECTION, "auth_file", existing_path,
        "credentials for the registry that pods get; they need to push to `staging/*` only. The builder's own are "
        "never sent",
        default_text="none",
    ),
    Key(
        SECTION, "task_token", flag(),
        "`yes`: instead of credentials, a pod gets a token from the registry's token server, with which it can push to "
        "`staging/task-N` of its task, and read the base images of its build in the candidate registry. The builder "
        "requests the token with `auth_file`, or else with its own credentials. Tokens must be valid for as long as a "
        "pod may run",
        "no",
    ),
    Key(SECTION, "schedule_timeout", number("seconds"), "seconds to wait for a node", "3600"),
    Key(SECTION, "quota_timeout", number("seconds"), "seconds to wait for the namespace's quota", "3600"),
    Key(SECTION, "image_timeout", number("seconds"), "seconds to wait for the image of the pod", "600"),
    Key(
        SECTION, "admission_timeout", number("seconds"),
        "seconds after which a pod that admission refuses fails the build", "60",
    ),
    Key(SECTION, "start_timeout", number("seconds"), "seconds for volumes and the start of the container", "300"),
    Key(SECTION, "api_timeout", number("seconds"), "seconds to wait for an API server that cannot be reached", "900"),
    *ARCH_KEYS,
)  # fmt: skip
