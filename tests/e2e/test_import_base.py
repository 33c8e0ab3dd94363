# SPDX-License-Identifier: GPL-2.0-or-later
"""Imports of base images from registries and archives, complete and interrupted."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.builder import write_configuration
from fedpkg_container.box.demo import site as demo_site
from fedpkg_container.box.hub.database import Database
from fedpkg_container.box.hub.seed import seed
from fedpkg_container.box.layout import ADMIN, PACKAGER, Layout
from fedpkg_container.errors import RegistryError
from fedpkg_container.hub.session import log_out
from fedpkg_container.image.config import read_builder_config
from fedpkg_container.image.resolve.parents import ParentResolver
from fedpkg_container.model.platforms import platform_of
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.referrers import referrers
from fedpkg_container.registry.skopeo import Registry
from tests.support.base_images import COMPONENT, LABELS, docker_archive, oci_archive, oci_layout, rpm
from tests.support.importing import Scene, do_tagging
from tests.support.leftovers import registry_of, reserved
from tests.support.registries import access, docker_registry
from tests.support.waiting import PATIENCE

ARCHES = ("x86_64", "aarch64")


class Recorded(NamedTuple):
    """An imported image: its archive, and the report of its import."""

    archive: Path
    report: Mapping[str, Any]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = Box(Layout.open(tmp_path_factory.mktemp("hub") / "box"))
    for path in (box.layout.topdir, box.layout.home):
        path.mkdir(mode=0o700, parents=True)
    seed(Database(box.layout.database), ADMIN)
    write_configuration(box, box.layout.builders[0])
    ended = threading.Event()
    try:
        for service in (box.hub, box.registry):
            service.start()
        for service in (box.hub, box.registry):
            service.wait_ready()
        box.fill()
        session = box.session(ADMIN)
        demo_site.create_target(session, COMPONENT)
        log_out(session)
        tagger = threading.Thread(target=do_tagging, args=(box, ended), daemon=True)
        tagger.start()
        yield box
        ended.set()
        tagger.join(PATIENCE)
    finally:
        ended.set()
        for service in (box.registry, box.hub):
            service.stop()


@pytest.fixture
def scene(started: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(started, tmp_path)
    monkeypatch.setattr("fedpkg_container.image.base.tags.POLL_INTERVAL", 0.05)
    for name in ("HOME", "PATH"):
        monkeypatch.setenv(name, scene.environment[name])
    return scene


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rpm(tmp_path_factory.mktemp("rpm"))


@pytest.fixture(scope="module")
def unlabeled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose image has none of the labels of a build."""
    return docker_archive(tmp_path_factory.mktemp("unlabeled"), [], {"vendor": "elsewhere"})


