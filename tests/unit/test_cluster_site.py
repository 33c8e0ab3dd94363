# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the cluster, the objects of a build and of a site, and what a pod gets."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from fedpkg_container.box.cluster.store import ApiError
from fedpkg_container.cluster.config_keys import Volume
from fedpkg_container.cluster.manifests import JOB, MAX_SECRET_SIZE, PodBuild, kind_of
from fedpkg_container.cluster.renewal import Issued, RenewedFile
from fedpkg_container.cluster.settings import ClusterConfig, Placement
from fedpkg_container.cluster.site_manifests import RULES, TOKEN_RULES, SiteOptions, as_yaml, site_objects
from fedpkg_container.cluster.tekton import tekton_task
from fedpkg_container.errors import BuildFailedError, ConfigurationError
from fedpkg_container.image.config import BuilderConfig, read_builder_config
from fedpkg_container.image.config_keys import KEYS
from fedpkg_container.image.pod_inputs import POD_SETTINGS, pod_files, pod_site
from fedpkg_container.model import pod as contract
from fedpkg_container.model.build import BuildSpec
from tests.support.cluster.scripted import spec
from tests.support.cluster.validation import validate

IMAGE = "registry.example.org/pod@sha256:" + "1" * 64
OWNER = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x", "uid": "u"}}


def _config(tmp_path: Path, text: str) -> BuilderConfig:
    path = tmp_path / "site.conf"
    path.write_text(f"[registry]\ncandidate = registry.example.org\n{text}")
    return read_builder_config(path)


def _cluster(tmp_path: Path, text: str = "", kind: str = "kubernetes") -> ClusterConfig:
    cluster = _config(tmp_path, f"[engine]\nkind = {kind}\n[kubernetes]\nimage = {IMAGE}\n{text}").cluster
    assert cluster is not None
    return cluster


def _build(config: ClusterConfig, **options: Any) -> PodBuild:
    fields: dict[str, Any] = {"task_id": 7, "hub": "https://hub", "spec": spec(6), "site": "[x]\n", "files": {}}
    return PodBuild(**{**fields, "timeout": 100, "config": config, **options})


def _pod(config: ClusterConfig, **options: Any) -> dict[str, Any]:
    job = _build(config, **options).object()
    validate(job)
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def test_without_a_kind_builds_are_local(tmp_path: Path) -> None:
    assert _config(tmp_path, "").cluster is None


def test_all_problems_at_once(tmp_path: Path) -> None:
    text = """[engine]
kind = kubernetes
[kubernetes]
namespace = Not_Valid
profile = root
cpu = many
tolerations = a
node_selector = =b
topdir = /mnt
seccomp = none
schedule_timeout = 0
[kubernetes s390x]
namespace = other
"""
    with pytest.raises(ConfigurationError) as caught:
        _config(tmp_path, text)
    for option in ("namespace", "profile", "cpu", "tolerations", "node_selector", "topdir", "seccomp", "image",
                   "schedule_timeout", "[kubernetes s390x] namespace: unknown setting"):  # fmt: skip
        assert option in caught.value.reason


def test_settings_of_an_architecture(tmp_path: Path) -> None:
    config = _cluster(
        tmp_path,
        "cpu = 4\nnode_selector = disk=ssd\n[kubernetes s390x]\ncpu = 1\ntolerations = zone=a:NoSchedule b:NoExecute\n",
    )
    pod = _pod(config, spec=spec(6, "s390x"))
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "s390x", "disk": "ssd"}
    assert pod["tolerations"] == [
        {"key": "zone", "effect": "NoSchedule", "operator": "Equal", "value": "a"},
        {"key": "b", "effect": "NoExecute", "operator": "Exists"},
    ]
    assert pod["containers"][0]["resources"]["limits"]["cpu"] == "1"
    assert _pod(config)["containers"][0]["resources"]["limits"]["cpu"] == "4"


def test_architectures_and_channels_of_the_cluster(tmp_path: Path) -> None:
    config = _cluster(tmp_path, "arches = x86_64 s390x\nchannels = container-binary\n")
    assert config.builds("x86_64", "container-binary")
    assert not config.builds("aarch64", "container-binary")
    assert not config.builds("x86_64", "default")
    assert _cluster(tmp_path).builds("aarch64", "default")


