"""Findings of checks: gathered, weighed, and shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from fedpkg_container.commands.terminal import is_json, is_quiet, print_findings, print_findings_json
from fedpkg_container.errors import RefusedError, UsageError
from fedpkg_container.model.findings import CHECKS, ERROR, Finding, did_you_mean


def check_codes(codes: Sequence[str]) -> None:
    """Refuse codes that no check has.

    :raises UsageError: of ``--skip-check``
    """
    for code in codes:
        if code not in CHECKS:
            raise UsageError(
                f"argument --skip-check: there is no check {code!r}{did_you_mean(code, CHECKS)}",
                solution="docs/checks.md lists them; a finding shows its own in brackets",
            )


def apply_overrides(findings: Sequence[Finding], *, skip: Collection[str] = (), strict: bool = False) -> list[Finding]:
    """The findings that count.

    :param skip: codes of checks that are passed over
    :param strict: warnings refuse too
    """
    kept = [finding for finding in findings if finding.code not in skip]
    return [replace(finding, severity=ERROR) for finding in kept] if strict else kept


def raise_on_errors(findings: Sequence[Finding], what: str = "not submitted", *, note: str = "") -> None:
    """Refuse when one of the findings is an error.

    :param note: what else is to be known
    :raises RefusedError: with all of them
    """
    errors = [finding for finding in findings if finding.severity == ERROR]
    if errors:
        number = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        raise RefusedError(f"{what}: {number}", solution=note, findings=findings)


def report_findings(client: Any, findings: Sequence[Finding]) -> None:
    """Show findings that refuse nothing, in the way that was asked for."""
    if is_json(client):
        print_findings_json(findings)
    elif not is_quiet(client):
        print_findings(findings)
