# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry, a mirror of its blobs, and a front end with our configuration for both."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedpkg_container.box import nginx
from fedpkg_container.box.pki import Authority
from fedpkg_container.registry.redirects import FrontEnd, Kind, render
from fedpkg_container.registry.skopeo import Access
from tests.support import registries
from tests.support.access_log import AccessLog
from tests.support.waiting import PATIENCE
from tests.support.web_servers import free_port, running_httpd, running_nginx

#: Settings of the front end: the CDN's name in Via, a name without redirects, and a builder's address.
VIA = "cdn77"
NO_CDN = "localhost"
BUILDER = "127.0.0.2"


#: Server-wide settings of an operator, which must do no harm here.
_NGINX_AROUND = """\
gzip on;
gzip_types *;
gzip_proxied any;
gzip_min_length 1;
client_max_body_size 1k;
client_body_timeout 2s;
proxy_send_timeout 2s;
proxy_read_timeout 2s;
open_file_cache max=1000 inactive=1h;
open_file_cache_valid 1h;
open_file_cache_errors on;
"""
_HTTPD_AROUND = """\
SetOutputFilter DEFLATE
LimitRequestBody 1000
Timeout 2
RequestReadTimeout header=2 body=2
"""


@dataclass(frozen=True)
class Answer:
    """A server's response.

    :param headers: by lower-case name
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Mirror:
    """A mirror.

    :param tree: its files
    """

    tree: Path
    port: int
    log: AccessLog

    @property
    def url(self) -> str:
        """Its URL, on another host than the front end's, so that clients do not send it their credentials."""
        return f"http://localhost:{self.port}"


@dataclass(frozen=True)
class Distribution:
    """All servers.

    :param address: of the front end, host and port
    :param log: the front end's
    :param registry: the registry's own address
    :param registry_log: all output of the registry, including its access log
    :param access: of front end and registry
    """

    kind: Kind
    address: str
    log: AccessLog
    registry: str
    registry_log: Path
    mirror: Mirror
    switch: Path
    access: Access
    plain_port: int
    context: ssl.SSLContext = field(repr=False)

    @contextlib.contextmanager
    def switched_off(self) -> Iterator[None]:
        """The operator's switch."""
        self.switch.touch()
        try:
            yield
        finally:
            self.switch.unlink()

    def ask(
        self,
        method: str,
        path: str,
        *,
        at: str = "",
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
        body: bytes | None = None,
    ) -> Answer:
        """Request a path from the front end or ``at``.

        :param at: host and port of the other server
        :param source: client address
        """
        host, _, port = (at or self.address).partition(":")
        connection = http.client.HTTPSConnection(
            host, int(port), context=self.context, timeout=PATIENCE, source_address=(source, 0)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, lower, answer.read())

    def is_redirected(self, path: str, *, headers: Mapping[str, str] | None = None, source: str = "127.0.0.1") -> bool:
        """Whether GET of a path is redirected, and to the mirror."""
        answer = self.ask("GET", path, headers=headers, source=source)
        sent = answer.headers.get("location", "").startswith(f"{self.mirror.url}/")
        assert sent == (answer.status == 302)
        return sent


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """A world-readable temporary directory, as the workers of root's httpd need."""
    with tempfile.TemporaryDirectory(prefix="front-end-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def running_mirror(directory: Path, *, options: str = "", port: int = 0) -> Iterator[Mirror]:
    """Run a mirror of ``directory/tree``; its log includes Authorization."""
    tree = directory / "tree"
    (tree / "v2").mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    server = nginx.files(tree, port, options=options)
    with running_nginx(directory / "mirror", server, port, more=" authorization=$http_authorization") as log:
        yield Mirror(tree, port, log)


@contextlib.contextmanager
def running_front_end(kind: Kind, directory: Path, front: FrontEnd) -> Iterator[AccessLog]:
    """A web server with our configuration."""
    ports = [int(each.rpartition(":")[2]) for each in (*front.listen, *front.plain_listen)]
    if kind == "nginx":
        with running_nginx(directory, _NGINX_AROUND + render(kind, front), ports[0]) as log:
            yield log
    else:
        with running_httpd(directory, _HTTPD_AROUND + render(kind, front), ports) as log:
            yield log


@contextlib.contextmanager
def distribution(
    kind: Kind,
    directory: Path,
    *,
    sees_tree: bool = False,
    password: bool = False,
    mirror: Mirror | None = None,
    catalog: Path | None = None,
) -> Iterator[Distribution]:
    """Run a registry, a mirror and a front end.

    :param directory: a world-readable directory
    :param sees_tree: whether the front end sees the mirror's files
    :param password: whether the registry requires one
    :param mirror: an already running one
    :param catalog: directory of the catalog
    """
    authority = Authority(directory / "pki")
    with contextlib.ExitStack() as servers:
        registry = servers.enter_context(registries.docker_registry(directory, authority=authority, password=password))
        mirror = mirror or servers.enter_context(running_mirror(directory))
        front = replace(_settings(directory, authority, registry, mirror, sees_tree=sees_tree), catalog=catalog)
        log = servers.enter_context(running_front_end(kind, directory / kind, front))
        (address,) = front.listen
        secret = registries.PASSWORD if password else ""
        yield Distribution(
            kind=kind,
            address=address,
            log=log,
            registry=registry,
            registry_log=directory / f"registry-{registry.partition(':')[2]}.log",
            mirror=mirror,
            switch=front.switch,
            access=registries.access(directory, registry, address, password=secret),
            plain_port=front.plain_addresses[0].port,
            context=ssl.create_default_context(cafile=str(authority.certificate_path)),
        )


def _settings(directory: Path, authority: Authority, registry: str, mirror: Mirror, *, sees_tree: bool) -> FrontEnd:
    certificate = authority.issue("front", server=True)
    return FrontEnd(
        names=("127.0.0.1",),
        no_cdn_names=(NO_CDN,),
        certificate=certificate,
        key=certificate,
        registry=f"https://localhost:{registry.partition(':')[2]}",
        registry_ca=authority.certificate_path,
        mirror=mirror.url,
        tree=mirror.tree if sees_tree else None,
        switch=directory / "redirects-off",
        via=(VIA, "cloudfront"),
        networks=(f"{BUILDER}/32", "2001:db8::/32"),
        listen=(f"127.0.0.1:{free_port()}",),
        plain_listen=(f"127.0.0.1:{free_port()}",),
    )
