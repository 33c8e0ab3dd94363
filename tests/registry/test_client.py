# SPDX-License-Identifier: GPL-2.0-or-later
"""The registry client against a TLS registry that paginates, fails, lies, redirects, and invalidates tokens."""

from __future__ import annotations

import email.utils
import gzip
import json
import time

import pytest

from fedpkg_container.errors import NoSuchImageError, RegistryError, RegistryUnavailableError
from fedpkg_container.registry import pages as pages_of
from fedpkg_container.registry import response, retry
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import ATTEMPTS
from fedpkg_container.registry.manifests import MAX_INDEX_DEPTH, MAX_MANIFEST_SIZE, OCI_INDEX, Descriptor, Manifest
from fedpkg_container.registry.pages import repositories
from fedpkg_container.registry.pruning.inventory import read_inventory
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import ENDLESS, RESET, SHORT, Fault
from tests.support.pushing import image, tagged
from tests.support.registry_clients import Serve, latest
from tests.support.waiting import PATIENCE

# Pages


@pytest.mark.parametrize("link", ["{}", "https://HOST{}"])
def test_pages_with_relative_and_absolute_links(serve: Serve, link: str) -> None:
    server, repository = serve(page=2)
    server.link = link.replace("HOST", server.address)
    for number in range(7):
        image(repository, "one", f"tag-{number}")
    assert list(repository.tags()) == ["latest", *(f"tag-{number}" for number in range(7))]
    assert server.asked("GET /v2/hello/tags/list") == 4
    for name in "abc":
        image(Repository(repository.http, name), "one", "x")
    assert list(repositories(repository.http)) == ["a", "b", "c", "hello"]


def test_link_relative_to_the_page(serve: Serve) -> None:
    server, repository = serve()
    pages = [(b'{"tags": ["a"]}', '<list?last=a>; rel="next"'), (b'{"tags": ["b"]}', "")]
    server.faults["/tags/list"] = [Fault(200, {"Link": link} if link else {}, body) for body, link in pages]
    assert list(repository.tags()) == ["a", "b"]
    assert server.asked("GET /v2/hello/tags/list") == 2


def test_circular_and_endless_pages(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, repository = serve()
    same = Fault(200, {"Link": '</v2/hello/tags/list?last=a>; rel="next"'}, b'{"tags": ["a"]}')
    server.faults["/tags/list"] = [same] * 10
    with pytest.raises(RegistryError, match="returned an endless list of tags"):
        list(repository.tags())
    assert len(server.faults["/tags/list"]) == 8
    monkeypatch.setattr(pages_of, "MAX_PAGES", 5)
    following = [f'</v2/hello/tags/list?last={number}>; rel="next"' for number in range(9)]
    server.faults["/tags/list"] = [Fault(200, {"Link": each}, b'{"tags": ["a"]}') for each in following]
    with pytest.raises(RegistryError, match="returned an endless list of tags"):
        list(repository.tags())
    assert len(server.faults["/tags/list"]) == 4


def test_link_to_another_host_is_refused(serve: Serve) -> None:
    server, repository = serve()
    away = Fault(200, {"Link": '<https://127.0.0.1:9/v2/hello/tags/list>; rel="next"'}, b'{"tags": []}')
    server.faults["/tags/list"] = [away]
    with pytest.raises(
        RegistryError, match="redirected to a different host, which is not allowed here: https://127.0.0.1:9/"
    ):
        list(repository.tags())


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b'{"tags": "abc"}', b'{"tags": {"a": 1}}', b'{"tags": ["a b"]}', b'{"tags": ["-x"]}',
     b'{"tags": [null]}', b'{"tags": ["x\\ny"]}', b"<html>", b"[" * 100_000],
)  # fmt: skip
def test_invalid_tag_lists(serve: Serve, body: bytes) -> None:
    server, repository = serve()
    server.faults["/tags/list"] = [Fault(200, {}, body)]
    with pytest.raises(RegistryError):
        list(repository.tags())


@pytest.mark.parametrize("body", [b'{"tags": null}', b'{"name": "hello"}', b'{"tags": []}'])
def test_empty_tag_lists(serve: Serve, body: bytes) -> None:
    server, repository = serve()
    server.faults["/tags/list"] = [Fault(200, {}, body)]
    assert list(repository.tags()) == []
    server.faults["/tags/list"] = [404]
    assert list(repository.tags()) == []


