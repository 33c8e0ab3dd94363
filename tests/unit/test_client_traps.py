# SPDX-License-Identifier: GPL-2.0-or-later
"""The client in unusual surroundings and with options that do not fit: one line that states what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import LocalCheckout
from tests.support.fake_hub import write_profile
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

CLIENT = str(Path(sys.executable).with_name("fedpkg-container"))
DRY_RUN = ("container-build", "--dry-run", "--offline")


@pytest.fixture
def checkout(tmp_path: Path) -> LocalCheckout:
    """A checkout without a hub."""
    return LocalCheckout.make(tmp_path)


def _run(
    checkout: LocalCheckout, *arguments: str | bytes, script: str = 'exec "$@"', **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the client by a shell, in a separate process."""
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", CLIENT, *arguments],
        cwd=checkout.directory,
        env={**checkout.environment, **environment},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    texts = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert "Traceback" not in texts[1], texts[1]
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def test_deleted_working_directory(checkout: LocalCheckout) -> None:
    (checkout.directory / "gone").mkdir()
    done = _run(checkout, *DRY_RUN, script='cd gone && rmdir ../gone && exec "$@"')
    assert done.returncode == 1
    assert "error: the working directory no longer exists\n       change to an existing directory: cd\n" in done.stderr


def test_closed_standard_output(checkout: LocalCheckout) -> None:
    assert _run(checkout, *DRY_RUN, script='exec "$@" >&-').returncode == 0


def test_full_standard_output(checkout: LocalCheckout) -> None:
    for options in ((), ("--progress", "json")):
        done = _run(checkout, *DRY_RUN, *options, script='exec "$@" >/dev/full')
        assert done.returncode == 1
        assert "error: standard output: No space left on device\n" in done.stderr


def test_no_git(checkout: LocalCheckout, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = _run(checkout, *DRY_RUN, PATH=str(tmp_path / "bin"))
    assert (done.returncode, done.stderr) == (2, "error: program not found: git\n       install git, and check PATH\n")


@pytest.mark.parametrize("module", ["__init__", "cli"])
def test_site_client_that_cannot_be_imported(checkout: LocalCheckout, tmp_path: Path, module: str) -> None:
    package = tmp_path / "site" / "fedpkg"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").touch()
    (package / f"{module}.py").write_text("import missing_module.part\n")
    done = _run(checkout, *DRY_RUN, PYTHONPATH=str(package.parent))
    assert done.returncode == 2
    assert "error: cannot import fedpkg: the Python module missing_module is missing\n" in done.stderr


@pytest.mark.parametrize(
    "option", ["--target", "--build-release", "--repo-url", "--userdata", "--skip-check", "--path"]
)
def test_option_that_is_not_utf_8(checkout: LocalCheckout, option: str) -> None:
    done = _run(checkout, "container-build", "--dry-run", option, b"caf\xe9")
    assert done.returncode == 2
    assert "error: argument caf\\xe9 is not valid UTF-8" in done.stderr


def test_commands_of_the_site_pass_other_bytes_on(checkout: LocalCheckout) -> None:
    (checkout.directory / "new").touch()
    checkout.git("add", "new")
    checkout.git("config", "user.name", "t")
    checkout.git("config", "user.email", "t@example.com")
    done = _run(checkout, "commit", "-m", b"caf\xe9")
    assert done.returncode == 0, done.stderr
    log = subprocess.run(["git", "log", "-1", "--format=%s"], cwd=checkout.directory, capture_output=True, check=True)
    assert log.stdout.startswith(b"caf")


@pytest.mark.parametrize("upstream", [True, False])
@pytest.mark.parametrize("command", [DRY_RUN, ("container-build-config",), ("container-status",)])
def test_branch_that_is_not_utf_8(checkout: LocalCheckout, command: tuple[str, ...], upstream: bool) -> None:
    switch: list[str | bytes] = ["git", "switch", "--quiet", "--create", b"caf\xe9"]
    subprocess.run(switch, cwd=checkout.directory, env=checkout.environment, check=True, capture_output=True)
    if upstream:
        checkout.git("push", "--quiet", "--set-upstream", "origin", "HEAD")
    write_profile(checkout.home, "http://127.0.0.1:1/kojihub")
    done = _run(checkout, *command)
    assert done.returncode == (0 if command == ("container-build-config",) else 3), "its table leaves git's values out"
    assert "the name of a branch or remote, or .git/config, is not valid UTF-8" in done.stderr


def test_file_that_is_not_utf_8(checkout: LocalCheckout) -> None:
    with open(os.fsencode(checkout.directory) + b"/caf\xe9", "wb"):
        pass
    done = _run(checkout, *DRY_RUN)
    assert done.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("container-build", "--target", ""),
        ("container-build", "--target="),
        ("container-build", "--task-info", ""),
        ("container-build", "--build-release", " "),
        ("container-build", "--repo-url", "https://example.com/a.repo", ""),
        ("container-status", ""),
        ("container-status", "--diff", "", "1"),
        ("container-build-config", "--get", ""),
        ("--user", "", "container-build"),
    ],
)
def test_empty_values_are_refused(checkout: LocalCheckout, arguments: tuple[str, ...]) -> None:
    done = checkout.run(*arguments)
    assert done.returncode == 2
    assert "the value is empty" in done.stderr


@pytest.mark.parametrize("option", [("--task-info", "file"), ("--nowait",), ("--cancel-on-interrupt",)])
def test_options_about_a_task_are_refused_in_a_dry_run(checkout: LocalCheckout, option: tuple[str, ...]) -> None:
    done = checkout.run(*DRY_RUN, *option)
    assert done.returncode == 2
    assert f"argument {option[0]}: not allowed with argument --dry-run" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("container-status", "7", "--progress", "plain"), "argument --progress: only allowed with --watch"),
        (("container-status", "7", "--logs", "--progress", "plain"), "argument --"),
        (
            ("container-build", "--local", "--cancel-on-interrupt"),
            "argument --local: not allowed with argument --cancel",
        ),
        (("--namespace", "container", "container-build"), "missing --name"),
    ],
)
def test_options_without_effect_are_refused(checkout: LocalCheckout, arguments: tuple[str, ...], message: str) -> None:
    done = checkout.run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_user_without_effect_is_noted(checkout: LocalCheckout) -> None:
    note = "note: ignoring --user and --password: the Kerberos ticket or client certificate identifies the user"
    options = ("--user", "me", "--password", "x")
    assert note in checkout.run(*options, *DRY_RUN).stderr.splitlines()
    write_profile(checkout.home, "http://127.0.0.1:1/kojihub")
    assert checkout.run(*options, *DRY_RUN).stderr == "", "the profile has a login by password"


def test_quiet_dry_run(checkout: LocalCheckout) -> None:
    done = checkout.run(*DRY_RUN, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_findings_are_in_the_order_of_files_and_lines(checkout: LocalCheckout) -> None:
    (checkout.directory / "Dockerfile").write_text(
        "FROM registry.example.com/fedora:41\nRUN --security=insecure true\nCOPY missing /\nUNKNOWN x\nCOPY other /\n"
    )
    (checkout.directory / "container.yaml").write_text("a: 1\nb: 2\n")
    done = checkout.run(*DRY_RUN)
    places = [
        line.split(": ")[0] for line in done.stderr.splitlines() if line.startswith(("Dockerfile", "container.yaml"))
    ]
    lines = [(place.partition(":")[0], int(place.partition(":")[2] or 0)) for place in places]
    assert len(lines) > 3
    assert lines == sorted(lines)
