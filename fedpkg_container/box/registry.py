# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's registries: docker-registry (distribution) behind nginx, which controls writing.

docker-registry has one rule for reading and writing. Here it only accepts connections with a certificate of the box's
CA, which nginx has. nginx allows every client to read, and clients with such a certificate to write: other users of the
machine can reach the ports, but cannot read the certificates.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ruamel.yaml import YAML

from fedpkg_container.box.pki import Authority
from fedpkg_container.errors import FedpkgContainerError

#: User name of nginx at the registry behind it.
FRONT = "registry-front"
#: Without this, version 3 sends traces to port 4318 of this machine (https://github.com/distribution/distribution/issues/4270).
ENVIRONMENT = {"OTEL_TRACES_EXPORTER": "none"}
_TLS_KEY = re.compile(r"^ *ssl_certificate_key .*;$", re.MULTILINE)


def program() -> str:
    """Path of the registry: its name differs in Debian and Fedora.

    :raises FedpkgContainerError: it is not installed
    """
    for name in ("docker-registry", "registry"):
        if shutil.which(name):
            return name
    raise FedpkgContainerError("program not found: docker-registry", solution="install docker-registry")


#: nginx directives in ``http { }``: value of ``$box_refused``, trusted client of the registry.
_GUARD = """\
map "$request_method $ssl_client_verify" $box_refused {{
    default 1;
    "~^(GET|HEAD|OPTIONS) " 0;
    "~ SUCCESS$" 0;
}}
ssl_client_certificate "{ca}";
ssl_verify_client optional;
proxy_ssl_certificate "{client}";
proxy_ssl_certificate_key "{client}";
"""
_REFUSAL = "if ($box_refused) { return 403; }"
_SERVER = """\
upstream registry {{
    server {backend};
    keepalive 32;
}}
server {{
    listen {address} ssl;
    ssl_certificate "{certificate}";
    ssl_certificate_key "{certificate}";
    ssl_protocols TLSv1.2 TLSv1.3;
    client_max_body_size 0;
    location / {{
        proxy_pass https://registry;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate "{ca}";
        proxy_ssl_name localhost;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_read_timeout 900;
        proxy_send_timeout 900;
    }}
}}
"""


def guard(servers: str, authority: Authority) -> str:
    """nginx configuration in front of a registry: writing requires a client certificate.

    :param servers: contents of ``http { }``
    """
    settings = _GUARD.format(ca=authority.certificate_path, client=authority.issue(FRONT))
    return settings + _TLS_KEY.sub(rf"\g<0>\n    {_REFUSAL}", servers)


def front(address: str, backend: str, authority: Authority) -> str:
    """nginx configuration that only guards a registry."""
    certificate = authority.issue("registry", server=True)
    server = _SERVER.format(address=address, backend=backend, certificate=certificate, ca=authority.certificate_path)
    return guard(server, authority)


def write_configuration(directory: Path, address: str, certificate: Path, ca: Path) -> Path:
    """Write a registry's configuration file.

    :param directory: directory of all its files; created if missing
    :param address: host and port
    :param certificate: PEM file with certificate and key
    :param ca: CA certificate for client certificates
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}, "level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "data")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {
            "addr": address,
            "secret": "one registry behind no balancer needs none",
            "tls": {"certificate": str(certificate), "key": str(certificate), "clientcas": [str(ca)]},
        },
    }
    path = directory / "config.yml"
    with path.open("w") as file:
        YAML(typ="safe").dump(settings, file)
    return path
