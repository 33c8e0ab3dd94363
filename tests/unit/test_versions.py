# SPDX-License-Identifier: GPL-2.0-or-later
"""Known vulnerabilities: the documentation has the list of the code, and those that nothing prevents are named."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import pytest

from fedpkg_container.engines import versions
from fedpkg_container.engines.versions import KERNEL, KNOWN

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[2]


def test_the_documentation_names_all() -> None:
    table = (
        (ROOT / "docs" / "reference" / "security.md")
        .read_text()
        .partition("## Known vulnerabilities")[2]
        .partition("\n## ")[0]
    )
    rows = [line for line in table.splitlines() if line.startswith("| CVE-")]
    assert sorted(line.split()[1] for line in rows) == sorted(each.cve for each in KNOWN)
    assert [line for line in rows if "https://" not in line] == []


@pytest.mark.parametrize(
    ("cve", "version", "affected"),
    [
        *(("CVE-2024-1753", version, True) for version in ("1.24.0", "1.28.2", "1.35.0")),
        *(("CVE-2024-1753", version, False) for version in ("1.23.4", "1.35.1", "1.39.3", "", "unknown")),
        *(("CVE-2025-31133", version, True) for version in ("1.1.5+ds1", "1.1.15", "1.3.2")),
        *(("CVE-2025-31133", version, False) for version in ("1.2.8", "1.3.3", "1.4.0")),
        *(("CVE-2024-11218", version, True) for version in ("1.28.2", "1.33.11", "1.35.4", "1.37.5", "1.38.0")),
        *(("CVE-2024-11218", version, False) for version in ("1.33.12", "1.35.5", "1.37.6", "1.38.1", "1.39.3")),
        *(("CVE-2025-52881", version, True) for version in ("1.0.0", "1.1.15", "1.2.7", "1.3.2")),
        *(("CVE-2025-52881", version, False) for version in ("1.2.8", "1.3.3", "1.4.0")),
        *(("CVE-2026-47766", version, True) for version in ("1.8.1", "1.27.1")),
        *(("CVE-2026-47766", version, False) for version in ("1.28", "1.29.1")),
        *(("CVE-2017-5226", version, True) for version in ("0.1.5", "0.1.7", "0.8.0", "0.11.0")),
        ("CVE-2017-5226", "0.1.6", False),
        *(("CVE-2026-31431", version, True) for version in ("6.1.0-44-amd64", "6.18.21", "6.19.11-300.fc44")),
        *(("CVE-2026-31431", version, False) for version in ("6.18.22", "6.19.12", "7.0.1", "4.10.1")),
    ],
)
def test_affected_versions(cve: str, version: str, affected: bool) -> None:
    (known,) = (each for each in KNOWN if each.cve == cve)
    assert known.affects(version) is affected


def _program(directory: Path, name: str, version: str, mode: int = 0o755) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{name} {version}'\n")
    path.chmod(mode)


def test_bubblewrap_with_its_bit_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    _program(tmp_path, "bwrap", "0.11.1", 0o4755)
    (exposure,) = versions.exposures()
    assert exposure.startswith("CVE-2026-41163 of bwrap 0.11.1 is not mitigated: remove the bit")
    _program(tmp_path, "bwrap", "0.11.2", 0o4755)
    assert versions.exposures() == []
    _program(tmp_path, "bwrap", "0.11.1")
    assert versions.exposures() == []


def test_a_machine_whose_sockets_cannot_be_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: "6.1.0")
    for machine, named in (("x86_64", False), ("s390x", True), ("sparc64", True)):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        assert any(re.match(f"CVE-2026-31431 of {KERNEL} 6.1.0", each) for each in versions.exposures()) is named


def test_versions_are_those_that_programs_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _program(tmp_path, "buildah", "version 1.28.2 (image-spec 1.1.0-rc2)")
    _program(tmp_path, "runc", "without numbers")
    assert versions.installed("buildah") == "1.28.2"
    assert versions.installed("runc") == ""
    assert versions.installed("no-such-program") == ""
