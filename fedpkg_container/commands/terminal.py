# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of the commands to standard output and standard error, with control characters replaced."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from fedpkg_container.stdio import write_text
from fedpkg_container.text import printable, printable_line

if TYPE_CHECKING:
    from fedpkg_container.client import Client
    from fedpkg_container.model.findings import Finding


#: Maximum width of a column of a table; longer cells push the rest of their row to the right.
MAX_COLUMN = 60


def print_lines(*texts: str, links: Collection[str] = ()) -> None:
    """Write results to standard output, each text on separate lines.

    :param links: URLs in the texts that are links on a terminal
    """
    _write(sys.stdout, texts, links)


def print_page(lines: Iterable[str], stream: TextIO | None = None, *, links: Collection[str] = ()) -> None:
    """Write lines of a ``progress.look.Page``, which are printable already.

    :param stream: by default standard output
    :param links: URLs in the lines that are links on a terminal
    """
    _write_printable(stream or sys.stdout, lines, links)


def print_stderr(*texts: str, links: Collection[str] = ()) -> None:
    """Write warnings, notices and errors to standard error.

    :param links: URLs in the texts that are links on a terminal
    """
    _write(sys.stderr, texts, links)


def _write(stream: TextIO, texts: Iterable[str], links: Collection[str] = ()) -> None:
    _write_printable(stream, map(printable, texts), links)


def _write_printable(stream: TextIO, texts: Iterable[str], links: Collection[str]) -> None:
    from fedpkg_container.progress.ci import ci_log
    from fedpkg_container.progress.formatting import link

    output = ci_log().escape("".join(f"{text}\n" for text in texts))
    if urls := sorted(filter(None, links), key=len, reverse=True):
        output = re.sub("|".join(map(re.escape, urls)), lambda url: link(url[0], url[0], stream), output)
    write_text(stream, output)


def print_annotation(severity: str, message: str, *, file: str = "", line: int = 0, title: str = "") -> bool:
    """Write an annotation to standard error, if this is the log of a CI service that has them; return whether it is.

    :param severity: error, warning or note
    :param file: path relative to the working directory
    """
    from fedpkg_container.progress.ci import ci_log

    text = ci_log().annotation(severity, printable(message), file=file, line=line, title=title)
    write_text(sys.stderr, text)
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
    """Write a value as JSON in ASCII; values that JSON does not support (YAML's ``.nan``, bytes) become strings."""
    sys.stdout.write(json.dumps(json.loads(json.dumps(value, default=str), parse_constant=str), indent=4) + "\n")
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
    from fedpkg_container.model.findings import in_order
    from fedpkg_container.progress.json_lines import JsonRenderer

    JsonRenderer(sys.stdout).findings(in_order(findings))


def print_findings(findings: Iterable[Finding], stream: TextIO | None = None) -> None:
    """Write findings to a stream, by default standard error; in the log of a CI service as annotations."""
    from fedpkg_container.model.findings import ERROR, in_order
    from fedpkg_container.progress.ci import ci_log
    from fedpkg_container.progress.formatting import Style

    stream = stream or sys.stderr
    style, ci = Style(stream), ci_log()
    for finding in in_order(findings):
        text = "\n".join(filter(None, (finding.message, finding.solution)))
        place = {"file": finding.file, "title": finding.code}
        mark = style.bad if finding.severity == ERROR else style.warning
        word = f"{finding.severity}:"
        shown = ci.escape(str(finding)).replace(word, mark(word), 1) + "\n"
        write_text(stream, ci.annotation(finding.severity, printable(text), line=finding.line, **place) or shown)


def print_error(reason: str, solution: str = "") -> None:
    """Write an error and its solution to standard error."""
    from fedpkg_container.progress.ci import ci_log
    from fedpkg_container.progress.formatting import Style

    write_text(sys.stderr, f"{Style(sys.stderr).bad('error:')} {ci_log().escape(printable_line(reason))}\n")
    if solution:
        print_stderr(*(f"       {line}" for line in solution.splitlines()))


def format_table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Return rows as lines with aligned columns; in a terminal that is too narrow, one cell per line.

    :param right: columns to align to the right
    """
    last = max(map(len, rows), default=0) - 1
    widths = [min(max(len(row[column]) for row in rows), MAX_COLUMN) for column in range(last)]
    lines = []
    for row in rows:
        cells = [
            f"{cell:>{width}}" if column in right else f"{cell:{width}}"
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join([*cells, row[last]]).rstrip())
    if max(map(len, lines), default=0) <= _columns():
        return lines
    return [line for first, *others in rows for line in (first, *(f"    {cell}" for cell in others if cell))]


def _columns() -> float:
    """Return the width of the terminal; for files and pipes infinite, so that their rows stay whole."""
    import math
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
