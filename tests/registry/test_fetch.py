# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching images into a directory: content matches the digests and limits, or nothing is kept."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedpkg_container.errors import BuildFailedError, NoSuchImageError, RegistryError, WrongContentError
from fedpkg_container.model.limits import Deadline
from fedpkg_container.process import run
from fedpkg_container.registry.fetch import FetchLimits, fetch_image
from fedpkg_container.registry.manifests import MANIFEST, OCI_MANIFEST, Manifest
from fedpkg_container.registry.repository import Repository
from tests.support.memory_registry import DRIP, HANG, HANGS, RESET, SHORT, Fault, MemoryRegistry
from tests.support.pushing import image, index, tagged
from tests.support.registry_clients import Serve

pytestmark = pytest.mark.programs

LIMITS = FetchLimits(10**6)


def fetch(
    source: Repository,
    digest: str,
    directory: Path,
    *,
    limits: FetchLimits = LIMITS,
    seconds: float = 60,
    cache: Path | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Manifest:
    deadline = Deadline("the test", seconds)
    return fetch_image(source, digest, directory, limits=limits, deadline=deadline, cache=cache, tick=tick)


def changed(server: MemoryRegistry, source: Repository, **facts: Any) -> str:
    """Another image with other facts in its manifest, as only a registry can have it; its digest."""
    content = {**json.loads(server["hello"].manifests["latest"]), **facts}
    return tagged(source, Manifest.of(content)).digest


@pytest.mark.parametrize("kind", [MANIFEST, OCI_MANIFEST])
def test_image_is_stored_unchanged(serve: Serve, tmp_path: Path, kind: str) -> None:
    server, source = serve()
    pushed = image(source, "two", kind=kind, layers=[b"x" * 300_000, b"x" * 300_000])
    manifest = fetch(source, pushed.digest, tmp_path / "image")
    assert manifest.raw == (tmp_path / "image/manifest.json").read_bytes() == server["hello"].manifests[pushed.digest]
    for blob in manifest.blobs:
        assert (tmp_path / "image" / blob.digest[7:]).read_bytes() == server["hello"].blobs[blob.digest]
    listed = {each.name for each in (tmp_path / "image").iterdir()}
    assert listed == {"version", "manifest.json", *(each.digest[7:] for each in manifest.blobs)}
    read = run(["skopeo", "inspect", "--raw", f"dir:{tmp_path}/image"], timeout=60).stdout
    assert read == manifest.raw


def test_interrupted_transfer_is_resumed(serve: Serve, tmp_path: Path) -> None:
    server, source = serve()
    pushed = image(source, "two", layers=[b"0123456789" * 1000])
    layer = pushed.blobs[-1].digest
    server.faults[f"GET .*{layer}"] = [500, Fault(kind=RESET), Fault(200, body=b"0123456789", kind=SHORT)]
    fetch(source, pushed.digest, tmp_path / "image")
    assert (tmp_path / "image" / layer[7:]).read_bytes() == b"0123456789" * 1000


def test_blobs_of_a_cache_are_not_requested(serve: Serve, tmp_path: Path) -> None:
    server, source = serve()
    pushed = image(source, "two", layers=[b"x" * 300_000, b"y" * 300_000])
    *known, missing = [blob.digest for blob in pushed.blobs]
    stored = tmp_path / "cache/blobs/sha256"
    stored.mkdir(parents=True)
    for digest in known:
        (stored / digest[7:]).write_bytes(server["hello"].blobs[digest])
    server.seen.clear()
    fetch(source, pushed.digest, tmp_path / "image", cache=tmp_path / "cache")
    assert server.asked("GET .*/blobs/") == server.asked(f"GET .*{missing}") == 1
    for digest in (*known, missing):
        assert (tmp_path / "image" / digest[7:]).read_bytes() == server["hello"].blobs[digest]


def _wrong_content(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def _too_short(path: Path) -> None:
    path.write_bytes(b"x")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [_wrong_content, _too_short, _fifo, _directory])
def test_a_blob_of_a_cache_that_cannot_be_used(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    server, source = serve()
    pushed = image(source, "two")
    digest = pushed.blobs[-1].digest
    path = tmp_path / "cache/blobs/sha256" / digest[7:]
    path.parent.mkdir(parents=True)
    path.write_bytes(server["hello"].blobs[digest])
    spoil(path)
    fetch(source, pushed.digest, tmp_path / "image", cache=tmp_path / "cache")
    assert (tmp_path / "image" / digest[7:]).read_bytes() == server["hello"].blobs[digest]
    assert f"the cached blob {path} cannot be used" in caplog.text


@pytest.mark.parametrize("fault", [Fault(200, body=b"something else"), Fault(200, body=b"")])
def test_wrong_content_is_removed(serve: Serve, tmp_path: Path, fault: Fault) -> None:
    server, source = serve()
    pushed = image(source, "two")
    server.faults[f"GET .*{pushed.blobs[-1].digest}"] = [fault] * 20
    with pytest.raises(WrongContentError):
        fetch(source, pushed.digest, tmp_path / "image")
    assert list(tmp_path.glob("image*")) == []


def test_manifest_with_wrong_digest_is_refused(serve: Serve, tmp_path: Path) -> None:
    server, source = serve()
    pushed = image(source, "two")
    server["hello"].manifests[pushed.digest] = server["hello"].manifests["latest"]
    with pytest.raises(RegistryError, match="digest mismatch"):
        fetch(source, pushed.digest, tmp_path / "image")
    assert not (tmp_path / "image").exists()


def test_missing_content_is_reported(serve: Serve, tmp_path: Path) -> None:
    server, source = serve()
    pushed = image(source, "two")
    del server["hello"].blobs[pushed.blobs[-1].digest]
    with pytest.raises(NoSuchImageError):
        fetch(source, f"sha256:{'0' * 64}", tmp_path / "image")
    with pytest.raises(NoSuchImageError, match=pushed.blobs[-1].digest):  # which may end the use of the source
        fetch(source, pushed.digest, tmp_path / "image")
    assert not (tmp_path / "image").exists()


def test_too_large_image_is_refused_before_any_blob(serve: Serve, tmp_path: Path) -> None:
    server, source = serve()
    pushed = image(source, "two", layers=[b"x" * 1000])
    server.seen.clear()
    with pytest.raises(RegistryError, match="the limit is 900 bytes"):
        fetch(source, pushed.digest, tmp_path / "image", limits=FetchLimits(900))
    with pytest.raises(RegistryError, match="has 2 layers; the limit is 1"):
        fetch(source, pushed.digest, tmp_path / "image", limits=FetchLimits(10**6, layers=1))
    assert server.asked("/blobs/") == 0


def test_understated_sizes_are_detected(serve: Serve, tmp_path: Path) -> None:
    server, source = serve()
    first = json.loads(server["hello"].manifests["latest"])
    small = {**first["layers"][0], "size": 1}
    digest = changed(server, source, layers=[small])
    with pytest.raises(WrongContentError, match="its manifest states 1"):
        fetch(source, digest, tmp_path / "image")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"urls": ["http://127.0.0.1:1/layer"]}, "stored outside of its registry"),
        ({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}, "stored outside of its registry"),
        ({"digest": f"sha512:{'0' * 128}"}, "unsupported blob"),
        ({"mediaType": MANIFEST}, "unsupported blob"),
        ({"digest": "../../etc/passwd"}, "invalid or unsupported digest"),
        ({"size": 7}, "states two sizes"),
    ],
)
def test_unsupported_layers_are_refused(serve: Serve, tmp_path: Path, facts: dict[str, Any], message: str) -> None:
    server, source = serve()
    layer = json.loads(server["hello"].manifests["latest"])["layers"][0]
    digest = changed(server, source, layers=[layer, {**layer, **facts}])
    server.seen.clear()
    with pytest.raises(RegistryError, match=message):
        fetch(source, digest, tmp_path / "image")
    assert server.asked("/blobs/") == 0
    assert not (tmp_path / "image").exists()


