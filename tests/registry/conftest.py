"""A registry that a test plays, and a client of it whose pauses are short."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedpkg_container.registry import patience
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import MemoryRegistry, memory_registry
from tests.support.pushing import image
from tests.support.registries import PASSWORD, access

Serve = Callable[..., "tuple[MemoryRegistry, Repository]"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.5)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a registry; with it a client of its repository ``hello``, which has an image under ``latest``."""
    with contextlib.ExitStack() as stack:

        def made(*, password: str = PASSWORD, **settings: object) -> tuple[MemoryRegistry, Repository]:
            server = stack.enter_context(memory_registry(tmp_path, **settings))
            reached = access(tmp_path, server.address, password=password)
            http = stack.enter_context(
                RegistryHTTP(server.address, certificates=reached.certificates, auth_file=reached.auth_file)
            )
            if password == PASSWORD:
                image(Repository(http, "hello"), "one", "latest")
            server.seen.clear()
            return server, Repository(http, "hello")

        yield made


def raw(server: MemoryRegistry) -> bytes:
    """The manifest of ``hello:latest``."""
    return server["hello"].manifests["latest"]
