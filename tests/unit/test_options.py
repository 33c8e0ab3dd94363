# SPDX-License-Identifier: GPL-2.0-or-later
"""Validation of buildContainer options on the hub, before a task is created."""

from __future__ import annotations

from typing import Any

import koji
import koji.plugin
import pytest

from fedpkg_container.box.box import PLUGINS
from fedpkg_container.model.options import (
    UNAVAILABLE,
    isolated_release_problem,
    option_problems,
    repo_url_problem,
    unavailable_options,
    without_none,
)

RPKG_SENDS = {
    "scratch": False,
    "release": None,
    "isolated": False,
    "koji_parent_build": None,
    "yum_repourls": None,
    "git_branch": "rawhide",
    "signing_intent": None,
    "compose_ids": None,
    "skip_build": False,
    "dependency_replacements": None,
}


def test_what_rpkg_sends_is_accepted() -> None:
    assert option_problems(RPKG_SENDS) == []


@pytest.mark.parametrize("release", ["8.1", "8.1.fix", "10.20.1.2"])
def test_releases_of_isolated_builds(release: str) -> None:
    assert option_problems({"git_branch": "x", "isolated": True, "release": release}) == []


def test_none_is_treated_as_absent() -> None:
    assert without_none({"a": None, "b": False}) == {"b": False}
    assert option_problems({"git_branch": None}) == ["git_branch is required"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (None, "git_branch is required"),
        ("scratch", "options must be a dictionary, not str"),
        ({"git_branch": "x", "colour": "red"}, "unknown option ('colour' was unexpected)"),
        ({"git_branch": "x", "scratch": "yes"}, "scratch: 'yes' is not of type 'boolean', 'null'"),
        ({"git_branch": "x", "compose_ids": ["1"]}, "compose_ids.0: '1' is not of type 'integer'"),
        (
            {"git_branch": "x", "scratch": True, "isolated": True, "release": "1"},
            "a build cannot be both scratch and isolated",
        ),
        ({"git_branch": "x", "isolated": True}, "an isolated build requires a release"),
        (
            {"git_branch": "x", "yum_repourls": ["https://h/x.repo", "https://me:secret@h/x.repo"]},
            "yum_repourls.1 " + repo_url_problem("https://me@h/"),
        ),
        ({"git_branch": "x", "yum_repourls": ["https://[h/x.repo"]}, "yum_repourls.0 is not a URL"),
        *(
            (
                {"git_branch": "x", "isolated": True, "release": release},
                f"the release of an isolated build {isolated_release_problem(release)}",
            )
            for release in ("8", "8.", "8.x", "8.1fix", "8.1.", "x.1", "\u0663.\u0661", "8.1\n")
        ),
        (
            {"git_branch": "x", "arch_override": "x86_64"},
            "architectures can only be limited for scratch and isolated builds",
        ),
        (
            {"git_branch": "x", "compose_ids": [1], "signing_intent": "r"},
            "signing_intent and compose_ids are mutually exclusive",
        ),
        ({"git_branch": "x", "skip_build": True}, "skip_build is no longer supported: builds cannot be skipped"),
    ],
)
def test_problems_are_reported(options: Any, problem: str) -> None:
    assert problem in option_problems(options)


def test_all_problems_are_reported_at_once() -> None:
    assert len(option_problems({"scratch": 1, "colour": "red"})) == 3


@pytest.mark.parametrize("option", sorted(UNAVAILABLE))
def test_unavailable_options_are_also_rejected_by_builders(option: str) -> None:
    given = {"flatpak": True, "compose_ids": [1], "dependency_replacements": ["pip:a:1"]}.get(option, "x")
    plugin = koji.plugin.PluginTracker().load("builder_containerbuild", path=str(PLUGINS / "builder"), reload=True)
    handler = plugin.BuildContainerTask(1, "buildContainer", [], None, None, workdir="/nonexistent")
    with pytest.raises(koji.BuildError, match=f"option {option} is not supported: it requires a"):
        handler.handler("git+https://h/container/hello#1", "target", {"git_branch": "x", option: given})


def test_empty_unavailable_options_are_accepted() -> None:
    assert unavailable_options({**RPKG_SENDS, "flatpak": False}) == []
