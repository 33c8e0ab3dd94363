# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs of CI services: collapsible groups of lines, and annotations of files, if the environment requests them.

The services interpret lines of the output. Text from outside is escaped, so that it cannot give them commands.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

#: What GitHub's runner interprets: ``::command::`` at the start of a line, and ``##[command]`` anywhere in it.
_COMMAND = re.compile(r"^(\s*:)(?=:)|##(?=\[)", re.MULTILINE)


class CiLog:
    """The log of a terminal, a file or an unknown service: no groups, and nothing to escape."""

    def escape(self, text: str) -> str:
        """Return text from outside so that no line of it is a command."""
        return text

    def begin_group(self, title: str) -> str:
        """Return the text that starts a group of lines, with its newline."""
        del title
        return ""

    def end_group(self) -> str:
        """Return the text that ends the group."""
        return ""

    def annotation(self, severity: str, message: str, *, file: str = "", line: int = 0, title: str = "") -> str:
        """Return the line that annotates a file; empty if the service has no annotations in its log.

        :param severity: error, warning or note
        :param file: path relative to the working directory
        """
        del severity, message, file, line, title
        return ""


class GithubLog(CiLog):
    """The log of GitHub Actions.

    :param workspace: directory of the repository, to which the paths of annotations are relative
    """

    def __init__(self, workspace: str = "") -> None:
        self._workspace = workspace

    def escape(self, text: str) -> str:
        """Return text from outside with a space in what the runner would interpret."""
        return _COMMAND.sub(lambda match: f"{match[0]} ", text)

    def begin_group(self, title: str) -> str:
        """Return the command that starts a group."""
        return f"::group::{_encode(title)}\n"

    def end_group(self) -> str:
        """Return the command that ends the group."""
        return "::endgroup::\n"

    def annotation(self, severity: str, message: str, *, file: str = "", line: int = 0, title: str = "") -> str:
        """Return the command that annotates a file."""
        path = os.path.relpath(Path.cwd() / file, self._workspace) if file and self._workspace else file
        values = {"file": path, "line": str(line or ""), "title": title}
        properties = ",".join(f"{name}={_encode(value, ':,')}" for name, value in values.items() if value)
        level = "notice" if severity == "note" else severity
        return f"::{level}{f' {properties}' if properties else ''}::{_encode(message)}\n"


class GitlabLog(CiLog):
    """The log of GitLab CI, whose sections are marked with control characters, which text from outside never has."""

    def __init__(self) -> None:
        self._number = 0

    def begin_group(self, title: str) -> str:
        """Return the marker that starts a collapsed section."""
        self._number += 1
        return self._marker("start", "[collapsed=true]") + f"{title}\n"

    def end_group(self) -> str:
        """Return the marker that ends the section."""
        return self._marker("end") + "\n"

    def _marker(self, kind: str, options: str = "") -> str:
        return f"\x1b[0Ksection_{kind}:{time.time():.0f}:container_build_{self._number}{options}\r\x1b[0K"


def ci_log(environment: Mapping[str, str] | None = None) -> CiLog:
    """Return the log of the CI service that the environment names.

    :param environment: None for that of this process
    """
    variables = os.environ if environment is None else environment
    if variables.get("GITHUB_ACTIONS") == "true":
        return GithubLog(variables.get("GITHUB_WORKSPACE", ""))
    return GitlabLog() if variables.get("GITLAB_CI") == "true" else CiLog()


def _encode(text: str, special: str = "") -> str:
    """Return a value of a command, percent-encoded."""
    return "".join(f"%{ord(letter):02X}" if letter in f"%\r\n{special}" else letter for letter in text)
