# SPDX-License-Identifier: GPL-2.0-or-later
"""Generate docs/reference/checks.md from the table of checks: ``python docs/make_checks.py``."""

from __future__ import annotations

from pathlib import Path

from fedpkg_container.distgit import dockerfile_limits as limits
from fedpkg_container.model.checks import CHECKS
from fedpkg_container.model.checks.page import as_markdown

PAGE = Path(__file__).parent / "reference" / "checks.md"
HEAD = """\
# Checks of container-build

`fedpkg container-build` checks the checkout, its files and the hub before it submits a build, and shows all findings at
once, each with its code in brackets. Errors prevent the build (exit status 3); warnings do not, unless `--strict` is
given; notes never do. `--skip-check CODE` skips a check. `fedpkg-container lint` runs only the checks of files, and
`container-build --dry-run --offline` runs all checks except those of the hub. `fedpkg-container lint --explain CODE`
prints the description of a check.

This page is generated from `fedpkg_container/model/checks/` by `python docs/make_checks.py`. Tests check that it is
current, that each wrong example produces the finding, and that the right example does not.

| Code | What is checked | Severity |
| --- | --- | --- |
"""
LIMITS = f"""\

## Size limits

Values of ENV, ARG and LABEL can refer to earlier ones, so ten lines can create a value of several gigabytes. The client
and the builders therefore compute an upper bound from the lengths alone, and reject a Dockerfile that exceeds a limit
before they substitute variables (`distgit/dockerfile_limits.py`). The limits are the same everywhere and cannot be
configured.

| What | Limit |
| --- | --- |
| file | {limits.MAX_FILE_BYTES // 1024} KiB |
| number of instructions | {limits.MAX_INSTRUCTIONS} |
| one instruction, without its here-documents | {limits.MAX_INSTRUCTION_LENGTH - 1} bytes |
| number of values set by ENV, ARG and LABEL | {limits.MAX_VALUES} |
| one value, or one word of another instruction, with variables substituted | {limits.MAX_VALUE_LENGTH // 1024} KiB |
| all instructions together, with variables substituted | {limits.MAX_TOTAL_LENGTH // 1024} KiB |

A variable that the Dockerfile does not set, e.g. `PATH`, counts as {limits.UNKNOWN_VALUE_LENGTH // 1024} KiB, as it
may come from the base image.
"""


def page() -> str:
    """Return the text of docs/reference/checks.md."""
    rows = (f"| [`{code}`](#{code}) | {check.what} | {check.severity} |\n" for code, check in CHECKS.items())
    pages = (f"\n### {code}\n\n{as_markdown(check)}" for code, check in CHECKS.items())
    return "".join((HEAD, *rows, LIMITS, "\n## Descriptions\n", *pages))


if __name__ == "__main__":
    PAGE.write_text(page())
