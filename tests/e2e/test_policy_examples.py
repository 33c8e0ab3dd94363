# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of docs/howto/policy.md, on a hub that reads them as they are written there."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import koji
import pytest

from fedpkg_container.box.box import Box
from fedpkg_container.box.layout import ADMIN
from fedpkg_container.box.shell import environment
from tests.support.box_hub import RunningHub, running_hub, submitting_box
from tests.support.packager import Packager
from tests.support.played import session
from tests.support.waiting import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "policy.md").read_text()
SOURCE = "git+https://src.example.org/container/hello#1"
F41, ELN = "f41-web-container-candidate", "eln-container-candidate"
SCRATCH = {"scratch": True}
ISOLATED = {"isolated": True, "release": "1.1"}


def _example(heading: str) -> str:
    """The policies in a section of the page."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    block = re.search(r"^    \[policy\]\n(?:    .*\n)+", section[1], re.MULTILINE)
    assert block, heading
    return textwrap.dedent(block[0])


@dataclass
class Site:
    """A hub with an example's policies, as a packager and as the administrator."""

    hub: RunningHub
    packager: Any = field(init=False)
    admin: Any = field(init=False)

    def __post_init__(self) -> None:
        self.packager, self.admin = session(self.hub, self.hub.packager), session(self.hub, self.hub.admin)
        for target in (F41, ELN):
            self.admin.createTag(f"{target}-build")
            self.admin.createTag(target)
            self.admin.createBuildTarget(target, f"{target}-build", target)

    def join(self, group: str) -> None:
        """Make the packager a member of a new group."""
        self.admin.newGroup(group)
        self.admin.addGroupMember(group, "packager")

    def build(self, target: str, options: dict[str, Any], *, source: str = SOURCE, **named: Any) -> str:
        """Submit a build as the packager; return its channel, or the refusal."""
        return _build(self.packager, target, options, source, named)


def _build(who: Any, target: str, options: dict[str, Any], source: str, named: dict[str, Any]) -> str:
    try:
        task = who.buildContainer(source, target, {"git_branch": "f41", **options}, **named)
    except koji.ActionNotAllowed as error:
        return str(error)
    return str(who.getChannel(who.getTaskInfo(task)["channel_id"])["name"])


@contextmanager
def _site(heading: str, directory: Path) -> Iterator[Site]:
    with running_hub(directory, configuration=_example(heading)) as hub:
        yield Site(hub)


ALLOWED = "container-binary"


def test_scratch_builds_for_all_users_releases_for_some(tmp_path: Path) -> None:
    with _site("Scratch builds for all users, releases for some", tmp_path) as site:
        assert site.build(F41, SCRATCH) == ALLOWED
        refusal = site.build(F41, {})
        assert f"\n    {refusal}\n" in PAGE
        site.join("container-builders")
        assert site.build(F41, {}) == ALLOWED
        assert site.build(F41, {}, source=SOURCE.replace("container", "rpms")).startswith(
            "policy violation (build_container): Containers are built from src.example.org/container [rule: match scm"
        )
        assert "ELN has no containers [rule: target eln-* :: deny]" in site.build(ELN, SCRATCH)
        assert "not covered by policy" in site.build("f40-container-candidate", {})


def test_isolated_builds_for_release_engineers(tmp_path: Path) -> None:
    with _site("Isolated builds for release engineers", tmp_path) as site:
        assert site.build(F41, {}) == ALLOWED
        assert "made by the group releng [rule: bool isolated :: ... all :: deny]" in site.build(F41, ISOLATED)
        site.join("releng")
        assert site.build(F41, ISOLATED) == ALLOWED
        elsewhere = SOURCE.replace("src.", "git.")
        assert "not covered by policy [no rule matches]" in site.build(F41, {}, source=elsewhere)
        assert _build(site.admin, F41, {}, elsewhere, {}) == ALLOWED


