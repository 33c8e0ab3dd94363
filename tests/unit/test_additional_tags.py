# SPDX-License-Identifier: GPL-2.0-or-later
"""Parsing the file additional-tags."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.distgit import additional_tags
from fedpkg_container.distgit.additional_tags import AdditionalTags
from fedpkg_container.image.resolve.names import RequestedFloatingTags
from fedpkg_container.model.findings import ERROR, WARNING
from fedpkg_container.model.nvr import NVR
from fedpkg_container.model.reference import is_tag


def test_one_tag_per_line() -> None:
    read = AdditionalTags.from_text("latest\r\n\n  1.0 \nx_y")
    assert read.tags == ("latest", "1.0", "x_y")
    assert read.lines == {"latest": 1, "1.0": 3, "x_y": 4}
    assert read.findings == ()


@pytest.mark.parametrize(
    ("line", "code", "severity"),
    [
        ("# mine", "tag-invalid", ERROR),
        ("a b", "tag-invalid", ERROR),
        (".x", "tag-invalid", ERROR),
        ("ä", "tag-invalid", ERROR),
        ("a\u2028b", "tag-invalid", ERROR),
        ("a\x0cb", "tag-invalid", ERROR),
        ("x" * 129, "tag-invalid", ERROR),
        ("1.0-1", "tag-ignored", WARNING),
        ("ok", "tag-twice", WARNING),
    ],
)
def test_invalid_lines(line: str, code: str, severity: str) -> None:
    read = AdditionalTags.from_text(f"ok\n{line}\nlast\n")
    assert [(each.code, each.severity, each.file, each.line) for each in read.findings] == [
        (code, severity, "additional-tags", 2)
    ]
    assert read.tags == ("ok", "last")


def test_files(tmp_path: Path) -> None:
    assert additional_tags.check(tmp_path) == []
    (tmp_path / "additional-tags").write_bytes(b"\xff")
    assert [each.code for each in additional_tags.check(tmp_path)] == ["tags-unreadable"]
    (tmp_path / "additional-tags").unlink()
    (tmp_path / "additional-tags").symlink_to("/etc/passwd")
    assert "leads out of the checkout" in additional_tags.check(tmp_path)[0].message


@given(st.text())
def test_any_text_yields_tags_and_findings(text: str) -> None:
    read = AdditionalTags.from_text(text)
    assert all(is_tag(tag) for tag in read.tags)
    assert all(0 < each.line <= len(text.split("\n")) for each in read.findings)


@given(st.lists(st.text("ab1._-# ", max_size=4)))
def test_accepted_tags_are_set_by_builders(lines: list[str]) -> None:
    read = AdditionalTags.from_text("\n".join(lines))
    if any(each.severity == ERROR for each in read.findings):
        return
    written = [line.strip() for line in lines if line.strip()]
    tags = RequestedFloatingTags(["version", "latest", "additional-tags"], additional=written).of(NVR("n", "1.0", "1"))
    assert tags == tuple(dict.fromkeys(["1.0", "latest", *read.tags]))
