# SPDX-License-Identifier: GPL-2.0-or-later
"""skopeo and podman through the front end: the same results, with layers from the mirror."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedpkg_container.errors import ProgramError
from fedpkg_container.process import run
from fedpkg_container.registry.redirects import Kind
from tests.redirects.conftest import REPOSITORY
from tests.support.clients import podman_problem, podman_pull, pull, skopeo
from tests.support.front_ends import Distribution, distribution, open_directory
from tests.support.layered import LayeredImage
from tests.support.registries import PASSWORD, USER
from tests.support.waiting import PATIENCE, eventually


def test_layers_come_only_from_the_mirror(running: Distribution, image: LayeredImage, tmp_path: Path) -> None:
    running.mirror.log.forget()
    running.log.forget()
    said = running.registry_log.stat().st_size
    pull(running, f"{REPOSITORY}:1.0-1", tmp_path / "store")
    assert {path.name for path in (tmp_path / "store").iterdir()} == {path.name for path in image.directory.iterdir()}
    mirrored = running.mirror.log.requests()
    paths = {f"/v2/{REPOSITORY}/blobs/{digest}": len(image.content(digest)) for digest in image.blobs}
    assert {each.path: each.sent for each in mirrored} == paths
    assert {(each.method, each.status) for each in mirrored} == {("GET", 200)}
    at_front = [each for each in running.log.requests() if "/blobs/" in each.path]
    assert {(each.method, each.status, each.location) for each in at_front} == {
        ("GET", 302, f"{running.mirror.url}{path}") for path in paths
    }
    assert "/blobs/" not in running.registry_log.read_text()[said:]


def test_changed_byte_fails_the_pull(running: Distribution, image: LayeredImage, tmp_path: Path) -> None:
    layer = running.mirror.tree / "v2" / REPOSITORY / "blobs" / image.layers[1]
    content = layer.read_bytes()
    layer.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    try:
        with pytest.raises(ProgramError, match="(?i)digest did not match|does not match"):
            pull(running, f"{REPOSITORY}:1.0-1", tmp_path / "store")
    finally:
        layer.write_bytes(content)
    pull(running, f"{REPOSITORY}:1.0-1", tmp_path / "again")


def test_skopeo_works_as_without_front_end(running: Distribution, tmp_path: Path) -> None:
    image = LayeredImage.make(tmp_path / "pushed")
    answers = []
    for address in (running.registry, running.address):
        name = f"{address}/works/{'direct' if address == running.registry else 'through'}"
        image.push(f"{name}:1", running.access)
        image.push(f"{name}:2", running.access)
        found = json.loads(skopeo(running, "inspect", f"docker://{name}:1"))
        listed = json.loads(skopeo(running, "list-tags", f"docker://{name}"))
        raw = skopeo(running, "inspect", "--raw", f"docker://{name}:2")
        config = skopeo(running, "inspect", "--config", "--raw", f"docker://{name}:2")
        skopeo(running, "delete", f"docker://{name}:1")
        with pytest.raises(ProgramError, match="manifest unknown"):
            skopeo(running, "inspect", f"docker://{name}:1")
        answers.append((found["Digest"], found["Layers"], found["Labels"], listed["Tags"], raw, config))
        if address == running.registry:  # the mirror has it by the name that is requested next
            image.export(running.mirror.tree, "works/through")
    assert answers[0] == answers[1]


def test_copying_within_the_registry_mounts_blobs(running: Distribution, image: LayeredImage) -> None:
    running.log.forget()
    running.mirror.log.forget()
    source, target = (f"docker://{running.address}/{name}" for name in (f"{REPOSITORY}:1.0-1", "mounted/hello:1"))
    options = ["--preserve-digests", *running.access.options("src-"), *running.access.options("dest-")]
    run(["skopeo", "copy", "--quiet", *options, source, target], timeout=PATIENCE)
    mounts = [each for each in running.log.requests() if each.method == "POST" and "mount=" in each.path]
    assert {each.status for each in mounts} == {201}
    assert len(mounts) >= len(image.layers)
    asked = {each.path.rpartition("/")[2] for each in running.mirror.log.requests()}
    assert not asked & set(image.layers)


def test_podman_pulls_into_an_empty_store(running: Distribution, image: LayeredImage) -> None:
    if why := podman_problem():
        pytest.skip(f"podman does not run here: {why}")
    running.mirror.log.forget()
    podman_pull(running, f"{REPOSITORY}:1.0-1")
    sent = {each.path.rpartition("/")[2]: each.sent for each in running.mirror.log.requests()}
    assert sent == {digest: len(image.content(digest)) for digest in image.blobs}


def test_credentials_reach_the_registry_and_not_the_mirror(kind: Kind, image: LayeredImage, tmp_path: Path) -> None:
    with open_directory() as directory, distribution(kind, directory, password=True) as made:
        image.push(f"{made.address}/{REPOSITORY}:1", made.access)
        image.export(made.mirror.tree, REPOSITORY)
        refused = made.ask("GET", f"/v2/{REPOSITORY}/manifests/1")
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Basic realm=")
        pull(made, f"{REPOSITORY}:1", tmp_path / "store")
        requests = made.mirror.log.requests
        eventually(lambda: len(requests()) >= len(image.blobs), requests)  # written after the response
        asked = requests()
        assert len(asked) == len(image.blobs)
        assert {each.more for each in asked} == {"authorization=-"}
        answer = made.ask("GET", f"/v2/{REPOSITORY}/blobs/{image.config}", headers={"Authorization": "Basic abc"})
        assert answer.status == 302
        assert "abc" not in repr(answer)
        written = "".join(
            path.read_text(errors="replace") for path in made.log.path.parent.rglob("*") if path.is_file()
        )
        assert PASSWORD not in written
        assert USER not in written
