# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that read what a build made: they see that, and nothing of the builder."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.engines.sandbox import Sandbox, Store, confined, connected
from fedpkg_container.engines.workspace import Workspace, Workspaces
from fedpkg_container.errors import FedpkgContainerError, ProgramError
from fedpkg_container.process import run
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

SECRET = "the-builders-secret"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """What a build made, beside something of the builder's."""
    with Workspaces(tmp_path / "state").open("made") as made:
        (made.work / "file").write_text("made\n")
        (made.work / "link").symlink_to(made.directory / "secret")
        (made.directory / "secret").write_text(SECRET)
        yield made


def _said(workspace: Workspace, *command: str | Path) -> str:
    return run(confined(command, workspace), timeout=PATIENCE).text


def test_it_sees_its_directory(workspace: Workspace) -> None:
    assert _said(workspace, "cat", workspace.work / "file") == "made\n"


@pytest.mark.parametrize("name", ["link", "../secret"])
def test_it_sees_no_file_of_the_builder(workspace: Workspace, name: str) -> None:
    assert (workspace.work / name).read_text() == SECRET
    with pytest.raises(ProgramError, match="No such file"):
        _said(workspace, "cat", workspace.work / name)


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/kojid", "/root", "/var/lib", "/home"])
def test_it_sees_no_directory_of_the_builder(workspace: Workspace, path: str) -> None:
    with pytest.raises(ProgramError, match="No such file"):
        _said(workspace, "ls", path)


def test_it_has_nothing_of_the_builders_environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    assert SECRET not in _said(workspace, "env")


def test_secret_variables_are_in_no_command_line(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker gets the proxy and its password; other users of the machine can read command lines."""
    monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@proxy.example.org:3128")
    command = connected(["env"], workspace, variables=["https_proxy"])
    assert SECRET not in " ".join(map(str, command))
    assert f"https_proxy=http://me:{SECRET}@proxy.example.org:3128" in run(command, timeout=PATIENCE).text


def test_a_worker_cannot_read_the_file_of_its_secret_variables(workspace: Workspace) -> None:
    sandbox = Sandbox(workspace, secrets={"token": SECRET})
    with pytest.raises(ProgramError, match="Permission denied"):
        run(sandbox.command(["sh", "-c", "cat /run/fedpkg-container-variables"]), timeout=PATIENCE)
    assert run(sandbox.command(["sh", "-c", "echo $token"]), timeout=PATIENCE).text.strip() == SECRET


def test_it_has_no_network_and_no_processes_but_its_own(workspace: Workspace) -> None:
    assert len(_said(workspace, "cat", "/proc/net/dev").splitlines()) == 3
    assert len([each for each in _said(workspace, "ls", "/proc").split() if each.isdigit()]) == 2


def test_it_changes_nothing_of_the_builder(workspace: Workspace) -> None:
    with pytest.raises(ProgramError, match="Read-only file system"):
        _said(workspace, "touch", "/usr/bin/evil")


def test_bubblewrap_is_needed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FedpkgContainerError, match="program not found: bwrap") as caught:
        confined(["true"], workspace)
    assert caught.value.solution == "install bubblewrap"


@pytest.mark.parametrize(
    "attack",
    ["echo evil >> {0}", "echo evil > new && mv -f new {0}", "rm -f {0}; echo evil > {0}", "ln -sf /etc/passwd {0}"],
)
def test_files_by_which_the_builder_goes_are_not_changed(workspace: Workspace, attack: str) -> None:
    where = workspace.directory / "storage.conf"
    where.write_text("the builder's\n")
    sandbox = Sandbox(workspace, [where])
    script = f"cd {workspace.directory} && {attack.format(where)}"
    assert run(sandbox.command(["sh", "-c", script]), timeout=PATIENCE, check=False).status != 0
    assert where.read_text() == "the builder's\n"
    assert not where.is_symlink()


def test_files_of_workers_that_run_are_not_written_to(workspace: Workspace) -> None:
    """Workers of a build run at the same time, and each start prepares the same files."""
    sandbox = Sandbox(workspace)
    sandbox.command(["true"])
    files = [path for path in (workspace.directory / "etc").rglob("*") if path.is_file()]
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}
    opened = (workspace.directory / "etc/resolv.conf").open()
    sandbox.command(["true"])
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files} == before
    Sandbox(workspace, resolver="10.0.2.3").command(["true"])
    assert (workspace.directory / "etc/resolv.conf").read_text() == "nameserver 10.0.2.3\n"
    with opened:
        assert opened.read() == ""


def test_a_store_that_a_worker_made_a_link_is_not_mounted(workspace: Workspace) -> None:
    graph = workspace.directory / "graph"
    graph.symlink_to("/etc")
    with pytest.raises(FedpkgContainerError, match="is not a directory"):
        Sandbox(workspace, stores=[Store(graph, workspace.ids)]).command(["true"])


def test_a_directory_that_a_worker_made_a_link_keeps_its_owner(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a process that outlived its program replaces what was just made."""
    owned = workspace.directory / "owned"
    owned.mkdir()
    before = owned.stat().st_uid
    monkeypatch.setattr(Path, "mkdir", lambda self, **_: self.symlink_to(owned))
    workspace.new("made")
    assert owned.stat().st_uid == before


def test_signals_are_as_a_program_expects_them(workspace: Workspace) -> None:
    """Python ignores SIGPIPE and SIGXFSZ; what it becomes would too, and RUN with it."""
    ignored = int(_said(workspace, "grep", "SigIgn", "/proc/self/status").split()[1], 16)
    assert not [each for each in (signal.SIGPIPE, signal.SIGXFSZ) if ignored & 1 << (each - 1)]
