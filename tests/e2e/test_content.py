# SPDX-License-Identifier: GPL-2.0-or-later
"""Inputs of an image besides the Dockerfile's instructions, and their records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.hub.session import log_out
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from tests.support.images import unpacked
from tests.support.leftovers import registry_of
from tests.support.packager import Packager, pull_specs
from tests.support.site import site_settings
from tests.support.web import serve

ARCHIVE = b"what the lookaside cache holds\n"
CONTAINER_YAML = """\
tags: [rawhide, 1.0-1, v 1]
set_release_env: IMAGE_RELEASE
go: {modules: [{module: example.org/x}]}
"""
#: Checks of the client that would fail first.
SKIPPED = ("lookaside", "sources", "yaml-unavailable", "yaml-invalid", "tag-invalid")


def _sources(name: str, content: bytes = ARCHIVE) -> str:
    return f"SHA512 ({name}) = {hashlib.sha512(content).hexdigest()}\n"


@pytest.fixture
def lookaside(box: Box, packager: Packager, tmp_path: Path) -> Iterator[Path]:
    """Return the directory of this package in the site's lookaside cache."""
    directory = tmp_path / "lookaside"
    mine = directory / "container" / packager.name
    mine.mkdir(parents=True)
    with serve(directory) as address, site_settings(box, {"lookaside": {"url": address}}):
        yield mine


def _keep(lookaside: Path, name: str, content: bytes, digest: str = "") -> None:
    file = lookaside / name / "sha512" / (digest or hashlib.sha512(content).hexdigest()) / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)


def _build(box: Box, nvr: str) -> dict[str, Any]:
    session = box.session(ADMIN)
    build: dict[str, Any] = session.getBuild(nvr, strict=True)
    log_out(session)
    return build


def test_all_inputs_are_in_the_image_and_recorded(
    packager: Packager, box: Box, lookaside: Path, tmp_path: Path
) -> None:
    _keep(lookaside, "data.txt", ARCHIVE)
    files = {
        "sources": _sources("data.txt"),
        "help.md": "% hello(1)\n# NAME\nhello - a test\n",
        ".dockerignore": "help*\n",
        "container.yaml": CONTAINER_YAML,
        ".gitignore": "data.txt\n",
    }
    steps = ("ARG MIRROR=none", "COPY data.txt /", "RUN echo $MIRROR $IMAGE_RELEASE > /values")
    packager.commit(packager.dockerfile(*steps), files=files)
    with site_settings(box, {"build_arguments": {"MIRROR": "https://mirror.example.org"}}):
        done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ignoring tag 'v 1' of container.yaml: it is not a valid image tag" in done.stdout
    root = unpacked(box, pull_specs(done.stdout)[1], tmp_path)
    assert (root / "data.txt").read_bytes() == ARCHIVE
    assert ".SH NAME" in (root / "help.1").read_text()
    assert (root / "values").read_text() == "https://mirror.example.org 1\n"
    image = _build(box, f"{packager.name}-container-1.0-1")["extra"]["image"]
    assert image["help"] == "help.md"
    assert image["go"] == {"modules": [{"module": "example.org/x"}]}
    assert image["index"]["floating_tags"] == ["rawhide"]
    repository = ImageReference(box.layout.registry_address, packager.name)
    assert {"1.0-1", "rawhide"} <= set(registry_of(box).tags(repository))
    assert not {"latest", "1.0"} & set(registry_of(box).tags(repository))


def test_labels_with_the_architecture(packager: Packager, box: Box) -> None:
    """TARGETARCH is that of the image; a component that contains it is not the package's."""
    base, _, rest = packager.dockerfile(summary="for $TARGETARCH").partition("\n")
    packager.commit(f"{base}\nARG TARGETARCH\n{rest}")
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    image = ImageReference.parse(pull_specs(done.stdout)[1])
    platform = platform_of(MACHINE)
    found = registry_of(box).configuration(image, platform)["config"]["Labels"]
    assert (found["summary"], found["com.redhat.component"]) == (
        f"for {platform.architecture}",
        f"{packager.name}-container",
    )
    labels = {"com.redhat.component": f"{packager.name}-container$TARGETARCH"}
    base, _, rest = packager.dockerfile(**labels).partition("\n")
    packager.commit(f"{base}\nARG TARGETARCH\n{rest}")
    done = packager.build()
    assert done.returncode == 1, done.stdout + done.stderr
    refused = f"com.redhat.component = {packager.name}-container{platform.architecture}, but the source repository"
    assert refused in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("files", "kept", "said"),
    [
        pytest.param(
            {"sources": _sources("a.txt")},
            {},
            "cannot fetch a.txt from the lookaside cache: ",
            marks=pytest.mark.slow,
        ),
        ({"sources": _sources("a.txt")}, {"a.txt": b"other"}, "a.txt failed checksum"),
        pytest.param(
            {"sources": _sources("a.txt"), "a.txt": "mine"},
            {"a.txt": ARCHIVE},
            "a.txt is both in git and in sources",
            marks=pytest.mark.slow,
        ),
        ({"sources": f"SHA512 (../a) = {'0' * 128}\n"}, {}, "sources has an invalid entry: name or hash of '../a'"),
        pytest.param(
            {"sources": "SHA512 (a) = ../../x\n"},
            {},
            "sources has an invalid entry: name or hash of 'a'",
            marks=pytest.mark.slow,
        ),
        (
            {"container.yaml": "compose: {modules: [x]}\n"},
            {},
            "container.yaml:1: key compose.modules is not supported",
        ),
        pytest.param({"container.yaml": "tags: {}\n"}, {}, "container.yaml:1: tags is ", marks=pytest.mark.slow),
        ({"additional-tags": "a b\n"}, {}, "additional-tags:1: tag 'a b' must consist of"),
    ],
)
def test_invalid_input_is_rejected_by_the_builder(
    packager: Packager, lookaside: Path, files: Mapping[str, str], kept: Mapping[str, bytes], said: str
) -> None:
    for name, content in kept.items():
        _keep(lookaside, name, content, hashlib.sha512(ARCHIVE).hexdigest())
    packager.commit(packager.dockerfile("RUN true"), files=files)
    passed = [word for code in SKIPPED for word in ("--skip-check", code)]
    done = packager.build("--scratch", *passed)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stderr


def test_builder_with_invalid_configuration_declines_tasks(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    wrong, right = box.layout.builders
    with site_settings(box, {"engine": {"network": "bridge"}, "registry": {"colour": "red"}}, builders=[wrong]):
        done = packager.build("--scratch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"on (builder-\d+)", done.stdout)) == {right}
    said = box.layout.log(wrong).read_text()
    assert "[registry] colour: unknown setting" in said
    assert "[engine] network = bridge: must be one of auto, none, isolated, host" in said
