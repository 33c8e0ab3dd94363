"""Primary, floating and unique tags; NVR parts and repositories."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.config import FLOATING_TAG_SOURCES
from fedpkg_container.image.resolve.names import (
    BuildTags,
    RequestedFloatingTags,
    is_unique_tag,
    unique_tag,
    valid_repository,
)
from fedpkg_container.model.build import NVR
from fedpkg_container.model.nvr import legal_tag, nvr_part_problem
from fedpkg_container.model.reference import is_tag

BUILT = NVR("hello-container", "1.0", "3")
NOON = 1_700_000_000.0


EVERYTHING = frozenset(FLOATING_TAG_SOURCES)


def test_full_build_has_all_tags() -> None:
    floating = RequestedFloatingTags(EVERYTHING, additional=["stable", "not-this"]).of(BUILT)
    tags = BuildTags(unique_tag(7, scratch=False, now=NOON), BUILT.primary_tag, floating)
    assert tags.all == ("1.0-3", "1.0", "latest", "stable", "7-20231114221320")


def test_scratch_build_has_only_a_unique_tag() -> None:
    assert BuildTags(unique_tag(7, scratch=True, now=NOON)).all == ("scratch-7-20231114221320",)


def test_unique_tags_are_recognized() -> None:
    own = [unique_tag(7, scratch=scratch) for scratch in (True, False)]
    assert all(is_unique_tag(tag) and is_unique_tag(f"{tag}-oci") for tag in own)
    assert not any(is_unique_tag(tag) for tag in ("1.0-3", "latest", "1-2", BUILT.primary_tag))


def test_tags_of_container_yaml_replace_others() -> None:
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


def test_invalid_tag_gives_a_warning() -> None:
    floating = RequestedFloatingTags(EVERYTHING, container_yaml=["v 1", "ok", "a-b", "x\x1b"])
    assert floating.of(BUILT) == ("ok",)
    assert floating.warnings == [
        "ignoring tag 'v 1' of container.yaml: it is not a valid image tag",
        "ignoring tag 'x\\x1b' of container.yaml: it is not a valid image tag",
    ]
    assert RequestedFloatingTags(["latest"], container_yaml=["v 1"]).warnings == []
    assert RequestedFloatingTags(EVERYTHING, container_yaml=["v 1"]).of(BUILT) == ()


def test_invalid_characters_of_a_tag_are_replaced() -> None:
    assert legal_tag("1.0~rc1^2+git") == "1.0_rc1_2_git"
    assert len(legal_tag("x" * 300)) == 128
    assert (legal_tag(".1-1"), legal_tag("-x")) == ("_1-1", "_x")


_PARTS = st.text(string.ascii_letters + string.digits + "._+~^-", min_size=1) | st.text(min_size=1)


@given(_PARTS, _PARTS)
def test_any_text_gives_a_valid_tag(version: str, release: str) -> None:
    assert is_tag(legal_tag(version))
    assert is_tag(legal_tag(f"{version}-{release}"))


@pytest.mark.parametrize("part", [".", ".1", "..", "1..2", "-1", "1-2", "", "1/2", "1\n"])
def test_invalid_versions_and_releases(part: str) -> None:
    assert nvr_part_problem(part)


@pytest.mark.parametrize("part", ["1", "1.0~rc1^2+git", "1.", "_1", "~1"])
def test_valid_versions_and_releases(part: str) -> None:
    assert not nvr_part_problem(part)


@pytest.mark.parametrize("name", ["hello", "f41/hello-web", "a/b/c"])
def test_valid_repositories(name: str) -> None:
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
def test_invalid_repositories_are_rejected(name: str) -> None:
    with pytest.raises(BuildFailedError, match="label name"):
        valid_repository(name)
