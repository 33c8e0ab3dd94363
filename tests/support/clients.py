# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of a registry with separate stores: skopeo and podman."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fedpkg_container.errors import ProgramError
from fedpkg_container.process import run
from tests.support.front_ends import Distribution
from tests.support.waiting import PATIENCE


def skopeo(distribution: Distribution, command: str, *arguments: str, timeout: float = 60) -> str:
    """skopeo's output for an image of a front end, or of its registry."""
    return run(["skopeo", command, *distribution.access.options(), *arguments], timeout=timeout).text


def pull(distribution: Distribution, name: str, store: Path, *, timeout: float = 60) -> None:
    """Pull an image through the front end into an empty directory.

    :raises ProgramError: if skopeo failed
    :raises ProgramTimeoutError: if it timed out
    """
    assert not store.exists()
    options = distribution.access.options("src-")
    source = f"docker://{distribution.address}/{name}"
    run(["skopeo", "copy", "--preserve-digests", "--quiet", *options, source, f"dir:{store}"], timeout=timeout)


def podman_problem() -> str:
    """Return why podman does not run on this machine; empty if it does."""
    if shutil.which("podman") is None:
        return "it is not installed"
    try:
        with _podman() as command:
            run([*command, "info"], timeout=PATIENCE)
    except ProgramError as error:
        return error.reason
    return ""


def podman_pull(distribution: Distribution, name: str) -> None:
    """Pull with podman.

    :raises ProgramError: if podman failed
    """
    with _podman() as command:
        image = [*distribution.access.options(), f"docker://{distribution.address}/{name}"]
        run([*command, "pull", "--quiet", *image], timeout=PATIENCE)


@contextlib.contextmanager
def _podman() -> Iterator[list[str]]:
    """podman with an empty store, in a directory with the short name it needs."""
    with tempfile.TemporaryDirectory(prefix="podman-") as directory:
        store = ["--root", f"{directory}/root", "--runroot", f"{directory}/run", "--tmpdir", f"{directory}/tmp"]
        yield ["podman", *store, "--storage-driver", "vfs"]
