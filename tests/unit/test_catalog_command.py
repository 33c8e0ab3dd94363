# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg-container-registry catalog``: its arguments, settings and output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.commands.registry import catalog
from fedpkg_container.registry_cli import make_parser, run
from tests.support.cataloged import Cataloged, cataloged, labels_of

TEXT = (Path(__file__).parents[2] / "docs" / "howto" / "catalog.md").read_text()
FRONT = """
[redirects]
names = registry.example.org
certificate = /etc/pki/tls/private/registry.pem
registry = https://registry-1.example.org:5000
registry_ca = /etc/pki/tls/certs/ca.pem
mirror = https://cdn.example.org/
catalog = /srv/catalog
"""


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Cataloged]:
    with cataloged(tmp_path) as found:
        found.push("hello", "1.0-1", "latest", labels=labels_of("hello-container", "1.0"))
        yield found


def _call(it: Cataloged, *arguments: str, settings: str = "", profile: str = "no-such-profile") -> int:
    """Run the command with a site's configuration; return its exit status."""
    path = it.directory / "registry.conf"
    path.write_text(
        f"[koji]\nprofile = {profile}\n[candidate]\nregistry = {it.host}\n[promotion]\nrecord = {it.journal}\n"
        f"[target stable]\nregistry = {it.host}\nkoji_tags = *\ncertificates = {it.access.certificates}\n"
        f"retry_timeout = 0\n{settings}"
    )
    return run(make_parser().parse_args(["--config", str(path), "catalog", *arguments]))


def test_text_output(it: Cataloged, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call(it, str(it.site)) == 0
    assert capsys.readouterr().out == f"{it.site}: 1 repository (1 queried), 1 image (1 fetched), 8 files written\n"
    assert "feed.xml" in it.files()
    assert f"podman pull {it.host}/hello:latest" in it.repository_page("hello").text


def test_json_report(it: Cataloged, capsys: pytest.CaptureFixture[str]) -> None:
    assert it.memory
    it.memory.faults["/v2/hello/tags"] = [403]
    assert _call(it, "--json", str(it.site)) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["repositories"], report["fetched"], len(report["errors"])) == (1, 0, 0, 1)
    assert [name for name in report if f"`{name}`" not in TEXT] == []


def test_settings(it: Cataloged, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"weburl": "https://koji.example.org/koji", "server": "https://koji.example.org/kojihub"}
    monkeypatch.setattr("fedpkg_container.hub.session.profile_options", lambda _: options)
    settings = f"{FRONT}[catalog]\ndirectory = {it.site}\nurl = https://registry.example.org/catalog/\n"
    assert _call(it, settings=settings, profile="koji") == 0
    (page,) = [it.page(path) for path in it.files() if "sha256" in path]
    assert "podman pull registry.example.org/hello@sha256:" in page.text
    assert f"{options['weburl']}/search?match=exact&type=build&terms=hello-container-1.0-1" in page.links()
    assert 'href="https://registry.example.org/catalog/feed.xml"' in (it.site / "feed.xml").read_text()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "no output directory is given"),
        ("[catalog]\ntarget = unstable\n", "[catalog] target = unstable: there is no [target unstable]"),
        ("[catalog]\nurl = javascript:alert(1)\n", "[catalog] url = javascript:alert(1): must be a URL"),
        ("[catalog]\ndirectory = relative\n", "[catalog] directory = relative: not an absolute path"),
    ],
)
def test_wrong_settings(settings: str, said: str, it: Cataloged, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call(it, settings=settings) == 2
    assert said in capsys.readouterr().err


def test_every_option_is_documented() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    catalog.add_arguments(parser)
    options = [option for action in parser._actions for option in action.option_strings]
    assert options and [each for each in options if f"`{each}" not in TEXT] == []
