# SPDX-License-Identifier: GPL-2.0-or-later
"""prune with real registries: what is deleted and kept, in which order, and after interruptions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.box.registry import program
from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, LostContactError, RegistryError
from fedpkg_container.model.koji_images import ImageRecord
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.process import run
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.manifests import Manifest
from fedpkg_container.registry.pruning.pruner import Pruner
from fedpkg_container.registry.pruning.retention import DAY
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Registry
from tests.support.memory_registry import memory_registry
from tests.support.pruning import DELETE, KilledError, Scene, build, is_gone, is_whole, site_of, stamp
from tests.support.pushing import image, index, listing, tagged
from tests.support.records import ENDED, RUNNING, ToldRecords
from tests.support.registries import access, docker_registry
from tests.support.step_log import after_steps
from tests.support.storage import Storage
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    directory = tmp_path_factory.mktemp("registries")
    with docker_registry(directory) as candidate, docker_registry(directory) as stable:
        yield directory, candidate, stable


@pytest.fixture
def scene(registries: tuple[Path, str, str]) -> Iterator[Scene]:
    directory, candidate, stable = registries
    site = site_of(directory, candidate, Target("stable", stable, access(directory), "fedora", ("*",)))
    registry = Registry(access(directory))
    with registry.http(candidate) as http, registry.http(stable) as promoted:
        scene = Scene(directory, site, http, promoted)
        yield scene
        for name in ("hello", "other", "staging/task-7", "staging/task-8", "staging/task-9"):
            for digest in set(scene.held(name).values()):
                scene[name].delete_manifest(digest)
        for digest in {Repository(promoted, "fedora/hello").head(tag) for tag in ("1.0-1",)} - {""}:
            Repository(promoted, "fedora/hello").delete_manifest(digest)


def test_old_builds_are_deleted_completely_and_recent_ones_kept(scene: Scene) -> None:
    old = build(scene["hello"], "old", stamp(31), "old")
    young = build(scene["hello"], "young", stamp(29, 8), "latest")
    said = scene.prune(replace(DELETE, deletes=False))
    assert [each.decision.digest for each in said.images] == [old[0].digest]
    assert said.images[0].size
    assert is_whole(scene["hello"], *old), "a dry run deletes nothing"
    done = scene.prune()
    assert [each.result.done for each in done.images] == [True]
    assert is_gone(scene["hello"], *old)
    assert is_whole(scene["hello"], *young)
    assert scene.prune().images == []
    assert len(scene.held()) == 2 + 2 + 1, sorted(scene.held())


def test_members_shared_with_a_kept_index_are_kept(scene: Scene) -> None:
    old, members = build(scene["hello"], "shared", stamp(90))
    extra = image(scene["hello"], "only in the old one")
    older = listing(scene["hello"], members[0], extra, tags=[stamp(91, 8)])
    kept = index(scene["hello"], *members, tags=["1.0-1"])
    scene.prune()
    assert is_whole(scene["hello"], kept, members)
    assert not any(scene["hello"].head(each.digest) for each in (old, older, extra))


def test_indexes_in_two_formats_are_treated_alike(scene: Scene) -> None:
    made, members = build(scene["hello"], "docker", stamp(60, kind=""), "1.0-1")
    other = index(scene["hello"], image(scene["hello"], "oci"), tags=[f"{stamp(60, kind='')}-oci"])
    scene.records.known = {
        each.digest: ImageRecord(("hello-1.0-1",), time.time() - 60 * DAY, "it is in a tag") for each in (made, other)
    }
    scene.prune()
    assert is_whole(scene["hello"], made, members)
    assert scene["hello"].head(other.digest)
    scene.records.known = {each.digest: ImageRecord(("hello-1.0-1",), time.time() - 60 * DAY) for each in (made, other)}
    assert len(scene.prune().images) == 2
    assert scene.held() == {}


def test_images_in_a_target_are_kept(scene: Scene) -> None:
    made, members = build(scene["hello"], "promoted", stamp(90))
    there = Repository(scene.stable, "fedora/hello")
    copies = [image(there, f"promoted for {arch}", arch=arch) for arch in ("amd64", "arm64")]
    assert [each.digest for each in copies] == [each.digest for each in members]
    tagged(there, made, "1.0-1")
    (kept,) = scene.prune().kept
    assert kept.decision.why == "stable has it as fedora/hello:1.0-1"
    there.delete_manifest(made.digest)
    assert scene.prune().images
    assert is_gone(scene["hello"], made, members)


@pytest.mark.parametrize("interval", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_after_some_or_all_steps_and_repeated_it_converges(scene: Scene, interval: int) -> None:
    kept, kept_members = build(scene["hello"], "kept", "1.0-1")
    steps = 0
    for number in range(1, 40, interval):
        made, members = build(scene["hello"], f"killed {number}", stamp(31))
        shared = listing(scene["hello"], members[0], kept_members[0], tags=[stamp(32, 8)])
        done: list[str] = []

        def stop(step: str, done: list[str] = done, number: int = number) -> None:
            done.append(step)
            if len(done) == number:
                raise KilledError

        try:
            scene.prune(after=stop)
            steps = len(done)
        except KilledError:
            assert is_whole(scene["hello"], kept, kept_members)
            if scene["hello"].head(made.digest):
                assert all(scene["hello"].head(each.digest) for each in members), "a list without its members"
            scene.prune()
        assert is_gone(scene["hello"], made, members)
        assert not scene["hello"].head(shared.digest)
        assert is_whole(scene["hello"], kept, kept_members)
        assert len(scene.held()) == 4, "1.0-1, and the lists of referrers of two images and of a signed SBOM"
        if steps:
            break
    assert steps >= 12


@pytest.mark.parametrize("push", [listing, index])
def test_images_pushed_after_planning_are_not_deleted(scene: Scene, push: Callable[..., Manifest]) -> None:
    """The same index under another tag, or another index of the same images."""
    made, members = build(scene["hello"], "first", stamp(90))
    second = build(scene["hello"], "second", stamp(91, 8))
    new: list[Manifest] = []

    def somebody(step: str) -> None:
        if step.startswith("deleted") and not new:
            left = next(each for each in ((made, members), second) if scene["hello"].head(each[0].digest))
            new.append(push(scene["hello"], *left[1], tags=["2.0-1"]))

    report = scene.prune(after=somebody)
    assert not report.failed
    (found,) = new
    assert scene["hello"].head("2.0-1") == found.digest
    assert all(scene["hello"].head(each["digest"]) for each in found.members), "the new list is whole"


def test_tags_without_manifest(tmp_path: Path) -> None:
    """A registry killed while it deletes a manifest leaves its tags; one of them is set again in the meantime."""
    with docker_registry(tmp_path) as host, Registry(access(tmp_path)).http(host) as http:
        repository = Repository(http, "hello")
        first, second = (build(repository, str(number), stamp(90, number)) for number in (1, 2))
        lost = image(repository, "lost", "lost", "found")
        Storage.of(tmp_path, host).forget("hello", lost.digest)
        assert {"lost", "found"} <= set(repository.tags())
        wanted: list[Manifest] = []

        def somebody(step: str) -> None:
            if step.startswith("deleted") and not wanted:
                left = next(made for made, _ in (first, second) if repository.head(made.digest))
                wanted.append(tagged(repository, left, "found"))

        with after_steps(somebody):
            report = Pruner(site_of(tmp_path, host), ToldRecords(), DELETE).run()
        assert [each.result.done for each in report.images].count(True) == 1
        assert [each.result.needed for each in report.images if not each.result.done] == [
            "it was given the tag found in the meantime"
        ]
        assert repository.head("found") == wanted[0].digest


def test_tag_moved_after_planning_is_kept(scene: Scene) -> None:
    old = [build(scene["hello"], f"old {number}", stamp(90, number), f"moves-{number}") for number in (1, 2)]
    young = image(scene["hello"], "young", stamp(1))

    def somebody(step: str) -> None:
        if step.startswith("deleted"):
            for number in (1, 2):
                tagged(scene["hello"], young, f"moves-{number}")

    scene.prune(after=somebody)
    assert all(is_gone(scene["hello"], *each) for each in old)
    assert scene["hello"].head("moves-1") == scene["hello"].head("moves-2") == young.digest


def test_image_needed_after_planning_is_kept(scene: Scene) -> None:
    made, members = build(scene["other"], "tagged meanwhile", stamp(90))
    gone = build(scene["hello"], "gone", stamp(90))

    def somebody(_: str) -> None:
        scene.records.known[made.digest] = ImageRecord(("other-1-1",), 0.0, "it is in tag f42")

    report = scene.prune(after=somebody)
    assert is_gone(scene["hello"], *gone)
    assert is_whole(scene["other"], made, members)
    assert [each.result.needed for each in report.images] == ["", "it is in tag f42"]
    assert not report.failed


def test_staging_of_finished_tasks(scene: Scene) -> None:
    for number in (7, 8, 9):
        image(scene[f"staging/task-{number}"], "staged", "x86_64-1")
    scene.records.known_tasks = {7: ENDED, 8: RUNNING}
    report = scene.prune()
    assert [each.staged.repository for each in report.emptied] == ["staging/task-7"]
    assert [(each.task_id, each.ended) for each in report.waiting] == [(8, False), (9, None)]
    assert [bool(scene.held(f"staging/task-{number}")) for number in (7, 8, 9)] == [False, True, True]
    scene.records.known_tasks[8] = ENDED
    assert scene.prune(replace(DELETE, staging=False)).emptied == []
    assert scene.held("staging/task-8")


def test_unavailable_koji_or_target_deletes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build(scene["hello"], "old", stamp(90))
    image(scene["staging/task-7"], "staged", "x86_64-1")
    scene.records.known_tasks = {7: ENDED}
    for answers in (0, 1, 2):
        scene.records.answers = answers
        with pytest.raises(LostContactError):
            scene.prune()
    scene.records.answers = None
    monkeypatch.setattr("fedpkg_container.registry.retry.INITIAL_BACKOFF", 0.01)
    nobody = Target("outside", "127.0.0.1:9", access(scene.directory), koji_tags=("*",))
    scene.site = replace(scene.site, targets={**scene.site.targets, "outside": nobody})
    with pytest.raises(RegistryError, match="127.0.0.1:9"):
        scene.prune()
    assert is_whole(scene["hello"], *made)
    assert scene.held("staging/task-7")


def test_target_in_the_candidate_registry(scene: Scene) -> None:
    own = scene.site.candidates.registry
    within = Target("stable", own, access(scene.directory), "other", ("*",))
    scene.site = replace(scene.site, targets={"stable": within})
    image(scene["other/hello"], "old but stable", stamp(90))
    image(scene["other"], "old", stamp(90))
    report = scene.prune()
    assert [each.repository for each in report.images] == ["other"]
    assert scene.held("other/hello")
    scene.site = replace(scene.site, targets={"stable": replace(within, prefix="")})
    with pytest.raises(ConfigurationError, match="is the candidate registry"):
        scene.prune()


def test_wrong_clock(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    image(scene["hello"], "young", stamp(1))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 60 * DAY)
    with pytest.raises(FedpkgContainerError, match="clocks of this machine and of .* differ by 1440"):
        scene.prune()
    assert scene.held()


def test_repository_with_invalid_manifest_is_skipped(scene: Scene) -> None:
    broken = image(scene["hello"], "broken", stamp(90))
    image(scene["other"], "old", stamp(90))
    root = next(scene.directory.glob(f"data-{scene.site.candidates.registry.rpartition(':')[2]}"))
    digest = broken.digest.rpartition(":")[2]
    data = root / "docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"
    content = data.read_bytes()
    data.write_bytes(content.replace(b"schemaVersion", b"schemaversion"))
    try:
        report = scene.prune()
    finally:
        data.write_bytes(content)
    assert report.failed
    assert "hello is skipped" in report.problems[0]
    assert scene.held("other") == {}


def test_registry_with_deletion_disabled(tmp_path: Path) -> None:
    with docker_registry(tmp_path, delete=False) as host, Registry(access(tmp_path)).http(host) as http:
        image(Repository(http, "hello"), "old", stamp(90))
        report = Pruner(site_of(tmp_path, host), ToldRecords(), DELETE).run()
    assert report.failed
    assert "deletion is disabled" in report.images[0].result.problem


def test_registry_with_referrers_api(tmp_path: Path) -> None:
    with memory_registry(tmp_path, token=False) as server:
        with Registry(access(tmp_path)).http(server.address) as http:
            made, members = build(Repository(http, "hello"), "old", stamp(90))
            kept = build(Repository(http, "hello"), "kept", "1.0-1")
            report = Pruner(site_of(tmp_path, server.address), ToldRecords(), DELETE).run()
            assert [each.result.done for each in report.images] == [True]
            assert is_gone(Repository(http, "hello"), made, members)
            assert is_whole(Repository(http, "hello"), *kept)
        assert len(server["hello"].digests) == 3 + 2 + 1, "a list, two arches, their SBOMs, one signature"


def test_garbage_collection_afterwards_removes_only_deleted_layers(tmp_path: Path) -> None:
    with docker_registry(tmp_path) as host, Registry(access(tmp_path)).http(host) as http:
        repository = Repository(http, "hello")
        big = image(repository, "old", layers=[b"x" * 1_000_000])
        listing(repository, big, tags=[stamp(90)])
        kept = build(repository, "kept", "1.0-1")
        Pruner(site_of(tmp_path, host), ToldRecords(), DELETE).run()
    (data,) = tmp_path.glob("data-*")
    before = _size(data)
    port = int(host.rpartition(":")[2])
    run([program(), "garbage-collect", tmp_path / f"registry-{port}.yml"], timeout=PATIENCE)
    assert before - _size(data) > 1_000_000
    with (
        docker_registry(tmp_path, port=port) as same,
        Registry(access(tmp_path)).http(same) as http,
    ):
        assert is_whole(Repository(http, "hello"), *kept)
        for each in kept[1]:
            for blob in each.blobs:
                Repository(http, "hello").blob(blob)
        source = ImageReference(same, "hello", tag="1.0-1")
        options = access(tmp_path).options("src-")
        run(["skopeo", "copy", "--all", *options, f"docker://{source}", f"dir:{tmp_path / 'copy'}"], timeout=PATIENCE)


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