def test_catalog_with_invalid_names(serve: Serve) -> None:
    server, repository = serve()
    server.faults["/_catalog"] = [Fault(200, {}, b'{"repositories": ["fine", "../../etc"]}')]
    with pytest.raises(RegistryError, match="etc"):
        list(repositories(repository.http))


# Temporary faults


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, Fault(kind=RESET), Fault(200, {}, b"{", SHORT)])
def test_temporary_faults_are_retried_with_backoff(serve: Serve, fault: int | Fault) -> None:
    server, repository = serve(token=False)
    server.faults["GET /v2/hello/manifests/"] = [fault] * (ATTEMPTS - 1)
    assert repository.manifest("latest").raw == latest(server)
    assert len(server.seen) == ATTEMPTS
    times = server.times[-ATTEMPTS:]
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert all(pause >= retry.INITIAL_BACKOFF * 2**number for number, pause in enumerate(pauses))
    server.faults["GET /v2/hello/manifests/"] = [fault] * ATTEMPTS
    with pytest.raises(RegistryUnavailableError):
        repository.manifest("latest")


def test_longer_waits_are_logged_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(429, {"Retry-After": "1"})]
    assert repository.manifest("latest")
    assert caplog.messages == []
    server.faults["GET"] = [Fault(503, {"Retry-After": "1"})] * 4
    assert repository.manifest("latest")
    (told,) = caplog.messages
    assert told.startswith(
        f"registry {server.address} is unavailable, retrying: GET https://{server.address}/v2/hello/manifests/latest"
    )


@pytest.mark.parametrize("status", [400, 403, 404, 405, 416, 418])
def test_refusals_are_not_retried(serve: Serve, status: int) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [status] * 2
    with pytest.raises(RegistryError):
        repository.manifest("latest")
    assert len(server.seen) == 1


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_honored(serve: Serve, date: bool) -> None:
    server, repository = serve(token=False)
    named = int(time.time()) + 2
    after = email.utils.formatdate(named, usegmt=True) if date else "2"
    server.faults["GET"] = [Fault(429, {"Retry-After": after})]
    assert repository.manifest("latest")
    assert named <= time.time()
    assert len(server.seen) == 2


@pytest.mark.parametrize("after", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_too_long_retry_after_fails_at_once(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})] * 2
    with pytest.raises(RegistryUnavailableError) as raised:
        repository.manifest("latest")
    assert raised.value.retry_after > retry.MAX_RETRY_AFTER
    assert len(server.seen) == 1


@pytest.mark.parametrize("after", ["soon", "-5", "", "1e99", "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999999999999"])
def test_invalid_retry_after_is_ignored(serve: Serve, after: str) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(503, {"Retry-After": after})]
    begun = time.monotonic()
    try:
        assert repository.manifest("latest")
    except RegistryUnavailableError:
        assert after == "99999999999999999999"
    assert time.monotonic() - begun < PATIENCE


# Verification of responses


def test_digest_mismatch_is_an_error(serve: Serve) -> None:
    server, repository = serve(token=False)
    digest = digest_of(latest(server))
    server["hello"].manifests[digest] += b" "
    with pytest.raises(RegistryError, match="digest mismatch"):
        repository.manifest(digest)
    server.faults["HEAD"] = [Fault(200, {"Docker-Content-Digest": "sha256:" + "0" * 64})]
    with pytest.raises(RegistryError, match="digest mismatch"):
        repository.head(digest)
    (config, *_) = Manifest.read(latest(server)).blobs
    content = server["hello"].blobs[config.digest]
    server["hello"].blobs[config.digest] = b"x" * len(content)
    with pytest.raises(RegistryError, match="digest mismatch"):
        repository.blob(config)


def test_head_without_digest_reads_the_manifest(serve: Serve) -> None:
    server, repository = serve(token=False, names_digests=False)
    assert repository.head("latest") == digest_of(latest(server))
    assert [method for method, _, _ in server.seen] == ["HEAD", "GET"]
    assert repository.head("none") == ""


@pytest.mark.parametrize("digest", ["nonsense", "sha256:../../x", "md5:" + "0" * 32, "sha256:" + "0" * 63])
def test_invalid_digest_in_a_response(serve: Serve, digest: str) -> None:
    server, repository = serve(token=False)
    server.faults["HEAD"] = [Fault(200, {"Docker-Content-Digest": digest})]
    with pytest.raises(RegistryError, match="invalid or unsupported digest"):
        repository.head("latest")


