# SPDX-License-Identifier: GPL-2.0-or-later
"""A compromised worker exports an image labeled as another package's, or as another build."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpkg_container.errors import RegistryError
from fedpkg_container.image.arch_build import ArchBuild
from fedpkg_container.image.config import Limits
from fedpkg_container.model.build import BuildSpec
from fedpkg_container.model.nvr import COMPONENT_LABEL
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Access
from tests.security import images
from tests.support.registries import access, docker_registry

SPEC = BuildSpec(
    task_id=1, arch="x86_64", source_url="git+https://src.example.org/x#1", component="own-container", version="1",
    release="2", repository_path="own/image", scratch=False, parents={},
    labels={"release": "2", "vcs-ref": "1", "url": "x"},
    yum_repository="", staging_repository="staging/1", upload_directory="", timeout=10,
)  # fmt: skip
LABELS = {COMPONENT_LABEL: "own-container", "name": "own/image", "version": "1", "release": "2", "vcs-ref": "1"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Access]]:
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(directory) as host:
        yield host, access(directory)


@dataclass(frozen=True)
class TakenOver:
    """An engine whose worker exports images with chosen labels, per format."""

    directory: Path
    access: Access
    labels: dict[str, dict[str, str]]

    def export(self, image: str, kinds: list[str]) -> None:
        """Do nothing."""

    def push(self, image: str, target: ImageReference, kind: str) -> str:
        """Push an image with the labels of a format; return its digest."""
        content = images.write(self.directory / f"{image}-{kind}", [], settings={"Labels": self.labels[kind]})
        return images.push(content, target, self.access).digest


def _push(directory: Path, registry: tuple[str, Access], **labels: dict[str, str]) -> tuple[ImageReference, Any]:
    host, reached = registry
    site: Any = SimpleNamespace(candidate=host, access=reached, formats=tuple(labels), limits=Limits())
    engine: Any = TakenOver(directory, reached, labels)
    log: Any = SimpleNamespace(report=lambda _: None)
    other: Any = SimpleNamespace()
    build = ArchBuild(SPEC, site, engine, other, other, log, lambda *_: None, site.limits.preparation_deadline())
    return build._push("image")


def test_the_labels_of_the_build_are_accepted(tmp_path: Path, registry: tuple[str, Access]) -> None:
    more = {**LABELS, "url": "of the Dockerfile"}
    exact, variants = _push(tmp_path, registry, v2s2=LABELS, oci=more)
    assert exact.digest.startswith("sha256:")
    assert list(variants) == ["oci"]


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("value", ["another", None])
def test_labels_of_another_build_are_refused(
    tmp_path: Path, registry: tuple[str, Access], name: str, value: str | None
) -> None:
    labels = {key: text for key, text in {**LABELS, name: value}.items() if text is not None}
    with pytest.raises(RegistryError, match=f"has the label {name} = "):
        _push(tmp_path, registry, v2s2=labels)


def test_all_formats_are_compared(tmp_path: Path, registry: tuple[str, Access]) -> None:
    with pytest.raises(RegistryError, match=f"has the label {COMPONENT_LABEL} = 'glibc'"):
        _push(tmp_path, registry, v2s2=LABELS, oci={**LABELS, COMPONENT_LABEL: "glibc"})
