# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs between versions of buildah and its runtimes, with the one that is installed here."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.box.demo import running
from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.distgit.dockerfile_facts import BuildFacts
from fedpkg_container.engines import isolation
from fedpkg_container.engines.buildah import EPOCH, Buildah
from fedpkg_container.engines.sandbox import Sandbox, containers_conf
from fedpkg_container.engines.workspace import Workspaces
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.building.recipe import BuildRecipe, build_image
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.registry.skopeo import Access
from tests.support.attack import SHELL, Victim

TIMESTAMP = 1_700_000_000


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    directory = tmp_path_factory.mktemp("versions")
    return Victim.make(directory, isolation.choose(Workspaces(directory / "state")))


@pytest.mark.parametrize("own", ["", f"ARG {EPOCH}=5\n", f"ARG {EPOCH}\n"])
def test_run_has_the_time_of_the_commit(victim: Victim, own: str) -> None:
    """buildah 1.41 and newer refuse --timestamp beside a build argument SOURCE_DATE_EPOCH."""
    dockerfile = Dockerfile(f'{own}{SHELL}{own}RUN echo "epoch: ${EPOCH}"\n')
    with victim.workspaces.open("epoch") as workspace, BuildLog(workspace.directory / "build.log") as log:
        recipe = BuildRecipe(
            dockerfile, victim.context(), {}, {}, TIMESTAMP, os.uname().machine, 120.0, build_arguments={EPOCH: "6"}
        )
        engine = Buildah(victim.workspaces, workspace, isolation=victim.isolation, access=Access())
        build_image(engine, recipe, [], workspace.directory, log)
        log.flush()
        printed = (workspace.directory / "build.log").read_text()
    assert f"epoch: {TIMESTAMP}" in printed.splitlines()
    assert "[Warning]" not in printed, "a warning about arguments that the Dockerfile does not declare"


def test_platform_arguments_are_those_of_the_image(victim: Victim) -> None:
    """Without --os, buildah uses those of this machine, also for another architecture."""
    text = "FROM scratch\nARG TARGETARCH\nARG TARGETPLATFORM\nARG TARGETVARIANT\n"
    text += "LABEL a=$TARGETARCH p=$TARGETPLATFORM v=$TARGETVARIANT\n"
    for arch, expected in (("aarch64", ("arm64", "linux/arm64/v8", "v8")), ("s390x", ("s390x", "linux/s390x", ""))):
        dockerfile = Dockerfile(text, BuildFacts(platform=platform_of(arch)))
        with victim.workspaces.open(arch) as workspace, BuildLog(workspace.directory / "build.log") as log:
            recipe = BuildRecipe(dockerfile, victim.context(), {}, {}, TIMESTAMP, arch, 120.0)
            engine = Buildah(victim.workspaces, workspace, isolation=victim.isolation, access=Access())
            image = build_image(engine, recipe, [], workspace.directory, log)
            labels = engine.configuration(image)["config"]["Labels"]
        assert tuple(labels[name] for name in "apv") == expected
        assert tuple(dockerfile.labels[name] for name in "apv") == expected


def test_run_has_limits_that_may_be_set_here(victim: Victim) -> None:
    """Newer buildah raises NOFILE and NPROC to 1048576, which fails where the hard limits are lower."""
    done = victim.build(f'{SHELL}RUN echo "files: $(ulimit -Hn)"; echo "processes: $(ulimit -Hu)"\n')
    assert done.error == ""
    for name, number in (("files", resource.RLIMIT_NOFILE), ("processes", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(number)[1]
        assert int(done.values()[name]) > 0
        assert hard == resource.RLIM_INFINITY or int(done.values()[name]) <= hard


def test_limits_are_not_above_those_of_this_process() -> None:
    script = "from fedpkg_container.engines.sandbox import Sandbox, containers_conf; print(containers_conf())"
    lowered = ["prlimit", "--nofile=1000:2000", "--nproc=500:600", "--", sys.executable, "-c", script]
    printed = subprocess.run(lowered, capture_output=True, text=True, check=True, timeout=60).stdout
    assert 'default_ulimits = ["nofile=2000:2000", "nproc=600:600"]' in printed
    assert "default_ulimits" in containers_conf()


def test_a_runtime_that_fails_is_quoted(victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """buildah ends with "exit status 1"; the reason is in a line before that."""
    runtime = tmp_path / "broken-runtime"
    runtime.write_text('#!/bin/sh\necho "error setting rlimit type 7: operation not permitted" >&2\nexit 1\n')
    runtime.chmod(0o755)
    monkeypatch.setattr(isolation, "RUNTIMES", (str(runtime),))
    real = Sandbox.command

    def with_runtime(sandbox: Sandbox, arguments: list[str | Path]) -> list[str | Path]:
        return real(replace(sandbox, readable=[*sandbox.readable, runtime]), arguments)

    monkeypatch.setattr(Sandbox, "command", with_runtime)
    with pytest.raises(FedpkgContainerError, match="error setting rlimit type 7") as refused:
        isolation.probe(Workspaces(tmp_path / "state"))
    assert "install" not in refused.value.solution


def test_an_image_that_ends_is_reported_at_once_with_its_output() -> None:
    def ended() -> None:
        raise FedpkgContainerError("the image ended with exit status 1")

    with pytest.raises(FedpkgContainerError, match="exit status 1"):
        running._get("http://127.0.0.1:9/", ended)


def test_dnf_5_is_recognized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fedpkg_container.box.demo import rpms

    for name in ("dnf5", "dnf-3"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for target, expected in (("dnf5", True), ("dnf-3", False)):
        (tmp_path / "dnf").unlink(missing_ok=True)
        (tmp_path / "dnf").symlink_to(target)
        assert rpms.is_dnf5() is expected
