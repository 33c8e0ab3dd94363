# SPDX-License-Identifier: GPL-2.0-or-later
"""Mirror with faults: registries that fail, lie or lose content, full disks, kills: served files stay correct."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box.pki import Authority
from fedpkg_container.box.tls_server import tls_server
from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.registry import retry
from fedpkg_container.registry.mirror import discovery
from fedpkg_container.registry.repository import Repository
from tests.support.mirrored import Mirrored, mirrored
from tests.support.registries import access, docker_registry
from tests.support.small_disk import small_disk
from tests.support.waiting import PATIENCE, eventually

LARGE = os.urandom(4 << 20)


@pytest.fixture
def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrored]:
    monkeypatch.setattr(retry, "INITIAL_BACKOFF", 0.01)
    with mirrored(tmp_path) as found:
        yield found


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mirrored, contextlib.ExitStack]]:
    """A registry that ends when the stack is closed."""
    monkeypatch.setattr(retry, "INITIAL_BACKOFF", 0.01)
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(mirrored(tmp_path)), stack


def several(it: Mirrored, number: int = 6) -> None:
    """Images of a megabyte each, in separate repositories."""
    for index in range(number):
        it.storage.image(f"r{index}", "1-1", layers=[bytes([index]) + LARGE[: 1 << 20]])


def wait_for_part(it: Mirrored) -> None:
    eventually(lambda: bool(list(it.tree.glob(".mirror/partial/sha256:*"))), lambda: list(it.tree.glob("**/*")))


def test_unavailable_registry_deletes_nothing(mortal: tuple[Mirrored, contextlib.ExitStack]) -> None:
    it, stack = mortal
    several(it)
    it.run()
    before = it.blobs()
    stack.close()
    summary = it.run(grace=0)
    assert len(summary.errors) == 1 and (summary.deleted, summary.waiting) == (0, 0)
    assert it.blobs() == before


def test_registry_killed_during_a_run(mortal: tuple[Mirrored, contextlib.ExitStack]) -> None:
    it, stack = mortal
    several(it)

    def kill() -> None:
        wait_for_part(it)
        stack.close()

    killer = threading.Thread(target=kill)
    killer.start()
    summary = it.run(rate=2 << 20, parallel=2)
    killer.join()
    assert summary.errors and not summary.interrupted
    there = len(it.blobs())
    assert there < 12
    with docker_registry(it.directory, port=int(it.host.rpartition(":")[2])):
        summary = it.run()
    assert (summary.errors, summary.present, len(it.blobs())) == ([], there, 12)


def test_unavailable_registry_is_not_queried_for_everything(
    mortal: tuple[Mirrored, contextlib.ExitStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    it, stack = mortal
    for index in range(30):
        it.storage.image(f"r{index}", "1-1")
    it.run()
    stack.close()
    summary = it.run(repositories=tuple(f"r{index}" for index in range(30)), parallel=2)
    assert summary.errors[-1].endswith("more repositories were skipped because the registry is unavailable")
    assert 3 <= len(summary.errors) < 20
    assert len(it.blobs()) == 30


def test_empty_catalog_deletes_nothing(it: Mirrored) -> None:
    several(it, 2)
    it.run()
    (it.storage.root / "docker").rename(it.storage.root / "elsewhere")
    for options in ({}, {"repositories": ("r0", "r1")}):
        summary = it.run(grace=0, **options)
        assert len(summary.errors) == 1 and summary.deleted == 0
        assert len(it.blobs()) == 4


def test_one_failing_repository(it: Mirrored) -> None:
    several(it, 3)
    it.run()
    it.storage.untag("r1", "1-1")
    broken = it.storage.image("r1", "2-1", layers=[b"new"])
    it.storage.data(broken.digest).write_bytes(b"{}")
    it.storage.image("r2", "2-1", layers=[b"new"])
    summary = it.run(grace=0)
    assert len(summary.errors) == 1 and summary.errors[0].startswith("r1: ")
    assert (summary.new, summary.deleted) == (2, 0)
    assert len([each for each in it.blobs() if each.startswith("r1/")]) == 2
    it.storage.data(broken.digest).write_bytes(broken.raw)
    summary = it.run(grace=0)
    assert (summary.errors, summary.deleted) == ([], 2)


def test_tag_moved_before_its_image_is_read(it: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    old = it.storage.image("hello", "1-1", "latest", layers=[b"old"])
    looked = discovery.Discovery._head

    def moving(self: discovery.Discovery, name: str, tag: str) -> str:
        found = looked(self, name, tag)
        if found == old.digest and tag == "latest":
            new = it.storage.image("hello", "latest", layers=[b"new"])
            assert new.digest != old.digest
            it.storage.untag("hello", "1-1")
            it.storage.forget("hello", old.digest)
        return found

    monkeypatch.setattr(discovery.Discovery, "_head", moving)
    summary = it.run()
    assert (summary.errors, summary.new) == ([], 2)
    assert b"new" in {path.read_bytes() for path in it.tree.rglob("sha256:*")}


def test_tag_without_manifest(it: Mirrored) -> None:
    several(it, 1)
    lost = it.storage.image("lost", "1-1", layers=[b"lost"])
    it.storage.forget("lost", lost.digest)
    it.storage.data(lost.digest).unlink()
    it.storage.images("sparse", "1-1", members=[("amd64", lost)])
    it.storage.blob("sparse", b"the catalog knows repositories by their layers")
    summary = it.run()
    assert summary.errors == ["sparse: a tag refers to a manifest that does not exist"]
    assert {each.partition("/")[0] for each in it.blobs()} == {"r0"}


def test_concurrent_runs_on_one_tree(it: Mirrored) -> None:
    several(it)
    it.site("rate = 1M\n")
    with it.start() as first:
        wait_for_part(it)
        said = it.call(status=8)
        assert f"is locked by process {first.pid} on " in said and " since 20" in said
        with pytest.raises(FedpkgContainerError, match=f"process {first.pid}"):
            it.run()
        assert it.run(dry_run=True).errors == []
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=PATIENCE)
    assert it.run().errors == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_a_run_with_a_summary(it: Mirrored, number: signal.Signals) -> None:
    several(it)
    it.site("rate = 1M\n")
    with it.start("--json") as process:
        wait_for_part(it)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert report["interrupted"] == number.name and report["blobs"]["present"] == 0
    assert "Traceback" not in err and "the next run will resume" in err
    assert (it.tree / "fullfiletimelist-tree").exists()
    left = sum(path.stat().st_size for path in it.tree.glob(".mirror/partial/*"))
    summary = it.run()
    assert summary.errors == [] and len(it.blobs()) == 12
    if left:
        assert summary.received < 6 << 20


def test_signal_stops_a_run_that_is_retrying(mortal: tuple[Mirrored, contextlib.ExitStack]) -> None:
    it, stack = mortal
    several(it)
    it.site("rate = 1M\n")
    path = it.directory / "registry.conf"
    path.write_text(path.read_text().replace("retry_timeout = 0", "retry_timeout = 600"))
    with it.start() as process:
        wait_for_part(it)
        stack.close()
        time.sleep(2)  # until it is refused, and waits
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in err and " present\n" in out


@pytest.mark.slow
def test_killed_at_any_time(it: Mirrored) -> None:
    several(it, 4)
    it.storage.image("r0", "1-2", layers=[LARGE])
    it.site("rate = 4M\n")
    for number in range(12):
        process = it.start("--archives" if number % 3 == 0 else "--no-archives")
        time.sleep(0.3 + number * 0.15)
        process.kill()
        process.communicate()
        for path in it.tree.glob("v2/**/sha256:*"):
            assert path.stat().st_size > 0
        if (it.tree / "v2").exists():
            for empty in [path for path in (it.tree / "v2").rglob("*") if path.is_dir() and not any(path.iterdir())]:
                empty.rmdir()  # a directory was made, and the process killed: the next run would remove it
            it.blobs()
    assert it.run().errors == []
    assert len(it.blobs()) == 10
    assert it.run().present == 10


def test_full_disk(it: Mirrored) -> None:
    several(it, 6)
    it.site()
    with small_disk(it.tree, "3M") as disk:
        said = it.call("--parallel", "2", status=1)
        assert "No space left on device" in said and "Traceback" not in said
        assert it.blobs()
        assert not list(it.tree.glob(".mirror/partial/*"))
        disk.resize("30M")
        it.call()
        assert len(it.blobs()) == 12


def test_full_disk_recovers_by_expired_files(it: Mirrored) -> None:
    for name in ("a", "b"):
        it.storage.image(name, "1-1", layers=[name.encode() + LARGE[: 1 << 20]])
    with small_disk(it.tree, "3M"):
        assert it.run().errors == []
        it.storage.untag("a", "1-1")
        it.storage.image("c", "1-1", layers=[b"c" + LARGE[: 1 << 20]])
        assert len(it.run(grace=0).errors) == 1
        summary = it.run(grace=0)
        assert summary.errors == []
        assert {each.partition("/")[0] for each in it.blobs()} == {"b", "c"}


@pytest.mark.parametrize("many", [30, pytest.param(100, marks=pytest.mark.slow)])
def test_many_repositories(it: Mirrored, many: int) -> None:
    for number in range(many):
        for build in range(3):
            it.storage.image(
                f"team{number % 7}/image{number}", f"{build}-1", layers=[b"base", f"{number % 10}".encode()]
            )
    summary = it.run(parallel=16)
    assert (summary.errors, summary.repositories, summary.tags) == ([], many, 3 * many)
    assert len(it.blobs()) == 3 * many
    inodes = {path.stat().st_ino for path in it.tree.rglob("sha256:*")}
    assert len(inodes) == len({each.rpartition("/")[2] for each in it.blobs()}) == summary.new
    again = it.run(parallel=16)
    assert (again.new, again.present, again.requests) == (0, 3 * many, 1 + many + 3 * many)


def test_state_of_another_registry_is_ignored(it: Mirrored, tmp_path: Path) -> None:
    several(it, 2)
    it.run()
    other = tmp_path / "other"
    other.mkdir()
    with docker_registry(other) as host:
        second = Mirrored(other, host, access(other))
        second.storage.image("r0", "5-1", layers=[b"another"])
        (other / "tree").symlink_to(it.tree)
        summary = second.run(grace=0)
    assert summary.errors == [] and summary.manifests == 1
    assert (summary.new, summary.deleted) == (2, 4)


def test_layer_missing_in_one_repository_is_fetched_from_another(it: Mirrored) -> None:
    first = it.storage.image("a", "1-1", layers=[b"shared"])
    it.storage.image("b", "1-1", layers=[b"shared"])
    shared = first.blobs[1].digest
    with it.http() as http:
        http.request("DELETE", f"/v2/a/blobs/{shared}", repository="a", expected=(202,))
        assert not Repository(http, "a").has_blob(shared)
    assert it.run().errors == []
    assert len(it.blobs()) == 4


def test_repositories_with_different_sizes_of_a_blob(it: Mirrored) -> None:
    right = it.storage.image("right", "1-1", layers=[b"content"]).blobs[1]
    it.storage.blob("wrong", b"content")
    it.storage.image("wrong", "1-1", extra=[{**right.fields, "size": 5}])
    summary = it.run()
    assert len(summary.errors) == 1 and summary.errors[0].startswith("wrong: ")
    assert it.blob("right", right.digest).read_bytes() == b"content"
    assert not it.blob("wrong", right.digest).exists()


@pytest.mark.parametrize("name", ["../../../tmp/x", "/etc", "a/../b", "UPPER", "a:b", ""])
def test_catalog_with_invalid_name(tmp_path: Path, name: str) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"repositories": ["fine", name]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    reached = access(tmp_path)
    with tls_server(Handler, Authority(tmp_path / "pki").issue("registry", server=True)) as host:
        it = Mirrored(tmp_path, host, reached)
        summary = it.run(grace=0)
    assert len(summary.errors) == 1 and "has an invalid repository name" in summary.errors[0]
    assert not (it.tree / "v2").exists()
