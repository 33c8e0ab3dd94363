# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds of images with a large or malicious RPM database."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out
from tests.support import rpm_database
from tests.support.leftovers import nothing_left
from tests.support.packager import Packager


def _commit(packager: Packager, database: Path) -> None:
    """Commit an image with a database, but no other files of its RPMs."""
    shutil.copyfile(database, packager.checkout / rpm_database.FILE)
    packager.commit(packager.dockerfile(f"COPY {rpm_database.FILE} /{rpm_database.DATABASE}/"))


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_build_of_an_image_with_many_rpms(packager: Packager, box: Box, tmp_path: Path, many: int) -> None:
    _commit(packager, rpm_database.make(tmp_path / "root", packages=many))
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"x86_64: Koji knows 0 of {many} RPMs" in done.stdout + done.stderr
    session = box.session(ADMIN)
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    (arch,) = session.getTaskChildren(build["extra"]["container_koji_task_id"])
    result = session.getTaskResult(arch["id"])
    log_out(session)
    assert result["rpms"] == many
    assert result["file"]["size"] > 200 * many
    (sbom,) = box.layout.topdir.rglob(f"{build['nvr']}.x86_64.spdx.json")
    packages = [each["name"] for each in json.loads(sbom.read_text())["packages"]]
    assert len([name for name in packages if name.startswith("p0")]) == many


@pytest.mark.slow  # tests/unit/test_packages.py has the limit itself
def test_build_with_an_endless_database_fails(packager: Packager, box: Box, tmp_path: Path) -> None:
    database = rpm_database.make(tmp_path / "root")
    rpm_database.make_endless(database, rpm_database.STREAMED)
    _commit(packager, database)
    done = packager.build("--scratch")
    assert done.returncode == 1
    assert "cannot read the image's RPM database: rpm printed more than 32 MB" in done.stderr
    nothing_left(box)
