# SPDX-License-Identifier: GPL-2.0-or-later
"""``fedpkg-container lint``: check the files of containers, without a checkout, a site or a hub."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedpkg_container.completion import complete_with

if TYPE_CHECKING:
    from fedpkg_container.model.findings import Finding

HELP = "Check the files of a container; in the checkout of an RPM package: run rpmlint"
DESCRIPTION = """Check the Dockerfile, container.yaml and the other files of containers. No git, site configuration
or hub is required. In the checkout of an RPM package, rpmlint is run instead, unless PATH is given."""
EPILOG = "exit status: 0 no errors, 1 errors found, 2 usage error"
FORMATS = ("text", "gcc", "github", "gitlab", "sarif", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lint``."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="Directory of a container, directory to search for containers, or single file (default: the working"
        " directory)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="Output format: text to read, gcc for editors, github for GitHub Actions, gitlab for GitLab code quality,"
        " sarif or json for other programs",
    )
    parser.add_argument("--strict", action="store_true", help="Treat warnings as errors")
    skip_check = parser.add_argument(
        "--skip-check", metavar="CODE", action="append", default=[], help="Skip the check with this code (repeatable)"
    )
    explain = parser.add_argument(
        "--explain", metavar="CODE", help="Show what a check requires and why, with a wrong and a right example"
    )
    for action in (skip_check, explain):
        complete_with(action, "check-codes", _codes)


def _codes() -> dict[str, str]:
    from fedpkg_container.model.checks import CHECKS

    return {code: check.what for code, check in CHECKS.items()}


def is_package(directory: Path) -> bool:
    """Return whether a directory contains an RPM package and no container, so that rpmlint is to be run."""
    from fedpkg_container.distgit.dockerfile import FILES

    has_dockerfile = any(os.path.lexists(directory / name) for name in FILES)
    return not has_dockerfile and next(directory.glob("*.spec"), None) is not None


def run_alone(arguments: Sequence[str]) -> int | None:
    """Run a ``lint`` command line without the site's client; return None if rpmlint is to be run instead."""
    from fedpkg_container.commands.usage_errors import refuse_wrong_arguments

    if is_package(Path.cwd()):
        return None
    parser = argparse.ArgumentParser(prog=f"{Path(sys.argv[0]).name} lint", allow_abbrev=False)
    add_arguments(parser)
    refuse_wrong_arguments(parser, parser)
    return run(parser.parse_args(arguments), Path())


def run(arguments: argparse.Namespace, directory: Path) -> int:
    """Check the files, or explain a check; return the exit status.

    :param directory: directory to check if there are no paths
    :raises UsageError: if there is no check with a code, or a path cannot be read
    """
    from fedpkg_container.commands.findings import apply_overrides, check_codes
    from fedpkg_container.distgit.lint import find_containers
    from fedpkg_container.model.findings import ERROR, in_order

    if arguments.explain is not None:
        _explain(arguments.explain)
        return 0
    check_codes(arguments.skip_check)
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # the parser of the file sources imports git, and runs nothing
    containers = find_containers([Path(path) for path in arguments.paths] or [directory])
    all_findings = dict.fromkeys(finding for container in containers for finding in container.check())
    findings = apply_overrides(in_order(all_findings), skip=arguments.skip_check, strict=arguments.strict)
    _report(findings, arguments.format, len(containers))
    return 1 if any(finding.severity == ERROR for finding in findings) else 0


def _explain(code: str) -> None:
    from fedpkg_container.commands.findings import check_codes
    from fedpkg_container.commands.terminal import print_lines
    from fedpkg_container.model.checks import CHECKS
    from fedpkg_container.model.checks.page import as_text

    check_codes([code], option="--explain")
    print_lines(as_text(code, CHECKS[code]))


def _report(findings: Sequence[Finding], name: str, containers: int) -> None:
    from fedpkg_container.commands import finding_formats
    from fedpkg_container.commands.findings import count_findings
    from fedpkg_container.commands.terminal import print_findings, print_lines
    from fedpkg_container.stdio import write_text
    from fedpkg_container.text import pluralize

    if name == "gcc":
        print_lines(*filter(None, [finding_formats.gcc(findings)]))
        return
    if name != "text":
        if report := finding_formats.FORMATS[name](findings):
            # Unlike print_lines: a CI service gets its commands, and programs get the text, as they are.
            write_text(sys.stdout, f"{report}\n")
        return
    print_findings(findings, sys.stdout)
    print_lines(f"{count_findings(findings)} in {pluralize(containers, 'container')}")
