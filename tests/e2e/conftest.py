# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole box for the tests of this directory: real git, buildah, skopeo, docker-registry and rpm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import Layout
from fedpkg_container.box.machines import machines
from tests.support.box_hub import RunningHub, running_hub, submitting_box
from tests.support.furnished import furnish, running
from tests.support.packager import Packager
from tests.support.played import PlayedBuilder

#: Seconds that a slow test may take, on a machine that is busy with much else: it waits more than once.
SLOW_TIMEOUT = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time than others, unless they set a timeout."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box with two builders, a small base image, and a repository that holds hello-web-pages."""
    directory = tmp_path_factory.mktemp("box")
    with running(Box(Layout.open(directory / "box", builders=machines(2)))) as made:
        base = tmp_path_factory.getbasetemp()
        furnish(made, directory, shared=base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
        yield made


@pytest.fixture
def packager(box: Box, tmp_path: Path) -> Iterator[Packager]:
    """A packager with a checkout of a new container, whose builds are canceled after the test."""
    packager = Packager.make(box, tmp_path)
    yield packager
    packager.cancel_builds()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub alone, without builders."""
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def played(hub: RunningHub, tmp_path: Path) -> PlayedBuilder:
    """A builder that the test plays."""
    return PlayedBuilder(hub, tmp_path)


@pytest.fixture
def task(played: PlayedBuilder) -> int:
    """A build that runs on it."""
    return played.build()


@pytest.fixture(scope="session")
def small_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that accepts builds and has no builder."""
    with submitting_box(tmp_path_factory.mktemp("small")) as made:
        yield made
