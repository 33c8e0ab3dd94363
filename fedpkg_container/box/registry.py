"""The box's registries: the docker-registry (distribution) program over TLS."""

from __future__ import annotations

import shutil
from pathlib import Path

from ruamel.yaml import YAML

from fedpkg_container.errors import FedpkgContainerError


def program() -> str:
    """The registry's program: Debian and Fedora call it differently.

    :raises FedpkgContainerError: it is not installed
    """
    for name in ("docker-registry", "registry"):
        if shutil.which(name):
            return name
    raise FedpkgContainerError("program not found: docker-registry", solution="install docker-registry")


def write_configuration(folder: Path, address: str, certificate: Path) -> Path:
    """The configuration file of a registry.

    :param folder: where it keeps everything; made when it is not there
    :param address: host and port
    :param certificate: a PEM file with certificate and key
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}, "level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {
            "addr": address,
            "secret": "one registry behind no balancer needs none",
            "tls": {"certificate": str(certificate), "key": str(certificate)},
        },
    }
    path = folder / "config.yml"
    with path.open("w") as file:
        YAML(typ="safe").dump(settings, file)
    return path
