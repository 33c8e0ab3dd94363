"""Programs that read what a build made: they see that, and nothing of the builder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.engines.sandbox import VARIABLES, Sandbox, confined
from fedpkg_container.errors import FedpkgContainerError, ProgramError
from fedpkg_container.process import run
from tests.support.waiting import PATIENCE

SECRET = "the-builders-secret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what a build made, beside something of the builder's."""
    made = tmp_path / "made"
    made.mkdir()
    (made / "file").write_text("made\n")
    (made / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text(SECRET)
    return made


def _said(folder: Path, *command: str | Path) -> str:
    return run(confined(command, folder), timeout=PATIENCE).text


def test_it_sees_its_folder(folder: Path) -> None:
    assert _said(folder, "cat", folder / "file") == "made\n"


@pytest.mark.parametrize("name", ["link", "../secret"])
def test_it_sees_no_file_of_the_builder(folder: Path, name: str) -> None:
    assert (folder / name).read_text() == SECRET
    with pytest.raises(ProgramError, match="No such file"):
        _said(folder, "cat", folder / name)


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/kojid", "/root", "/var/lib", "/home"])
def test_it_sees_no_folder_of_the_builder(folder: Path, path: str) -> None:
    with pytest.raises(ProgramError, match="No such file"):
        _said(folder, "ls", path)


def test_it_has_nothing_of_the_builders_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    assert SECRET not in _said(folder, "env")


def test_it_has_no_network_and_no_processes_but_its_own(folder: Path) -> None:
    assert len(_said(folder, "cat", "/proc/net/dev").splitlines()) == 3
    assert len([each for each in _said(folder, "ls", "/proc").split() if each.isdigit()]) == 2


def test_it_changes_nothing_of_the_builder(folder: Path) -> None:
    with pytest.raises(ProgramError, match="Read-only file system"):
        _said(folder, "touch", "/usr/bin/evil")


def test_bubblewrap_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FedpkgContainerError, match="program not found: bwrap") as caught:
        confined(["true"], folder)
    assert caught.value.solution == "install bubblewrap"


@pytest.mark.parametrize(
    "attack",
    ["echo evil >> {0}", "echo evil > new && mv -f new {0}", "rm -f {0}; echo evil > {0}", "ln -sf /etc/passwd {0}"],
)
def test_files_by_which_the_builder_goes_are_not_changed(folder: Path, attack: str) -> None:
    where = folder / "storage.conf"
    where.write_text("the builder's\n")
    sandbox = Sandbox(folder, readable=[], environment=VARIABLES, resolver="", cgroups=False, fixed=[where])
    script = f"cd {folder} && {attack.format(where)}"
    assert run(sandbox.command(["sh", "-c", script]), timeout=PATIENCE, check=False).status != 0
    assert where.read_text() == "the builder's\n"
    assert not where.is_symlink()
