# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/howto, run as they are written there, with the names of a box instead of a site's."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fedpkg_container.box.box import PLUGINS, Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN, DIRECTORY_VARIABLE, Layout
from fedpkg_container.box.machines import MACHINE, machines
from fedpkg_container.box.shell import environment
from fedpkg_container.process import run
from tests.support.base_images import COMPONENT, LABELS, oci_archive, oci_layout, rpm
from tests.support.box_hub import submitting_box
from tests.support.documented import commands
from tests.support.furnished import furnish, running
from tests.support.packager import Packager
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

#: Seconds for one command: a build on a busy machine.
TIMEOUT = 400


@dataclass
class Page:
    """A page of docs/howto whose commands are run in order.

    :param names: names in the page → names in the box
    """

    name: str
    directory: Path
    environment: Mapping[str, str]
    names: dict[str, str] = field(default_factory=dict)
    position: int = 0

    def run(self, start: str, *expected: str, status: int = 0) -> str:
        """Run the next command, which must start with ``start``; return its output.

        :param expected: regular expressions that the output must match, in this order
        """
        written = commands(self.name)
        assert self.position < len(written), f"{self.name} has no further command: {start}"
        command = written[self.position]
        self.position += 1
        assert command.startswith(start), f"the next command of {self.name} is: {command}"
        for old, new in self.names.items():
            command = command.replace(old, new)
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.directory, env=dict(self.environment), timeout=TIMEOUT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        shown = f"{command}: exit status {done.returncode}\n{done.stdout}"
        assert done.returncode == status, shown
        assert re.search(".*".join(expected), done.stdout, re.DOTALL), f"{expected} not in\n{shown}"
        return done.stdout

    def end(self) -> None:
        """Assert that all commands were run."""
        assert commands(self.name)[self.position :] == []


