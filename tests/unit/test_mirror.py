"""The parts of a mirror that need no registry."""

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
from fedpkg_container.registry.mirror.clock import Moment
from fedpkg_container.registry.mirror.discovery import DEEPEST, walk
from fedpkg_container.registry.mirror.fetch import Throttle
from fedpkg_container.registry.mirror.lock import locked
from fedpkg_container.registry.mirror.manifest_cache import Blob, Image
from fedpkg_container.registry.mirror.retention import expired
from fedpkg_container.registry.mirror.selection import changes
from fedpkg_container.registry.mirror.state import State
from fedpkg_container.registry.mirror.tree import Tree
from fedpkg_container.registry.promotion.journal import Record
from fedpkg_container.registry.referrers import fallback_tag
from fedpkg_container.registry.workers import AWAY, Crew, NotAskedError, Outcome
from tests.support.mirrored import begun, promoted
from tests.support.waiting import PATIENCE

DAY = 86400.0


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


class TestTree:
    @given(
        st.text(max_size=40) | st.sampled_from(["..", "a/../b", "/etc", "a//b", "A", "a/.", "a\n", "", "a:b", "a@b"])
    )
    def test_no_name_leads_out_of_it(self, name: str) -> None:
        tree = Tree(Path("/top"), Path("/top/aside"))
        try:
            path = tree.path(name, digest(1))
        except RegistryError:
            return
        assert os.path.normpath(path) == str(path)
        assert path.parts[:3] == ("/", "top", "v2") and path.parts[-2:] == ("blobs", digest(1))

    @pytest.mark.parametrize("text", ["sha256:" + 63 * "0", "sha256:" + 64 * "G", "md5:" + 32 * "0", "../x", ""])
    def test_no_digest_leads_out_of_it(self, text: str) -> None:
        with pytest.raises(RegistryError):
            Tree(Path("/top"), Path("/top/aside")).path("a", text)

    def test_what_is_not_ours_is_passed_over(self, tmp_path: Path) -> None:
        tree = Tree(tmp_path, tmp_path)
        folder = tmp_path / "v2/a/blobs"
        folder.mkdir(parents=True)
        for name in ("README", "sha256:short", "sha512:" + 64 * "0"):
            (folder / name).write_text("x")
        (folder / digest(1)).symlink_to("README")
        (folder / digest(2)).write_text("ours")
        (tmp_path / "v2/a" / digest(3)).write_text("not in blobs")
        assert {entry.digest for entry in tree.contents()["a"].values()} == {digest(2)}
        tree.tidy()
        assert (folder / "README").exists()

    def test_file_systems_without_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tree = Tree(tmp_path, tmp_path)
        (tmp_path / "new").write_text("content")
        tree.place(tmp_path / "new", digest(1), "a")

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        tree.link(digest(1), "a", "b")
        assert tree.path("b", digest(1)).read_text() == "content"
        assert tree.path("b", digest(1)).stat().st_mode & 0o777 == 0o644
        assert sorted(path.name for path in tmp_path.iterdir()) == ["v2"]


class TestClock:
    def test_on_one_machine_that_runs_on_nobody_can_set_it(self) -> None:
        then = Moment(1000.0, "boot", 10.0)
        assert Moment(9e9, "boot", 17.0).since(then, longest=5.0) == 7.0
        assert Moment(0.0, "boot", 17.0).since(then, longest=5.0) == 7.0

    def test_over_a_start_it_is_bounded(self) -> None:
        then = Moment(1000.0, "boot", 10.0)
        assert Moment(1003.0, "other", 0.0).since(then, longest=5.0) == 3.0
        assert Moment(9e9, "other", 0.0).since(then, longest=5.0) == 5.0
        assert Moment(0.0, "other", 0.0).since(then, longest=5.0) == 0.0
        assert Moment(9e9, "", 99.0).since(Moment(0.0, "", 0.0), longest=5.0) == 5.0

    def test_now(self) -> None:
        assert 0.0 <= Moment.now().since(Moment.now(), longest=0.0) < 1.0


class TestGrace:
    @given(
        st.lists(
            st.tuples(
                st.floats(0, 3 * DAY),  # what passes
                st.sampled_from([0.0, 1e9, -1e9, 30 * DAY]),  # by how much the clock is set
                st.booleans(),  # whether the machine is started anew
                st.booleans(),  # whether the path is in doubt
            ),
            max_size=30,
        )
    )
    def test_nothing_goes_before_its_time(self, steps: list[tuple[float, float, bool, bool]]) -> None:
        """Whatever happens to the clock: each start of the machine may take a quarter of the time away, no more."""
        state, passed, jump, running, boots, seen = State(), 0.0, 0.0, 0.0, 0, -1.0
        for seconds, set_by, anew, doubt in steps:
            passed, jump, running = passed + seconds, jump + set_by, running + seconds
            if anew:
                running, boots = 0.0, boots + 1
            now = Moment(passed + jump, str(boots), running)
            unsure = (lambda _: True) if doubt else (lambda _: False)
            gone = expired(state, [] if doubt else ["x"], unsure, now=now, grace=7 * DAY)
            seen = passed if seen < 0 and not doubt else seen
            if gone:
                assert passed - seen + boots * 7 * DAY / 4 >= 7 * DAY - 1
                return

    def test_what_is_in_doubt_gets_no_older(self) -> None:
        state = State()
        expired(state, ["x"], lambda _: False, now=Moment(0, "a", 0), grace=10)
        expired(state, [], lambda _: True, now=Moment(0, "a", 100), grace=10)
        assert expired(state, ["x"], lambda _: False, now=Moment(0, "a", 105), grace=10) == []
        assert expired(state, ["x"], lambda _: False, now=Moment(0, "a", 110), grace=10) == ["x"]


