"""Answers of a registry that are lost, that nobody can count, or that say what cannot be; and its connections."""

from __future__ import annotations

import contextlib
import http.server
import json
import time

import pytest
import urllib3.connection

from fedpkg_container.errors import RegistryError, RegistryUnavailableError
from fedpkg_container.registry import referrers
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import ATTEMPTS
from fedpkg_container.registry.manifests import LARGEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from tests.support.memory_registry import ENDLESS, RESET, Fault, Held, MemoryRegistry, fail
from tests.support.registry_clients import Serve, latest


def test_a_blob_that_was_stored_and_whose_answer_is_lost(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve()
    store = MemoryRegistry._blobs
    uploads: list[str] = []

    def lossy(
        self: MemoryRegistry, request: http.server.BaseHTTPRequestHandler, held: Held, name: str,
        query: dict[str, str], body: bytes,
    ) -> None:  # fmt: skip
        if request.command != "PUT":
            store(self, request, held, name, query, body)
            return
        uploads.append(name)
        if len(uploads) > 1:
            fail(request, Fault(404))  # an upload ends with the blob
            return
        held.blobs[query["digest"]] = body
        fail(request, Fault(kind=RESET))

    monkeypatch.setattr(MemoryRegistry, "_blobs", lossy)
    assert repository.push(b"content") == digest_of(b"content")
    assert server["hello"].blobs[digest_of(b"content")] == b"content"
    assert len(uploads) == 1, "it is looked for, and found"


@pytest.mark.parametrize("after", ["9" * 400, "9" * 5000, "Fri, 31 Dec 99999999999 23:59:59 GMT"])
def test_times_that_nobody_can_count(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})]
    with contextlib.suppress(RegistryUnavailableError):  # what is far too long is given up at once
        assert repository.manifest("latest")
    assert len(server.seen) <= 2


def test_what_is_done_again_as_a_whole_is_not_done_again_in_parts(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    server.faults["GET"] = [503] * 100
    with pytest.raises(RegistryError):
        repository.http.again(lambda: repository.blob(config))
    assert len(server.seen) == ATTEMPTS
    server.faults["GET"] = [503]
    assert repository.blob(config), "and afterwards requests are repeated as before"


def test_addresses_that_are_none(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(302, {"Location": "https://[none"})]
    with pytest.raises(RegistryError, match="leads to what is no address"):
        repository.manifest("latest")
    server.faults["POST"] = [Fault(202, {"Location": "https://[none"})]
    with pytest.raises(RegistryError, match="leads to what is no address"):
        repository.push(b"content")
    server.faults["/tags/list"] = [Fault(200, {"Link": '<https://[none>; rel="next"'}, b'{"tags": []}')]
    with pytest.raises(RegistryError, match="leads to what is no address"):
        list(repository.tags())


def test_sizes_that_nothing_can_have() -> None:
    facts = {"mediaType": "x", "digest": "sha256:" + "0" * 64}
    assert Descriptor.of({**facts, "size": LARGEST}).size == LARGEST
    for size in (LARGEST + 1, 10**30, -1):
        with pytest.raises(RegistryError, match="size"):
            Descriptor.of({**facts, "size": size})


@pytest.mark.parametrize("listed", [5, {}, "x", True])
def test_lists_that_are_none(serve: Serve, listed: object) -> None:
    server, repository = serve(token=False)
    image = {"mediaType": OCI_MANIFEST, "config": {}, "layers": [], "manifests": listed}
    assert Manifest.read(json.dumps(image).encode()).architectures() == []
    digest = digest_of(latest(server))
    repository.http.without_referrers.add(repository.name)
    server["hello"].manifests[referrers.fallback_tag(digest)] = json.dumps(
        {"mediaType": OCI_INDEX, "manifests": listed}
    ).encode()
    with pytest.raises(RegistryError, match="no list of referrers"):
        referrers.listing(repository, digest)


def test_one_connection_is_used_again_and_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve(uses=5)
    (config, *_) = Manifest.read(latest(server)).blobs
    connect = urllib3.connection.HTTPSConnection.connect
    made: list[object] = []

    def counted(self: urllib3.connection.HTTPSConnection) -> None:
        made.append(self)
        connect(self)

    monkeypatch.setattr(urllib3.connection.HTTPSConnection, "connect", counted)
    server.faults["/manifests/old"] = [Fault(308, {"Location": "/v2/hello/manifests/latest"}, b"moved")] * 50
    for _ in range(5):
        assert repository.manifest("latest")
        assert repository.manifest("old")
        assert repository.blob(config)
        assert not repository.head("none")
    assert server.asked("/token") > 2
    assert made == [], "neither tokens that expire nor redirections cost one"


def test_a_redirection_without_end_is_not_read(serve: Serve) -> None:
    server, repository = serve(token=False)
    begun = time.monotonic()
    server.faults["/manifests/old"] = [Fault(302, {"Location": "latest"}, b" " * 1_000_000, ENDLESS)]
    assert repository.manifest("old")
    assert time.monotonic() - begun < 5
