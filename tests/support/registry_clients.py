# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of a registry in memory, to test its handling of failures, wrong data and redirects."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.pki import Authority
from fedpkg_container.registry import retry, session
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import MemoryRegistry, memory_registry
from tests.support.pushing import image
from tests.support.registries import PASSWORD, access

Serve = Callable[..., "tuple[MemoryRegistry, Repository]"]


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of hundredths of a second."""
    monkeypatch.setattr(retry, "INITIAL_BACKOFF", 0.02)
    monkeypatch.setattr(retry, "MAX_BACKOFF", 0.5)
    monkeypatch.setattr(retry, "FIRST_CHECK", 0.01)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[Serve]:
    """Start a registry; return it and a client of its repository ``hello``, which has an image under ``latest``."""
    with contextlib.ExitStack() as stack:

        def made(*, password: str = PASSWORD, **settings: object) -> tuple[MemoryRegistry, Repository]:
            server = stack.enter_context(memory_registry(directory, **settings))
            reached = access(directory, server.address, password=password)
            client = stack.enter_context(
                RegistryHTTP(server.address, certificates=reached.certificates, auth_file=reached.auth_file)
            )
            if password == PASSWORD:
                image(Repository(client, "hello"), "one", "latest")
            server.seen.clear()
            return server, Repository(client, "hello")

        yield made


@contextlib.contextmanager
def another_server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryRegistry]:
    """Another server, trusted as podman trusts servers; it requests client certificates."""
    monkeypatch.setattr(session, "DIRECTORIES", (directory / "certs.d",))
    with memory_registry(directory, token=False) as server:
        place = directory / "certs.d" / server.address
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(Authority(directory / "pki").certificate_path.read_bytes())
        yield server


def latest(server: MemoryRegistry) -> bytes:
    """The manifest of the image."""
    return server["hello"].manifests["latest"]
