# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of the mirror that need no registry."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.errors import ConfigurationError, FedpkgContainerError, RegistryError, RegistryUnavailableError
from fedpkg_container.model.platforms import go_arch, koji_arch
from fedpkg_container.registry.mirror import tree
from fedpkg_container.registry.mirror.clock import ClockReading
from fedpkg_container.registry.mirror.discovery import MAX_DEPTH, find_reachable
from fedpkg_container.registry.mirror.fetch import Throttle
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.mirror.manifest_cache import Blob, Image
from fedpkg_container.registry.mirror.retention import expired
from fedpkg_container.registry.mirror.selection import journal_changes
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import Tree
from fedpkg_container.registry.promotion.journal import Journal
from fedpkg_container.registry.referrers import fallback_tag
from fedpkg_container.registry.workers import MAX_CONSECUTIVE_FAILURES, JobResult, JobSkippedError, WorkerPool
from tests.support.mirrored import begun, promoted
from tests.support.waiting import PATIENCE

DAY = 86400.0


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


class TestTree:
    @given(
        st.text(max_size=40) | st.sampled_from(["..", "a/../b", "/etc", "a//b", "A", "a/.", "a\n", "", "a:b", "a@b"])
    )
    def test_no_name_escapes(self, name: str) -> None:
        tree = Tree(Path("/top"), Path("/top/aside"))
        try:
            path = tree.path(name, digest(1))
        except RegistryError:
            return
        assert os.path.normpath(path) == str(path)
        assert path.parts[:3] == ("/", "top", "v2") and path.parts[-2:] == ("blobs", digest(1))

    @pytest.mark.parametrize("text", ["sha256:" + 63 * "0", "sha256:" + 64 * "G", "md5:" + 32 * "0", "../x", ""])
    def test_no_digest_escapes(self, text: str) -> None:
        with pytest.raises(RegistryError):
            Tree(Path("/top"), Path("/top/aside")).path("a", text)

    def test_other_files_are_ignored(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path, tmp_path)
        directory = tmp_path / "v2/a/blobs"
        directory.mkdir(parents=True)
        for name in ("README", "sha256:short", "sha512:" + 64 * "0"):
            (directory / name).write_text("x")
        (directory / digest(1)).symlink_to("README")
        (directory / digest(2)).write_text("ours")
        (tmp_path / "v2/a" / digest(3)).write_text("not in blobs")
        assert {entry.digest for entry in tree.contents()["a"].values()} == {digest(2)}
        tree.finalize()
        assert (directory / "README").exists()

    def test_file_systems_without_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tree = Tree(tmp_path, tmp_path)
        (tmp_path / "new").write_text("content")
        tree.publish_blob(tmp_path / "new", digest(1), "a")

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        tree.link_blob(digest(1), "a", "b")
        assert tree.path("b", digest(1)).read_text() == "content"
        assert tree.path("b", digest(1)).stat().st_mode & 0o777 == 0o644
        assert sorted(path.name for path in tmp_path.iterdir()) == ["v2"]


class TestClock:
    def test_wall_clock_is_ignored_within_a_boot(self) -> None:
        then = ClockReading(1000.0, "boot", 10.0)
        assert ClockReading(9e9, "boot", 17.0).since(then, limit=5.0) == 7.0
        assert ClockReading(0.0, "boot", 17.0).since(then, limit=5.0) == 7.0

    def test_elapsed_time_across_boots_is_limited(self) -> None:
        then = ClockReading(1000.0, "boot", 10.0)
        assert ClockReading(1003.0, "other", 0.0).since(then, limit=5.0) == 3.0
        assert ClockReading(9e9, "other", 0.0).since(then, limit=5.0) == 5.0
        assert ClockReading(0.0, "other", 0.0).since(then, limit=5.0) == 0.0
        assert ClockReading(9e9, "", 99.0).since(ClockReading(0.0, "", 0.0), limit=5.0) == 5.0

    def test_now(self) -> None:
        assert 0.0 <= ClockReading.now().since(ClockReading.now(), limit=0.0) < 1.0


