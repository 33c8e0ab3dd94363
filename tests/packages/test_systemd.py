# SPDX-License-Identifier: GPL-2.0-or-later
"""systemd units of the distribution: valid, hardened, and complete in the packages; maintenance of a registry."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import requests

from fedpkg_container.errors import NotMirroredError
from fedpkg_container.registry_cli import make_parser
from tests.support.waiting import PATIENCE, eventually
from tests.support.web_servers import free_port

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "packaging" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
TIMERS = sorted(UNITS.glob("*.timer"))
MAINTENANCE = UNITS / "registry-maintenance"
#: Maximum exposure in ``systemd-analyze security``, in tenths: 100 is unprotected. Ours is 12.
THRESHOLD = 20
#: Settings that are not the hardening.
PURPOSE = re.compile(
    "Type|User|Environment|Exec.*|ReadWritePaths|StateDirectory|UMask|TimeoutStartSec|SuccessExitStatus"
)

pytestmark = pytest.mark.programs
analyzed = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def _unit(path: Path) -> dict[str, list[tuple[str, str]]]:
    """The settings of a unit, by section."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            settings = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings.append((name, value))
    return sections


def _installed(directory: Path) -> list[Path]:
    """Copies of the units whose programs exist."""
    copies = []
    for path in (*SERVICES, *TIMERS):
        text = re.sub(r"(/usr/bin/fedpkg-container-registry|/usr/libexec/\S+)", "/bin/true", path.read_text())
        copies.append(directory / path.name.replace("@.", "@f42-container-updates."))
        (directory / path.name).write_text(text)
    return copies


