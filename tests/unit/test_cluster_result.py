# SPDX-License-Identifier: GPL-2.0-or-later
"""What a pod reports is compared with what the task requested."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.cluster.config_keys import Volume
from fedpkg_container.cluster.following import PodResult
from fedpkg_container.cluster.settings import ClusterConfig, Placement
from fedpkg_container.errors import BuildFailedError, ConfigurationError, FedpkgContainerError, RegistryError
from fedpkg_container.image import cluster_build
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.cluster_build import ClusterArchBuild
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.image.inspect.describe import ImageContents
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_types import FileMetadata
from fedpkg_container.model.pod import TerminationMessage
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.pod import build as pod_build
from fedpkg_container.pod.build import Inputs, PodLog, PodRun
from fedpkg_container.registry import build_artifact
from tests.support.cluster.scripted import spec

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterArchBuild:
    """A build whose image has the expected labels, and is described by the registry."""
    site = tmp_path / "site.conf"
    site.write_text("[registry]\ncandidate = registry.example.org\n")
    monkeypatch.setattr(cluster_build, "check_labels", lambda *_: None)
    monkeypatch.setattr(cluster_build, "describe_image", _described)
    return ClusterArchBuild(
        spec=spec(6),
        config=read_builder_config(site),
        cluster=ClusterConfig("kubernetes", "builds", {"": Placement("image")}),
        site=site,
        task_id=7,
        hub="https://hub",
        koji_topdir=KojiTopdir(tmp_path, "https://koji.example.org"),
        directory=tmp_path,
        log=BuildLog(tmp_path / "log"),
        upload=lambda *_: None,
        restarts=lambda: False,
    )


def _described(
    _registry: object, arch: str, reference: ImageReference, contents: ImageContents, **more: Any
) -> BuiltImage:
    """The description that the registry confirms."""
    assert not contents.packages
    return BuiltImage(
        arch, str(reference), reference.digest, "m of the registry", DIGEST, "config of the registry", [], [],
        components=[], files=[], distribution=contents.distribution, **more,
    )  # fmt: skip


RPM = {"type": "rpm", "name": "n", "version": "1", "release": "1", "epoch": None, "arch": "noarch", "sigmd5": "0",
       "signature": None}  # fmt: skip
BUILDROOT = {"host": {"os": "x"}, "content_generator": {"name": "x", "version": "1"}, "container": {}, "tools": [],
             "components": []}  # fmt: skip


def _image(**changes: Any) -> BuiltImage:
    staging = str(ImageReference("registry.example.org", "staging/task-6").at(DIGEST))
    file = FileMetadata(filename="x", relpath="x", filesize=0, checksum="0", checksum_type="sha256", type="log")
    image = BuiltImage(
        "x86_64", staging, DIGEST, "m", DIGEST, "{}", [], [], [RPM], [file], BUILDROOT,  # type: ignore[list-item, arg-type]
        details=[{"license": "MIT"}], distribution={"id": "fedora"}, parent_id=DIGEST, warnings=["a\x1b[1m\nb"],
    )  # fmt: skip
    return replace(image, **changes)


def _read(build: ClusterArchBuild, text: bytes) -> BuiltImage:
    path = build.directory / "image.json"
    path.write_bytes(text)
    result = PodResult(TerminationMessage(1, DIGEST), "registry.example.org/pod@sha256:1")
    return build._image({build_artifact.IMAGE: path}, result)


def test_the_image_that_was_requested(build: ClusterArchBuild) -> None:
    image = _read(build, json.dumps(_image().pack()).encode())
    assert image.digest == DIGEST
    assert image.files == [], "files are uploaded by the task"
    assert (image.config, image.media_type) == ("config of the registry", "m of the registry")
    assert (image.components, image.details) == ([RPM], [{"license": "MIT"}])
    assert (image.parent_id, image.distribution) == (DIGEST, {"id": "fedora"})
    assert image.warnings == ["a\ufffd[1m b"], "one printable line"
    assert image.buildroot["extra"] == {"pod_image": "registry.example.org/pod@sha256:1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "s390x"},
        {"staged_image": f"registry.example.org/staging/task-5@{DIGEST}"},
        {"staged_image": f"other.example.org/staging/task-6@{DIGEST}"},
        {"digest": "sha256:" + "b" * 64},
    ],
)
def test_another_image(build: ClusterArchBuild, changes: dict[str, str]) -> None:
    with pytest.raises(BuildFailedError, match="described another image"):
        _read(build, json.dumps(_image(**changes).pack()).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": 3}',
        b'{"format": 2}',
        b"\xff",
        json.dumps({**_image().pack(), "digest": 1}).encode(),
        *(
            json.dumps({**_image().pack(), name: value}).encode()
            for name, value in {
                "variants": 1,
                "components": [1],
                "details": [{"license": 1}],
                "warnings": [{}],
                "buildroot": {},
                "parent_id": "../x",
                "distribution": {"id": []},
                "staged_image": None,
                "arch": {},
            }.items()
        ),
        json.dumps({**_image().pack(), "variants": {"oci": "sha256:../../x"}}).encode(),
        json.dumps({**_image().pack(), "components": [{**RPM, "epoch": 2**40}]}).encode(),
        json.dumps({**_image().pack(), "components": [{**RPM, "path": "../x"}]}).encode(),
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_description(build: ClusterArchBuild, text: bytes) -> None:
    with pytest.raises(FedpkgContainerError) as caught:
        _read(build, text)
    assert len(caught.value.reason) < 400
    assert caught.value.reason.isprintable()


def test_an_artifact_without_a_description(build: ClusterArchBuild) -> None:
    with pytest.raises(BuildFailedError, match="the pod for x86_64 returned no image description"):
        build._image({}, PodResult(TerminationMessage(1, DIGEST), ""))


def test_an_image_with_labels_of_another_build(build: ClusterArchBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[ImageReference] = []

    def refuse(_registry: object, images: list[ImageReference], labels: dict[str, str]) -> None:
        compared.extend(images)
        assert labels["com.redhat.component"] == "x-container"
        raise RegistryError("wrong label")

    monkeypatch.setattr(cluster_build, "check_labels", refuse)
    other = "sha256:" + "c" * 64
    with pytest.raises(RegistryError):
        _read(build, json.dumps(_image(variants={"oci": other}).pack()).encode())
    assert [image.digest for image in compared] == [DIGEST, other]


def test_an_image_that_does_not_fit_on_the_builder(build: ClusterArchBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod can push an image of any size."""

    def download(_repository: object, _digest: str, _name: object, directory: Path, tick: Callable[[], None]) -> Path:
        tick()
        return directory

    monkeypatch.setattr(cluster_build, "save_archive", download)
    config = replace(build.config, limits=replace(build.config.limits, free_space=2**62))
    recorded = replace(build, config=config, spec=spec(6, upload_directory="x"))
    with pytest.raises(BuildFailedError, match="of free disk space"):
        recorded._upload_files(_image(), {})


