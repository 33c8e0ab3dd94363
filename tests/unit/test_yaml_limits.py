# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of YAML files: a file beyond them is refused after a bounded number of parser events."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml.parser import Parser

from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.yaml_composer import MAX_NODES
from fedpkg_container.distgit.yaml_document import MAX_DEPTH, MAX_NUMBER, MAX_VALUES, parse
from fedpkg_container.model.findings import Finding

NUMBER = 10 * MAX_VALUES
REFUSED = ["yaml-unreadable"]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The events that the parser has returned."""
    seen: list[object] = []
    get_event = Parser.get_event

    def recording(parser: Parser) -> Any:
        seen.append(get_event(parser))
        return seen[-1]

    monkeypatch.setattr(Parser, "get_event", recording)
    return seen


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("[" * NUMBER, MAX_DEPTH + 5),
        ("{" * NUMBER, MAX_DEPTH + 5),
        ("- " * NUMBER, MAX_DEPTH + 5),
        ("? " * NUMBER, MAX_DEPTH + 5),
        ("[" + "[]," * NUMBER + "]", 2 * MAX_NODES + 5),
        ("a: b\n" * NUMBER, 2 * MAX_NODES + 5),
    ],
    ids=["lists", "mappings", "items", "keys", "empty lists", "lines"],
)
def test_parsing_ends_at_the_limit(events: list[object], text: str, limit: int) -> None:
    assert [finding.code for finding in parse(text, "file").findings] == REFUSED
    assert 0 < len(events) <= limit


def test_refused_as_container_yaml() -> None:
    assert [finding.code for finding in ContainerYaml.from_text("[" * NUMBER).findings] == REFUSED


def test_documents_within_the_limits() -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, "file").findings == []
    assert parse("".join(f"k{number}: 1\n" for number in range(MAX_VALUES - 2)), "file").findings == []


@pytest.mark.parametrize(
    "merged",
    [
        "{" + ", ".join(f"k{number}: 1" for number in range(300)) + "}",
        "{" + ", ".join(["k: 1"] * 300) + "}",
        "{" + ", ".join(["? [] : 1"] * 300) + "}",
        "[" + ", ".join(["1"] * 300) + "]",
    ],
    ids=["keys", "equal keys", "invalid keys", "list"],
)
def test_merged_entries_count_even_if_they_have_no_effect(merged: str) -> None:
    """Reading them takes time, which would grow with the square of the file's length."""
    text = f"a: &a {merged}\nb:\n" + "  - <<: *a\n" * 300
    assert "yaml-unreadable" in [finding.code for finding in parse(text, "file").findings]
    text = f"a: &a {merged}\nb:\n  <<: [{', '.join(['*a'] * 300)}]\n"
    codes = [finding.code for finding in parse(text, "file").findings]
    assert ("yaml-unreadable" in codes) == merged.startswith("{")


def test_merges_within_the_limits() -> None:
    text = "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: [*a, *b], z: 3}\n"
    document = parse(text, "file")
    assert (document.findings, document.values["c"]) == ([], {"x": 1, "y": 2, "z": 3})


@pytest.mark.parametrize("number", ["1:1", "1", "0x1", "1:1.5"], ids=["base 60", "decimal", "hexadecimal", "float"])
def test_length_of_a_number(number: str) -> None:
    last = number[-2:] if ":" in number and "." not in number else number[-1]
    long = number + last * MAX_NUMBER
    assert [finding.code for finding in parse(f"a: {long}", "file").findings] == ["yaml-syntax"]
    assert parse(f"a: {number}", "file").findings == []


def test_findings_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def equal(first: Finding, second: object) -> bool:
        compared.append(second)
        return str(first) == str(second)

    monkeypatch.setattr(Finding, "__eq__", equal)
    duplicates = 200
    assert len(parse("a: b\n" * (duplicates + 1), "file").findings) == duplicates
    assert len(compared) < duplicates
