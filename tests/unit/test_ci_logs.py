# SPDX-License-Identifier: GPL-2.0-or-later
"""Output in the logs of CI services: groups, annotations, and text that must not be a command."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fedpkg_container.commands import terminal
from fedpkg_container.hub.events import LogLines, TaskChanged, TaskState
from fedpkg_container.model.findings import ERROR, NOTE, WARNING, Finding
from fedpkg_container.progress.ci import CiLog, GithubLog, ci_log
from fedpkg_container.progress.plain import PlainRenderer

TASK = TaskState(8, 7, "createContainer", "x86_64", "OPEN", "builder1")


def _is_command(line: str) -> bool:
    """Whether GitHub's runner takes a line as a command, in its present or its former syntax."""
    return line.strip().startswith("::") or "##[" in line


def _github(monkeypatch: pytest.MonkeyPatch, workspace: str = "") -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", workspace)


def _rendered(*lines: str) -> str:
    stream = io.StringIO()
    with PlainRenderer(stream) as show:
        show(TaskChanged(TASK))
        show(LogLines(TASK, "x86_64.log", lines[:1]))
        show(LogLines(TASK, "x86_64.log", lines[1:]))
        show(TaskChanged(TASK))
        show(LogLines(TASK, "x86_64.log", lines[:1]))
    return stream.getvalue()


@pytest.mark.parametrize(
    "line",
    [
        "::error::x",
        "  ::set-output name=a::b",
        "\u00a0::x",
        "\t:: x",
        "a ##[add-path]b",
        "##[group]",
        ":::x",
        "##[##[x",
    ],
)
def test_text_from_outside_is_not_a_command(line: str) -> None:
    assert _is_command(line)
    escaped = GithubLog().escape(f"a\n{line}\nb\n")
    assert not any(map(_is_command, escaped.splitlines()))
    assert escaped.replace(" ", "") == f"a\n{line}\nb\n".replace(" ", "")


@pytest.mark.parametrize("text", ["a::b", "#[x]", "## x", "std::string", ":a", ""])
def test_other_text_is_unchanged(text: str) -> None:
    assert GithubLog().escape(text) == text


WRITERS: list[Callable[[str], object]] = [
    terminal.print_lines,
    terminal.print_stderr,
    terminal.print_error,
    lambda text: terminal.print_error("x", text),
    lambda text: terminal.print_findings([Finding(text, ERROR, text, text, text)]),
]


@pytest.mark.parametrize("write", WRITERS)
def test_every_writer_escapes(
    write: Callable[[str], object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _github(monkeypatch)
    write("::error::x\n::y ##[z]\r\n##[w]")
    output, errors = capsys.readouterr()
    commands = [line for line in (output + errors).splitlines() if _is_command(line)]
    assert len([line for line in commands if not line.startswith("::error file=")]) == 0
    assert len(commands) <= 1


def test_lines_of_logs_are_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    _github(monkeypatch)
    lines = _rendered("one", "::two").splitlines()
    task = lines[0]
    assert "task 8 " in task
    assert lines == [
        task, "::group::log", "one", ": :two", "::endgroup::",
        task, "::group::log", "one", "::endgroup::",
    ]  # fmt: skip


def test_sections_of_gitlab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITLAB_CI", "true")
    output = _rendered("one", "two")
    markers = re.findall(r"\x1b\[0Ksection_(start|end):\d+:(\w+)(?:\[collapsed=true\])?\r\x1b\[0K", output)
    assert markers == [(kind, f"container_build_{number}") for number in (1, 2) for kind in ("start", "end")]
    assert "\none\ntwo\n\x1b" in output


def test_without_a_service_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    assert [line for line in _rendered("::one", "two").splitlines() if "task" not in line] == ["::one", "two", "::one"]
    assert type(ci_log({"GITHUB_ACTIONS": "false", "GITLAB_CI": ""})) is CiLog


@pytest.mark.parametrize(
    ("severity", "level"), [(ERROR, "error"), (WARNING, "warning"), (NOTE, "notice")]
)  # fmt: skip
def test_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, severity: str, level: str) -> None:
    (tmp_path / "hello").mkdir()
    monkeypatch.chdir(tmp_path / "hello")
    log = GithubLog(str(tmp_path))
    text = log.annotation(severity, "100%\nbad", file="Dockerfile", line=7, title="a:b,c")
    assert text == f"::{level} file=hello/Dockerfile,line=7,title=a%3Ab%2Cc::100%25%0Abad\n"
    assert log.annotation(severity, "x") == f"::{level}::x\n"


def test_findings_are_annotations(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _github(monkeypatch)
    terminal.print_findings([Finding("label-missing", ERROR, "no version", "add it", "Dockerfile", 3)])
    assert capsys.readouterr().err == "::error file=Dockerfile,line=3,title=label-missing::no version%0Aadd it\n"