class TestGrace:
    @given(
        st.lists(
            st.tuples(
                st.floats(0, 3 * DAY),  # what passes
                st.sampled_from([0.0, 1e9, -1e9, 30 * DAY]),  # by how much the clock is set
                st.booleans(),  # whether the machine is started again
                st.booleans(),  # whether the path is in doubt
            ),
            max_size=30,
        )
    )
    def test_nothing_expires_early(self, steps: list[tuple[float, float, bool, bool]]) -> None:
        """Whatever happens to the clock: each boot adds at most a quarter of the grace period."""
        state, passed, jump, running, boots, seen = State(), 0.0, 0.0, 0.0, 0, -1.0
        for seconds, set_by, anew, doubt in steps:
            passed, jump, running = passed + seconds, jump + set_by, running + seconds
            if anew:
                running, boots = 0.0, boots + 1
            now = ClockReading(passed + jump, str(boots), running)
            unsure = (lambda _: True) if doubt else (lambda _: False)
            gone = expired(state, [] if doubt else ["x"], unsure, now=now, grace=7 * DAY)
            seen = passed if seen < 0 and not doubt else seen
            if gone:
                assert passed - seen + boots * 7 * DAY / 4 >= 7 * DAY - 1
                return

    def test_paths_in_doubt_do_not_age(self) -> None:
        state = State()
        expired(state, ["x"], lambda _: False, now=ClockReading(0, "a", 0), grace=10)
        expired(state, [], lambda _: True, now=ClockReading(0, "a", 100), grace=10)
        assert expired(state, ["x"], lambda _: False, now=ClockReading(0, "a", 105), grace=10) == []
        assert expired(state, ["x"], lambda _: False, now=ClockReading(0, "a", 110), grace=10) == ["x"]


class TestWalk:
    def test_indexes_images_and_referrers(self) -> None:
        images = {
            digest(1): Image(members=(digest(2), digest(3))),
            digest(2): Image(blobs=(Blob(digest(10), 1),)),
            digest(3): Image(blobs=(Blob(digest(11), 2), Blob(digest(10), 1))),
            digest(4): Image(members=(digest(5),)),
            digest(5): Image(blobs=(Blob(digest(12), 3),)),
            digest(6): Image(blobs=(Blob(digest(13), 4),)),
            digest(8): Image(members=(digest(9),)),
            digest(9): Image(blobs=(Blob(digest(14), 4),)),
        }
        tags = {
            "latest": digest(1),
            fallback_tag(digest(2)): digest(4),
            fallback_tag(digest(77)): digest(8),  # of an image that no tag reaches
        }
        reach = find_reachable(tags, images, lambda it: (digest(6),) if it == digest(3) else ())
        assert reach.manifests == {digest(number) for number in range(1, 7)}
        assert reach.blobs == {digest(10): 1, digest(11): 2, digest(12): 3, digest(13): 4}
        assert not reach.unknown

    def test_unknown_manifests(self) -> None:
        reach = find_reachable({"a": digest(1)}, {digest(1): Image(members=(digest(2),))}, lambda _: ())
        assert reach.unknown == {digest(2)}

    def test_endless_nesting(self) -> None:
        deep = {digest(number): Image(members=(digest(number + 1),)) for number in range(100)}
        with pytest.raises(RegistryError, match="levels deep"):
            find_reachable({"a": digest(0)}, deep, lambda _: ())
        shallow = {digest(number): Image(members=(digest(number + 1),)) for number in range(MAX_DEPTH - 1)}
        find_reachable({"a": digest(0)}, {**shallow, digest(MAX_DEPTH - 1): Image()}, lambda _: ())
        find_reachable({"a": digest(0)}, {digest(0): Image(members=(digest(0),))}, lambda it: (it,))  # to itself

    def test_contradictions(self) -> None:
        images = {digest(1): Image(blobs=(Blob(digest(9), 1),)), digest(2): Image(blobs=(Blob(digest(9), 2),))}
        with pytest.raises(RegistryError, match="bytes for .*, another manifest states a different size"):
            find_reachable({"a": digest(1), "b": digest(2)}, images, lambda _: ())


