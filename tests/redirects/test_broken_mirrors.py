# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror that is down, slow, silent or corrupt: the client notices, and the switch restores service."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.errors import ProgramError, ProgramTimeoutError
from fedpkg_container.registry.redirects import Kind
from tests.support.access_log import AccessLog
from tests.support.clients import pull
from tests.support.front_ends import Distribution, Mirror, distribution, open_directory, running_mirror
from tests.support.layered import LayeredImage
from tests.support.waiting import PATIENCE

_NUMBERS = itertools.count()


@pytest.fixture
def name(running: Distribution, image: LayeredImage) -> str:
    """A separate repository, which registry and mirror have."""
    name = f"broken/image-{next(_NUMBERS)}"
    image.push(f"{running.registry}/{name}:1", running.access)
    image.export(running.mirror.tree, name)
    return name


def _changed(content: bytes) -> bytes:
    return bytes([*content[:-1], content[-1] ^ 0x80])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (_changed, "(?i)digest did not match|does not match"),
        (lambda content: content[:-1], "(?i)digest did not match|does not match|unexpected EOF"),
        (lambda content: content + b"x", "(?i)digest did not match|does not match"),
        (lambda _: b"", "(?i)digest did not match|does not match"),
        (lambda _: b"<html>An account is needed", "(?i)digest did not match|does not match"),
        (None, "404"),
    ],
    ids=["one bit", "a byte short", "a byte more", "empty", "a page", "missing"],
)
@pytest.mark.parametrize("which", ["layer", pytest.param("config", marks=pytest.mark.slow)])
def test_wrong_content_fails_the_pull(
    running: Distribution, image: LayeredImage, name: str, fault: object, said: str, which: str, tmp_path: Path
) -> None:
    blob = running.mirror.tree / "v2" / name / "blobs" / (image.layers[-1] if which == "layer" else image.config)
    if callable(fault):
        blob.write_bytes(fault(blob.read_bytes()))
    else:
        blob.unlink()
    with pytest.raises(ProgramError, match=said):
        pull(running, f"{name}:1", tmp_path / "store")
    with running.switched_off():
        pull(running, f"{name}:1", tmp_path / "again")


def test_manifests_are_never_requested_from_the_mirror(
    running: Distribution, image: LayeredImage, name: str, tmp_path: Path
) -> None:
    manifests = running.mirror.tree / "v2" / name / "manifests"
    manifests.mkdir()
    for each in ("1", image.digest):
        (manifests / each).write_text("{}")
    running.mirror.log.forget()
    pull(running, f"{name}:1", tmp_path / "by-tag")
    pull(running, f"{name}@{image.digest}", tmp_path / "by-digest")
    assert not [each for each in running.mirror.log.requests() if "/manifests/" in each.path]


@contextlib.contextmanager
def _down(directory: Path) -> Iterator[Mirror]:
    """Refuse connections."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    yield Mirror(directory, port, AccessLog(directory / "none"))


@contextlib.contextmanager
def _silent(directory: Path) -> Iterator[Mirror]:
    """Accept connections and send nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Mirror(directory, int(server.getsockname()[1]), AccessLog(directory / "none"))


@contextlib.contextmanager
def _slow(directory: Path) -> Iterator[Mirror]:
    """Send a few bytes per second."""
    with running_mirror(directory, options="limit_rate 2000;") as mirror:
        yield mirror


@pytest.mark.parametrize(
    ("broken", "error", "said"),
    [
        (_down, ProgramError, "connection refused"),
        (_silent, ProgramTimeoutError, "did not end within 4 s"),
        (_slow, ProgramTimeoutError, "did not end within 4 s"),
    ],
    ids=["down", "silent", "slow"],
)
def test_switch_restores_service(
    kind: Kind, image: LayeredImage, broken: object, error: type[Exception], said: str, tmp_path: Path
) -> None:
    assert callable(broken)
    with (
        open_directory() as directory,
        broken(directory) as mirror,
        distribution(kind, directory, mirror=mirror) as made,
    ):
        image.push(f"{made.address}/a:1", made.access)
        image.export(mirror.tree, "a")
        with pytest.raises(error, match=said):
            pull(made, "a:1", tmp_path / "store", timeout=4 if error is ProgramTimeoutError else PATIENCE)
        with made.switched_off():
            pull(made, "a:1", tmp_path / "again", timeout=PATIENCE)
