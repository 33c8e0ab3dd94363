# SPDX-License-Identifier: GPL-2.0-or-later
"""Parent images in slow registries: one deadline for all of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.config import BuilderConfig, Lookaside, read_builder_config
from fedpkg_container.image.resolve import lookaside
from fedpkg_container.image.resolve.parents import ParentResolver
from fedpkg_container.image.resolve.repo_files import fetch_repo_file
from fedpkg_container.image.resolve.source import fetch_checkout
from fedpkg_container.model.limits import Deadline
from fedpkg_container.model.platforms import Platform
from fedpkg_container.registry.skopeo import Registry
from tests.support.memory_registry import DRIP, HANGS, LATE, Fault, MemoryRegistry
from tests.support.pushing import image, index
from tests.support.registries import access
from tests.support.registry_clients import Serve
from tests.support.sources import scm
from tests.support.web import dripping

pytestmark = pytest.mark.programs

#: Seconds: each of the six parents of ``_dockerfile`` takes at least one second with a slow registry.
LIMIT = 2.5
LATE_BY = HANGS / 3


def _site(directory: Path, server: MemoryRegistry) -> BuilderConfig:
    reached = access(directory, server.address, password="registry secret")
    path = directory / "builder.conf"
    path.write_text(
        f"[registry]\ncandidate = {server.address}\ncertificates = {reached.certificates}\n"
        f"auth_file = {reached.auth_file}\n[limits]\nprepare_timeout = 3\n"
    )
    return read_builder_config(path)


def _dockerfile(directory: Path, server: MemoryRegistry) -> Dockerfile:
    stages = [f"FROM {server.address}/hello:latest-{number} AS stage{number}\n" for number in range(6)]
    (directory / "Dockerfile").write_text("".join(stages) + "LABEL a=b\n")
    return Dockerfile.read(directory)


def _resolve(site: BuilderConfig, dockerfile: Dockerfile, deadline: Deadline) -> None:
    registry = Registry(site.preparation_access(deadline))
    ParentResolver(site, registry, [Platform("amd64")], lambda _: None).resolve(dockerfile)


@pytest.mark.parametrize("kind", [LATE, DRIP])
def test_six_parents_share_one_deadline(serve: Serve, tmp_path: Path, kind: str) -> None:
    server, source = serve()
    found = index(source, image(source, "two"), tags=[f"latest-{number}" for number in range(6)])
    site, dockerfile = _site(tmp_path, server), _dockerfile(tmp_path, server)
    _resolve(site, dockerfile, Deadline("the build", 600))
    server.faults["GET .*manifests/latest"] = [Fault(200, body=found.raw, kind=kind)] * 50
    with pytest.raises(BuildFailedError, match="the build: exceeded the time limit of 2.5 s"):
        _resolve(site, dockerfile, Deadline("the build", LIMIT))
    left = len(server.faults["GET .*manifests/latest"])
    assert left > 44  # at most five were started: the next ones were not
    if kind == LATE:
        assert left < 50


def test_repo_files_and_sources_share_the_remaining_time(tmp_path: Path) -> None:
    for part in (b"", b"x" * 1000):
        with dripping(part, 0.1) as address, Workspaces(tmp_path / "state").open("task") as workspace:
            directory = workspace.new("source")
            (directory / "sources").write_text(f"SHA512 (data) = {'0' * 128}\n")
            begun = time.monotonic()
            with pytest.raises(BuildFailedError, match="the build: exceeded the time limit of 2.5 s"):
                fetch_repo_file(f"{address}/x.repo", deadline=Deadline("the build", LIMIT))
            with pytest.raises(BuildFailedError, match="the build: exceeded the time limit of 2.5 s"):
                url, deadline = "git+https://example.org/container/x", Deadline("the build", LIMIT)
                lookaside.fetch_sources(
                    directory, workspace, url, Lookaside(address), lambda _: None, deadline=deadline
                )
            assert time.monotonic() - begun < repo_file_time() / 2


def test_git_is_stopped_at_the_deadline(tmp_path: Path) -> None:
    with dripping(b"", 0.1) as address, Workspaces(tmp_path / "state").open("task") as workspace:
        source = scm("git+http://", address.removeprefix("http://"), "/container/x", "1" * 40)
        for seconds, reported in ((0, 0), (1.5, 1)):
            lines: list[str] = []
            with pytest.raises(BuildFailedError, match=f"the build: exceeded the time limit of {seconds} s"):
                fetch_checkout(source, workspace, lines.append, deadline=Deadline("the build", seconds))
            assert len(lines) == reported


def repo_file_time() -> float:
    """Return the timeout of a single file, in seconds."""
    from fedpkg_container.image.resolve import repo_files

    return repo_files.FILE_TIMEOUT


def test_site_limit_applies(serve: Serve, tmp_path: Path) -> None:
    server, _ = serve()
    deadline = _site(tmp_path, server).limits.preparation_deadline()
    assert deadline.seconds == 3
    assert deadline.within(Deadline("a part", 1)).what == "a part"
    assert deadline.within(Deadline("a part", 4)) is deadline
