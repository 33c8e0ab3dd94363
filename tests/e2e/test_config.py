# SPDX-License-Identifier: GPL-2.0-or-later
"""``container-build-config`` against a hub."""

from __future__ import annotations

import json

from fedpkg_container.box.box import Box
from fedpkg_container.box.demo import site
from fedpkg_container.box.machines import MACHINE
from tests.support.packager import Packager

DONE, REFUSED = 0, 3


def _anonymous_calls(box: Box) -> list[str]:
    """Return the calls of anonymous clients in order."""
    lines = [line.split() for line in box.layout.access_log.read_text().splitlines()]
    return [words[2] for words in lines if words[1] == "-"]


def test_values_of_the_hub_are_shown(packager: Packager, box: Box) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    before = len(_anonymous_calls(box))
    done = packager.run("fedpkg", "container-build-config", "--json")
    assert _anonymous_calls(box)[before:] == ["getBuildTarget", "getBuildConfig"]
    shown = json.loads(done.stdout)
    values = {each["key"]: (each["value"], each["origin"]) for each in shown["settings"]}
    assert shown["notes"] == []
    assert values["target"][0] == "rawhide-container-candidate"
    assert values["destination-tag"] == (site.DEST_TAG, "hub")
    assert values["build-tag"] == (site.BUILD_TAG, "hub")
    assert values["arches"] == ([MACHINE], "hub")
    assert values["branch"] == ("rawhide", "git")
    assert values["package"] == (f"{packager.name}-container", "Dockerfile:2")
    assert packager.run("fedpkg", "container-build-config", "--get", "build-tag").stdout == f"{site.BUILD_TAG}\n"


def test_missing_target_is_noted(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"))
    packager.run("git", "push", "--quiet", "--set-upstream", "origin", "HEAD:f99")
    done = packager.run("fedpkg", "container-build-config")
    assert "note: build target f99-container-candidate does not exist; values from the hub omitted" in done.stderr
    assert "f99-container-candidate" in done.stdout


def test_build_uses_changed_values(packager: Packager) -> None:
    packager.commit(packager.dockerfile("RUN true"), files={"container.yaml": "# ours\nbuildtime_limit: soon\n"})
    done = packager.build("--dry-run")
    assert done.returncode == REFUSED
    assert "container.yaml:2: error: buildtime_limit is 'soon', text; it must be an integer" in done.stderr
    packager.run("fedpkg", "container-build-config", "--set", "buildtime_limit=60")
    assert (packager.checkout / "container.yaml").read_text() == "# ours\nbuildtime_limit: 60\n"
    packager.commit(packager.dockerfile("RUN true"))
    done = packager.build("--dry-run")
    assert done.returncode == DONE
    assert "container.yaml" not in done.stderr
