# SPDX-License-Identifier: GPL-2.0-or-later
"""The objects that a site installs in its cluster: namespace, accounts, roles, network policies and limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fedpkg_container.cluster.manifests import BUILD, CAPABILITIES, MANAGED_BY, NETWORK, PROGRAM, ROOT_CAPABILITIES
from fedpkg_container.model.limits import BLOCKED_NETWORKS

#: Networks of RUN for which more than the services is reachable.
ISOLATED, HOST = "isolated", "host"
#: Account of the builders, and name of its role.
BUILDER = "fedpkg-container-builder"
SCC = "fedpkg-container-build"
#: What the engine needs, with the reason of each verb.
RULES: tuple[dict[str, Any], ...] = (
    # adopt and sweep: list; delete when a build has ended
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    # neither get nor list: the builder never reads a Secret
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete"]},
    # why a Job has no pod
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
)
#: In addition for ``task_token``: the token in a Secret is renewed. Secrets have the names of their builds, so that the
#: rule cannot name them.
TOKEN_RULES: tuple[dict[str, Any], ...] = ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"]},)
#: In addition for Builds of OpenShift with the custom strategy.
OPENSHIFT_RULES: tuple[dict[str, Any], ...] = (
    {"apiGroups": ["build.openshift.io"], "resources": ["builds"], "verbs": ["create", "get", "list", "delete"]},
    {"apiGroups": ["build.openshift.io"], "resources": ["builds/custom"], "verbs": ["create"]},
)
#: In addition for TaskRuns of Tekton.
TEKTON_RULES: tuple[dict[str, Any], ...] = (
    {"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["create", "get", "list", "delete"]},
)


@dataclass(frozen=True)
class SiteOptions:
    """What the objects depend on.

    :param account: service account of the pods
    :param services: networks of registry, dist-git, lookaside cache and repositories, e.g. ``192.0.2.7/32``
    :param denied: networks that builds with network ``isolated`` cannot reach, besides those always blocked
    :param pods: maximum number of pods at a time
    :param openshift: add what OpenShift needs
    :param builds: pods are those of Builds of OpenShift, which have none of our labels
    :param tekton: add the rights for TaskRuns
    :param task_token: add the right to renew tokens
    """

    namespace: str
    account: str
    services: Sequence[str] = ()
    denied: Sequence[str] = ()
    pods: int = 20
    openshift: bool = False
    builds: bool = False
    tekton: bool = False
    task_token: bool = False


def site_objects(options: SiteOptions) -> list[dict[str, Any]]:
    """Return all objects, in the order in which they must be created."""
    objects = [
        _namespace(options.namespace),
        _account(options, options.account),
        _account(options, BUILDER),
        _role(options),
        _binding(options),
        *_policies(options),
        _quota(options),
    ]
    return [*objects, *_security_context(options)] if options.openshift else objects


def _namespace(name: str) -> dict[str, Any]:
    """Return the namespace. Pods with SYS_ADMIN need the level privileged of Pod Security, also in a user namespace."""
    level = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**level, MANAGED_BY: PROGRAM}},
    }


def _metadata(options: SiteOptions, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": options.namespace, "labels": {MANAGED_BY: PROGRAM}}


def _account(options: SiteOptions, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(options, name),
        "automountServiceAccountToken": False,
    }


def _role(options: SiteOptions) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _metadata(options, BUILDER),
        "rules": [
            *RULES,
            *(TOKEN_RULES if options.task_token else ()),
            *(OPENSHIFT_RULES if options.openshift else ()),
            *(TEKTON_RULES if options.tekton else ()),
        ],
    }


def _binding(options: SiteOptions) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(options, BUILDER),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": BUILDER},
        "subjects": [{"kind": "ServiceAccount", "name": BUILDER, "namespace": options.namespace}],
    }


def _policies(options: SiteOptions) -> list[dict[str, Any]]:
    """Return the NetworkPolicies: nothing but name resolution and services; more for the networks that need it.

    The first two apply to all pods of the namespace. The pod of a Build has only the label with the Build's name
    (openshift-controller-manager, getPodLabels): all of them reach what network ``isolated`` reaches.
    """
    resolver = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    services = [{"to": [{"ipBlock": {"cidr": cidr}}]} for cidr in options.services]
    outside = {"cidr": "0.0.0.0/0", "except": [*dict.fromkeys([*BLOCKED_NETWORKS, *options.denied])]}
    outside_only = [{"to": [{"ipBlock": outside}]}]
    every_pod: dict[str, Any] = {}
    common = [
        _policy(options, "build-deny", every_pod, None),
        _policy(options, "build-services", every_pod, [{"ports": resolver}, *services]),
    ]
    if options.builds:
        pods_of_builds = {"matchExpressions": [{"key": BUILD.pod_label, "operator": "Exists"}]}
        return [*common, _policy(options, f"build-{ISOLATED}", pods_of_builds, outside_only)]
    return [
        *common,
        _policy(options, f"build-{ISOLATED}", _labeled(ISOLATED), outside_only),
        _policy(options, f"build-{HOST}", _labeled(HOST), [{}]),
    ]


def _labeled(network: str) -> dict[str, Any]:
    """Return a selector of the pods with a network of RUN."""
    return {"matchLabels": {MANAGED_BY: PROGRAM, NETWORK: network}}


def _policy(
    options: SiteOptions, name: str, pods: dict[str, Any], egress: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """Return a policy for build pods.

    :param pods: selector; empty for every pod of the namespace
    :param egress: what it allows; None: it denies all traffic that no other policy allows
    """
    spec: dict[str, Any] = {
        "podSelector": pods,
        "policyTypes": ["Ingress", "Egress"] if egress is None else ["Egress"],
    }
    if egress is not None:
        spec["egress"] = egress
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(options, name),
        "spec": spec,
    }


def _quota(options: SiteOptions) -> dict[str, Any]:
    hard = {"pods": str(options.pods), "secrets": str(4 * options.pods), "count/jobs.batch": str(4 * options.pods)}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": _metadata(options, "builds"),
        "spec": {"hard": hard},
    }


def _security_context(options: SiteOptions) -> list[dict[str, Any]]:
    """Return the SecurityContextConstraints for the profile ``user-namespace``, and its grant to the pods' account."""
    constraints = {
        "apiVersion": "security.openshift.io/v1",
        "kind": "SecurityContextConstraints",
        "metadata": {"name": SCC, "labels": {MANAGED_BY: PROGRAM}},
        "allowPrivilegedContainer": False,
        "allowPrivilegeEscalation": True,
        "allowHostDirVolumePlugin": False,
        "allowHostIPC": False,
        "allowHostNetwork": False,
        "allowHostPID": False,
        "allowHostPorts": False,
        "allowedCapabilities": [*ROOT_CAPABILITIES, *CAPABILITIES],
        "defaultAddCapabilities": [],
        "requiredDropCapabilities": [],
        "readOnlyRootFilesystem": False,
        "runAsUser": {"type": "RunAsAny"},
        "seLinuxContext": {"type": "MustRunAs"},
        "fsGroup": {"type": "RunAsAny"},
        "supplementalGroups": {"type": "RunAsAny"},
        "seccompProfiles": ["*"],
        "userNamespaceLevel": "RequirePodLevel",
        "volumes": ["emptyDir", "ephemeral", "persistentVolumeClaim", "secret"],
        "users": [f"system:serviceaccount:{options.namespace}:{options.account}"],
        "groups": [],
        "priority": None,
    }
    return [constraints]


def as_yaml(objects: Sequence[dict[str, Any]]) -> str:
    """Return objects as a stream of YAML documents, for ``kubectl apply --server-side``."""
    import io

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    output = io.StringIO()
    for each in objects:
        output.write("---\n")
        yaml.dump(each, output)
    return output.getvalue()
