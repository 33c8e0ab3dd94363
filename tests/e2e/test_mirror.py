# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror contains exactly the blobs reachable from the tags of a registry, and follows changes."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.mirror.options import DAY
from fedpkg_container.registry.referrers import Artifact, attach
from fedpkg_container.registry.repository import Repository
from tests.support.mirrored import Clock, Mirrored, mirrored
from tests.support.registries import PASSWORD
from tests.support.storage import FOREIGN

SBOM = Artifact("application/spdx+json", "x.spdx.json", b'{"spdxVersion": "SPDX-2.3"}', "2026-01-02T03:04:05Z")


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Mirrored]:
    with mirrored(tmp_path) as found:
        yield found


def digests(manifest: Manifest) -> set[str]:
    return {blob.digest for blob in manifest.blobs}


def changes(directory: Path) -> dict[Path, tuple[int, ...]]:
    """What would show that something was changed."""
    found = {path: path.stat() for path in directory.rglob("*")}
    return {path: (it.st_mode, it.st_ino, it.st_nlink, it.st_size, it.st_mtime_ns) for path, it in found.items()}


def test_exactly_the_reachable_blobs(it: Mirrored) -> None:
    both = [it.storage.image("fedora/hello", layers=[b"base", arch.encode()], arch=arch) for arch in ("amd64", "arm64")]
    it.storage.images("fedora/hello", "1-1", "latest", members=list(zip(("amd64", "arm64"), both)))
    it.storage.image("fedora/hello", layers=[b"nobody's"])  # no tag reaches it
    other = it.storage.image("other", "2-1", layers=[b"base", b"own"])
    with it.http() as http:
        attach(Repository(http, "fedora/hello"), both[0].digest, SBOM)
    summary = it.run()
    assert not summary.errors
    expected = {f"fedora/hello/{digest}" for image in both for digest in digests(image)}
    expected |= {f"other/{digest}" for digest in digests(other)}
    expected |= {f"fedora/hello/{digest_of(content)}" for content in (SBOM.content, b"{}")}
    assert it.blobs() == expected
    assert (summary.repositories, summary.tags, summary.new) == (2, 4, 9)
    shared = [path for path in it.tree.rglob("sha256:*") if path.read_bytes() == b"base"]
    assert len(shared) == 2 and len({path.stat().st_ino for path in shared}) == 1
    assert {path.stat().st_mode & 0o777 for path in it.tree.rglob("v2/**/sha256:*")} == {0o644}


def test_second_run_needs_one_request_per_tag(it: Mirrored) -> None:
    for number in range(5):
        it.storage.image("hello", f"{number}-1", layers=[str(number).encode()])
    assert it.run().new == 10
    summary = it.run()
    assert (summary.new, summary.present, summary.received) == (0, 10, 0)
    assert summary.requests == 1 + 1 + 5  # the catalog, the list of tags, and each tag


def test_lost_files_and_lost_state_are_restored(it: Mirrored) -> None:
    image = it.storage.image("hello", "1-1", layers=[b"one", b"two"])
    it.run()
    it.blob("hello", image.blobs[1].digest).unlink()
    it.blob("hello", image.blobs[2].digest).write_bytes(b"tw")  # cut off
    assert it.run().new == 2
    assert len(it.blobs()) == 3
    for damage in (b"", b"no database" * 1000):
        (it.tree / ".mirror/state.sqlite").write_bytes(damage)
        summary = it.run()
        assert (summary.errors, summary.new, summary.present, summary.manifests) == ([], 0, 3, 1)
    assert it.run().requests == 3


def test_unreferenced_files_are_kept_for_the_grace_period(it: Mirrored) -> None:
    clock = Clock()
    old = it.storage.image("hello", "1-1", layers=[b"old", b"both"])
    it.storage.image("gone", "1-1", layers=[b"gone"])
    it.storage.image("stays", "1-1", layers=[b"old"])
    it.run(now=clock)
    it.storage.untag("hello", "1-1")
    it.storage.untag("gone", "1-1")
    new = it.storage.image("hello", "2-1", layers=[b"new", b"both"])
    assert it.run(now=clock).waiting == 4
    clock.passes(6 * DAY)
    summary = it.run(now=clock)
    assert (summary.waiting, summary.deleted) == (4, 0)
    clock.passes(DAY)
    summary = it.run(now=clock)
    assert (summary.waiting, summary.deleted) == (0, 4)
    assert {each for each in it.blobs() if each.startswith("hello/")} == {f"hello/{each}" for each in digests(new)}
    assert f"stays/{old.blobs[1].digest}" in it.blobs()  # the same file by another name
    assert not (it.tree / "v2/gone").exists()


