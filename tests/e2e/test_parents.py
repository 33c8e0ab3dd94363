# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures of parent images, for indexes and single images in a real docker-registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.image.resolve.parents import ParentResolver
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.registry.manifests import MANIFEST_LIST, Manifest
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.pushing import image, tagged
from tests.support.registries import access, docker_registry

WINDOWS, LINUX = {"architecture": "amd64", "os": "windows"}, {"architecture": "amd64", "os": "linux"}
V6, V7 = ({"architecture": "arm", "os": "linux", "variant": variant} for variant in ("v6", "v7"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Repository]]:
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(directory) as host, Registry(access(directory)).http(host) as http:
        yield directory, Repository(http, "base")


def _resolve(base: tuple[Path, Repository], *arches: str) -> None:
    directory, repository = base
    (directory / "site.conf").write_text(f"[registry]\ncandidate = {repository.http.host}\n")
    platforms = [platform_of(arch) for arch in arches]
    resolver = ParentResolver(
        read_builder_config(directory / "site.conf"), Registry(access(directory)), platforms, lambda _: None
    )
    resolver.resolve(Dockerfile(f"FROM {repository.reference.tagged('1')}\n"))


@pytest.mark.parametrize(
    ("listed", "arch", "lacks"),
    [
        ([WINDOWS], "x86_64", "amd64"),
        ([WINDOWS, LINUX], "x86_64", ""),
        ([V6], "armhfp", "arm/v7"),
        ([V6, V7], "armhfp", ""),
        ([{"architecture": "arm64", "os": "linux"}], "aarch64", ""),
    ],
)
def test_parent_index(
    base: tuple[Path, Repository], listed: Sequence[Mapping[str, str]], arch: str, lacks: str
) -> None:
    members = [{**image(base[1], str(each)).descriptor, "platform": each} for each in listed]
    tagged(base[1], Manifest.of({"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": members}), "1")
    if not lacks:
        _resolve(base, arch)
        return
    with pytest.raises(BuildFailedError, match=f"base:1 has no image for {lacks}$"):
        _resolve(base, arch)


def test_single_parent_image(base: tuple[Path, Repository]) -> None:
    image(base[1], "one", "1", arch="amd64")
    _resolve(base, "x86_64")
    with pytest.raises(
        BuildFailedError, match="has no image for arm64/v8, s390x: it is a single image for amd64, not an image index"
    ):
        _resolve(base, "x86_64", "aarch64", "s390x")
