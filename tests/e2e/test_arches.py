# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds for several architectures, in parallel on builders of each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN, Layout
from fedpkg_container.box.machines import machines
from fedpkg_container.engines.workspace import processes_in
from fedpkg_container.hub.session import log_out
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.manifests import MANIFEST, MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST
from tests.support.bases import make_base
from tests.support.furnished import running
from tests.support.leftovers import eventually, nothing_left, registry_of
from tests.support.packager import Packager, pull_specs
from tests.support.site import site_settings
from tests.support.waiting import slowed

ARCHES = ("x86_64", "i386", "aarch64", "s390x")
#: Platforms in image configurations.
PLATFORMS = {
    "x86_64": {"architecture": "amd64", "os": "linux"},
    "i386": {"architecture": "386", "os": "linux"},
    "aarch64": {"architecture": "arm64", "os": "linux", "variant": "v8"},
    "s390x": {"architecture": "s390x", "os": "linux"},
}
HOSTS = {"x86_64": "x86", "i386": "x86", "aarch64": "arm", "s390x": "big"}
#: Seconds until canceled builds have ended.
CANCELED_WITHIN = 10


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Provide a box with a builder for two architectures each, and base images."""
    directory = tmp_path_factory.mktemp("arches")
    declared = ["x86=x86_64,i686", "arm=aarch64,armv7hl", "big=ppc64le,s390x"]
    with running(Box(Layout.open(directory / "box", builders=machines(0, declared)))) as made:
        session = made.session(ADMIN)
        site.create_target(session, arches=ARCHES)
        log_out(session)
        make_base(made, directory, "every", ARCHES, {"x86_64": "slow"})
        make_base(made, directory, "some", ["x86_64", "aarch64"])
        yield made


@pytest.fixture
def packager(many: Box, tmp_path: Path) -> Packager:
    """Provide a packager with a checkout of a new container."""
    return Packager.make(many, tmp_path)


def _commit(packager: Packager, *steps: str, base: str = "every:1", only: str = "") -> None:
    files = {"page": "hello\n", **({"container.yaml": f"platforms:\n  only: [{only}]\n"} if only else {})}
    packager.commit(packager.dockerfile(*steps, base=f"{packager.box.layout.registry_address}/{base}"), files=files)


def _manifests(box: Box, specification: str) -> list[dict[str, Any]]:
    return registry_of(box).manifest(ImageReference.parse(specification)).members


def _children(box: Box, packager: Packager) -> dict[str, dict[str, Any]]:
    """Return the subtasks of the newest build of a packager's container, by architecture."""
    session = box.session(ADMIN)
    newest = session.listTasks({"method": "buildContainer"}, {"order": "-id", "limit": 1})[0]["id"]
    assert packager.name in session.getTaskInfo(newest, request=True)["request"][0]
    children = session.getTaskChildren(newest)
    log_out(session)
    return {child["arch"]: child for child in children}


def test_each_architecture_is_built_on_its_builder_and_base(packager: Packager, many: Box) -> None:
    _commit(packager, "COPY page /page")
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    by_digest = pull_specs(done.stdout)[1]
    listed = _manifests(many, by_digest)
    assert [each["platform"] for each in listed] == [PLATFORMS[arch] for arch in ARCHES]
    assert {each["mediaType"] for each in listed} == {MANIFEST}
    registry, repository = registry_of(many), ImageReference.parse(by_digest)
    base = ImageReference.parse(f"{many.layout.registry_address}/every")
    for arch, each in zip(ARCHES, listed):
        built = registry.manifest(repository.at(each["digest"])).content
        below = registry.manifest(base.tagged(f"one-{arch}")).content
        assert [layer["digest"] for layer in built["layers"][: len(below["layers"])]] == [
            layer["digest"] for layer in below["layers"]
        ]
        config = registry.configuration(repository.at(each["digest"]))
        assert {key: config[key] for key in PLATFORMS[arch]} == PLATFORMS[arch]
    session = many.session(ADMIN)
    children = _children(many, packager)
    hosts = {host["id"]: host["name"] for host in session.listHosts()}
    assert {arch: hosts[child["host_id"]] for arch, child in children.items()} == HOSTS
    _assert_at_once(children)
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    archives = session.listArchives(buildID=build["id"], type="image")
    assert {archive["extra"]["image"]["arch"] for archive in archives} == set(ARCHES)
    assert build["extra"]["image"]["index"]["digests"] == {MANIFEST_LIST: repository.digest}
    nothing_left(many)


