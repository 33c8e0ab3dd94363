# SPDX-License-Identifier: GPL-2.0-or-later
"""Attachments of a build: SBOM and Dockerfiles, in Koji and in the registry."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo.rpms import Package
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out
from fedpkg_container.image.building.log import BuildLog
from fedpkg_container.image.publish.index import PublishedIndex
from fedpkg_container.image.record.attachments import AttachmentBuilder, ImageOrigin
from fedpkg_container.image.record.sbom import MEDIA_TYPE
from fedpkg_container.image.resolve.names import BuildTags
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.http import ATTEMPTS
from fedpkg_container.registry.referrers import content, referrers
from fedpkg_container.registry.skopeo import Registry
from tests.support.leftovers import registry_of
from tests.support.memory_registry import memory_registry
from tests.support.packager import Packager, pull_specs
from tests.support.registries import PASSWORD, access, push_image
from tests.unit.test_sbom import described, details, package, rpm

PAGES = "/etc/yum.repos.d/build-tag/packages/hello-web-pages/*/*/*/*.rpm"
INSTALL = f"COPY *.rpm /\nRUN rpm --nodeps --install {PAGES} /*.rpm"


def test_sbom_and_dockerfiles_are_stored(packager: Packager, box: Box, tmp_path: Path) -> None:
    # Not at the top: each worker would import them to collect the tests.
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    foreign = Package("foreign", "A foreign package", contents={"/usr/share/foreign": "foreign\n"}).build(tmp_path)
    shutil.copy(foreign, packager.checkout)
    dockerfile = packager.dockerfile(INSTALL)
    commit = packager.commit(dockerfile)
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    session = box.session(ADMIN)
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    logs = Path(koji.PathInfo(topdir=str(box.layout.topdir)).build_logs(build))
    name = f"{build['nvr']}.x86_64.spdx.json"
    # valid, and complete where Koji is not
    (tmp_path / name).write_text(
        re.sub(r"http://127\.0\.0\.1:\d+", "https://src.example.org", (logs / name).read_text())
    )
    assert validate_full_spdx_document(parse_file(str(tmp_path / name))) == []  # which takes no address for a host
    found = json.loads((logs / name).read_text())
    (archive,) = session.listArchives(buildID=build["id"], type="image")
    koji_knows = {each["name"] for each in session.listRPMs(imageID=archive["id"])}
    rpms = {each["name"] for each in found["packages"] if each["SPDXID"].startswith("SPDXRef-RPM-")}
    assert rpms - koji_knows == {"foreign"}
    assert "Koji does not know" in package(found, "foreign")["comment"]
    assert "Koji does not know" not in package(found, "hello-web-pages")["comment"]
    assert package(found, f"container/{packager.name}")["versionInfo"] == commit
    assert package(found, "demo-base")["versionInfo"].startswith("sha256:")
    recorded = build["extra"]["image"]["sbom"]["x86_64"]
    assert (recorded["file"], recorded["rpms"], recorded["rpms_unknown_to_koji"]) == (name, len(rpms), 1)
    warning = f"x86_64: Koji knows {len(rpms) - 1} of {len(rpms)} RPMs"
    assert session.getTaskResult(build["task_id"])["user_warnings"][0].startswith(warning)
    assert "unknown to Koji: foreign-1.0-1.x86_64" in (logs / "container-build.log").read_text()
    # at the image
    artifact = ImageReference.parse(recorded["artifact"])
    index = ImageReference.parse(pull_specs(done.stdout)[1])
    registry = registry_of(box)
    (member,) = registry.manifest(index).content["manifests"]
    with registry.repository(index) as repository:
        (listed,) = referrers(repository, member["digest"])
        assert (listed.digest, listed.artifact_type) == (artifact.digest, MEDIA_TYPE)
        assert content(repository, artifact.digest) == (logs / name).read_bytes()
    # what was built
    assert (logs / "Dockerfile").read_text() == dockerfile
    built = (logs / "x86_64.Dockerfile").read_text()
    assert "FROM 127.0.0.1" in built
    assert "@sha256:" in built
    assert "ARG SOURCE_DATE_EPOCH" in built
    log_out(session)


def test_sbom_of_a_scratch_build_is_attached_to_the_image(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    index = ImageReference.parse(pull_specs(packager.build("--scratch").stdout)[1])
    registry = registry_of(box)
    (member,) = registry.manifest(index).content["manifests"]
    with registry.repository(index) as repository:
        (listed,) = referrers(repository, member["digest"])
        found = json.loads(content(repository, listed.digest))
    assert package(found, packager.name)["primaryPackagePurpose"] == "CONTAINER"


class _Hub:
    """A hub that responds to getRPM, or fails."""

    def __init__(self, known: dict[str, str] | None) -> None:
        self.known = known

    @contextlib.contextmanager
    def multicall(self, **_: int) -> Iterator[_Hub]:
        yield self
        if self.known is None:
            raise koji.GenericError("the hub is ill")

    def getRPM(self, wanted: dict[str, Any]) -> Any:
        known = self.known or {}
        return SimpleNamespace(result={"payloadhash": known[wanted["name"]]} if wanted["name"] in known else None)


def _make(directory: Path, hub: Any, *, faults: list[int]) -> Any:
    """Return the attachments of a build of three RPMs, with a failing registry, and the log."""
    facts = described(*((rpm(name), details()) for name in ("bash", "other", "foreign")))
    with memory_registry(directory) as server, BuildLog(directory / "container-build.log") as log:
        registry = Registry(access(directory, server.address, password=PASSWORD))
        digest = push_image(registry, server.address, "hello", "one")
        server.faults["/blobs/"] = [*faults]
        repository = ImageReference(server.address, "hello")
        image: Any = SimpleNamespace(**{**facts.built.__dict__, "digest": digest})
        published = PublishedIndex(repository, digest, "", BuildTags("1-2", "1.0-3"))
        made = AttachmentBuilder(hub, registry, ImageOrigin(facts.source_url), log).create(
            NVR("hello", "1.0", "3"), published, [image], 0.0
        )
    return made, (directory / "container-build.log").read_text()


def test_rpm_with_another_sigmd5_is_unknown(tmp_path: Path) -> None:
    hub = _Hub({"bash": rpm("bash")["sigmd5"], "other": "0" * 32})
    made, log = _make(tmp_path, hub, faults=[])
    assert made.sbom["x86_64"]["rpms_unknown_to_koji"] == 2
    assert "other-1.0~rc1-3.fc41.x86_64, foreign-1.0~rc1-3.fc41.x86_64" in log
    assert made.sbom["x86_64"]["artifact"].startswith("127.0.0.1:")


def test_failed_attachment_and_query_are_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedpkg_container.registry.retry.INITIAL_BACKOFF", 0.01)
    made, log = _make(tmp_path, _Hub(None), faults=[500] * ATTEMPTS)
    assert [document.path.name for document in made.files] == ["hello-1.0-3.x86_64.spdx.json"]
    assert made.sbom["x86_64"] == {"format": "SPDX-2.3", "file": "hello-1.0-3.x86_64.spdx.json", "rpms": 3}
    asked, attached = made.warnings
    assert "cannot query Koji for the RPMs of the images: the hub is ill" in asked
    assert "it is only stored in Koji" in attached
    assert attached in log
