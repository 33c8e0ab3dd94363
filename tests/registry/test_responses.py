# SPDX-License-Identifier: GPL-2.0-or-later
"""Lost, malformed and slow responses of a registry, and reuse of connections."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.server
import json
import logging
import re
import threading
from pathlib import Path

import pytest
import urllib3.connection

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.registry import http as http_module
from fedpkg_container.registry import referrers
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import ATTEMPTS, RegistryHTTP
from fedpkg_container.registry.manifests import MAX_DESCRIPTOR_SIZE, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from fedpkg_container.registry.repository import Repository
from tests.support import memory_registry
from tests.support.memory_registry import DRIP, ENDLESS, HANG, LATE, RESET, Fault, Held, MemoryRegistry, fail
from tests.support.registry_clients import Serve, latest
from tests.support.waiting import PATIENCE, eventually, slowed


def test_lost_response_after_blob_upload(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_retry_after_out_of_range_is_ignored(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})]
    with contextlib.suppress(RegistryUnavailableError):  # what is far too long is given up at once
        assert repository.manifest("latest")
    assert len(server.seen) <= 2


def test_nested_operations_are_retried_only_as_a_whole(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    server.faults["GET"] = [503] * 100
    with pytest.raises(RegistryError):
        repository.http.retry(lambda: repository.blob(config))
    assert len(server.seen) == ATTEMPTS
    server.faults["GET"] = [503]
    assert repository.blob(config), "and afterwards requests are repeated as before"


def test_invalid_urls_are_errors(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(302, {"Location": "https://[none"})]
    with pytest.raises(RegistryError, match="invalid URL from"):
        repository.manifest("latest")
    server.faults["POST"] = [Fault(202, {"Location": "https://[none"})]
    with pytest.raises(RegistryError, match="invalid URL from"):
        repository.push(b"content")
    server.faults["/tags/list"] = [Fault(200, {"Link": '<https://[none>; rel="next"'}, b'{"tags": []}')]
    with pytest.raises(RegistryError, match="invalid URL from"):
        list(repository.tags())


def test_descriptor_sizes_out_of_range() -> None:
    facts = {"mediaType": "x", "digest": "sha256:" + "0" * 64}
    assert Descriptor.of({**facts, "size": MAX_DESCRIPTOR_SIZE}).size == MAX_DESCRIPTOR_SIZE
    for size in (MAX_DESCRIPTOR_SIZE + 1, 10**30, -1):
        with pytest.raises(RegistryError, match="size"):
            Descriptor.of({**facts, "size": size})


@pytest.mark.parametrize("listed", [5, {}, "x", True])
def test_invalid_referrers_index(serve: Serve, listed: object, caplog: pytest.LogCaptureFixture) -> None:
    server, repository = serve(token=False)
    image = {"mediaType": OCI_MANIFEST, "config": {}, "layers": [], "manifests": listed}
    assert Manifest.read(json.dumps(image).encode()).architectures() == []
    digest = digest_of(latest(server))
    repository.http.without_referrers_api.add(repository.name)
    server["hello"].manifests[referrers.fallback_tag(digest)] = json.dumps(
        {"mediaType": OCI_INDEX, "manifests": listed}
    ).encode()
    assert referrers.list_referrers(repository, digest).artifacts == ()
    assert not referrers.add_referrers(repository, digest, [Manifest.read(latest(server)).descriptor])
    assert "is not a referrers index" in caplog.text


def test_connection_is_reused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_body_of_a_redirect_is_not_read(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["/manifests/old"] = [Fault(302, {"Location": "latest"}, b" " * 1_000_000, ENDLESS)]
    assert repository.manifest("old")


def test_too_slow_transfer_fails(serve: Serve, tmp_path: Path) -> None:
    server, _ = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    slow = RegistryHTTP(
        server.address, certificates=tmp_path / "certs", auth_file=None, timeout=slowed(0.5), attempts=2
    )
    server.faults["GET"] = [Fault(200, kind=DRIP)] * 10
    with slow, pytest.raises(RegistryUnavailableError, match="transfer too slow"):
        slow.request("GET", "/v2/hello/manifests/latest", repository="hello")
    large = dataclasses.replace(config, size=1_000_000)  # takes longer than the timeout on any machine
    with slow, pytest.raises(RegistryUnavailableError, match="transfer too slow"):
        Repository(slow, "hello").blob(large)
    assert len(server.faults["GET"]) == 6, "two requests each time"


def test_slow_content_is_yielded_in_small_chunks(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    monkeypatch.setattr(http_module, "MAX_COLLECT_TIME", slowed(0.2))
    server.faults["/blobs/"] = [Fault(200, kind=DRIP)]
    with repository.open_blob(config.digest) as stream:
        assert 2 <= len(next(stream.chunks)) <= 1000


def test_canceled_client_stops_reading(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    server.faults["/blobs/"] = [Fault(200, {"Connection": "close"}, kind=DRIP)]
    with repository.open_blob(config.digest) as stream, pytest.raises(RegistryError, match="request canceled"):
        threading.Timer(0.3, repository.http.cancel).start()
        next(stream.chunks)


def test_canceled_client_stops_waiting(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve(token=False)
    monkeypatch.setattr(memory_registry, "HANGS", 60.0)
    server.faults["GET"] = [Fault(kind=HANG)]

    def cancel() -> None:
        eventually(lambda: bool(server.seen), lambda: server.seen)
        repository.http.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(RegistryError, match="request canceled"):
        repository.manifest("latest")
    with pytest.raises(RegistryError, match="request canceled"):
        repository.manifest("latest")
    assert len(server.seen) == 1


def test_storing_a_blob_has_a_longer_timeout(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = serve(token=False)
    reached, limit = tmp_path / "certs", slowed(0.3)
    monkeypatch.setattr(memory_registry, "HANGS", 9 * limit)
    with RegistryHTTP(
        server.address, certificates=reached, auth_file=None, timeout=limit, store_timeout=PATIENCE
    ) as slow:
        server.faults["PUT /v2/hello/blobs"] = [Fault(201, {}, b"", LATE)]
        assert Repository(slow, "hello").push(b"content") == digest_of(b"content")
        server.faults["GET /v2/hello/manifests"] = [Fault(200, kind=LATE)]
        with pytest.raises(RegistryError, match="timed out"):
            Repository(slow, "hello").manifest("latest")


def test_requests_are_logged_without_query_strings(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server, repository = serve(token=False)
    caplog.set_level(logging.DEBUG, logger="fedpkg_container")
    repository.http.request("GET", "/v2/?signature=hidden")
    with pytest.raises(NoSuchImageError):
        repository.http.request("GET", "/v2/none/manifests/latest")
    requests = [re.sub(r" after [0-9.]+ s$", "", message) for message in caplog.messages]
    assert requests == [
        f"GET {server.address} /v2/: HTTP 200",
        f"GET {server.address} /v2/none/manifests/latest: HTTP 404",
    ]


def test_temporarily_unknown_blobs_are_retried(serve: Serve) -> None:
    """docker-registry responds like this while another client mounts the same blob."""
    server, repository = serve(token=False)
    manifest = repository.manifest("latest")
    said = (
        b'{"errors": [{"code": "DIGEST_INVALID", "message": "provided digest did not match uploaded content"},'
        b' {"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": "sha256:0"}]}'
    )
    server.faults["PUT"] = [Fault(400, {}, said)] * (ATTEMPTS - 1)
    repository.put_manifest("again", manifest)
    assert repository.head("again") == manifest.digest
    server.faults["PUT"] = [Fault(400, {}, said)] * ATTEMPTS
    with pytest.raises(RegistryUnavailableError, match="DIGEST_INVALID .*; MANIFEST_BLOB_UNKNOWN blob unknown"):
        repository.put_manifest("again", manifest)
    server.faults["PUT"] = [Fault(400, {}, b'{"errors": [{"code": "MANIFEST_INVALID"}]}')] * 2
    with pytest.raises(RegistryError, match="MANIFEST_INVALID"):
        repository.put_manifest("again", manifest)
    assert len(server.faults["PUT"]) == 1, "what is wrong stays so"


def test_not_found_includes_the_registrys_message(serve: Serve) -> None:
    server, repository = serve()
    said = b'{"errors": [{"code": "NAME_UNKNOWN", "message": "project fedora not found"}]}'
    server.faults["POST"] = [Fault(404, {}, said)]
    with pytest.raises(RegistryError, match="not found: NAME_UNKNOWN project fedora not found"):
        repository.push(b"content")


def test_encoded_blob_content(serve: Serve) -> None:
    server, repository = serve(token=False)
    packed = gzip.compress(json.dumps({"tags": ["a" * 100, "b"]}).encode())
    server.faults["/tags/list"] = [Fault(200, {"Content-Encoding": "gzip"}, packed)]
    assert list(repository.tags()) == ["a" * 100, "b"]


def test_empty_blob_is_sent_with_content_length(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve()
    answer = MemoryRegistry.answer
    lengths: list[tuple[str, str | None]] = []

    def watched(self: MemoryRegistry, request: http.server.BaseHTTPRequestHandler) -> None:
        lengths.append((request.command, request.headers.get("Content-Length")))
        answer(self, request)

    monkeypatch.setattr(MemoryRegistry, "answer", watched)
    empty = Descriptor("application/x", digest_of(b""), 0, {})
    repository.upload(empty, iter(()))
    assert server["hello"].blobs[empty.digest] == b""
    assert repository.push(b"") == empty.digest
    assert {length for method, length in lengths if method == "PUT"} == {"0"}
    with pytest.raises(RegistryError):
        repository.upload(empty, iter((b"x",)))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 424, 501])
def test_registries_without_referrers_api_use_the_fallback_tag(serve: Serve, status: int) -> None:
    server, repository = serve()
    digest = digest_of(latest(server))
    server.faults["/referrers/"] = [status] * 10
    artifact = referrers.Artifact("application/x", "x", b"content", "2026-01-01T00:00:00Z")
    attached = referrers.attach(repository, digest, artifact)
    assert referrers.list_referrers(repository, digest).by_tag
    referrers.add_referrers(repository, digest, [repository.manifest(attached).descriptor])
    assert [each.digest for each in referrers.referrers(repository, digest)] == [attached]
    requests = 2 if status == 401 else 1  # after an authentication challenge once more
    assert len(server.faults["/referrers/"]) == 10 - requests, "one request"
