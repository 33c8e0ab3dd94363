# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``container-status NVR`` reports about the end of a build."""

from __future__ import annotations

import pytest

from tests.support.status_client import Status
from tests.support.status_hub import NOW, StatusHub, build, task


@pytest.mark.parametrize(
    ("state", "end", "logs"),
    [
        ("COMPLETE", "✔ web-container-1-1  complete  just now", []),
        ("CANCELED", "✘ web-container-1-1  canceled  just now", []),
        ("FAILED", "✘ web-container-1-1  failed  just now", ["logs: fedpkg container-status 17 --logs --failed"]),
    ],
)
def test_end_of_a_build(state: str, end: str, logs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    hub = StatusHub([task(17, "CLOSED")], [build(1, state, task_id=17, creation_ts=NOW - 5, completion_ts=NOW)])
    lines = Status(monkeypatch, hub).run("web-container-1-1").splitlines()
    assert lines[0] == end
    assert "  duration  5 s" in lines
    assert "  owner     me" in lines
    assert [line for line in lines if line.startswith("logs")] == logs
