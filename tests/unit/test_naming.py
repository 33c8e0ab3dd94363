# SPDX-License-Identifier: GPL-2.0-or-later
"""Primary, floating and unique tags; NVR parts and repositories."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.config_keys import FLOATING_TAG_SOURCES
from fedpkg_container.image.resolve.names import (
    BuildTags,
    RequestedFloatingTags,
    is_unique_tag,
    unique_tag,
    valid_repository,
)
from fedpkg_container.model.nvr import NVR, nvr_part_problem, sanitize_tag
from fedpkg_container.model.reference import is_tag

BUILT = NVR("hello-container", "1.0", "3")
NOON = 1_700_000_000.0


EVERYTHING = frozenset(FLOATING_TAG_SOURCES)


def test_regular_build_has_all_tags() -> None:
    floating = RequestedFloatingTags(EVERYTHING, additional=["stable", "not-this"]).of(BUILT)
    tags = BuildTags(unique_tag(7, scratch=False, now=NOON), BUILT.primary_tag, floating)
    assert tags.all == ("1.0-3", "1.0", "latest", "stable", "7-20231114221320")


def test_scratch_build_only_has_a_unique_tag() -> None:
    assert BuildTags(unique_tag(7, scratch=True, now=NOON)).all == ("scratch-7-20231114221320",)


def test_unique_tags_are_distinguished_from_other_tags() -> None:
    own = [unique_tag(7, scratch=scratch) for scratch in (True, False)]
    assert all(is_unique_tag(tag) and is_unique_tag(f"{tag}-oci") for tag in own)
    assert not any(is_unique_tag(tag) for tag in ("1.0-3", "latest", "1-2", BUILT.primary_tag))


def test_tags_in_container_yaml_replace_all_others() -> None:
    floating = RequestedFloatingTags(EVERYTHING, container_yaml=["rawhide", "1.0-3", "rawhide"], additional=["stable"])
    assert floating.of(BUILT) == ("rawhide",)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (["version"], ("1.0",)),
        (["latest", "additional-tags"], ("latest", "stable")),
        (["container-yaml"], ("rawhide",)),
        ([], ()),
    ],
)
def test_sources_of_floating_tags_are_configurable(policy: list[str], expected: tuple[str, ...]) -> None:
    assert RequestedFloatingTags(policy, container_yaml=["rawhide"], additional=["stable"]).of(BUILT) == expected


def test_invalid_tag_is_ignored() -> None:
    floating = RequestedFloatingTags(EVERYTHING, container_yaml=["v 1", "ok", "a-b", "x\x1b"])
    assert floating.of(BUILT) == ("ok",)
    assert floating.warnings == [
        "ignoring tag 'v 1' of container.yaml: it is not a valid image tag",
        "ignoring tag 'x\\x1b' of container.yaml: it is not a valid image tag",
    ]
    assert RequestedFloatingTags(["latest"], container_yaml=["v 1"]).warnings == []
    assert RequestedFloatingTags(EVERYTHING, container_yaml=["v 1"]).of(BUILT) == ()


def test_invalid_characters_of_tags_are_replaced() -> None:
    assert sanitize_tag("1.0~rc1^2+git") == "1.0_rc1_2_git"
    assert len(sanitize_tag("x" * 300)) == 128
    assert (sanitize_tag(".1-1"), sanitize_tag("-x")) == ("_1-1", "_x")


_PARTS = st.text(string.ascii_letters + string.digits + "._+~^-", min_size=1) | st.text(min_size=1)


@given(_PARTS, _PARTS)
def test_sanitized_tags_are_valid(version: str, release: str) -> None:
    assert is_tag(sanitize_tag(version))
    assert is_tag(sanitize_tag(f"{version}-{release}"))


@pytest.mark.parametrize("part", [".", ".1", "..", "1..2", "-1", "1-2", "", "1/2", "1\n"])
def test_invalid_versions_and_releases(part: str) -> None:
    assert nvr_part_problem(part)


@pytest.mark.parametrize("part", ["1", "1.0~rc1^2+git", "1.", "_1", "~1"])
def test_valid_versions_and_releases(part: str) -> None:
    assert not nvr_part_problem(part)


@pytest.mark.parametrize("name", ["hello", "f41/hello-web", "a/b/c"])
def test_valid_repository_names(name: str) -> None:
    assert valid_repository(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Hello",
        "../x",
        "a:b",
        "a@sha256:0",
        "staging/task-1",
        "staging",
        "-x",
        "a b",
        "a//b",
        "a\n",
        "--tls-verify=false",
    ],
)
def test_invalid_repository_names(name: str) -> None:
    with pytest.raises(BuildFailedError, match="label name"):
        valid_repository(name)
