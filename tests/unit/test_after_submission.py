# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors after a build was submitted: the task is printed, and the exit status is not that of a build to repeat."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.checkout import LocalCheckout
from tests.support.fake_hub import TASK, fake_hub, task_info
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.programs

STILL_RUNNING = 7


@pytest.fixture
def checkout(tmp_path: Path) -> LocalCheckout:
    """A checkout, whose hub each test starts."""
    return LocalCheckout.make(tmp_path)


def _build(checkout: LocalCheckout, *arguments: str, output: IO[Any] | None = None) -> subprocess.CompletedProcess[str]:
    if output is None:
        return checkout.run("container-build", *arguments)
    return subprocess.run(
        [str(Path(sys.executable).with_name("fedpkg-container")), "container-build", *arguments],
        cwd=checkout.directory, env=checkout.environment, stdout=output, stderr=subprocess.PIPE, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_task_info_that_cannot_be_written(checkout: LocalCheckout) -> None:
    with fake_hub(checkout.home) as hub:
        done = _build(checkout, "--nowait", "--task-info", "/dev/full")
    assert done.returncode == STILL_RUNNING, done.stderr
    assert f"cannot write /dev/full: No space left on device; task {TASK} is still running" in done.stderr
    assert f"container-status --watch {TASK}" in done.stderr
    assert hub.calls.count("buildContainer") == 1


def test_task_info_to_standard_output(checkout: LocalCheckout) -> None:
    with fake_hub(checkout.home):
        done = _build(checkout, "--nowait", "-q", "--task-info", "/dev/stdout")
    assert done.returncode == 0, done.stderr
    first, _, info = done.stdout.partition("\n")
    assert first == f"Created task: {TASK}"
    assert json.loads(info)["task_id"] == TASK


@pytest.mark.parametrize("arguments", [("--nowait",), (), ("--progress", "json")])
def test_full_disk(checkout: LocalCheckout, arguments: tuple[str, ...]) -> None:
    with fake_hub(checkout.home), open("/dev/full", "wb") as full:
        done = _build(checkout, *arguments, output=full)
    assert done.returncode == STILL_RUNNING, done.stderr
    assert f"standard output: No space left on device; task {TASK} is still running" in done.stderr


def test_closed_pipe(checkout: LocalCheckout) -> None:
    read, write = os.pipe()
    os.close(read)
    with fake_hub(checkout.home), open(write, "wb") as pipe:
        done = _build(checkout, "--nowait", output=pipe)
    assert done.returncode == 128 + signal.SIGPIPE
    assert f"standard output was closed; task {TASK} is still running\n" in done.stderr


def test_hub_that_hangs(checkout: LocalCheckout) -> None:
    """Nothing is sent after the contact was lost, and no logout is waited for."""
    with fake_hub(checkout.home, silent_after="buildContainer") as hub:
        done = _build(checkout, "--hub-timeout", "1.5")
        after = hub.calls[hub.calls.index("buildContainer") + 1 :]
    assert done.returncode == STILL_RUNNING, done.stderr
    assert f"task {TASK} is still running" in done.stderr
    assert "the request timed out" in done.stderr
    assert after
    assert set(after) == {"multiCall"}


def test_hub_that_hangs_before_the_submission(checkout: LocalCheckout) -> None:
    with fake_hub(checkout.home, silent_after="login") as hub:
        done = _build(checkout, "--hub-timeout", "1.5")
    assert done.returncode == 5, done.stderr
    assert "the request timed out" in done.stderr
    assert "logout" not in hub.calls
    assert "buildContainer" not in hub.calls


def test_build_that_fails_has_its_own_status(checkout: LocalCheckout) -> None:
    fault: dict[str, Any] = {"faultCode": 1, "faultString": "why"}
    with fake_hub(checkout.home, answers={"getTaskInfo": task_info("FAILED"), "getTaskResult": fault}):
        done = _build(checkout)
    assert done.returncode == 1
    assert "why" in done.stderr
