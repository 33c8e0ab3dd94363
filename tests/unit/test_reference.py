# SPDX-License-Identifier: GPL-2.0-or-later
"""Image references: exactly the grammar of distribution is accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpkg_container.errors import UsageError
from fedpkg_container.model.reference import ImageReference, is_tag

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("fedora", ("", "fedora", "", "")),
        ("fedora:41", ("", "fedora", "41", "")),
        ("registry.example.org/fedora", ("registry.example.org", "fedora", "", "")),
        ("localhost/a", ("localhost", "a", "", "")),
        ("127.0.0.1:5000/f41/hello-web:1.0-1", ("127.0.0.1:5000", "f41/hello-web", "1.0-1", "")),
        (f"r.io/a@{DIGEST}", ("r.io", "a", "", DIGEST)),
        (f"r.io/a:t@{DIGEST}", ("r.io", "a", "t", DIGEST)),
        ("[::1]:5000/a", ("[::1]:5000", "a", "", "")),
        ("library/a__b", ("", "library/a__b", "", "")),
    ],
)
def test_references_are_parsed(text: str, parts: tuple[str, ...]) -> None:
    found = ImageReference.parse(text)
    assert (found.registry, found.repository, found.tag, found.digest) == parts
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Fedora",
        "r.io/",
        "r.io/a:",
        "r.io/a@sha256:12",
        "a//b",
        "r.io/a:-t",
        "r.io/a b",
        "--help",
        "a:t\n",
        "r.io/a_",
        "-a",
    ],
)
def test_invalid_references_are_rejected(text: str) -> None:
    with pytest.raises(UsageError, match="not an image reference"):
        ImageReference.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    try:
        found = ImageReference.parse(text)
    except UsageError:
        return
    assert str(found) == text


@given(st.text(max_size=140))
def test_tags_are_safe_on_command_lines(text: str) -> None:
    if is_tag(text):
        assert len(text) <= 128
        assert text.isascii()
        assert not text.startswith(("-", "."))
        assert not set(text) & set(" /:@\n\0")
