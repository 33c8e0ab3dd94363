# SPDX-License-Identifier: GPL-2.0-or-later
"""mirror --probe: mirrors that lack or falsify blobs, and those that do not respond, are found and reported."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedpkg_container.errors import FedpkgContainerError
from fedpkg_container.registry import response
from fedpkg_container.registry.mirror.tree import Tree
from fedpkg_container.registry.probing import http, run
from fedpkg_container.registry.probing.http import FAILED, MISSING, WRONG, MirrorHTTP, ProbedBlob, guard_for
from fedpkg_container.registry.probing.run import MirrorReport, ProbeOptions, ProbeReport, probe
from fedpkg_container.registry.redirects.settings import Address
from tests.support.mirror_server import CHUNKED, CUT, DRIPS, ENDLESS, INTERVAL, MirrorServer, mirror_server
from tests.support.mirror_server import WRONG as WRONG_BYTES
from tests.support.waiting import PATIENCE, eventually

Probe = Callable[..., ProbeReport]


def add(tree: Path, content: bytes, repository: str = "fedora/hello") -> str:
    """Add a blob to a tree; return its path."""
    path = tree / "v2" / repository / "blobs" / f"sha256:{hashlib.sha256(content).hexdigest()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path.relative_to(tree))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with four blobs; of ten and more bytes."""
    for number in range(4):
        add(tmp_path / "tree", b"blob number" + b"!" * number)
    return tmp_path / "tree"


@pytest.fixture
def server(tree: Path) -> Iterator[MirrorServer]:
    """A mirror that has everything."""
    with mirror_server(tree) as made:
        yield made


def probed(tree: Path, *urls: str, **options: object) -> ProbeReport:
    return probe(ProbeOptions(tree, tuple(map(Address.parse, urls)), **options))  # type: ignore[arg-type]


def problems(report: ProbeReport, kind: str) -> dict[str, str]:
    """Problems of a kind on the only mirror; there must be no others."""
    (mirror,) = report.mirrors
    others = {each: found for each, found in mirror.problems.items() if each != kind}
    assert not any(others.values()), others
    return mirror.problems[kind]


def test_complete_mirror(tree: Path, server: MirrorServer) -> None:
    report = probed(tree, server.url)
    assert report.mirrors == [MirrorReport(server.url, verified=4)]
    assert (report.blobs, report.sampled, report.received) == (4, 4, sum(11 + number for number in range(4)))
    assert all("authorization" not in headers for _, _, headers in server.seen)
    assert report.report()["mirrors"][0] == {
        "url": server.url, "verified": 4, "present": 0, "missing": {}, "wrong": {}, "failed": {}
    }  # fmt: skip


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_missing_blob(tree: Path, server: MirrorServer, status: int) -> None:
    path = add(tree, b"missing")
    server.faults[path] = status
    assert problems(probed(tree, server.url), MISSING) == {path: f"HTTP {status}"}
    assert problems(probed(tree, server.url, max_download=0), MISSING) == {path: f"HTTP {status}"}


def test_wrong_bytes(tree: Path, server: MirrorServer) -> None:
    path = add(tree, b"falsified")
    server.faults[path] = WRONG_BYTES
    assert "digest mismatch: expected sha256:" in problems(probed(tree, server.url), WRONG)[path]


def test_wrong_size(tree: Path, server: MirrorServer, tmp_path: Path) -> None:
    """Its content is not read."""
    path = add(tree, b"the content")
    with mirror_server(tmp_path / "other") as other:
        other.root = tmp_path / "other"
        (other.root / path).parent.mkdir(parents=True)
        (other.root / path).write_bytes(b"<html>" * 1000)
        for size in (0, 10**6):
            report = probed(tree, other.url, sample=0, max_download=size)
            assert report.mirrors[0].problems[WRONG] == {path: "it has 6000 bytes instead of 11"}
            assert report.received == 0


