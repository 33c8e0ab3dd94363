# SPDX-License-Identifier: GPL-2.0-or-later
"""Parsing Dockerfiles."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.distgit.dockerfile import Dockerfile
from fedpkg_container.errors import RefusedError

MULTI = """\
ARG VERSION=41
FROM r.io/fedora:$VERSION AS build
RUN make
FROM scratch AS empty
FROM build AS test
FROM r.io/base:1
COPY --from=build /a /b
ENV V=2.0
LABEL name="hello" version="$V"
"""


def test_stages_and_parents() -> None:
    dockerfile = Dockerfile(MULTI)
    assert dockerfile.parents == ["r.io/fedora:41", "r.io/base:1"]
    assert dockerfile.base == "r.io/base:1"
    assert [(stage.image, stage.name, stage.line, stage.is_earlier_stage) for stage in dockerfile.stages] == [
        ("r.io/fedora:41", "build", 2, False),
        ("scratch", "empty", 4, False),
        ("build", "test", 5, True),
        ("r.io/base:1", "", 6, False),
    ]


def test_variables_in_labels_are_substituted() -> None:
    assert Dockerfile(MULTI).labels == {"name": "hello", "version": "2.0"}


def test_base_image_through_an_earlier_stage() -> None:
    assert Dockerfile("FROM r.io/a:1 AS x\nFROM x\n").base == "r.io/a:1"
    assert Dockerfile("FROM scratch\n").base == ""


def test_only_parent_images_and_bases_of_unused_stages_are_replaced() -> None:
    pinned = {"r.io/fedora:41": "r.io/fedora@sha256:1", "r.io/base:1": "r.io/base@sha256:2"}
    lines = Dockerfile(MULTI).changed(pinned).splitlines()
    assert lines[1] == "FROM r.io/fedora@sha256:1 AS build"
    assert lines[3:6] == ["FROM scratch AS empty", "FROM scratch AS test", "FROM r.io/base@sha256:2"]
    assert [line for number, line in enumerate(lines) if number not in (1, 4, 5)] == [
        line for number, line in enumerate(MULTI.splitlines()) if number not in (1, 4, 5)
    ]


@pytest.mark.parametrize("own", ["ARG EPOCH=5", "ARG EPOCH", "ARG X=1 EPOCH=5", 'ARG "EPOCH=5"'])
def test_build_argument_overrides_the_default(own: str) -> None:
    text = f"{own}\nFROM r.io/a:1\n{own}\nRUN true\nFROM r.io/b:1\nRUN true\n"
    built = Dockerfile(text).changed({}, arguments={"EPOCH": "7"}, first=["ENV A=1"])
    ours = "ARG EPOCH=7"
    assert built.splitlines() == [
        *(own, ours, "FROM r.io/a:1", ours, "ENV A=1", own, ours, "RUN true"),
        *("FROM r.io/b:1", ours, "ENV A=1", "RUN true"),
    ]


def test_link_out_of_the_checkout_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("FROM scratch\n")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "Dockerfile").symlink_to(secret)
    with pytest.raises(RefusedError, match="leads out of the checkout"):
        Dockerfile.read(checkout)


def test_invalid_utf8_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM \xff\xfe\n")
    with pytest.raises(RefusedError, match="not UTF-8"):
        Dockerfile.read(tmp_path)


_WORD = st.sampled_from(
    [
        "FROM",
        "LABEL",
        "ENV",
        "ARG",
        "RUN",
        "r.io/a:1",
        "AS",
        "x",
        "0",
        "a=b",
        '"',
        "'",
        "\\",
        "$x",
        "${",
        "#",
        "=",
        "\t",
    ]
)


@given(st.lists(st.lists(_WORD, max_size=6).map(" ".join), max_size=8).map("\n".join))
def test_any_words_yield_values_or_an_error(text: str) -> None:
    try:
        dockerfile = Dockerfile(text)
    except RefusedError as error:
        assert error.solution
        return
    assert set(dockerfile.parents) <= {stage.image for stage in dockerfile.stages}
    assert dockerfile.base in ("", *dockerfile.parents)


def test_foreign_sources() -> None:
    text = """\
FROM r.io/a:1 AS build
FROM r.io/b:1
COPY --chown=0 --from=build /a /a
COPY --from=0 /b /b
COPY --from=r.io/evil:1 /c /c
RUN --mount=type=bind,from=r.io/worse:1,target=/x --network=none cat /x --from=not-an-option
"""
    assert Dockerfile(text).foreign_sources == [("r.io/evil:1", 5), ("r.io/worse:1", 6)]


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("FROM r.io/a:1\nFROM 0", 0),
        ("FROM r.io/a:1\nFROM 00", None),
        ("FROM r.io/a:1\nFROM 1", None),
        ("FROM r.io/a:1 AS a\nFROM 0", None),
        ("FROM r.io/a:1 AS a\nFROM a", 0),
    ],
)
def test_number_of_a_stage_in_from(text: str, below: int | None) -> None:
    """buildah 1.28 looks the others up as images."""
    assert Dockerfile(text).stages[1].below == below


def test_stages_that_are_not_built_have_no_base() -> None:
    """buildah 1.28 commits the stages that are bases of other stages, and then fails to delete the unused ones."""
    text = "FROM r.io/a:1 AS build\nRUN x\nFROM build AS test\nRUN y\nFROM r.io/b:1\nCOPY --from=0 /a /b\n"
    changed = Dockerfile(text).changed({"r.io/a:1": "aaa", "r.io/b:1": "bbb"})
    assert [line for line in changed.splitlines() if line.startswith("FROM")] == [
        "FROM aaa AS build", "FROM scratch AS test", "FROM bbb"
    ]  # fmt: skip