def test_the_repository_by_url(build: ClusterArchBuild) -> None:
    changed = replace(build, spec=spec(6, yum_repository="repos/tag/1/x86_64"))._spec()
    assert (changed.yum_repository, changed.network) == ("", "isolated")
    assert "baseurl=https://koji.example.org/repos/tag/1/x86_64\n" in changed.repo_files["build-tag"]
    mounted = replace(build.cluster, topdir=Volume(claim="koji"))
    unchanged = replace(build, cluster=mounted, spec=spec(6, yum_repository="repos/tag/1/x86_64"))._spec()
    assert (unchanged.yum_repository, unchanged.network) == ("repos/tag/1/x86_64", "none")


def test_no_way_to_the_repository(build: ClusterArchBuild, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="topdir is not set"):
        replace(build, spec=spec(6, yum_repository="repos/x"), koji_topdir=KojiTopdir(tmp_path))._spec()


def _no_tun(network: str) -> None:
    raise FedpkgContainerError(f"no {network}")


@pytest.mark.parametrize(("network", "expected"), [("none", "none"), ("host", "host"), ("isolated", "host")])
def test_the_network_in_a_pod(
    build: ClusterArchBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, expected: str
) -> None:
    monkeypatch.setattr(pod_build, "check", _no_tun)
    with (tmp_path / "output").open("wb") as output, PodLog(tmp_path / "records", output) as log:
        assert isinstance(log, PodLog)
        inputs = Inputs(spec(6, network=network), build.config, policed=True)
        assert PodRun(inputs, log, tmp_path)._network() == expected
        refused = Inputs(spec(6, network="isolated"), build.config)
        with pytest.raises(FedpkgContainerError):
            PodRun(refused, log, tmp_path)._network()


def test_a_line_of_a_pod_is_stored_as_it_is_printed(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as file:
        log = PodLog(tmp_path / "records", file)
        with log:
            log.append("a\udcff")
            log.append_output(b"x" * 30000)
            log.report("end")
    assert log.records == 5
    assert output.read_bytes() == (tmp_path / "records").read_bytes()
    assert output.read_bytes().startswith(b"1 a?\n2+xxx")
