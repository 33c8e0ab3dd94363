# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of the versions of buildah, compared with the installed one; tests of it that are made once per version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fedpkg_container.engines import buildah_probe, versions
from fedpkg_container.engines.buildah_probe import known_result
from fedpkg_container.model.buildah import DIFFERENCES, FEATURES, OLDEST, TESTED, Difference
from fedpkg_container.process import run


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What identifies the installed program; a test changes it."""
    value: list[object] = ["1.28.2", "/usr/bin/buildah", 100, 1]
    monkeypatch.setattr(buildah_probe, "_installed", lambda: list(value))
    return value


def _count(state: Path, results: list[bool], name: str = "a feature", *, result: bool = True) -> bool:
    def probe() -> bool:
        results.append(result)
        return result

    return known_result(state, name, probe)


@pytest.mark.parametrize("result", [True, False])
def test_a_version_is_tested_once(tmp_path: Path, installed: list[object], *, result: bool) -> None:
    probed: list[bool] = []
    for _ in range(3):
        assert _count(tmp_path, probed, result=result) is result
    assert _count(tmp_path, probed, "another", result=not result) is not result
    assert probed == [result, not result]


def test_another_version_or_file_is_tested_again(tmp_path: Path, installed: list[object]) -> None:
    probed: list[bool] = []
    _count(tmp_path, probed, result=False)
    installed[0] = "1.43.2"
    assert _count(tmp_path, probed)
    installed[3] = 2  # a new build of the same version
    _count(tmp_path, probed)
    assert probed == [False, True, True]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"program": 1}', '{"program": ["1.28.2", "/usr/bin/buildah", 100, 1]}']
)
def test_an_unreadable_file_is_written_again(tmp_path: Path, installed: list[object], content: str) -> None:
    (tmp_path / buildah_probe.FILE).write_text(content)
    probed: list[bool] = []
    assert _count(tmp_path, probed)
    assert _count(tmp_path, probed)
    assert probed == [True]


def test_versions_are_in_order() -> None:
    assert TESTED[0] == OLDEST
    assert sorted(TESTED) == list(TESTED)
    assert all(each.since > OLDEST for each in (*FEATURES, *DIFFERENCES))


@pytest.mark.programs
@pytest.mark.parametrize("difference", [each for each in DIFFERENCES if each.options], ids=lambda each: each.name)
def test_options_are_those_of_the_installed_version(difference: Difference) -> None:
    number = versions.installed_number("buildah")
    assert number is not None
    found = re.findall(r"--[a-z-]+", run(["buildah", "build", "--help"], timeout=60).text)
    assert [option in found for option in difference.options] == [number >= difference.since] * len(difference.options)
