# SPDX-License-Identifier: GPL-2.0-or-later
"""Successful builds, scratch and full: their results in Koji and in the registry."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from pathlib import Path

import koji

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.model.reference import ImageReference
from tests.support.images import added
from tests.support.leftovers import nothing_left, registry_of
from tests.support.packager import Packager, pull_specs

INSTALL = "RUN rpm --nodeps --install /etc/yum.repos.d/build-tag/packages/hello-web-pages/*/*/*/*.rpm"


def test_scratch_build_is_pushed_and_not_recorded(packager: Packager, box: Box) -> None:
    control_characters = r"RUN printf 'before\033[2J\033]0;title\007after\nx\rforged\n'"
    packager.commit(packager.dockerfile("RUN echo hello > /hello", control_characters))
    done = packager.build("--scratch")
    assert done.returncode == 0, done.stdout + done.stderr
    by_tag, by_digest = pull_specs(done.stdout)
    assert f"/{packager.name}:scratch-" in by_tag
    assert registry_of(box).manifest(ImageReference.parse(by_tag)).digest == ImageReference.parse(by_digest).digest
    session = box.session(ADMIN)
    assert session.listBuilds(packageID=f"{packager.name}-container") == []
    assert "\nSTEP 1/" in done.stdout
    assert "\033" not in done.stdout
    assert "\007" not in done.stdout
    assert "\nforged\n" in done.stdout
    nothing_left(box)


def test_full_build_is_recorded(packager: Packager, box: Box, tmp_path: Path) -> None:
    commit = packager.commit(
        packager.dockerfile(INSTALL), files={"additional-tags": "stable\nnot-this-one\n", "help.md": "\n"}
    )
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"built {packager.name}-container-1.0-1 (build " in done.stdout
    by_tag, by_digest = pull_specs(done.stdout)
    assert by_tag.endswith(f"/{packager.name}:1.0-1")
    session = box.session(ADMIN)
    build = session.getBuild(f"{packager.name}-container-1.0-1")
    assert build["state"] == koji.BUILD_STATES["COMPLETE"]
    assert build["source"].endswith(f"/container/{packager.name}#{commit}")
    assert build["owner_name"] == "packager"
    assert [tag["name"] for tag in session.listTags(build["id"])] == [site.DEST_TAG]
    image = build["extra"]["image"]
    assert build["extra"]["typeinfo"]["image"] == image
    assert image["index"]["pull"] == [by_tag, by_digest]
    assert image["index"]["floating_tags"] == ["1.0", "latest", "stable"]
    assert image["help"] is None
    assert image["parent_images"] == [packager.base]
    (parent,) = image["parent_image_builds"].values()
    assert parent["nvr"] == "demo-base-container-1-1"
    assert image["parent_build_id"] == parent["id"]
    (archive,) = session.listArchives(buildID=build["id"], type="image")
    rpms = {rpm["name"] for rpm in session.listRPMs(imageID=archive["id"])}
    assert {"hello-web-pages", "demo-rpm", "demo-shell"} <= rpms
    docker = archive["extra"]["docker"]
    assert docker["config"]["config"]["Labels"]["vcs-ref"] == commit
    assert docker["config"]["config"]["Labels"]["release"] == "1"
    stored = Path(koji.PathInfo(topdir=str(box.layout.topdir)).imagebuild(build)) / archive["filename"]
    assert hashlib.sha256(stored.read_bytes()).hexdigest() == archive["checksum"]
    with tarfile.open(fileobj=gzip.open(stored)) as content:
        assert "manifest.json" in content.getnames()
    logs = {log["name"] for log in session.getBuildLogs(build["id"])}
    assert {"container-build.log", "x86_64.log"} <= logs
    assert [name for name in added(box, by_digest, tmp_path) if "yum.repos.d" in name] == []
    repository = ImageReference.parse(by_digest)
    tags = [tag for tag in registry_of(box).tags(repository) if not tag.startswith("sha256-")]  # lists of SBOMs
    digests = {tag: registry_of(box).manifest(repository.tagged(tag)).digest for tag in tags}
    assert {"1.0-1", "1.0", "latest", "stable"} < set(digests)
    assert set(digests.values()) == {repository.digest}
    nothing_left(box)


def test_nowait_returns_while_the_build_continues(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN sleep 300"))
    done = packager.build("--scratch", "--nowait")
    assert done.returncode == 0
    assert done.stdout.startswith("Created task: ")
    session = box.session(ADMIN)
    state = session.getTaskInfo(int(done.stdout.split()[2]))["state"]
    assert koji.TASK_STATES[state] in ("FREE", "ASSIGNED", "OPEN")


def test_dry_run_option_in_both_positions(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    session = box.session(ADMIN)
    before = session.listTasks(queryOpts={"countOnly": True})
    after = packager.run("fedpkg", "container-build", "--dry-run")
    ahead = packager.run("fedpkg", "--dry-run", "container-build")
    assert after.stdout == ahead.stdout
    assert f"/container/{packager.name}#" in after.stdout
    assert session.listTasks(queryOpts={"countOnly": True}) == before


def test_staging_of_a_killed_build_is_pruned(packager: Packager, box: Box) -> None:
    registry = registry_of(box)
    left = ImageReference(box.layout.registry_address, "staging/task-1", tag="x86_64-left")
    registry.copy_image(f"docker://{packager.base}", registry.access.options("src-"), left, preserve_digests=True)
    assert registry.tags(left) == ["x86_64-left"]
    assert box.prune() == 1
    assert registry.tags(left) == []
    assert registry.manifest(ImageReference.parse(packager.base))
