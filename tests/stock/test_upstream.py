# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's plugins (koji-containerbuild 1.4) and rpkg's own client, each with our other half.

They run as they are: ``make check-stock KOJI=… KCB=/path/to/koji-containerbuild``.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import koji
import pytest

from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import PACKAGER
from fedpkg_container.box.machines import MACHINE
from fedpkg_container.box.shell import environment
from tests.stock.box import StockBox
from tests.stock.source import PROJECT, PYTHON
from tests.support.leftovers import eventually, nothing_left
from tests.support.packager import Packager, pull_specs

#: Names upstream's source tree.
VARIABLE = "KOJI_CONTAINERBUILD_SOURCE"
#: koji's watch_tasks, as rpkg and upstream's client call it, looks every minute.
TIMEOUT = 200


@pytest.fixture(scope="module")
def plugins() -> Path:
    """The directory of upstream's plugins."""
    root = os.environ.get(VARIABLE)
    if not root:
        pytest.skip(f"{VARIABLE} names no source tree of koji-containerbuild")
    return Path(root) / "koji_containerbuild" / "plugins"


@pytest.fixture
def upstream_hub(box: StockBox, plugins: Path) -> Iterator[None]:
    """Upstream's hub plugin in the place of ours."""
    with box.with_hub_plugins(plugins):
        yield


@dataclass(frozen=True)
class UpstreamClient:
    """Upstream's koji plugin, in the tree's koji command."""

    box: StockBox
    configuration: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A koji command, whatever it answers."""
        return subprocess.run(
            [PYTHON, self.box.source.root / "cli" / "koji", "-c", self.configuration, *arguments],
            env={**environment(self.box), **self.box.source.environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def build(self, packager: Packager, *options: str) -> subprocess.CompletedProcess[str]:
        """``koji container-build`` of the checkout's commit."""
        commit = packager.run("git", "rev-parse", "HEAD").stdout.strip()
        address = f"git+http://127.0.0.1:{self.box.layout.ports.distgit_anonymous}/container/{packager.name}#{commit}"
        return self.run("container-build", "--git-branch", site.BRANCH, *options, site.TARGET, address)


@pytest.fixture
def client(box: StockBox, plugins: Path, tmp_path: Path) -> UpstreamClient:
    """Upstream's client with our hub plugin."""
    directory = tmp_path / "cli"
    directory.mkdir()
    (directory / "cli_containerbuild.py").symlink_to(plugins / "cli_containerbuild.py")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(Path(environment(box)["HOME"]) / ".koji" / "config")
    parser["koji"]["plugin_paths"] = str(directory)
    configuration = tmp_path / "koji.conf"
    with configuration.open("w") as file:
        parser.write(file)
    return UpstreamClient(box, configuration)


def _ended(box: StockBox, task_id: int) -> str:
    """Wait for a task; return the message of its fault, or an empty text."""
    session = box.session(PACKAGER)
    states = [koji.TASK_STATES[name] for name in ("CLOSED", "FAILED")]
    eventually(lambda: session.getTaskInfo(task_id)["state"] in states, lambda: session.getTaskInfo(task_id), 90)
    result = session.getTaskResult(task_id, raise_fault=False)
    return str(result.get("faultString", ""))


@pytest.mark.usefixtures("upstream_hub")
def test_our_builder_builds_what_upstreams_hub_plugin_submits(packager: Packager, box: StockBox) -> None:
    methods = {each["name"] for each in box.session(PACKAGER)._listapi()}
    assert "buildSourceContainer" in methods, "this is not upstream's hub plugin"
    packager.commit(packager.dockerfile("RUN true"))
    scratch = packager.build("--scratch")
    assert scratch.returncode == 0, scratch.stdout + scratch.stderr
    full = packager.build()
    assert full.returncode == 0, full.stdout + full.stderr
    assert f"built {packager.name}-container-1.0-1 " in full.stdout
    nothing_left(box)


