# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell scripts of packages and of their development: files of the system, directories, and the environment."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
LINE = "fedpkg-container:1073741824:1048576"
ACCOUNTS = ("packaging/rpm/fedpkg-container.spec", "debian/fedpkg-container-builder.postinst", "packaging/setup-system")

pytestmark = pytest.mark.programs


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("content", [None, "", "me:100000:65536\n", "me:100000:65536", f"{LINE}\n", LINE])
@pytest.mark.parametrize("script", ACCOUNTS)
def test_subordinate_ids_are_a_line_of_their_own(script: str, content: str | None, tmp_path: Path) -> None:
    """Also without a newline at the end of the file: otherwise, two accounts would lose their IDs."""
    files = [tmp_path / name for name in ("subuid", "subgid")]
    for file in files:
        if content is not None:
            file.write_text(content)
    loop = re.search(
        r"^ *for file in /etc/subuid /etc/subgid; do\n.*?^ *done\n", (ROOT / script).read_text(), re.M | re.S
    )
    assert loop is not None
    shell = f"set -eu\naccount={LINE}\n{loop[0].replace('/etc', str(tmp_path))}"
    for _ in range(2):  # of the second installation too
        assert _run("sh", "-c", shell).returncode == 0
    for file in files:
        lines = file.read_text().splitlines()
        assert lines == [*(line for line in (content or "").splitlines() if line != LINE), LINE]


def _programs(directory: Path) -> Path:
    """Programs that do nothing: of packages, and of the installation of a system."""
    directory.mkdir()
    for name in ("rpm", "rpmbuild", "tar", "debootstrap", "unshare"):
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    return directory


def test_packages_are_built_with_a_cdpath(tmp_path: Path) -> None:
    """With it, ``cd`` may lead elsewhere, and prints where."""
    programs = _programs(tmp_path / "bin")
    (programs / "rpmbuild").write_text('#!/bin/sh\nfor last; do :; done; echo "$last"\n')
    (tmp_path / "packaging" / "rpm").mkdir(parents=True)
    for cdpath in (".", str(tmp_path)):
        path = f"{programs}:{os.environ['PATH']}"
        done = _run("sh", "packaging/rpm/build", tmp_path / "out", PATH=path, CDPATH=cdpath)
        assert done.stdout == f"{ROOT}/packaging/rpm/fedpkg-container.spec\n", done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root enters the systems")
@pytest.mark.parametrize("planted", ["directory", "link"])
def test_root_enters_no_system_of_another_user(planted: str, tmp_path: Path) -> None:
    systems, theirs = tmp_path / "systems", tmp_path / "theirs"
    (theirs / "sid" / "root").mkdir(parents=True)
    (theirs / "sid" / ".complete").write_text("")
    if planted == "directory":
        theirs.rename(systems)
        os.chown(systems, 65534, 65534)
    else:
        systems.symlink_to(theirs)
    programs = _programs(tmp_path / "bin")
    (programs / "unshare").write_text(f"#!/bin/sh\ntouch {tmp_path}/entered\n")
    path = f"{programs}:{os.environ['PATH']}"
    done = _run("tests/systems/run", "sid", PATH=path, SYSTEMS=str(systems), STEPS="demo")
    assert "belongs to another user or is a link" in done.stderr
    assert done.returncode == 1
    assert not (tmp_path / "entered").exists()
    assert not list(systems.glob("*.log"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root enters the systems")
def test_systems_are_private(tmp_path: Path) -> None:
    """They have copies of root's configuration, and their logs are written to them."""
    systems = tmp_path / "systems"
    path = f"{_programs(tmp_path / 'bin')}:{os.environ['PATH']}"
    _run("tests/systems/run", "sid", PATH=path, SYSTEMS=str(systems), STEPS="demo")
    assert systems.stat().st_mode & 0o777 == 0o700


def test_wheels_need_a_usable_python(tmp_path: Path) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    for arguments, environment in (([broken], {}), ([], {"PYTHONS": str(broken)})):
        done = _run("tests/wheels/run", *arguments, WHEELS=str(tmp_path / "wheels"), **environment)
        assert done.stderr == f"check-wheels: {broken} is not a Python 3.9 or newer with venv and ensurepip\n"
        assert done.returncode == 2


def test_wheels_are_tested_with_one_python_of_each_version(tmp_path: Path) -> None:
    """The newest of pyenv's; those that do not run are left out."""
    text = (ROOT / "tests" / "wheels" / "run").read_text()
    functions = re.findall(r"^usable\(\)[^\n]*\n|^discover\(\) \{\n.*?^\}\n", text, re.M | re.S)
    assert len(functions) == 2
    for version, status in (("3.9.7", 0), ("3.11.2", 0), ("3.11.10", 0), ("3.13.0", 1)):
        program = tmp_path / "versions" / version / "bin" / "python3"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\nexit {status}\n")
        program.chmod(0o755)
    programs = _programs(tmp_path / "bin")
    for name in ("seq", "sort"):  # no Python in PATH
        (programs / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        ["/bin/bash", "-c", f"set -euo pipefail\n{''.join(functions)}discover"],
        env={"PATH": str(programs), "PYENV_ROOT": str(tmp_path)},
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    expected = [f"{tmp_path}/versions/{version}/bin/python3" for version in ("3.9.7", "3.11.10")]
    assert done.stdout.splitlines() == expected
