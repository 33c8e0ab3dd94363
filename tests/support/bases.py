# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images for several architectures, made without executing code: some files, and this machine's busybox."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedpkg_container.box.box import Box
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from tests.support.leftovers import registry_of
from tests.support.waiting import PATIENCE


def make_base(
    box: Box, directory: Path, name: str, arches: Sequence[str], files: Mapping[str, str] | None = None
) -> ImageReference:
    """Push a base image index, each image with its architecture in ``/arch``; return it by tag.

    :param files: further files: architecture that has it → file name
    """
    pushed: list[ImageReference] = []
    repository = ImageReference(box.layout.registry_address, name)
    with _engine(box, directory / "base-store") as engine:
        for arch in arches:
            image = _build(engine, arch, (files or {}).get(arch, ""))
            member = repository.tagged(f"one-{arch}")
            pushed.append(member.at(engine.push(image, member, "v2s2")))
        engine.push_list(repository.tagged("1"), pushed, "v2s2")
    return repository.tagged("1")


@contextlib.contextmanager
def _engine(box: Box, directory: Path) -> Iterator[Buildah]:
    """An engine with a separate store."""
    directory.mkdir(exist_ok=True)
    workspaces = Workspaces(directory)
    with workspaces.open("base") as own:
        access = registry_of(box).access
        yield Buildah(workspaces, own, isolation=Isolation("runc"), access=access)


def _build(engine: Buildah, arch: str, file: str) -> str:
    context = engine.directory / f"base-{arch}"
    (context / "bin").mkdir(parents=True)
    (context / "arch").write_text(f"{arch}\n")
    if file:
        (context / file).touch()
    shutil.copy("/bin/busybox", context / "bin/busybox")
    (context / "bin/sh").symlink_to("busybox")
    dockerfile = engine.directory / "base.Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\nENV PATH=/bin\n")
    request = ImageBuild(
        context=context,
        dockerfile=dockerfile,
        labels={},
        mounts=[],
        timestamp=0,
        platform=platform_of(arch),
        timeout=PATIENCE,
    )
    return engine.build(request, line=lambda _: None, tick=lambda: None)
