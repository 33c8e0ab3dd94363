# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of an image build."""

from __future__ import annotations

from typing import Any

import koji
import pytest

from tests.contract import shapes
from tests.contract.images import UNKNOWN_RPM, ImageImporter, image_output, upload


@pytest.fixture
def build(importer: ImageImporter) -> dict[str, Any]:
    return importer.imported("1")


@pytest.fixture
def archive(build: dict[str, Any], anonymous: Any) -> dict[str, Any]:
    """The only archive: logs are not archives."""
    (found,) = anonymous.listArchives(buildID=build["id"])
    assert isinstance(found, dict)
    return found


def test_archive(build: dict[str, Any], archive: dict[str, Any]) -> None:
    assert set(archive) == shapes.ARCHIVE
    assert (archive["filename"], archive["size"]) == ("image-1.tar.gz", len(b"image 1"))
    assert (archive["btype"], archive["type_name"], archive["compression_type"]) == ("image", "tar", "tar")
    assert archive["build_id"] == build["id"]
    assert isinstance(archive["buildroot_id"], int)
    assert archive["metadata_only"] is False
    assert "tar.gz" in archive["type_extensions"].split()


def test_extra_stays_as_it_was(archive: dict[str, Any]) -> None:
    assert archive["extra"] == image_output("x", b"")["extra"]


def test_checksum(archive: dict[str, Any]) -> None:
    assert koji.CHECKSUM_TYPES[archive["checksum_type"]] == "sha256"
    assert archive["checksum"] == image_output("x", b"image 1")["checksum"]


def test_images(build: dict[str, Any], archive: dict[str, Any], anonymous: Any) -> None:
    assert anonymous.listArchives(buildID=build["id"], type="image") == [{**archive, "arch": "x86_64"}]
    assert anonymous.listArchives(buildID=build["id"], type="maven") == []


def test_described_files_without_upload_are_not_stored(importer: ImageImporter, anonymous: Any) -> None:
    upload(importer.session, importer.directory, "only.tar.gz", b"only")
    output = image_output("only.tar.gz", b"only", metadata_only=True)
    build = importer.session.CGImport(importer.metadata("2", [output]), importer.directory)
    (found,) = anonymous.listArchives(buildID=build["id"])
    assert (found["metadata_only"], found["filename"], found["size"]) == (True, "only.tar.gz", 4)


def test_no_archives(anonymous: Any, importer: ImageImporter) -> None:
    build_id = importer.reserve("1")["build_id"]
    assert anonymous.listArchives(buildID=build_id) == []


def test_two_arches(importer: ImageImporter, anonymous: Any) -> None:
    outputs = []
    for arch in ("x86_64", "aarch64"):
        upload(importer.session, importer.directory, f"{arch}.tar.gz", arch.encode())
        outputs.append(image_output(f"{arch}.tar.gz", arch.encode(), arch=arch, extra={"image": {"arch": arch}}))
    build = importer.session.CGImport(importer.metadata("1", outputs), importer.directory)
    found = anonymous.listArchives(buildID=build["id"], type="image")
    assert {one["filename"]: one["arch"] for one in found} == {
        "x86_64.tar.gz": "x86_64",
        "aarch64.tar.gz": "aarch64",
    }


def test_an_unknown_component_is_dropped(importer: ImageImporter, anonymous: Any) -> None:
    image, log = importer.outputs("1")
    metadata = importer.metadata("1", [{**image, "components": [UNKNOWN_RPM]}, log])
    metadata["buildroots"][0]["components"] = [UNKNOWN_RPM]
    build = importer.session.CGImport(metadata, importer.directory)
    (archive,) = anonymous.listArchives(buildID=build["id"])
    assert anonymous.listRPMs(imageID=archive["id"]) == []
    assert anonymous.listRPMs(componentBuildrootID=archive["buildroot_id"]) == []