def test_files_referenced_again_are_kept(it: Mirrored) -> None:
    clock = Clock()
    image = it.storage.image("hello", "1-1", layers=[b"one"])
    it.storage.image("other", "1-1")
    it.run(now=clock)
    for _ in range(5):
        it.storage.untag("hello", "1-1")
        assert it.run(now=clock).waiting == 2
        clock.passes(5 * DAY)
        it.storage.manifest("hello", image, "1-1")
        assert it.run(now=clock).waiting == 0
    assert it.run(now=clock, grace=0).deleted == 0
    it.storage.untag("hello", "1-1")
    assert it.run(now=clock, grace=0).deleted == 2


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY])
def test_clock_jump_deletes_nothing(it: Mirrored, jump: float) -> None:
    clock = Clock()
    it.storage.image("hello", "1-1", layers=[b"one"])
    it.storage.image("other", "1-1")
    it.run(now=clock)
    it.storage.untag("hello", "1-1")
    it.run(now=clock)
    clock.wall += jump
    assert it.run(now=clock).waiting == 2
    clock.wall -= jump
    clock.boot = "second"  # started again, with the wrong time, and set right again
    clock.wall += jump
    assert it.run(now=clock).waiting == 2
    clock.wall -= jump
    clock.boot = "third"
    assert it.run(now=clock).waiting == 2
    clock.passes(7 * DAY)
    assert it.run(now=clock).deleted == 2


def test_other_repositories_are_not_changed(it: Mirrored) -> None:
    for name in ("fedora/a", "fedora/b", "staging/task-1"):
        it.storage.image(name, "1-1", layers=[name.encode()])
    it.run()
    assert len(it.blobs()) == 4
    it.storage.untag("fedora/b", "1-1")
    summary = it.run(repositories=("*/a",), grace=0)
    assert (summary.repositories, summary.deleted, summary.errors) == (1, 0, [])
    summary = it.run(repositories=("fedora/a",))
    assert summary.requests == 2  # named, so the catalog is not needed
    assert it.run(prefix="fedora", grace=0).deleted == 2


def test_repository_names_with_component_blobs(it: Mirrored) -> None:
    for name in ("a", "a/blobs", "a/blobs/blobs", "blobs", "v2/blobs"):
        it.storage.image(name, "1-1", layers=[name.encode()])
    assert it.run().new == 10
    assert it.run().present == 10
    it.storage.untag("a/blobs", "1-1")
    assert it.run(grace=0).deleted == 2
    assert len(it.blobs()) == 8


def test_foreign_layers(it: Mirrored) -> None:
    foreign = {"mediaType": FOREIGN, "digest": "sha256:" + 64 * "0", "size": 5, "urls": ["https://example.org/x"]}
    it.storage.image("hello", "1-1", layers=[b"one"], extra=[foreign])
    summary = it.run()
    assert (summary.errors, summary.foreign, summary.new) == ([], 1, 2)


def test_manifests_are_never_served(it: Mirrored) -> None:
    image = it.storage.image("hello", "1-1", layers=[b"one"])
    it.storage.blob("evil", image.raw)
    for number, kind in enumerate(("application/octet-stream", image.media_type)):
        it.storage.manifest("evil", image)
        it.storage.image("evil", f"{number}-1", extra=[{**image.descriptor, "mediaType": kind}])
        it.storage.manifest("evil", image, "plain")
        summary = it.run()
        assert len(summary.errors) == 1 and "evil: " in summary.errors[0] and "manifest" in summary.errors[0]
        assert {each.partition("/")[0] for each in it.blobs()} == {"hello"}
        it.storage.untag("evil", f"{number}-1")


