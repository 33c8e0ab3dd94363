# SPDX-License-Identifier: GPL-2.0-or-later
"""The API server: requests over TLS, with tokens, RBAC, strict validation, watches and logs."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from fedpkg_container.box.cluster.access import Access
from fedpkg_container.box.cluster.chaos import Chaos
from fedpkg_container.box.cluster.controllers import Controllers
from fedpkg_container.box.cluster.kubelet import Kubelet, OutputLine
from fedpkg_container.box.cluster.store import ApiError, Store, matches
from fedpkg_container.box.tls_server import tls_server

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[a-z0-9.]+)/v[0-9a-z]+)/namespaces/(?P<namespace>[^/]+)/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?"
)
#: Resources, by group.
RESOURCES = {
    "": {"pods", "secrets", "events", "configmaps"},
    "batch": {"jobs"},
    "build.openshift.io": {"builds"},
}
#: Seconds between two looks for the end of a stream.
LOOK = 0.05
#: Longest line that a container runtime writes in one piece (a3), bytes.
LONGEST_LINE = 16384


@dataclass
class Cluster:
    """A simulated cluster.

    :param node_arch: architecture of its nodes
    :param validate: raises ApiError for an object with unknown fields or values of wrong types
    """

    directory: Path
    node_arch: str = "amd64"
    store: Store = field(default_factory=Store)
    access: Access = field(default_factory=Access)
    chaos: Chaos = field(default_factory=Chaos)
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    validate: Callable[[Mapping[str, Any]], None] = lambda _: None

    def __post_init__(self) -> None:
        self.kubelet = Kubelet(self.store, self.chaos, self.directory / "node")
        self.controllers = Controllers(self.store, self.chaos, self.kubelet, self.node_arch)

    @contextlib.contextmanager
    def running(self, certificate: Path, port: int = 0) -> Iterator[Cluster]:
        """Serve on loopback until the end of the block.

        :param certificate: PEM file with certificate and key
        :param port: 0 for a free one
        """
        handler = type("Handler", (_Handler,), {"cluster": self})
        with tls_server(handler, certificate, port=port) as address:
            self.url = f"https://{address}"
            self.controllers.start()
            try:
                yield self
            finally:
                self.controllers.stop()
                self.kubelet.stop()

    def kubeconfig(self, path: Path, ca: Path, token_file: Path, namespace: str) -> Path:
        """Write a kubeconfig with a token in a file."""
        return write_kubeconfig(path, self.url, ca, token_file, namespace)


def write_kubeconfig(path: Path, server: str, ca: Path, token_file: Path, namespace: str) -> Path:
    """Write a kubeconfig with a token in a file; return its path.

    :param server: URL of the API server
    :param ca: CA certificate of its certificate
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "u", "user": {"tokenFile": str(token_file)}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(content))
    return path


