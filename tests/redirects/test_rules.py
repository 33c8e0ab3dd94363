# SPDX-License-Identifier: GPL-2.0-or-later
"""Each redirect rule alone and in combination; the HTTP port."""

from __future__ import annotations

import http.client
import itertools

import pytest

from tests.support.front_ends import BUILDER, NO_CDN, VIA, Distribution
from tests.support.waiting import PATIENCE

PATH = "/v2/f42/hello-web/blobs/sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("via", "is_redirected"),
    [
        ("1.1 cdn77", False),
        ("1.1 CDN77 (TurboCache)", False),
        ("1.1 proxy.example.com, 2 0a1b.cloudfront.net (CloudFront)", False),
        ("1.1 squid.example.com", True),
        ("", True),
    ],
)
def test_cdn_is_not_redirected_to_itself(running: Distribution, via: str, is_redirected: bool) -> None:
    assert running.is_redirected(PATH, headers={"Via": via}) == is_redirected


def test_builders_are_not_redirected(running: Distribution) -> None:
    assert running.is_redirected(PATH, source="127.0.0.1")
    assert not running.is_redirected(PATH, source=BUILDER)
    assert not running.is_redirected(PATH, source=BUILDER, headers={"X-Forwarded-For": "127.0.0.1"})
    assert running.is_redirected(PATH, headers={"X-Forwarded-For": BUILDER})


@pytest.mark.parametrize(
    ("host", "is_redirected"),
    [
        ("127.0.0.1", True),
        (NO_CDN, False),
        (NO_CDN.upper(), False),
        (f"{NO_CDN}.", False),
        (f"{NO_CDN}:443", False),
        (f"{NO_CDN}.example.org", True),
        (f"not-{NO_CDN}", True),
    ],
)
def test_name_without_cdn(running: Distribution, host: str, is_redirected: bool) -> None:
    assert running.is_redirected(PATH, headers={"Host": host}) == is_redirected


def test_switch_is_effective_at_once(running: Distribution) -> None:
    for _ in range(5):
        assert running.is_redirected(PATH)
        with running.switched_off():
            assert not running.is_redirected(PATH)
    assert running.is_redirected(PATH)


def test_directory_does_not_count_as_switch(running: Distribution) -> None:
    running.switch.mkdir()
    try:
        assert running.is_redirected(PATH)
    finally:
        running.switch.rmdir()


def test_one_exclusion_is_sufficient(running: Distribution) -> None:
    """Every combination: Fedora once joined them by OR, so that all had to hold before a request was accepted."""
    for via, host, source, off in itertools.product((False, True), repeat=4):
        headers = {"Via": f"1.1 {VIA}" if via else "1.1 other", "Host": NO_CDN if host else "127.0.0.1"}
        if off:
            running.switch.touch()
        try:
            sent = running.is_redirected(PATH, headers=headers, source=BUILDER if source else "127.0.0.1")
        finally:
            running.switch.unlink(missing_ok=True)
        assert sent == (not (via or host or source or off)), (via, host, source, off)


def test_http_port_only_redirects_to_https(running: Distribution) -> None:
    for method, path in itertools.product(("GET", "HEAD", "POST", "PUT"), (PATH, "/v2/?a=b", "/v2/a/manifests/1")):
        connection = http.client.HTTPConnection("127.0.0.1", running.plain_port, timeout=PATIENCE)
        connection.request(method, path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{running.address}{path}")
        assert b"errors" not in answer.read()
        connection.close()


def test_clients_cannot_set_forwarded_headers(running: Distribution) -> None:
    lies = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
    }
    answer = running.ask("POST", "/v2/a/blobs/uploads/", headers=lies)
    assert answer.headers["location"].startswith(f"https://{running.address}/v2/a/blobs/uploads/")
