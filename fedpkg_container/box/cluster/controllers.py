# SPDX-License-Identifier: GPL-2.0-or-later
"""The controllers: Jobs and Builds get a pod, pods a node, deleted owners take their dependents with them."""

from __future__ import annotations

import copy
import threading
import uuid
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fedpkg_container.box.cluster.chaos import Chaos
from fedpkg_container.box.cluster.kubelet import Kubelet
from fedpkg_container.box.cluster.store import ApiError, Key, Object, Store

#: Seconds between two rounds.
ROUND = 0.02
OWNERS = ("jobs", "builds")


class _Round:
    """All objects at the start of a round; hundreds of builds need one look at the store."""

    def __init__(self, objects: list[tuple[Key, Object]]) -> None:
        self.objects = objects
        self.owners = {item["metadata"]["uid"] for (resource, *_), item in objects if resource in OWNERS}
        self.pods: defaultdict[str, list[Object]] = defaultdict(list)
        #: Pods that run on each node, including those that this round schedules.
        self.running: Counter[str] = Counter()
        for (resource, *_), item in objects:
            if resource == "pods":
                for reference in item["metadata"].get("ownerReferences") or []:
                    self.pods[reference["uid"]].append(item)
                if (item.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                    self.running[item["spec"].get("nodeName", "")] += 1


class Controllers:
    """All controllers, in one thread."""

    def __init__(self, store: Store, chaos: Chaos, kubelet: Kubelet, node_arch: str) -> None:
        self._store, self._chaos, self._kubelet, self._arch = store, chaos, kubelet, node_arch
        self._stopped = threading.Event()
        self._round = _Round([])
        self._thread = ThreadPoolExecutor(1)
        #: Done when they have ended, possibly with an error.
        self.ended: Future[None] = Future()
        #: Number of nodes, and of pods that each can run (source: NodeResourcesFit).
        self.nodes, self.pods_per_node = 1, 110
        #: Owners whose pod was created: with backoffLimit 0 there is no second one.
        self._created: set[str] = set()

    def start(self) -> None:
        """Start."""
        self.ended = self._thread.submit(self._loop)

    def stop(self) -> None:
        """Stop.

        :raises Exception: an error of a controller
        """
        self._stopped.set()
        self.ended.result(10)

    def delete(self, resource: str, namespace: str, name: str, policy: str) -> Object:
        """Delete an object; one with dependents stays until they are gone (a3, Foreground)."""
        item = self._store.get(resource, namespace, name)
        if resource == "pods" or (resource in OWNERS and policy == "Foreground"):
            self._store.update(resource, namespace, name, {"metadata": {"deletionTimestamp": self._store.now()}})
            return item
        return self._store.delete(resource, namespace, name)

    def _loop(self) -> None:
        while not self._stopped.wait(ROUND):
            self._round = _Round(self._store.snapshot())
            for (resource, namespace, name), item in self._round.objects:
                if self._stopped.is_set():
                    return
                self._handle(resource, namespace, name, item)

    def _handle(self, resource: str, namespace: str, name: str, item: Object) -> None:
        if resource in OWNERS:
            self._owner(resource, namespace, name, item)
        elif resource == "pods":
            self._pod(namespace, name, item)
        elif not self._owners_exist(item):
            self._drop(resource, namespace, name)

    def _owner(self, resource: str, namespace: str, name: str, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        pods = self._round.pods[uid]
        if owner["metadata"].get("deletionTimestamp"):
            for pod in pods:
                if not pod["metadata"].get("deletionTimestamp"):
                    self.delete("pods", namespace, pod["metadata"]["name"], "")
            if not pods:
                self._drop(resource, namespace, name)
            return
        if uid in self._created:
            for pod in pods:
                self._job_status(resource, namespace, name, owner, pod)
            return
        refusal = self._chaos.quota or self._chaos.admission
        if refusal:
            self._failed_create(namespace, owner, refusal)
            return
        self._created.add(uid)
        self._store.create("pods", namespace, self._new_pod(resource, name, owner))

    def _new_pod(self, resource: str, name: str, owner: Object) -> Object:
        reference = {"kind": "Job" if resource == "jobs" else "Build", "name": name, "uid": owner["metadata"]["uid"]}
        if resource == "jobs":
            template = owner["spec"]["template"]
            labels = {**(template["metadata"].get("labels") or {}), "batch.kubernetes.io/job-name": name}
            metadata = {"name": f"{name}-{uuid.uuid4().hex[:5]}", "labels": labels}
            spec = template["spec"]
        else:  # source: openshift-controller-manager, custom strategy
            metadata = {"name": f"{name}-build", "labels": {"openshift.io/build.name": name}}
            spec = _build_pod(owner)
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "ownerReferences": [reference]},
            "spec": copy.deepcopy(spec),
            "status": {"phase": "Pending"},
        }

    def _failed_create(self, namespace: str, owner: Object, refusal: str) -> None:
        """Report a refused pod as an event of its owner (source: job_controller)."""
        name = f"{owner['metadata']['name']}.event"
        message = f"Error creating: pods is forbidden: {refusal}"
        event = {
            "metadata": {"name": name, "ownerReferences": [{"uid": owner["metadata"]["uid"]}]},
            "involvedObject": {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]},
            "reason": "FailedCreate",
            "type": "Warning",
            "message": message,
            "lastTimestamp": self._store.now(),
        }
        if ("events", namespace, name) not in self._store.objects:
            self._store.create("events", namespace, event)

    def _job_status(self, resource: str, namespace: str, name: str, owner: Object, pod: Object) -> None:
        phase = (pod.get("status") or {}).get("phase")
        if phase not in ("Succeeded", "Failed") or (owner.get("status") or {}).get("conditions"):
            return
        kinds = ("SuccessCriteriaMet", "Complete") if phase == "Succeeded" else ("FailureTarget", "Failed")
        conditions = [{"type": kind, "status": "True"} for kind in kinds]
        self._store.update(resource, namespace, name, {"status": {"conditions": conditions}})

    def _pod(self, namespace: str, name: str, pod: Object) -> None:
        if pod["metadata"].get("deletionTimestamp"):
            if self._kubelet.terminate(pod):
                self._drop("pods", namespace, name)
            return
        if pod["spec"].get("nodeName"):
            self._kubelet.sync(pod)
            return
        node, message = self._schedule(pod)
        if not node:  # a3: Pending without end
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            if not (pod.get("status") or {}).get("conditions"):
                self._store.update("pods", namespace, name, {"status": {"conditions": [condition]}})
            return
        scheduled = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
        self._store.update("pods", namespace, name, {"spec": {"nodeName": node}, "status": scheduled})

    def _schedule(self, pod: Object) -> tuple[str, str]:
        """Return the node with the fewest pods; an empty name, and the scheduler's message, if none can run the pod."""
        arch = (pod["spec"].get("nodeSelector") or {}).get("kubernetes.io/arch", self._arch)
        if arch != self._arch:
            reason = "node(s) didn't match Pod's node affinity/selector"
            return "", f"0/{self.nodes} nodes are available: {self.nodes} {reason}."
        running = self._round.running
        node = min((f"node-{number}" for number in range(1, self.nodes + 1)), key=lambda name: running[name])
        if running[node] >= self.pods_per_node:
            return "", f"0/{self.nodes} nodes are available: {self.nodes} Too many pods."
        running[node] += 1
        return node, ""

    def _owners_exist(self, item: Object) -> bool:
        """Whether an object without owners, or with one that exists, stays (garbage collector)."""
        references = item["metadata"].get("ownerReferences") or []
        return not references or any(reference["uid"] in self._round.owners for reference in references)

    def _drop(self, resource: str, namespace: str, name: str) -> None:
        try:
            self._store.delete(resource, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise


def _build_pod(build: Object) -> Object:
    """Return the pod of a Build (source: custom strategy).

    Its container custom-build is privileged, has the Build's env, its Secrets as volumes, and an emptyDir for container
    stores; its only label is the Build's name.
    """
    spec, strategy = build["spec"], build["spec"]["strategy"]["customStrategy"]
    secrets: list[dict[str, Any]] = strategy.get("secrets") or []
    names = [f"secret-{number}" for number in range(len(secrets))]
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": spec["completionDeadlineSeconds"],
        "nodeSelector": spec.get("nodeSelector") or {},
        "containers": [
            {
                "name": "custom-build",
                "image": strategy["from"]["name"],
                "env": strategy["env"],
                "securityContext": {"privileged": True},
                "resources": spec.get("resources") or {},
                "volumeMounts": [
                    *({"name": name, "mountPath": each["mountPath"]} for name, each in zip(names, secrets)),
                    {"name": "container-storage-root", "mountPath": "/var/lib/containers/storage"},
                ],
            }
        ],
        "volumes": [
            *(
                {"name": name, "secret": {"secretName": each["secretSource"]["name"]}}
                for name, each in zip(names, secrets)
            ),
            {"name": "container-storage-root", "emptyDir": {}},
        ],
    }
