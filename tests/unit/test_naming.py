"""Tags: primary, floating, unique."""

from __future__ import annotations

import pytest

from fedpkg_container.errors import BuildFailedError
from fedpkg_container.image.naming import Tags, repository, tags_for
from fedpkg_container.model.build import NVR
from fedpkg_container.model.names import legal_tag

BUILT = NVR("hello-container", "1.0", "3")
NOON = 1_700_000_000.0


def test_a_full_build_has_all_tags() -> None:
    tags = tags_for(BUILT, task_id=7, scratch=False, isolated=False, additional=["stable", "not-this"], now=NOON)
    assert tags == Tags("7-20231114221320", "1.0-3", ("1.0", "latest", "stable"))
    assert tags.all == ("1.0-3", "1.0", "latest", "stable", "7-20231114221320")


def test_an_isolated_build_moves_no_tag() -> None:
    tags = tags_for(BUILT, task_id=7, scratch=False, isolated=True, additional=["stable"], now=NOON)
    assert tags == Tags("7-20231114221320", "1.0-3")


def test_a_scratch_build_has_a_tag_of_its_own_only() -> None:
    assert tags_for(BUILT, task_id=7, scratch=True, isolated=False, additional=["stable"], now=NOON).all == (
        "scratch-7-20231114221320",
    )


def test_what_a_tag_cannot_hold_is_replaced() -> None:
    assert legal_tag("1.0~rc1^2+git") == "1.0_rc1_2_git"
    assert len(legal_tag("x" * 300)) == 128


@pytest.mark.parametrize("name", ["hello", "f41/hello-web", "a/b/c"])
def test_names_that_are_repositories(name: str) -> None:
    assert repository(name) == name


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
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(BuildFailedError, match="label name"):
        repository(name)
