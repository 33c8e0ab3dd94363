# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a docker-registry per module, and a site in it per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.promoting import Bench, make_site
from tests.support.registries import access, docker_registry


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registries")


@pytest.fixture(scope="module")
def one(directory: Path) -> Iterator[str]:
    with docker_registry(directory) as host:
        yield host


@pytest.fixture
def bench(directory: Path, one: str, tmp_path: Path) -> Bench:
    """Candidate and target in one registry, the target's repositories below a prefix of the test."""
    prefix = tmp_path.name.replace("_", "-").strip("-").lower()
    return Bench(tmp_path, make_site(tmp_path, one, one, access=access(directory), prefix=prefix))
