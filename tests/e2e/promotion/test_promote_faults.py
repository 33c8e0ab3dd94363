# SPDX-License-Identifier: GPL-2.0-or-later
"""promote with faults: unavailable registries, full disks, corrupt blobs, and concurrent changes."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.registry.digests import digest_of
from fedpkg_container.registry.manifests import Descriptor
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.promotion.listing import list_images
from fedpkg_container.registry.promotion.tagging import TagChange, TagRules, TagUpdater
from fedpkg_container.registry.repository import Repository
from tests.support.promoting import Bench
from tests.support.registries import docker_registry
from tests.support.small_disk import small_disk
from tests.support.waiting import PATIENCE

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.promoting"])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry failed requests at once."""
    monkeypatch.setattr("fedpkg_container.registry.retry.INITIAL_BACKOFF", 0.01)


def to(bench: Bench, host: str) -> Bench:
    """The same with the target in another registry."""
    target = replace(bench.site.target("stable"), registry=host)
    return Bench(bench.directory, replace(bench.site, targets={"stable": target}))


def blob_file(data: Path, digest: str) -> Path:
    """Where docker-registry keeps a blob."""
    algorithm, _, name = digest.partition(":")
    return data / "docker" / "registry" / "v2" / "blobs" / algorithm / name[:2] / name / "data"


def layer_of(bench: Bench, candidate: Candidate) -> Descriptor:
    """The first layer of a build's first arch."""
    with bench.http(candidate.image.registry) as http:
        repository = Repository(http, candidate.image.repository)
        (member, *_) = repository.manifest(candidate.image.digest).manifests
        return repository.manifest(member.digest).blobs[1]


