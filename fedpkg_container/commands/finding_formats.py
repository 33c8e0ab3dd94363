# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings in the formats of editors and of code review services."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote_from_bytes

from fedpkg_container import __version__
from fedpkg_container.model.checks import CHECKS, FILE_CHECKS
from fedpkg_container.model.checks.page import as_markdown, as_text
from fedpkg_container.model.findings import ERROR, NOTE, WARNING, Finding, as_relative
from fedpkg_container.text import printable, printable_line

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def gcc(findings: Sequence[Finding]) -> str:
    """Return lines of the form ``file:line: severity: message [code]``; line 1 for the whole file."""
    lines = (
        f"{finding.file}:{finding.line or 1}: {finding.severity}: {finding.message} [{finding.code}]"
        for finding in findings
    )
    return "\n".join(as_relative(printable_line(line)) for line in lines)


def github(findings: Sequence[Finding]) -> str:
    """Return workflow commands of GitHub Actions, which annotate lines of a pull request."""
    return "\n".join(map(_workflow_command, findings))


_GITHUB_LEVELS = {ERROR: "error", WARNING: "warning", NOTE: "notice"}


def _workflow_command(finding: Finding) -> str:
    position = {
        "file": _relative(finding.file),
        "line": str(finding.line) if finding.line else "",
        "title": finding.code,
    }
    properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in position.items() if value)
    text = "\n".join(filter(None, (finding.message, finding.solution)))
    return f"::{_GITHUB_LEVELS[finding.severity]} {properties}::{_escaped(text)}"


def _escaped(text: str, special: str = "") -> str:
    """Return a text in which the characters that end a value are percent-encoded."""
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{special}" else char for char in printable(text))


_GITLAB_LEVELS = {ERROR: "major", WARNING: "minor", NOTE: "info"}


def gitlab(findings: Sequence[Finding]) -> str:
    """Return a GitLab code quality report."""
    return _json(
        [
            {
                "description": printable(finding.message),
                "check_name": finding.code,
                "fingerprint": fingerprint,
                "severity": _GITLAB_LEVELS[finding.severity],
                "location": {"path": printable(_relative(finding.file)), "lines": {"begin": finding.line or 1}},
            }
            for finding, fingerprint in _fingerprints(findings)
        ]
    )


def findings_json(findings: Sequence[Finding]) -> str:
    """Return the findings and their numbers, as docs/reference/findings.schema.json describes them."""
    severities = Counter(finding.severity for finding in findings)
    return _json(
        {
            "findings": [
                {name: printable(value) if isinstance(value, str) else value for name, value in asdict(finding).items()}
                for finding in findings
            ],
            "errors": severities[ERROR],
            "warnings": severities[WARNING],
        }
    )


def sarif(findings: Sequence[Finding]) -> str:
    """Return a SARIF 2.1.0 log."""
    codes = list(dict.fromkeys([*FILE_CHECKS, *(finding.code for finding in findings)]))
    driver = {"name": "fedpkg-container", "version": __version__, "rules": [_rule(code) for code in codes]}
    results = [_result(finding, codes.index(finding.code), mark) for finding, mark in _fingerprints(findings)]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": "fedpkg-container-lint/"},
        "invocations": [{"executionSuccessful": True}],
        "results": results,
    }
    return _json({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str) -> dict[str, object]:
    check = CHECKS[code]
    return {
        "id": code,
        "shortDescription": {"text": f"{check.what[0].upper()}{check.what[1:]}."},
        "fullDescription": {"text": check.why},
        "help": {"text": as_text(code, check), "markdown": as_markdown(check)},
        "defaultConfiguration": {"level": check.severity},
    }


def _result(finding: Finding, index: int, fingerprint: str) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if finding.line:
        location["region"] = {"startLine": finding.line}
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": printable("\n".join(filter(None, (finding.message, finding.solution))))},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"finding/v1": fingerprint},
    }


def _uri(file: str) -> str:
    path = _relative(file)
    return Path(path).as_uri() if os.path.isabs(path) else quote_from_bytes(os.fsencode(path))


def _relative(file: str) -> str:
    """Return a path relative to the working directory if it is below it."""
    if not os.path.isabs(file):
        return file
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _fingerprints(findings: Sequence[Finding]) -> Iterator[tuple[Finding, str]]:
    """Yield the findings with fingerprints, which remain the same in later versions of the files if lines move."""
    seen: Counter[tuple[str, ...]] = Counter()
    for finding in findings:
        key = (finding.code, _relative(finding.file), finding.message)
        seen[key] += 1
        text = "\0".join((*key, str(seen[key])))
        yield finding, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, indent=2)


#: Name of a format → function that returns the report; without ``text``, which is printed in colors.
FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "gcc": gcc,
    "github": github,
    "gitlab": gitlab,
    "sarif": sarif,
    "json": findings_json,
}
