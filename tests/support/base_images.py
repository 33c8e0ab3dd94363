# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images with RPMs, in files, for any architectures: nothing is executed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedpkg_container.box.demo.base import install
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.skopeo import Access
from tests.support.waiting import PATIENCE

COMPONENT = "tests-base-container"
LABELS = {"com.redhat.component": COMPONENT, "name": "tests/base", "version": "41", "release": "1"}


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[Buildah]:
    """buildah with a separate store."""
    folder.mkdir(exist_ok=True)
    workspaces = Workspaces(folder)
    with workspaces.open("base") as own:
        yield Buildah(workspaces, own, isolation=Isolation("runc"), access=Access())


def built(with_: Buildah, arch: str, rpms: Sequence[Path], labels: Mapping[str, str]) -> str:
    """An image of some RPMs; its image ID."""
    context = with_.directory / f"context-{arch}"
    (context / "root").mkdir(parents=True)
    (context / "root" / "arch").write_text(f"{arch}\n")
    if rpms:
        install([*rpms], context / "root")
    dockerfile = with_.directory / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY root /\n")
    return with_.build(
        ImageBuild(
            context=context,
            dockerfile=dockerfile,
            labels=labels,
            mounts=[],
            timestamp=0,
            platform=platform_of(arch),
            timeout=PATIENCE,
        ),
        line=lambda _: None,
        tick=lambda: None,
    )


def rpm(folder: Path, name: str = "tests-package") -> Path:
    """A package with one file."""
    return Package(name, "A package", contents={f"/usr/share/{name}": "text\n", "/tmp/": "", "/var/tmp/": ""}).build(
        folder
    )


def oci_layout(folder: Path, arches: Sequence[str], rpms: Sequence[Path], labels: Mapping[str, str] = LABELS) -> Path:
    """An OCI layout with an image per architecture."""
    layout = folder / "layout"
    with engine(folder / "store") as made:
        for arch in arches:
            _push(made, built(made, arch, rpms, labels), f"oci:{layout}:{arch}")
    return layout


def oci_archive(folder: Path, arches: Sequence[str], rpms: Sequence[Path], labels: Mapping[str, str] = LABELS) -> Path:
    """The same in one file."""
    archive = folder / "base.oci.tar"
    run(["tar", "-cf", archive, "-C", oci_layout(folder, arches, rpms, labels), "."], timeout=PATIENCE)
    return archive


def docker_archive(
    folder: Path, rpms: Sequence[Path], labels: Mapping[str, str] = LABELS, arch: str = "x86_64"
) -> Path:
    """A docker-archive, compressed as in Koji."""
    archive = folder / "base.tar.gz"
    with engine(folder / "store") as made:
        image = built(made, arch, rpms, labels)
        with made.exporting(image, [], archive=ImageReference("", "base", tag="1")) as exporting:
            exporting.save(archive)
    return archive


def _push(made: Buildah, image: str, target: str) -> None:
    kind, path, *tag = target.split(":")
    inner = made.workspace.work / "layout"
    if not inner.exists():
        made.workspace.new("layout")
    made._run("push", "--quiet", image, ":".join([kind, str(inner), *tag]))
    shutil.copytree(inner, path, dirs_exist_ok=True)