@pytest.fixture(scope="module")
def distributing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box with a distribution."""
    directory = tmp_path_factory.mktemp("box")
    with running(Box(Layout.open(directory / "box", builders=machines(1)).with_distribution())) as box:
        furnish(box, directory)
        session = box.session(ADMIN)
        for tag in (site.STABLE_TAG, f"{site.BRANCH}-container-testing"):
            session.createTag(tag)
        session.logout()
        yield box


@pytest.fixture
def packager(distributing: Box, tmp_path: Path) -> Iterator[Packager]:
    packager = Packager.make(distributing, tmp_path)
    yield packager
    packager.cancel_builds()


def _commit(packager: Packager, release: str) -> None:
    packager.commit(packager.dockerfile(f"RUN echo {release}", release=release))


def _build(packager: Packager, release: str) -> None:
    _commit(packager, release)
    done = packager.build()
    assert done.returncode == 0, done.stdout + done.stderr


def test_packager(packager: Packager) -> None:
    name = f"{packager.name}-container-1.0"
    page = Page("packager", packager.checkout, packager.environment, {"hello-1-": f"{name}-", "x86_64": MACHINE})
    _commit(packager, "1")
    page.run("fedpkg container-build --dry-run", f"would submit a build of {name}-1")
    page.run("fedpkg container-build --dry-run --offline")
    page.run("fedpkg container-build-config", "Dockerfile:")
    page.run("fedpkg-container lint", "in 1 container")
    page.run("fedpkg-container lint .", "in 1 container")
    page.run("fedpkg-container lint Dockerfile", "in 1 container")
    page.run("fedpkg-container lint --format sarif")
    page.run("fedpkg-container lint --explain copy-missing", "Wrong:", "Right:")
    (packager.checkout / "lint.sarif").unlink()
    page.run("fedpkg container-build --local", f"{packager.name}")
    page.run("fedpkg container-build --scratch", r"task \d+ completed in")
    shown = page.run("fedpkg container-build", f"{name}-1")
    page.names["4711"] = _task(shown)
    _build(packager, "2")
    page.run("fedpkg container-status", f"{name}-2")
    page.run("fedpkg container-status --failed", "no such builds")
    page.run("fedpkg container-status --mine", packager.name)
    page.run("fedpkg container-status --watch", "buildContainer|completed")
    page.run("fedpkg container-status 4711", "RUN echo 1")
    page.run("fedpkg container-status hello-1-2", f"{name}-2")
    page.run("fedpkg container-status hello-1-2 --diff", f"{name}-1")
    page.run("fedpkg container-status --cancel", "ended tasks cannot be canceled", status=3)
    page.run("fedpkg container-status --format", f"COMPLETE {name}-2")
    text = f"platforms:\n  only: [{MACHINE}]\ncompose:\n  packages: [httpd]\n"
    file = packager.checkout / "container.yaml"
    file.write_text(text)
    page.run("fedpkg container-build-config --get", MACHINE)
    page.names.clear()
    page.run("fedpkg container-build-config --set")
    assert "only: [x86_64, aarch64]" in file.read_text()
    page.run("fedpkg container-build-config --unset")
    assert "compose" not in file.read_text()
    page.end()


def _task(output: str) -> str:
    found = re.search(r"task (\d+)", output)
    assert found, output
    return found[1]


def test_promotion_and_candidates_and_mirror(packager: Packager, tmp_path: Path) -> None:
    box, testing = packager.box, f"{site.BRANCH}-container-testing"
    one, two, three = (f"{packager.name}-container-1.0-{release}" for release in (1, 2, 3))
    session = box.session(ADMIN)
    for release in ("1", "2"):
        _build(packager, release)
    for tag in (site.STABLE_TAG, testing):
        session.packageListAdd(tag, f"{packager.name}-container", owner=ADMIN)
        for nvr in (one, two):
            session.tagBuildBypass(tag, nvr)
    _add_target(box, packager.environment)
    names = {"hello-container-1.0-1": one, "world-container-2.3-4": two, "f42": site.BRANCH}
    page = Page("promotion", tmp_path, packager.environment, names)
    page.run("fedpkg-container-registry promote hello", one, two)
    page.run("fedpkg-container-registry promote --koji-tag", two)
    page.run("fedpkg-container-registry promote --koji-tag", "testing")
    page.run("fedpkg-container-registry promote --stage", f"{one}.*nothing to do")
    page.run("fedpkg-container-registry promote --publish", f"{one}.*nothing to do")
    page.run("fedpkg-container-registry list", f"latest.*{two}|{two}")
    page.run("fedpkg-container-registry unpromote", one)
    _build(packager, "3")
    session.tagBuildBypass(site.STABLE_TAG, three)
    page.names["hello-container-1.0-1"] = three
    page.run("fedpkg-container-registry promote --stage", f"{three}.*: staged")
    page.run("fedpkg-container-registry mirror", "new blob")
    page.run("fedpkg-container-registry promote --publish", f"{three}.*: done", "latest  set")
    page.end()

    assert box.layout.distribution
    mirror = box.layout.distribution.mirror_url
    names = {"/srv/pub": str(tmp_path / "srv"), "https://mirror.example.org/pub/containers": mirror,
             "https://cdn.example.org": mirror}  # fmt: skip
    page = Page("mirror", tmp_path, packager.environment, names)
    (tmp_path / "srv").mkdir()
    page.run("fedpkg-container-registry mirror", "new blobs")
    assert list((tmp_path / "srv" / "containers" / "v2").rglob("sha256:*"))
    page.run("fedpkg-container-registry mirror --probe", f"{mirror}: [0-9]+ verified")
    page.run("fedpkg-container-registry mirror --probe --probe-all", '"missing": {}')
    page.end()

    for package in ("fedora-container", COMPONENT):
        for tag in (site.STABLE_TAG, site.DEST_TAG):
            session.packageListAdd(tag, package, owner=ADMIN)
    session.logout()
    assert box.layout.distribution
    upstream = f"{box.layout.distribution.address}/upstream/fedora:42"
    _push(packager, oci_layout(tmp_path, [MACHINE], [rpm(tmp_path)], {"vendor": "elsewhere"}), upstream)
    (tmp_path / "own").mkdir()
    archive = oci_archive(tmp_path / "own", [MACHINE], [], {**LABELS, "release": "9"})
    names = {
        "registry.fedoraproject.org/fedora:42": upstream,
        "Fedora-Container-Base.oci.tar": str(archive),
        "f42-container-updates": site.DEST_TAG,  # the policy of the box: release engineers tag tested builds
        "f42": site.BRANCH,
    }
    page = Page("candidates", tmp_path, packager.environment, names)
    page.run("fedpkg-container-registry prune")
    page.run("fedpkg-container-registry prune --delete")
    page.run("fedpkg-container-registry import-base", "fedora-container-42-20261120 imported")
    page.run("fedpkg-container-registry import-base", f"{COMPONENT}-41-9 imported")
    page.end()


def _add_target(box: Box, variables: Mapping[str, str]) -> None:
    """Add the target testing, and the mirror, to the site's file."""
    assert box.layout.distribution
    path = Path(variables["HOME"]) / ".config" / "fedpkg-container" / "registry.conf"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    parser["target testing"] = {
        "registry": parser["target stable"]["registry"], "prefix": "testing", "koji_tags": "*-container-testing",
    }  # fmt: skip
    parser["mirror"]["probe"] = box.layout.distribution.mirror_url
    with path.open("w") as file:
        parser.write(file)


