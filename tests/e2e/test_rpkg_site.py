# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a site's configuration rpkg's container-build goes by: the profile for containers, and gating."""

from __future__ import annotations

import configparser
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.shell import environment
from tests.support.packager import Packager

REFUSED = 3


@pytest.fixture
def packager(small_box: Box, tmp_path: Path) -> Iterator[Packager]:
    """A packager with a checkout that has a gating.yaml; its HOME is written again before and after."""
    made = Packager.make(small_box, tmp_path)
    made.commit(made.dockerfile("RUN true"), files={"gating.yaml": "--- !Policy\n"})
    yield made
    environment(small_box)


def _configure(packager: Packager, section: str, **settings: str) -> None:
    path = Path(packager.environment["HOME"]) / ".config" / "rpkg" / "fedpkg.conf"
    config = configparser.ConfigParser(interpolation=None)
    config.read(path)
    config[section] = settings
    with path.open("w") as file:
        config.write(file)


@contextmanager
def _greenwave(status: int) -> Iterator[tuple[str, list[bytes]]]:
    """A Greenwave that answers so; its address, and what it was sent."""
    sent: list[bytes] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"message": "the response of Greenwave"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
        server.shutdown()


def test_container_builds_have_a_profile_of_their_own(packager: Packager) -> None:
    profile = Path(packager.environment["HOME"]) / ".koji" / "config"
    profile.write_text(profile.read_text().replace("[koji]", "[koji-container]"))
    refused = packager.build("--scratch", "--nowait")
    assert refused.returncode == 2
    assert "cannot read Koji profile koji" in refused.stderr
    _configure(packager, "fedpkg.container-build", kojiprofile="koji-container", build_client="koji")
    assert packager.build("--scratch", "--nowait").returncode == 0


def test_the_way_to_cancel_uses_the_profile(packager: Packager) -> None:
    profile = Path(packager.environment["HOME"]) / ".koji" / "config"
    profile.write_text(profile.read_text().replace("[koji]", "[koji-container]"))
    _configure(packager, "fedpkg.container-build", kojiprofile="koji-container", build_client="koji")
    said = packager.build("--scratch", "--nowait").stdout
    command = re.search(r"cancel it: (fedpkg container-status --cancel (\d+))\n", said)
    assert command
    assert packager.run(*command[1].split()).stdout == f"✘ task {command[2]}  canceled\n"


@pytest.mark.parametrize("status", [400, 500])
def test_a_gating_yaml_that_greenwave_refuses(packager: Packager, status: int) -> None:
    with _greenwave(status) as (address, sent):
        _configure(packager, "fedpkg.greenwave", url=address)
        done = packager.build("--dry-run")
        assert done.returncode == REFUSED
        assert "[gating]" in done.stderr
        assert "the response of Greenwave" in done.stderr
        assert sent == [b"--- !Policy\n"]


def test_gating_yaml_is_passed_over_where_rpkg_does(packager: Packager) -> None:
    assert packager.build("--dry-run").returncode == 0  # the site has no Greenwave
    with _greenwave(400) as (address, sent):
        _configure(packager, "fedpkg.greenwave", url=address)
        assert packager.build("--dry-run", "--scratch").returncode == 0
        assert packager.build("--dry-run", "--skip-remote-rules-validation").returncode == 0
        assert sent == []


def test_a_greenwave_that_is_gone_is_a_finding(packager: Packager) -> None:
    _configure(packager, "fedpkg.greenwave", url="http://127.0.0.1:9")
    done = packager.build("--dry-run")
    assert done.returncode == REFUSED
    assert "[gating]" in done.stderr


def test_offline_asks_nobody(packager: Packager) -> None:
    with _greenwave(400) as (address, sent):
        _configure(packager, "fedpkg.greenwave", url=address)
        packager.build("--dry-run", "--offline")
        assert sent == []
