# SPDX-License-Identifier: GPL-2.0-or-later
"""A box with a stable registry, a front end and a mirror: started, described, used from its shell, and got later."""

from __future__ import annotations

import configparser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpkg_container.box import registry
from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import DistributionPlaces, Layout
from fedpkg_container.box.machines import machines
from fedpkg_container.box.shell import environment
from fedpkg_container.errors import UsageError
from fedpkg_container.process import run
from tests.support.access_log import AccessLog
from tests.support.layered import LayeredImage
from tests.support.waiting import PATIENCE


def _box(directory: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedpkg_container.box.cli", "-d", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a box that ran without a distribution, and has got one meanwhile."""
    directory = tmp_path_factory.mktemp("box") / "box"
    try:
        without = _box(directory, "up")
        assert without.returncode == 0, without.stderr
        assert "stable" not in without.stdout
        hub = Box(Layout.open(directory)).hub.pid
        done = _box(directory, "up", "--distribution")
        assert done.returncode == 0, done.stderr
        assert "as localhost:" in done.stdout
        assert Box(Layout.open(directory)).hub.pid == hub
        yield directory
    finally:
        _box(directory, "down")


def _places(directory: Path) -> DistributionPlaces:
    places = Layout.open(directory).distribution
    assert places is not None
    return places


def test_layers_come_from_the_mirror_and_the_rest_from_the_stable_registry(directory: Path, tmp_path: Path) -> None:
    places, home = _places(directory), environment(Box(Layout.open(directory)))
    image = LayeredImage.make(tmp_path / "image")
    stable = f"docker://{places.address}/hello:1"
    front, mirror = AccessLog(places.front_end_log), AccessLog(places.mirror_log)
    run(
        ["skopeo", "copy", "--quiet", "--preserve-digests", f"dir:{image.directory}", stable],
        env=home,
        timeout=PATIENCE,
    )
    run(["skopeo", "copy", "--quiet", stable, f"dir:{tmp_path}/before"], env=home, timeout=PATIENCE)
    assert mirror.requests() == []  # nothing is exported yet
    image.export(places.tree, "hello")
    run(["skopeo", "copy", "--quiet", stable, f"dir:{tmp_path}/after"], env=home, timeout=PATIENCE)
    sent = {each.path.rpartition("/")[2]: each.sent for each in mirror.requests()}
    assert sent == {digest: len(image.content(digest)) for digest in image.blobs}
    redirected = [each for each in front.requests() if each.status == 302]
    assert {each.location.partition("/v2/")[0] for each in redirected} == {places.mirror_url}
    mirror.forget()
    plain = f"docker://{places.no_cdn_address}/hello:1"
    run(["skopeo", "copy", "--quiet", plain, f"dir:{tmp_path}/plain"], env=home, timeout=PATIENCE)
    places.switch.touch()
    try:
        run(["skopeo", "copy", "--quiet", stable, f"dir:{tmp_path}/off"], env=home, timeout=PATIENCE)
    finally:
        places.switch.unlink()
    assert mirror.requests() == []


def test_the_shell_has_the_sites_file(directory: Path) -> None:
    printed = _box(directory, "shell", "--", "fedpkg-container-registry", "redirects", "--nginx")
    assert printed.returncode == 0, printed.stderr
    guarded = registry.guard(printed.stdout, Box(Layout.open(directory)).authority)
    assert guarded.strip() == (_places(directory).front_end / "servers.conf").read_text().strip()


def test_status_and_down_know_it(directory: Path) -> None:
    status = _box(directory, "status")
    assert status.returncode == 0, status.stdout
    for name in ("stable", "mirror", "front-end"):
        assert f"{name:<12}running (process " in status.stdout
    services = {service.name: service for service in Box(Layout.open(directory)).services}
    workers = run(["pgrep", "-P", str(services["front-end"].pid)], timeout=PATIENCE).text.split()
    assert workers
    assert _box(directory, "down").returncode == 0
    for pid in workers:
        assert not Path(f"/proc/{pid}").exists()
    status = _box(directory, "status")
    assert status.returncode == 1
    assert f"{'front-end':<12}not running" in status.stdout
    again = _box(directory, "up")  # it is kept, and the option is not needed again
    assert again.returncode == 0, again.stderr
    assert f"stable    {_places(directory).address}" in again.stdout
    assert _box(directory, "status").returncode == 0


def test_ports_are_kept_and_are_none_of_the_others(tmp_path: Path) -> None:
    without = Layout.open(tmp_path / "box")
    assert without.distribution is None
    layout = without.with_distribution()
    assert layout.with_distribution() is layout
    assert Layout.open(tmp_path / "box") == layout
    assert layout.distribution is not None
    ports = [*layout.ports.all.values(), *layout.distribution.ports.all.values()]
    assert len(set(ports)) == len(ports) == 9
    parser = configparser.ConfigParser()
    parser.read(tmp_path / "box" / "box.ini")
    assert parser["box"]["format"] == "1"  # a box without a distribution is as before


def test_a_box_of_an_earlier_version_gets_the_ports_that_it_lacks(tmp_path: Path) -> None:
    made = Layout.open(tmp_path / "box").with_distribution()
    settings = tmp_path / "box" / "box.ini"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("registry_storage")))
    opened = Layout.open(tmp_path / "box")
    assert Layout.open(tmp_path / "box") == opened
    assert {**opened.ports.all, "registry_storage": 0} == {**made.ports.all, "registry_storage": 0}
    assert opened.distribution == made.distribution


def test_a_builder_that_is_called_as_a_server(tmp_path: Path) -> None:
    layout = Layout.open(tmp_path / "box", builders=machines(1))
    settings = tmp_path / "box" / "box.ini"
    settings.write_text(settings.read_text().replace("builder-1", "mirror"))
    with pytest.raises(UsageError, match="a builder called mirror"):
        Layout.open(layout.directory).with_distribution()


def test_a_directory_that_cannot_be_written_into_a_configuration(tmp_path: Path) -> None:
    done = _box(tmp_path / "a $box", "up", "--distribution")
    assert done.returncode == 2
    assert "must be an absolute path of letters" in done.stderr
    assert "--directory" in done.stderr
