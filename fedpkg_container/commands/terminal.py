# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of the commands to standard output and standard error, with control characters replaced."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, TextIO

from fedpkg_container.text import printable, printable_line

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.model.findings import Finding


def print_lines(*texts: str, links: Collection[str] = ()) -> None:
    """Write results to standard output, each text on separate lines.

    :param links: URLs in the texts that are links on a terminal
    """
    _write(sys.stdout, texts, links)


def print_page(lines: Iterable[str]) -> None:
    """Write lines of a ``progress.look.Page``, which are printable already, to standard output."""
    from fedpkg_container.progress.ci import ci_log

    sys.stdout.write(ci_log().escape("".join(f"{line}\n" for line in lines)))
    sys.stdout.flush()


def print_stderr(*texts: str, links: Collection[str] = ()) -> None:
    """Write warnings, notices and errors to standard error.

    :param links: URLs in the texts that are links on a terminal
    """
    _write(sys.stderr, texts, links)


def _write(stream: TextIO, texts: Iterable[str], links: Collection[str] = ()) -> None:
    from fedpkg_container.progress.ci import ci_log
    from fedpkg_container.progress.formatting import link

    output = ci_log().escape("".join(f"{printable(text)}\n" for text in texts))
    if urls := sorted(filter(None, links), key=len, reverse=True):
        output = re.sub("|".join(map(re.escape, urls)), lambda url: link(url[0], url[0], stream), output)
    stream.write(output)
    stream.flush()


def print_annotation(severity: str, message: str, *, file: str = "", line: int = 0, title: str = "") -> bool:
    """Write an annotation to standard error, if this is the log of a CI service that has them; return whether it is.

    :param severity: error, warning or note
    :param file: path relative to the working directory
    """
    from fedpkg_container.progress.ci import ci_log

    text = ci_log().annotation(severity, printable(message), file=file, line=line, title=title)
    sys.stderr.write(text)
    sys.stderr.flush()
    return bool(text)


def signal_end(title: str, signals: Collection[str]) -> None:
    """Ring the bell of the terminal, and set its title, when a build has ended.

    :param signals: ``bell``, ``title``, both or none
    """
    from fedpkg_container.progress.formatting import is_terminal

    if is_terminal(sys.stderr):
        sys.stderr.write(f"\x1b]2;{printable_line(title)}\x07" if "title" in signals else "")
        sys.stderr.write("\a" if "bell" in signals else "")
        sys.stderr.flush()


def print_json(value: object) -> None:
    """Write a value as JSON in ASCII; numbers that JSON does not support (YAML's ``.nan``) become strings."""
    sys.stdout.write(json.dumps(json.loads(json.dumps(value), parse_constant=str), indent=4) + "\n")
    sys.stdout.flush()


def is_json(client: Client) -> bool:
    """Return whether standard output consists of JSON lines only."""
    return getattr(client.args, "progress", "") == "json"


def is_quiet(client: Client) -> bool:
    """Return whether only the result is printed (``-q`` or ``--progress quiet``)."""
    return bool(client.args.q) or getattr(client.args, "progress", "") == "quiet"


def print_event(event: str, **fields: object) -> None:
    """Write a JSON line."""
    from fedpkg_container.progress.json_lines import JsonRenderer

    JsonRenderer(sys.stdout).write(event, **fields)


def print_findings_json(findings: Iterable[Finding]) -> None:
    """Write findings as JSON lines."""
    from fedpkg_container.progress.json_lines import JsonRenderer

    JsonRenderer(sys.stdout).findings(findings)


def print_findings(findings: Iterable[Finding], stream: TextIO | None = None) -> None:
    """Write findings to a stream, by default standard error; in the log of a CI service as annotations."""
    from fedpkg_container.model.findings import ERROR
    from fedpkg_container.progress.ci import ci_log
    from fedpkg_container.progress.formatting import Style

    stream = stream or sys.stderr
    style, ci = Style(stream), ci_log()
    for finding in findings:
        text = "\n".join(filter(None, (finding.message, finding.solution)))
        place = {"file": finding.file, "title": finding.code}
        if annotation := ci.annotation(finding.severity, printable(text), line=finding.line, **place):
            stream.write(annotation)
            continue
        mark = style.bad if finding.severity == ERROR else style.warning
        word = f"{finding.severity}:"
        stream.write(ci.escape(str(finding)).replace(word, mark(word), 1) + "\n")
    stream.flush()


def print_error(reason: str, solution: str = "") -> None:
    """Write an error and its solution to standard error."""
    from fedpkg_container.progress.ci import ci_log
    from fedpkg_container.progress.formatting import Style

    sys.stderr.write(f"{Style(sys.stderr).bad('error:')} {ci_log().escape(printable_line(reason))}\n")
    sys.stderr.flush()
    if solution:
        print_stderr(*(f"       {line}" for line in solution.splitlines()))


def format_fields(values: Mapping[str, object]) -> list[str]:
    """Return one line per name and value."""
    return [f"    {name} = {printable_line(str(value))}" for name, value in values.items()]
