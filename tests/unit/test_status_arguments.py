# SPDX-License-Identifier: GPL-2.0-or-later
"""Arguments of ``container-status``: templates, times, unknown words, and what cannot be combined."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from fedpkg_container.commands.status_fields import ENTRY_FIELDS
from fedpkg_container.errors import RefusedError, UsageError
from tests.support.status_client import SCHEMA, Status
from tests.support.status_hub import CREATED, StatusHub, build, task


@pytest.fixture
def hub() -> StatusHub:
    """A running build, a failed one, and a complete one."""
    return StatusHub(
        tasks=[task(7, "FAILED"), task(11, "OPEN")],
        builds=[build(1, "COMPLETE"), build(2, "BUILDING", extra={"container_koji_task_id": 11, "submitter": "me"})],
        results={7: "no parent"},
    )


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch, hub: StatusHub) -> Status:
    return Status(monkeypatch, hub)


def test_template(status: Status) -> None:
    text = status.run("web", "--format", r"{{.task_id}}\t{{ .state }} {{json .tags}} {{.tags}} {{.scratch}} {{.nvr}}|")
    assert text.splitlines() == [
        "11\tOPEN []  true web-container-1-2|",
        '\tCOMPLETE ["stable"] stable false web-container-1-1|',
        "7\tFAILED []  true |",
    ]
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(CREATED))
    assert status.run("7", "--format", "{{.created}}") == f"{created}\n"
    assert status.run("7", "--format", "json") == status.run("7", "--json")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.color}}", "unknown field 'color'"),
        ("{{.task.id}}", "invalid template near '{{.task.id}}'"),
        ("{{range .tags}}", "invalid template"),
        ("{{.nvr", "invalid template"),
        ("x {{.nvr}} }}", "invalid template"),
    ],
)
def test_invalid_template_is_refused_before_any_request(
    hub: StatusHub, status: Status, template: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        status.run("7", "--format", template)
    assert "nvr" in raised.value.solution
    assert hub.requests == []


def test_fields_of_templates_are_documented() -> None:
    assert set(SCHEMA["definitions"]["entry"]["properties"]) == set(ENTRY_FIELDS)
    page = (Path(__file__).parents[2] / "docs" / "man" / "fedpkg-container.1").read_text()
    section = page.partition("print one line per build")[2].partition(".TP")[0]
    assert set(re.findall(r"\\fB(\w+)\\fR", section)) - {"json"} == set(ENTRY_FIELDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("7", "--limit", "2"), "--limit: only allowed with lists"),
        (("--limit", "0"), "--limit: must be a number from 1 to 200"),
        (("7", "--branch", "x"), "--branch: only allowed with lists"),
        (("--watch", "--since", "1d"), "--since: only allowed with lists"),
        (("7", "--failed"), "--failed: only allowed with lists"),
        (("--cancel",), "--cancel: at least one task"),
        (("--cancel", "7", "--watch"), "--cancel: not allowed with --watch"),
        (("7", "--json", "--format", "x"), "--format: not allowed with argument --json"),
        (("7", "--logs", "--format", "x"), "--format: not allowed with argument --logs"),
    ],
)
def test_arguments_that_cannot_be_combined(status: Status, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        status.run(*arguments)


@pytest.mark.parametrize("text", ["", "3", "3x", "d", "yesterday", "2026-13-01", "99999999999d"])
def test_invalid_times(status: Status, text: str) -> None:
    with pytest.raises(SystemExit):
        status.run("--since", text)


@pytest.mark.parametrize("word", ["99", "nothing", "nothing-1-1"])
def test_unknown_words(status: Status, word: str) -> None:
    with pytest.raises(RefusedError, match=f"the hub has no .*{word}"):
        status.run(word)
