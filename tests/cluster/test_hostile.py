# SPDX-License-Identifier: GPL-2.0-or-later
"""Pods that behave as no build does: the task fails or logs what they print, and the builder is not affected."""

from __future__ import annotations

import pytest

from fedpkg_container.box.cluster.server import Cluster
from fedpkg_container.cluster import following, streams
from fedpkg_container.errors import BuildFailedError
from tests.cluster.conftest import NAMESPACE
from tests.support.cluster.scripted import FOREVER, Target, failure, pod_of

pytestmark = pytest.mark.usefixtures("usable_afterwards")


def test_a_log_without_newlines(target: Target) -> None:
    """Megabytes in one line: the container runtime splits it, and the API joins it again."""
    script = "for n in range(8): sys.stdout.write('x' * (1 << 20))\nsys.stdout.write('\\n'); sys.stdout.flush()\nend()"
    run = target.start(script).wait()
    assert run.error is None
    assert max(map(len, run.log.lines)) <= streams.MAX_LINE_SIZE + (1 << 17)
    assert sum(line.count(b"x") for line in run.log.lines) >= 8 << 20


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("'[' * 4096", "without a result"),
        ("'x' * 100000", "without a result"),
        ("'{\"format\":1,\"records\":' + '9' * 4000 + '}'", "without a result"),
        ("'\\0\\x1b[2J' * 100", "without a result"),
        ("json.dumps({'format': 1, 'error': '\\x1b]0;x\\x07' + 'e' * 3000})", "\ufffd]0;x\ufffdeee"),
        ("json.dumps({'format': ['\\x1b' * 100]})", "unsupported format version"),
    ],
)
def test_a_termination_message(simulated: Cluster, target: Target, message: str, reason: str) -> None:
    run = target.start(f"open(os.environ['FEDPKG_CONTAINER_MESSAGE'], 'w').write({message})\nsys.exit(1)").wait()
    assert run.error is not None
    shown = str(getattr(run.error, "reason", ""))
    assert reason in shown
    assert len(shown) < 1200
    assert shown.isprintable()


def test_a_status_that_others_wrote(simulated: Cluster, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text with control characters, longer than any message, and values of other types."""
    monkeypatch.setattr(following, "LAST_LINES_TIMEOUT", 0.1)
    run = target.start(FOREVER)
    run.eventually_prints("started")
    name, _ = pod_of(simulated)
    terminated = {"exitCode": "x", "reason": "\x1b[2J" * 10_000, "message": ["x"]}
    status = {
        "phase": "Failed", "reason": "\x1b]0;x\x07" * 10_000, "message": "\u202e" * 10_000, "conditions": {"a": 1},
        "containerStatuses": [1, {"name": "build", "state": {"terminated": terminated}, "imageID": {}}],
    }  # fmt: skip
    simulated.store.update("pods", NAMESPACE, name, {"status": status})
    reason = failure(run)
    assert "ended without a result" in reason
    assert len(reason) < 1200
    assert reason.isprintable()


def test_control_characters_in_a_log_are_kept(target: Target) -> None:
    """The log of a task is what programs print, as on a builder; programs that show it make it printable."""
    run = target.start("print('1 \\x1b[2Jone')\nprint('waiting: \\x1b')\nnumber = 1\nend()").wait()
    assert run.text() == ["\x1b[2Jone", "waiting: \x1b"]
    assert not any("\x1b" in line for line in run.log.reports)


def test_an_artifact_with_an_invalid_digest(target: Target) -> None:
    def complete_log(artifact: str) -> list[bytes]:
        asked.append(artifact)
        return []

    asked: list[str] = []
    run = target.start("number = 7\nend('failed', '../../x' * 500, 1)", complete_log=complete_log).wait()
    assert isinstance(run.error, BuildFailedError)
    assert all(len(artifact) <= 280 for artifact in asked)
