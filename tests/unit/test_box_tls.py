# SPDX-License-Identifier: GPL-2.0-or-later
"""The box's servers: who connects to them and what that does to others."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from cheroot.wsgi import Server

from fedpkg_container.box import tls
from fedpkg_container.box.pki import Authority
from fedpkg_container.box.tls_server import tls_server
from tests.support.waiting import PATIENCE, eventually


def _application(environ: dict[str, str], start: Callable[..., object]) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/endless":
        return itertools.repeat(b"x" * 1000)
    return [f"{environ['wsgi.url_scheme']} {environ.get('SSL_CLIENT_S_DN_CN', 'anonymous')}".encode()]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    certificate = authority.issue("127.0.0.1", server=True)
    server = tls.make_server(_application, ("127.0.0.1", 0), certificate=certificate, ca=authority.certificate_path)
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server
    server.stop()
    thread.join(PATIENCE)


def _connected(server: Server, authority: Authority) -> ssl.SSLSocket:
    """A client after its handshake."""
    context = ssl.create_default_context(cafile=str(authority.certificate_path))
    plain = socket.create_connection(server.bind_addr, timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def _get(server: Server, authority: Authority, cert: Path | None = None) -> str:
    url = f"https://127.0.0.1:{server.bind_addr[1]}/"
    answer = requests.get(
        url, verify=str(authority.certificate_path), cert=str(cert) if cert else None, timeout=PATIENCE
    )
    return answer.text


def test_a_silent_connection_delays_no_client(server: Server, authority: Authority) -> None:
    with ExitStack() as connections:
        silent = [connections.enter_context(socket.create_connection(server.bind_addr)) for _ in range(5)]
        assert _get(server, authority) == "https anonymous"
        for each in silent:
            each.setblocking(False)
            with pytest.raises(BlockingIOError):
                each.recv(1)


def test_a_client_that_takes_no_part_in_the_handshake_is_let_go(
    server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.2)
    for said in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(server.bind_addr, timeout=PATIENCE) as connection:
            connection.sendall(said)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(1024):
                    pass
    monkeypatch.undo()
    assert _get(server, authority) == "https anonymous"


def test_a_client_is_known_by_its_certificate(server: Server, authority: Authority) -> None:
    with requests.Session() as session:
        session.cert = str(authority.issue("user"))
        for _ in range(2):
            url = f"https://127.0.0.1:{server.bind_addr[1]}/"
            answer = session.get(url, verify=str(authority.certificate_path), timeout=PATIENCE)
            assert answer.text == "https user", "for each request of a connection"


@pytest.mark.parametrize("leaves", [True, False])
def test_half_a_head_is_not_logged_as_an_error_of_the_server(
    server: tls._Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    """The client closes the connection, or the server does at its timeout: no connection is left for a status."""
    logged: list[object] = []
    monkeypatch.setattr(server, "error_log", lambda *arguments, **_: logged.append(arguments))
    monkeypatch.setattr(tls, "HEAD_TIMEOUT", 2 * PATIENCE if leaves else 0.2)
    with _connected(server, authority) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost:")
        if leaves:
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while client.recv(1024):  # until the server has closed, which it does after logging
                pass
    eventually(lambda: not server.watched, lambda: server.watched)
    assert logged == []


def test_what_a_client_did_not_receive_is_discarded(
    server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to be flushed into a closed socket when the connection is collected."""
    closed: list[tls._Connection] = []
    close = tls._Connection.close

    def recording(connection: tls._Connection) -> None:
        connection.wfile._write_buf.extend(b"not received")
        close(connection)
        closed.append(connection)

    monkeypatch.setattr(tls._Connection, "close", recording)
    with _connected(server, authority) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while client.recv(1024):
            pass
    eventually(lambda: bool(closed), lambda: closed)
    closed[0].wfile.close()  # as the collector does; it raises OSError if it still flushes
    assert closed[0].wfile.closed


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "THREADS", 1)


@pytest.mark.usefixtures("one_thread")
def test_a_client_that_leaves_ends_no_other_connection(request: pytest.FixtureRequest, authority: Authority) -> None:
    """The error of its connection is not found again on that of a client that is served next and is slow."""
    server = request.getfixturevalue("server")
    with _connected(server, authority) as slow:
        leaving = _connected(server, authority)
        leaving.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert leaving.recv(1024).startswith(b"HTTP/1.1 200 OK")
        leaving.close()
        eventually(lambda: len(server.watched) == 1, lambda: server.watched)
        for part in (b"GET / HTTP/1.1\r\nHost: a\r\n", b"Connection: close\r\n\r\n"):
            slow.sendall(part)
            time.sleep(0.2)  # until the server waits for the rest
        answer = b"".join(iter(lambda: slow.recv(1024), b""))
    assert b"https anonymous" in answer


@pytest.mark.parametrize("error", [ConnectionResetError(104, "gone"), ssl.SSLEOFError(8, "EOF"), KeyError("bug")])
def test_only_an_error_of_the_server_has_a_traceback(
    authority: Authority, capfd: pytest.CaptureFixture[str], error: Exception
) -> None:
    """The second server: that of the simulated cluster."""

    class Failing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raise error

    with tls_server(Failing, authority.issue("127.0.0.1", server=True)) as address:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"https://{address}/", verify=str(authority.certificate_path), timeout=PATIENCE)
    # The connection is closed after the error was handled.
    assert ("Traceback" in capfd.readouterr().err) == isinstance(error, KeyError)
