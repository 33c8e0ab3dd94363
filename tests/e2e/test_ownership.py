# SPDX-License-Identifier: GPL-2.0-or-later
"""Owners of repositories, by images in a real docker-registry; whole builds are in test_releases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.resolve.names import check_owner, unique_tag
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.manifests import MANIFEST_LIST, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.registries import access, docker_registry, push_image
from tests.support.storage import Storage

OURS, THEIRS = "hello-container", "other-container"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, str]]:
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(directory) as address:
        yield Registry(access(directory)), address


@pytest.fixture
def repository(host: tuple[Registry, str]) -> Iterator[Repository]:
    """Provide an empty repository."""
    registry, address = host
    with registry.repository(ImageReference(address, f"hello/{uuid4().hex}")) as found:
        yield found


def _push(host: tuple[Registry, str], repository: Repository, tag: str, **labels: str) -> None:
    """Push an image under a tag, in a separate index."""
    registry, address = host
    image = repository.manifest(push_image(registry, address, repository.name, tag, labels))
    member = {**image.descriptor, "platform": {"architecture": "s390x", "os": "linux"}}
    listed = {"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": [member]}
    repository.put_manifest(tag, Manifest.of(listed))


def _nothing(_: object) -> None:
    """Return no build, as Koji does."""


def test_new_repository_has_no_owner(repository: Repository) -> None:
    check_owner(repository, OURS, _nothing)


@pytest.mark.parametrize("tag", ["latest", "1.0", "1.0-1"])
def test_owner_is_the_package_of_a_tagged_image(host: tuple[Registry, str], repository: Repository, tag: str) -> None:
    _push(host, repository, tag, **{"com.redhat.component": THEIRS})
    check_owner(repository, THEIRS, _nothing)
    with pytest.raises(BuildFailedError, match=f":{tag} is an image of {THEIRS}, but this package is {OURS}"):
        check_owner(repository, OURS, _nothing)


def test_latest_takes_precedence(host: tuple[Registry, str], repository: Repository) -> None:
    _push(host, repository, "1.0", **{"com.redhat.component": THEIRS})
    _push(host, repository, "latest", **{"com.redhat.component": OURS})
    check_owner(repository, OURS, _nothing)


def test_dangling_tags_are_ignored(host: tuple[Registry, str], repository: Repository) -> None:
    """A registry that is killed while it deletes an image leaves its tags."""
    registry, address = host
    _push(host, repository, "latest", **{"com.redhat.component": THEIRS})
    assert registry.access.certificates
    Storage.of(registry.access.certificates.parent, address).forget(repository.name, repository.head("latest"))
    check_owner(repository, OURS, _nothing)
    _push(host, repository, "1.0", **{"com.redhat.component": OURS})
    check_owner(repository, OURS, _nothing)


@pytest.mark.parametrize("scratch", [True, False])
def test_unique_tags_are_ignored(host: tuple[Registry, str], repository: Repository, scratch: bool) -> None:
    _push(host, repository, unique_tag(7, scratch=scratch), **{"com.redhat.component": THEIRS})
    check_owner(repository, OURS, _nothing)


def test_image_without_a_component_label(host: tuple[Registry, str], repository: Repository) -> None:
    _push(host, repository, "latest")
    with pytest.raises(BuildFailedError, match=r"an image without a label com\.redhat\.component"):
        check_owner(repository, OURS, _nothing)


@pytest.mark.parametrize("recorded", [True, False])
def test_older_spelling_of_the_component_label(
    host: tuple[Registry, str], repository: Repository, recorded: bool
) -> None:
    """Either label may be from the base image: its package does not own the repository of the images based on it."""
    labels = {"com.redhat.component": "base-container", "version": "1", "release": "2"}
    _push(host, repository, "latest", BZComponent=OURS, **labels)
    index = {"digests": {MANIFEST_LIST: repository.head("latest")}}
    build = {"id": 1, "name": OURS, "extra": {"image": {"index": index}}} if recorded else None
    queries: list[object] = []

    def find_build(nvr: object) -> Any:
        queries.append(nvr)
        return build

    if recorded:
        check_owner(repository, OURS, find_build)
    else:
        with pytest.raises(BuildFailedError, match="is an image of base-container"):
            check_owner(repository, OURS, find_build)
    assert queries == [f"{OURS}-1-2"]
    check_owner(repository, "base-container", find_build)
