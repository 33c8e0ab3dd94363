# SPDX-License-Identifier: GPL-2.0-or-later
"""Artifacts that refer to an image: in docker-registry by the fallback tag, elsewhere by the API; with passwords."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.errors import ConfigurationError, NoSuchImageError, RegistryError
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.http import ATTEMPTS
from fedpkg_container.registry.manifests import MANIFEST, OCI_INDEX, OCI_MANIFEST
from fedpkg_container.registry.referrers import Artifact, attach, content, fallback_tag, referrers
from fedpkg_container.registry.skopeo import Registry
from tests.support.memory_registry import HANG, Fault, memory_registry
from tests.support.registries import PASSWORD, access, docker_registry, push_image
from tests.support.waiting import slowed

SBOM = Artifact("application/spdx+json", "x.spdx.json", b'{"spdxVersion": "SPDX-2.3"}', "2026-01-02T03:04:05Z")
SIGNATURE = Artifact("application/vnd.example.signature", "x.sig", b"signed", "2026-01-02T03:04:05Z")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registries")


@pytest.fixture(scope="module")
def plain(directory: Path) -> Iterator[tuple[Registry, str]]:
    """docker-registry without a password."""
    with docker_registry(directory) as host:
        yield Registry(access(directory)), host


@pytest.fixture(scope="module")
def locked(directory: Path) -> Iterator[str]:
    """docker-registry with a password."""
    with docker_registry(directory, password=True) as host:
        yield host


def test_a_registry_without_the_api_gets_a_list_under_a_tag(plain: tuple[Registry, str]) -> None:
    registry, host = plain
    image = ImageReference(host, "hello/web", digest=push_image(registry, host, "hello/web", "one"))
    with registry.repository(image) as repository:
        digest = attach(repository, image.digest, SBOM)
        (listed,) = referrers(repository, image.digest)
        assert content(repository, digest) == SBOM.content
    assert listed.digest == digest
    assert listed.artifact_type == "application/spdx+json"
    listing = registry.manifest(image.tagged(fallback_tag(image.digest)))  # as skopeo sees it
    assert listing.media_type == OCI_INDEX
    artifact = registry.manifest(image.at(digest))
    assert artifact.media_type == OCI_MANIFEST
    assert artifact.content["subject"]["digest"] == image.digest
    assert artifact.content["subject"]["mediaType"] == MANIFEST
    assert artifact.content["subject"]["size"] > 0
    assert artifact.content["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert artifact.content["annotations"] == {"org.opencontainers.image.created": "2026-01-02T03:04:05Z"}


def test_what_others_have_listed_stays_and_the_same_again_changes_nothing(plain: tuple[Registry, str]) -> None:
    registry, host = plain
    image = ImageReference(host, "hello/web", digest=push_image(registry, host, "hello/web", "two"))
    with registry.repository(image) as repository:
        first = attach(repository, image.digest, SIGNATURE)
        second = attach(repository, image.digest, SBOM)
        before = registry.manifest(image.tagged(fallback_tag(image.digest))).digest
        assert attach(repository, image.digest, SBOM) == second
        assert [each.digest for each in referrers(repository, image.digest)] == [first, second]
    assert registry.manifest(image.tagged(fallback_tag(image.digest))).digest == before


def test_a_tag_that_is_no_list_is_not_overwritten(
    plain: tuple[Registry, str], caplog: pytest.LogCaptureFixture
) -> None:
    registry, host = plain
    image = ImageReference(host, "hello/web", digest=push_image(registry, host, "hello/web", "three"))
    registry.set_tags(image, [fallback_tag(image.digest)])
    with registry.repository(image) as repository:
        attach(repository, image.digest, SBOM)
        assert repository.head(fallback_tag(image.digest)) == image.digest
        assert referrers(repository, image.digest) == []
    assert "is stored, but clients cannot find it" in caplog.text


def test_an_image_that_is_not_there(plain: tuple[Registry, str]) -> None:
    registry, host = plain
    with registry.repository(ImageReference(host, "hello/web")) as repository, pytest.raises(NoSuchImageError):
        attach(repository, "sha256:" + "0" * 64, SBOM)


def test_a_password_from_the_auth_file(locked: str, directory: Path) -> None:
    registry = Registry(access(directory, locked, password=PASSWORD))
    image = ImageReference(locked, "hello/web", digest=push_image(registry, locked, "hello/web", "one"))
    with registry.repository(image) as repository:
        digest = attach(repository, image.digest, SBOM)
        assert [each.digest for each in referrers(repository, image.digest)] == [digest]
    assert list(registry.repositories(locked)) == ["hello/web"]


@pytest.mark.parametrize("password", ["", "the wrong secret"])
def test_no_password_or_a_wrong_one(password: str, locked: str, directory: Path) -> None:
    registry = Registry(access(directory, locked, password=password))
    image = ImageReference(locked, "hello/web")
    with registry.repository(image) as repository, pytest.raises(RegistryError, match="denied") as raised:
        attach(repository, "sha256:" + "0" * 64, SBOM)
    shown = f"{raised.value.reason} {raised.value.solution} {raised.value.__cause__!r}"
    assert not password or password not in shown


def test_an_auth_file_that_is_broken_is_not_repeated(locked: str, directory: Path) -> None:
    found = access(directory, locked, password=PASSWORD)
    assert found.auth_file
    found.auth_file.write_text(json.dumps({"auths": {locked: {"auth": "c2VjcmV0"}}}))
    with (
        Registry(found).repository(ImageReference(locked, "hello/web")) as repository,
        pytest.raises(ConfigurationError, match="no user and password") as raised,
    ):
        referrers(repository, "sha256:" + "0" * 64)
    assert "c2VjcmV0" not in raised.value.reason
    assert "secret" not in raised.value.reason


def test_a_registry_with_the_api_and_tokens(directory: Path) -> None:
    with memory_registry(directory) as server:
        registry = Registry(access(directory, f"{server.address}/hello", password=PASSWORD))
        image = ImageReference(server.address, "hello", digest=push_image(registry, server.address, "hello", "one"))
        with registry.repository(image) as repository:
            digest = attach(repository, image.digest, SBOM)
            (listed,) = referrers(repository, image.digest)
            assert content(repository, digest) == SBOM.content
        assert listed.digest == digest
        assert fallback_tag(image.digest) not in server["hello"].manifests
        basic = {path for _, path, authorization in server.seen if authorization.startswith("Basic")}
        assert basic == {"/token"}, "the password goes to the server of tokens alone"
        asked = [path for _, path, _ in server.seen if path == "/token"]
        assert len(asked) == 3, "a token is requested once for each session and action"


def test_a_registry_that_fails_for_a_moment_is_asked_again(directory: Path) -> None:
    with memory_registry(directory) as server:
        registry = Registry(access(directory, server.address, password=PASSWORD))
        image = ImageReference(server.address, "hello", digest=push_image(registry, server.address, "hello", "one"))
        server.faults["/manifests/"] = [503, 502]
        with registry.repository(image) as repository:
            attach(repository, image.digest, SBOM)
        server.faults["/manifests/"] = [500] * ATTEMPTS
        with registry.repository(image) as repository, pytest.raises(RegistryError, match=r"HTTP 500: FAULT injected"):
            attach(repository, image.digest, SBOM)


def test_a_registry_that_hangs_is_not_waited_for_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = slowed(0.5)
    monkeypatch.setattr("tests.support.memory_registry.HANGS", 6 * limit)
    with memory_registry(directory) as server:
        registry = Registry(replace(access(directory, server.address, password=PASSWORD), timeout=limit))
        image = ImageReference(server.address, "hello", digest=push_image(registry, server.address, "hello", "one"))
        server.faults["/blobs/"] = [Fault(kind=HANG)] * 2
        with registry.repository(image) as repository, pytest.raises(RegistryError, match="timed out"):
            attach(repository, image.digest, SBOM)
        assert len(server.faults["/blobs/"]) == 1


def test_what_the_registry_gives_must_be_what_was_asked_for(directory: Path) -> None:
    with memory_registry(directory) as server:
        registry = Registry(access(directory, server.address, password=PASSWORD))
        image = ImageReference(server.address, "hello", digest=push_image(registry, server.address, "hello", "one"))
        server["hello"].manifests[image.digest] += b" "
        with registry.repository(image) as repository, pytest.raises(RegistryError, match="digest mismatch"):
            attach(repository, image.digest, SBOM)


def test_a_registry_that_is_not_there(directory: Path) -> None:
    nobody = ImageReference("127.0.0.1:9", "hello")
    with (
        Registry(access(directory)).repository(nobody) as repository,
        pytest.raises(RegistryError, match="127.0.0.1:9"),
    ):
        referrers(repository, "sha256:" + "0" * 64)