def test_index_is_not_an_image(serve: Serve, tmp_path: Path) -> None:
    _, source = serve()
    with pytest.raises(RegistryError, match="is an image index"):
        fetch(source, index(source, image(source, "two")).digest, tmp_path / "image")


class CanceledError(Exception):
    """What a tick raises when the task was canceled."""


@pytest.mark.parametrize("kind", [HANG, DRIP])
@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_exception_in_tick_stops_the_transfer(serve: Serve, tmp_path: Path, what: str, kind: str) -> None:
    server, source = serve()
    pushed = image(source, "two", layers=[b"x" * 5000])
    name = pushed.digest if what == "manifests" else pushed.blobs[-1].digest
    server.faults[f"GET .*{name}"] = [Fault(200, {"Content-Length": "5000"}, kind=kind)] * 20
    server.seen.clear()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if server.asked(f"GET .*{name}"):
            raise CanceledError

    with pytest.raises(CanceledError):
        fetch(source, pushed.digest, tmp_path / "image", tick=tick)
    assert ticks > 1
    assert not (tmp_path / "image").exists()
    assert source.http.is_canceled


@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_deadline_stops_the_transfer(serve: Serve, tmp_path: Path, what: str) -> None:
    server, source = serve()
    pushed = image(source, "two")
    server.faults[f"GET .*{what}/"] = [Fault(200, kind=HANG)] * 50
    others = set(threading.enumerate())  # of earlier tests
    with pytest.raises(BuildFailedError, match="the test: exceeded the time limit of 1 s"):
        fetch(source, pushed.digest, tmp_path / "image", seconds=1)
    assert not (tmp_path / "image").exists()
    eventually(lambda: not [each for each in set(threading.enumerate()) - others if "ThreadPool" in each.name])


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10 * HANGS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