def test_redirects(packager: Packager, tmp_path: Path) -> None:
    places = packager.box.layout.distribution
    assert places is not None
    layout = oci_layout(tmp_path, [MACHINE], [], LABELS)
    _push(packager, layout, f"{places.address}/hello:1")
    digest = _first_layer(layout)
    exported = places.tree / "v2" / "hello" / "blobs" / digest
    exported.parent.mkdir(parents=True)
    exported.write_bytes(b"exported")
    variables = {**packager.environment, "CURL_CA_BUNDLE": str(packager.box.authority.certificate_path)}
    (tmp_path / "nginx").mkdir()
    (tmp_path / "httpd").mkdir()
    names = {
        "/etc/nginx/conf.d": str(tmp_path / "nginx"),
        "/etc/httpd/conf.d": str(tmp_path / "httpd"),
        "https://registry.example.org": f"https://{places.address}",
        "NAME/blobs/DIGEST": f"hello/blobs/{digest}",
        "/etc/fedpkg-container/redirects-off": str(places.switch),
    }
    page = Page("redirects", tmp_path, variables, names)
    page.run("fedpkg-container-registry redirects --nginx")
    page.run("fedpkg-container-registry redirects --httpd")
    assert "server {" in next((tmp_path / "nginx").iterdir()).read_text()
    assert "<VirtualHost" in next((tmp_path / "httpd").iterdir()).read_text()
    try:
        page.run("curl", " 302")
        page.run("touch")
        page.run("curl", " 200")
        page.run("rm")
        page.run("touch")
        assert places.switch.exists()
    finally:
        places.switch.unlink(missing_ok=True)
    page.end()


def _first_layer(layout: Path) -> str:
    """Digest of a layer of the only image in an OCI layout."""
    (member,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads((layout / "blobs" / member["digest"].replace(":", "/")).read_text())
    return str(manifest["layers"][0]["digest"])


def _push(packager: Packager, layout: Path, image: str) -> None:
    """Copy the image of this machine's architecture into a registry of the box."""
    command = ["skopeo", "copy", "--quiet", "--preserve-digests", f"oci:{layout}:{MACHINE}", f"docker://{image}"]
    run(command, env=packager.environment, timeout=PATIENCE)


@contextmanager
def _homes(directory: Path, variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Provide an empty HOME; remove a box in it at the end."""
    own = {**variables, "HOME": str(directory / "own"), "EDITOR": "true"}
    for name in ("XDG_STATE_HOME", DIRECTORY_VARIABLE):  # or the box would be another one, which is not removed
        own.pop(name, None)
    Path(own["HOME"]).mkdir()
    try:
        yield own
    finally:
        if (directory / "own" / ".local").exists():
            subprocess.run(["fedpkg-container-box", "down", "--remove"], env=own, timeout=TIMEOUT, check=False)


def test_policy(tmp_path: Path) -> None:
    with submitting_box(tmp_path / "box") as box:
        session = box.session(ADMIN)
        session.createUser("alice")
        page = Page("policy", tmp_path, environment(box, user=ADMIN))
        page.run("koji call newGroup")
        page.run("koji call addGroupMember")
        page.run("koji call getGroupMembers", "alice")
        page.run("koji call dropGroupMember")
        assert session.getGroupMembers("container-builders") == []
        session.logout()
    with _homes(tmp_path, page.environment) as own:
        subprocess.run(["fedpkg-container-box", "up"], env=own, timeout=TIMEOUT, check=True, capture_output=True)
        page.environment = own
        page.run("fedpkg-container-box down")
        page.run("$EDITOR")
        page.run("fedpkg-container-box up", "shell")
        page.end()


def test_completion(tmp_path: Path) -> None:
    place = tmp_path / ".local/share/bash-completion/completions"
    place.mkdir(parents=True)
    names = {"/opt/venv/bin/python": sys.executable}
    page = Page("completion", tmp_path, {**os.environ, "HOME": str(tmp_path)}, names)
    page.run("/opt/venv/bin/python")
    assert "complete" in (place / "fedpkg-container").read_text()
    page.end()


def test_site(tmp_path: Path) -> None:
    with submitting_box(tmp_path / "box") as box:
        home = tmp_path / "home"
        names = {
            "kojiadmin": ADMIN,
            "rawhide-container": "f42-container",  # the box has these tags, and this user
            " container-builder": " shared-account",
            "/usr/lib/python3.13/site-packages/fedpkg_container/koji_plugins": str(PLUGINS),
        }
        page = Page("site", tmp_path, environment(box, user=ADMIN), names)
        page.run("koji add-host builder1")
        page.run("koji add-host-to-channel builder1.example.org container-binary")
        page.run("koji add-host-to-channel builder1.example.org createrepo")
        page.run("koji add-user", "shared-account")
        page.run("koji grant-cg-access")
        page.run("koji add-tag --arches")
        page.run("koji add-tag")
        page.run("koji add-target")
        page.run("koji add-pkg", "hello-web-container|Adding 1 packages")
        page.run("koji list-hosts", "builder1.example.org")
        page.run("for f in /proc")
        page.environment = {**page.environment, "HOME": str(home)}
        page.run("mkdir -p ~/.koji/plugins")
        page.run("ln -s")
        page.environment = environment(box, user=ADMIN)
        page.run("koji edit-host")
        page.end()


def test_pages_without_commands() -> None:
    assert commands("distribution") == []
