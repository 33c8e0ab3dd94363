# SPDX-License-Identifier: GPL-2.0-or-later
"""Registries for tests: docker-registry with or without a password."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fedpkg_container.box.pki import Authority
from fedpkg_container.box.registry import ENVIRONMENT, program
from fedpkg_container.process import run_in_background
from fedpkg_container.registry.manifests import MANIFEST
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support import storage
from tests.support.waiting import PATIENCE

USER, PASSWORD = "pusher", "registry secret"
#: The password's htpasswd hash (bcrypt).
PASSWORD_HASH = "$2b$05$ykJfaBewvdp.PFfygRdXnuGoykHWN46nn/jl0HQhBOMM4gF90SDZy"


def access(directory: Path, *hosts: str, password: str = "") -> Access:
    """Return access to these registries, with an auth file if a password is given."""
    certificates = directory / "certs"
    certificates.mkdir(exist_ok=True)
    (certificates / "ca.crt").write_bytes(Authority(directory / "pki").certificate_path.read_bytes())
    if not password:
        return Access(certificates, None)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path = directory / "auth.json"
    path.write_text(json.dumps({"auths": {host: {"auth": auth} for host in hosts}}))
    return Access(certificates, path)


@contextlib.contextmanager
def docker_registry(
    directory: Path,
    *,
    password: bool = False,
    authority: Authority | None = None,
    port: int = 0,
    data: Path | None = None,
    redirect: str = "",
    delete: bool = True,
    read_only: bool = False,
) -> Iterator[str]:
    """Run docker-registry over TLS, its data in a directory; its address.

    :param authority: issuer of its certificate; None for a separate one
    :param port: of a stopped one, which is continued with its data; 0: a new one
    :param data: image directory; None for a separate one per port
    :param redirect: the address of a data server, to which it redirects blob requests
    :param delete: whether deletion is allowed
    :param read_only: whether it is in maintenance, as for garbage collection
    """
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
    certificate = str((authority or Authority(directory / "pki")).issue("registry", server=True))
    root = data or directory / f"data-{port}"
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "delete": {"enabled": delete},
            **({"maintenance": {"readonly": {"enabled": True}}} if read_only else {}),
        },
        "http": {"addr": f"127.0.0.1:{port}", "tls": {"certificate": certificate, "key": certificate}},
    }
    if redirect:
        settings["middleware"] = {"storage": [{"name": "redirect", "options": {"baseurl": redirect}}]}
    if password:
        (directory / "htpasswd").write_text(f"{USER}:{PASSWORD_HASH}\n")
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    configuration = directory / f"registry-{port}.yml"
    with configuration.open("w") as file:
        YAML(typ="safe").dump(settings, file)
    with run_in_background(
        [program(), "serve", configuration], log=directory / f"registry-{port}.log", env=ENVIRONMENT
    ):
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < deadline, (directory / f"registry-{port}.log").read_text()
            time.sleep(0.05)
        with storage.running(f"127.0.0.1:{port}", root):
            yield f"127.0.0.1:{port}"


def push_image(
    registry: Registry, host: str, repository: str, name: str, labels: Mapping[str, str] | None = None
) -> str:
    """Push an image without layers; return its digest.

    :param name: makes it a distinct image
    :param labels: further labels
    """
    has = {"Labels": {"name": name, **(labels or {})}}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": has}).encode()
    with registry.http(host) as session:
        begun = session.request("POST", f"/v2/{repository}/blobs/uploads/", repository=repository, expected=(202,))
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        place = f"{begun.headers['Location']}&digest={digest}"
        session.request("PUT", place, repository=repository, content=config, expected=(201,))
        described = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest,
                     "size": len(config)}  # fmt: skip
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}
        raw = json.dumps(manifest).encode()
        own = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        session.request("PUT", f"/v2/{repository}/manifests/{own}", repository=repository, content=raw,
                        headers={"Content-Type": MANIFEST}, expected=(201,))  # fmt: skip
    return own