def test_the_pod_is_in_a_user_namespace_and_not_privileged(tmp_path: Path) -> None:
    pod = _pod(_cluster(tmp_path))
    security = pod["containers"][0]["securityContext"]
    assert pod["hostUsers"] is False
    assert security["privileged"] is False
    assert security["capabilities"]["drop"] == ["ALL"]
    assert security["seccompProfile"] == {"type": "Unconfined"}
    assert security["appArmorProfile"] == {"type": "Unconfined"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["activeDeadlineSeconds"] == 100
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_the_deadline_is_not_the_jobs(tmp_path: Path) -> None:
    job = _build(_cluster(tmp_path)).object()
    assert "activeDeadlineSeconds" not in job["spec"]
    assert job["spec"]["backoffLimit"] == 0


def test_a_privileged_pod_where_the_site_says_so(tmp_path: Path) -> None:
    pod = _pod(_cluster(tmp_path, "profile = privileged\n"))
    assert pod["containers"][0]["securityContext"]["privileged"] is True
    assert "hostUsers" not in pod


def test_all_other_settings_of_a_pod(tmp_path: Path) -> None:
    config = _cluster(
        tmp_path,
        "seccomp = Localhost/build.json\npriority_class = builds\npull_secrets = a b\npull_policy = Always\n"
        "storage_class = fast\nstorage = 10Gi\nmemory = 8Gi\ntopdir = claim:koji\nisolated = policy\n"
        "base_images = claim:bases\n",
    )
    pod = _pod(config)
    container = pod["containers"][0]
    assert container["securityContext"]["seccompProfile"] == {"type": "Localhost", "localhostProfile": "build.json"}
    assert (pod["priorityClassName"], container["imagePullPolicy"]) == ("builds", "Always")
    assert pod["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claim = volumes["state"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (claim["storageClassName"], claim["resources"]) == ("fast", {"requests": {"storage": "10Gi"}})
    assert volumes["topdir"]["persistentVolumeClaim"] == {"claimName": "koji", "readOnly": True}
    assert volumes["base-images"]["persistentVolumeClaim"] == {"claimName": "bases", "readOnly": True}
    shared = [mount for mount in container["volumeMounts"] if mount["name"] in ("topdir", "base-images")]
    assert [mount["mountPath"] for mount in shared] == [contract.TOPDIR, contract.BLOB_CACHE]
    assert all(mount["readOnly"] for mount in shared)
    assert "ephemeral-storage" not in container["resources"]["limits"]
    assert {"name": contract.POLICED_VARIABLE, "value": "1"} in container["env"]


def test_volumes_by_nfs(tmp_path: Path) -> None:
    nfs = "topdir = nfs:files.example.org:/koji\nbase_images = nfs:files.example.org:/bases\n"
    volumes = {volume["name"]: volume for volume in _pod(_cluster(tmp_path, f"profile = privileged\n{nfs}"))["volumes"]}
    assert volumes["topdir"]["nfs"] == {"server": "files.example.org", "path": "/koji", "readOnly": True}
    assert volumes["base-images"]["nfs"]["path"] == "/bases"
    with pytest.raises(ConfigurationError) as caught:
        _cluster(tmp_path, nfs)
    assert caught.value.reason.count("= nfs requires profile = privileged") == 2


def test_settings_that_builds_of_openshift_do_not_have(tmp_path: Path) -> None:
    unusable = "topdir = claim:koji\nbase_images = claim:bases\nstorage_class = fast\npriority_class = high\n"
    with pytest.raises(ConfigurationError) as caught:
        _cluster(tmp_path, f"{unusable}tolerations = a:NoSchedule\npull_secrets = a b\n", kind="openshift-build")
    assert caught.value.reason.count("cannot be used with kind = openshift-build") == 5
    assert "pull_secrets lists more than one, but kind = openshift-build allows one" in caught.value.reason


@pytest.mark.parametrize("arch", ["x86_64", "aarch64", "ppc64le", "s390x", "armhfp", "riscv64"])
def test_names_are_valid(tmp_path: Path, arch: str) -> None:
    build = _build(_cluster(tmp_path), task_id=10**10, spec=spec(6, arch))
    assert re.fullmatch("[a-z0-9-]{1,63}", build.name(1))
    assert f"-{arch.replace('_', '-')}-" in build.name()


def test_the_inputs(tmp_path: Path) -> None:
    build = _build(_cluster(tmp_path), files={"auth.json": b"{}"})
    secret = build.secret(0, OWNER)
    validate(secret)
    content = {name: base64.b64decode(text) for name, text in secret["data"].items()}
    assert BuildSpec.unpack(json.loads(gzip.decompress(content[contract.SPEC_FILE]))) == build.spec
    assert content["auth.json"] == b"{}"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "u"


def test_inputs_that_are_too_large(tmp_path: Path) -> None:
    with pytest.raises(BuildFailedError, match="the limit is 1000000"):
        _build(_cluster(tmp_path), files={"x": bytes(MAX_SECRET_SIZE)}).secret(0, OWNER)


def test_a_build_of_openshift(tmp_path: Path) -> None:
    config = _cluster(tmp_path, kind="openshift-build")
    build = _build(config).object()
    assert kind_of(config) is not JOB
    strategy = build["spec"]["strategy"]["customStrategy"]
    assert build["spec"]["strategy"]["type"] == "Custom"
    assert strategy["from"] == {"kind": "DockerImage", "name": IMAGE}
    assert strategy["secrets"][0]["secretSource"]["name"] == build["metadata"]["name"]
    assert {"name": contract.INPUT_VARIABLE, "value": contract.INPUT_DIRECTORY} in strategy["env"]
    assert {"name": contract.STATE_VARIABLE, "value": contract.BUILD_STATE_DIRECTORY} in strategy["env"]
    path = tmp_path / "site.conf"
    assert f"state = {contract.BUILD_STATE_DIRECTORY}\n" in pod_site(path, config)


def test_the_objects_of_a_site_are_valid() -> None:
    objects = site_objects(
        SiteOptions("builds", "fedpkg-container-build", ["192.0.2.7/32"], ["10.0.0.0/8"], openshift=True)
    )
    for each in objects:
        validate(each)
    parsed = list(YAML(typ="safe").load_all(as_yaml(objects)))
    assert parsed == objects
    kinds = {each["kind"] for each in objects}
    assert kinds == {"Namespace", "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "ResourceQuota",
                     "SecurityContextConstraints"}  # fmt: skip


def test_the_validation_notices_mistakes() -> None:
    with pytest.raises(ApiError, match="egres"):
        validate({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x"},
                  "spec": {"podSelector": {}, "egres": []}})  # fmt: skip


def test_the_role_reads_no_secrets_and_starts_no_pods() -> None:
    verbs = {(resource, verb) for rule in RULES for resource in rule["resources"] for verb in rule["verbs"]}
    assert {verb for resource, verb in verbs if resource == "secrets"} == {"create", "delete"}
    assert {verb for resource, verb in verbs if resource == "pods"} == {"list", "watch"}
    assert not any(verb in ("*", "update", "patch", "deletecollection") for _, verb in verbs)


def test_the_right_to_renew_tokens() -> None:
    """Only a site that uses tokens has it."""
    roles = []
    for task_token in (False, True):
        objects = site_objects(SiteOptions("builds", "account", task_token=task_token))
        roles.append(next(each for each in objects if each["kind"] == "Role"))
    without, with_token = (role["rules"] for role in roles)
    assert [rule for rule in with_token if rule not in without] == list(TOKEN_RULES)
    assert [rule["verbs"] for rule in TOKEN_RULES] == [["patch"]]
    validate(roles[1])


def test_a_secret_with_a_token_can_be_changed(tmp_path: Path) -> None:
    file = RenewedFile("auth.json", lambda: Issued(b"", 0.0))
    secret = _build(_cluster(tmp_path), renewed=file).secret(0, OWNER, Issued(b"token", 600.0))
    validate(secret)
    assert (secret["immutable"], base64.b64decode(secret["data"]["auth.json"])) == (False, b"token")
    assert _build(_cluster(tmp_path)).secret(0, OWNER)["immutable"] is True


def test_what_networks_reach() -> None:
    objects = site_objects(SiteOptions("builds", "account", ["192.0.2.7/32"], ["10.0.0.0/8"]))
    policies = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "NetworkPolicy"}
    assert policies["build-deny"]["policyTypes"] == ["Ingress", "Egress"]
    assert policies["build-deny"]["podSelector"] == policies["build-services"]["podSelector"] == {}, "of every pod"
    assert not policies["build-deny"].get("egress")
    outside = policies["build-isolated"]["egress"][0]["to"][0]["ipBlock"]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(outside["except"])
    assert policies["build-isolated"]["podSelector"]["matchLabels"]["fedpkg-container/network"] == "isolated"
    services = policies["build-services"]["egress"]
    assert {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}]} in services
    assert len(services) == 2


