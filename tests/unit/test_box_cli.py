# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg-container-box``: errors for a box that is not running, interrupts, and a closed standard output."""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.cli import _parser, _run
from fedpkg_container.box.demo.__main__ import what_is_kept
from fedpkg_container.box.layout import Layout
from fedpkg_container.box.shell import environment
from fedpkg_container.errors import UsageError
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

PROGRAM = [sys.executable, "-m", "fedpkg_container.box.cli"]


def _box(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "-d", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of a box that does not run."""
    Layout.open(tmp_path / "box")
    return tmp_path / "box"


@pytest.mark.parametrize("command", ["prune", "shell"])
def test_what_needs_a_running_box_says_so(command: str, directory: Path) -> None:
    done = _box(directory, command)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the box is not running\n       start it: ")
    assert done.stderr.endswith(f" -d {directory} up\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "the box was not running: {}; its data is kept (start it again: "),
        (("--remove",), "the box was not running: {}, deleted its directory\n"),
    ],
)
def test_down_reports_what_it_did(arguments: tuple[str, ...], expected: str, directory: Path) -> None:
    done = _box(directory, "down", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(expected.format(directory))
    assert directory.exists() == (not arguments)


@pytest.mark.parametrize("arguments", [("status",), ("--help",)])
def test_output_that_nobody_reads_ends_it_in_silence(arguments: tuple[str, ...], directory: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*PROGRAM, "-d", str(directory), *arguments]
    # Without a buffer argparse writes the help text itself, and ignores that it cannot (since Python 3.12).
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False, env=env
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_repository_that_is_there_is_no_new_one(directory: Path) -> None:
    new, again = (_box(directory, "create-repo", "container/hello") for _ in range(2))
    assert new.stdout == again.stdout == f"{directory}/dist-git/container/hello.git\n"
    assert new.stderr == ""
    assert again.stderr == "container/hello already exists and is not changed:\n"


@pytest.mark.parametrize("user", ["packager", "admin"])
def test_the_shells_prompt_says_where_one_is(user: str, directory: Path) -> None:
    env = {**environment(Box(Layout.open(directory)), user=user), "TERM": "dumb"}
    shell = pexpect.spawn("bash", ["-i"], env=env, encoding="utf-8", timeout=PATIENCE)
    try:
        shell.expect_exact("(box) ")
        shell.sendline("echo is-$((6 * 7))")
        shell.expect_exact("is-42")
        shell.expect_exact("(box) ")
    finally:
        shell.close(force=True)


def test_the_demonstration_says_what_can_be_done_with_its_box() -> None:
    text = what_is_kept(Path("/var/tmp/first look/box"))
    commands = [
        shlex.split(line.partition(" it:")[2].partition(" (")[0]) for line in text.splitlines() if " it:" in line
    ]
    assert [command[3:] for command in commands] == [["up"], ["shell"], ["down"], ["down", "--remove"]]
    for command in commands:
        assert _parser().parse_args(command[1:]).directory == Path("/var/tmp/first look/box")


def test_a_directory_that_cannot_be_made_is_named() -> None:
    done = _box(Path("/proc/nowhere/box"), "up")
    assert done.returncode == 2
    assert done.stderr.startswith("error: /proc/nowhere/box cannot be created: ")


def test_ctrl_c_suggests_what_to_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Box) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Box, "up", interrupted)
    assert _run(_parser().parse_args(["-d", str(directory), "up"])) == 130
    said = capsys.readouterr().err
    assert said.startswith("error: interrupted\n       run the command again, or stop the box: ")
    assert said.endswith(f" -d {directory} down\n")


@pytest.mark.parametrize(
    "command", [["up"], ["status"], ["shell"], ["prune"], ["create-repo", "container/hello"], ["down", "--remove"]]
)
def test_a_box_of_another_user_is_refused_at_once(
    command: list[str], directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also for root, which could read it, and would leave files that its owner could not use."""
    owner, before = pwd.getpwuid(os.geteuid()).pw_name, sorted(directory.rglob("*"))
    monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)
    assert _run(_parser().parse_args(["-d", str(directory), *command])) == 2
    assert capsys.readouterr().err == (
        f"error: {directory} belongs to user {owner}; a box can only be used by its owner\n"
        "       use another directory: --directory DIRECTORY\n"
    )
    assert sorted(directory.rglob("*")) == before


def test_an_owner_without_an_account_is_named_by_number(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)
    with pytest.raises(UsageError, match=rf"belongs to user #{directory.stat().st_uid}; "):
        Layout.open(directory)
