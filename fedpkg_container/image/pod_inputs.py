# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that a pod gets besides its spec: a part of the builder's site file, and access to the registry."""

from __future__ import annotations

import configparser
import io
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fedpkg_container.cluster.manifests import state_directory
from fedpkg_container.cluster.settings import ClusterConfig
from fedpkg_container.errors import ConfigurationError
from fedpkg_container.image.config import BuilderConfig
from fedpkg_container.image.config_keys import KEYS
from fedpkg_container.model import pod as contract
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.auth import scope
from fedpkg_container.registry.skopeo import Registry

#: Settings of the builder that a pod gets; the others stay on the builder, above all its credentials.
POD_SETTINGS: dict[str, tuple[str, ...]] = {
    "registry": ("candidate", "sources", "formats", "timeout", "retry_timeout", "allowed_hosts"),
    "engine": ("isolation", "runtime", "account", "denied_networks"),
    "limits": (),
    "lookaside": (),
}


def pod_files(config: BuilderConfig, cluster: ClusterConfig, topurl: str, token: str = "") -> dict[str, bytes]:
    """Return the topurl, the registry's authorities, and the credentials for pods; never the builder's own.

    :param token: token for the candidate registry, instead of credentials
    """
    files = {contract.TOPURL_FILE: topurl.encode()}
    if config.access.certificates:
        for path in sorted(config.access.certificates.glob("*.crt")):
            files[path.name] = path.read_bytes()
    if cluster.certificates:
        for path in sorted(cluster.certificates.iterdir()):
            if path.suffix in (".crt", ".cert", ".key"):
                files[path.name] = path.read_bytes()
    if token:
        files[contract.AUTH_FILE] = json.dumps({"auths": {config.candidate: {"registrytoken": token}}}).encode()
    elif cluster.auth_file:
        files[contract.AUTH_FILE] = cluster.auth_file.read_bytes()
    return files


def task_token(
    config: BuilderConfig, cluster: ClusterConfig, staging: str, parents: Iterable[str], seconds: int
) -> str:
    """Return a token with which a pod can push to a staging repository and read its base images, and nothing else.

    :param staging: the repository
    :param parents: pull specs of the base images; those of other registries need no token
    :param seconds: for which it must be valid
    :returns: empty if the site does not use such tokens
    :raises RegistryError: if the registry issues none
    :raises ConfigurationError: if it is not valid for long enough
    """
    if not cluster.task_token:
        return ""
    images = [ImageReference.parse(parent) for parent in parents]
    read = sorted({image.repository for image in images if image.registry == config.candidate} - {staging})
    scopes = [scope("POST", staging), *(scope("GET", name) for name in read)]
    access = replace(config.access, auth_file=cluster.auth_file or config.access.auth_file)
    with Registry(access).http(config.candidate) as http:
        issued = http.issue_token(scopes)
    if issued.lifetime < seconds:
        raise ConfigurationError(
            f"the token server of {config.candidate} issues tokens that are valid for {issued.lifetime:g} s; a pod of"
            f" this build may run for {seconds} s",
            solution="increase the validity in the token server, or use auth_file instead of task_token",
        )
    return issued.token


def pod_site(path: Path, cluster: ClusterConfig) -> str:
    """Return the site file of a pod: the part of a builder's that it needs, with the paths in the pod.

    :param path: the builder's site file
    """
    builder, pod = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    for parser in (builder, pod):
        parser.optionxform = str  # type: ignore[assignment, method-assign]
    builder.read_string(path.read_text(encoding="utf-8"))
    for section, names in POD_SETTINGS.items():
        if builder.has_section(section):
            keys = [key for key in KEYS if key.section == section and (not names or key.name in names)]
            wanted = {name for key in keys for name in (key.name, *key.old)}
            pod[section] = {name: value for name, value in builder[section].items() if name in wanted}
    pod.read_dict(
        {"registry": {"certificates": contract.INPUT_DIRECTORY}, "engine": {"state": state_directory(cluster)}}
    )
    if cluster.auth_file or cluster.task_token:
        pod["registry"]["auth_file"] = f"{contract.INPUT_DIRECTORY}/{contract.AUTH_FILE}"
    if cluster.base_images:
        pod["registry"]["blob_cache"] = contract.BLOB_CACHE
    output = io.StringIO()
    pod.write(output)
    return output.getvalue()
