# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg-container-registry redirects``: its configuration section and output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedpkg_container.errors import ConfigurationError
from fedpkg_container.registry.config import read_site
from fedpkg_container.registry.redirects import render
from tests.support import preloaded
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

SITE = """
[candidate]
registry = candidate.example.org
[target stable]
registry = registry.example.org
koji_tags = f42-*
"""
SECTION = """
[redirects]
names = registry.example.org registry-2.example.org
no_cdn_names = registry-no-cdn.example.org
certificate = /etc/pki/tls/private/registry.pem
registry = https://registry-1.example.org:5000
registry_ca = /etc/pki/tls/certs/ca.pem
mirror = https://cdn.example.org/
via = cdn77
networks = 10.0.0.0/8 2001:db8::/32
tree = /srv/mirror
plain_listen = 80
"""


def _site(directory: Path, text: str) -> Path:
    path = directory / "registry.conf"
    path.write_text(text)
    return path


def _run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _program("--config", str(path), "redirects", *arguments)


def _program(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("fedpkg-container-registry"))
    return preloaded.run([program, *arguments], cwd=Path.cwd(), env=os.environ, timeout=PATIENCE)


@pytest.mark.parametrize("kind", ["nginx", "httpd"])
def test_configuration_is_printed(kind: str, tmp_path: Path) -> None:
    path = _site(tmp_path, SITE + SECTION)
    front = read_site(path).front_end
    assert front is not None
    assert front.server_names == ("registry.example.org", "registry-2.example.org", "registry-no-cdn.example.org")
    assert front.key == front.certificate
    done = _run(path, f"--{kind}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == render(kind, front)  # type: ignore[arg-type]


def test_files_of_other_sections_need_not_exist(tmp_path: Path) -> None:
    text = SITE.replace("koji_tags", "certificates = /no/such/directory\nauth_file = auth.json\nkoji_tags")
    done = _run(_site(tmp_path, text + SECTION), "--nginx")
    assert done.returncode == 2
    assert "auth_file = auth.json: not an absolute path" in done.stderr
    assert "/no/such/directory" not in done.stderr
    path = _site(tmp_path, text.replace("auth.json", "/no/such/auth.json") + SECTION)
    assert _run(path, "--nginx").returncode == 0
    with pytest.raises(ConfigurationError) as caught:
        read_site(path)
    assert caught.value.solution.count("no such file or directory") == 2


def test_site_without_front_end(tmp_path: Path) -> None:
    path = _site(tmp_path, SITE)
    assert read_site(path).front_end is None
    done = _run(path, "--nginx")
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not configure a front end" in done.stderr
    assert "docs/howto/redirects.md" in done.stderr


@pytest.mark.parametrize(
    ("redirects", "mirror", "tree"),
    [
        ("", "", None),
        ("", "directory = /srv/exported", Path("/srv/exported")),
        ("tree = /srv/seen", "directory = /srv/exported", Path("/srv/seen")),
        ("tree = none", "directory = /srv/exported", None),
    ],
)
def test_blobs_that_are_not_exported(redirects: str, mirror: str, tree: Path | None, tmp_path: Path) -> None:
    """By default only blobs in the directory that the mirror writes are redirected."""
    section = SECTION.replace("tree = /srv/mirror", redirects)
    front = read_site(_site(tmp_path, f"{SITE}[mirror]\n{mirror}\n{section}")).front_end
    assert front is not None
    assert front.tree == tree
    rules = {"nginx": f'if (!-f "{tree}$uri")', "httpd": f'RewriteCond "{tree}$0" -f'}
    for kind, rule in rules.items():
        text = render(kind, front)  # type: ignore[arg-type]
        assert (rule in text, "There is no rule for blobs" in text) == (tree is not None, tree is None)


def test_web_server_must_be_given(tmp_path: Path) -> None:
    path = _site(tmp_path, SITE + SECTION)
    for arguments in ((), ("--nginx", "--httpd")):
        assert _run(path, *arguments).returncode == 2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("mirror = https://cdn.example.org/", "", "[redirects] mirror is missing"),
        ("via = cdn77", "vai = cdn77", "[redirects] vai: unknown setting"),
        ("via = cdn77", "via = cdn77 a|b", "[redirects] via = a|b: must be a part of the Via header"),
        ("tree = /srv/mirror", "tree = srv", "[redirects] tree = srv: must be an absolute path"),
        ("10.0.0.0/8", "10.0.0.1/8", "[redirects] networks = 10.0.0.1/8: must be a network"),
    ],
)
def test_problems_are_reported(before: str, after: str, said: str, tmp_path: Path) -> None:
    assert before in SECTION
    with pytest.raises(ConfigurationError) as caught:
        read_site(_site(tmp_path, SITE + SECTION.replace(before, after)))
    assert said in caught.value.solution


def test_each_problem_is_reported_once_on_its_own_line(tmp_path: Path) -> None:
    text = """
[redirects]
names = registry.example.org
no_cdn_names = registry.example.org
registry = 10.0.0.1:5000
mirror = https://cdn.example.org/x?y
switch = relative/path
key = relative/key
via = a|b
"""
    with pytest.raises(ConfigurationError) as caught:
        read_site(_site(tmp_path, SITE + text))
    lines = caught.value.solution.splitlines()
    named = [line.partition("[redirects] ")[2].split()[0] for line in lines[:-1]]
    assert sorted(named) == sorted(
        ["certificate", "registry_ca", "no_cdn_names", "registry", "mirror", "switch", "key", "via"]
    )
    assert all(line.count("[redirects] ") == 1 for line in lines[:-1])


def test_https_registry_needs_an_authority(tmp_path: Path) -> None:
    text = SECTION.replace("registry_ca = /etc/pki/tls/certs/ca.pem", "").replace("registry-1.example.org", "192.0.2.1")
    with pytest.raises(ConfigurationError) as caught:
        read_site(_site(tmp_path, SITE + text))
    assert "[redirects] registry = https://192.0.2.1:5000: must have a host name" in caught.value.solution
    assert "[redirects] registry_ca is missing" in caught.value.solution


def test_config_option_before_or_after_the_command(tmp_path: Path) -> None:
    path = _site(tmp_path, SITE + SECTION)
    nowhere = ["--config", str(tmp_path / "nowhere")]
    for before, after in (([], ["--config", str(path)]), (nowhere, ["--config", str(path)])):
        done = _program(*before, "redirects", "--nginx", *after)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == _run(path, "--nginx").stdout
