# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry that stores everything in memory, over TLS: with referrers API, bearer tokens, pagination, and faults."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
import socket
import struct
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from fedpkg_container.box.pki import Authority
from fedpkg_container.box.tls_server import tls_server
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import OCI_INDEX, Manifest
from tests.support import storage
from tests.support.registries import PASSWORD, USER

#: Duration of a hang, seconds.
HANGS = 3.0
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>blobs|manifests|referrers|tags)/(?P<rest>.*)")
#: Kinds of faults: no response; reset connection; body shorter than announced; endless body; slow single bytes; late
#: response.
HANG, RESET, SHORT, ENDLESS, DRIP, LATE = "hang", "reset", "short", "endless", "drip", "late"
#: Interval of such bytes, seconds.
DRIPS = 0.05


@dataclass(frozen=True)
class Fault:
    """A response that replaces the regular one.

    :param kind: empty for a complete response
    """

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"errors": [{"code": "FAULT", "message": "injected"}]}'
    kind: str = ""


@dataclass
class Held:
    """Contents of a repository: tags and digests → manifests."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        return sorted(name for name in self.manifests if ":" not in name)

    @property
    def digests(self) -> list[str]:
        return [name for name in self.manifests if ":" in name]


@dataclass
class MemoryRegistry:
    """The registry.

    :param token: whether it requires a bearer token
    :param uses: number of requests per token; 0 for no limit
    :param lifetime: stated validity of tokens, seconds; 0: not stated
    :param error: of challenges to requests with a token (RFC 6750); empty for none
    :param rejected: number of requests whose token was rejected
    :param page: maximum number of tags or repositories per page
    :param link: format of the link to the next page; ``{}`` is replaced by the page's address on the server
    :param names_digests: whether it sends the digest of a manifest in a header
    :param faults: pattern of ``METHOD /path`` → responses to the next such requests; a number is a status
    :param seen: method, path and authorization of each request
    :param shown: subject of the client certificate of each
    :param times: arrival time of each
    """

    token: bool = True
    uses: int = 0
    lifetime: int = 0
    error: str = ""
    rejected: int = 0
    page: int = 1000
    link: str = "{}"
    names_digests: bool = True
    address: str = ""
    repositories: dict[str, Held] = field(default_factory=dict)
    faults: dict[str, list[Union[int, Fault]]] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    _given: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Held:
        return self.repositories.setdefault(name, Held())

    def asked(self, pattern: str) -> int:
        """Number of requests that matched ``METHOD /path``."""
        return sum(1 for method, path, _ in self.seen if re.search(pattern, f"{method} {path}"))

    def expire(self, token: str) -> None:
        """Reject a token from now on, and accept all others without a limit."""
        del self._given[token]
        self.uses = 0

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        parts = urllib.parse.urlsplit(request.path)
        authorization = request.headers.get("Authorization", "")
        self.seen.append((request.command, parts.path, authorization))
        self.times.append(time.monotonic())
        self.shown.append(_client(request))
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        for pattern, faults in self.faults.items():
            if faults and re.search(pattern, f"{request.command} {request.path}"):
                fault = faults.pop(0)
                fail(request, fault if isinstance(fault, Fault) else Fault(fault))
                return
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/token":
            self._token(request, urllib.parse.parse_qs(parts.query).get("scope", []), authorization)
        elif self.token and not self._authorized(request.command, parts.path, authorization):
            challenge = f'Bearer realm="https://{self.address}/token",service="tests"'
            if authorization:
                self.rejected += 1
                challenge += f',error="{self.error}"' if self.error else ""
            send(request, 401, b"{}", {"WWW-Authenticate": challenge})
        else:
            self._registry(request, parts.path, query, body)

    def _token(self, request: http.server.BaseHTTPRequestHandler, scopes: list[str], authorization: str) -> None:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if authorization != f"Basic {expected}":
            send(request, 401, b"{}")
            return
        number = len(self._given)
        token = f"{number}-for-{'|'.join(scopes)}"
        self._given[token] = 0
        more = {"expires_in": self.lifetime} if self.lifetime else {}
        send(request, 200, json.dumps({"token": token, **more}).encode())

    def _authorized(self, method: str, path: str, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        found = _PATH.fullmatch(path)
        actions = {"GET": "pull(,push)?", "HEAD": "pull(,push)?", "DELETE": r"\*"}.get(method, "pull,push")
        wanted = f"repository:{found['name']}:{actions}" if found else r"registry:catalog:\*"
        wanted = wanted if path != "/v2/" else ".*"
        scopes = token.partition("-for-")[2].split("|")
        if token not in self._given or not any(re.fullmatch(wanted, each) for each in scopes):
            return False
        self._given[token] += 1
        return not self.uses or self._given[token] <= self.uses

    def _registry(
        self, request: http.server.BaseHTTPRequestHandler, path: str, query: dict[str, str], body: bytes
    ) -> None:
        found = _PATH.fullmatch(path)
        if path == "/v2/":
            send(request, 200, b"{}")
        elif path == "/v2/_catalog":
            names = sorted(name for name, held in self.repositories.items() if held.manifests)
            self._page(request, "repositories", names, path, query)
        elif found is None:
            send(request, 404, b"{}")
        elif found["kind"] == "tags":
            self._page(request, "tags", self[found["name"]].tags, path, query)
        elif found["kind"] == "blobs":
            self._blobs(request, self[found["name"]], found["rest"], query, body)
        elif found["kind"] == "referrers":
            listed = _referrers(self[found["name"]], found["rest"])
            send(request, 200, json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode())
        else:
            self._manifests(request, self[found["name"]], found["rest"], body)

    def _page(
        self, request: http.server.BaseHTTPRequestHandler, key: str, names: list[str], path: str, query: dict[str, str]
    ) -> None:
        rest = [name for name in names if name > query.get("last", "")]
        shown = rest[: min(self.page, int(query.get("n", self.page)))]
        headers = {}
        if len(shown) < len(rest):
            following = f"{path}?n={self.page}&last={urllib.parse.quote(shown[-1])}"
            headers["Link"] = f'<{self.link.format(following)}>; rel="next"'
        send(request, 200, json.dumps({key: shown}).encode(), headers)

    def _blobs(
        self, request: http.server.BaseHTTPRequestHandler, held: Held, name: str, query: dict[str, str], body: bytes
    ) -> None:
        if request.command == "POST":
            source = self.repositories.get(query.get("from", ""))
            if source and query.get("mount") in source.blobs:
                held.blobs[query["mount"]] = source.blobs[query["mount"]]
                send(request, 201, b"")
            else:
                send(request, 202, b"", {"Location": f"{urllib.parse.urlsplit(request.path).path}1?state=x"})
        elif request.command == "PUT":
            right = query.get("digest") == digest_of(body)
            held.blobs.update({query["digest"]: body} if right else {})
            send(request, 201 if right else 400, b"")
        elif request.command == "DELETE":
            send(request, 204, b"")
        else:
            send_blob(request, held.blobs.get(name))

    def _manifests(self, request: http.server.BaseHTTPRequestHandler, held: Held, name: str, body: bytes) -> None:
        if request.command == "PUT":
            digest = digest_of(body)
            held.manifests[digest] = held.manifests[name] = body
            subject = (json.loads(body).get("subject") or {}).get("digest")
            send(request, 201, b"", {"OCI-Subject": subject} if subject else {})
            return
        raw = held.manifests.get(name)
        if raw is None:
            send(request, 404, b"{}")
        elif request.command == "DELETE":
            held.manifests = {each: kept for each, kept in held.manifests.items() if kept != raw}
            send(request, 202, b"")
        else:
            send(request, 200, raw, {"Docker-Content-Digest": digest_of(raw)} if self.names_digests else {})


def _client(request: http.server.BaseHTTPRequestHandler) -> str:
    """Return the subject of the client certificate; empty for none."""
    shown = request.connection.getpeercert() or {}
    names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
    return str(names[0]) if names else ""


def _referrers(held: Held, subject: str) -> list[dict[str, Any]]:
    listed = []
    for digest in held.digests:
        raw = held.manifests[digest]
        manifest = json.loads(raw)
        if (manifest.get("subject") or {}).get("digest") == subject:
            listed.append({"digest": digest, "size": len(raw), "artifactType": manifest["artifactType"],
                           "mediaType": manifest["mediaType"],
                           "annotations": manifest.get("annotations") or {}})  # fmt: skip
    return listed


def send_blob(request: http.server.BaseHTTPRequestHandler, content: bytes | None) -> None:
    """Send a blob, or the requested rest of it."""
    found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if content is None:
        send(request, 404, b"{}")
    elif found:
        first = int(found[1])
        part = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        send(request, 206, content[first:], part)
    else:
        send(request, 200, content)


def fail(request: http.server.BaseHTTPRequestHandler, fault: Fault) -> None:
    """Answer a request with a fault."""
    if fault.kind == HANG:
        time.sleep(HANGS)
    elif fault.kind == LATE:
        time.sleep(HANGS / 3)
        send(request, fault.status, fault.body, fault.headers)
    elif fault.kind == RESET:
        request.close_connection = True
        linger = struct.pack("ii", 1, 0)
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        request.connection.shutdown(socket.SHUT_RDWR)
    elif fault.kind == SHORT:
        request.close_connection = True
        send(request, fault.status, fault.body, {**fault.headers, "Content-Length": str(len(fault.body) + 100)})
    elif fault.kind == ENDLESS:
        request.close_connection = True
        send(request, fault.status, b"", {**fault.headers, "Content-Length": str(10**12)})
        with contextlib.suppress(OSError):
            while True:
                request.wfile.write(fault.body)
    elif fault.kind == DRIP:
        request.close_connection = True
        send(request, fault.status, b"", {"Content-Length": str(10**9), **fault.headers})
        with contextlib.suppress(OSError):
            while True:
                request.wfile.write(b" ")
                time.sleep(DRIPS)
    else:
        send(request, fault.status, fault.body, fault.headers)


def send(
    request: http.server.BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    """Send a response."""
    request.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


class MemoryStorage(storage.Storage):
    """The contents of a registry in memory, written without requests.

    :param confirms_subject: whether the registry confirms the subject of a manifest
    """

    def __init__(self, registry: MemoryRegistry, *, confirms_subject: bool) -> None:
        super().__init__(Path(), confirms_subject)
        object.__setattr__(self, "registry", registry)

    def blob(self, repository: str, content: bytes, media_type: str = storage.LAYER) -> dict[str, Any]:
        digest = digest_of(content)
        self.registry[repository].blobs[digest] = content  # type: ignore[attr-defined]
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def manifest(self, repository: str, manifest: Manifest, *tags: str) -> Manifest:
        for name in (manifest.digest, *tags):
            self.registry[repository].manifests[name] = manifest.raw  # type: ignore[attr-defined]
        return manifest

    def find(self, repository: str, name: str) -> bytes:
        try:
            return bytes(self.registry[repository].manifests[name])  # type: ignore[attr-defined]
        except KeyError as error:
            raise FileNotFoundError(name) from error


@contextlib.contextmanager
def memory_registry(directory: Path, **settings: Any) -> Iterator[MemoryRegistry]:
    """A registry in memory, over TLS.

    :param directory: has the CA of its certificate, as needed by ``registries.access``
    """
    registry = MemoryRegistry(**settings)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            with contextlib.suppress(OSError):
                registry.answer(self)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            pass

    authority = Authority(directory / "pki")
    certificate = authority.issue("registry", server=True)
    with contextlib.ExitStack() as stack:
        registry.address = stack.enter_context(tls_server(Handler, certificate, authority.certificate_path))
        if not registry.token:  # a client that pushes with requests has tokens afterwards, which tests count
            stack.enter_context(storage.running_in(registry.address, MemoryStorage(registry, confirms_subject=True)))
        yield registry
