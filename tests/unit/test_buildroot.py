# SPDX-License-Identifier: GPL-2.0-or-later
"""The buildroot of an image: tools of this machine, and the RPMs that own them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.image.inspect import buildroot
from fedpkg_container.process import run
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs


def test_host_and_tools() -> None:
    found = buildroot.describe_buildroot("s390x")
    assert found["container"] == {"type": "buildah", "arch": "s390x"}
    assert [each["name"] for each in found["tools"]] == ["buildah", "skopeo"]
    assert all(each["version"][0].isdigit() for each in found["tools"])


def test_rpms_that_own_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "usr" / "bin" / "our-tool"
    package = Package("our-tools", "Tools", contents={str(tool): "#!/bin/sh\n", f"{tool}-2": "#!/bin/sh\n"})
    database = tmp_path / "rpmdb"
    justdb = ["rpm", "--dbpath", str(database), "--justdb", "--nodeps", "-i"]
    run([*justdb, str(package.build(tmp_path))], timeout=PATIENCE)
    tool.parent.mkdir(parents=True)
    for path in (tool, tool.with_name("our-tool-2"), tool.with_name("stranger")):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    programs = ("stranger", "our-tool", "absent", "our-tool-2")
    (component,) = buildroot.owning_packages(programs, database=database)
    assert (component["type"], component["name"], component["version"]) == ("rpm", "our-tools", "1.0")
    assert len(component["sigmd5"]) == 32
    assert buildroot.owning_packages(("stranger",), database=database) == []
