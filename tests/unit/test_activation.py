# SPDX-License-Identifier: GPL-2.0-or-later
"""The client under the site's own name: ``container-enable``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container import activation
from fedpkg_container.activation import check_link, client_program, create_link, remove_link
from fedpkg_container.cli import run
from fedpkg_container.errors import UsageError
from tests.support.waiting import PATIENCE


def _program(directory: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A directory for links."""
    return tmp_path / "own"


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """The installed client."""
    return _program(tmp_path / "installed", "fedpkg-container")


def test_a_link_is_created_again_and_removed(own: Path, client: Path) -> None:
    for _ in range(2):
        assert create_link(own, "fedpkg", client).readlink() == client
    assert remove_link(own, "fedpkg")
    assert not remove_link(own, "fedpkg")


@pytest.mark.parametrize("is_link", [False, True], ids=["file", "link"])
def test_another_program_of_that_name_is_kept(own: Path, client: Path, *, is_link: bool) -> None:
    theirs = _program(own, "theirs" if is_link else "fedpkg", "#!/bin/sh\necho theirs\n")
    if is_link:
        (own / "fedpkg").symlink_to(theirs)
    with pytest.raises(UsageError, match="already exists, and is not a link to fedpkg-container"):
        create_link(own, "fedpkg", client)
    with pytest.raises(UsageError, match="is not a link to fedpkg-container"):
        remove_link(own, "fedpkg")
    assert "theirs" in (own / "fedpkg").read_text()


def test_a_path_that_is_not_a_directory_is_an_error(tmp_path: Path, client: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot create .*/file/fedpkg: "):
        create_link(tmp_path / "file", "fedpkg", client)


def test_a_link_that_would_not_be_run_is_not_created(own: Path, tmp_path: Path) -> None:
    theirs = _program(tmp_path / "bin", "fedpkg").parent
    with pytest.raises(UsageError, match=f"{own} is not in PATH"):
        check_link(own, "fedpkg", str(theirs))
    with pytest.raises(UsageError, match=f"{theirs}/fedpkg precedes {own} in PATH"):
        check_link(own, "fedpkg", f"{theirs}:{own}")


def test_entries_of_path_are_compared_as_directories(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = _program(tmp_path / "bin", "sitepkg").parent
    (tmp_path / "link").symlink_to(own)
    own.mkdir()
    for entry in (f"{own}/", f"{tmp_path}/link"):
        with pytest.raises(UsageError, match=f"the commands of {theirs}/+sitepkg are not available"):
            check_link(own, "sitepkg", f"{entry}:{theirs}/")
        with pytest.raises(UsageError, match=f"{theirs}/+sitepkg precedes {own} in PATH"):
            check_link(own, "sitepkg", f"{theirs}/:{entry}")
    monkeypatch.chdir(theirs)
    for entry in ("", ".", "../bin"):  # as if the entry were not there: it depends on the working directory
        check_link(own, "sitepkg", f"{entry}:{own}")


def test_a_client_in_the_working_directory_is_not_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = _program(tmp_path / "planted", "sitepkg-container")
    installed = _program(tmp_path / "installed", "sitepkg-container")
    monkeypatch.chdir(planted.parent)
    monkeypatch.setenv("PATH", f":.:../planted:{installed.parent}")
    assert client_program("sitepkg") == installed
    monkeypatch.setenv("PATH", ":.:../planted")
    with pytest.raises(UsageError, match="program not found: sitepkg-container"):
        client_program("sitepkg")


def test_commands_of_the_site_are_not_lost(own: Path, client: Path, tmp_path: Path) -> None:
    theirs = _program(tmp_path / "bin", "sitepkg").parent
    create_link(own, "sitepkg", client)
    with pytest.raises(UsageError, match=f"the commands of {theirs}/sitepkg are not available"):
        check_link(own, "sitepkg", f"{own}:{theirs}")
    check_link(own, "sitepkg", f"{own}:{tmp_path}")  # there is no such program


def test_commands_of_the_site_are_in_its_module(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = _program(tmp_path / "bin", "sitepkg").parent
    (tmp_path / "modules" / "sitepkg").mkdir(parents=True)
    for name in ("__init__.py", "cli.py"):
        (tmp_path / "modules" / "sitepkg" / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    check_link(own, "sitepkg", f"{own}:{theirs}")


@pytest.mark.programs
def test_the_command_sets_up_and_undoes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / ".local" / "bin"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{own}:/usr/bin:/bin")

    def command(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["fedpkg-container", "container-enable", *arguments])
        assert run(["container-enable", *arguments]) == 0
        return capsys.readouterr().out

    assert command() == f"{own}/fedpkg runs {client_program('fedpkg')}\n"
    done = subprocess.run(
        ["fedpkg", "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True, env=dict(os.environ)
    )
    assert done.stdout.startswith("fedpkg-container ")
    assert command("--undo") == f"removed {own}/fedpkg\n"
    assert list(own.iterdir()) == []
    assert command("--undo") == f"{own}/fedpkg does not exist\n"


@pytest.mark.programs
@pytest.mark.parametrize("shell", sorted(activation.FUNCTIONS))
def test_the_function_runs_the_client(shell: str, client: Path, tmp_path: Path) -> None:
    client.write_text('#!/bin/sh\necho "ours $*"\n')
    function = activation.FUNCTIONS[shell].format(site="fedpkg")
    done = subprocess.run(
        [shell, "-c", f"{function}\nfedpkg container-build 'a b'"],
        env={"PATH": f"{client.parent}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "ours container-build a b\n"


def test_the_package_does_not_own_the_name() -> None:
    assert not (Path(sys.executable).parent / "fedpkg").exists()