def test_target_becomes_unavailable_and_returns(bench: Bench, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate, uploads = bench.build(layers=4), []
    with contextlib.ExitStack() as running:
        host = running.enter_context(docker_registry(directory))
        apart = to(bench, host)
        real = Repository.upload

        def upload(repository: Repository, blob: Descriptor, chunks: Iterator[bytes]) -> None:
            real(repository, blob, chunks)
            uploads.append(blob.digest)
            if len(uploads) == 4:
                running.close()

        with monkeypatch.context() as patched:
            patched.setattr(Repository, "upload", upload)
            (outcome,) = apart.promote(candidate)
    assert outcome.state == "failed"
    assert host in outcome.error
    assert "Connection refused" in outcome.error or "Connection aborted" in outcome.error
    assert outcome.blobs.sent >= 3
    with docker_registry(directory, port=int(host.rpartition(":")[2])):
        assert apart.tags(candidate) == {}
        (again,) = apart.promote(candidate)
        assert (again.state, again.error) == ("promoted", "")
        assert again.blobs.present >= outcome.blobs.sent, "existing blobs are not sent again"
        apart.assert_promoted(candidate)


def test_candidate_registry_is_unavailable(bench: Bench) -> None:
    candidate = bench.build()
    bench.site = replace(bench.site, candidates=replace(bench.site.candidates, registry="127.0.0.1:9"))
    (outcome,) = bench.promote(replace(candidate, image=replace(candidate.image, registry="127.0.0.1:9")))
    assert (outcome.state, "127.0.0.1:9" in outcome.error) == ("failed", True)
    assert bench.tags(candidate) == {}


def test_full_disk_of_the_target(bench: Bench, directory: Path, tmp_path: Path) -> None:
    candidate = bench.build(layers=4, size=1_000_000)
    with small_disk(tmp_path / "disk", "3M") as disk, docker_registry(directory, data=disk.directory) as host:
        apart = to(bench, host)
        (outcome,) = apart.promote(candidate)
        assert (outcome.state, host in outcome.error) == ("failed", True)
        assert apart.tags(candidate) == {}
        disk.resize("60M")
        (again,) = apart.promote(candidate)
        assert (again.state, again.error) == ("promoted", "")
        apart.assert_promoted(candidate)


def test_blobs_broken_by_a_full_disk_are_sent_again(bench: Bench, directory: Path) -> None:
    """docker-registry keeps empty files after a failed write, and responds with HTTP 500 for them."""
    candidate = bench.build()
    with docker_registry(directory) as host:
        apart = to(bench, host)
        assert apart.promote(candidate)[0].succeeded
        (repository,) = (directory / f"data-{host.rpartition(':')[2]}/docker/registry/v2/repositories").glob("*/hello")
        shutil.rmtree(repository / "_manifests" / "tags")
        for path in repository.rglob("link"):
            if "/_layers/" in str(path) or "/revisions/" in str(path):
                path.write_bytes(b"")
        (outcome,) = apart.promote(candidate)
        assert (outcome.state, outcome.error) == ("promoted", "")
        apart.assert_promoted(candidate)
        path = repository / "_manifests" / "tags" / "latest" / "current" / "link"
        path.write_bytes(b"")
        (outcome,) = apart.promote(candidate)
        assert (outcome.state, "/manifests/latest: HTTP 500" in outcome.error) == ("failed", True)
        assert apart.site.journal
        *lines, _ = apart.site.journal.read_bytes().splitlines(keepends=True)
        apart.site.journal.write_bytes(b"".join(lines))  # the disk was full when the tag was set, which is not recorded
        assert apart.promote(candidate)[0].state == "promoted"
        assert apart.tags(candidate) == dict.fromkeys(["1.0-1", "1.0", "latest"], candidate.image.digest)


def test_corrupt_blob_is_refused(bench: Bench, directory: Path, one: str) -> None:
    candidate = bench.build()
    layer = layer_of(bench, candidate)
    path = blob_file(directory / f"data-{one.rpartition(':')[2]}", layer.digest)
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    with docker_registry(directory) as host:
        apart = to(bench, host)
        (outcome,) = apart.promote(candidate)
        assert outcome.state == "failed"
        assert f"digest mismatch: expected {layer.digest}, got {digest_of(bytes(content))}" in outcome.error
        assert apart.tags(candidate) == {}
        with apart.http(host) as http:
            assert not Repository(http, apart.place(candidate).repository).has_blob(layer.digest)
        content[7] ^= 1
        path.write_bytes(content)
        assert apart.promote(candidate)[0].state == "promoted"


def test_corrupt_blob_is_refused_within_a_registry_with_verify(bench: Bench, directory: Path, one: str) -> None:
    candidate = bench.build()
    layer = layer_of(bench, candidate)
    path = blob_file(directory / f"data-{one.rpartition(':')[2]}", layer.digest)
    path.write_bytes(path.read_bytes()[:-1])
    (outcome,) = bench.promote(candidate, verify=True)
    assert outcome.state == "failed"
    assert layer.digest in outcome.error
    assert bench.tags(candidate) == {}


def test_corrupt_manifest(bench: Bench, directory: Path, one: str) -> None:
    candidate = bench.build()
    path = blob_file(directory / f"data-{one.rpartition(':')[2]}", candidate.image.digest)
    path.write_bytes(path.read_bytes() + b" ")
    (outcome,) = bench.promote(candidate)
    assert outcome.state == "failed"
    assert bench.tags(candidate) == {}


def test_tag_moved_between_check_and_update(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client sets a newer build in the meantime, which is detected before the tag is set."""
    old, new = bench.build("hello-1-1"), bench.build("hello-2-1")
    bench.promote(new)
    place = bench.place(new)
    real = Repository.put_manifest
    moved: list[str] = []

    def put(repository: Repository, name: str, manifest: object) -> object:
        answer = real(repository, name, manifest)  # type: ignore[arg-type]
        if name == old.image.digest and not moved:  # the tags have been looked at, and are not set yet
            moved.append(name)
            real(repository, "1", repository.manifest(new.image.digest))
        return answer

    monkeypatch.setattr(Repository, "put_manifest", put)
    (outcome,) = bench.promote(old)
    assert [(each.tag, each.what) for each in outcome.tags] == [("1-1", "set"), ("1", "kept"), ("latest", "kept")]
    assert bench.tags(old)["1"] == new.image.digest
    assert str(place) == outcome.repository


def test_tag_with_another_digest_when_read_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    other, candidate = bench.build("hello-1-1"), bench.build("hello-2-1")
    bench.promote(other)
    real = Repository.put_manifest

    def put(repository: Repository, name: str, manifest: object) -> object:
        answer = real(repository, name, manifest)  # type: ignore[arg-type]
        if name == "latest":
            real(repository, name, repository.manifest(other.image.digest))
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Repository, "put_manifest", put)
        (outcome,) = bench.promote(candidate)
    assert outcome.state == "failed"
    assert f"was set to {candidate.image.digest}, but is now {other.image.digest}" in outcome.error
    assert [each.state for each in Journal(bench.site.journal).entries()][-1] == "begun", "it is not recorded as done"
    (again,) = bench.promote(candidate)
    assert (again.state, bench.tags(candidate)["latest"]) == ("promoted", candidate.image.digest)


def test_tag_deleted_between_listing_and_reading(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = bench.build("hello-1-1"), bench.build("hello-2-1")
    bench.promote(old)
    bench.promote(new)
    real = Repository.head
    gone: list[str] = []

    def head(repository: Repository, name: str) -> str:
        found = real(repository, name)
        if found == old.image.digest and not gone:
            gone.append(name)
            repository.delete_manifest(found)
        return found

    monkeypatch.setattr(Repository, "head", head)
    found = list_images(bench.site, bench.site.target("stable"), []).images
    assert [each.nvr for each in found if each.repository == str(bench.place(new))] == ["hello-2-1"]
    assert gone


@pytest.mark.slow
def test_hundred_repositories_at_once(bench: Bench, directory: Path) -> None:
    layer = b"a layer that all of them have" * 500
    bench.site = replace(bench.site, parallel=8)
    candidates = [
        bench.build(f"image{each}-1-1", f"many/image{each}", shared=[layer], layers=1, artifacts=each % 10 == 0)
        for each in range(100)
    ]
    with docker_registry(directory) as host:
        apart = to(bench, host)
        outcomes = apart.promote(*candidates)
        assert {each.state for each in outcomes} == {"promoted"}
        for each in candidates[::10]:
            apart.assert_promoted(each)
        assert len(Journal(apart.site.journal).entries()) == 200
        found = list_images(apart.site, apart.site.target("stable"), []).images
        assert len({each.repository for each in found}) == 100
        again = apart.promote(*candidates)
        assert {each.state for each in again} == {"unchanged"}


def _at_once(*acts: Callable[[], object]) -> None:
    children = [_CONTEXT.Process(target=act) for act in acts]
    for each in children:
        each.start()
    for each in children:
        each.join(PATIENCE)
    assert [each.exitcode for each in children] == [0] * len(children)


def test_concurrent_promotions(bench: Bench) -> None:
    """Of an older and a newer build, both twice: the newer one gets the floating tags in any order."""
    old, new = bench.build("hello-1-1"), bench.build("hello-1-2")
    _at_once(*(partial(bench.promote, each) for each in (new, old, new, old)))
    assert bench.tags(new) == {"1-1": old.image.digest, **dict.fromkeys(["1-2", "1", "latest"], new.image.digest)}
    bench.assert_promoted(old)
    bench.assert_promoted(new)
    assert len(bench.all_tags(new)) == 4 + 2 * (1 + 2 + 1), "lists of referrers of both, of their arches and signatures"
    assert [each.state for each in bench.promote(old, new)] == ["unchanged"] * 2
    Journal(bench.site.journal).entries()


def test_copy_timeout(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = bench.build()
    target = bench.site.target("stable")
    bench.site = replace(bench.site, targets={"stable": replace(target, access=replace(target.access, timeout=0.5))})
    real = Repository.mount

    def mount(repository: Repository, digest: str, source: str) -> bool:
        time.sleep(0.6)
        return real(repository, digest, source)

    monkeypatch.setattr(Repository, "mount", mount)
    (outcome,) = bench.promote(candidate)
    assert (outcome.state, outcome.error) == ("failed", "promoting hello-1.0-1: exceeded the time limit of 0.5 s")
    assert bench.tags(candidate) == {}


def test_full_disk_of_the_journal(bench: Bench, tmp_path: Path) -> None:
    """No tag is set without a journal entry, and no incomplete line is left."""
    builds = [bench.build(f"hello-1-{number}", artifacts=False, layers=1) for number in range(1, 7)]
    with small_disk(tmp_path / "disk", "8k") as disk:
        bench.site = replace(bench.site, journal=disk.directory / "promotions.jsonl")
        assert bench.promote(builds[0])[0].succeeded
        filler = disk.directory / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x"):
                pass
        outcomes = [bench.promote(each)[0] for each in builds[1:]]  # a page holds a few lines
        failed = [each for each in outcomes if each.state == "failed"]
        assert len(failed) >= 3
        assert all("promotions.jsonl cannot be written: No space left on device" in each.error for each in failed)
        entries = Journal(bench.site.journal).entries()
        disk.resize("1M")
        assert all(each.succeeded for each in bench.promote(*builds))
        assert Journal(bench.site.journal).entries()[: len(entries)] == entries
        assert bench.tags(builds[0])["latest"] == builds[-1].image.digest


def test_error_before_the_first_tag(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = bench.build()

    def broken(_: TagUpdater, change: TagChange, __: object) -> None:
        from fedpkg_container.errors import RegistryError

        raise RegistryError(f"{change.tag} could not be set")

    with monkeypatch.context() as patched:
        patched.setattr(TagUpdater, "set_tag", broken)
        (outcome,) = bench.promote(candidate, rules=TagRules())
    assert outcome.error == "1.0-1 could not be set"
    assert bench.tags(candidate) == {}
