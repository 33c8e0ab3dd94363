# SPDX-License-Identifier: GPL-2.0-or-later
"""``.repo`` files: hosts that are contacted, and repositories that are local."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fedpkg_container.errors import RefusedError
from fedpkg_container.image.resolve import repo_files
from fedpkg_container.image.resolve.repo_files import fetch_repo_file, parse_repo_file
from fedpkg_container.image.resolve.repositories import KojiTopdir
from fedpkg_container.registry.address_guard import AddressGuard
from tests.support.web import redirecting, serve, trickling

TOPURL = "https://kojipkgs.example.org"
FILE = """\
[mine]
name=mine
baseurl=https://kojipkgs.example.org/repos/tag/5/$basearch
metalink=https://elsewhere.example.org/
gpgcheck=1

[other]
baseurl=https://elsewhere.example.org/$basearch
"""


@pytest.fixture
def koji(tmp_path: Path) -> KojiTopdir:
    directory = tmp_path / "topdir" / "repos" / "tag" / "5" / "x86_64" / "repodata"
    directory.mkdir(parents=True)
    (directory / "repomd.xml").touch()
    return KojiTopdir(tmp_path / "topdir", TOPURL)


def test_koji_repositories_point_to_the_topdir(koji: KojiTopdir) -> None:
    local = koji.localize("repo-url-1", FILE, "x86_64")
    assert local.directories == {"repo-url-1-0": koji.path / "repos/tag/5/x86_64"}
    assert not local.complete
    sections = parse_repo_file(local.text)
    assert dict(sections["mine"]) == {
        "name": "mine",
        "baseurl": "file:///etc/yum.repos.d/repo-url-1-0",
        "gpgcheck": "1",
    }
    assert sections["other"]["baseurl"] == "https://elsewhere.example.org/$basearch"
    assert koji.localize("a", FILE.partition("\n\n")[0], "x86_64").complete


@pytest.mark.parametrize(
    "path", ["repos/tag/5/aarch64", "../../etc", "%2e%2e/%2e%2e/etc", "repos/tag/5/out", "repos/tag/5/x86_64\0"]
)
def test_other_repositories_keep_their_urls(koji: KojiTopdir, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside" / "repodata"
    outside.mkdir(parents=True)
    (outside / "repomd.xml").touch()
    (koji.path / "repos/tag/5/out").symlink_to(tmp_path / "outside")
    local = koji.localize("a", f"[x]\nbaseurl={TOPURL}/{path}\n", "x86_64")
    assert local.directories == {}


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "10.1.2.3"),
        *("100.100.100.200", "168.63.129.16", "::1", "::", "fe80::1%eth0", "fec0::1", "feff::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:7f00:1", "fd00:ec2::254", "fc00::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a01:203", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001::1"),
    ],
)
def test_denied_addresses_are_not_requested(address: str) -> None:
    assert not AddressGuard(["10.0.0.0/8"]).allows(address)


def test_own_addresses_are_denied_and_others_allowed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        attempt.connect(("192.0.2.1", 9))  # sends nothing, but selects the address that would be used
        own = attempt.getsockname()[0]
    assert not AddressGuard().allows(own)
    assert AddressGuard().allows("192.0.2.1")
    for address in ("::ffff:192.0.2.1", "64:ff9b::c000:201", "2600::1"):
        assert AddressGuard().allows(address)


def test_denied_host_gets_no_request(tmp_path: Path) -> None:
    (tmp_path / "x.repo").write_text(FILE)
    with serve(tmp_path) as address:
        assert fetch_repo_file(f"{address}/x.repo") == FILE
        with pytest.raises(RefusedError, match="resolves to an address that builders of this site may not connect to"):
            fetch_repo_file(f"{address}/x.repo", guard=AddressGuard())
        with pytest.raises(RefusedError, match="resolves to an address that builders of this site may not connect to"):
            fetch_repo_file(f"{address.replace('127.0.0.1', 'localhost')}/x.repo", guard=AddressGuard())


def test_invalid_repo_file_is_rejected_without_disclosing_it(tmp_path: Path) -> None:
    (tmp_path / "x.repo").write_text("secret\n")
    with serve(tmp_path) as address, pytest.raises(RefusedError, match="cannot read .* as a .repo file") as caught:
        fetch_repo_file(f"{address}/x.repo")
    assert "secret" not in str(caught.value)


def test_redirects_are_followed_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "index.html").write_text(FILE)
    with serve(tmp_path) as address:
        assert fetch_repo_file(f"{address}/directory") == FILE  # the server answers with a redirection to directory/
    with redirecting() as address, pytest.raises(RefusedError, match="more than 5 redirects"):
        fetch_repo_file(address)


@pytest.mark.parametrize("headers", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nX-Slow: "])
def test_slow_server_hits_the_timeout(headers: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repo_files, "FILE_TIMEOUT", 1.0)
    with (
        trickling(headers, b"x", 0.05) as address,
        pytest.raises(RefusedError, match="fetching it: exceeded the time limit of 1 s"),
    ):
        fetch_repo_file(address)