def test_too_long_manifest_is_not_read_completely(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(200, {}, b" " * (MAX_MANIFEST_SIZE + 1))]
    with pytest.raises(RegistryError, match=f"longer than {MAX_MANIFEST_SIZE} bytes"):
        repository.manifest("latest")
    server.faults["GET"] = [Fault(200, {}, b" " * 1_000_000, ENDLESS)]
    with pytest.raises(RegistryError, match=f"longer than {MAX_MANIFEST_SIZE} bytes"):
        repository.manifest("latest")


def test_too_long_response_is_refused(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["/tags/list"] = [Fault(200, {}, b" " * 1_000_000, ENDLESS)]
    with pytest.raises(RegistryError, match=f"longer than {response.MAX_RESPONSE_SIZE} bytes"):
        list(repository.tags())
    large = Descriptor.of({"digest": "sha256:" + "0" * 64, "size": 10**8, "mediaType": "x"})
    with pytest.raises(RegistryError, match="longer than"):
        repository.blob(large)


@pytest.mark.parametrize("more", [-1, 1])
def test_blob_with_wrong_size(serve: Serve, more: int) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    wrong = Descriptor.of({**config.fields, "size": config.size + more})
    with pytest.raises(RegistryError, match="ended after|is longer than"):
        repository.blob(wrong)


def test_truncated_blob_is_retried(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    server.faults["/blobs/"] = [Fault(200, {}, b"{", SHORT)] * (ATTEMPTS - 1)
    assert repository.blob(config) == server["hello"].blobs[config.digest]
    server.faults["/blobs/"] = [Fault(200, {}, b"{", SHORT)] * ATTEMPTS
    with pytest.raises(RegistryUnavailableError):
        repository.blob(config)


def test_compressed_manifests(serve: Serve) -> None:
    server, repository = serve(token=False)
    packed = {"Content-Encoding": "gzip"}
    server.faults["GET"] = [Fault(200, packed, gzip.compress(latest(server)))]
    assert repository.manifest(digest_of(latest(server))).raw == latest(server)
    server.faults["GET"] = [Fault(200, packed, gzip.compress(b" " * 2 * MAX_MANIFEST_SIZE))]
    with pytest.raises(RegistryError, match="longer than"):
        repository.manifest("latest")
    server.faults["GET"] = [Fault(200, packed, b"not packed at all")] * ATTEMPTS
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_blob_is_requested_unencoded_and_streamed(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(latest(server)).blobs
    server.faults["/blobs/"] = [Fault(200, {"Content-Encoding": "gzip"}, server["hello"].blobs[config.digest])]
    assert repository.blob(config), "a header that lies changes nothing"
    server.faults["/blobs/"] = [Fault(200, {}, gzip.compress(server["hello"].blobs[config.digest]))] * ATTEMPTS
    with pytest.raises(RegistryError):
        repository.blob(config)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b"{", b'{"mediaType": "application/vnd.docker.distribution.manifest.v1+json"}',
     b"[" * 100_000, b"\xff\xfe", b'{"mediaType": "\x00"}'],
)  # fmt: skip
def test_invalid_manifests(serve: Serve, raw: bytes) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(200, {}, raw)]
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_nested_indexes_are_limited(serve: Serve) -> None:
    _, repository = serve(token=False)
    made: Manifest = image(repository, "innermost")
    for depth in range(MAX_INDEX_DEPTH + 1):
        if depth == MAX_INDEX_DEPTH:
            assert len(read_inventory(repository).manifests) == 1 + MAX_INDEX_DEPTH, "an image under latest, and lists"
        listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [made.descriptor], "x": depth}
        made = tagged(repository, Manifest.of(listed), "nested")
    with pytest.raises(RegistryError, match=f"more than {MAX_INDEX_DEPTH} levels deep"):
        read_inventory(repository)


def test_registry_errors_are_shown_without_control_characters(serve: Serve) -> None:
    server, repository = serve(token=False)
    body = json.dumps({"errors": [{"code": "DENIED\x1b[2J", "message": "no\nway " + "x" * 1000}]}).encode()
    server.faults["GET"] = [Fault(400, {}, body)]
    with pytest.raises(RegistryError) as raised:
        repository.manifest("latest")
    assert "\x1b" not in raised.value.reason
    assert "\n" not in raised.value.reason
    assert len(raised.value.reason) < 600


def test_missing_manifest_and_blob(serve: Serve) -> None:
    _, repository = serve()
    with pytest.raises(NoSuchImageError):
        repository.manifest("none")
    assert repository.head("sha256:" + "0" * 64) == ""
    assert not repository.has_blob("sha256:" + "0" * 64)
    assert not repository.delete_manifest("sha256:" + "0" * 64)