def test_large_blob_is_not_downloaded(tree: Path, server: MirrorServer) -> None:
    path = add(tree, b"x" * 1000)
    server.faults[f"GET /{path}"] = WRONG_BYTES
    report = probed(tree, server.url, max_download=999)
    assert (report.mirrors[0].verified, report.mirrors[0].present) == (4, 1)
    assert ("HEAD", f"/{path}") in [(method, seen) for method, seen, _ in server.seen]
    assert WRONG in {kind for kind, found in probed(tree, server.url).mirrors[0].problems.items() if found}


@pytest.mark.parametrize("status", [403, 405, 501])
def test_server_that_refuses_head(tree: Path, server: MirrorServer, status: int) -> None:
    server.faults["HEAD"] = status
    report = probed(tree, server.url, max_download=0)
    assert report.mirrors == [MirrorReport(server.url, present=4)]


def test_size_that_is_not_stated(tree: Path, server: MirrorServer) -> None:
    """A page of a captive portal must not count as the blob."""
    server.faults["/"] = CHUNKED
    assert probed(tree, server.url, max_download=0).mirrors == [MirrorReport(server.url, verified=4)]


def test_truncated_blob(tree: Path, server: MirrorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ATTEMPTS", 2)
    path = add(tree, b"truncated")
    server.faults[path] = CUT
    assert path in problems(probed(tree, server.url), FAILED)
    assert sum(seen == f"/{path}" for _, seen, _ in server.seen) == 2


def test_unavailable_mirror_is_skipped(tree: Path, server: MirrorServer) -> None:
    """The other mirror is probed completely."""
    for number in range(20):
        add(tree, b"more" * (number + 1))
    with mirror_server(tree) as broken:
        broken.faults["/"] = 503
        report = probed(tree, broken.url, server.url, sample=0, parallel=1)
    first, second = report.mirrors
    assert (len(first.problems[FAILED]), second.verified) == (24, 24)
    assert len({path for _, path, _ in broken.seen}) < 10
    assert any("mirror is unavailable" in reason for reason in first.problems[FAILED].values())


def test_refused_connection(tree: Path, server: MirrorServer) -> None:
    with mirror_server(tree) as gone:
        pass
    assert "Connection refused" in next(iter(problems(probed(tree, gone.url), FAILED).values()))


def test_time_limit(tree: Path, server: MirrorServer) -> None:
    server.faults["/"] = ENDLESS
    done = threading.Event()

    def run_probe() -> None:
        reports.append(probed(tree, server.url, timeout=0.2))
        done.set()

    reports: list[ProbeReport] = []
    threading.Thread(target=run_probe, daemon=True).start()
    assert done.wait(PATIENCE)
    found = problems(reports[0], FAILED)
    assert len(found) == 4
    assert "not checked within 0.2 s" in found.values()


def test_redirect_to_another_mirror(tree: Path, server: MirrorServer) -> None:
    """As MirrorManager does; the target is one of the given mirrors."""
    with mirror_server(tree) as manager:
        manager.faults["/"] = server.url
        report = probed(tree, manager.url, server.url)
    assert [mirror.verified for mirror in report.mirrors] == [4, 4]


def test_redirect_into_the_own_network(tree: Path, server: MirrorServer) -> None:
    with mirror_server(tree) as manager:
        manager.faults["/"] = server.url
        found = problems(probed(tree, manager.url), FAILED)
    assert len(found) == 4
    assert "redirected to an address of this machine" in next(iter(found.values()))
    assert server.seen == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [("ftp://mirror.example.org", "redirected to an unsupported URL"), ("loop", "too many redirects")],
)
def test_wrong_redirect(tree: Path, server: MirrorServer, url: str, reason: str) -> None:
    server.faults["/"] = server.url if url == "loop" else url
    assert reason in next(iter(problems(probed(tree, server.url), FAILED).values()))


