# SPDX-License-Identifier: GPL-2.0-or-later
"""The pod of a build as a Task of Tekton, for a site that starts its pods by TaskRuns. Builders do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fedpkg_container.cluster.config_keys import KUBERNETES
from fedpkg_container.cluster.manifests import MANAGED_BY, PROGRAM, PodBuild
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.model import pod as contract
from fedpkg_container.model.build import BuildSpec

#: Parameter with the name of the Secret, and result with the termination message.
INPUTS, MESSAGE = "inputs", "message"
#: Entry point of the pod's image: Tekton starts a step by its command.
COMMAND = ("/usr/bin/python3", "-I", "-m", "fedpkg_container.pod")
#: What the objects do not contain, as comments of YAML.
TEKTON_NOTE = (
    '# The builders of Koji do not start TaskRuns: see "Why not Tekton" in docs/internals/cluster.md.',
    "# In podTemplate, a TaskRun of the Task below needs hostUsers: false (otherwise root of the step is root of the",
    "# node), nodeSelector kubernetes.io/arch and automountServiceAccountToken: false; and the pods' service account.",
)


def tekton_task(config: ClusterConfig) -> dict[str, Any]:
    """Return a Task with one step: the container of a Job's pod, with the Secret's name as a parameter.

    :param config: its settings for all architectures are used
    """
    spec = BuildSpec(
        task_id=0, arch="", source_url="", component="", version="", release="", repository_path="", scratch=True,
        parents={}, labels={}, yum_repository="", staging_repository="", upload_directory="", timeout=0,
    )  # fmt: skip
    build = PodBuild(
        task_id=0, hub="", spec=spec, site="", files={}, timeout=0, config=replace(config, kind=KUBERNETES)
    )
    pod = build.object()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    step = {**container, "command": list(COMMAND), "computeResources": container["resources"]}
    del step["resources"]
    for variable in step["env"]:
        if variable["name"] == contract.MESSAGE_VARIABLE:
            variable["value"] = f"$(results.{MESSAGE}.path)"
    for volume in pod["volumes"]:
        if "secret" in volume:
            volume["secret"]["secretName"] = f"$(params.{INPUTS})"
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Task",
        "metadata": {
            "name": f"{PROGRAM}-build",
            "namespace": config.namespace,
            "labels": {MANAGED_BY: PROGRAM},
        },
        "spec": {
            "description": "Builds a container image for Koji; the result is an artifact in the staging repository.",
            "params": [{"name": INPUTS, "type": "string", "description": "Secret with the inputs of the build"}],
            "results": [{"name": MESSAGE, "type": "string", "description": "termination message of the pod (JSON)"}],
            "steps": [step],
            "volumes": pod["volumes"],
        },
    }