def test_channels(tmp_path: Path) -> None:
    with _site("Channels", tmp_path) as site:
        assert site.build(F41, {}) == ALLOWED
        refused = site.build(F41, {}, channel="createrepo")
        assert "This channel is not for your container builds [rule: all :: deny]" in refused
        # The box cannot create channels: its error names the missing one, which the policy has chosen.
        with pytest.raises(koji.GenericError, match="No such channel: container-large"):
            site.build(ELN, {})


UPDATES = "f41-container-updates"
NVR = "web-container-1-1"


def _tags(who: Any, call: str, *arguments: Any) -> str:
    try:
        return str(getattr(who, call)(*arguments) or "done")
    except koji.ActionNotAllowed as error:
        return str(error)


@pytest.mark.parametrize("configuration", [_example("Tags of tested builds"), ""], ids=["example", "default"])
def test_tags_of_tested_builds(tmp_path: Path, configuration: str) -> None:
    """Koji's own names and texts: tests/stock does the same with a stock hub."""
    tag = "policy violation (tag): Only release engineers tag tested builds"
    untag = "policy violation (tag): Only release engineers untag tested builds"
    with running_hub(tmp_path, configuration=configuration) as hub:
        site = Site(hub)
        builder = session(hub, hub.host)
        builder.exclusiveSession(force=True)
        site.admin.createTag(UPDATES)
        for each in (UPDATES, F41):
            site.admin.packageListAdd(each, "web-container", "packager")
        site.admin.createEmptyBuild("web-container", "1", "1", None)
        assert _tags(site.packager, "tagBuild", UPDATES, NVR) == tag
        assert _tags(site.packager, "tagBuild", UPDATES, NVR, True) == tag
        assert _tags(site.packager, "tagBuild", F41, NVR).isdigit()
        site.admin.tagBuildBypass(F41, NVR)
        assert _tags(site.packager, "tagBuild", UPDATES, NVR, False, F41) == tag
        assert _tags(site.admin, "tagBuild", UPDATES, NVR).isdigit()
        # A task that was created before, or by a packager's build: the policy is applied to its owner again.
        task = site.packager.tagBuild(F41, NVR, True)
        builder.host.openTask(task)
        assert _tags(builder.host, "tagBuild", task, UPDATES, NVR) == tag
        site.admin.tagBuildBypass(UPDATES, NVR)
        assert _tags(site.packager, "untagBuild", UPDATES, NVR) == untag
        assert _tags(site.packager, "tagBuild", F41, NVR, True, UPDATES) == untag
        assert _tags(site.packager, "untagBuild", F41, NVR) == "done"
        assert [each["name"] for each in site.packager.listTags(NVR)] == [UPDATES]
        assert _tags(site.admin, "untagBuild", UPDATES, NVR) == "done"


@pytest.fixture(scope="module")
def strict_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that allows scratch builds alone."""
    policy = "[policy]\nbuild_container =\n    bool scratch :: allow\n    all :: deny Only scratch builds\n"
    with submitting_box(tmp_path_factory.mktemp("strict"), configuration=policy) as box:
        yield box


def test_groups_are_made_with_the_koji_program(strict_box: Box) -> None:
    strict_box.session(ADMIN).createUser("alice")
    commands = re.findall(r"^    koji (call .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        koji_program = Path(sys.executable).with_name("koji")
        done = subprocess.run(
            [koji_program, *command.split()], env=environment(strict_box, user=ADMIN), capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("alice" in done.stdout) == ("getGroupMembers" in command)


def test_fedpkg_shows_the_refusal(strict_box: Box, tmp_path: Path) -> None:
    packager = Packager.make(strict_box, tmp_path)
    packager.commit(packager.dockerfile("RUN true"))
    refused = packager.build()
    allowed = packager.build("--scratch", "--nowait")
    assert refused.returncode == 3
    assert refused.stderr.endswith(
        "error: the hub does not permit this build: policy violation (build_container): Only scratch builds"
        " [rule: all :: deny]\n"
        "       request permission from the site's administrators, or submit a build that does not need it"
        " (e.g. --scratch)\n"
    ), refused.stderr
    assert allowed.returncode == 0, allowed.stderr
