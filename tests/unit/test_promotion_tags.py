# SPDX-License-Identifier: GPL-2.0-or-later
"""Tag changes of a promotion: RPM's version order, components, and characters that tags cannot contain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fedpkg_container.errors import RefusedError
from fedpkg_container.model.evr import compare_evr, evr_key
from fedpkg_container.model.koji_images import Candidate
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import ImageReference, is_tag
from fedpkg_container.registry.config import Target
from fedpkg_container.registry.http import RegistryHTTP
from fedpkg_container.registry.promotion.nvr_lookup import NVRLookup
from fedpkg_container.registry.promotion.tagging import TagRules, TagUpdater, wanted_tags
from fedpkg_container.registry.repository import Repository
from fedpkg_container.registry.skopeo import Access

TARGET = Target("stable", "registry.example.org", Access())
IMAGE = ImageReference("candidate.example.org", "hello", digest="sha256:" + "0" * 64)
NOBODY = RegistryHTTP("registry.example.org", certificates=Path("/nowhere"), auth_file=None)


def candidate(version: str = "1.0", release: str = "1", floating: tuple[str, ...] = ()) -> Candidate:
    return Candidate(NVR("hello", version, release), IMAGE, ("f42",), floating)


def tagging(rules: TagRules = TagRules(), **builds: str) -> TagUpdater:  # noqa: B008
    """A repository whose tags point to builds of the record."""
    repository = Repository(NOBODY, "hello")
    return TagUpdater(repository, NVRLookup(repository, {f"sha256:{name}": nvr for name, nvr in builds.items()}), rules)


@pytest.mark.parametrize(
    ("version", "release", "tags"),
    [
        ("1.0", "1", ["1.0-1", "1.0", "latest"]),
        ("1.0~rc1", "2.fc42", ["1.0_rc1-2.fc42", "1.0_rc1", "latest"]),
        ("2^git+x", "1", ["2_git_x-1", "2_git_x", "latest"]),
    ],
)
def test_order_of_tags(version: str, release: str, tags: list[str]) -> None:
    assert wanted_tags(candidate(version, release), TARGET) == tags
    assert all(map(is_tag, tags))


def test_long_tags_are_truncated() -> None:
    assert all(map(is_tag, wanted_tags(candidate("1" * 100, "2" * 100), TARGET)))


def test_placeholders_for_floating_tags() -> None:
    target = replace(TARGET, floating=("recorded", "latest", "version", "latest"))
    assert wanted_tags(candidate(floating=("f42", "latest")), target) == ["1.0-1", "f42", "latest", "1.0"]
    assert wanted_tags(candidate(), replace(TARGET, floating=())) == ["1.0-1"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [(("1.9", "1"), ("1.10", "1")), (("1.0~rc1", "1"), ("1.0", "1")), (("1", "1"), ("1^git", "1")),
     (("1", "9"), ("1", "10")), (("1", "3"), ("1", "3.1"))],
)  # fmt: skip
def test_rpm_order(older: tuple[str, str], newer: tuple[str, str]) -> None:
    one, other = NVR("hello", *older), NVR("hello", *newer)
    assert compare_evr(one, other) < 0 < compare_evr(other, one)
    assert max([other, one], key=evr_key) == other
    made = tagging(held=str(other)).plan(one, "sha256:new", ["t", "latest"], ["", "sha256:held"])
    assert (made[1].what, made[1].after) == ("kept", "sha256:held")
    made = tagging(held=str(one)).plan(other, "sha256:new", ["t", "latest"], ["", "sha256:held"])
    assert (made[1].what, made[1].after) == ("set", "sha256:new")


def test_permitted_downgrade() -> None:
    made = tagging(TagRules(downgrade=True), held="hello-2-1")
    (_, latest) = made.plan(candidate().nvr, "sha256:new", ["t", "latest"], ["", "sha256:held"])
    assert (latest.what, latest.before, latest.why) == ("set", "sha256:held", "it was hello-2-1")


def test_tags_already_set() -> None:
    made = tagging().plan(candidate().nvr, "sha256:new", ["t", "latest"], ["sha256:new", "sha256:new"])
    assert {each.what for each in made} == {"already"}


def test_other_component_is_refused_even_with_downgrade() -> None:
    made = tagging(TagRules(downgrade=True), held="other-1-1")
    with pytest.raises(RefusedError, match=r"hello:latest is an image of other \(other-1-1\): sha256:held"):
        made.plan(candidate().nvr, "sha256:new", ["t", "latest"], ["", "sha256:held"])
    made = tagging(TagRules(replace=True), held="other-1-1")
    assert made.plan(candidate().nvr, "sha256:new", ["t", "latest"], ["", "sha256:held"])[1].what == "set"


def test_release_tag_is_immutable() -> None:
    made = tagging(TagRules(downgrade=True, replace=True), held="hello-1.0-1")
    with pytest.raises(RefusedError, match="exists with another image: sha256:held"):
        made.plan(candidate().nvr, "sha256:new", ["1.0-1", "latest"], ["sha256:held", ""])