class _Handler(http.server.BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    cluster: ClassVar[Cluster]
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        """Handle a request; a client may end its connection at any time."""
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Print nothing."""

    def do_GET(self) -> None:
        """Handle GET."""
        self._handle("GET")

    def do_POST(self) -> None:
        """Handle POST."""
        self._handle("POST")

    def do_DELETE(self) -> None:
        """Handle DELETE."""
        self._handle("DELETE")

    def do_PATCH(self) -> None:
        """Handle PATCH."""
        self._handle("PATCH")

    def _handle(self, method: str) -> None:
        chaos = self.cluster.chaos
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if chaos.away:
            self.close_connection = True
            return
        try:
            if chaos.status:
                raise ApiError(chaos.status, "ServiceUnavailable", "the server is currently unable to handle it")
            self._dispatch(method, json.loads(body) if body else {})
        except ApiError as error:
            self._send(error.code, error.status())

    def _dispatch(self, method: str, body: dict[str, Any]) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/version":
            self._send(200, {"major": "1", "minor": "36"})
            return
        account = self.cluster.access.authenticate(self.headers.get("Authorization", ""))
        match = _PATH.fullmatch(url.path)
        if match is None or match["resource"] not in RESOURCES.get(match["group"] or "", set()):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        resource, name, sub = match["resource"], match["name"] or "", match["sub"]
        watch = query.get("watch") == "true"
        verb = _verb(method, named=bool(name), watch=watch)
        full = f"{resource}/{sub}" if sub else resource
        self.cluster.requests.append((verb, full))
        if (method, full) in self.cluster.chaos.unavailable:
            raise ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request")
        self.cluster.access.check(account, verb, match["group"] or "", full, match["namespace"])
        if sub == "log":
            self._log(match["namespace"], name, query)
        elif watch:
            self._watch(resource, match["namespace"], query)
        else:
            code, result = self._execute(method, resource, match["namespace"], name, query, body)
            if self.cluster.chaos.loses_response(method, resource):
                self.close_connection = True
                return
            self._send(code, result)

    def _execute(
        self, method: str, resource: str, namespace: str, name: str, query: Mapping[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        store = self.cluster.store
        if method == "POST":
            if query.get("fieldValidation") == "Strict":
                self.cluster.validate(body)
            created = store.create(resource, namespace, body)
            if resource == "jobs":
                created["apiVersion"], created["kind"] = "batch/v1", "Job"
            return 201, created
        if method == "PATCH":
            return 200, self._patch(resource, namespace, name, body)
        if method == "DELETE":
            return 200, self.cluster.controllers.delete(resource, namespace, name, body.get("propagationPolicy", ""))
        if name:
            return 200, store.get(resource, namespace, name)
        items = store.list(resource, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        return 200, {"kind": "List", "metadata": {"resourceVersion": str(store.version)}, "items": items}

    def _patch(self, resource: str, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Merge a patch into an object; the data of an immutable one cannot be changed (source: secret validation)."""
        store = self.cluster.store
        if self.headers.get("Content-Type") != "application/merge-patch+json":  # source: the only type that is imitated
            raise ApiError(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        if store.get(resource, namespace, name).get("immutable") and "data" in body:
            message = f'{resource} "{name}" is invalid: data: Forbidden: field is immutable when `immutable` is set'
            raise ApiError(422, "Invalid", message)
        store.update(resource, namespace, name, body)
        return store.get(resource, namespace, name)

    def _send(self, code: int, content: Mapping[str, Any]) -> None:
        raw = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the Date header, by the cluster's clock."""
        return super().date_time_string(int((timestamp or time.time()) + self.cluster.store.offset))

    def _start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _watch(self, resource: str, namespace: str, query: Mapping[str, str]) -> None:
        """Send changes until the timeout; an old version is an event with code 410 in HTTP 200 (a3)."""
        store = self.cluster.store
        version = int(query.get("resourceVersion") or store.version)
        restarts = self.cluster.chaos.restarts
        deadline = time.monotonic() + int(query.get("timeoutSeconds") or 1800)
        labels = query.get("labelSelector", "")
        self._start_stream()
        with contextlib.suppress(OSError):
            while not self._is_interrupted(restarts):
                try:
                    changes = list(store.changes_since(version))
                except ApiError as error:
                    self._chunk(json.dumps({"type": "ERROR", "object": error.status()}).encode() + b"\n")
                    self._chunk(b"")
                    return
                for change in changes:
                    version = change.version
                    if (change.resource, change.namespace) == (resource, namespace) and matches(change.object, labels):
                        self._chunk(json.dumps({"type": change.kind, "object": change.object}).encode() + b"\n")
                if time.monotonic() > deadline:
                    if query.get("allowWatchBookmarks") == "true":
                        bookmark = {"kind": "Pod", "metadata": {"resourceVersion": str(version)}}
                        self._chunk(json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n")
                    self._chunk(b"")
                    return
                with store.changed:
                    if store.version == version or not changes:
                        store.changed.wait(LOOK)
        self.close_connection = True

    def _log(self, namespace: str, name: str, query: Mapping[str, str]) -> None:
        """Send a log, from the current file on; a rotation while it is followed loses nothing (a3)."""
        pod = self.cluster.store.get("pods", namespace, name)
        container = query.get("container") or pod["spec"]["containers"][0]["name"]
        output = self.cluster.kubelet.output(pod["metadata"]["uid"])
        if output is None:  # a3: 400 before the container runs
            message = f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating'
            raise ApiError(400, "BadRequest", message)
        restarts, cut = self.cluster.chaos.restarts, self.cluster.chaos.next_cut()
        at, sent, since = output.rotated, 0, query.get("sinceTime", "")
        self._start_stream()
        with contextlib.suppress(OSError):
            while not self._is_interrupted(restarts):
                ended = output.ended.is_set()
                lines = output.lines[at:]
                at += len(lines)
                for line in lines:
                    if line.timestamp < since:
                        continue
                    content = _log_line(line)
                    if cut and sent == cut:
                        self._chunk(content[: len(content) // 2])
                        self.close_connection = True
                        return
                    self._chunk(content)
                    sent += 1
                if (ended and not lines) or query.get("follow") != "true":
                    self._chunk(b"")
                    return
                output.changed.wait(LOOK)
                output.changed.clear()
        self.close_connection = True

    def _is_interrupted(self, restarts: int) -> bool:
        chaos = self.cluster.chaos
        return chaos.away or chaos.restarts != restarts


def _log_line(line: OutputLine) -> bytes:
    """Return a line as the API shows it: long ones have a timestamp for each part that the runtime wrote (a3)."""
    stamp = line.timestamp.encode() + b" "
    parts = [line.text[at : at + LONGEST_LINE] for at in range(0, len(line.text), LONGEST_LINE)] or [b""]
    return b"".join(stamp + part for part in parts) + b"\n"


def _verb(method: str, *, named: bool, watch: bool) -> str:
    if method == "POST":
        return "create"
    if method in ("DELETE", "PATCH"):
        return method.lower()
    if watch:
        return "watch"
    return "get" if named else "list"