def test_what_builds_of_openshift_reach() -> None:
    """Their pods have no label but that of the Build: all of them reach what network ``isolated`` reaches."""
    objects = site_objects(SiteOptions("builds", "account", openshift=True, builds=True))
    policies = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "NetworkPolicy"}
    assert set(policies) == {"build-deny", "build-services", "build-isolated"}
    (wanted,) = policies["build-isolated"]["podSelector"]["matchExpressions"]
    assert wanted == {"key": "openshift.io/build.name", "operator": "Exists"}
    assert policies["build-isolated"]["egress"][0]["to"][0]["ipBlock"]["except"]
    for each in objects:
        validate(each)


def test_a_task_of_tekton(tmp_path: Path) -> None:
    config = _cluster(tmp_path, "topdir = claim:koji\n")
    (container,) = _pod(config)["containers"]
    task = tekton_task(config)
    (step,) = task["spec"]["steps"]
    assert set(step) <= {"name", "image", "imagePullPolicy", "command", "env", "computeResources", "securityContext",
                         "volumeMounts"}, "fields of a Step in tekton.dev/v1"  # fmt: skip
    for name in ("image", "securityContext", "volumeMounts"):
        assert step[name] == container[name]
    assert {"name": contract.MESSAGE_VARIABLE, "value": "$(results.message.path)"} in step["env"]
    secrets = [volume["secret"]["secretName"] for volume in task["spec"]["volumes"] if "secret" in volume]
    assert secrets == ["$(params.inputs)"]
    rules = next(
        each["rules"] for each in site_objects(SiteOptions("builds", "x", tekton=True)) if each["kind"] == "Role"
    )
    assert {
        "apiGroups": ["tekton.dev"],
        "resources": ["taskruns"],
        "verbs": ["create", "get", "list", "delete"],
    } in rules


