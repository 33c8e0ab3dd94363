# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a registry simulated in memory, and a client of it with short retry pauses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.memory_registry import MemoryRegistry
from tests.support.registry_clients import Serve, another_server, hurry, serving


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
