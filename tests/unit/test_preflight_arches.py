# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings about architectures that may have no builder."""

from __future__ import annotations

import time

import pytest

from fedpkg_container.hub.preflight import _arches
from fedpkg_container.model.build import BuildRequest
from fedpkg_container.model.findings import ERROR, WARNING
from fedpkg_container.model.koji_types import HostInfo, TagInfo
from fedpkg_container.model.platforms import ALL_PLATFORMS


@pytest.mark.parametrize(
    ("channel", "everywhere", "severity"),
    [("x86_64 s390x", "x86_64 s390x", None), ("x86_64", "x86_64 s390x", WARNING), ("x86_64", "x86_64", ERROR)],
)
def test_arches_without_a_builder(channel: str, everywhere: str, severity: str | None) -> None:
    request = BuildRequest("git+https://x/container/hello#0", "rawhide", {})
    config: TagInfo = {"name": "rawhide-build", "arches": "x86_64 s390x"}
    arches, findings = _arches(request, config, ALL_PLATFORMS, [{"arches": channel}], [{"arches": everywhere}])
    assert arches == ["x86_64", "s390x"]
    assert [(each.code, each.severity) for each in findings] == ([("no-builder", severity)] if severity else [])


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        ([20], ""),
        ([720, 20], ""),
        ([None], ""),
        ([720], "has checked in with the hub for 12 min"),
        ([7200, 720, None], "has checked in with the hub for 12 min"),
    ],
)
def test_arches_with_silent_builders(ago: list[int | None], said: str) -> None:
    request = BuildRequest("git+https://x/container/hello#0", "rawhide", {})
    now = time.time()
    hosts: list[HostInfo] = [{"arches": "x86_64", "update_ts": None if each is None else now - each} for each in ago]
    _, findings = _arches(request, {"name": "rawhide-build", "arches": "x86_64"}, ALL_PLATFORMS, hosts, hosts)
    assert [(each.code, each.severity) for each in findings] == ([("builder-silent", WARNING)] if said else [])
    assert all(each.message.endswith(said) for each in findings)
