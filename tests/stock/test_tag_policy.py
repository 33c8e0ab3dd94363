# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy of docs/howto/policy.md for tags of tested builds, in a stock hub; and what that hub allows without it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.box.layout import ADMIN, PACKAGER, Layout
from tests.stock.box import StockBox
from tests.stock.source import PROJECT, KojiSource

CANDIDATE, UPDATES, NVR = "f41-container-candidate", "f41-container-updates", "web-container-1-1"
PERMISSION = "container-releases"
TAG = "policy violation (tag): Only release engineers tag tested builds"
UNTAG = "policy violation (tag): Only release engineers untag tested builds"


def _policy() -> str:
    """The policy as the page has it."""
    page = (PROJECT / "docs" / "howto" / "policy.md").read_text()
    section = page.partition("## Tags of tested builds\n")[2]
    block = re.search(r"^    \[policy\]\n(?:    .*\n)+", section, re.MULTILINE)
    assert block
    return textwrap.dedent(block[0])


@pytest.fixture(params=["with", "without"])
def hub(
    request: pytest.FixtureRequest, source: KojiSource, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[StockBox, bool]]:
    """A hub with the policy, and one as Koji comes; no kojid runs."""
    directory: Path = tmp_path_factory.mktemp("tags")
    made = StockBox(Layout.open(directory / "box"), source)
    if request.param == "with":
        (directory / "tag.conf").write_text(_policy())
        made.add_hub_configuration(directory / "tag.conf")
    try:
        made.up_without_builders()
        yield made, request.param == "with"
    finally:
        made.down()


def _answer(call: Any, *arguments: Any, **named: Any) -> str:
    try:
        return "allowed" if call(*arguments, **named) is None else "task"
    except koji.ActionNotAllowed as error:
        return str(error)


def test_who_may_tag_tested_builds(hub: tuple[StockBox, bool]) -> None:
    box, has_policy = hub
    admin, packager = box.session(ADMIN), box.session(PACKAGER)
    for tag in (CANDIDATE, UPDATES):
        admin.createTag(tag)
        admin.packageListAdd(tag, "web-container", PACKAGER)
    admin.createEmptyBuild("web-container", "1", "1", None)
    assert _answer(packager.tagBuild, CANDIDATE, NVR) == "task"
    assert _answer(packager.tagBuild, UPDATES, NVR) == (TAG if has_policy else "task")
    assert _answer(packager.tagBuild, UPDATES, NVR, force=True) == (TAG if has_policy else "task")
    admin.tagBuildBypass(CANDIDATE, NVR)
    assert _answer(packager.tagBuild, UPDATES, NVR, fromtag=CANDIDATE) == (TAG if has_policy else "task")
    admin.tagBuildBypass(UPDATES, NVR)
    assert _answer(packager.untagBuild, CANDIDATE, NVR) == "allowed"
    assert _answer(packager.untagBuild, UPDATES, NVR) == (UNTAG if has_policy else "allowed")
    if not has_policy:
        return
    assert _answer(packager.tagBuild, CANDIDATE, NVR, fromtag=UPDATES) == UNTAG
    admin.grantPermission(PACKAGER, PERMISSION, create=True)
    assert _answer(packager.untagBuild, UPDATES, NVR) == "allowed"
    assert _answer(packager.tagBuild, UPDATES, NVR) == "task"
