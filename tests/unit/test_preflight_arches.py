"""What the client says of arches for which there may be no builder."""

from __future__ import annotations

import pytest

from fedpkg_container.hub.preflight import _arches
from fedpkg_container.model.finding import ERROR, WARNING
from fedpkg_container.model.platforms import EVERYWHERE
from fedpkg_container.model.request import BuildRequest


@pytest.mark.parametrize(
    ("channel", "everywhere", "severity"),
    [("x86_64 s390x", "x86_64 s390x", None), ("x86_64", "x86_64 s390x", WARNING), ("x86_64", "x86_64", ERROR)],
)
def test_arches_without_a_builder(channel: str, everywhere: str, severity: str | None) -> None:
    request = BuildRequest("git+https://x/container/hello#0", "rawhide", {})
    config = {"name": "rawhide-build", "arches": "x86_64 s390x"}
    arches, findings = _arches(request, config, EVERYWHERE, [{"arches": channel}], [{"arches": everywhere}])
    assert arches == ["x86_64", "s390x"]
    assert [(each.code, each.severity) for each in findings] == ([("no-builder", severity)] if severity else [])
