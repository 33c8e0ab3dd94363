# SPDX-License-Identifier: GPL-2.0-or-later
"""Base images of a builder: stored per architecture, pulled once, locked separately, removed when unused."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.builder import write_configuration
from fedpkg_container.box.layout import Layout
from fedpkg_container.engines import bases
from fedpkg_container.engines.base_image import BaseImage
from fedpkg_container.engines.buildah import Buildah
from fedpkg_container.engines.isolation import Isolation
from fedpkg_container.engines.workspace import Workspaces, mounts_below, processes_in
from fedpkg_container.errors import BuildFailedError, NoSuchImageError
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.fetch import fetch_image
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.repository import Repository
from tests.support.bases import make_base
from tests.support.faulty_registry import faulty_registry
from tests.support.leftovers import eventually, registry_of
from tests.support.waiting import PATIENCE

X86, ARM = platform_of("x86_64"), platform_of("aarch64")
MONTH = 31 * 24 * 3600


@pytest.fixture(scope="module")
def store_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Provide a registry, and a builder's access to it."""
    box = Box(Layout.open(tmp_path_factory.mktemp("registry") / "box"))
    write_configuration(box, box.layout.builders[0])
    try:
        box.registry.start()
        box.registry.wait_ready()
        yield box
    finally:
        box.registry.stop()


@pytest.fixture(scope="module")
def images(store_box: Box, tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageReference, ImageReference]:
    """Return two base images for two architectures each, by digest."""
    registry = registry_of(store_box)
    directory = tmp_path_factory.mktemp("bases")
    made = [make_base(store_box, directory, name, ["x86_64", "aarch64"], {"x86_64": name}) for name in ("one", "two")]
    first, second = (image.at(registry.manifest(image).digest) for image in made)
    return first, second


@contextmanager
def _build(box: Box, directory: Path) -> Iterator[Buildah]:
    """Run a build on a builder with this state directory."""
    workspaces = Workspaces(directory)
    with workspaces.open("task") as own:
        access = registry_of(box).access
        yield Buildah(workspaces, own, isolation=Isolation("runc"), access=access)


def _images(directory: Path) -> list[Path]:
    """Return the directories of all images."""
    return [path for path in (directory / "shared" / "images").iterdir() if len(path.name) == 64]


def _in_store(directory: Path) -> set[str]:
    return {json.loads((path / "image.json").read_text())["image_id"] for path in _images(directory)}


def _age(directory: Path) -> None:
    """Make all base images unused for a month, and the last prune older."""
    for path in [*(directory / "shared" / "records").iterdir(), *_images(directory)]:
        os.utime(path, (time.time() - MONTH,) * 2)
    (directory / "shared" / "pruned").unlink(missing_ok=True)


def test_each_architecture_of_an_index_is_stored_separately(
    store_box: Box, images: tuple[ImageReference, ImageReference], tmp_path: Path
) -> None:
    with _build(store_box, tmp_path) as engine:
        pulled = [engine.bases.pull(images[0], platform) for platform in (X86, ARM, X86, ARM)]
        assert pulled[:2] == pulled[2:]
        assert engine.configuration(pulled[0].name)["architecture"] == "amd64"
        assert engine.configuration(pulled[1].name)["architecture"] == "arm64"
    assert mounts_below(tmp_path / "shared") == []


def test_stored_image_is_not_requested_again(
    store_box: Box, images: tuple[ImageReference, ImageReference], tmp_path: Path
) -> None:
    with _build(store_box, tmp_path) as engine:
        engine.bases.pull(images[0], X86)
    log = store_box.layout.log("registry")
    before = log.stat().st_size
    with _build(store_box, tmp_path) as engine:
        engine.bases.pull(images[0], X86)
    assert log.stat().st_size == before


def test_an_image_that_does_not_exist_leaves_no_record(
    store_box: Box, images: tuple[ImageReference, ImageReference], tmp_path: Path
) -> None:
    with _build(store_box, tmp_path) as engine, pytest.raises(NoSuchImageError):
        engine.bases.pull(images[0].tagged("none"), X86)
    assert list((tmp_path / "shared" / "records").iterdir()) == []


def test_pull_blocks_only_pulls_of_the_same_image(
    store_box: Box, images: tuple[ImageReference, ImageReference], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pull waits for the test; the same image is pulled once, another one in the meantime."""
    let_go, began = threading.Event(), threading.Event()
    fetched: list[str] = []
    done: list[BaseImage] = []

    def fetch_slowly(source: Repository, digest: str, *arguments: Any, **options: Any) -> Manifest:
        fetched.append(source.name)
        if source.name == images[0].repository:
            began.set()
            assert let_go.wait(PATIENCE)
        return fetch_image(source, digest, *arguments, **options)

    monkeypatch.setattr(bases, "fetch_image", fetch_slowly)

    def pull(engine: Buildah) -> None:
        done.append(engine.bases.pull(images[0], X86))

    with _build(store_box, tmp_path) as first, _build(store_box, tmp_path) as second:
        threads = [threading.Thread(target=pull, args=[each]) for each in (first, second)]
        threads[0].start()
        assert began.wait(PATIENCE)
        threads[1].start()
        assert second.bases.pull(images[1], X86).image_id in _in_store(tmp_path)
        assert done == []
        let_go.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert len(done) == 2
    assert done[0] == done[1]
    assert sorted(fetched) == sorted(image.repository for image in images)


def test_pull_is_monitored_and_can_be_stopped(
    store_box: Box, images: tuple[ImageReference, ImageReference], tmp_path: Path
) -> None:
    """As if the disk were full, or the task canceled, during a slow pull; the next pull works."""
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise BuildFailedError("the disk is full")

    with faulty_registry(store_box) as registry, _build(store_box, tmp_path) as engine:
        slow = replace(images[0], registry=registry.address)
        registry.fail("GET /v2/.*/blobs/", 0)
        with pytest.raises(BuildFailedError, match="the disk is full"):
            engine.bases.pull(slow, X86, tick=look)
        registry.release()
        eventually(lambda: processes_in(engine.directory) == [], lambda: processes_in(engine.directory))
        assert engine.bases.pull(slow, X86).image_id in _in_store(tmp_path)


def test_unused_images_are_removed(
    store_box: Box, images: tuple[ImageReference, ImageReference], tmp_path: Path
) -> None:
    with _build(store_box, tmp_path) as engine:
        unused, used = engine.bases.pull(images[0], X86), engine.bases.pull(images[1], X86)
        _age(tmp_path)
        assert engine.bases.prune(30) == []  # this build uses both
    with _build(store_box, tmp_path) as user, _build(store_box, tmp_path) as engine:
        user.bases.pull(images[1], X86)
        _age(tmp_path)
        assert engine.bases.prune(0) == []
        assert engine.bases.prune(30) == [unused.image_id]
        assert engine.bases.prune(30) == []  # it looks once an hour
        assert _in_store(tmp_path) == {used.image_id}
        assert user.configuration(used.name)["architecture"] == "amd64"
        assert engine.bases.pull(images[0], X86) == unused


def test_image_without_a_record_is_kept_for_the_retention_period(
    store_box: Box, images: tuple[ImageReference, ImageReference], tmp_path: Path
) -> None:
    with _build(store_box, tmp_path) as engine:
        pulled = engine.bases.pull(images[0], X86)
    for path in (tmp_path / "shared" / "records").iterdir():
        path.unlink()
    with _build(store_box, tmp_path) as engine:
        assert engine.bases.prune(30) == []
        _age(tmp_path)
        assert engine.bases.prune(30) == [pulled.image_id]
        assert _in_store(tmp_path) == set()
