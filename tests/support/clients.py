"""Clients of a registry with stores of their own: skopeo and podman."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fedpkg_container.process import run
from tests.support.front_ends import Distribution


def skopeo(distribution: Distribution, command: str, *arguments: str, timeout: float = 60) -> str:
    """What skopeo says of an image of a front end, or of its registry."""
    return run(["skopeo", command, *distribution.access.options(), *arguments], timeout=timeout).text


def pull(distribution: Distribution, name: str, store: Path, *, timeout: float = 60) -> None:
    """Pull an image through the front end into an empty folder.

    :raises ProgramError: skopeo failed
    :raises ProgramTimeoutError: it took too long
    """
    assert not store.exists()
    options = distribution.access.options("src-")
    source = f"docker://{distribution.address}/{name}"
    run(["skopeo", "copy", "--preserve-digests", "--quiet", *options, source, f"dir:{store}"], timeout=timeout)


def podman_pull(distribution: Distribution, name: str) -> None:
    """The same with podman, into an empty store.

    :raises ProgramError: podman failed
    """
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:  # podman wants a short path
        store = ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp"]
        image = [*distribution.access.options(), f"docker://{distribution.address}/{name}"]
        run(["podman", *store, "--storage-driver", "vfs", "pull", "--quiet", *image], timeout=60)
