# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``container-status NVR`` reports about the end of a build."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fedpkg_container.commands import client_config, status_build
from fedpkg_container.hub import session
from fedpkg_container.hub.build_contents import Contents
from fedpkg_container.hub.builds import Build


@pytest.mark.parametrize(
    ("state", "end", "logs"),
    [
        ("COMPLETE", "built    just now, in 5 s, by me", []),
        ("CANCELED", "canceled just now, in 5 s, by me", []),
        ("FAILED", "failed   just now, in 5 s, by me", ["logs     fedpkg container-status 17 --logs"]),
    ],
)
def test_end_of_a_build(state: str, end: str, logs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_config, "koji_profile", lambda _client: "koji")
    monkeypatch.setattr(session, "site_urls", lambda _profile: SimpleNamespace(task=lambda _number: ""))
    monkeypatch.setattr("time.time", lambda: 1005.0)
    build = Build(1, "web-1-1", "web", state, "me", 1000.0, 1005.0, "", 17)
    contents = cast(Contents, SimpleNamespace(build=build, images=(), parents=()))
    lines = [line.strip() for line in status_build._build(cast(Any, SimpleNamespace(name="fedpkg")), contents)]
    assert lines[1] == end
    assert [line for line in lines if line.startswith("logs ")] == logs