def test_the_label_of_the_network_is_the_pods(tmp_path: Path) -> None:
    job = _build(_cluster(tmp_path), spec=spec(6, network="isolated")).object()
    assert job["spec"]["template"]["metadata"]["labels"]["fedpkg-container/network"] == "isolated"


def test_a_pod_gets_no_credentials_of_the_builder(tmp_path: Path) -> None:
    for name in ("auth", "cert.pem"):
        (tmp_path / name).write_text("secret")
    path = tmp_path / "site.conf"
    path.write_text(
        f"""[registry]
candidate = registry.example.org
auth_file = {tmp_path}/auth
certificates = {tmp_path}
formats = oci v2s2
[engine]
kind = kubernetes
denied_networks = 10.0.0.0/8
state = /var/lib/other
[limits]
build_timeout = 77
[kubernetes]
image = x
auth_file = {tmp_path}/auth
[content_generator]
certificate = {tmp_path}/cert.pem
[components]
a = b
"""
    )
    (tmp_path / "ca.crt").write_text("authority")
    config = read_builder_config(path)
    assert config.cluster is not None
    assert pod_files(config, replace(config.cluster, auth_file=None), "https://files") == {
        "topurl": b"https://files",
        "ca.crt": b"authority",
    }
    assert pod_files(config, config.cluster, "")["auth.json"] == b"secret"
    text = pod_site(path, config.cluster)
    assert str(tmp_path) not in text
    assert not {"content_generator", "kubernetes", "components"} & set(re.findall(r"^\[(.*)\]", text, re.MULTILINE))
    for line in ("formats = oci v2s2", "denied_networks = 10.0.0.0/8", "build_timeout = 77",
                 f"state = {contract.STATE_DIRECTORY}", f"certificates = {contract.INPUT_DIRECTORY}",
                 f"auth_file = {contract.INPUT_DIRECTORY}/auth.json"):  # fmt: skip
        assert line in text
    assert "kind" not in text


def test_what_a_pod_gets_for_base_images_and_a_token(tmp_path: Path) -> None:
    path = tmp_path / "site.conf"
    path.write_text(f"[registry]\ncandidate = registry.example.org\nblob_cache = {tmp_path}\n")
    cluster = ClusterConfig("kubernetes", "builds", {"": Placement(IMAGE)})
    text = pod_site(path, cluster)
    assert "blob_cache" not in text
    assert "auth_file" not in text
    text = pod_site(path, replace(cluster, base_images=Volume(claim="bases"), task_token=True))
    assert f"blob_cache = {contract.BLOB_CACHE}\n" in text
    assert f"auth_file = {contract.INPUT_DIRECTORY}/{contract.AUTH_FILE}\n" in text


def test_a_pod_gets_settings_by_their_old_names(tmp_path: Path) -> None:
    path = tmp_path / "site.conf"
    path.write_text("[registry]\ncandidate = registry.example.org\npatience = 7\n")
    cluster = ClusterConfig("kubernetes", "builds", {"": Placement(IMAGE)})
    (tmp_path / "pod.conf").write_text(pod_site(path, cluster).replace(contract.INPUT_DIRECTORY, str(tmp_path)))
    assert read_builder_config(tmp_path / "pod.conf").access.retry_timeout == 7


def test_settings_for_pods_exist() -> None:
    for section, options in POD_SETTINGS.items():
        assert set(options) <= {key.name for key in KEYS if key.section == section}


def test_a_topdir_as_a_claim(tmp_path: Path) -> None:
    config = replace(_cluster(tmp_path), topdir=Volume(claim="koji"), placements={"": Placement(IMAGE)})
    volumes = {volume["name"]: volume for volume in _pod(config)["volumes"]}
    assert volumes["topdir"]["persistentVolumeClaim"] == {"claimName": "koji", "readOnly": True}
