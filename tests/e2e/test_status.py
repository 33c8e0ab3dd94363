# SPDX-License-Identifier: GPL-2.0-or-later
"""container-status in a box: checkout, tasks, builds, and changes between builds."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from tests.support.packager import Packager, pull_specs
from tests.support.status_client import SCHEMA
from tests.support.steps import submit
from tests.support.waiting import PATIENCE, slowed


def _status(packager: Packager, *arguments: str) -> subprocess.CompletedProcess[str]:
    return packager.run("fedpkg", "container-status", *arguments, check=False)


def _requests(box: Box) -> int:
    """Return the number of requests without login."""
    return sum(line.split()[1] == "-" for line in box.layout.access_log.read_text().splitlines())


@dataclass(frozen=True)
class Built:
    """A package with one build.

    :param output: of container-build
    """

    packager: Packager
    output: str


@pytest.fixture(scope="module")
def built(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Built:
    packager = Packager.make(box, tmp_path_factory.mktemp("built"))
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build()
    assert done.returncode == 0, done.stderr
    return Built(packager, done.stdout)


def test_checkout_without_builds(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = _status(packager)
    assert done.returncode == 0
    assert done.stdout == f"{packager.name}-container  HEAD has not been built, nor any earlier commit\nno builds yet\n"


def test_checkout_with_builds(built: Built) -> None:
    packager = built.packager
    by_tag, _ = pull_specs(built.output)
    nvr = f"{packager.name}-container-1.0-1"
    done = _status(packager)
    assert f"{packager.name}-container  HEAD has been built: {nvr}\n" in done.stdout
    assert "\nrawhide\n" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith(f"  ✔ {nvr}  "))
    assert re.search(r"complete +just now +by packager +in rawhide-container-candidate$", line)
    assert f"      {by_tag}\n" in done.stdout
    for step in ("RUN true # 2", "RUN true # 3"):
        packager.commit(packager.dockerfile(step))
    assert f"HEAD is 2 commits ahead of {nvr}\n" in _status(packager).stdout
    output = json.loads(_status(packager, "--json").stdout)
    jsonschema.validate(output, SCHEMA)
    assert output["head"]["ahead"] == 2
    assert [build["nvr"] for build in output["builds"]] == [nvr]


def test_checkout_needs_three_requests(box: Box, built: Built) -> None:
    counted = []
    for _ in range(3):  # requests of completion in the background may come between
        before = _requests(box)
        assert _status(built.packager).returncode == 0
        counted.append(_requests(box) - before)
    assert 1 <= min(counted) <= 3


def test_running_builds(packager: Packager) -> None:
    packager.commit(packager.dockerfile(f"RUN sleep {slowed(20):.0f}"))
    process = packager.start("--scratch", "--cancel-on-interrupt")
    assert process.stdout is not None
    while "RUN sleep" not in process.stdout.readline():
        assert process.poll() is None
    done = _status(packager)
    assert re.search(
        r"  ● scratch build of rawhide \(\w+\) +running on builder-\d \(open\) +\d+ s +by packager", done.stdout
    )
    assert re.search(r"    ● x86_64 +running on builder-\d \(open\) +\d+ s +task \d+\n", done.stdout)
    mine = _status(packager, "--mine")
    assert f"  ● scratch build of container/{packager.name}, rawhide  running on builder-" in mine.stdout
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 6


def test_failed_build_is_shown_to_its_owner(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN false"))
    assert packager.build().returncode == 1
    nvr = f"{packager.name}-container-1.0-1"
    assert re.search(
        rf"  ✘ {nvr} +(failed|canceled) +just now +by packager +task \d+\n +building the image .*RUN false",
        _status(packager).stdout,
    )
    shown = _status(packager, nvr).stdout
    assert re.match(rf"✘ {nvr}  (failed|canceled)  just now\n  reason    building the image", shown)
    assert "\n  owner     packager\n" in shown
    fields = json.loads(_status(packager, nvr, "--json").stdout)
    jsonschema.validate(fields, SCHEMA)
    assert fields["instruction"] == "RUN false"


def test_task_that_waits(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    session = box.session(ADMIN)
    for name in box.layout.builders:
        session.disableHost(name)
    try:
        task_id = submit(packager, "--scratch", "--skip-check", "no-builder")
        shown = _status(packager, str(task_id)).stdout
        fields = json.loads(_status(packager, str(task_id), "--json").stdout)
        session.cancelTask(task_id)
    finally:
        for name in box.layout.builders:
            session.enableHost(name)
    assert shown.startswith(f"○ scratch build of container/{packager.name}  waiting for a builder (free)")
    reason = f"channel container-binary is disabled: {', '.join(box.layout.builders)}\n"
    assert re.search(rf"\n +waits because every builder .*in {reason}", shown), shown
    assert re.search(r"\n +builder-1 .* disabled ", shown), shown
    jsonschema.validate(fields, SCHEMA)
    assert [waiting["task_id"] for waiting in fields["waiting"]] == [task_id]


def test_lists_of_builds(packager: Packager, tmp_path: Path) -> None:
    """Without a checkout: a failed scratch build among those of the package, and among the user's own."""
    packager.commit(packager.dockerfile("RUN false"))
    assert packager.build("--scratch").returncode == 1
    for words in ((f"container/{packager.name}", "--since", "1h"), ("--mine", "--limit", "1")):
        done = packager.run("fedpkg", "container-status", *words, "--failed", "--branch", "rawhide", cwd=tmp_path)
        assert re.search(r"  ✘ scratch build of .+ failed +just now +by packager +task \d+\n +building", done.stdout)
        assert "not searched" not in done.stdout
    assert _status(packager, packager.name, "--failed", "--branch", "f40").stdout.endswith("\nno such builds\n")


