# SPDX-License-Identifier: GPL-2.0-or-later
"""One commit built twice, at two times and in two empty stores: the same layers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.box.layout import Layout
from fedpkg_container.box.machines import MACHINE, machines
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from tests.support.furnished import furnish, running
from tests.support.leftovers import nothing_left, registry_of
from tests.support.packager import Packager, pull_specs

#: What the second RUN finds must be what the first one left; a cache that is not cleaned must not be in a layer.
STEPS = (
    "RUN dnf install -y hello-web-pages",
    "RUN dnf install -y hello-web-more && date -d @$SOURCE_DATE_EPOCH > /when",
)


@pytest.fixture(scope="module")
def dnf_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box with one builder, whose base image has dnf."""
    directory = tmp_path_factory.mktemp("dnf")
    more = Package("hello-web-more", "Pages", contents={"/usr/share/hello-web/more.html": "more\n"})
    with running(Box(Layout.open(directory / "box", builders=machines(1)))) as box:
        furnish(box, directory, dnf=True, more=[more])
        yield box


def _scratch(packager: Packager) -> tuple[list[str], list[str], dict[str, Any]]:
    """Build in an empty store; digests of the layers as they are, digests as they are sent, and the configuration."""
    box = packager.box
    nothing_left(box)
    box.builder(box.layout.builders[0]).stop()
    shutil.rmtree(box.layout.builder(box.layout.builders[0]) / "state")
    box.start_builder(box.layout.builders[0])
    done = packager.build("--scratch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "layers may differ" not in done.stdout
    registry = registry_of(box)
    index = ImageReference.parse(pull_specs(done.stdout)[1])
    image = index.at(registry.manifest(index).content["manifests"][0]["digest"])
    config = registry.configuration(image, platform_of(MACHINE))
    layers = [layer["digest"] for layer in registry.manifest(image).content["layers"]]
    return config["rootfs"]["diff_ids"], layers, config


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_commit_gives_the_same_layers(dnf_box: Box, tmp_path: Path) -> None:
    packager = Packager.make(dnf_box, tmp_path)
    packager.commit(packager.dockerfile(*STEPS))
    first = _scratch(packager)
    time.sleep(3)  # every stamp of whole seconds is another one
    second = _scratch(packager)
    assert first[0] == second[0]
    assert first[1] == second[1]
    assert len(first[0]) == 2
    assert not [each for each in first[2]["config"]["Env"] if each.startswith("SOURCE_DATE_EPOCH")]
    assert first[2]["config"]["Labels"]["build-date"] != second[2]["config"]["Labels"]["build-date"]
