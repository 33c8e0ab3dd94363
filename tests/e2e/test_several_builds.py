# SPDX-License-Identifier: GPL-2.0-or-later
"""Several builds with one command: two targets, and a chain of two packages."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.layout import ADMIN
from tests.support.packager import Packager

OTHER_TARGET = "another-target"


def _build(packager: Packager, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    outcome = packager.checkout.parent / "outcome.json"
    done = packager.build("--metadata-file", str(outcome), "--progress", "plain", *arguments)
    return done, json.loads(outcome.read_text())


@pytest.mark.slow
def test_two_targets(packager: Packager, box: Box) -> None:
    box.session(ADMIN).createBuildTarget(OTHER_TARGET, site.BUILD_TAG, site.DEST_TAG)
    packager.commit(packager.dockerfile("RUN true"))
    done, outcomes = _build(packager, "--scratch", "--target", site.TARGET, "--target", OTHER_TARGET)
    assert done.returncode == 0, done.stderr
    assert [(each["target"], each["state"]) for each in outcomes] == [
        (site.TARGET, "CLOSED"),
        (OTHER_TARGET, "CLOSED"),
    ]
    assert done.stdout.count("Created task: ") == 2


def test_nothing_is_submitted_if_a_target_does_not_exist(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    done, outcomes = _build(packager, "--scratch", "--target", site.TARGET, "--target", "nosuch")
    assert done.returncode == 3
    assert "build target nosuch does not exist" in done.stderr
    assert [each["task_id"] for each in outcomes] == [None, None]


def test_a_chain(packager: Packager, box: Box, tmp_path_factory: Any) -> None:
    below, above = packager, Packager.make(box, tmp_path_factory.mktemp("above"))
    below.commit(below.dockerfile("RUN false"))
    above.commit(above.dockerfile("RUN true", base=f"{box.layout.registry_address}/{below.name}:latest"))
    failed, outcomes = _build(above, "--chain", below.name)
    assert failed.returncode == 1
    assert f"not built: {above.name}-container-1.0-1\n" in failed.stderr
    assert [each["state"] for each in outcomes] == ["FAILED", None]

    below.commit(below.dockerfile("RUN true"))
    done, outcomes = _build(above, "--chain", below.name)
    assert done.returncode == 0, done.stderr
    parent, child = outcomes
    assert child["options"]["koji_parent_build"] == parent["nvr"] == f"{below.name}-container-1.0-1"
    image = box.session(ADMIN).getBuild(child["nvr"])["extra"]["image"]
    assert image["parent_build_id"] == parent["build_id"]
