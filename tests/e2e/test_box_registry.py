# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may write to the box's registries: clients with a certificate of the box; every client may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import Layout
from fedpkg_container.box.pki import write_trust
from fedpkg_container.model.reference import ImageReference
from fedpkg_container.registry.skopeo import Access, Registry
from tests.support.pushing import image

TIMEOUT = 60


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The registries of a box, and nothing else of it."""
    made = Box(Layout.open(tmp_path_factory.mktemp("box") / "box").with_distribution())
    assert made.distribution
    servers = [made.registry, *made.distribution.services]
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_ready()
        yield made
    finally:
        for server in reversed(servers):
            server.stop()


@pytest.fixture(params=["candidate", "stable"])
def address(request: pytest.FixtureRequest, box: Box) -> str:
    assert box.layout.distribution
    return box.layout.registry_address if request.param == "candidate" else box.layout.distribution.address


def _status(box: Box, method: str, url: str, user: str = "") -> int:
    certificate = str(box.credentials(user)) if user else None
    authority = str(box.authority.certificate_path)
    return requests.request(
        method, url, verify=authority, cert=certificate, timeout=TIMEOUT, allow_redirects=False
    ).status_code


def test_writing_needs_a_certificate_of_the_box(box: Box, address: str, tmp_path: Path) -> None:
    url = f"https://{address}/v2/guarded"
    known = Registry(Access(write_trust(box.authority, tmp_path / "certs", "packager")))
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "ca.crt").write_bytes(box.authority.certificate_path.read_bytes())
    with known.repository(ImageReference(address, "guarded")) as there:
        made = image(there, "one", "latest")
    for method, path in (
        ("POST", "/blobs/uploads/"),
        ("PUT", "/manifests/latest"),
        ("PATCH", "/blobs/uploads/1"),
        ("DELETE", f"/manifests/{made.digest}"),
        ("DELETE", f"/blobs/{made.digest}"),
    ):
        assert _status(box, method, url + path) == 403, (method, path)
    assert _status(box, "GET", f"{url}/tags/list") == 200
    # Anonymous users may read, with our client and others.
    assert Registry(Access(stranger)).manifest(ImageReference(address, "guarded", tag="latest")).digest == made.digest
    assert _status(box, "DELETE", f"{url}/manifests/{made.digest}", "packager") == 202


def test_the_program_behind_cannot_be_reached_otherwise(box: Box) -> None:
    assert box.layout.distribution
    for port in (box.layout.ports.registry_storage, box.layout.distribution.ports.stable):
        with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
            _status(box, "GET", f"https://127.0.0.1:{port}/v2/")