def _analyze(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@analyzed
def test_units_are_valid(tmp_path: Path) -> None:
    done = _analyze("verify", "--man=no", "--recursive-errors=no", *_installed(tmp_path))
    ours = [line for line in done.stderr.splitlines() if "fedpkg-container" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


@analyzed
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_services_are_hardened(path: Path) -> None:
    done = _analyze("security", "--offline=yes", f"--threshold={THRESHOLD}", "--no-pager", path)
    if "unrecognized option" in done.stderr:  # before systemd 250
        pytest.skip(done.stderr.splitlines()[0])
    assert "Overall exposure level" in done.stdout
    assert done.returncode == 0, done.stdout


def test_services_have_the_same_hardening() -> None:
    hardening = {
        path.name: [each for each in _unit(path)["Service"] if not PURPOSE.fullmatch(each[0])] for path in SERVICES
    }
    expected = hardening["fedpkg-container-mirror.service"]
    assert len(expected) > 20
    assert {name: found for name, found in hardening.items() if found != expected} == {}


def test_services_run_as_users_of_their_own() -> None:
    users = {path.name: dict(_unit(path)["Service"])["User"] for path in SERVICES}
    assert users.pop("fedpkg-container-garbage-collect.service") == "docker-registry"
    assert set(users.values()) == {"fedpkg-container-registry"}
    assert "u     fedpkg-container-registry" in (UNITS / "fedpkg-container-registry.sysusers").read_text()


def test_each_service_has_a_timer_in_all_packages() -> None:
    started_by_another = {"fedpkg-container-stage@"}
    assert [path.stem for path in SERVICES if path.stem not in started_by_another] == [path.stem for path in TIMERS]
    spec = (ROOT / "packaging/rpm/fedpkg-container.spec").read_text()
    names = re.search(r"%global timers %\(echo fedpkg-container-\{(.*)\}\.timer\)", spec)
    assert names
    assert [f"fedpkg-container-{name}" for name in sorted(names[1].split(","))] == sorted(path.stem for path in TIMERS)


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_commands_have_valid_arguments(path: Path) -> None:
    for name, value in _unit(path)["Service"]:
        if name == "ExecStart" and value.startswith("/usr/bin/fedpkg-container-registry "):
            words = (
                value.replace("${MIRROR}", "/srv/m")
                .replace("${CATALOG}", "/srv/c")
                .replace("%i", "f42")
                .replace("$OPTIONS", "--tree none")
                .split()
            )
            assert make_parser().parse_args(words[1:]).command


def test_steps_of_a_publication() -> None:
    """Staging, then the export, then the publication; systemd starts them together and orders them."""
    steps = {f"fedpkg-container-{name}.service" for name in ("stage@%i", "mirror")}
    publication = dict(_unit(UNITS / "fedpkg-container-publish@.service")["Unit"])
    assert steps <= set(publication["Wants"].split())
    assert publication["Wants"] == publication["After"]
    assert "Requires" not in publication, "builds that can be published are, if another one cannot be staged"
    staging = dict(_unit(UNITS / "fedpkg-container-stage@.service")["Unit"])
    assert staging["Before"] == "fedpkg-container-mirror.service"
    timer = dict(_unit(UNITS / "fedpkg-container-publish@.timer")["Unit"])
    assert timer["Conflicts"] == "fedpkg-container-promote@%i.timer"


def test_waiting_for_mirrors_is_not_a_failure() -> None:
    service = dict(_unit(UNITS / "fedpkg-container-publish@.service")["Service"])
    assert service["SuccessExitStatus"] == str(NotMirroredError("", {}).exit_code)


def test_the_man_page_lists_all_units() -> None:
    page = (ROOT / "docs" / "man" / "fedpkg-container-registry.1").read_text().replace("\\", "")
    listed = set(re.findall(r"^\.B (fedpkg-container-[a-z-]+@?)", page, re.MULTILINE))
    assert listed - {"fedpkg-container-registry"} == {path.stem for path in SERVICES}


def test_garbage_collection_sets_no_variable_of_the_registry() -> None:
    """Its names start with REGISTRY_."""
    service = _unit(UNITS / "fedpkg-container-garbage-collect.service")["Service"]
    variables = [value for name, value in service if name == "Environment"]
    assert len(variables) == 3
    assert [value for value in variables if value.startswith("REGISTRY_")] == []


def _maintain(directory: Path, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the script with a directory instead of /run, and a systemctl that logs its arguments."""
    script = directory / "script"
    script.write_text(MAINTENANCE.read_text().replace("/run/systemd", f"{directory}/run"))
    (directory / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{directory}/calls\nexit {status}\n')
    (directory / "systemctl").chmod(0o755)
    path = f"{directory}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(script), *words], env={"PATH": path}, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_maintenance_starts_and_ends(tmp_path: Path) -> None:
    unit, drop_ins = "docker-registry.service", tmp_path / "run/system/docker-registry.service.d"
    assert _maintain(tmp_path, "start", unit).returncode == 0
    assert _variable(drop_ins) == ["REGISTRY_STORAGE_MAINTENANCE_READONLY", '{"enabled":true}']
    assert _maintain(tmp_path, "end", unit).returncode == 0
    assert not drop_ins.exists()
    calls = ["daemon-reload", f"try-restart {unit}"]
    assert (tmp_path / "calls").read_text().splitlines() == 2 * calls
    assert _maintain(tmp_path, "end", unit).returncode == 0, "it did not start"
    assert (tmp_path / "calls").read_text().splitlines() == 2 * calls


def test_maintenance_keeps_other_files(tmp_path: Path) -> None:
    other = tmp_path / "run/system/r.service.d/site.conf"
    other.parent.mkdir(parents=True)
    other.touch()
    assert [_maintain(tmp_path, action, "r.service").returncode for action in ("start", "end")] == [0, 0]
    assert list(other.parent.iterdir()) == [other]


def test_maintenance_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    """systemd does not start the garbage collection then."""
    assert _maintain(tmp_path, "start", "r.service", status=1).returncode != 0
    assert _maintain(tmp_path, "pause", "r.service").returncode == 2
    assert _maintain(tmp_path, "start").returncode != 0


def _variable(drop_ins: Path) -> Sequence[str]:
    """Name and value of the variable in the drop-in, without systemd's quotes."""
    parser = configparser.ConfigParser(interpolation=None)
    (path,) = drop_ins.iterdir()
    parser.read_string(path.read_text())
    value = parser["Service"]["Environment"]
    assert re.fullmatch("'[^']*'", value)
    return value.strip("'").split("=", 1)


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="needs docker-registry")
def test_registry_in_maintenance_is_read_only(tmp_path: Path) -> None:
    """docker-registry reads the variable, also if the setting is in its configuration."""
    _maintain(tmp_path, "start", "r.service")
    name, value = _variable(tmp_path / "run/system/r.service.d")
    port = free_port()
    (tmp_path / "config.yml").write_text(
        f"version: 0.1\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage:\n  filesystem: {{rootdirectory: {tmp_path}/data}}\n  maintenance: {{readonly: {{enabled: false}}}}\n"
    )
    command = ["docker-registry", "serve", str(tmp_path / "config.yml")]
    with (tmp_path / "log").open("wb") as log:
        registry = subprocess.Popen(command, env={**os.environ, name: value}, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/v2/"

        def answers() -> bool:
            try:
                return requests.get(url, timeout=10).ok
            except requests.ConnectionError:
                return False

        eventually(answers, (tmp_path / "log").read_text)
        assert requests.post(f"{url}hello/blobs/uploads/", timeout=10).status_code == 405
    finally:
        registry.terminate()
        registry.wait(PATIENCE)
