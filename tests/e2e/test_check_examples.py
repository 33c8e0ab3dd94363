# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of the checks of the hub: a wrong one has the finding, the right one does not.

Its koji commands are run by the administrator. container-build only checks, as nothing builds here.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.layout import ADMIN, CONTENT_GENERATOR
from fedpkg_container.box.shell import environment
from fedpkg_container.hub.session import log_out
from fedpkg_container.model.checks import Example, hub
from fedpkg_container.process import run
from tests.support.packager import Packager

#: Checks whose findings need a hub that cannot be made by commands (tests/unit/test_preflight_names.py), images and
#: servers (tests/registry/test_client_dry_run.py), or builds (tests/e2e/test_again.py).
ELSEWHERE = {"dest-tag", "koji-parent-build", "parent-missing", "parent-arch", "repo-file", "head-built"}
KOJI = Path(sys.executable).with_name("koji")


@pytest.fixture(scope="module")
def hello(small_box: Box, tmp_path_factory: pytest.TempPathFactory) -> Packager:
    """A checkout of ``container/hello``; releases 1 and 2 of the build exist."""
    directory = tmp_path_factory.mktemp("hello")
    small_box.create_repository("container/hello")
    packager = Packager(small_box, "hello", directory / "hello", environment(small_box))
    packager.git("clone", "--quiet", f"{packager.distgit}/container/hello", cwd=directory)
    packager.commit(packager.dockerfile(base="registry.example.org/fedora:42"))
    admin, generator = small_box.session(ADMIN), small_box.session(CONTENT_GENERATOR)
    admin.packageListAdd(site.DEST_TAG, "hello-container", owner=ADMIN)
    admin.createEmptyBuild("hello-container", "1.0", "1", 0)
    name = _generator(admin)
    generator.CGInitBuild(name, {"name": "hello-container", "version": "1.0", "release": "2"})
    for session in (admin, generator):
        log_out(session)
    return packager


def _generator(admin: Any) -> str:
    """Return a content generator of the box's account for imports."""
    name = "examples"
    admin.grantCGAccess(CONTENT_GENERATOR, name, create=True)
    return name


def _run(example: Example, hello: Packager) -> dict[str, str]:
    """Run an example's commands; return code → severity of the findings of container-build."""
    findings: dict[str, str] = {}
    for line in example.commands:
        program, *arguments = shlex.split(line, comments=True)
        if program == "koji":
            run([KOJI, *arguments], env=environment(hello.box, user=ADMIN), timeout=240)
        elif program == "fedpkg":
            done = hello.run(program, arguments[0], "--dry-run", *arguments[1:], check=False)
            found = re.findall(r"^(?:\S+: )?(error|warning|note): .*\[([a-z-]+)\]$", done.stderr, re.MULTILINE)
            findings |= {code: severity for severity, code in found}
    return findings


@pytest.mark.parametrize("code", [code for code in hub.CHECKS if code not in ELSEWHERE])
def test_examples(code: str, hello: Packager) -> None:
    check = hub.CHECKS[code]
    database = Database(hello.box.layout.database)
    for example, expected in ((check.wrong, check.severity), (check.right, None)):
        checked_in = time.time() - (3600 if code == "builder-silent" and expected else 0)
        database.execute("UPDATE hosts SET update_time = ?", checked_in)
        findings = _run(example, hello)
        assert findings.get(code) == expected
        if expected is None:
            assert "error" not in findings.values()
