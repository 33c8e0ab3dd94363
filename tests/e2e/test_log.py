# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs of programs and builders: everything with --debug, decisions with the task in a builder's log, no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.hub.calls.users import set_password
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.layout import ADMIN, PACKAGER
from fedpkg_container.box.shell import environment
from tests.support.packager import Packager

SECRET = "Pl4nt3d"


@pytest.fixture
def client(small_box: Box, tmp_path: Path) -> Iterator[Packager]:
    """A packager who logs in with a password, behind a proxy with a password, with a password in git's remote."""
    client = Packager.make(small_box, tmp_path)
    client.commit(client.dockerfile("RUN true"))
    database = Database(small_box.layout.database)
    with database.transaction():
        set_password(database, PACKAGER, SECRET)
    profile = Path(client.environment["HOME"]) / ".koji" / "config"
    profile.write_text(re.sub("authtype = ssl\ncert = .*\n", "authtype = password\n", profile.read_text()))
    remote = f"https://{PACKAGER}:{SECRET}@127.0.0.1:{small_box.layout.ports.distgit}/container/{client.name}"
    client.run("git", "remote", "set-url", "origin", remote)
    proxy = f"http://{PACKAGER}:{SECRET}@127.0.0.1:9"
    local = {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    client.environment = {**client.environment, "https_proxy": proxy, "HTTPS_PROXY": proxy, **local}
    yield client
    environment(small_box)


def _submit(client: Packager, *options: str, global_options: tuple[str, ...], status: int = 0) -> tuple[str, str]:
    command = ["fedpkg", *global_options, "--user", PACKAGER, "--password", SECRET, "container-build"]
    done = client.run(*command, "--scratch", "--nowait", *options, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("option", ["-v", "--debug"])
def test_the_client_logs_everything_except_secrets(client: Packager, small_box: Box, option: str) -> None:
    userdata = f'{{"token": "{SECRET}"}}'
    repo_url = f"http://127.0.0.1/x.repo?token={SECRET}"
    output, log = _submit(client, "--userdata", userdata, "--repo-url", repo_url, global_options=(option,))
    assert "Created task" in output
    hub = small_box.layout.hub_url.partition("://")[2]
    for line in (
        rf"INFO fedpkg_container\.commands\.build_checks: build request: git\+https?://.*{client.name}",
        rf"INFO fedpkg_container\.hub\.session: logging in to https://{hub} \(authtype password\)",
        rf"DEBUG fedpkg_container\.hub\.call_log: login to {hub}: ok after [0-9.]+ s",
        rf"DEBUG fedpkg_container\.hub\.call_log: multiCall \(getTag, .*\) to {hub}: ok after [0-9.]+ s",
        rf"DEBUG fedpkg_container\.hub\.call_log: buildContainer to {hub}: ok after [0-9.]+ s",
        r"INFO fedpkg_container\.hub\.preflight: target .*: build tag .*, architectures .*",
        r"DEBUG git\.cmd: Popen\(\['git', 'status'",
    ):
        assert re.search(line, log), line
    assert len(re.findall("buildContainer to", log)) == 1


def test_a_refused_password_is_not_logged(client: Packager) -> None:
    repo_url = f"http://{PACKAGER}:{SECRET}@127.0.0.1/x.repo"
    _, log = _submit(client, "--repo-url", repo_url, global_options=("--debug",), status=3)
    assert "error: " in log


def test_nothing_is_logged_without_an_option(client: Packager) -> None:
    _, log = _submit(client, global_options=())
    assert "fedpkg_container" not in log


def test_a_builder_logs_steps_and_decisions_with_the_task(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    match = re.search(r"Created task: ([0-9]+)", done.stdout)
    assert match
    task, nvr = int(match[1]), rf"{packager.name}-container-1\.0-1"
    session = box.session(ADMIN)
    children = [child["id"] for child in session.getTaskChildren(task)]
    session.logout()
    log = "".join(path.read_text() for path in sorted(box.layout.directory.glob("logs/builder-*.log")))
    for line in (
        rf"koji_plugins\.container_task: task {task}: buildContainer started",
        rf"image\.resolve\.plan: task {task}: planned {packager.name}-container-1\.0, release chosen by the hub",
        rf"hub\.reservation: task {task}: release 1 of {packager.name}-container-1\.0 chosen",
        rf"image\.building\.log: task {task}: parent {packager.base} is ",
        rf"steps: task {task}, {nvr}: step built",
        rf"steps: task {task}, {nvr}: step imported",
        rf"image\.publish\.floating_tags: task {task}, {nvr}: tag latest moved to {nvr} \(sha256:",
        rf"engines\.bases: task {children[0]}, {nvr} x86_64: base image .* (cached|pulled) as ",
        rf"steps: task {children[0]}, {nvr} x86_64: step executed",
    ):
        assert len(re.findall(rf"INFO fedpkg_container\.{line}", log)) == 1, line