def _assert_at_once(children: dict[str, dict[str, Any]]) -> None:
    """Assert that all three builders were working at the same moment."""
    moments = [child["start_ts"] for child in children.values()]
    at_work = [
        {HOSTS[arch] for arch, child in children.items() if child["start_ts"] <= moment < child["completion_ts"]}
        for moment in moments
    ]
    assert {"x86", "arm", "big"} in at_work, children


def test_run_for_an_unsupported_architecture_is_rejected(packager: Packager, many: Box) -> None:
    _commit(packager, "COPY page /page", "RUN true", only="aarch64, s390x", base="every:1")
    done = packager.build("--scratch")
    assert done.returncode == 1
    line = len(packager.dockerfile().splitlines()) + 2
    assert f"Dockerfile:{line}: cannot execute RUN for " in done.stdout + done.stderr
    assert ": this machine is x86_64" in done.stdout + done.stderr
    assert "pulling" not in done.stdout
    nothing_left(many)


def test_run_in_an_unused_stage_is_accepted(packager: Packager, many: Box) -> None:
    address = f"{many.layout.registry_address}/every:1"
    text = packager.dockerfile("COPY page /page", base=address)
    packager.commit(f"FROM {address} AS tests\nRUN false\n{text}", files={"page": "hello\n"})
    done = packager.build("--scratch", "--arches", "aarch64")
    assert done.returncode == 0, done.stdout + done.stderr
    (one,) = _manifests(many, pull_specs(done.stdout)[1])
    assert one["platform"] == PLATFORMS["aarch64"]


@pytest.mark.slow
def test_failed_architecture_cancels_the_others(packager: Packager, many: Box) -> None:
    step = 'RUN ["sh", "-c", "if [ -e /slow ]; then sleep 100; fi; sleep 4; exit 7"]'
    _commit(packager, step, only="x86_64, i386")
    done = packager.build()
    assert done.returncode == 1
    assert "building the image for i386 failed" in done.stdout + done.stderr
    assert "exit status 7" in done.stdout + done.stderr
    children = _children(many, packager)
    assert children["i386"]["state"] == koji.TASK_STATES["FAILED"]
    assert children["x86_64"]["state"] == koji.TASK_STATES["CANCELED"]
    builds = many.layout.builder("x86") / "state" / "builds"

    def left() -> list[int]:
        return [pid for directory in builds.iterdir() for pid in processes_in(directory)]

    since = time.time() - children["i386"]["completion_ts"]
    eventually(lambda: left() == [], left, seconds=slowed(CANCELED_WITHIN) - since)
    session = many.session(ADMIN)
    parent = session.getTaskResult(children["i386"]["parent"], raise_fault=False)
    assert "building the image for i386 failed" in parent["faultString"]
    nothing_left(many)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("some:1", "some:1 has no image for s390x"),
        (
            "every:one-x86_64",
            "one-x86_64 has no image for arm64/v8, s390x: it is a single image for amd64, not an image index",
        ),
    ],
)
def test_parent_without_an_architecture_is_rejected(packager: Packager, many: Box, base: str, said: str) -> None:
    _commit(packager, "COPY page /page", base=base, only="x86_64, aarch64, s390x")
    done = packager.build()
    assert done.returncode == 1
    assert said in done.stdout + done.stderr
    assert _children(many, packager) == {}
    nothing_left(many)


