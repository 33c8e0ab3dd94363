"""What comes from a registry must be what was asked for, and not too much of it."""

from __future__ import annotations

import gzip
import time

import pytest

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry import http as client
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.http import ATTEMPTS
from fedpkg_container.registry.manifests import LONGEST_MANIFEST, OCI_INDEX, Descriptor, Manifest
from fedpkg_container.registry.pruning.inventory import DEEPEST, take
from tests.registry.conftest import Serve, raw
from tests.support.memory_registry import ENDLESS, SHORT, Fault
from tests.support.pushing import image, tagged


def test_something_else_than_the_digest_that_was_asked_for(serve: Serve) -> None:
    server, repository = serve(token=False)
    digest = digest_of(raw(server))
    server["hello"].manifests[digest] += b" "
    with pytest.raises(RegistryError, match="something else"):
        repository.manifest(digest)
    server.faults["HEAD"] = [Fault(200, {"Docker-Content-Digest": "sha256:" + "0" * 64})]
    with pytest.raises(RegistryError, match="something else"):
        repository.head(digest)
    (config, *_) = Manifest.read(raw(server)).blobs
    content = server["hello"].blobs[config.digest]
    server["hello"].blobs[config.digest] = b"x" * len(content)
    with pytest.raises(RegistryError, match="is something else"):
        repository.blob(config)


def test_head_without_a_digest_reads_the_manifest(serve: Serve) -> None:
    server, repository = serve(token=False, names_digests=False)
    assert repository.head("latest") == digest_of(raw(server))
    assert [method for method, _, _ in server.seen] == ["HEAD", "GET"]
    assert repository.head("none") == ""


@pytest.mark.parametrize("digest", ["nonsense", "sha256:../../x", "md5:" + "0" * 32, "sha256:" + "0" * 63])
def test_a_digest_that_is_none_in_an_answer(serve: Serve, digest: str) -> None:
    server, repository = serve(token=False)
    server.faults["HEAD"] = [Fault(200, {"Docker-Content-Digest": digest})]
    with pytest.raises(RegistryError, match="not a digest"):
        repository.head("latest")


def test_a_manifest_that_is_too_long_is_not_read_to_its_end(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(200, {}, b" " * (LONGEST_MANIFEST + 1))]
    with pytest.raises(RegistryError, match=f"longer than {LONGEST_MANIFEST} bytes"):
        repository.manifest("latest")
    server.faults["GET"] = [Fault(200, {}, b" " * 1_000_000, ENDLESS)]
    with pytest.raises(RegistryError, match=f"longer than {LONGEST_MANIFEST} bytes"):
        repository.manifest("latest")


def test_an_answer_of_a_hundred_megabytes_is_refused(serve: Serve) -> None:
    server, repository = serve(token=False)
    server.faults["/tags/list"] = [Fault(200, {}, b" " * 1_000_000, ENDLESS)]
    begun = time.monotonic()
    with pytest.raises(RegistryError, match=f"longer than {client.LONGEST} bytes"):
        list(repository.tags())
    assert time.monotonic() - begun < 30
    large = Descriptor.of({"digest": "sha256:" + "0" * 64, "size": 10**8, "mediaType": "x"})
    with pytest.raises(RegistryError, match="is longer than"):
        repository.blob(large)


@pytest.mark.parametrize("more", [-1, 1])
def test_a_blob_that_is_shorter_or_longer_than_its_manifest_says(serve: Serve, more: int) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(raw(server)).blobs
    wrong = Descriptor.of({**config.facts, "size": config.size + more})
    with pytest.raises(RegistryError, match="ended after|has more than"):
        repository.blob(wrong)


def test_a_blob_that_breaks_off(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(raw(server)).blobs
    server.faults["/blobs/"] = [Fault(200, {}, b"{", SHORT)]
    with pytest.raises(RegistryError):
        repository.blob(config)
    assert repository.blob(config) == server["hello"].blobs[config.digest]


def test_manifests_that_are_packed_for_their_way(serve: Serve) -> None:
    server, repository = serve(token=False)
    packed = {"Content-Encoding": "gzip"}
    server.faults["GET"] = [Fault(200, packed, gzip.compress(raw(server)))]
    assert repository.manifest(digest_of(raw(server))).raw == raw(server)
    server.faults["GET"] = [Fault(200, packed, gzip.compress(b" " * 500_000_000))]
    with pytest.raises(RegistryError, match="longer than"):
        repository.manifest("latest")
    server.faults["GET"] = [Fault(200, packed, b"not packed at all")] * ATTEMPTS
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_a_blob_is_asked_for_as_it_is_and_read_as_it_comes(serve: Serve) -> None:
    server, repository = serve(token=False)
    (config, *_) = Manifest.read(raw(server)).blobs
    server.faults["/blobs/"] = [Fault(200, {"Content-Encoding": "gzip"}, server["hello"].blobs[config.digest])]
    assert repository.blob(config), "a header that lies changes nothing"
    server.faults["/blobs/"] = [Fault(200, {}, gzip.compress(server["hello"].blobs[config.digest]))]
    with pytest.raises(RegistryError):
        repository.blob(config)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b"{", b'{"mediaType": "application/vnd.docker.distribution.manifest.v1+json"}',
     b"[" * 100_000, b"\xff\xfe", b'{"mediaType": "\x00"}'],
)  # fmt: skip
def test_manifests_that_are_none(serve: Serve, raw: bytes) -> None:
    server, repository = serve(token=False)
    server.faults["GET"] = [Fault(200, {}, raw)]
    with pytest.raises(RegistryError):
        repository.manifest("latest")


def test_lists_in_lists_are_read_to_a_depth(serve: Serve) -> None:
    _, repository = serve(token=False)
    made: Manifest = image(repository, "innermost")
    for depth in range(DEEPEST + 1):
        if depth == DEEPEST:
            assert len(take(repository).manifests) == 1 + DEEPEST, "an image under latest, and lists"
        listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [made.descriptor], "x": depth}
        made = tagged(repository, Manifest.of(listed), "nested")
    with pytest.raises(RegistryError, match=f"more than {DEEPEST} deep"):
        take(repository)