@pytest.mark.usefixtures("upstream_hub")
def test_our_builder_refuses_what_upstreams_hub_plugin_lets_through(packager: Packager, box: StockBox) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    task_id = box.session(PACKAGER).buildContainer("git+https://x/container/y#z", site.TARGET, {"no_such": 1})
    said = _ended(box, task_id)
    assert "git_branch is required" in said
    assert "no_such" in said


def test_upstreams_client_builds_and_shows_the_result(
    client: UpstreamClient, packager: Packager, box: StockBox
) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = client.build(packager, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    build = box.session(PACKAGER).getBuild(f"{packager.name}-container-1.0-1")
    assert f"buildinfo?buildID={build['id']}" in done.stdout
    assert all(pull in done.stdout for pull in build["extra"]["image"]["index"]["pull"])
    assert "Task Result" in done.stdout


#: Options of upstream's client, and their effects; docs/internals/upstream.md has all of them.
ACCEPTED = [
    ["--scratch", "--arch-override", MACHINE, "--channel-override", "container-binary"],
    ["--isolated", "--release", "7.1", "--arch-override", MACHINE],
    ["--release", "42", "--background", "--userdata", '{"a": "b"}'],
]
REFUSED = [
    (["--scratch", "--isolated", "--release", "1"], "cannot be both isolated and scratch"),
    (["--isolated"], "an isolated build requires a release"),
    (["--arch-override", MACHINE], "only allowed for --scratch or --isolated"),
    (["--channel-override", "no-such"], "no-such"),
    (["--signing-intent", "release"], "option signing_intent"),
    (["--compose-id", "1"], "option compose_ids"),
    (["--replace-dependency", "pip:a:1"], "option dependency_replacements"),
    (["--isolated", "--release", "1.1", "--operator-csv-modifications-url", "https://x/y"],
     "option operator_csv_modifications_url"),
]  # fmt: skip


@pytest.mark.parametrize("options", ACCEPTED, ids=" ".join)
def test_options_of_upstreams_client(
    client: UpstreamClient, packager: Packager, box: StockBox, options: list[str]
) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = client.build(packager, "--nowait", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _ended(box, _task(done)) == ""


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=lambda each: each if isinstance(each, str) else "")
def test_options_of_upstreams_client_that_are_refused(
    client: UpstreamClient, packager: Packager, box: StockBox, options: list[str], said: str
) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = client.build(packager, "--nowait", *options)
    answer = done.stderr if done.returncode else _ended(box, _task(done))
    assert said in answer, done.stdout + done.stderr


def _task(done: subprocess.CompletedProcess[str]) -> int:
    found = re.search(r"^Created task: (\d+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return int(found[1])


def test_flatpaks_and_source_containers_are_refused(client: UpstreamClient, packager: Packager, box: StockBox) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    source = client.run("source-container-build", "--koji-build-nvr", "x-1-1", site.TARGET)
    assert "Invalid method: buildSourceContainer" in source.stderr
    flatpak = client.run("flatpak-build", "--git-branch", "x", "--nowait", site.TARGET, "git+https://x/container/y#z")
    answer = flatpak.stderr if flatpak.returncode else _ended(box, _task(flatpak))
    assert "flatpak" in answer or "is not in the list of allowed SCMs" in answer


def test_rpkgs_own_container_build(packager: Packager, box: StockBox) -> None:
    """rpkg's code, with the build URL that fedpkg makes of it: ``git+`` before the address."""
    packager.commit(packager.dockerfile("RUN true"))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rpkg_launcher", "--path", packager.checkout, "container-build"],
        env={**packager.environment, "PYTHONPATH": str(PROJECT)},
        cwd=packager.checkout,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert box.session(PACKAGER).getBuild(f"{packager.name}-container-1.0-1")["state"] == koji.BUILD_STATES["COMPLETE"]
    assert pull_specs(done.stdout) or "koji_builds" in done.stdout + done.stderr
