# SPDX-License-Identifier: GPL-2.0-or-later
"""The objects of one build: a Job (or a Build of OpenShift) with one pod, and the Secret with its inputs."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fedpkg_container.cluster.config_keys import OPENSHIFT_BUILD, PRIVILEGED, Volume
from fedpkg_container.cluster.objects import text_at
from fedpkg_container.cluster.renewal import Issued, RenewedFile, encoded
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.model import pod as contract
from fedpkg_container.model.build import BuildSpec
from fedpkg_container.model.platforms import go_arch

#: Labels of all objects: the program, the hub (a hash of its URL), the task and the architecture.
MANAGED_BY, HUB, TASK, ARCH = (
    "app.kubernetes.io/managed-by",
    "fedpkg-container/hub",
    "fedpkg-container/task",
    "fedpkg-container/arch",
)
#: Label with the network of RUN, which NetworkPolicies select.
NETWORK = "fedpkg-container/network"
PROGRAM = "fedpkg-container"
#: Name of the container of a Job's pod, and of a Build's (OpenShift).
CONTAINER, BUILD_CONTAINER = "build", "custom-build"
#: Size limit of a Secret's content, bytes (Kubernetes: 1 MiB).
MAX_SECRET_SIZE = 1_000_000
#: Seconds that the cluster keeps a Job that has ended and that no task collected.
KEEP_ENDED = 3600
#: Seconds between SIGTERM and SIGKILL.
GRACE = 10
#: Seconds of a pod in addition to the build's time limit: the image's export, checks and push.
ALLOWANCE = 1800
#: Capabilities that root of the pod's user namespace needs: it makes the worker the owner of its files, maps the
#: worker's IDs, and ends the worker's processes.
ROOT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETPCAP", "SETUID")
#: And for the sandbox: bubblewrap mounts, and loopback is brought up.
CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN")


@dataclass(frozen=True)
class Kind:
    """How a kind of object is addressed.

    :param path: of its collection, with ``{namespace}``
    :param pod_label: label of its pods, with its name
    :param container: container of its pods
    """

    path: str
    pod_label: str
    container: str

    def collection(self, namespace: str) -> str:
        """Return the path of the collection in a namespace."""
        return self.path.format(namespace=namespace)


JOB = Kind("/apis/batch/v1/namespaces/{namespace}/jobs", "batch.kubernetes.io/job-name", CONTAINER)
BUILD = Kind("/apis/build.openshift.io/v1/namespaces/{namespace}/builds", "openshift.io/build.name", BUILD_CONTAINER)


def kind_of(config: ClusterConfig) -> Kind:
    """Return the kind of object that builds of a site are."""
    return BUILD if config.kind == OPENSHIFT_BUILD else JOB


@dataclass(frozen=True)
class PodBuild:
    """One build in a pod.

    :param task_id: the ``createContainer`` task
    :param hub: URL of the hub
    :param site: the pod's site file
    :param files: further input files: certificates and the registry's credentials
    :param renewed: an input file that expires; None if there is none
    :param timeout: seconds that the pod may run
    :param checks: the pod tests itself instead of building
    """

    task_id: int
    hub: str
    spec: BuildSpec
    site: str
    files: Mapping[str, bytes]
    timeout: int
    config: ClusterConfig
    checks: bool = False
    renewed: RenewedFile | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all objects of the build."""
        return {**hub_labels(self.hub), TASK: str(self.task_id), ARCH: self.spec.arch, NETWORK: self.spec.network}

    def name(self, attempt: int = 0) -> str:
        """Return the name of the build's objects.

        It is the same for a task that starts again, and differs for other hubs, specs and settings.

        :param attempt: number of pods that the cluster has taken away
        """
        described = json.dumps([self.hub, self.spec.pack(), self.site, str(self.config)], sort_keys=True)
        digest = hashlib.sha256(described.encode()).hexdigest()[:10]
        return f"{PROGRAM}-{self.task_id}-{self.spec.arch.replace('_', '-')}-{digest}-{attempt}"

    def object(self, attempt: int = 0) -> dict[str, Any]:
        """Return the Job or Build."""
        return self._build(attempt) if self.config.kind == OPENSHIFT_BUILD else self._job(attempt)

    def secret(self, attempt: int, owner: Mapping[str, Any], issued: Issued | None = None) -> dict[str, Any]:
        """Return the Secret with the inputs. Without a file that is renewed, kubelets need not watch it.

        :param owner: the object that it belongs to, as the server returned it
        :param issued: contents of the file that is renewed
        :raises ClusterError: if the server returned no object
        :raises BuildFailedError: if it is too large
        """
        spec = json.dumps(self.spec.pack(), separators=(",", ":")).encode()
        files = {
            **self.files,
            contract.SPEC_FILE: gzip.compress(spec, mtime=0),
            contract.SITE_FILE: self.site.encode(),
            **({self.renewed.name: issued.content} if self.renewed and issued else {}),
        }
        size = sum(map(len, files.values()))
        if size > MAX_SECRET_SIZE:
            raise BuildFailedError(
                f"the inputs of the pod have {size} bytes; the limit is {MAX_SECRET_SIZE}",
                solution="use fewer or shorter --repo-url files",
            )
        reference = {
            "apiVersion": text_at(owner, "apiVersion"),
            "kind": text_at(owner, "kind"),
            "name": text_at(owner, "metadata", "name"),
            "uid": text_at(owner, "metadata", "uid"),
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name(attempt), "labels": self.labels, "ownerReferences": [reference]},
            "type": "Opaque",
            "immutable": self.renewed is None,
            "data": {name: encoded(content) for name, content in files.items()},
        }

    def _job(self, attempt: int) -> dict[str, Any]:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": self.name(attempt), "labels": self.labels},
            "spec": {
                "backoffLimit": 0,
                "completions": 1,
                "parallelism": 1,
                "ttlSecondsAfterFinished": KEEP_ENDED,
                "template": {"metadata": {"labels": self.labels}, "spec": self._pod(attempt)},
            },
        }

    def _pod(self, attempt: int) -> dict[str, Any]:
        config, placement = self.config, self.config.placement(self.spec.arch)
        spec: dict[str, Any] = {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": self.timeout,
            "terminationGracePeriodSeconds": GRACE,
            "serviceAccountName": config.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "nodeSelector": {"kubernetes.io/arch": go_arch(self.spec.arch), **placement.node_selector},
            "containers": [
                {
                    "name": CONTAINER,
                    "image": placement.image,
                    "imagePullPolicy": config.pull_policy,
                    "env": self._environment(),
                    "resources": self._resources(),
                    "securityContext": self._security(),
                    "volumeMounts": self._mounts(),
                }
            ],
            "volumes": self._volumes(attempt),
        }
        if config.profile != PRIVILEGED:
            spec["hostUsers"] = False
        if placement.tolerations:
            spec["tolerations"] = [dict(toleration) for toleration in placement.tolerations]
        if config.pull_secrets:
            spec["imagePullSecrets"] = [{"name": name} for name in config.pull_secrets]
        if config.priority_class:
            spec["priorityClassName"] = config.priority_class
        return spec

    def _environment(self) -> list[dict[str, str]]:
        variables = {
            contract.INPUT_VARIABLE: contract.INPUT_DIRECTORY,
            contract.MESSAGE_VARIABLE: contract.MESSAGE_PATH,
            contract.STATE_VARIABLE: state_directory(self.config),
            **({contract.POLICED_VARIABLE: "1"} if self.config.policed else {}),
            **({contract.CHECK_VARIABLE: "1"} if self.checks else {}),
        }
        return [{"name": name, "value": value} for name, value in variables.items()]

    def _resources(self) -> dict[str, Any]:
        resources = self.config.placement(self.spec.arch).resources
        amounts = {"cpu": resources.cpu, "memory": resources.memory}
        if not self.config.storage_class:
            amounts["ephemeral-storage"] = resources.storage
        return {"requests": amounts, "limits": amounts}

    def _security(self) -> dict[str, Any]:
        if self.config.profile == PRIVILEGED:
            return {"privileged": True, "runAsUser": 0}
        return {
            "runAsUser": 0,  # of the pod's user namespace: an ordinary ID on the node
            "privileged": False,
            "capabilities": {"drop": ["ALL"], "add": [*ROOT_CAPABILITIES, *CAPABILITIES]},
            "seccompProfile": _profile(self.config.seccomp),
            "appArmorProfile": _profile(self.config.apparmor),
        }

    def _mounts(self) -> list[dict[str, Any]]:
        mounts: list[dict[str, Any]] = [
            {"name": "input", "mountPath": contract.INPUT_DIRECTORY, "readOnly": True},
            {"name": "state", "mountPath": contract.STATE_DIRECTORY},
        ]
        for name, path, _ in self._shared():
            mounts.append({"name": name, "mountPath": path, "readOnly": True})
        return mounts

    def _shared(self) -> Iterator[tuple[str, str, Volume]]:
        """Yield the names, paths and sources of volumes that pods share and only read."""
        if self.config.topdir:
            yield "topdir", contract.TOPDIR, self.config.topdir
        if self.config.base_images:
            yield "base-images", contract.BLOB_CACHE, self.config.base_images

    def _volumes(self, attempt: int) -> list[dict[str, Any]]:
        config, storage = self.config, self.config.placement(self.spec.arch).resources.storage
        volumes: list[dict[str, Any]] = [
            {"name": "input", "secret": {"secretName": self.name(attempt), "defaultMode": 0o400}}
        ]
        if config.storage_class:
            claim = {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": config.storage_class,
                "resources": {"requests": {"storage": storage}},
            }
            template = {"metadata": {"labels": self.labels}, "spec": claim}
            volumes.append({"name": "state", "ephemeral": {"volumeClaimTemplate": template}})
        else:
            volumes.append({"name": "state", "emptyDir": {"sizeLimit": storage}})
        return [*volumes, *({"name": name, **_source(volume)} for name, _, volume in self._shared())]

    def _build(self, attempt: int) -> dict[str, Any]:
        """Return a Build with the custom strategy. OpenShift makes the pod; the builder image is our pod image."""
        placement = self.config.placement(self.spec.arch)
        strategy = {
            "from": {"kind": "DockerImage", "name": placement.image},
            "forcePull": self.config.pull_policy == "Always",
            "exposeDockerSocket": False,
            "env": self._environment(),
            "secrets": [{"secretSource": {"name": self.name(attempt)}, "mountPath": contract.INPUT_DIRECTORY}],
        }
        if self.config.pull_secrets:
            strategy["pullSecret"] = {"name": self.config.pull_secrets[0]}
        return {
            "apiVersion": "build.openshift.io/v1",
            "kind": "Build",
            "metadata": {"name": self.name(attempt), "labels": self.labels},
            "spec": {
                "serviceAccount": self.config.service_account,
                "strategy": {"type": "Custom", "customStrategy": strategy},
                "resources": self._resources(),
                "completionDeadlineSeconds": self.timeout,
                "nodeSelector": {"kubernetes.io/arch": go_arch(self.spec.arch), **placement.node_selector},
            },
        }


def state_directory(config: ClusterConfig) -> str:
    """Return the directory for builds in a pod, which is on a volume: overlay needs one."""
    return contract.BUILD_STATE_DIRECTORY if config.kind == OPENSHIFT_BUILD else contract.STATE_DIRECTORY


def hub_labels(hub: str) -> dict[str, str]:
    """Return the labels of all objects of one hub."""
    return {MANAGED_BY: PROGRAM, HUB: hashlib.sha256(hub.encode()).hexdigest()[:16]}


def selector(labels: Mapping[str, str]) -> str:
    """Return a label selector."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


def _source(volume: Volume) -> dict[str, Any]:
    """Return the source of a volume that is only read."""
    if volume.claim:
        return {"persistentVolumeClaim": {"claimName": volume.claim, "readOnly": True}}
    return {"nfs": {"server": volume.server, "path": volume.path, "readOnly": True}}


def _profile(value: str) -> dict[str, str]:
    kind, _, name = value.partition("/")
    return {"type": kind, "localhostProfile": name} if name else {"type": kind}
