# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the tests with a stock Koji. Without its source tree there is nothing to collect here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.layout import Layout
from fedpkg_container.errors import FedpkgContainerError
from tests.stock.box import StockBox
from tests.stock.source import VARIABLE, KojiSource
from tests.support.furnished import furnish, running
from tests.support.packager import Packager

collect_ignore_glob = [] if os.environ.get(VARIABLE) else ["test_*.py"]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> KojiSource:
    """The source tree, and our package installed beside it; without what it needs, no test can be run."""
    try:
        return KojiSource.open(Path(os.environ[VARIABLE]), tmp_path_factory.mktemp("installed"))
    except FedpkgContainerError as error:
        pytest.exit(f"{error.reason}\n{error.solution}", returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def box(source: KojiSource, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockBox]:
    """A stock Koji with our plugins, a base image, and a repository of the build tag that its own kojid made."""
    directory = tmp_path_factory.mktemp("stock")
    with running(StockBox(Layout.open(directory / "box"), source)) as made:
        furnish(made, directory, dnf=True)
        yield made


@pytest.fixture
def packager(box: StockBox, tmp_path: Path) -> Iterator[Packager]:
    """A packager with a checkout of a separate container, whose builds are canceled after the test."""
    packager = Packager.make(box, tmp_path)
    yield packager
    packager.cancel_builds()