class TestRecord:
    def test_changes_since_a_position(self, tmp_path: Path) -> None:
        path = tmp_path / "record"
        first = journal_changes(path, "")
        assert first.repositories is None
        assert journal_changes(path, first.position).repositories == frozenset()
        for name in ("registry.example.org/a", "registry.example.org/x/b", "other.example.org/c"):
            promoted(path, name)
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:20])  # a line that is being written
        second = journal_changes(path, first.position)
        assert second.repositories == frozenset({"a", "x/b", "c"})
        path.write_bytes(whole)
        promoted(path, "registry.example.org/d")
        third = journal_changes(path, second.position)
        assert third.repositories == frozenset("d")
        assert journal_changes(path, third.position).repositories == frozenset()

    def test_unfinished_changes_are_included(self, tmp_path: Path) -> None:
        path = tmp_path / "record"
        entry = begun(path, "registry.example.org/a")
        position = journal_changes(path, "").position
        assert journal_changes(path, position).repositories == frozenset("a")
        promoted(path, "registry.example.org/b")
        position = journal_changes(path, position).position
        assert journal_changes(path, position).repositories == frozenset("a")
        Journal(path).append(entry.done())
        position = journal_changes(path, position).position
        assert journal_changes(path, position).repositories == frozenset()

    @pytest.mark.parametrize("change", [lambda text: text[::-1], lambda text: text[:-1], lambda _: b""])
    def test_replaced_journal(self, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
        path = tmp_path / "record"
        promoted(path, "registry.example.org/a")
        position = journal_changes(path, "").position
        path.write_bytes(change(path.read_bytes()))
        assert journal_changes(path, position).repositories is None

    @pytest.mark.parametrize("line", ["no json", "[]", "{}", "1", "\x00", '{"format": 2}'])
    def test_invalid_line(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "record"
        promoted(path, "registry.example.org/a")
        position = journal_changes(path, "").position
        with path.open("a") as file:
            file.write(f"{line}\n")
        assert journal_changes(path, position).repositories is None

    def test_unreadable_journal(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
            journal_changes(tmp_path, "")


class TestState:
    FULL = State(
        images={digest(1): Image((digest(2),)), digest(2): Image((), (Blob(digest(3), 4),), 5, True)},
        tags={"a": {"1-1": digest(1)}, "b": {"latest": digest(2)}},
        referrers={("a", digest(1)): (digest(7),), ("b", digest(2)): ()},
        unreached={"v2/a": 1.5},
        facts={"registry": "r.example.org"},
    )

    def test_round_trip(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        self.FULL.write(path)
        assert State.read(path, "r.example.org") == self.FULL
        assert State.read(path, "other.example.org") == State(facts={"registry": "other.example.org"})
        smaller = State(tags={"a": {"1-1": digest(9)}}, facts={"registry": "r.example.org"})
        smaller.write(path)
        assert State.read(path, "r.example.org") == smaller

    @pytest.mark.parametrize("content", [b"", b"nothing that SQLite knows" * 100])
    def test_invalid_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "state"
        path.write_bytes(content)
        assert State.read(path, "r.example.org").images == {}
        self.FULL.write(path)
        assert State.read(path, "r.example.org") == self.FULL

    def test_other_version(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        with sqlite3.connect(path) as database:
            database.executescript("CREATE TABLE images (x TEXT); PRAGMA user_version = 99;")
        database.close()
        assert State.read(path, "r.example.org").images == {}
        self.FULL.write(path)
        assert State.read(path, "r.example.org") == self.FULL

    def test_unwritable_file(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="cannot be written"):
            self.FULL.write(tmp_path / "missing/state")


class TestCrew:
    def test_each_job_has_one_result(self) -> None:
        def work(number: int) -> int:
            if number % 10 == 0:
                raise RegistryError("ten")
            if number % 10 == 1:
                raise OSError("eleven")
            return number

        with WorkerPool(4) as pool:
            outcomes = list(pool.as_completed(range(100), work))
        assert sorted(each.job for each in outcomes) == list(range(100))
        assert sum(each.error is not None for each in outcomes) == 20

    def test_unavailable_registry(self) -> None:
        begun = []

        def work(number: int) -> None:
            begun.append(number)
            time.sleep(0.001)
            raise RegistryUnavailableError("away")

        with WorkerPool(1, is_registry_down=lambda: True) as pool:
            outcomes: list[JobResult[int, None]] = list(pool.as_completed(range(1000), work))
        assert len(outcomes) == 1000 and MAX_CONSECUTIVE_FAILURES <= len(begun) < 1000
        assert sum(isinstance(each.error, JobSkippedError) for each in outcomes) == 1000 - len(begun)

    def test_failing_registry(self) -> None:
        def work(_: int) -> None:
            raise RegistryUnavailableError("broken")

        with WorkerPool(2) as pool:
            assert not any(isinstance(each.error, JobSkippedError) for each in pool.as_completed(range(20), work))

    def test_running_jobs_are_stopped(self) -> None:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), WorkerPool(4) as pool:
            for _ in pool.as_completed(range(8), lambda number: number and pool.stop.wait(2 * PATIENCE)):
                raise KeyboardInterrupt
        assert time.monotonic() - began < PATIENCE

    def test_an_unexpected_error_is_raised(self) -> None:
        with pytest.raises(ZeroDivisionError), WorkerPool(2) as pool:
            list(pool.as_completed([1, 0], lambda number: 1 // number))

    def test_map_returns_results_in_order_and_raises_the_first_error(self) -> None:
        canceled = threading.Event()

        def work(number: int) -> int:
            if number == 3:
                raise RegistryError("3")
            if number > 3:
                canceled.wait(PATIENCE)
            return number

        with WorkerPool(4, cancel=canceled.set) as pool:
            assert pool.map(work, range(3)) == [0, 1, 2]
            with pytest.raises(RegistryError, match="3"):
                pool.map(work, range(100))
        assert canceled.is_set()


def test_bandwidth_limit() -> None:
    throttle, stop = Throttle(1 << 20), threading.Event()
    began = time.monotonic()
    for _ in range(6):
        throttle.take(1 << 18, stop)  # 1.5 MiB, of which one may come at once
    assert time.monotonic() - began > 0.4
    stop.set()
    throttle.take(1 << 40, stop)  # days, if it did not stop
    Throttle(0).take(1 << 40, threading.Event())
    assert time.monotonic() - began < PATIENCE


def test_lock_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("left by a process that was killed\n")
    with locked(path, tmp_path):
        with pytest.raises(FedpkgContainerError, match=f"process {os.getpid()} on .* since 20"), locked(path, tmp_path):
            pass
        assert path.read_text().count("\n") == 1
    with locked(path, tmp_path):
        pass


def test_file_list_omits_unserved_files(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden/x", "fullfiletimelist-old", "c\td", "archives/x/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
        (tmp_path / name).chmod(0o644)
    (tmp_path / "secret").write_text("")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "link").symlink_to("a")
    assert tree.write_file_list(tmp_path, tmp_path / ".hidden")
    text = (tmp_path / f"fullfiletimelist-{tmp_path.name}").read_text()
    lines = [line.split("\t")[1:] for line in text.splitlines()[4:-4]]
    assert [[kind, path] for kind, _, path in lines] == [
        ["f", "a"], ["d", "archives"], ["d", "archives/x"], ["f", "archives/x/y"], ["f", "b"], ["f-", "secret"],
    ]  # fmt: skip
    assert not tree.write_file_list(tmp_path, tmp_path / ".hidden")


@pytest.mark.parametrize(
    ("architecture", "variant", "arch"),
    [("amd64", "", "x86_64"), ("arm64", "v8", "aarch64"), ("arm64", "", "aarch64"), ("386", "", "i386"),
     ("arm", "v7", "armhfp"), ("arm", "", "arm"), ("s390x", "", "s390x"), ("ppc64le", "", "ppc64le")],
)  # fmt: skip
def test_koji_names_of_arches(architecture: str, variant: str, arch: str) -> None:
    assert koji_arch(architecture, variant) == arch
    assert go_arch(arch) == architecture


@pytest.mark.parametrize("text", ["../x", "", "a b", "A", "x" * 40])
def test_unknown_architectures(text: str) -> None:
    with pytest.raises(ValueError, match="invalid architecture name"):
        koji_arch(text)


def test_cached_images_round_trip() -> None:
    image = Image((digest(1),), (Blob(digest(2), 3),), 4, True)
    assert Image.from_text(image.text) == image
    assert json.loads(image.text)
