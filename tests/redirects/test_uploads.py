# SPDX-License-Identifier: GPL-2.0-or-later
"""Uploads through the front end: any size, chunked, and unbuffered."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import ssl
import time
from pathlib import Path

from tests.support.front_ends import Distribution
from tests.support.waiting import PATIENCE, eventually

MEGABYTE = 1 << 20


def _begin(running: Distribution) -> str:
    place = running.ask("POST", "/v2/uploads-are-large/blobs/uploads/").headers["location"]
    return place.partition(running.address)[2]


def _connect(running: Distribution) -> ssl.SSLSocket:
    host, _, port = running.address.partition(":")
    return running.context.wrap_socket(
        socket.create_connection((host, int(port)), timeout=PATIENCE), server_hostname=host
    )


def _arrived(running: Distribution) -> int:
    """Bytes of uploads that the registry has on disk."""
    files = running.registry_log.parent.glob("data-*/docker/registry/v2/repositories/uploads-are-large/_uploads/*/data")
    return sum(path.stat().st_size for path in files)


def test_chunked_upload_is_streamed(running: Distribution) -> None:
    content, before = os.urandom(MEGABYTE), _arrived(running)
    with _connect(running) as connection:
        connection.sendall(
            f"PATCH {_begin(running)} HTTP/1.1\r\nHost: {running.address}\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: application/octet-stream\r\n\r\n".encode()
        )
        connection.sendall(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        # Not all: every server on the way has a buffer, of some kilobytes.
        eventually(
            lambda: _arrived(running) - before >= MEGABYTE // 2,
            lambda: "the upload is kept by the front end until it is complete",
        )
        connection.sendall(b"0\r\n\r\n")
        answer = http.client.HTTPResponse(connection, method="PATCH")
        answer.begin()
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{MEGABYTE - 1}")
        place = answer.headers["Location"].partition(running.address)[2]
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert running.ask("PUT", f"{place}&digest={digest}", headers={"Content-Length": "0"}).status == 201
    with running.switched_off():
        assert running.ask("GET", f"/v2/uploads-are-large/blobs/{digest}").body == content


def test_client_may_pause(running: Distribution) -> None:
    with _connect(running) as connection:
        connection.sendall(
            f"PATCH {_begin(running)} HTTP/1.1\r\nHost: {running.address}\r\nContent-Length: 8\r\n\r\nhalf".encode()
        )
        time.sleep(4)
        connection.sendall(b"half")
        answer = http.client.HTTPResponse(connection, method="PATCH")
        answer.begin()
        assert (answer.status, answer.headers["Range"]) == (202, "0-7")


def test_upload_size_is_unlimited(running: Distribution) -> None:
    """Two terabytes are announced; a server with a limit answers 413 at once. (httpd's is 1 GiB where none is set.)"""
    with _connect(running) as connection:
        connection.sendall(
            f"PATCH {_begin(running)} HTTP/1.1\r\nHost: {running.address}\r\nContent-Length: {2 << 40}\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(os.urandom(4 * MEGABYTE))
        eventually(lambda: _arrived(running) >= 3 * MEGABYTE, lambda: _arrived(running))


def test_nothing_is_buffered_in_files(running: Distribution) -> None:
    """Neither of an upload nor of a download by a client that is slower than the registry."""
    directory = Path(running.log.path.parent)
    content = os.urandom(24 * MEGABYTE)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    before = {path: path.stat().st_mtime_ns for name in ("body", "proxy") for path in directory.glob(name)}
    place = f"{_begin(running)}&digest={digest}"
    headers = {"Content-Type": "application/octet-stream"}
    assert running.ask("PUT", place, body=content, headers=headers).status == 201
    with running.switched_off(), _connect(running) as connection:
        path = f"/v2/uploads-are-large/blobs/{digest}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {running.address}\r\nConnection: close\r\n\r\n".encode())
        time.sleep(1)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.read() == content
    assert {path: path.stat().st_mtime_ns for path in before} == before