class TestWalk:
    def test_lists_images_and_what_refers_to_them(self) -> None:
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
        reach = walk(tags, images, lambda it: (digest(6),) if it == digest(3) else ())
        assert reach.manifests == {digest(number) for number in range(1, 7)}
        assert reach.blobs == {digest(10): 1, digest(11): 2, digest(12): 3, digest(13): 4}
        assert not reach.unknown

    def test_what_must_be_read_first(self) -> None:
        reach = walk({"a": digest(1)}, {digest(1): Image(members=(digest(2),))}, lambda _: ())
        assert reach.unknown == {digest(2)}

    def test_lists_without_end(self) -> None:
        deep = {digest(number): Image(members=(digest(number + 1),)) for number in range(100)}
        with pytest.raises(RegistryError, match="deeper"):
            walk({"a": digest(0)}, deep, lambda _: ())
        shallow = {digest(number): Image(members=(digest(number + 1),)) for number in range(DEEPEST - 1)}
        walk({"a": digest(0)}, {**shallow, digest(DEEPEST - 1): Image()}, lambda _: ())
        walk({"a": digest(0)}, {digest(0): Image(members=(digest(0),))}, lambda it: (it,))  # to itself

    def test_contradictions(self) -> None:
        images = {digest(1): Image(blobs=(Blob(digest(9), 1),)), digest(2): Image(blobs=(Blob(digest(9), 2),))}
        with pytest.raises(RegistryError, match="bytes, another manifest does not"):
            walk({"a": digest(1), "b": digest(2)}, images, lambda _: ())


