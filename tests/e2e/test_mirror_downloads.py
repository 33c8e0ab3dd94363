# SPDX-License-Identifier: GPL-2.0-or-later
"""Downloads of blobs: resumed, verified, fetched once more, and reported."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from fedpkg_container.errors import RegistryError
from fedpkg_container.registry import retry
from fedpkg_container.registry.mirror.fetch import BlobDownloader, Throttle
from fedpkg_container.registry.mirror.manifest_cache import Blob
from tests.support.blob_server import BlobServer, blob_server
from tests.support.mirrored import Mirrored, mirrored
from tests.support.registries import PASSWORD

#: More than comes at a time.
LARGE = os.urandom(3 << 20)


@pytest.fixture
def server() -> Iterator[BlobServer]:
    with blob_server() as found:
        yield found


@pytest.fixture
def it(tmp_path: Path, server: BlobServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrored]:
    """A registry that sends to another server for blobs."""
    monkeypatch.setattr(retry, "INITIAL_BACKOFF", 0.01)
    with mirrored(tmp_path, password=PASSWORD, redirect=server.address) as found:
        server.root = found.storage.root
        yield found


def ranges(server: BlobServer) -> list[str]:
    return [headers.get("range", "") for _, headers in server.seen]


def push(it: Mirrored) -> str:
    """An image with one large layer; the digest of that."""
    return it.storage.image("hello", "1-1", layers=[LARGE]).blobs[1].digest


def test_redirect_target_gets_no_credentials(it: Mirrored, server: BlobServer) -> None:
    push(it)
    assert it.run().new == 2
    assert len(server.seen) == 2
    for _, headers in server.seen:
        assert "authorization" not in headers and "cookie" not in headers
        assert not any(PASSWORD in value or "cHVzaGVyO" in value for value in headers.values())


def test_broken_connection_is_resumed(it: Mirrored, server: BlobServer) -> None:
    digest = push(it)
    server.faults = ["cut", None, "cut"]  # the large one comes first, beside the small one
    summary = it.run(parallel=1)
    assert (summary.errors, summary.new) == ([], 2)
    assert it.blob("hello", digest).read_bytes() == LARGE
    assert ranges(server)[1].startswith("bytes=") and ranges(server)[1] != "bytes=0-"
    assert summary.received < len(LARGE) * 1.2  # not all of it came twice


@pytest.mark.parametrize(
    ("fault", "requests"), [(None, 1), ("whole", 1), ("416", 2), ("other", 2), ("503", 2), ("wrong", 2)]
)
def test_partial_download_of_an_earlier_run_is_resumed(
    it: Mirrored, server: BlobServer, fault: Optional[str], requests: int
) -> None:
    digest = push(it)
    part = it.tree / ".mirror/partial" / digest
    part.parent.mkdir(parents=True)
    part.write_bytes(LARGE[: 1 << 20])
    server.faults = [fault]
    summary = it.run(parallel=1)
    assert (summary.errors, summary.new) == ([], 2)
    assert it.blob("hello", digest).read_bytes() == LARGE
    assert ranges(server)[0] == "bytes=1048576-"
    assert len(server.seen) == requests + 1
    assert (summary.received < len(LARGE)) == (fault in (None, "503"))
    assert not list(part.parent.iterdir())


@pytest.mark.parametrize(
    ("left", "requests"), [(b"x" * (1 << 20), 2), (b"x" * len(LARGE), 1), (LARGE, 0), (LARGE + b"x", 1)]
)
def test_partial_download_of_an_earlier_run_is_verified(
    it: Mirrored, server: BlobServer, left: bytes, requests: int
) -> None:
    digest = push(it)
    part = it.tree / ".mirror/partial" / digest
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    summary = it.run(parallel=1)
    assert (summary.errors, summary.new) == ([], 2)
    assert it.blob("hello", digest).read_bytes() == LARGE
    assert len(server.seen) == requests + 1


def test_wrong_content_is_fetched_once_more_and_then_reported(it: Mirrored, server: BlobServer) -> None:
    digest = push(it)
    server.faults = ["wrong"]
    assert it.run(parallel=1).errors == []
    it.blob("hello", digest).unlink()
    server.seen.clear()
    server.faults = ["wrong", "wrong"]
    summary = it.run()
    assert len(server.seen) == 2
    assert len(summary.errors) == 1 and digest in summary.errors[0] and "hello" in summary.errors[0]
    assert len(it.blobs()) == 1
    assert not list((it.tree / ".mirror/partial").iterdir())


@pytest.mark.parametrize("change", ["byte", "shorter", "longer"])
def test_corrupt_blob_in_the_registry(it: Mirrored, change: str) -> None:
    digest = push(it)
    other = it.storage.image("other", "1-1", layers=[b"fine"]).blobs[1].digest
    data = it.storage.data(digest)
    if change == "byte":
        it.storage.change_byte(digest, at=1 << 20)
    else:
        data.write_bytes(LARGE[:-7] if change == "shorter" else LARGE + b"x")
    summary = it.run()
    assert len(summary.errors) == 1 and digest in summary.errors[0]
    assert not it.blob("hello", digest).exists()
    assert it.blob("other", other).exists() and len(it.blobs()) == 3
    data.write_bytes(LARGE)
    assert it.run().errors == []
    assert len(it.blobs()) == 4


def test_bandwidth_limit_for_all_downloads(it: Mirrored, server: BlobServer) -> None:
    for number in range(4):
        it.storage.image("hello", f"{number}-1", layers=[bytes([number]) + LARGE[: 1 << 20]])
    summary = it.run(rate=2 << 20)  # 4 MiB, of which one second's worth may come at once
    assert summary.errors == []
    assert summary.seconds >= (4 << 20) / (2 << 20) - 1.0


@pytest.mark.parametrize("offset", [0, 1 << 20])
def test_partial_download_is_kept_after_cancellation(it: Mirrored, offset: int) -> None:
    digest = push(it)
    partial = it.directory / "partial"
    partial.mkdir()
    part = partial / digest
    if offset:
        part.write_bytes(LARGE[:offset])
    with it.http() as http:
        downloads = BlobDownloader(
            http, partial, Throttle(0), threading.Event(), lambda _: http.cancel(), lambda _: None
        )
        with pytest.raises(RegistryError, match="request canceled"):
            downloads.fetch(Blob(digest, len(LARGE)), ["hello"])
    assert len(part.read_bytes()) > offset
    assert LARGE.startswith(part.read_bytes())
