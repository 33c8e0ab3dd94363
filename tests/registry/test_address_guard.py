# SPDX-License-Identifier: GPL-2.0-or-later
"""The address guard: which addresses redirects, token servers and proxies can make the registry client connect to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.errors import RegistryUnavailableError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.address_guard import AddressGuard, ClosedAddressError
from fedpkg_container.registry.fetch import FetchLimits, fetch_image
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.listening import Listener, closed_port, listener
from tests.support.memory_registry import Fault, MemoryRegistry, memory_registry
from tests.support.pushing import image
from tests.support.registries import PASSWORD, access
from tests.support.registry_clients import Serve

CLOSED = "resolves to an address that builders of this site may not connect to"


@contextmanager
def client(directory: Path, server: MemoryRegistry, *hosts: str) -> Iterator[Repository]:
    """A client that is guarded as a builder's is, of a registry that the site names; and of other hosts."""
    reached = access(directory, server.address, password=PASSWORD)
    guard = AddressGuard(hosts=(server.address, *hosts))
    with RegistryHTTP(
        server.address, certificates=reached.certificates, auth_file=reached.auth_file, guard=guard
    ) as http:
        yield Repository(http, "hello")


@pytest.fixture
def inside() -> Iterator[Listener]:
    """A service of the builder; no test may connect to it."""
    with listener() as found:
        yield found
    assert found.accepted == []


def test_trusted_registry_may_have_any_address(serve: Serve, tmp_path: Path) -> None:
    server, _ = serve()
    with client(tmp_path, server) as repository:
        assert repository.head("latest")


def test_registry_in_dockerfile_at_local_address_is_refused(tmp_path: Path, inside: Listener) -> None:
    guarded = replace(access(tmp_path), guard=AddressGuard(hosts=("registry.example.org",)))
    for registry in (inside.address, inside.address.replace("127.0.0.1", "localhost"), closed_port()):
        with pytest.raises(ClosedAddressError, match=f"{registry} {CLOSED}"):
            Registry(guarded).manifest(ImageReference(registry, "x", "latest"))
        with pytest.raises(ClosedAddressError, match=f"{registry} {CLOSED}"):
            Registry(guarded).tags(ImageReference(registry, "x"))


def test_token_server_at_local_address_is_refused(serve: Serve, tmp_path: Path, inside: Listener) -> None:
    server, _ = serve()
    messages = []
    for address in (inside.address, closed_port()):
        challenge = {"WWW-Authenticate": f'Bearer realm="https://{address}/token",service="x"'}
        server.faults["GET .*manifests"] = [Fault(401, challenge)]
        with client(tmp_path, server) as repository, pytest.raises(ClosedAddressError, match=CLOSED) as caught:
            repository.manifest("latest")
        messages.append(caught.value.reason.replace(address, "ADDRESS"))
    assert messages[0] == messages[1]  # an open port cannot be distinguished from a closed one


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_blob_redirect_to_local_address_is_refused(serve: Serve, tmp_path: Path, inside: Listener, scheme: str) -> None:
    server, source = serve()
    pushed = image(source, "two")
    messages = []
    for address in (inside.address, closed_port()):
        server.faults["GET .*blobs"] = [Fault(307, {"Location": f"{scheme}://{address}/secret"})] * 9
        with client(tmp_path, server) as repository, pytest.raises(ClosedAddressError, match=CLOSED) as caught:
            fetch_image(repository, pushed.digest, tmp_path / "image", limits=FetchLimits(10**6),
                        deadline=Deadline("the test", 60))  # fmt: skip
        messages.append(caught.value.reason.replace(address, "ADDRESS"))
    assert messages[0] == messages[1]
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fec0::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "0.0.0.0", "[::]"]
)
def test_redirects_to_denied_addresses_are_refused(serve: Serve, tmp_path: Path, host: str) -> None:
    server, source = serve()
    digest = image(source, "two").blobs[1].digest
    server.faults["GET .*blobs"] = [Fault(307, {"Location": f"http://{host}/latest/meta-data"})]
    with client(tmp_path, server) as repository, pytest.raises(ClosedAddressError, match=CLOSED):
        repository.open_blob(digest).__enter__()


def test_allowed_hosts_are_connected_to(serve: Serve, tmp_path: Path) -> None:
    server, source = serve()
    digest = image(source, "two").blobs[1].digest
    with memory_registry(tmp_path, token=False) as storage:
        storage["hello"].blobs.update(server["hello"].blobs)
        location = {"Location": f"https://{storage.address}/v2/hello/blobs/{digest}"}
        server.faults["GET .*blobs"] = [Fault(307, location)] * 2
        with client(tmp_path, server, storage.address) as repository, repository.open_blob(digest) as stream:
            assert b"".join(stream.chunks) == server["hello"].blobs[digest]
        with client(tmp_path, server) as repository, pytest.raises(ClosedAddressError):
            repository.open_blob(digest).__enter__()
        assert len(storage.seen) == 1


def test_host_name_is_resolved_only_once(tmp_path: Path, inside: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the name has a different address in the second query."""
    with listener("127.0.0.2") as outside:
        port = int(outside.address.rpartition(":")[2])
        answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]]
        real = socket.getaddrinfo

        def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
            addresses = answers.pop(0) if host == "registry.example.org" else [host]
            return [found for each in addresses for found in real(each, *arguments, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        monkeypatch.setattr(AddressGuard, "allows", lambda _, address: address == "127.0.0.2")
        guarded = replace(access(tmp_path), guard=AddressGuard(), attempts=1)
        with pytest.raises(RegistryUnavailableError):
            Registry(guarded).manifest(ImageReference(f"registry.example.org:{port}", "x", "latest"))
    assert outside.accepted == ["127.0.0.1"]
    assert len(answers) == 2


def test_denied_addresses_of_a_host_are_skipped(
    tmp_path: Path, inside: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = inside.address.rpartition(":")[2]
    real = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        addresses = ["127.0.0.1", "127.0.0.3"] if host == "registry.example.org" else [host]
        return [found for each in addresses for found in real(each, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(AddressGuard, "allows", lambda _, address: address == "127.0.0.3")
    guarded = replace(access(tmp_path), guard=AddressGuard(), attempts=1)
    with pytest.raises(RegistryUnavailableError, match="Connection refused"):  # of 127.0.0.3
        Registry(guarded).manifest(ImageReference(f"registry.example.org:{port}", "x", "latest"))


def test_proxy_is_not_used_for_untrusted_hosts(
    tmp_path: Path, inside: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{inside.address}")
    guarded = replace(access(tmp_path), guard=AddressGuard(), attempts=1)
    with pytest.raises(ClosedAddressError):
        Registry(guarded).manifest(ImageReference(closed_port(), "x", "latest"))