class TestRecord:
    def test_what_was_touched_since(self, tmp_path: Path) -> None:
        path = tmp_path / "record"
        first = changes(path, "")
        assert first.repositories is None
        assert changes(path, first.position).repositories == frozenset()
        for name in ("registry.example.org/a", "registry.example.org/x/b", "other.example.org/c"):
            promoted(path, name)
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:20])  # a line that is being written
        second = changes(path, first.position)
        assert second.repositories == frozenset({"a", "x/b", "c"})
        path.write_bytes(whole)
        promoted(path, "registry.example.org/d")
        third = changes(path, second.position)
        assert third.repositories == frozenset("d")
        assert changes(path, third.position).repositories == frozenset()

    def test_a_change_is_open_until_it_is_done(self, tmp_path: Path) -> None:
        path = tmp_path / "record"
        entry = begun(path, "registry.example.org/a")
        position = changes(path, "").position
        assert changes(path, position).repositories == frozenset("a")
        promoted(path, "registry.example.org/b")
        position = changes(path, position).position
        assert changes(path, position).repositories == frozenset("a")
        Record(path).append(entry.done())
        position = changes(path, position).position
        assert changes(path, position).repositories == frozenset()

    @pytest.mark.parametrize("change", [lambda text: text[::-1], lambda text: text[:-1], lambda _: b""])
    def test_another_file(self, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
        path = tmp_path / "record"
        promoted(path, "registry.example.org/a")
        position = changes(path, "").position
        path.write_bytes(change(path.read_bytes()))
        assert changes(path, position).repositories is None

    @pytest.mark.parametrize("line", ["no json", "[]", "{}", "1", "\x00", '{"format": 2}'])
    def test_a_line_that_cannot_be_read(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "record"
        promoted(path, "registry.example.org/a")
        position = changes(path, "").position
        with path.open("a") as file:
            file.write(f"{line}\n")
        assert changes(path, position).repositories is None

    def test_a_record_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
            changes(tmp_path, "")


class TestState:
    FULL = State(
        images={digest(1): Image((digest(2),)), digest(2): Image((), (Blob(digest(3), 4),), 5, True)},
        tags={"a": {"1-1": digest(1)}, "b": {"latest": digest(2)}},
        referrers={("a", digest(1)): (digest(7),), ("b", digest(2)): ()},
        unreached={"v2/a": 1.5},
        facts={"registry": "r.example.org"},
    )

    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        self.FULL.write(path)
        assert State.read(path, "r.example.org") == self.FULL
        assert State.read(path, "other.example.org") == State(facts={"registry": "other.example.org"})
        smaller = State(tags={"a": {"1-1": digest(9)}}, facts={"registry": "r.example.org"})
        smaller.write(path)
        assert State.read(path, "r.example.org") == smaller

    @pytest.mark.parametrize("content", [b"", b"nothing that SQLite knows" * 100])
    def test_a_file_that_is_none(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "state"
        path.write_bytes(content)
        assert State.read(path, "r.example.org").images == {}
        self.FULL.write(path)
        assert State.read(path, "r.example.org") == self.FULL

    def test_of_another_version(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        with sqlite3.connect(path) as database:
            database.executescript("CREATE TABLE images (x TEXT); PRAGMA user_version = 99;")
        database.close()
        assert State.read(path, "r.example.org").images == {}
        self.FULL.write(path)
        assert State.read(path, "r.example.org") == self.FULL

    def test_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="cannot be written"):
            self.FULL.write(tmp_path / "missing/state")


class TestCrew:
    def test_every_job_ends_once(self) -> None:
        def work(number: int) -> int:
            if number % 10 == 0:
                raise RegistryError("ten")
            if number % 10 == 1:
                raise OSError("eleven")
            return number

        with Crew(4, lambda: False) as crew:
            outcomes = list(crew.each(range(100), work))
        assert sorted(each.job for each in outcomes) == list(range(100))
        assert sum(each.error is not None for each in outcomes) == 20

    def test_a_registry_that_is_away(self) -> None:
        begun = []

        def work(number: int) -> None:
            begun.append(number)
            time.sleep(0.001)
            raise RegistryUnavailableError("away")

        with Crew(1, lambda: True) as crew:
            outcomes: list[Outcome[int, None]] = list(crew.each(range(1000), work))
        assert len(outcomes) == 1000 and AWAY <= len(begun) < 1000
        assert sum(isinstance(each.error, NotAskedError) for each in outcomes) == 1000 - len(begun)

    def test_a_registry_that_only_fails(self) -> None:
        def work(_: int) -> None:
            raise RegistryUnavailableError("broken")

        with Crew(2, lambda: False) as crew:
            assert not any(isinstance(each.error, NotAskedError) for each in crew.each(range(20), work))

    def test_jobs_under_way_are_told_to_stop(self) -> None:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), Crew(4, lambda: False) as crew:
            for _ in crew.each(range(8), lambda number: number and crew.stop.wait(2 * PATIENCE)):
                raise KeyboardInterrupt
        assert time.monotonic() - began < PATIENCE

    def test_an_error_that_nobody_expects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(threading, "excepthook", lambda _: None)
        with pytest.raises(RuntimeError, match="did not end"), Crew(2, lambda: False) as crew:
            list(crew.each([1, 0], lambda number: 1 // number))


def test_a_limit_of_bytes() -> None:
    throttle, stop = Throttle(1 << 20), threading.Event()
    began = time.monotonic()
    for _ in range(6):
        throttle.take(1 << 18, stop)  # 1.5 MiB, of which one may come at once
    assert time.monotonic() - began > 0.4
    stop.set()
    throttle.take(1 << 40, stop)  # days, if it did not stop
    Throttle(0).take(1 << 40, threading.Event())
    assert time.monotonic() - began < PATIENCE


def test_a_lock_says_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("left by a process that was killed\n")
    with locked(path, tmp_path):
        with pytest.raises(FedpkgContainerError, match=f"process {os.getpid()} on .* since 20"), locked(path, tmp_path):
            pass
        assert path.read_text().count("\n") == 1
    with locked(path, tmp_path):
        pass


def test_a_list_of_files_passes_over_what_is_not_served(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden/x", "fullfiletimelist-old", "c\td", "archives/x/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
        (tmp_path / name).chmod(0o644)
    (tmp_path / "secret").write_text("")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "link").symlink_to("a")
    assert tree.write(tmp_path, tmp_path / ".hidden")
    text = (tmp_path / f"fullfiletimelist-{tmp_path.name}").read_text()
    lines = [line.split("\t")[1:] for line in text.splitlines()[4:-4]]
    assert [[kind, path] for kind, _, path in lines] == [
        ["f", "a"], ["d", "archives"], ["d", "archives/x"], ["f", "archives/x/y"], ["f", "b"], ["f-", "secret"],
    ]  # fmt: skip
    assert not tree.write(tmp_path, tmp_path / ".hidden")


@pytest.mark.parametrize(
    ("architecture", "variant", "arch"),
    [("amd64", "", "x86_64"), ("arm64", "v8", "aarch64"), ("arm64", "", "aarch64"), ("386", "", "i386"),
     ("arm", "v7", "armhfp"), ("arm", "", "arm"), ("s390x", "", "s390x"), ("ppc64le", "", "ppc64le")],
)  # fmt: skip
def test_koji_names_of_arches(architecture: str, variant: str, arch: str) -> None:
    assert koji_arch(architecture, variant) == arch
    assert go_arch(arch) == architecture


@pytest.mark.parametrize("text", ["../x", "", "a b", "A", "x" * 40])
def test_what_is_no_arch(text: str) -> None:
    with pytest.raises(ValueError, match="invalid architecture name"):
        koji_arch(text)


def test_images_are_kept_as_they_were() -> None:
    image = Image((digest(1),), (Blob(digest(2), 3),), 4, True)
    assert Image.from_text(image.text) == image
    assert json.loads(image.text)
