# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster of a box: its ports are stored, its builders are configured for it, and it needs root."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.builder import write_configuration
from fedpkg_container.box.cluster import site
from fedpkg_container.box.demo import __main__ as demo
from fedpkg_container.box.layout import Layout
from fedpkg_container.box.machines import CLUSTER, MACHINE, Machine
from fedpkg_container.engines import rootless
from fedpkg_container.errors import UsageError
from fedpkg_container.image.config import read_builder_config


def test_a_box_keeps_its_cluster(tmp_path: Path) -> None:
    directory = tmp_path / "box"
    assert Layout.open(directory).cluster is None
    assert Box(Layout.open(directory)).cluster is None
    made = Layout.open(directory).with_cluster()
    assert made.cluster is not None
    assert made.cluster.ports.api not in made.ports.all.values()
    assert Layout.open(directory).cluster == made.cluster == made.with_cluster().cluster


def test_a_builder_with_the_name_of_the_cluster(tmp_path: Path) -> None:
    layout = Layout.open(tmp_path / "box", builders=(Machine(CLUSTER),))
    with pytest.raises(UsageError, match="a builder called cluster, which is the name of a server of the cluster"):
        layout.with_cluster()


def test_the_configuration_of_builders(tmp_path: Path) -> None:
    box = Box(Layout.open(tmp_path / "box").with_cluster())
    service = box.cluster
    assert service is not None
    assert service in box.services
    places = box.layout.cluster
    assert places is not None
    assert places.token.stat().st_mode & 0o777 == 0o600
    assert places.token.read_text() not in " ".join(map(str, service.command)), "no secret on a command line"
    token = places.token.read_text()
    assert Box(Layout.open(tmp_path / "box")).cluster is not None
    assert places.token.read_text() == token
    kubeconfig = json.loads(places.kubeconfig.read_text())
    assert kubeconfig["clusters"][0]["cluster"]["server"] == places.url
    path = write_configuration(box, "builder-1").with_name("builder_containerbuild.conf")
    config = read_builder_config(path)
    assert config.cluster is not None
    assert config.cluster.kubeconfig == places.kubeconfig
    assert config.cluster.arches == (MACHINE,), "other architectures are built on the builders"
    parser = configparser.ConfigParser()
    parser.read(path)
    assert parser["engine"]["state"], "the other settings are kept"


def test_an_ordinary_user_and_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    site.check_usable(0)
    with pytest.raises(UsageError, match="require root"):
        site.check_usable(1000)
    monkeypatch.setattr(site, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="require the Python package kubernetes"):
        site.check_usable(0)


@pytest.mark.parametrize("option", [[], ["--cluster"]])
def test_a_demonstration_in_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: list[str]) -> None:
    monkeypatch.setattr("sys.argv", ["demo", "--directory", str(tmp_path), *option])
    monkeypatch.setattr(site, "find_spec", lambda _: True)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(rootless, "enter", lambda: None)
    started: list[bool] = []
    monkeypatch.setattr(demo.Demo, "run", lambda self: started.append(self.box.layout.cluster is not None))
    monkeypatch.setattr(Box, "down", lambda _: None)
    demo.main()
    assert started == [bool(option)]
