"""Registries for tests: docker-registry with or without a password, and one that knows the referrers API."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import socket
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fedpkg_container.box.pki import Authority
from fedpkg_container.box.registry import program
from fedpkg_container.process import background
from fedpkg_container.registry.manifests import MANIFEST, OCI_INDEX
from fedpkg_container.registry.registry import Access, Registry
from tests.support.tls_server import tls_server

USER, PASSWORD = "pusher", "registry secret"
#: Seconds that a registry hangs when it does.
HANGS = 3.0
#: The password as htpasswd keeps it (bcrypt).
_HASH = "$2b$05$ykJfaBewvdp.PFfygRdXnuGoykHWN46nn/jl0HQhBOMM4gF90SDZy"


def access(folder: Path, *hosts: str, password: str = "") -> Access:
    """How these registries are reached, with an auth file when a password is given."""
    certificates = folder / "certs"
    certificates.mkdir(exist_ok=True)
    (certificates / "ca.crt").write_bytes(Authority(folder / "pki").certificate_path.read_bytes())
    if not password:
        return Access(certificates, None)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path = folder / "auth.json"
    path.write_text(json.dumps({"auths": {host: {"auth": auth} for host in hosts}}))
    return Access(certificates, path)


@contextlib.contextmanager
def docker_registry(
    folder: Path,
    *,
    password: bool = False,
    authority: Authority | None = None,
    port: int = 0,
    data: Path | None = None,
    redirect: str = "",
) -> Iterator[str]:
    """docker-registry over TLS, its data in a folder; its address.

    :param authority: who issues its certificate; one of its own when None
    :param port: of one that was ended, which goes on with its data; 0: a new one
    :param data: where it keeps images; a folder of its own for each port when None
    :param redirect: the address of a server of the data, to which it sends those who ask for a blob
    """
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
    certificate = str((authority or Authority(folder / "pki")).issue("registry", server=True))
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(data or folder / f"data-{port}")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "tls": {"certificate": certificate, "key": certificate}},
    }
    if redirect:
        settings["middleware"] = {"storage": [{"name": "redirect", "options": {"baseurl": redirect}}]}
    if password:
        (folder / "htpasswd").write_text(f"{USER}:{_HASH}\n")
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    configuration = folder / f"registry-{port}.yml"
    with configuration.open("w") as file:
        YAML(typ="safe").dump(settings, file)
    with background([program(), "serve", configuration], log=folder / f"registry-{port}.log"):
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < deadline, (folder / f"registry-{port}.log").read_text()
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"


@dataclass
class ReferrersRegistry:
    """A registry that keeps its content in memory, lists referrers itself, and asks for a bearer token.

    :param faults: what the next requests are answered with: path → statuses; 0 for no answer
    :param seen: method, path and what authorized the request
    """

    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        parts = urllib.parse.urlsplit(request.path)
        authorization = request.headers.get("Authorization", "")
        self.seen.append((request.command, parts.path, authorization))
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        for pattern, statuses in self.faults.items():
            if re.search(pattern, parts.path) and statuses:
                status = statuses.pop(0)
                if not status:
                    time.sleep(HANGS)
                    return
                self._send(request, status, b'{"errors": [{"code": "FAULT", "message": "injected"}]}')
                return
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/token":
            self._token(request, query, authorization)
        elif not self._authorized(request.command, parts.path, authorization):
            challenge = f'Bearer realm="https://{self.address}/token",service="tests"'
            self._send(request, 401, b"{}", {"WWW-Authenticate": challenge})
        else:
            self._registry(request, parts.path, query, body)

    def _token(self, request: http.server.BaseHTTPRequestHandler, query: dict[str, str], authorization: str) -> None:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if authorization != f"Basic {expected}":
            self._send(request, 401, b"{}")
            return
        self._send(request, 200, json.dumps({"token": f"for {query['scope']}".replace(" ", "-")}).encode())

    def _authorized(self, method: str, path: str, authorization: str) -> bool:
        repository = re.sub(r"^/v2/|/(blobs|manifests|referrers|tags)/.*", "", path)
        actions = ("pull", "pull,push") if method in ("GET", "HEAD") else ("pull,push",)
        return authorization in {f"Bearer for-repository:{repository}:{each}" for each in actions}

    def _registry(
        self, request: http.server.BaseHTTPRequestHandler, path: str, query: dict[str, str], body: bytes
    ) -> None:
        kind, _, name = path.removeprefix("/v2/").partition("/")[2].partition("/")
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if request.command == "POST":
            self._send(request, 202, b"", {"Location": f"{path}1?state=x"})
        elif request.command == "PUT" and kind == "blobs":
            self.blobs[digest] = body
            self._send(request, 201 if query.get("digest") == digest else 400, b"")
        elif request.command == "PUT":
            self.manifests[digest] = self.manifests[name] = body
            subject = (json.loads(body).get("subject") or {}).get("digest")
            self._send(request, 201, b"", {"OCI-Subject": subject} if subject else {})
        elif kind == "tags":
            tags = [each for each in self.manifests if ":" not in each]
            self._send(request, 200, json.dumps({"tags": tags}).encode())
        elif kind == "referrers":
            self._send(request, 200, json.dumps(self._referrers(name)).encode())
        else:
            found = (self.blobs if kind == "blobs" else self.manifests).get(name)
            self._send(request, 404 if found is None else 200, found or b"")

    def _referrers(self, subject: str) -> dict[str, Any]:
        listed = []
        for digest, raw in self.manifests.items():
            manifest = json.loads(raw)
            if digest.startswith("sha256:") and (manifest.get("subject") or {}).get("digest") == subject:
                listed.append({"digest": digest, "size": len(raw), "artifactType": manifest["artifactType"],
                               "mediaType": manifest["mediaType"]})  # fmt: skip
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}

    @staticmethod
    def _send(
        request: http.server.BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        request.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


@contextlib.contextmanager
def referrers_registry(folder: Path) -> Iterator[ReferrersRegistry]:
    """A registry with the referrers API, over TLS."""
    registry = ReferrersRegistry()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            registry.answer(self)

        do_GET = do_HEAD = do_PUT = do_POST = handle_any

        def log_message(self, *_: object) -> None:
            pass

    with tls_server(Handler, Authority(folder / "pki").issue("registry", server=True)) as registry.address:
        yield registry


def push_image(
    registry: Registry, host: str, repository: str, name: str, labels: Mapping[str, str] | None = None
) -> str:
    """Push an image without layers; its digest.

    :param name: makes it another image
    :param labels: that it has besides
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
