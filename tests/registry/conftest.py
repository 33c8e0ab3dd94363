# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a registry simulated in memory, and a client of it with short retry pauses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.hubs import NAME, Hub, Hubs, hubs
from tests.support.memory_registry import MemoryRegistry
from tests.support.registry_clients import Serve, another_server, hurry, serving
from tests.support.system_trust import system_trust

__all__ = ["system_trust"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a registry; with it a client of its repository ``hello``."""
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryRegistry]:
    with another_server(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture(scope="session")
def shared_hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hubs]:
    with hubs(tmp_path_factory.mktemp("hubs")) as made:
        yield made


@pytest.fixture
def make_hub(tmp_path: Path, shared_hubs: Hubs) -> Iterator[Callable[..., Hub]]:
    """Makes a site whose target has a profile, by the name of the profile."""
    with contextlib.ExitStack() as stack:
        yield lambda name, **changes: stack.enter_context(shared_hubs.make(tmp_path, name, **changes))


@pytest.fixture
def target(hub: Hub) -> Iterator[Repository]:
    """The repository ``stable/hello`` of the target of a test's ``hub``."""
    with Registry(hub.reached).http(hub.server.address) as http:
        yield Repository(http, NAME)
