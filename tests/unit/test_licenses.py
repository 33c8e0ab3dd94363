# SPDX-License-Identifier: GPL-2.0-or-later
"""Every source file states the license of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IDENTIFIER = "SPDX-License-Identifier: GPL-2.0-or-later"
#: Globs of the source files, relative to the root.
SOURCES = (
    ".ci/*",
    ".github/**/*",
    ".gitlab-ci.yml",
    ".packit.yaml",
    ".pre-commit-config.yaml",
    "Makefile",
    "completion/*",
    "docs/man/*",
    "packaging/rpm/*",
    "tests/systems/*",
    "packaging/setup-system",
    "packaging/systemd/*",
    "debian/rules",
    "debian/*.postinst",
    "pyproject.toml",
    *(
        f"{directory}/**/*.{suffix}"
        for directory in ("benchmarks", "fedpkg_container", "tests")
        for suffix in ("py", "conf")
    ),
    "docs/*.py",
    "fedpkg_container/**/*.sql",
)


def _without_identifier(root: Path) -> list[str]:
    """Return the source files whose first line, or second after a line that must be first, is another one."""
    paths = [path for pattern in SOURCES for path in root.glob(pattern) if path.is_file()]
    return [
        str(path.relative_to(root))
        for path in paths
        if not any(line.endswith(IDENTIFIER) for line in path.read_text().splitlines()[: _lines(path)])
    ]


def _lines(path: Path) -> int:
    return 2 if path.read_text().startswith(("#!", "#compdef")) else 1


def test_every_source_file_has_the_identifier() -> None:
    assert _without_identifier(ROOT) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"# {IDENTIFIER}\n", []),
        (f"#!/bin/sh\n# {IDENTIFIER}\n", []),
        (f'"""Text."""\n# {IDENTIFIER}\n', ["pyproject.toml"]),
        ("", ["pyproject.toml"]),
    ],
)
def test_a_file_without_the_identifier_is_found(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert _without_identifier(tmp_path) == found