def test_verification_repairs(it: Mirrored) -> None:
    image = it.storage.image("a", "1-1", layers=[b"one", b"two"])
    it.storage.image("b", "1-1", layers=[b"one", b"two"])
    it.run()
    wrong, single = (it.blob("a", blob.digest) for blob in image.blobs[1:])
    wrong.write_bytes(b"0ne")  # both names of the file
    single.unlink()
    single.write_bytes(b"two")  # correct, but a separate file
    assert it.run().new == 0  # by its size nothing is wrong
    summary = it.run(verify=True, dry_run=True)
    assert (summary.repaired, summary.new, wrong.read_bytes()) == (3, 1, b"0ne")
    summary = it.run(verify=True)
    assert (summary.repaired, summary.new, summary.linked, summary.errors) == (3, 1, 1, [])
    assert len(it.blobs()) == 6
    assert single.stat().st_nlink == wrong.stat().st_nlink == 2
    assert it.run(verify=True).repaired == 0


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_copies_are_kept_without_hard_links(it: Mirrored, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    for name in ("a", "b", "c"):
        it.storage.image(name, "1-1", layers=[b"one", b"two"])
    it.run()
    before = changes(it.tree / "v2")
    assert len({facts[1] for path, facts in before.items() if path.is_file()}) == 9
    for _ in range(2):
        summary = it.run(verify=True)
        assert (summary.repaired, summary.present, summary.errors) == (0, 9, [])
    assert changes(it.tree / "v2") == before


def test_file_with_the_maximum_number_of_links(it: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def three_at_the_most(source: Path, target: Path) -> None:
        if source.stat().st_nlink == 3:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        link(source, target)

    monkeypatch.setattr(os, "link", three_at_the_most)
    for number in range(5):
        it.storage.image(f"r{number}", "1-1", layers=[b"one"])
    it.run()
    it.run(verify=True)  # what can be one file becomes it
    before = changes(it.tree / "v2")
    for _ in range(3):
        assert it.run(verify=True).repaired == 0
    assert changes(it.tree / "v2") == before


def test_dry_run_changes_nothing(it: Mirrored) -> None:
    it.storage.image("hello", "1-1", layers=[b"one"])
    summary = it.run(dry_run=True)
    assert (summary.new, summary.received > 3) == (2, True)
    assert not it.tree.exists()
    it.run()
    before = changes(it.tree)
    it.storage.untag("hello", "1-1")
    it.storage.image("other", "1-1", layers=[b"other"])
    summary = it.run(dry_run=True, grace=0)
    assert (summary.new, summary.deleted) == (2, 2)
    assert changes(it.tree) == before


def test_list_of_files(it: Mirrored) -> None:
    image = it.storage.image("hello", "1-1", layers=[b"one"])
    it.run()
    path = it.tree / "fullfiletimelist-tree"
    text = path.read_text()
    assert text.startswith("[Version]\n2\n\n[Files]\n") and text.endswith("\n\n[Checksums SHA1]\n\n[End]\n")
    lines = [line.split("\t") for line in text.splitlines()[4:-4]]
    assert [line[3] for line in lines] == sorted(line[3] for line in lines)
    assert [(line[1], line[3]) for line in lines[:3]] == [("d", "v2"), ("d", "v2/hello"), ("d", "v2/hello/blobs")]
    listed = {line[3].rpartition("/")[2]: line for line in lines if line[1] == "f"}
    assert listed.keys() == digests(image)
    facts = it.blob("hello", image.blobs[1].digest).stat()
    assert listed[image.blobs[1].digest][:3] == [str(int(max(facts.st_mtime, facts.st_ctime))), "f", "3"]
    before = path.stat()
    it.run()
    assert path.stat() == before  # nothing is new, so it is not written again


def test_registry_with_password(tmp_path: Path) -> None:
    with mirrored(tmp_path, password=PASSWORD) as it:
        it.storage.image("hello", "1-1", layers=[b"one"])
        assert it.run().new == 2
        assert it.access.auth_file
        content = json.loads(it.access.auth_file.read_text())
        content["auths"][it.host]["auth"] = "cHVzaGVyOndyb25n"
        it.access.auth_file.write_text(json.dumps(content))
        summary = it.run(grace=0)
        assert len(summary.errors) == 1 and "denied" in summary.errors[0]
        assert len(it.blobs()) == 2
