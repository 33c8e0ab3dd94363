# SPDX-License-Identifier: GPL-2.0-or-later
"""SBOMs: valid according to SPDX's own library, complete and reproducible."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fedpkg_container.image.record.sbom import SbomSubject, spdx_document
from fedpkg_container.model.build import BuiltImage
from fedpkg_container.model.koji_types import RPMComponent
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference

DIGEST = "sha256:" + "a" * 64
BASE = ImageReference("registry.example.org:5000", "fedora", digest="sha256:" + "b" * 64)
TOOLS = ImageReference("registry.example.org:5000", "tools/go", digest="sha256:" + "c" * 64)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def rpm(name: str, *, epoch: int | None = None, arch: str = "x86_64", **changes: Any) -> RPMComponent:
    component: Any = {
        "type": "rpm",
        "name": name,
        "version": "1.0~rc1",
        "release": "3.fc41",
        "epoch": epoch,
        "arch": arch,
        "sigmd5": uuid.uuid5(uuid.NAMESPACE_DNS, name).hex,
        "signature": "199e2f91fd431d51",
        **changes,
    }
    return cast("RPMComponent", component)


def details(license_: str = "MIT", vendor: str = "Fedora Project") -> dict[str, str]:
    return {"license": license_, "vendor": vendor, "source_rpm": "x-1.0-3.fc41.src.rpm"}


def described(*rpms: tuple[RPMComponent, dict[str, str]], **changes: Any) -> SbomSubject:
    built = BuiltImage(
        arch="x86_64",
        staged_image="registry.example.org:5000/staging/task-1@" + DIGEST,
        digest=DIGEST,
        media_type="application/vnd.docker.distribution.manifest.v2+json",
        image_id="sha256:" + "d" * 64,
        config="{}",
        layers=[],
        diff_ids=[],
        components=[component for component, _ in rpms],
        files=[],
        buildroot={"tools": [{"name": "buildah", "version": "1.28.2"}]},
        details=[each for _, each in rpms],
        distribution={"id": "fedora", "version": "41"},
    )
    facts = SbomSubject(
        nvr=NVR("hello-web-container", "1.0", "3"),
        built=built,
        image=ImageReference("registry.example.org:5000", "hello/web", digest=DIGEST),
        go_arch="amd64",
        tag="1.0-3",
        source_url=f"git+https://src.example.org/container/hello-web.git#{COMMIT}",
        base=BASE,
        stages=[TOOLS],
        created="2026-01-02T03:04:05Z",
    )
    return replace(facts, **changes)


def read(facts: SbomSubject, directory: Path) -> dict[str, Any]:
    """Return the document, after validation by SPDX's library."""
    # Not at the top: each worker would import them to collect the tests.
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    path = directory / "x.spdx.json"
    path.write_bytes(spdx_document(facts))
    problems = validate_full_spdx_document(parse_file(str(path)))
    assert [problem.validation_message for problem in problems] == []
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def package(content: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in content["packages"] if each["name"] == name)
    assert isinstance(found, dict)
    return found


def relations(content: dict[str, Any]) -> set[tuple[str, str, str]]:
    names = {each["SPDXID"]: each["name"] for each in content["packages"]} | {"SPDXRef-DOCUMENT": "document"}
    return {
        (names[each["spdxElementId"]], each["relationshipType"], names[each["relatedSpdxElement"]])
        for each in content["relationships"]
    }