def test_single_image_is_accepted_as_parent(packager: Packager, many: Box) -> None:
    _commit(packager, "COPY page /page", base="every:one-s390x")
    done = packager.build("--scratch", "--arches", "s390x")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each["platform"] for each in _manifests(many, pull_specs(done.stdout)[1])] == [PLATFORMS["s390x"]]


@pytest.mark.slow
def test_finished_task_removes_unused_base_images(packager: Packager, many: Box) -> None:
    _commit(packager, "COPY page /page")
    assert packager.build("--scratch", "--arches", "i386").returncode == 0
    shared = many.layout.builder("x86") / "state" / "shared"
    for path in (*(shared / "records").iterdir(), *(shared / "images").iterdir()):
        os.utime(path, (time.time() - 31 * 24 * 3600,) * 2)
    (shared / "pruned").unlink()
    assert packager.build("--scratch", "--arches", "x86_64").returncode == 0
    (left,) = [json.loads(path.read_text())["image_id"] for path in (shared / "images").glob("*/image.json")]
    base = ImageReference.parse(f"{many.layout.registry_address}/every:one-x86_64")
    assert registry_of(many).manifest(base).content["config"]["digest"] == f"sha256:{left}"
    nothing_left(many)


@pytest.fixture
def formats(many: Box, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make all builders push in these formats during a test."""
    with site_settings(many, {"registry": {"formats": request.param}}):
        yield request.param


@pytest.mark.parametrize("formats", ["v2s2 oci"], indirect=True)
@pytest.mark.usefixtures("formats")
def test_indexes_in_two_formats(packager: Packager, many: Box) -> None:
    _commit(packager, "COPY page /page", "HEALTHCHECK CMD true", only="x86_64, aarch64")
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the OCI variant of the image has no HEALTHCHECK" in done.stdout + done.stderr
    registry, by_digest = registry_of(many), ImageReference.parse(pull_specs(done.stdout)[1])
    image = many.session(ADMIN).getBuild(f"{packager.name}-container-1.0-1")["extra"]["image"]
    digests = image["index"]["digests"]
    assert list(digests) == [MANIFEST_LIST, OCI_INDEX]
    assert digests[MANIFEST_LIST] == by_digest.digest
    assert image["media_types"] == sorted([MANIFEST, MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST])
    (unique,) = image["index"]["unique_tags"]
    other = registry.manifest(by_digest.tagged(f"{unique}-oci"))
    assert other.digest == digests[OCI_INDEX]
    assert [each["platform"] for each in other.members] == [PLATFORMS["x86_64"], PLATFORMS["aarch64"]]
    first = registry.configuration(by_digest.at(registry.manifest(by_digest).members[0]["digest"]))
    assert first["config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]
    for tag in ("1.0-1", "1.0", "latest", unique):
        assert registry.manifest(by_digest.tagged(tag)).digest == by_digest.digest
    nothing_left(many)


@pytest.mark.slow
@pytest.mark.parametrize("formats", ["oci"], indirect=True)
@pytest.mark.usefixtures("formats")
def test_oci_alone(packager: Packager, many: Box) -> None:
    _commit(packager, "COPY page /page", "HEALTHCHECK CMD true", only="aarch64")
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the image has no HEALTHCHECK" in done.stdout + done.stderr
    registry, by_digest = registry_of(many), ImageReference.parse(pull_specs(done.stdout)[1])
    manifest = registry.manifest(by_digest)
    assert manifest.media_type == OCI_INDEX
    assert [each["platform"] for each in manifest.members] == [PLATFORMS["aarch64"]]
    session = many.session(ADMIN)
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    assert build["extra"]["image"]["media_types"] == [OCI_INDEX, OCI_MANIFEST]
    (archive,) = session.listArchives(buildID=build["id"], type="image")
    assert list(archive["extra"]["docker"]["digests"]) == [OCI_MANIFEST]
