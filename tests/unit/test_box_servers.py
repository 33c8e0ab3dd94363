# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's own servers: clients that are silent, slow or send too much do not stop other clients."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from fedpkg_container.box import tls
from fedpkg_container.box.hub.app import AccessLog
from fedpkg_container.box.pki import Authority

#: Seconds; far more than an answer takes, far less than the silent clients would block a server for.
PATIENCE = 60.0
SILENT = 3 * tls.THREADS
LARGEST = 1000


@dataclass(frozen=True)
class Running:
    """A server in this process.

    :param sizes: of the bodies that the application read
    """

    port: int
    url: str
    ca: str
    client: str
    sizes: list[int]

    def get(self, **options: Any) -> requests.Response:
        return requests.get(self.url, verify=self.ca, timeout=PATIENCE, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def connect_securely(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.ca)
        return context.wrap_socket(self.connect(), server_hostname="127.0.0.1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=["https", "http"])
def server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Running]:
    sizes: list[int] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        sizes.append(len(environ["wsgi.input"].read()))
        body = environ.get("SSL_CLIENT_S_DN_CN", "nobody").encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    secure = request.param == "https"
    certificates = (
        {"certificate": authority.issue("hub", server=True), "ca": authority.certificate_path} if secure else {}
    )
    made = tls.make_server(application, ("127.0.0.1", 0), largest_body=LARGEST, **(certificates if secure else {}))
    made.prepare()
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    port = made.bind_addr[1]
    yield Running(
        port,
        f"{request.param}://127.0.0.1:{port}/",
        str(authority.certificate_path),
        str(authority.issue("packager")),
        sizes,
    )
    made.stop()
    thread.join(PATIENCE)


@contextlib.contextmanager
def clients(server: Running, sent: bytes, *, connect: Callable[[], socket.socket] | None = None) -> Iterator[None]:
    with contextlib.ExitStack() as opened:
        for _ in range(SILENT):
            client = opened.enter_context((connect or server.connect)())
            client.sendall(sent)
        yield


def _closed(client: socket.socket) -> bool:
    """Whether the server ends a connection."""
    client.settimeout(PATIENCE)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while client.recv(4096):
            pass
    return True


def test_a_client_is_known_by_its_certificate(server: Running) -> None:
    secure = server.url.startswith("https")
    assert server.get(cert=server.client).text == ("packager" if secure else "nobody")
    assert server.get().text == "nobody"


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_silent_clients_and_halves_of_a_handshake(
    server: Running, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 2 * PATIENCE)
    monkeypatch.setattr(tls, "HEAD_TIMEOUT", 1.0)
    with clients(server, sent):
        began = time.monotonic()
        assert server.get().text == "nobody"
        assert time.monotonic() - began < PATIENCE


def test_silent_clients_after_the_handshake(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 2 * PATIENCE)
    monkeypatch.setattr(tls, "HEAD_TIMEOUT", 2 * PATIENCE)
    connect = server.connect_securely if server.url.startswith("https") else server.connect
    with clients(server, b"", connect=connect):
        assert server.get().text == "nobody"


def test_halves_of_a_request(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HEAD_TIMEOUT", 1.0)
    connect = server.connect_securely if server.url.startswith("https") else server.connect
    with clients(server, b"GET / HTTP/1.1\r\nHost:", connect=connect):
        assert server.get().text == "nobody"


def test_silent_clients_are_disconnected(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.5)
    with server.connect() as client:
        assert _closed(client)


def test_a_request_that_trickles_is_ended(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "REQUEST_TIMEOUT", 1.0)
    connect = server.connect_securely if server.url.startswith("https") else server.connect
    with connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nx")
        assert _closed(client)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(server: Running, chunked: bool) -> None:
    def parts() -> Iterator[bytes]:
        yield from [b"x" * LARGEST] * 50

    body: Any = parts() if chunked else b"x" * (LARGEST + 1)
    try:
        status = requests.post(server.url, body, verify=server.ca, timeout=PATIENCE).status_code
    except requests.ConnectionError:  # refused while we were still sending
        status = 413
    assert status in ((413, 500) if chunked else (413,))
    assert server.sizes == []


def test_a_body_of_the_largest_size(server: Running) -> None:
    assert requests.post(server.url, b"x" * LARGEST, verify=server.ca, timeout=PATIENCE).ok
    assert server.sizes == [LARGEST]


def test_a_head_that_is_too_large(server: Running) -> None:
    try:
        status = server.get(headers={"X-Long": "x" * (tls.LARGEST_HEAD + 1)}).status_code
    except requests.ConnectionError:
        status = 413
    assert status == 413
    assert server.sizes == []


def test_a_name_of_a_call_is_one_word_of_the_log(tmp_path: Path) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["hub.call"] = "getTag 200 0 0\n2026 admin deleteAll\x1b[2J" + "x" * 10_000
        start_response("200 OK", [])
        return []

    log = AccessLog(application, tmp_path / "log")
    log({"REQUEST_METHOD": "POST"}, lambda *_: None)
    line = (tmp_path / "log").read_text()
    assert len(line.splitlines()) == 1
    assert len(line.split()) == 6
    assert len(line) < 200
    assert "\x1b" not in line