def test_image_with_parents_and_source(tmp_path: Path) -> None:
    content = read(described((rpm("bash"), details())), tmp_path)
    assert content["spdxVersion"] == "SPDX-2.3"
    assert content["name"] == "hello-web-container-1.0-3.x86_64"
    assert content["creationInfo"]["created"] == "2026-01-02T03:04:05Z"
    assert "Tool: buildah-1.28.2" in content["creationInfo"]["creators"]
    image = package(content, "hello/web")
    assert image["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]
    purl = image["externalRefs"][0]["referenceLocator"]
    assert purl.replace("%3A", ":").startswith(f"pkg:oci/web@{DIGEST}?")
    assert "arch=amd64" in purl
    assert "tag=1.0-3" in purl
    source = package(content, "container/hello-web")
    assert source["downloadLocation"] == f"git+https://src.example.org/container/hello-web.git@{COMMIT}"
    assert relations(content) == {
        ("document", "DESCRIBES", "hello/web"),
        ("hello/web", "GENERATED_FROM", "container/hello-web"),
        ("hello/web", "DESCENDANT_OF", "fedora"),
        ("tools/go", "BUILD_DEPENDENCY_OF", "hello/web"),
        ("hello/web", "CONTAINS", "bash"),
    }


def test_rpm_package(tmp_path: Path) -> None:
    facts = described((rpm("libstdc++", epoch=2), details()), (rpm("other", signature=None), details()), unknown={1})
    content = read(facts, tmp_path)
    found = package(content, "libstdc++")
    assert found["versionInfo"] == "2:1.0~rc1-3.fc41"
    assert found["supplier"] == "Organization: Fedora Project"
    assert found["sourceInfo"] == "built from x-1.0-3.fc41.src.rpm"
    assert found["checksums"] == [
        {"algorithm": "MD5", "checksumValue": uuid.uuid5(uuid.NAMESPACE_DNS, "libstdc++").hex}
    ]
    purl = found["externalRefs"][0]["referenceLocator"]
    assert purl == "pkg:rpm/fedora/libstdc%2B%2B@1.0~rc1-3.fc41?arch=x86_64&distro=fedora-41&epoch=2"
    assert "signed with key 199e2f91fd431d51" in found["comment"]
    assert "Koji does not know" not in found["comment"]
    assert package(content, "other")["comment"].startswith("not signed")
    assert "Koji does not know this RPM" in package(content, "other")["comment"]


@pytest.mark.parametrize(
    ("header", "declared"),
    [
        ("MIT", "MIT"),
        ("mit and gpl-2.0-or-later", "MIT AND GPL-2.0-or-later"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1 OR MIT", "GPL-3.0-or-later WITH GCC-exception-3.1 OR MIT"),
        ("LicenseRef-Fedora-Public-Domain AND MIT", "LicenseRef-Fedora-Public-Domain AND MIT"),
        ("", "NOASSERTION"),
    ],
)
def test_license_expression_is_kept(header: str, declared: str, tmp_path: Path) -> None:
    content = read(described((rpm("bash"), details(header))), tmp_path)
    assert package(content, "bash")["licenseDeclared"] == declared
    names = [each["licenseId"] for each in content.get("hasExtractedLicensingInfos", [])]
    assert names == [word for word in declared.split() if word.startswith("LicenseRef-")]


@pytest.mark.parametrize("header", ["GPLv2+ and BSD", "MIT AND", "MIT/X11", "LicenseRef-a_b", "x" * 5000, "((" * 2000])
def test_other_license_is_kept_as_text(header: str, tmp_path: Path) -> None:
    content = read(described((rpm("a"), details(header)), (rpm("b"), details(header))), tmp_path)
    (kept,) = content["hasExtractedLicensingInfos"]
    assert kept["extractedText"] == header
    assert package(content, "a")["licenseDeclared"] == package(content, "b")["licenseDeclared"] == kept["licenseId"]


def test_unusual_headers_give_a_valid_document(tmp_path: Path) -> None:
    odd = [
        (rpm("a", sigmd5="(none)"), details(vendor="")),
        (rpm("a", sigmd5=""), details(vendor="Evil (a@b.c) \x1b[31m\nTool: x")),
        (rpm("a", version="1/2", release="^%?#@"), details()),
        (rpm("a", version="1-2", release="^%?#@"), details()),
    ]
    content = read(described(*odd), tmp_path)
    identifiers = [each["SPDXID"] for each in content["packages"]]
    assert len(set(identifiers)) == len(identifiers)
    assert "\x1b" not in json.dumps(content, ensure_ascii=False)


def test_image_without_rpms(tmp_path: Path) -> None:
    content = read(described(base=None, stages=[]), tmp_path)
    assert {kind for _, kind, _ in relations(content)} == {"DESCRIBES", "GENERATED_FROM"}


def test_document_is_reproducible_and_namespace_unique() -> None:
    rpms = [(rpm("a"), details("GPLv2+ and BSD")), (rpm("b"), details("BSD or so"))]
    assert spdx_document(described(*rpms)) == spdx_document(described(*rpms))
    other = json.loads(spdx_document(described(*rpms, created="2026-01-02T03:04:06Z")))
    assert other["documentNamespace"] != json.loads(spdx_document(described(*rpms)))["documentNamespace"]


def test_credentials_in_the_source_url_are_removed() -> None:
    content = spdx_document(described(source_url=f"git+https://user:secret@src.example.org/container/x#{COMMIT}"))
    assert b"secret" not in content