def test_sample(tree: Path, server: MirrorServer, tmp_path: Path) -> None:
    """Half of a sample are the newest blobs."""
    for number in range(30):
        add(tree, b"new" * (number + 1))
    blobs = Tree(tree, tree).contents()["fedora/hello"]
    newest = sorted(blobs.values(), key=lambda entry: -entry.changed)[:5]
    chosen = run._sample(list(blobs.values()), 10, random.Random(1))
    digests = [blob.digest for blob in chosen]
    assert (len(set(digests)), {entry.digest for entry in newest} <= set(digests)) == (10, True)
    assert digests != [blob.digest for blob in run._sample(list(blobs.values()), 10, random.Random(2))]
    assert len(run._sample(list(blobs.values()), 0, random.Random(1))) == 34
    assert probed(tree, server.url, sample=3).sampled == 3


def test_newest_by_inode_time(tree: Path) -> None:
    """A blob that was linked just now, with the times of the mirror that it was copied from."""
    path = add(tree, b"linked just now")
    os.utime(tree / path, (0, 0))
    blobs = Tree(tree, tree).contents()["fedora/hello"]
    assert run._sample(list(blobs.values()), 1, random.Random(1))[0].path == path


def test_only_wanted_repositories(tree: Path, server: MirrorServer) -> None:
    add(tree, b"other", "other")
    report = probed(tree, server.url, wants=lambda name: name == "other")
    assert (report.blobs, report.mirrors[0].verified) == (1, 1)


def test_empty_tree(tmp_path: Path) -> None:
    with pytest.raises(FedpkgContainerError, match="has no blobs to probe"):
        probed(tmp_path, "https://mirror.example.org")


def test_length_that_is_not_a_number_of_bytes(tree: Path, server: MirrorServer) -> None:
    """Python does not convert so many digits."""
    server.raw["HEAD"] = (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"")
    report = probed(tree, server.url, max_download=0)
    assert report.mirrors == [MirrorReport(server.url, verified=4)]


def test_cookies_are_not_stored(tree: Path, server: MirrorServer) -> None:
    server.raw["GET"] = (b"HTTP/1.1 404 Not Found\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", b"")
    address = Address.parse(server.url)
    with MirrorHTTP(address, guard_for([address])) as mirror:
        for _ in range(2):
            assert mirror.probe(ProbedBlob("a", f"sha256:{'0' * 64}", 7), download=True).kind == MISSING
        assert list(mirror._session.cookies) == []
    assert [headers.get("cookie") for _, _, headers in server.seen] == [None, None]


def test_slow_headers(tree: Path, server: MirrorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout is that of all headers, not of each byte."""
    monkeypatch.setattr(http, "TIMEOUT", 10 * INTERVAL)
    server.raw["HEAD"] = (b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 7\r\n\r\n")
    address = Address.parse(server.url)
    with MirrorHTTP(address, guard_for([address])) as mirror:
        verdict = mirror.probe(ProbedBlob("a", f"sha256:{'0' * 64}", 7), download=False)
    assert (verdict.kind, "Read timed out" in verdict.reason) == (FAILED, True)
    eventually(lambda: bool(server.dripped), lambda: server.seen)
    assert server.dripped[0] < DRIPS


def test_slow_content_of_a_redirect(tree: Path, server: MirrorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not needed, and read only so that the connection can be used again."""
    monkeypatch.setattr(response, "DISCARD_TIMEOUT", 10 * INTERVAL)
    address = Address.parse(server.url)
    blob = ProbedBlob("a", f"sha256:{'0' * 64}", 7)
    location = f"{server.url}/other".encode()
    head = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 9999\r\n\r\n"
    server.raw[f"GET /{blob.path}"] = (head, b"end")
    with MirrorHTTP(address, guard_for([address])) as mirror:
        assert mirror.probe(blob, download=True).kind == MISSING
    eventually(lambda: bool(server.dripped), lambda: server.seen)
    assert server.dripped[0] < DRIPS
