# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images with RPMs, in files, for any architectures: nothing is executed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedpkg_container.box.demo.base import install
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.image_build import ImageBuild
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.process import run
from fedpkg_container.registry.skopeo import Access
from tests.support.waiting import PATIENCE

COMPONENT = "tests-base-container"
LABELS = {"com.redhat.component": COMPONENT, "name": "tests/base", "version": "41", "release": "1"}


@contextlib.contextmanager
def engine(directory: Path) -> Iterator[Buildah]:
    """buildah with a separate store."""
    directory.mkdir(exist_ok=True)
    workspaces = Workspaces(directory)
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


def rpm(directory: Path, name: str = "tests-package") -> Path:
    """A package with one file."""
    return Package(name, "A package", contents={f"/usr/share/{name}": "text\n", "/tmp/": "", "/var/tmp/": ""}).build(
        directory
    )


def oci_layout(
    directory: Path, arches: Sequence[str], rpms: Sequence[Path], labels: Mapping[str, str] = LABELS
) -> Path:
    """An OCI layout with an image per architecture."""
    layout = directory / "layout"
    with engine(directory / "store") as made:
        for arch in arches:
            _push(made, built(made, arch, rpms, labels), f"oci:{layout}:{arch}")
    return layout


def oci_archive(
    directory: Path, arches: Sequence[str], rpms: Sequence[Path], labels: Mapping[str, str] = LABELS
) -> Path:
    """The same in one file."""
    archive = directory / "base.oci.tar"
    run(["tar", "-cf", archive, "-C", oci_layout(directory, arches, rpms, labels), "."], timeout=PATIENCE)
    return archive


def docker_archive(directory: Path, rpms: Sequence[Path], labels: Mapping[str, str] = LABELS) -> Path:
    """A compressed docker-archive of x86_64, written without buildah: a tenth of the time."""
    layer = _layer(tuple(rpms))
    digest = hashlib.sha256(layer).hexdigest()
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    config = json.dumps(configuration).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    listed = [{"Config": name, "RepoTags": ["base:1"], "Layers": [f"{digest}.tar"]}]
    archive = directory / "base.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        for path, content in ((f"{digest}.tar", layer), (name, config), ("manifest.json", json.dumps(listed).encode())):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return archive


@functools.cache
def _layer(rpms: tuple[Path, ...]) -> bytes:
    """A layer with a file, and RPMs."""
    written = io.BytesIO()
    with tempfile.TemporaryDirectory() as directory, tarfile.open(fileobj=written, mode="w") as file:
        root = Path(directory)
        (root / "arch").write_text("x86_64\n")
        if rpms:
            install(list(rpms), root)
        file.add(root, ".", filter=_owned_by_root)
    return written.getvalue()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    return entry


def _push(made: Buildah, image: str, target: str) -> None:
    kind, path, *tag = target.split(":")
    inner = made.workspace.work / "layout"
    if not inner.exists():
        made.workspace.new("layout")
    made._run("push", "--quiet", image, ":".join([kind, str(inner), *tag]))
    shutil.copytree(inner, path, dirs_exist_ok=True)
