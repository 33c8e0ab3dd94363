# SPDX-License-Identifier: GPL-2.0-or-later
"""An external network: a network namespace behind a veth pair, with servers in it."""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import PATIENCE, eventually

NAMESPACE = "fc-outside"
#: This machine's address towards the external network, and that of a server there.
OWN, OUTSIDE = "198.51.100.1", "198.51.100.2"
#: Further external addresses: the cloud metadata service, and a network denied by the site.
METADATA, DENIED = "169.254.169.254", "203.0.113.7"
PORT = 8765
#: Lock: one process per machine has the external network, since the addresses are the machine's. It is an abstract
#: socket, which belongs to the network namespace like the addresses: directory trees entered by chroot share it.
_LOCK = "\0fedpkg-container-outside"
#: Responses of the external server, and of those on this machine.
PUBLIC, INTERNAL = "from-the-outside", "from-the-builder-itself"


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, timeout=PATIENCE, capture_output=not check)


@contextlib.contextmanager
def outside(directory: Path) -> Iterator[None]:
    """The external network, with a server there, and one on every address of this machine."""
    with _locked(), _namespace(directory):
        yield


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Wait until no other process has one."""
    with socket.socket(socket.AF_UNIX) as lock:
        eventually(lambda: _lock(lock), lambda: "another process still has the external network", seconds=500)
        yield


def _lock(lock: socket.socket) -> bool:
    try:
        lock.bind(_LOCK)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


@contextlib.contextmanager
def _namespace(directory: Path) -> Iterator[None]:
    _remove()
    _ip("netns", "add", NAMESPACE)
    try:
        _ip("link", "add", "fc-here", "type", "veth", "peer", "name", "fc-there", "netns", NAMESPACE)
        _ip("address", "add", f"{OWN}/24", "dev", "fc-here")
        _ip("link", "set", "fc-here", "up")
        for address in (f"{OUTSIDE}/24", f"{METADATA}/32", f"{DENIED}/32"):
            _ip("-n", NAMESPACE, "address", "add", address, "dev", "fc-there")
        for device in ("lo", "fc-there"):
            _ip("-n", NAMESPACE, "link", "set", device, "up")
        for address in (METADATA, DENIED):
            _ip("route", "add", address, "via", OUTSIDE)
        with contextlib.ExitStack() as stack:
            there = ["ip", "netns", "exec", NAMESPACE]
            stack.enter_context(_server(directory / "outside", PUBLIC, there, OUTSIDE))
            stack.enter_context(_server(directory / "here", INTERNAL, [], OWN))
            yield
    finally:
        _remove()


def _remove() -> None:
    _ip("link", "delete", "fc-here", check=False)
    _ip("netns", "delete", NAMESPACE, check=False)


@contextlib.contextmanager
def late_address(address: str) -> Iterator[None]:
    """Another address of this machine, beside its address towards the external network."""
    _ip("address", "add", f"{address}/32", "dev", "fc-here")
    try:
        yield
    finally:
        _ip("address", "delete", f"{address}/32", "dev", "fc-here")


@contextlib.contextmanager
def _server(directory: Path, text: str, prefix: list[str], address: str) -> Iterator[None]:
    directory.mkdir()
    (directory / "index.html").write_text(f"{text}\n")
    command = [
        *prefix,
        sys.executable,
        "-m",
        "http.server",
        "--bind",
        "0.0.0.0",
        "--directory",
        str(directory),
        str(PORT),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: fetch(address) == text, lambda: f"the server at {address} does not answer")
        yield
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)


#: Address of this machine's resolver: on loopback, as for systemd-resolved.
RESOLVER = "127.8.7.6"


@contextlib.contextmanager
def resolver() -> Iterator[None]:
    """A resolver that returns the external server for every name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((RESOLVER, 53))
        server.settimeout(0.1)
        ended = threading.Event()
        thread = threading.Thread(target=_answer, args=(server, ended))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=PATIENCE)


def _answer(server: socket.socket, ended: threading.Event) -> None:
    while not ended.is_set():
        with contextlib.suppress(socket.timeout):
            query, client = server.recvfrom(512)
            question = query[12 : query.index(b"\0", 12) + 5]
            is_a = question[-4:-2] == b"\0\1"
            head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(OUTSIDE)
            server.sendto(head + question + (record if is_a else b""), client)


def fetch(address: str) -> str:
    """Return a server's response to this machine; empty for none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}:{PORT}/", timeout=2) as answer:
            return str(answer.read().decode().strip())
    except (OSError, urllib.error.URLError):
        return ""