def test_build_and_its_changes(built: Built) -> None:
    packager = built.packager
    by_tag, by_digest = pull_specs(built.output)
    first, second = (f"{packager.name}-container-1.0-{release}" for release in (1, 2))
    shown = _status(packager, first).stdout
    assert f"  pull      {by_tag}\n            {by_digest}\n" in shown
    assert "  branch    rawhide\n" in shown
    assert re.search(r"\n  parent    demo-base-container-\S+\n", shown)
    packager.commit(packager.dockerfile("RUN dnf --version || true", summary="another", extra="x"))
    assert packager.build().returncode == 0
    changed = _status(packager, second, "--diff", first)
    assert changed.stdout.startswith(f"from {first} to {second}\n")
    assert "  label summary: a test → another\n" in changed.stdout
    assert "  label extra: (not set) → x\n" in changed.stdout
    assert "  size of x86_64: " in changed.stdout
    rpms = _status(packager, first, "--rpms").stdout.split()
    assert len(rpms) > 2
    assert rpms == sorted(rpms)
    changes = json.loads(_status(packager, second, "--diff", first, "--json").stdout)
    jsonschema.validate(changes, SCHEMA)
    assert changes["labels"]["extra"] == ["", "x"]
    both = json.loads(_status(packager, first, second, "--json").stdout)
    jsonschema.validate(both, SCHEMA)
    assert [fields["nvr"] for fields in both] == [first, second]


def test_task_and_its_logs(built: Built) -> None:
    packager = built.packager
    found = re.search(r"Created task: (\d+)", built.output)
    assert found
    shown = _status(packager, found[1]).stdout
    assert shown.startswith(f"✔ build of container/{packager.name}  completed on builder-")
    assert f"  built {packager.name}-container-1.0-1 (build " in shown
    logs = _status(packager, f"{packager.name}-container-1.0-1", "--logs", "x86_64")
    assert "STEP 1/" in logs.stdout
    watched = _status(packager, found[1], "--watch")
    assert watched.returncode == 0
    assert pull_specs(watched.stdout) == pull_specs(built.output)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("no-such-1-1",), 3, "the hub has no build or package no-such-1-1"),
        (("--tail", "3"), 2, "--tail: only allowed with --logs"),
        (("--tail", "many", "--logs"), 2, "'many' is not a number of lines"),
        (("--rpms",), 2, "exactly one build is required"),
        (("--mine", "4"), 2, "--mine: not allowed with a task or a build"),
        (("--watch", "--json"), 2, "--watch: not allowed with"),
    ],
)
def test_wrong_input(packager: Packager, arguments: tuple[str, ...], status: int, message: str) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done = _status(packager, *arguments)
    assert done.returncode == status
    assert message in done.stderr


def test_control_characters_of_the_checkout_are_replaced(packager: Packager) -> None:
    evil = "evil\x9b2J\u202e"
    packager.commit(packager.dockerfile("RUN true", **{"com.redhat.component": evil}))
    name = "a\x1b[2J\u202e.txt"
    (packager.checkout / name).write_text("x")
    packager.run("git", "add", "--all")
    packager.run("git", "switch", "--quiet", "--create", "f\u202e41")
    for command in (
        ("container-status",),
        ("container-build", "--dry-run"),
        ("container-build", "--dry-run", "--skip-check", "uncommitted", "--target", "x\u202ey"),
        ("container-build", "--local"),
        ("container-build-config",),
        ("container-build-config", "--check"),
    ):
        done = packager.run("fedpkg", *command, check=False)
        shown = done.stdout + done.stderr
        assert shown, command
        assert not {letter for letter in shown if letter in "\x1b\x9b\u202e"}, (command, shown)
