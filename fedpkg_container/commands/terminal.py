"""The only place of the commands that writes to standard output and standard error: nothing raw gets through."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from fedpkg_container.text import printable, printable_line

if TYPE_CHECKING:
    from fedpkg_container.model.findings import Finding


def print_lines(*texts: str) -> None:
    """Write texts for whoever reads the result, each on lines of its own."""
    _write(sys.stdout, texts)


def print_stderr(*texts: str) -> None:
    """Write texts for the person at the terminal: warnings, notices, errors."""
    _write(sys.stderr, texts)


class StderrHandler(logging.Handler):
    """Shows what is logged on standard error as it is then: where a progress bar is shown, above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show it."""
        print_stderr(self.format(record))


def _write(stream: TextIO, texts: Iterable[str]) -> None:
    stream.write("".join(f"{printable(text)}\n" for text in texts))
    stream.flush()


def print_json(value: Any) -> None:
    """Write a value as JSON, in ASCII; numbers that JSON does not have, like YAML's .nan, become text."""
    print_lines(json.dumps(json.loads(json.dumps(value), parse_constant=str), indent=4))


def is_json(client: Any) -> bool:
    """Whether standard output is to hold JSON lines alone."""
    return getattr(client.args, "progress", "") == "json"


def is_quiet(client: Any) -> bool:
    """Whether only the result is wanted: ``-q`` and ``--progress quiet`` mean the same."""
    return bool(client.args.q) or getattr(client.args, "progress", "") == "quiet"


def print_event(event: str, **facts: Any) -> None:
    """Write a JSON line."""
    from fedpkg_container.progress.json_lines import JsonRenderer

    JsonRenderer(sys.stdout).write(event, **facts)


def print_findings_json(findings: Iterable[Finding]) -> None:
    """Write findings as JSON lines."""
    from fedpkg_container.progress.json_lines import JsonRenderer

    JsonRenderer(sys.stdout).findings(findings)


def print_findings(findings: Iterable[Finding]) -> None:
    """Show findings, one after the other."""
    from fedpkg_container.model.findings import ERROR
    from fedpkg_container.progress.formatting import Style

    style = Style(sys.stderr)
    for finding in findings:
        mark = style.bad if finding.severity == ERROR else style.warning
        word = f"{finding.severity}:"
        sys.stderr.write(str(finding).replace(word, mark(word), 1) + "\n")
    sys.stderr.flush()


def print_error(reason: str, solution: str = "") -> None:
    """Show why the program ends, and what to do."""
    from fedpkg_container.progress.formatting import Style

    sys.stderr.write(f"{Style(sys.stderr).bad('error:')} {printable_line(reason)}\n")
    sys.stderr.flush()
    if solution:
        print_stderr(*(f"       {line}" for line in solution.splitlines()))


def format_fields(values: Mapping[str, Any]) -> list[str]:
    """Names and values, a line each."""
    return [f"    {name} = {printable_line(str(value))}" for name, value in values.items()]
