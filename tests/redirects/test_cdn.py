# SPDX-License-Identifier: GPL-2.0-or-later
"""A CDN as mirror: a cache that fetches missing blobs through the front end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedpkg_container.errors import ProgramError
from fedpkg_container.registry.redirects import Kind
from tests.support.access_log import AccessLog
from tests.support.clients import pull
from tests.support.front_ends import VIA, Distribution, Mirror, distribution, open_directory
from tests.support.layered import LayeredImage
from tests.support.web_servers import free_port, running_nginx

#: It follows no redirects, as CDNs do, and names itself in Via.
_CACHE = """\
proxy_cache_path "{directory}/cache" keys_zone=cdn:1m;
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass https://{origin};
        proxy_set_header Host {origin};
        proxy_set_header Via "1.1 {via}";
        proxy_cache cdn;
        proxy_cache_valid 200 1h;
    }}
}}
"""


@contextmanager
def _cdn(directory: Path, origin: str, port: int, via: str) -> Iterator[AccessLog]:
    servers = _CACHE.format(directory=directory, port=port, origin=origin, via=via)
    with running_nginx(directory, servers, port, more=" $upstream_cache_status") as log:
        yield log


@contextmanager
def _behind_cdn(kind: Kind, directory: Path) -> Iterator[Distribution]:
    mirror = Mirror(directory / "tree", free_port(), AccessLog(directory / "cdn" / "access.log"))
    with distribution(kind, directory, mirror=mirror) as made:
        yield made


def test_cdn_fetches_each_blob_once(kind: Kind, image: LayeredImage, tmp_path: Path) -> None:
    with open_directory() as directory, _behind_cdn(kind, directory) as made:
        image.push(f"{made.registry}/a:1", made.access)
        with _cdn(directory / "cdn", made.address, made.mirror.port, f"edge.{VIA}.example") as log:
            pull(made, "a:1", tmp_path / "first")
            assert {each.more for each in log.requests()} == {"MISS"}
            log.forget()
            said = made.registry_log.stat().st_size
            pull(made, "a:1", tmp_path / "second")
            assert [each.more for each in log.requests()] == ["HIT"] * len(image.blobs)
            assert "/blobs/" not in made.registry_log.read_text()[said:]


def test_unknown_cdn_is_redirected_in_a_loop(kind: Kind, image: LayeredImage, tmp_path: Path) -> None:
    """Show why the rule is necessary."""
    with open_directory() as directory, _behind_cdn(kind, directory) as made:
        image.push(f"{made.registry}/a:1", made.access)
        with _cdn(directory / "cdn", made.address, made.mirror.port, "edge.other.example"):
            with pytest.raises(ProgramError, match="stopped after 10 redirects"):
                pull(made, "a:1", tmp_path / "first")
