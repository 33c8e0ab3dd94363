# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of YAML files: a file beyond them is refused after a bounded number of parser events."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml.parser import Parser

from fedpkg_container.distgit.container_yaml import ContainerYaml
from fedpkg_container.distgit.yaml_composer import MAX_NODES
from fedpkg_container.distgit.yaml_document import MAX_DEPTH, MAX_VALUES, parse
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


def test_findings_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def equal(first: Finding, second: object) -> bool:
        compared.append(second)
        return str(first) == str(second)

    monkeypatch.setattr(Finding, "__eq__", equal)
    duplicates = 200
    assert len(parse("a: b\n" * (duplicates + 1), "file").findings) == duplicates
    assert len(compared) < duplicates
