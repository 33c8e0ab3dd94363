# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of RPMs, and of images that contain them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract import shapes
from tests.contract.images import ImageImporter
from tests.contract.support import assert_refused, new_name

#: Seconds for rpmbuild.
BUILD_DEADLINE = 240

SPEC = """
Name: {name}
Version: 1
Release: 1
Summary: A package without files
License: MIT
BuildArch: noarch
%description
%files
"""


@dataclass(frozen=True)
class ImportedRpm:
    name: str
    build_id: int
    directory: str
    answer: dict[str, Any]

    @property
    def nvra(self) -> str:
        return f"{self.name}-1-1.noarch"


def rpm_file(directory: Path, name: str) -> Path:
    """Build an RPM without files."""
    spec = directory / f"{name}.spec"
    spec.write_text(SPEC.format(name=name))
    command = ["rpmbuild", "-bb", "--define", f"_topdir {directory}", "--define", "_rpmformat 4", os.fspath(spec)]
    subprocess.run(command, check=True, capture_output=True, timeout=BUILD_DEADLINE)
    return directory / "RPMS" / "noarch" / f"{name}-1-1.noarch.rpm"


@pytest.fixture(scope="module")
def rpm(admin: Any, tmp_path_factory: pytest.TempPathFactory) -> ImportedRpm:
    name, directory = new_name("rpm"), new_name("upload")
    path = rpm_file(tmp_path_factory.mktemp("rpmbuild"), name)
    build_id = admin.createEmptyBuild(name, "1", "1", None)
    admin.uploadWrapper(os.fspath(path), directory)
    return ImportedRpm(name, build_id, directory, admin.importRPM(directory, path.name))


def test_import(rpm: ImportedRpm) -> None:
    assert (rpm.answer["name"], rpm.answer["arch"]) == (rpm.name, "noarch")
    assert rpm.answer["build_id"] == rpm.build_id
    assert set(rpm.answer["build"]) == shapes.BUILD
    assert len(rpm.answer["payloadhash"]) == 32


def test_rpm(rpm: ImportedRpm, anonymous: Any) -> None:
    found = anonymous.getRPM(rpm.nvra)
    assert set(found) == shapes.RPM
    assert (found["id"], found["build_id"], found["buildroot_id"]) == (rpm.answer["id"], rpm.build_id, None)
    assert (found["external_repo_id"], found["external_repo_name"]) == (0, "INTERNAL")
    assert (found["epoch"], found["extra"], found["metadata_only"], found["draft"]) == (
        None,
        None,
        False,
        False,
    )
    assert found["payloadhash"] == rpm.answer["payloadhash"]


def test_ways_to_name_an_rpm(rpm: ImportedRpm, anonymous: Any) -> None:
    found = anonymous.getRPM(rpm.nvra)
    assert anonymous.getRPM(found["id"]) == found
    assert anonymous.getRPM({"name": rpm.name, "version": "1", "release": "1", "arch": "noarch"}) == found


def test_missing_rpm(anonymous: Any) -> None:
    assert anonymous.getRPM("contract-none-1-1.noarch") is None
    with assert_refused(1000, f"No such rpm: {2**31 - 2}".replace("rpm: ", "rpm: {'id': ") + "}"):
        anonymous.getRPM(2**31 - 2, strict=True)


def test_rpms_of_a_build(rpm: ImportedRpm, anonymous: Any) -> None:
    found = anonymous.getRPM(rpm.nvra)
    assert anonymous.listRPMs(buildID=rpm.build_id) == [{**found, "nvr": f"{rpm.name}-1-1"}]
    assert set(anonymous.listRPMs(buildID=rpm.build_id)[0]) == shapes.LISTED_RPM


def test_header(rpm: ImportedRpm, anonymous: Any) -> None:
    headers = anonymous.getRPMHeaders(rpmID=rpm.answer["id"], headers=["license", "summary"])
    assert headers == {"license": "MIT", "summary": "A package without files"}
    assert anonymous.getRPMHeaders(rpmID=2**31 - 2, headers=["license"]) == {}


def test_no_signature(rpm: ImportedRpm, anonymous: Any) -> None:
    assert not any(signature["sigkey"] for signature in anonymous.queryRPMSigs(rpm.answer["id"]))


def test_rpms_of_a_build_by_arch(rpm: ImportedRpm, anonymous: Any) -> None:
    assert len(anonymous.listRPMs(buildID=rpm.build_id, arches=["noarch", "x86_64"])) == 1
    assert anonymous.listRPMs(buildID=rpm.build_id, arches="x86_64") == []


def test_rpms_of_an_image(rpm: ImportedRpm, importer: ImageImporter, anonymous: Any) -> None:
    found = anonymous.getRPM(rpm.nvra)
    component = {key: found[key] for key in ("name", "version", "release", "arch", "epoch")}
    component.update(type="rpm", sigmd5=found["payloadhash"], signature=None)
    image, log = importer.outputs("1")
    metadata = importer.metadata("1", [{**image, "components": [component]}, log])
    metadata["buildroots"][0]["components"] = [component]
    build = importer.session.CGImport(metadata, importer.directory)
    (archive,) = anonymous.listArchives(buildID=build["id"])
    (contained,) = anonymous.listRPMs(imageID=archive["id"])
    assert contained == {**found, "nvr": f"{rpm.name}-1-1"}
    (used,) = anonymous.listRPMs(componentBuildrootID=archive["buildroot_id"])
    assert set(used) == shapes.LISTED_RPM | {"component_buildroot_id", "is_update"}
    assert used["id"] == found["id"]
    assert (used["component_buildroot_id"], used["is_update"]) == (archive["buildroot_id"], False)


@pytest.mark.parametrize("part", ["image", "buildroot"])
def test_an_rpm_twice(rpm: ImportedRpm, importer: ImageImporter, part: str) -> None:
    """RPMs that differ only in epoch or SIGMD5 are the same component."""
    component = {"type": "rpm", "name": rpm.name, "version": "1", "release": "1", "arch": "noarch", "signature": None}
    twice = [{**component, "epoch": epoch, "sigmd5": str(epoch or 0) * 32} for epoch in (None, 1)]
    image, log = importer.outputs("1")
    metadata = importer.metadata("1", [{**image, "components": twice if part == "image" else []}, log])
    metadata["buildroots"][0]["components"] = twice if part == "buildroot" else []
    with assert_refused(1, re.compile("unique", re.IGNORECASE)):
        importer.session.CGImport(metadata, importer.directory)
    assert importer.session.getBuild(importer.nvr("1")) is None


def test_import_without_a_build(admin: Any, tmp_path: Path) -> None:
    path, directory = rpm_file(tmp_path, new_name("rpm")), new_name("upload")
    admin.uploadWrapper(os.fspath(path), directory)
    with assert_refused(1000, "No such build"):
        admin.importRPM(directory, path.name)


def test_import_by_a_packager(rpm: ImportedRpm, packager: Any, packager_name: str) -> None:
    with assert_refused(1004, f"admin permission required (logged in as {packager_name})"):
        packager.importRPM(rpm.directory, f"{rpm.nvra}.rpm")
