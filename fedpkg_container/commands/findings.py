# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of checks: --skip-check and --strict, refusal, and output."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fedpkg_container.commands.terminal import is_json, is_quiet, print_findings, print_findings_json
from fedpkg_container.errors import RefusedError, UsageError
from fedpkg_container.model.checks import CHECKS
from fedpkg_container.model.findings import ERROR, WARNING, Finding, did_you_mean
from fedpkg_container.text import pluralize

if TYPE_CHECKING:
    from fedpkg_container.client import Client


def check_codes(codes: Sequence[str], *, option: str = "--skip-check") -> None:
    """Check the values of an option that are codes of checks.

    :raises UsageError: if there is no check with one of the codes
    """
    for code in codes:
        if code not in CHECKS:
            raise UsageError(
                f"argument {option}: unknown check {code!r}{did_you_mean(code, CHECKS)}",
                solution="see docs/reference/checks.md; each finding shows its check in brackets",
            )


def apply_overrides(findings: Sequence[Finding], *, skip: Collection[str] = (), strict: bool = False) -> list[Finding]:
    """Apply ``--skip-check`` and ``--strict`` to findings.

    :param skip: codes of checks whose findings are dropped
    :param strict: turn warnings into errors
    """
    remaining = [finding for finding in findings if finding.code not in skip]
    if not strict:
        return remaining
    return [replace(finding, severity=ERROR) if finding.severity == WARNING else finding for finding in remaining]


def count_findings(findings: Sequence[Finding]) -> str:
    """Return the numbers of errors and warnings in words; ``no findings`` if there are neither."""
    severities = [finding.severity for finding in findings]
    counts = [
        pluralize(severities.count(severity), severity) for severity in (ERROR, WARNING) if severity in severities
    ]
    return ", ".join(counts) or "no findings"


def raise_on_errors(findings: Sequence[Finding], what: str = "not submitted", *, note: str = "") -> None:
    """Raise RefusedError if one of the findings is an error.

    :param what: what does not happen because of the errors, for the message
    :param note: additional information for the user
    :raises RefusedError: with all findings
    """
    errors = [finding for finding in findings if finding.severity == ERROR]
    if errors:
        raise RefusedError(f"{what}: {pluralize(len(errors), 'error')}", solution=note, findings=findings)


def report_findings(client: Client, findings: Sequence[Finding]) -> None:
    """Print findings in the requested format: JSON lines, nothing with ``-q``, or text."""
    if is_json(client):
        print_findings_json(findings)
    elif not is_quiet(client):
        print_findings(findings)
