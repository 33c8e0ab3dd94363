# SPDX-License-Identifier: GPL-2.0-or-later
"""Repositories of ``--repo-url``: downloaded by the builder, and reachable by RUN in an isolated network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site as demo_site
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.hub.session import log_out
from tests.support.images import added
from tests.support.listening import closed_port, listener
from tests.support.outside import OUTSIDE, PORT, outside
from tests.support.packager import Packager, pull_specs
from tests.support.site import site_settings
from tests.support.web import serve

REPO = f"[outside]\nname=outside\nbaseurl=http://{OUTSIDE}:{PORT}/\ngpgcheck=0\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of an external .repo file."""
    directory = tmp_path_factory.mktemp("world")
    with outside(directory):
        (directory / "outside" / "x.repo").write_text(REPO)
        yield f"http://{OUTSIDE}:{PORT}/x.repo"


@pytest.mark.root
def test_external_repositories_are_reachable_and_not_in_layers(
    packager: Packager, box: Box, world: str, tmp_path: Path
) -> None:
    steps = (f"ADD http://{OUTSIDE}:{PORT}/index.html /outside", "RUN cp /etc/yum.repos.d/repo-url-1.repo /kept")
    packager.commit(packager.dockerfile(*steps))
    done = packager.build("--scratch", "--repo-url", world)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "network isolated" in done.stdout
    names = added(box, pull_specs(done.stdout)[1], tmp_path)
    assert {"kept", "outside"} <= set(names)
    assert not [name for name in names if "yum.repos.d/" in name]


@pytest.mark.root
def test_denied_repo_urls_are_not_fetched(packager: Packager, box: Box, world: str, tmp_path: Path) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    (tmp_path / "x.repo").write_text(REPO)
    with serve(tmp_path) as address:
        done = packager.build("--scratch", "--repo-url", f"{address}/x.repo")
    assert done.returncode == 1
    assert f"{address[7:]} resolves to an address that builders of this site may not connect to" in done.stderr
    with site_settings(box, {"engine": {"network": "none"}}):
        done = packager.build("--scratch", "--repo-url", world)
    assert done.returncode == 1
    assert "repositories of --repo-url need network access, which is disabled" in done.stderr
    with site_settings(box, {"engine": {"denied_networks": f"{OUTSIDE}/32"}}):
        done = packager.build("--scratch", "--repo-url", world)
    assert f"{OUTSIDE}:{PORT} resolves to an address that builders of this site may not connect to" in done.stderr


SECRET = "my-secret-password"


@pytest.mark.root
def test_password_in_a_url_is_rejected_and_redacted(packager: Packager, box: Box, world: str) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    url = world.replace("http://", f"http://me:{SECRET}@")
    admin = box.session(ADMIN)
    before = admin.listTasks(opts={"method": "buildContainer"}, queryOpts={"countOnly": True})
    for options in (["--scratch"], ["--scratch", "--dry-run"], ["--scratch", "--progress", "json"], ["--local"]):
        done = packager.build(*options, "--repo-url", url)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "contains a user name or password" in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr
    source = f"git+https://example.org/container/x#{'0' * 40}"
    with pytest.raises(koji.GenericError, match=r"yum_repourls\.0 contains a user name or password") as caught:
        admin.buildContainer(source, demo_site.TARGET, {"git_branch": "x", "yum_repourls": [url]})
    assert SECRET not in str(caught.value)
    assert admin.listTasks(opts={"method": "buildContainer"}, queryOpts={"countOnly": True}) == before


def test_open_and_closed_ports_give_the_same_message(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    closed, messages = closed_port(), []
    with listener() as inside:
        for address in (inside.address, closed):
            done = packager.build("--scratch", "--repo-url", f"http://{address}/x.repo")
            assert done.returncode == 1
            found = re.search(r"cannot read \S+ as a \.repo file: .*", done.stderr)
            assert found, done.stderr
            messages.append(found[0].replace(address, "ADDRESS"))
    assert messages[0] == messages[1]
    assert inside.accepted == []


@pytest.mark.root
@pytest.mark.slow
def test_packages_of_external_repositories_are_installable(packager: Packager, box: Box, world: str) -> None:
    """The merged repository of the build tag contains their own URLs."""
    admin = box.session(ADMIN)
    repo = admin.createExternalRepo(f"outside-of-{packager.name}", f"http://{OUTSIDE}:{PORT}/")
    admin.addExternalRepoToTag(demo_site.BUILD_TAG, repo["name"], 10)
    try:
        packager.commit(packager.dockerfile(f"ADD http://{OUTSIDE}:{PORT}/index.html /outside"))
        done = packager.build("--scratch")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "network isolated" in done.stdout
        packager.commit(packager.dockerfile("RUN true"))
        with site_settings(box, {"engine": {"network": "none"}}):
            done = packager.build("--scratch")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (
            f"packages of the external repositories {repo['name']} of {demo_site.BUILD_TAG} cannot be installed"
            in done.stdout
        )
    finally:
        admin.removeExternalRepoFromTag(demo_site.BUILD_TAG, repo["name"])
        log_out(admin)
