# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases and tags of several builds of a package, and images built on each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo.site import DEST_TAG
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out
from fedpkg_container.model.reference import ImageReference
from tests.support.leftovers import registry_of
from tests.support.packager import Packager
from tests.support.site import site_settings


def _digest(box: Box, repository: str, tag: str) -> str:
    return registry_of(box).manifest(ImageReference(box.layout.registry_address, repository, tag=tag)).digest


def _built(packager: Packager, *arguments: str) -> str:
    done = packager.build(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _call(box: Box, method: str, *arguments: Any) -> Any:
    session = box.session(ADMIN)
    answer = getattr(session, method)(*arguments)
    log_out(session)
    return answer


def test_newest_build_keeps_floating_tags(packager: Packager, box: Box) -> None:
    nvr = f"{packager.name}-container-1.0"
    packager.commit(packager.dockerfile("COPY note /", without="release"), files={"note": "newer"})
    _built(packager, "--build-release", "10")
    newer = _digest(box, packager.name, "1.0-10")
    packager.commit(packager.dockerfile("COPY note /"), files={"note": "older"})
    said = _built(packager, "--build-release", "9")
    assert f"floating tag latest is kept by the newer build {nvr}-10" in said
    assert _digest(box, packager.name, "1.0-9") != newer
    assert {_digest(box, packager.name, tag) for tag in ("latest", "1.0")} == {newer}
    assert _call(box, "getBuild", f"{nvr}-9")["extra"]["image"]["index"]["floating_tags"] == ["1.0", "latest"]
    # Untagging a newer build returns its floating tags.
    _call(box, "untagBuild", DEST_TAG, f"{nvr}-10")
    packager.commit(packager.dockerfile("COPY note /"), files={"note": "mended"})
    _built(packager, "--build-release", "9.1", "--skip-check", "nvr-exists")
    assert _digest(box, packager.name, "latest") == _digest(box, packager.name, "1.0-9.1") != newer


def test_isolated_builds_move_no_floating_tags(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    assert f"{packager.name}-container-1.0-1 " in _built(packager)
    first = _digest(box, packager.name, "latest")
    _built(packager, "--isolated", "--build-release", "1.1.fix")
    assert _digest(box, packager.name, "latest") == first
    packager.commit(packager.dockerfile("RUN true", "ENV A=1"))
    assert f"{packager.name}-container-1.0-2 " in _built(packager)
    assert _digest(box, packager.name, "latest") == _digest(box, packager.name, "1.0-2")


def test_parallel_builds_get_different_releases(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: packager.build(), range(2)))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    session = box.session(ADMIN)
    releases = {each["release"] for each in session.listTagged(DEST_TAG, package=f"{packager.name}-container")}
    log_out(session)
    assert releases == {"1", "2"}
    assert _digest(box, packager.name, "latest") == _digest(box, packager.name, "1.0-2")


def test_repository_belongs_to_one_package(packager: Packager, box: Box, tmp_path_factory: Any) -> None:
    intruder = Packager.make(box, tmp_path_factory.mktemp("intruder"))
    intruder.commit(intruder.dockerfile("RUN true", name=packager.name))
    packager.commit(packager.dockerfile("RUN true"))
    _built(packager)
    before = _digest(box, packager.name, "latest")
    done = intruder.build()
    assert done.returncode == 1
    image = f"{box.layout.registry_address}/{packager.name}:latest"
    assert (
        f"{image} is an image of {packager.name}-container, but this package is {intruder.name}-container"
        in done.stderr
    )
    assert _digest(box, packager.name, "latest") == before
    assert _call(box, "listBuilds", _call(box, "getPackageID", f"{intruder.name}-container")) == []
    _built(packager)


def test_source_repository_builds_only_its_own_package(packager: Packager, box: Box, tmp_path_factory: Any) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    _built(packager)
    before = _digest(box, packager.name, "latest")
    intruder = Packager.make(box, tmp_path_factory.mktemp("intruder"))
    theirs = {"com.redhat.component": f"{packager.name}-container", "name": packager.name}
    intruder.commit(intruder.dockerfile("RUN true", **theirs))
    done = intruder.build("--build-release", "99")
    assert done.returncode == 1
    assert f"{packager.name}-container, but the source repository container/{intruder.name} builds" in done.stderr
    assert "[label-repository]" in done.stderr
    assert _digest(box, packager.name, "latest") == before
    assert _call(box, "getBuild", f"{packager.name}-container-1.0-99") is None
    _built(intruder, "--scratch")
    with site_settings(box, {"components": {intruder.name: f"{packager.name}-container"}}):
        _built(intruder, "--build-release", "99")


def test_repository_reserved_by_the_site(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    with site_settings(box, {"repositories": {packager.name: "other-container"}}):
        done = packager.build()
    assert done.returncode == 1
    assert f"{packager.name} is reserved for images of other-container, but this package is" in done.stderr


@pytest.fixture
def below(packager: Packager) -> Packager:
    """Return a package with two builds, for another one to build on."""
    for number in (1, 2):
        packager.commit(packager.dockerfile(f"ENV NUMBER={number}"))
        _built(packager)
    return packager


def test_parents_are_recorded_and_can_be_overridden(below: Packager, box: Box, tmp_path_factory: Any) -> None:
    above = Packager.make(box, tmp_path_factory.mktemp("above"))
    written = f"{box.layout.registry_address}/{below.name}:latest"
    tools = f"FROM {above.base} AS tools\nRUN echo tool > /tool\n"
    above.commit(tools + above.dockerfile("COPY --from=tools /tool /tool", base=written))
    _built(above, "--koji-parent-build", f"{below.name}-container-1.0-1")
    image = _call(box, "getBuild", f"{above.name}-container-1.0-1")["extra"]["image"]
    first = _call(box, "getBuild", f"{below.name}-container-1.0-1")
    pinned = f"{box.layout.registry_address}/{below.name}@{_digest(box, below.name, '1.0-1')}"
    assert image["parent_images"] == [above.base, written]
    assert image["parent_build_id"] == first["build_id"]
    assert image["parent_image_builds"][pinned] == {"id": first["build_id"], "nvr": first["nvr"]}
    assert len(image["parent_image_builds"]) == 2
    for nvr, status, said in (
        ("nosuch-1-1", 3, "build nosuch-1-1 does not exist"),
        (first["nvr"], 1, f"is an image of {below.name}"),
    ):
        above.commit(above.dockerfile("RUN true", "ENV A=" + nvr))
        done = above.build("--scratch", "--koji-parent-build", nvr)
        assert done.returncode == status
        assert said in done.stderr


def test_base_image_not_allowed_by_the_site(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    address = box.layout.registry_address
    with site_settings(box, {"registry": {"sources": f"registry.example.org {address}/allowed"}}):
        done = packager.build("--scratch")
    assert done.returncode == 1
    assert (
        f"base images from {address} are not allowed on this site; use one of registry.example.org, {address}/allowed"
        in done.stderr
    )


def test_archives_are_referenced_without_content(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    with site_settings(box, {"content_generator": {"archives": "reference"}}):
        _built(packager)
    build = _call(box, "getBuild", f"{packager.name}-container-1.0-1")
    archives = _call(box, "listArchives", build["build_id"])
    assert [each["metadata_only"] for each in archives if each["btype"] == "image"] == [True]
    assert not list((box.layout.topdir / "packages" / f"{packager.name}-container").rglob("*.tar.gz"))