@pytest.fixture(scope="module")
def recorded(started: Box, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """An image that is imported as 41-20."""
    scene = Scene(started, tmp_path_factory.mktemp("recorded"))
    archive = docker_archive(scene.directory, [package], _labels("20"))
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        for name in ("HOME", "PATH"):
            patch.setenv(name, scene.environment[name])
        assert scene.run("import-base", archive, "--json") == 0
    return Recorded(archive, json.loads(shown.getvalue()))


def _labels(release: str) -> Mapping[str, str]:
    return {**LABELS, "release": release}


def _report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_archive_of_two_architectures_is_recorded(
    scene: Scene, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = oci_archive(scene.directory, ARCHES, [package], _labels("10"))
    assert scene.run("import-base", archive, "--koji-tag", demo_site.DEST_TAG, "--json") == 0
    report = _report(capsys)
    nvr = f"{COMPONENT}-41-10"
    assert (report["nvr"], report["arches"], report["was_there"]) == (nvr, list(ARCHES), False)
    build = scene.build(nvr)
    image = build["extra"]["image"]
    assert build["cg_name"] == "fedpkg-container"
    assert build["source"] == image["imported"]["from"] == "oci:base.oci.tar"
    assert set(image["imported"]["images"]) == set(ARCHES)
    assert image["parent_image_builds"] == {}
    assert image["index"]["unique_tags"][0].startswith(f"import-{build['id']}-")
    archives = scene.hub.listArchives(build["id"], type="image")
    assert sorted(each["extra"]["image"]["arch"] for each in archives) == sorted(ARCHES)
    assert sorted(each["filename"] for each in archives) == sorted(f"{nvr}.{arch}.tar.gz" for arch in ARCHES)
    assert {each["name"] for each in scene.hub.listTags(build["id"])} == {demo_site.DEST_TAG}
    found = scene.image(nvr)
    assert {scene.tags()[tag] for tag in ("41-10", "41", "latest")} == {found.digest}
    with registry_of(scene.box).repository(found) as repository:
        members = repository.manifest(found.digest).manifests
        assert [each.fields["platform"]["architecture"] for each in members] == ["amd64", "arm64"]
        assert all(referrers(repository, each.digest) for each in members), "an SBOM each"
    logs = {each["name"] for each in scene.hub.getBuildLogs(build["id"])}
    assert {"import-base.log", *(f"{nvr}.{arch}.spdx.json" for arch in ARCHES)} <= logs
    assert _rpms_of_sbom(scene, nvr) == ["tests-package"]


def _rpms_of_sbom(scene: Scene, nvr: str) -> list[str]:
    (path,) = scene.box.layout.topdir.rglob(f"{nvr}.aarch64.spdx.json")
    packages = json.loads(path.read_text())["packages"]
    return [each["name"] for each in packages if each["SPDXID"].startswith("SPDXRef-RPM")]


def test_repeated_import_is_a_no_op_and_another_image_is_rejected(
    scene: Scene, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    before = scene.hub.getLastEvent()["id"]
    assert scene.run("import-base", recorded.archive, "--json") == 0
    assert _report(capsys) == {**recorded.report, "was_there": True, "warnings": []}
    assert scene.hub.getLastEvent()["id"] == before, "nothing was changed in Koji"
    assert scene.run("import-base", docker_archive(scene.directory, [], _labels("20"))) == 3
    assert f"{COMPONENT}-41-20 already exists with another image" in capsys.readouterr().err
    assert reserved(scene.box) == []


def test_image_imported_under_another_nvr_is_rejected(
    scene: Scene, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    build, before, event = scene.build(f"{COMPONENT}-41-20"), scene.tags(), scene.hub.getLastEvent()["id"]
    for source in (recorded.archive, str(scene.image(f"{COMPONENT}-41-20"))):
        assert scene.run("import-base", source, "--nvr", f"{COMPONENT}-41-22") == 3
        assert f"is already imported as {COMPONENT}-41-20 (build {build['id']})" in capsys.readouterr().err
    assert (scene.tags(), scene.hub.getLastEvent()["id"]) == (before, event)


def test_single_image_imported_with_chosen_names_is_a_parent(
    scene: Scene, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its digest does not change, and builds on it find the Koji build although no label names it."""
    layout = oci_layout(scene.directory, ["x86_64"], [package], {"vendor": "elsewhere"})
    nvr = f"{COMPONENT}-7-30"
    with docker_registry(scene.directory) as host:
        certificates = access(scene.directory).certificates
        assert certificates
        trusted = Path(scene.environment["HOME"]) / ".config/containers/certs.d" / host
        trusted.mkdir(parents=True)
        (trusted / "ca.crt").write_bytes((certificates / "ca.crt").read_bytes())
        upstream = ImageReference(host, "upstream/base", tag="41")
        registry = Registry(access(scene.directory))
        registry.copy_image(f"oci:{layout}:x86_64", [], upstream, preserve_digests=True)
        digest = registry.manifest(upstream).digest
        assert scene.run("import-base", str(upstream), "--nvr", nvr, "--koji-tag", demo_site.DEST_TAG) == 0
    assert f"{nvr} imported" in capsys.readouterr().out
    build, image = scene.build(nvr), scene.image(nvr)
    assert build["source"] == str(upstream.at(digest))
    assert digest in build["extra"]["image"]["index"]["digests"].values()
    with registry_of(scene.box).repository(image) as repository:
        assert [each.digest for each in repository.manifest(image.digest).manifests] == [digest]
    site = read_builder_config(scene.box.layout.builder(scene.box.layout.builders[0]) / "builder_containerbuild.conf")
    platform = platform_of("x86_64")
    resolver = ParentResolver(site, registry_of(scene.box), [platform], scene.hub.getBuild)
    for pinned in (image, image.at(digest)):
        assert resolver._find_koji_build(pinned, platform) == {"id": build["id"], "nvr": nvr}


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (
            ["--nvr", "unlisted-container-1-1", "--koji-tag", demo_site.DEST_TAG],
            3,
            "package unlisted-container is not listed in",
        ),
        (["--nvr", f"{COMPONENT}-1-1", "--koji-tag", "no-such-tag"], 3, "Koji tag no-such-tag does not exist"),
        (["--nvr", f"{COMPONENT}-1-1", "--target", "no-such-target"], 3, "no build target no-such-target"),
        (["--nvr", "../evil-1-1"], 2, "the name '../evil' must consist of letters"),
        (["--nvr", "base-.1-1"], 2, "the version '.1' must consist of letters"),
        (["--nvr", "nonsense"], 2, "'nonsense' is not a valid NVR"),
        (["--nvr", "x" * 200 + "-1-1"], 2, "more than 200 characters"),
        (["--nvr", "base-1-1", "--repository", "staging/task-1"], 2, 'must not start with "staging/"'),
        (["--nvr", "base-1-1"], 3, "has no label name"),
        ([], 3, "has no label com.redhat.component"),
    ],
)
def test_invalid_names_are_rejected(
    scene: Scene, unlabeled: Path, capsys: pytest.CaptureFixture[str], options: list[str], status: int, said: str
) -> None:
    more = [] if "--repository" in options or "no label" in said else ["--repository", "tests/refused"]
    assert scene.run("import-base", unlabeled, *options, *more) == status
    assert said in capsys.readouterr().err
    assert scene.tags("tests/refused") == {}
    assert reserved(scene.box) == []


def test_repository_of_another_package_is_rejected(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, ours = scene.directory / "theirs", scene.directory / "ours"
    for directory, component in ((theirs, "tests-hello"), (ours, COMPONENT)):
        directory.mkdir()
        labels = {**LABELS, "com.redhat.component": component, "name": "tests/owned", "release": "40"}
        docker_archive(directory, [], labels)
    assert scene.run("import-base", theirs / "base.tar.gz") == 0
    before, event = scene.tags("tests/owned"), scene.hub.getLastEvent()["id"]
    capsys.readouterr()
    for options in ([], ["--koji-tag", demo_site.DEST_TAG]):
        assert scene.run("import-base", ours / "base.tar.gz", *options) == 3
        assert f":41-40 is an image of tests-hello, but this package is {COMPONENT}" in capsys.readouterr().err
    assert scene.tags("tests/owned") == before
    assert scene.hub.getLastEvent()["id"] == event, "nothing was changed in Koji"


def test_next_image_with_chosen_names(scene: Scene) -> None:
    """No label names the owner of the first image: Koji does."""
    for release in ("33", "34"):
        directory = scene.directory / release
        directory.mkdir()
        archive = docker_archive(directory, [], {"vendor": "elsewhere", "release": release})
        named = ("--nvr", f"{COMPONENT}-7-{release}", "--repository", "tests/chosen")
        assert scene.run("import-base", archive, *named, "--koji-tag", demo_site.DEST_TAG) == 0
    assert scene.tags("tests/chosen")["latest"] == scene.image(f"{COMPONENT}-7-34").digest
    other = ("--nvr", "tests-hello-7-34", "--repository", "tests/chosen")
    assert scene.run("import-base", archive, *other) == 3


def test_primary_tag_of_another_image_is_rejected(
    scene: Scene, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    image = scene.image(f"{COMPONENT}-41-20")
    with registry_of(scene.box).repository(image) as repository:
        repository.put_manifest("41-46", repository.manifest(image.digest))
    before = scene.tags()
    assert scene.run("import-base", docker_archive(scene.directory, [], _labels("46"))) == 3
    assert ":41-46 is already another image" in capsys.readouterr().err
    assert (scene.tags(), scene.hub.getBuild(f"{COMPONENT}-41-46"), reserved(scene.box)) == (before, None, [])


def test_killed_import_can_be_repeated(scene: Scene) -> None:
    """Its upload directory is not usable by others, and the primary tag may be set already.

    Sites serve the work directory over HTTP: the path is visible as soon as it has a file.
    """
    archive = docker_archive(scene.directory, [], _labels("47"))
    assert scene.killed("archive uploaded", "import-base", archive) == 9
    build = scene.build(f"{COMPONENT}-41-47")["id"]
    (directory,) = (scene.box.layout.topdir / "work" / "container-build").glob(f"import-{build}-*")
    stranger = scene.box.session(PACKAGER)
    with pytest.raises(koji.GenericError, match="Invalid upload directory, not owner"):
        stranger.rawUpload(b"{}", 0, f"container-build/{directory.name}", "metadata.json")
    with registry_of(scene.box).repository(ImageReference(scene.box.layout.registry_address, "tests/base")) as there:
        (unique,) = (tag for tag in there.tags() if tag.startswith(f"import-{build}-"))
        there.put_manifest("41-47", there.manifest(unique))
    assert scene.run("import-base", archive) == 0
    assert scene.tags()["41-47"] == scene.image(f"{COMPONENT}-41-47").digest


def test_image_without_rpms_is_imported_with_a_warning(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    archive = docker_archive(scene.directory, [], _labels("50"))
    assert scene.run("import-base", archive) == 0
    said = capsys.readouterr().err
    assert "warning: x86_64: the image has no RPMs" in said
    assert f"it is in no Koji tag: koji tag-build TAG {COMPONENT}-41-50" in said
    assert scene.build(f"{COMPONENT}-41-50")
    assert "latest" not in scene.image(f"{COMPONENT}-41-50").tag


def test_unavailable_registry_changes_nothing(
    scene: Scene, unlabeled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedpkg_container.registry.retry.INITIAL_BACKOFF", 0.01)
    text = scene.configuration.read_text()
    away = text.replace(scene.box.layout.registry_address, "127.0.0.1:9\nretry_timeout = 0")
    scene.configuration.write_text(away)
    nvr = f"{COMPONENT}-41-60"
    assert scene.run("import-base", unlabeled, "--nvr", nvr, "--repository", "tests/base") == 1
    assert "127.0.0.1:9 cannot be reached" in capsys.readouterr().err
    assert scene.hub.getBuild(nvr) is None


def test_failing_registry_releases_the_nvr(scene: Scene, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RegistryError("it is away")

    archive = docker_archive(scene.directory, [package], _labels("61"))
    with monkeypatch.context() as away:
        away.setattr(Registry, "copy_image", fail)
        assert scene.run("import-base", archive) == 1
    assert scene.build(f"{COMPONENT}-41-61")["state"] == koji.BUILD_STATES["FAILED"]
    assert scene.run("import-base", archive) == 0


STEPS = ("reserved", "published", "archive uploaded", "documented", "uploaded", "imported")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_import_killed_after_a_step_can_be_repeated(
    scene: Scene, package: Path, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    release = f"7{STEPS.index(step)}"
    archive = docker_archive(scene.directory, [package], _labels(release))
    arguments = ("import-base", archive, "--koji-tag", demo_site.DEST_TAG)
    assert scene.killed(step, *arguments) == 9
    assert scene.run(*arguments) == 0
    nvr = f"{COMPONENT}-41-{release}"
    build = scene.build(nvr)
    assert build["state"] == koji.BUILD_STATES["COMPLETE"]
    assert [each["name"] for each in scene.hub.listTags(build["id"])] == [demo_site.DEST_TAG]
    assert scene.tags()[f"41-{release}"] == scene.image(nvr).digest
    assert reserved(scene.box) == []
    assert list((scene.directory / "state" / "builds").iterdir()) == []


def test_invalid_archive_leaves_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    archive = scene.directory / "evil.tar"
    with tarfile.open(archive, "w") as file:
        for name in ("oci-layout", "../../../../tmp/escaped-from-an-archive"):
            file.addfile(tarfile.TarInfo(name))
    assert scene.run("import-base", archive) == 2
    assert "cannot be read as an image" in capsys.readouterr().err
    assert not Path("/tmp/escaped-from-an-archive").exists()
    assert list((scene.directory / "state" / "builds").iterdir()) == []
    assert reserved(scene.box) == []


def test_neither_a_file_nor_an_image(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for named, said in (("./none.tar", "no such file"), ("hello:1", "names no registry")):
        assert scene.run("import-base", named) == 2
        assert said in capsys.readouterr().err


def test_parallel_imports_are_rejected(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    from fedpkg_container.image.base.base_import import import_context

    with import_context(scene.directory / "state", registry_of(scene.box).access):
        assert scene.run("import-base", "./any.tar") == 1
    assert "another import is running on this machine" in capsys.readouterr().err


def test_prune_keeps_recorded_images_and_deletes_aborted_imports(
    scene: Scene, recorded: Recorded, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = docker_archive(scene.directory, [], _labels("80"))
    assert scene.killed("published", "import-base", archive) == 9
    now = time.time
    monkeypatch.setattr("fedpkg_container.registry.pruning.pruner.MAX_CLOCK_SKEW", float("inf"))
    monkeypatch.setattr(time, "time", lambda: now() + 40 * 24 * 3600)
    assert scene.run("prune", "--json") == 0
    report = _report(capsys)
    going = [each for each in report["images"] if each["repository"] == "tests/base"]
    assert [each["why"] for each in going] == ["interrupted import"]
    kept = {each["why"] for each in report["kept"] if "41-20" in each["tags"]}
    assert kept == {f"{COMPONENT}-41-20 is an imported base image"}
    assert scene.run("prune", "--delete") == 0
    shown = capsys.readouterr().out
    assert "deleted: 1 of 1 image" in shown
    assert "docker-registry garbage-collect" in shown
    assert scene.tags()["41-20"]
